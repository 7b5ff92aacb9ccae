// Every way to hand a command something that it cannot use: what it says, and how it ends. docs/troubleshooting.md has the statuses.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { keepSecrets, runCommand } from '../helpers/command.ts'
import { flakeOf } from '../helpers/hydra.ts'
import { createStage, JOB, type Stage } from '../helpers/stage.ts'
import type { Ending } from '../helpers/systemd.ts'
import { codesOnly } from '../helpers/words.ts'

const SUCCESS = readFileSync(
  fileURLToPath(new URL('../../fixtures/events/success.json', import.meta.url)),
  'utf8',
)

let stage: Stage
let sha: string
/** a good build of the job in the newest eval */
let build: number

before(async () => {
  stage = await createStage()
  ;[sha = ''] = await stage.repository.history(1)
  await stage.repository.setBranch('main', sha)
  build = await stage.built(sha)
})

after(() => stage.close())

interface Case {
  what: string
  /** the event: a build, an object, or the path of a file below the stage's directory */
  event?: () => number | object | string | Promise<number | object | string>
  file?: string
  config?: () => Record<string, unknown>
  env?: () => Record<string, string | undefined>
  /** how systemctl ends */
  copy?: Ending
  args?: string[]
  status: 1 | 2
  /** a line of the log, with DIR for the stage's directory */
  message: string | RegExp
}

const eventFile = (content: string) => () => {
  const path = join(stage.directory, 'event.json')
  writeFileSync(path, content)
  return path
}

const flake = (text: string | null) => async () => {
  const id = await stage.hydra.eval({
    jobset: stage.jobset,
    flake: text,
    builds: [{ job: 'nixos-odd.x86_64-linux' }],
  })
  const [row] = await stage.hydra.sql<
    { build: number }[]
  >`select build from jobsetevalmembers where eval = ${id}`
  return row?.build ?? 0
}

const EVENTS: Case[] = [
  {
    what: 'HYDRA_JSON is not set',
    event: () => '',
    status: 2,
    message: 'HYDRA_JSON is not set: there is no event to read',
  },
  {
    what: 'the event is not there',
    event: () => '/nonexistent/event.json',
    status: 2,
    message: "cannot read the event /nonexistent/event.json (HYDRA_JSON): ENOENT '/nonexistent/event.json'",
  },
  {
    what: 'the event is a folder',
    event: () => {
      mkdirSync(join(stage.directory, 'folder'), { recursive: true })
      return join(stage.directory, 'folder')
    },
    status: 2,
    message: 'cannot read the event DIR/folder (HYDRA_JSON): EISDIR',
  },
  {
    what: 'the event is cut in half',
    event: eventFile(SUCCESS.slice(0, SUCCESS.length / 2)),
    status: 2,
    message: /^the event DIR\/event\.json \(HYDRA_JSON\) is not JSON, or only a part of it \(427 bytes\): /m,
  },
  {
    what: 'the event is empty',
    event: eventFile(''),
    status: 2,
    message: /^the event DIR\/event\.json \(HYDRA_JSON\) is not JSON, or only a part of it \(0 bytes\): \S/m,
  },
  {
    what: 'the event is a list',
    event: eventFile('[]'),
    status: 2,
    message: 'the event DIR/event.json (HYDRA_JSON) cannot be used: it is a list, expected an object',
  },
  {
    what: 'the event has no kind',
    event: eventFile('{}'),
    status: 2,
    message: 'the event DIR/event.json (HYDRA_JSON) cannot be used: event: missing, expected a string',
  },
  {
    what: 'a field of the event has another type',
    event: eventFile(JSON.stringify({ ...JSON.parse(SUCCESS), build: '1001' })),
    status: 2,
    message: 'the event DIR/event.json (HYDRA_JSON) cannot be used: build: is "1001", expected an id',
  },
  {
    what: 'a field of the event is missing',
    event: eventFile(JSON.stringify({ ...JSON.parse(SUCCESS), job: undefined })),
    status: 2,
    message: 'the event DIR/event.json (HYDRA_JSON) cannot be used: job: missing, expected a string',
  },
  {
    what: 'an unknown option',
    args: ['--confg', 'x'],
    status: 2,
    message: /^there is no option --confg\ndid you mean --config\?\nsee hydra-hook --help$/m,
  },
  { what: 'an argument', args: ['1001'], status: 2, message: 'hydra-hook takes no argument, but got “1001”' },
]

