// channel-update as a shell runs it: without Hydra, without a configuration.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ALL, writeHold } from '../../src/channels/holds.ts'
import { runCommand } from '../helpers/command.ts'
import { CHANNEL, createStage, type Stage, stageFor } from '../helpers/stage.ts'
import { codesOnly } from '../helpers/words.ts'

let stage: Stage
let commits: string[]
let flags: string[]

// main: c1 - c2 - c3
before(async () => {
  stage = await createStage()
  commits = await stage.repository.history(3)
  await stage.repository.setBranch('main', commits[2] ?? '')
  flags = ['--app-id', String(stage.github.app.id), '--private-key-file', join(stage.directory, 'app.pem')]
})

after(() => stage.close())

const short = (sha: string | undefined) => sha?.slice(0, 7)
const update = (args: string[], env: Record<string, string | undefined> = {}) =>
  runCommand('channel-update', args, { env: { GITHUB_API_URL: stage.github.apiUrl, ...env } })

test('creates, fast-forwards, and leaves a branch', async () => {
  const [c1 = '', c2 = ''] = commits
  const steps = [
    [c1, `created at ${short(c1)}`],
    [c2, `fast-forwarded ${short(c1)}..${short(c2)} (1 commit)`],
    [c2.toUpperCase(), `already there, at ${short(c2)}`],
    [c1, `already contained: it is at ${short(c2)}, 1 commit after ${short(c1)}`],
  ]
  for (const [sha = '', outcome] of steps) {
    const result = await update([...flags, 'alice', 'dotfiles', 'tested/a', sha])
    assert.equal(
      result.log,
      `asks ${stage.github.apiUrl} as GitHub App ${stage.github.app.id} (flags)\nalice/dotfiles tested/a: ${outcome}\n`,
    )
    assert.equal(result.status, 0)
  }
  assert.equal(await stage.repository.branch('tested/a'), c2)
})

test('a dry run moves nothing', async () => {
  const [c1 = ''] = commits
  const result = await update([...flags, '--dry-run', 'alice', 'dotfiles', 'tested/dry', c1])
  assert.match(result.log, new RegExp(`tested/dry: would be created at ${short(c1)} \\(dry run\\)\n$`))
  assert.equal(await stage.repository.branch('tested/dry'), undefined)

  const unknown = await update([...flags, '--dry-run', 'alice', 'dotfiles', 'tested/dry', '0'.repeat(40)])
  assert.equal(unknown.status, 1)
  assert.match(
    unknown.log,
    /^alice\/dotfiles tested\/dry: cannot be moved: GitHub has no commit 0{40} in this repository$/m,
  )
})

test('any branch may be named, also the default one', async () => {
  const c4 = await stage.repository.commit({ parents: [commits[2] ?? ''] })
  const result = await update([...flags, 'alice', 'dotfiles', 'main', c4])
  assert.equal(result.status, 0, result.log)
  assert.equal(await stage.repository.branch('main'), c4)
})

