// `dryRun` in the configuration, as for a first deployment: everything is looked at and said, nothing is copied or moved.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Check } from '../../src/doctor/doctor.ts'
import { connect } from '../helpers/postgres.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { find, hold, NAS, statusOf } from '../helpers/status.ts'
import { quote } from '../helpers/words.ts'

const UNIT = 'copy-cache@.service'
const PATH = '/nix/store/00000000000000000000000000000001-nixos-system-nas'
const FIRST_LINE =
  'dry run (dryRun in the configuration): nothing is copied, nothing is moved; to start, remove dryRun from the configuration (NixOS: services.hydra-channels.dryRun)'
const NOTHING_MOVES = 'nothing is copied or moved, because dryRun is set in the configuration'

interface Scene {
  stage: Stage
  c1: string
  c2: string
  build: number
  kickFile: string
  stampFile: string
  /** Of a command that has ended: nothing was copied, and GitHub was only read. */
  assertNothingDone(): Promise<void>
}

/** main: c1 - c2   channel at c1, candidate c2, which is not in the cache */
async function dryRun(t: TestContext, mode: 'inline' | 'detached' = 'inline'): Promise<Scene> {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranches({ main: c2, [CHANNEL]: c1 })
  const build = await stage.built(c2, { outputs: { out: PATH } })
  const kickFile = join(stage.directory, 'kick', 'kick')
  mkdirSync(join(stage.directory, 'kick'))
  stage.config.cache = { unit: UNIT, url: stage.cache.url }
  stage.config.hook = { mode, kickFile }
  stage.config.dryRun = true
  return {
    ...{ stage, c1, c2, build, kickFile },
    stampFile: join(String(stage.config.stateDirectory), 'last-reconcile.json'),
    async assertNothingDone() {
      assert.deepEqual(startsOf(stage), [])
      assert.deepEqual(writesOf(stage), [])
      assert.equal(await stage.repository.branch(CHANNEL), c1)
    },
  }
}

/** What was copied, or was to be. */
const startsOf = ({ systemd }: Stage) => systemd.calls().filter(args => args.includes('start'))

/** What GitHub was asked beside questions. A token is no write: it is asked for by a POST, and so is GraphQL. */
function writesOf({ github }: Stage): string[] {
  const isQuestion = ({ method, path, body }: (typeof github.records)[number]) => {
    if (method === 'POST' && path === '/graphql')
      return !/\bmutation\b/.test((body as { query: string }).query)
    return method === 'GET' || (method === 'POST' && /^\/app\/installations\/\d+\/access_tokens$/.test(path))
  }
  return github.records.filter(record => !isQuestion(record)).map(({ method, path }) => `${method} ${path}`)
}