const CONFIGURATIONS: Case[] = [
  {
    what: 'no configuration',
    args: ['--config', '/nonexistent/config.json'],
    status: 2,
    message: "cannot read the configuration /nonexistent/config.json: ENOENT '/nonexistent/config.json'",
  },
  {
    what: 'an unknown key',
    config: () => ({ cahce: {} }),
    status: 2,
    message: 'the configuration DIR/config.json cannot be used: cahce: unknown key, did you mean cache?',
  },
  {
    what: 'no credentials',
    config: () => ({ github: { apiUrl: stage.github.apiUrl } }),
    status: 2,
    message: 'there are no credentials of a GitHub App',
  },
  {
    what: 'the key file is missing',
    config: () => ({ github: { ...stage.config.github, privateKeyFile: '/nonexistent/key.pem' } }),
    status: 2,
    message:
      "cannot read the App's private key /nonexistent/key.pem (github.privateKeyFile): ENOENT '/nonexistent/key.pem'",
  },
  {
    what: 'the key file is no PEM',
    config: () => ({
      github: { ...stage.config.github, privateKeyFile: join(stage.directory, 'config.json') },
    }),
    status: 2,
    message: 'DIR/config.json (github.privateKeyFile) holds no private key in PEM form',
  },
  {
    what: 'a relative key file outside of a unit',
    config: () => ({ github: { ...stage.config.github, privateKeyFile: 'app-key' } }),
    status: 2,
    message:
      "cannot find the App's private key “app-key” (github.privateKeyFile): a relative path is looked up in $CREDENTIALS_DIRECTORY, which is not set",
  },
]

const CACHE: Case[] = [
  {
    what: 'the copy unit fails',
    copy: 'failed',
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message: 'cannot copy to the cache: systemctl start ended with status 1',
  },
  {
    what: 'the copy unit is unknown',
    copy: 'unknown',
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message:
      /^Failed to start copy-cache@-nix-store-.*\.service: Unit copy-cache@-nix-store-.*\.service not found\.$/m,
  },
  {
    what: 'the copy unit may not be started',
    copy: 'denied',
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message: /^Failed to start copy-cache@.*: Interactive authentication required\.$/m,
  },
  {
    what: 'the copy unit does not end in time',
    copy: 'hangs',
    config: () => ({ cache: { unit: 'copy-cache@.service', timeoutSeconds: 3 } }),
    status: 1,
    message: 'cannot copy to the cache: systemctl start did not end within 3 s (cache.timeoutSeconds)',
  },
  {
    what: 'systemd is missing',
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    env: () => ({ PATH: '/nonexistent' }),
    status: 1,
    message: 'cannot copy to the cache: there is no systemd-escape in PATH',
  },
  {
    what: 'no output has a path',
    event: () => withOutputs([{ name: 'out', path: null }]),
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message: 'no output of the build has a path: nothing can be copied to the cache',
  },
  {
    what: 'an output that is no store path',
    event: () => withOutputs([{ name: 'out', path: '/nix/store/../../etc/passwd' }]),
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message: 'the output /nix/store/../../etc/passwd is no store path, so it is not copied',
  },
  {
    what: 'a unit name that systemd would not take',
    event: () => withOutputs([{ name: 'out', path: `/nix/store/${'a'.repeat(32)}-${'a-'.repeat(50)}` }]),
    config: () => ({ cache: { unit: 'copy-cache@.service' } }),
    status: 1,
    message:
      /^cannot copy \/nix\/store\/a{32}-(?:a-){50}: its unit would have a name of \d{3} characters, and systemd takes 255$/m,
  },
]

async function withOutputs(outputs: object[]): Promise<object> {
  return { ...(await stage.hydra.eventOf(build)), outputs }
}