test('the first credentials that are there are used, and the log says which', async () => {
  stage.github.addToken('ghp_abcdefghijklmnopqrstuvwxyz0123456789')
  const environment = {
    GITHUB_APP_ID: stage.github.app.clientId,
    GITHUB_APP_PRIVATE_KEY_FILE: join(stage.directory, 'app.pem'),
  }
  const token = { GITHUB_TOKEN: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' }
  const args = ['alice', 'dotfiles', 'tested/who', commits[0] ?? '']
  const table: [string[], Record<string, string>, string][] = [
    [flags, { ...environment, ...token }, `GitHub App ${stage.github.app.id} (flags)`],
    [[], { ...environment, ...token }, `GitHub App ${stage.github.app.clientId} (environment)`],
    [[], token, 'a token (GITHUB_TOKEN)'],
    [[], { GITHUB_TOKEN: `${token.GITHUB_TOKEN}\n` }, 'a token (GITHUB_TOKEN)'],
  ]
  for (const [given, env, who] of table) {
    const result = await update([...given, ...args], env)
    assert.equal(result.status, 0, result.log)
    assert.equal(result.log.split('\n')[0], `asks ${stage.github.apiUrl} as ${who}`)
  }
  const configured = await stage.command('channel-update', args)
  assert.equal(configured.status, 0, configured.log)
  assert.match(configured.log, /as GitHub App .* \(configuration\)$/m)
})

test('moves a channel that was held before, by itself or with all others, and says so', async t => {
  const own = await stageFor(t)
  const [c1 = '', c2 = ''] = await own.repository.history(2)
  await own.repository.setBranches({ main: c2, [CHANNEL]: c1 })
  const state = join(own.directory, 'state')
  const hold = { since: '2026-11-24T12:00:00Z', until: null }
  writeHold(state, ALL, { ...hold, reason: 'moving house' })
  writeHold(state, { repository: 'alice/dotfiles', branch: CHANNEL }, { ...hold, reason: 'kernel' })
  const result = await own.command('channel-update', ['alice', 'dotfiles', CHANNEL, c2])
  assert.equal(result.status, 0, result.log)
  assert.match(
    result.log,
    /^alice\/dotfiles nixos-tested-nas: all channels are held \(moving house\); channel-update moves it all the same\nalice\/dotfiles nixos-tested-nas: held \(kernel\); channel-update moves it all the same$/m,
  )
  assert.equal(await own.repository.branch(CHANNEL), c2)
})

const C = 'c'.repeat(40)
const BAD: [string, string[], string][] = [
  ['no arguments', [], 'expected OWNER REPO BRANCH COMMIT, but got 0 arguments'],
  ['too many', ['a', 'b', 'c', C, 'e'], 'expected OWNER REPO BRANCH COMMIT, but got 5 arguments'],
  [
    'owner',
    ['a/b', 'r', 'b', C],
    'OWNER “a/b” cannot be used: an owner has letters, digits and “-”, and starts with a letter or a digit',
  ],
  [
    'repository',
    ['a', '..', 'b', C],
    'REPO “..” cannot be used: a repository has letters, digits, “.”, “_” and “-”, at most 100',
  ],
  [
    'repository with .git',
    ['a', 'r.git', 'b', C],
    'REPO “r.git” cannot be used: a repository is named without “.git”',
  ],
  ['branch', ['a', 'r', 'a..b', C], 'BRANCH “a..b” cannot be used: it contains “..”'],
  [
    'full ref',
    ['a', 'r', 'refs/heads/b', C],
    'BRANCH “refs/heads/b” cannot be used: it starts with “refs/”: a branch is named without that',
  ],
  [
    'short commit',
    ['a', 'r', 'b', 'c0ffee'],
    'COMMIT “c0ffee” cannot be used: a commit has 40 hexadecimal digits',
  ],
  [
    'commit that is no hexadecimal',
    ['a', 'r', 'b', 'g'.repeat(40)],
    `COMMIT “${'g'.repeat(40)}” cannot be used: a commit has 40 hexadecimal digits`,
  ],
  ['swapped', ['a', 'r', C, 'b'], `BRANCH “${C}” cannot be used: it looks like a commit`],
  [
    'control characters',
    ['a', 'r', 'b\u001b[31m', C],
    'BRANCH “b\\u001b[31m” cannot be used: it contains a control character',
  ],
  [
    'half of the credentials',
    ['--app-id', '1', 'a', 'r', 'b', C],
    '--private-key-file is missing: --app-id and --private-key-file belong together',
  ],
  ['no credentials', ['a', 'r', 'b', C], 'there are no credentials of a GitHub App'],
  [
    'API over http',
    ['--api-url', 'http://example.org', 'a', 'r', 'b', C],
    '--api-url cannot be used: expected an https URL (http only on this machine, as in http://127.0.0.1:8080)',
  ],
  [
    'a configuration that is not there',
    ['--config', '/nonexistent', 'a', 'r', 'b', C],
    "cannot read the configuration /nonexistent: ENOENT '/nonexistent'",
  ],
]

for (const [what, args, message] of BAD) {
  test(`unusable (${what}): exit 2 before anything is sent`, async () => {
    stage.github.clearRequests()
    const result = await update(args)
    assert.equal(codesOnly(result.log).split('\n')[0], message)
    assert.equal(result.status, 2)
    assert.deepEqual(stage.github.requests, [])
  })
}

test('--help teaches, --version tells, and both end with 0', async () => {
  for (const name of ['hydra-hook', 'channel-update', 'get-flake-commit'] as const) {
    const help = await runCommand(name, ['--help'], { streams: 'apart' })
    assert.equal(help.status, 0)
    assert.match(help.stdout, new RegExp(`^Usage: ${name} `))
    assert.ok(help.stdout.split('\n').every(text => text.length <= 100))
    const version = await runCommand(name, ['--version'], { streams: 'apart' })
    assert.match(version.stdout, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\n$`))
  }
})
