// The matrix of faults, systemd's part: whatever becomes of systemctl and systemd-escape, no channel moves to a build whose
// copy did not end well; it is said what to do; and other builds and channels go on.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type CommandName, runCommand } from '../helpers/command.ts'
import { CHANNEL, JOB } from '../helpers/stage.ts'
import { createSystemd, type TestSystemd } from '../helpers/systemd.ts'
import { C1, type How, type Ran, runSceneFor } from './runs.ts'

const UNIT = 'copy-cache@.service'
/** of what does not end; and a busy machine starts a process in that time */
const SHORT_SECONDS = 3
/** Whatever the fault, a run is over by then: a guard for what waits on, no measurement. */
const DEADLINE_MS = 45_000

const NAS_BUILD = 2
const WEB_BUILD = 4
const WEB_MOVES = ['nixos-tested-web: missing..c2']
const ALL_MOVE = [`${CHANNEL}: c1..c2`, ...WEB_MOVES]

let cells = 0

/** main: c1 - c2   builds of both good, of nas and of web   nas's channel at c1, and web's is to be created */
const sceneFor = (t: TestContext) => runSceneFor(t, [JOB, 'nixos-web.x86_64-linux'])

interface Fault {
  what: string
  /** `of nas`: only the copy of nas's build goes wrong; `of all`: nothing can be copied */
  copies: 'of nas' | 'of all'
  break: (systemd: TestSystemd) => void
  timeoutSeconds?: number
  /** default: the test's own systemctl, and then the machine's */
  path?: (bin: string) => string
  said: RegExp
  hint: RegExp
}

const JOURNAL = /(?:^|\n)see journalctl -u 'copy-cache@\S+'$/
const NEEDS = /^a cache unit needs systemd; cache\.url alone needs none$/
const start = (how: string) => new RegExp(`^cannot copy to the cache: systemctl start ${how}$`)
const escaping = (how: string) =>
  new RegExp(`^cannot make unit names of copy-cache@\\.service: systemd-escape ${how}$`)

const FAULTS: readonly Fault[] = [
  {
    what: 'there is no systemd-escape',
    copies: 'of all',
    break: () => {},
    path: () => '/nonexistent',
    said: /^cannot copy to the cache: there is no systemd-escape in PATH$/,
    hint: NEEDS,
  },
  {
    what: 'there is no systemctl',
    copies: 'of all',
    break(systemd) {
      systemd.escapes('one name')
      rmSync(join(systemd.bin, 'systemctl'))
    },
    path: bin => bin,
    said: /^cannot copy to the cache: there is no systemctl in PATH$/,
    hint: NEEDS,
  },
  {
    what: 'systemctl cannot be run',
    copies: 'of all',
    break(systemd) {
      systemd.escapes('one name')
      chmodSync(join(systemd.bin, 'systemctl'), 0o644)
    },
    path: bin => bin,
    said: /^cannot copy to the cache: spawn systemctl EACCES$/,
    hint: /^$/,
  },
  {
    what: 'the copy fails',
    copies: 'of nas',
    break: systemd => systemd.ends('failed', 'nas'),
    said: start('ended with status 1'),
    hint: new RegExp(
      `^Job for \\S+ failed because .*\nSee "systemctl status \\S+" and "journalctl -xeu \\S+" for details\\.${JOURNAL.source}`,
    ),
  },
  {
    what: 'there is no such unit',
    copies: 'of nas',
    break: systemd => systemd.ends('unknown', 'nas'),
    said: start('ended with status 5'),
    hint: new RegExp(`^Failed to start \\S+: Unit \\S+ not found\\.${JOURNAL.source}`),
  },
  {
    what: 'polkit wants a password',
    copies: 'of nas',
    break: systemd => systemd.ends('denied', 'nas'),
    said: start('ended with status 1'),
    hint: new RegExp(`^Failed to start \\S+: Interactive authentication required\\.${JOURNAL.source}`),
  },
  {
    what: 'the copy does not end',
    copies: 'of nas',
    break: systemd => systemd.ends('hangs', 'nas'),
    timeoutSeconds: SHORT_SECONDS,
    said: start(`did not end within ${SHORT_SECONDS} s \\(cache\\.timeoutSeconds\\)`),
    hint: /^the copy may still be running: see journalctl -u 'copy-cache@\S+'$/,
  },
  {
    what: 'polkit denies it',
    copies: 'of nas',
    break: systemd => systemd.ends('access denied', 'nas'),
    said: start('ended with status 4'),
    hint: new RegExp(`^Failed to start \\S+: Access denied\nSee system logs .*${JOURNAL.source}`),
  },
  {
    what: 'systemctl is killed',
    copies: 'of nas',
    break: systemd => systemd.ends('killed', 'nas'),
    said: start('was ended \\(SIGKILL\\)'),
    hint: JOURNAL,
  },
  {
    what: 'systemctl talks a lot',
    copies: 'of nas',
    break: systemd => systemd.ends('talks a lot', 'nas'),
    said: start('ended with status 1'),
    // the last of it, and the journal has the rest
    hint: new RegExp(`^(?:.*\n){20}${JOURNAL.source.replace('(?:^|\\n)', '')}`),
  },
  {
    what: 'systemd-escape fails',
    copies: 'of all',
    break: systemd => systemd.escapes('failed'),
    said: escaping('ended with status 1'),
    hint: /^Input is not a valid unit name template\.$/,
  },
  {
    what: 'systemd-escape does not end',
    copies: 'of all',
    break: systemd => systemd.escapes('hangs'),
    timeoutSeconds: 0.5,
    said: escaping('did not end in time'),
    hint: /^$/,
  },
  {
    what: 'systemd-escape is killed',
    copies: 'of all',
    break: systemd => systemd.escapes('killed'),
    said: escaping('was ended \\(SIGKILL\\)'),
    hint: /^$/,
  },
  {
    what: 'systemctl never stops talking',
    copies: 'of nas',
    break: systemd => systemd.ends('never stops talking', 'nas'),
    timeoutSeconds: SHORT_SECONDS,
    said: start(`did not end within ${SHORT_SECONDS} s \\(cache\\.timeoutSeconds\\)`),
    hint: /^(?:.*\n){20}the copy may still be running: see journalctl -u 'copy-cache@\S+'$/,
  },
  {
    what: 'systemd-escape says no name',
    copies: 'of all',
    break: systemd => systemd.escapes('no name'),
    said: escaping('ended with status 0'),
    hint: /^$/,
  },
  {
    what: 'systemd-escape says a name too many',
    copies: 'of all',
    break: systemd => systemd.escapes('a name too many'),
    said: escaping('ended with status 0'),
    hint: /^copy-cache@one\.service\ncopy-cache@two\.service$/,
  },
]