const DATABASE: Case[] = [
  {
    what: 'the build is unknown',
    event: async () => ({ ...(await stage.hydra.eventOf(build)), build: 999_999 }),
    status: 1,
    message: "Hydra's database has no build 999999",
  },
  {
    what: 'event and database disagree',
    event: async () => ({ ...(await stage.hydra.eventOf(build)), job: 'nixos-other.x86_64-linux' }),
    status: 1,
    message: `event and database disagree: build 1 is dotfiles:main:nixos-other.x86_64-linux in the event, and dotfiles:main:${JOB} in Hydra's database`,
  },
  {
    what: 'the database is not there',
    config: () => ({ database: { host: stage.directory } }),
    status: 1,
    message:
      /^cannot ask Hydra's database at DIR:5432, database hydra, role hydra \(configuration\): .*ENOENT/m,
  },
  {
    what: 'the connection string cannot be read',
    config: () => ({ database: undefined }),
    env: () => ({ HYDRA_DATABASE_URL: 'mysql://hydra:geheim-geheim@host/hydra' }),
    status: 2,
    message:
      'cannot read HYDRA_DATABASE_URL: expected postgres://USER@HOST:PORT/DATABASE (its value may hold a password and is not shown)',
  },
  {
    what: 'the eval has no flakeref',
    event: flake(null),
    status: 1,
    message:
      /^alice\/dotfiles nixos-tested-odd: cannot be moved: eval \d+ has no flakeref, so it names no commit$/m,
  },
  {
    what: 'the flakeref is of a dirty tree',
    event: flake('git+https://geheim-geheim@github.com/alice/dotfiles?ref=main'),
    status: 1,
    message:
      /^.*: cannot be moved: the flakeref of eval \d+ cannot be used: git\+https:\/\/github\.com\/alice\/dotfiles\?ref=main: it has no rev: a working tree with uncommitted changes was evaluated$/m,
  },
  {
    what: 'the flakeref is a path',
    event: flake('path:/srv/dotfiles?rev=0123456789012345678901234567890123456789'),
    status: 1,
    message: /: path:\/srv\/dotfiles\?rev=\d{40}: “path:” names no commit of a git repository on a forge$/m,
  },
  {
    what: 'the revision is not hexadecimal',
    event: flake(`github:alice/dotfiles/${'z'.repeat(40)}`),
    status: 1,
    message: /: its revision is not 40 hexadecimal digits$/m,
  },
  {
    what: 'the flakeref is of another repository',
    event: () => flake(flakeOf(sha, { owner: 'mallory' }))(),
    status: 1,
    message:
      /^.*: cannot be moved: the flakeref of eval \d+ is of another repository: github:mallory\/dotfiles\/.* is not github\.com\/alice\/dotfiles$/m,
  },
  {
    what: 'the flakeref is of another host',
    event: () => flake(`github:alice/dotfiles/${sha}?host=ghe.example.org`)(),
    status: 1,
    message:
      /is of another repository: github:alice\/dotfiles\/.*\?host=ghe\.example\.org is not github\.com\/alice\/dotfiles$/m,
  },
]

keepSecrets(['geheim-geheim'])

for (const { what, event, config, env, copy = 'ok', args, status, message } of [
  ...EVENTS,
  ...CONFIGURATIONS,
  ...CACHE,
  ...DATABASE,
]) {
  test(`${what}: exit ${status}`, async () => {
    stage.systemd.ends(copy)
    const kept = stage.config
    stage.config = { ...kept, ...config?.() }
    try {
      const result = await stage.hook((await event?.()) ?? build, args ?? [], { env: env?.() ?? {} })
      const log = codesOnly(result.log.replaceAll(stage.directory, 'DIR'))
      if (typeof message === 'string') assert.ok(log.split('\n').includes(message), log)
      else assert.match(log, message)
      assert.equal(result.status, status)
      assert.deepEqual(await stage.repository.branches(), { main: sha })
    } finally {
      stage.config = kept
    }
  })
}

describe('hydra-channels without a command that there is', () => {
  const SEE = 'see hydra-channels --help\n'
  const CASES: [args: string[], log: string][] = [
    [[], `which command?\n${SEE}`],
    [['statu'], `there is no command “statu”\ndid you mean status?\n${SEE}`],
    [['app'], `there is no command “app”\ndid you mean create-app?\n${SEE}`],
    [['help', 'statu'], `there is no command “statu”\ndid you mean status?\n${SEE}`],
    [['frobnicate'], `there is no command “frobnicate”\n${SEE}`],
    [['frobnicate', '--help'], `there is no command “frobnicate”\n${SEE}`],
    [['toString'], `there is no command “toString”\n${SEE}`],
    [
      ['--json', 'status'],
      '--json stands before the command\nwrite it after: hydra-channels status --json\n',
    ],
    [['--jsn'], `there is no option --jsn\n${SEE}`],
  ]
  for (const [args, expected] of CASES) {
    test(args.join(' ') || 'none', async () => {
      const { status, log } = await runCommand('hydra-channels', args)
      assert.deepEqual([status, log], [2, expected])
    })
  }

  test('help COMMAND is COMMAND --help, and help is --help', async () => {
    const say = async (...args: string[]) => (await runCommand('hydra-channels', args)).log
    assert.equal(await say('help', 'hold'), await say('hold', '--help'))
    assert.equal(await say('help'), await say('--help'))
    assert.equal(await say('-h'), await say('--help'))
    assert.equal(await say('-v'), await say('--version'))
  })
})