/** Without the event, and without who asks. */
const linesOf = (log: string) =>
  log
    .trimEnd()
    .split('\n')
    .filter(line => !/^(?:asks |build \d+ dotfiles|\{)/.test(line))

const shorts = (c1: string, c2: string) => `${c1.slice(0, 7)}..${c2.slice(0, 7)}`

describe('the hook', () => {
  test('inline: says that it only looks and how to end that, and what it would do', async t => {
    const { stage, c1, c2, build, kickFile, assertNothingDone } = await dryRun(t)
    const { status, log } = await stage.hook(build)
    assert.deepEqual(linesOf(log), [
      FIRST_LINE,
      `dotfiles:main:${JOB}: would copy ${PATH} to the cache (dry run)`,
      `dotfiles:main:${JOB}: eval 1: github:alice/dotfiles/${c2.slice(0, 7)}`,
      `alice/dotfiles ${CHANNEL}: would be fast-forwarded ${shorts(c1, c2)} (1 commit) (dry run)`,
    ])
    assert.equal(status, 0)
    await assertNothingDone()
    assert.equal(existsSync(kickFile), false)
    assert.equal(existsSync(String(stage.config.stateDirectory)), false)
  })

  test('detached: would ask for a reconcile, and makes no kick', async t => {
    const { stage, build, kickFile, assertNothingDone } = await dryRun(t, 'detached')
    const { status, log } = await stage.hook(build)
    assert.deepEqual(linesOf(log), [
      FIRST_LINE,
      `dotfiles:main:${JOB}: would copy 1 output to the cache (dry run)`,
      `alice/dotfiles ${CHANNEL}: would ask for a reconcile (dry run)`,
    ])
    assert.equal(status, 0)
    assert.deepEqual(stage.github.requests, [])
    await assertNothingDone()
    assert.equal(existsSync(kickFile), false)
  })

  test('a commit that was taken back moves with the next good build only without dryRun', async t => {
    const { stage, c1, build, assertNothingDone } = await dryRun(t)
    const d2 = await stage.repository.commit({ parents: [c1] })
    await stage.eval(d2, [{ job: JOB, status: 1 }])
    await stage.repository.setBranches({ main: d2 })
    const { status, log } = await stage.hook(build)
    assert.equal(status, 1)
    assert.match(
      log,
      /^alice\/dotfiles nixos-tested-nas: without dryRun, the next good build of a commit in the history of the default branch moves the channel$/m,
    )
    await assertNothingDone()
  })
})

describe('reconcile', () => {
  test('takes the kick, says what it would do, and writes down that it ended', async t => {
    const { stage, c1, c2, kickFile, stampFile, assertNothingDone } = await dryRun(t, 'detached')
    writeFileSync(kickFile, '')
    const { status, log } = await stage.command('hydra-channels', ['reconcile', '--wait'])
    assert.deepEqual(linesOf(log), [
      FIRST_LINE,
      `alice/dotfiles ${CHANNEL}: would copy ${PATH} to the cache (dry run)`,
      `alice/dotfiles ${CHANNEL}: would be fast-forwarded ${shorts(c1, c2)} (1 commit) (dry run)`,
      '1 would-fast-forward',
    ])
    assert.equal(status, 0)
    await assertNothingDone()
    assert.equal(existsSync(kickFile), false)
    const { ended, counts, finishedAt } = JSON.parse(readFileSync(stampFile, 'utf8'))
    assert.deepEqual([ended, counts], ['ok', { 'would-fast-forward': 1 }])
    assert.equal((await statusOf(stage)).lastReconcile, finishedAt)
    assert.deepEqual(readdirSync(String(stage.config.stateDirectory)), ['last-reconcile.json'])
  })

  test('needs no lock: it also looks while another reconcile runs', async t => {
    const { stage } = await dryRun(t)
    const { socketDirectory, database } = stage.hydra
    const other = connect({ socketDirectory, port: 5432 }, { database, user: 'hydra', max: 1 })
    t.after(() => other.end())
    await other`select pg_advisory_lock(7528510797120398184)`
    const { status, log } = await stage.command('hydra-channels', ['reconcile'])
    assert.equal(status, 0)
    assert.equal(linesOf(log).at(-1), '1 would-fast-forward')
  })

  test('of named channels only: leaves the kick to a whole one, and is not the last reconcile', async t => {
    const { stage, kickFile, stampFile, assertNothingDone } = await dryRun(t)
    writeFileSync(kickFile, '')
    const { status } = await stage.command('hydra-channels', ['reconcile', CHANNEL])
    assert.equal(status, 0)
    assert.deepEqual([existsSync(kickFile), existsSync(stampFile)], [true, false])
    await assertNothingDone()
  })

  test('with --dry-run it is a person who looks: kick and stamp stay as they are', async t => {
    const { stage, kickFile, stampFile, assertNothingDone } = await dryRun(t)
    writeFileSync(kickFile, '')
    const { status, log } = await stage.command('hydra-channels', ['reconcile', '--dry-run'])
    assert.equal(status, 0)
    assert.equal(linesOf(log)[0], FIRST_LINE)
    assert.deepEqual([existsSync(kickFile), existsSync(stampFile)], [true, false])
    await assertNothingDone()
  })

  test('what would fail is known to status as what a dry run found out', async t => {
    const { stage, c1, c2 } = await dryRun(t)
    stage.cache.paths.add(PATH)
    await stage.repository.deleteBranch(CHANNEL)
    await stage.repository.setBranches({ [`${CHANNEL}/old`]: c1 })
    const { status, log } = await stage.command('hydra-channels', ['reconcile'])
    assert.equal(status, 1)
    assert.match(
      log,
      new RegExp(`^alice/dotfiles ${CHANNEL}: cannot be moved: the branch ${CHANNEL}/old is in`, 'm'),
    )
    const says = new RegExp(
      `^the last reconcile, a dry run (?:just now|\\d+ min ago), could not have moved it to ${c2.slice(0, 7)}: the branch `,
    )
    const { reason, message } = find(await statusOf(stage), NAS)
    assert.equal(reason, 'failed')
    assert.match(message ?? '', says)
    // also after the dry run, until the first run that moves
    stage.config.dryRun = false
    assert.match(find(await statusOf(stage), NAS).message ?? '', says)
    await stage.command('hydra-channels', ['reconcile'])
    assert.match(
      find(await statusOf(stage), NAS).message ?? '',
      /^the last reconcile, (?:just now|\d+ min ago), could not move it /,
    )
  })
})

describe('status', () => {
  test('says in each of its forms that nothing is moved', async t => {
    const { stage, c2 } = await dryRun(t)
    stage.cache.paths.add(PATH)
    const table = await stage.command('hydra-channels', ['status'])
    assert.match(
      table.log,
      new RegExp(
        `\n    without dryRun, the next reconcile moves it to ${c2.slice(0, 7)}\n\nAT: .*\n\n1 channel: 1 behind; no reconcile has ended yet; ${quote(NOTHING_MOVES)}\n$`,
      ),
    )
    const file = join(stage.directory, 'hydra-channels.prom')
    const metric = async () => {
      await stage.command('hydra-channels', ['status', '--metrics', file])
      return /^hydra_channels_dry_run (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]
    }
    assert.deepEqual([(await statusOf(stage)).dryRun, await metric()], [true, '1'])
    stage.config.dryRun = false
    assert.deepEqual([(await statusOf(stage)).dryRun, await metric()], [false, '0'])
    assert.equal(find(await statusOf(stage), NAS).message, `the next reconcile moves it to ${c2.slice(0, 7)}`)
  })
})

test('doctor notes it, also without a network, and what to remove', async t => {
  const { stage } = await dryRun(t)
  for (const args of [[], ['--offline']]) {
    const { stdout } = await stage.command('hydra-channels', ['doctor', '--json', ...args], {
      streams: 'apart',
    })
    const [first] = JSON.parse(stdout).checks as Check[]
    assert.deepEqual([first?.name, first?.result], ['configuration', 'note'])
    // offline, the address of the test's GitHub is noted too
    const message = `${stage.env.HYDRA_CHANNELS_CONFIG} has 1 rule; ${NOTHING_MOVES}`
    assert.ok(first?.message.startsWith(message), first?.message)
    assert.equal(
      first?.hint[0],
      'to start, remove dryRun from the configuration (NixOS: services.hydra-channels.dryRun)',
    )
  }
  const { status } = await stage.command('hydra-channels', ['doctor', '--offline'])
  assert.equal(status, 0)
})

test('channel-update is asked for by a person, and moves', async t => {
  const { stage, c2 } = await dryRun(t)
  const { status, log } = await stage.command('channel-update', ['alice', 'dotfiles', CHANNEL, c2])
  assert.equal(status, 0, log)
  assert.doesNotMatch(log, /dry run/)
  assert.equal(await stage.repository.branch(CHANNEL), c2)
})

test('of a whole fleet GitHub gets only reads, and what the dry run foretold happens without it', async t => {
  // main: c1 - c2 - c3   d1 beside c2   a dozen channels at c1, one not there, one held, one pushed to, one at c3, one without a job
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
  const d1 = await stage.repository.commit({ parents: [c1] })
  const behind = Array.from({ length: 12 }, (_, n) => `b${n}`)
  const hosts = [...behind, 'new', 'held', 'pushed', 'there', 'failing']
  const nameOf = (host: string) => `nixos-tested-${host}`
  const pathOf = (sha: string, host: string) =>
    `/nix/store/${sha.slice(0, 7)}${host.padStart(25, '0')}-nixos-system-${host}`
  for (const sha of [c1, c2, c3]) {
    const builds = hosts.map(host => ({
      job: `nixos-${host}.x86_64-linux`,
      status: host === 'failing' && sha !== c1 ? 1 : 0,
      outputs: { out: pathOf(sha, host) },
    }))
    await stage.eval(sha, builds)
  }
  await stage.repository.setBranches({
    main: c3,
    ...Object.fromEntries(behind.map(host => [nameOf(host), c1])),
    ...{ [nameOf('held')]: c1, [nameOf('pushed')]: d1, [nameOf('there')]: c3, [nameOf('failing')]: c1 },
    [nameOf('old')]: c2,
  })
  const kickFile = join(stage.directory, 'kick')
  stage.config.hook = { mode: 'inline', kickFile }
  // half of them are in the cache
  stage.config.cache = { unit: UNIT, url: stage.cache.url }
  for (const host of hosts.filter((_, n) => n % 2 === 0)) stage.cache.paths.add(pathOf(c3, host))
  stage.config.dryRun = true
  await hold(stage, nameOf('held'))
  const before = await stage.repository.branches()

  writeFileSync(kickFile, '')
  const reconciled = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(
    linesOf(reconciled.log).at(-1)?.split(', ').sort().join(', '),
    '1 diverged, 1 held, 1 would-create, 12 would-fast-forward, 2 already-there',
  )
  assert.equal(existsSync(kickFile), false)
  const rows = await stage.hydra.sql<{ id: number }[]>`
    select b.id from builds b join jobsetevalmembers m on m.build = b.id
    where m.eval = (select max(id) from jobsetevals) and b.buildstatus = 0`
  for (const mode of ['inline', 'detached']) {
    stage.config.hook = { mode, kickFile }
    for (const { id } of [rows[0], rows[12], rows[13], rows[14]].flatMap(row => row ?? []))
      await stage.hook(id)
  }
  await statusOf(stage)
  await stage.command('hydra-channels', ['doctor'])

  assert.ok(stage.github.records.length > 20, `${stage.github.records.length} requests`)
  assert.deepEqual([writesOf(stage), startsOf(stage), existsSync(kickFile)], [[], [], false])
  assert.deepEqual(await stage.repository.branches(), before)

  // the unit copies all
  for (const host of hosts) stage.cache.paths.add(pathOf(c3, host))
  delete stage.config.dryRun
  const moved = await stage.command('hydra-channels', ['reconcile'])
  assert.match(moved.log, /(?:^|, )12 fast-forwarded(?:,|$)/m)
  assert.ok(writesOf(stage).length > 0)
  for (const host of [...behind, 'new']) assert.equal(await stage.repository.branch(nameOf(host)), c3)
})