const FAILED = 'cannot be moved: '
const nameOf = (branch: string) => `alice/dotfiles ${branch}: `
const cannotMove = (branch: string) => `${nameOf(branch)}${FAILED}`
const withoutName = (lines: string[], branch: string) =>
  lines.map(line => line.replace(nameOf(branch), '')).join('\n')

/** What is wrong with how a run ended: nothing. Errors come in any order. */
function judge(
  what: string,
  { said, hint }: Fault,
  ran: Ran,
  expected: { errors: string[]; moves: string[] },
): string[] {
  cells++
  const problems: string[] = []
  const { errors, moves } = expected
  const left = [...ran.said]
  for (const prefix of errors) {
    const at = left.findIndex(each => each.startsWith(prefix))
    const [message = '', ...hints] = (left.splice(at, at < 0 ? 0 : 1)[0] ?? '')
      .slice(prefix.length)
      .split('\n')
    if (!said.test(message)) problems.push(`${what}: it says ${JSON.stringify(ran.said).slice(0, 500)}`)
    else if (!hint.test(hints.map(line => line.replace(prefix.replace(FAILED, ''), '')).join('\n')))
      problems.push(`${what}: it hints ${JSON.stringify(hints).slice(0, 500)}`)
  }
  if (left.length > 0) problems.push(`${what}: it also says ${left}`)
  if (ran.ended !== (errors.length > 0 ? 'failed' : 'ok')) problems.push(`${what}: it ended ${ran.ended}`)
  if (JSON.stringify([...ran.moves].sort()) !== JSON.stringify(moves))
    problems.push(`${what}: moves ${ran.moves}`)
  if (ran.tookMs > DEADLINE_MS) problems.push(`${what}: it took ${ran.tookMs} ms`)
  return problems
}

describe('systemctl and systemd-escape meet everything', { concurrency: true }, () => {
  for (const half of [0, 1]) {
    test(`${half + 1} of 2`, async t => {
      const scene = await sceneFor(t)
      const problems: string[] = []
      for (const [n, fault] of FAULTS.entries()) {
        if (n % 2 !== half) continue
        const directory = join(scene.directory, `systemd-${n}`)
        mkdirSync(directory)
        const systemd = createSystemd(directory)
        const machine = `${systemd.bin}${delimiter}${process.env.PATH}`
        const cache = { unit: UNIT, timeoutSeconds: fault.timeoutSeconds ?? 60, parallel: 4 }
        const how: How = {
          connection: scene.configured(),
          // what is written down there as copied is not copied again
          config: { cache, stateDirectory: join(directory, 'state') },
          env: { PATH: fault.path?.(systemd.bin) ?? machine },
        }
        const kickFile = join(directory, 'kick')
        const detached: How = {
          ...how,
          config: { ...how.config, hook: { mode: 'detached', kickFile, deadlineSeconds: 60 } },
        }
        const some = fault.copies === 'of nas'
        const see = async (
          what: string,
          run: Promise<Ran>,
          expected: { errors: string[]; moves: string[] },
        ) => problems.push(...judge(`${what}, ${fault.what}`, fault, await run, expected))

        fault.break(systemd)
        await see('hook', scene.run('hook', { ...how, build: NAS_BUILD }), { errors: [''], moves: [] })
        await see('hook, detached', scene.run('hook', { ...detached, build: NAS_BUILD }), {
          errors: [''],
          moves: [],
        })
        await see(
          'reconcile',
          scene.run('reconcile', how),
          some
            ? { errors: [cannotMove(CHANNEL)], moves: WEB_MOVES }
            : { errors: [cannotMove(CHANNEL), cannotMove('nixos-tested-web')], moves: [] },
        )
        if (!some) continue
        await see('hook of another build', scene.run('hook', { ...how, build: WEB_BUILD }), {
          errors: [],
          moves: WEB_MOVES,
        })
        systemd.ends('ok')
        await see('reconcile, later', scene.run('reconcile', how), { errors: [], moves: ALL_MOVE })
      }
      assert.deepEqual(problems, [])
    })
  }
})

interface Cell {
  what: string
  name: CommandName
  args: string[]
  mode: 'inline' | 'detached'
}

const CELLS: readonly Cell[] = [
  { what: 'there is no systemctl', name: 'hydra-hook', args: [], mode: 'inline' },
  { what: 'systemctl is killed', name: 'hydra-hook', args: [], mode: 'detached' },
  { what: 'systemd-escape says a name too many', name: 'hydra-hook', args: [], mode: 'inline' },
  { what: 'polkit denies it', name: 'hydra-channels', args: ['reconcile'], mode: 'inline' },
]

describe('through the real command', { concurrency: true }, () => {
  for (const { what, name, args, mode } of CELLS) {
    test(`${[name, ...args].join(' ')}, ${mode}: ${what}`, async t => {
      const scene = await sceneFor(t)
      const { directory, hydra, github } = scene
      const fault = FAULTS.find(each => each.what === what)
      assert.ok(fault)
      const systemd = createSystemd(directory)
      fault.break(systemd)
      github.graph.setBranch(CHANNEL, C1)
      const file = join(directory, 'command.json')
      const hook = { mode, kickFile: join(directory, 'kick') }
      writeFileSync(
        file,
        JSON.stringify({ ...scene.configFor(scene.configured()), cache: { unit: UNIT }, hook }),
      )
      const ended = await runCommand(name, args, {
        env: {
          PATH: fault.path?.(systemd.bin) ?? `${systemd.bin}${delimiter}${process.env.PATH}`,
          HYDRA_CHANNELS_CONFIG: file,
          HYDRA_JSON: await hydra.writeEvent(NAS_BUILD, directory),
        },
        streams: 'apart',
      })
      cells++
      assert.equal(ended.status, 1, `${ended.stdout}${ended.stderr}`)
      const [message = '', ...hints] = ended.stderr.trimEnd().replace(cannotMove(CHANNEL), '').split('\n')
      assert.match(message, fault.said)
      assert.match(withoutName(hints, CHANNEL), fault.hint)
      assert.doesNotMatch(ended.stderr, /unexpected error|uncaught|node:internal/i)
      const moved = github.repository.moves.map(({ ref }) => ref)
      assert.deepEqual(moved, name === 'hydra-channels' ? ['refs/heads/nixos-tested-web'] : [])
    })
  }
})

test('cells', t => t.diagnostic(`${cells} cells, ${CELLS.length} of them through the command`))
