// Reconcile as a timer runs it: a fleet in Hydra's database, its branches on GitHub, and the difference closed.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeHold } from '../../src/channels/holds.ts'
import { connect } from '../helpers/postgres.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { until } from '../helpers/until.ts'

const host = (n: number) => `nixos-h${n}.x86_64-linux`
const channel = (n: number) => `nixos-tested-h${n}`
const short = (sha: string | undefined) => sha?.slice(0, 7)
const lines = (log: string) =>
  log
    .trimEnd()
    .split('\n')
    .filter(text => !text.startsWith('asks '))

/** main: c1 - c2 - c3, and an eval of each with good builds of `hosts` hosts, all new */
async function fleet(t: TestContext, hosts: number): Promise<{ stage: Stage; commits: string[] }> {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  const commits = await stage.repository.history(3)
  await stage.repository.setBranch('main', commits[2] ?? '')
  for (const [index, sha] of commits.entries()) {
    await stage.eval(
      sha,
      Array.from({ length: hosts }, (_, n) => ({
        job: host(n),
        outputs: { out: `/nix/store/${index}${String(n).padStart(31, '0')}-nixos-system-h${n}` },
      })),
    )
  }
  return { stage, commits }
}

test('brings every channel to its candidate, and then has nothing to do', async t => {
  const { stage, commits } = await fleet(t, 3)
  const [c1 = '', , c3 = ''] = commits
  await stage.repository.setBranch(channel(0), c1)
  await stage.repository.setBranch(channel(1), c3)
  const first = await stage.command('hydra-channels', ['reconcile'])
  assert.deepEqual(lines(first.log).sort(), [
    '1 already-there, 1 created, 1 fast-forwarded',
    `alice/dotfiles ${channel(0)}: fast-forwarded ${short(c1)}..${short(c3)} (2 commits)`,
    `alice/dotfiles ${channel(2)}: created at ${short(c3)}`,
  ])
  assert.equal(first.status, 0)

  stage.github.clearRequests()
  const second = await stage.command('hydra-channels', ['reconcile'])
  assert.deepEqual(lines(second.log), ['3 already-there'])
  assert.deepEqual(stage.github.requests, ['GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-'])
  const stamp = JSON.parse(readFileSync(join(stage.directory, 'state/last-reconcile.json'), 'utf8'))
  assert.deepEqual([stamp.ended, stamp.counts], ['ok', { 'already-there': 3 }])
})

test('one channel to move costs four requests, and the same commits are compared once', async t => {
  const { stage, commits } = await fleet(t, 5)
  const [c1 = '', , c3 = ''] = commits
  for (let n = 0; n < 5; n++) await stage.repository.setBranch(channel(n), n < 2 ? c1 : c3)
  await stage.command('hydra-channels', ['reconcile', '--dry-run'])
  stage.github.clearRequests()
  await stage.command('hydra-channels', ['reconcile'])
  assert.deepEqual(stage.github.requests.slice(0, 2), [
    'GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-',
    `GET /repos/alice/dotfiles/compare/${c1}...${c3}`,
  ])
  assert.deepEqual(stage.github.requests.slice(2).sort(), [
    `GET /repos/alice/dotfiles/compare/${c3}...HEAD`,
    `PATCH /repos/alice/dotfiles/git/refs/heads/${channel(0)}`,
    `PATCH /repos/alice/dotfiles/git/refs/heads/${channel(1)}`,
  ])
})

test('many channels move in one request', async t => {
  const { stage, commits } = await fleet(t, 12)
  const [c1 = '', , c3 = ''] = commits
  await stage.repository.setBranches(
    Object.fromEntries(Array.from({ length: 12 }, (_, n) => [channel(n), c1])),
  )
  await stage.command('hydra-channels', ['reconcile', '--dry-run'])
  stage.github.clearRequests()
  const all = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(all.status, 0, all.log)
  assert.deepEqual(stage.github.requests, [
    'GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-',
    `GET /repos/alice/dotfiles/compare/${c1}...${c3}`,
    `GET /repos/alice/dotfiles/compare/${c3}...HEAD`,
    'POST /graphql',
  ])
  for (let n = 0; n < 12; n++) assert.equal(await stage.repository.branch(channel(n)), c3)
})

test('where GitHub objects to many moves at once, it goes on with halves of them, and one bad channel does not hold up the others', async t => {
  const { stage, commits } = await fleet(t, 11)
  const [c1 = '', , c3 = ''] = commits
  await stage.repository.setBranches(
    Object.fromEntries(Array.from({ length: 11 }, (_, n) => [channel(n), c1])),
  )
  stage.repository.protect(channel(4), 'Changes must be made through a pull request.')
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 1)
  assert.match(
    result.log,
    /^alice\/dotfiles nixos-tested-h4: cannot be moved: a rule of the repository forbids it/m,
  )
  assert.match(result.log, /10 fast-forwarded/)
  for (let n = 0; n < 11; n++) assert.equal(await stage.repository.branch(channel(n)), n === 4 ? c1 : c3)
})

test('copies what the cache does not have, and moves each channel when its own copy is proven', async t => {
  const { stage, commits } = await fleet(t, 3)
  const [, , c3 = ''] = commits
  stage.config.cache = { unit: 'copy-cache@.service', url: stage.cache.url }
  for (let n = 0; n < 3; n++)
    stage.cache.paths.add(`/nix/store/2${String(n).padStart(31, '0')}-nixos-system-h${n}`)
  // h1 is not there at the first look, and its copy fails
  stage.cache.paths.delete(`/nix/store/2${'1'.padStart(31, '0')}-nixos-system-h1`)
  stage.systemd.ends('failed')
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 1)
  assert.equal(stage.systemd.calls().length, 1)
  assert.match(
    result.log,
    /^alice\/dotfiles nixos-tested-h1: cannot be moved: cannot copy to the cache: systemctl start ended/m,
  )
  assert.deepEqual(await stage.repository.branches(), { main: c3, [channel(0)]: c3, [channel(2)]: c3 })
})

test('a job that is gone creates no branch, moves one that is there, and a branch without a job is reported', async t => {
  // e1..e3: h0, h1   e4 of c3: h1 only, and h0 could be evaluated no more
  const { stage, commits } = await fleet(t, 2)
  const [c1 = '', c2 = '', c3 = ''] = commits
  await stage.eval(c3, [{ job: host(1) }])
  await stage.repository.setBranch('nixos-tested-old', c2)
  const first = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(await stage.repository.branch(channel(0)), undefined)
  assert.match(first.log, /^alice\/dotfiles: abandoned: no job leads to 1 branch: nixos-tested-old$/m)
  // and the one without a branch is over: it is counted only where it is asked for
  assert.match(first.log, /^1 created$/m)
  const named = await stage.command('hydra-channels', ['reconcile', channel(0)])
  assert.deepEqual([named.status, lines(named.log)], [0, ['1 job-gone']])
  assert.equal(await stage.repository.branch(channel(0)), undefined)
  await stage.repository.setBranch(channel(0), c1)
  await stage.command('hydra-channels', ['reconcile'])
  assert.equal(await stage.repository.branch(channel(0)), c3)
  assert.equal(await stage.repository.branch('nixos-tested-old'), c2)
})

test('a job that cannot be evaluated still moves to the good build that it had', async t => {
  const { stage, commits } = await fleet(t, 1)
  const [, , c3 = ''] = commits
  const c4 = await stage.repository.commit({ parents: [c3] })
  await stage.repository.setBranch('main', c4)
  const error = `in job ‘${host(0)}’:\nerror:\n  … while\nerror: attribute 'x' missing\n`
  await stage.hydra.eval({ jobset: stage.jobset, flake: `github:alice/dotfiles/${c4}`, builds: [], error })
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 0, result.log)
  assert.equal(await stage.repository.branch(channel(0)), c3)
})

test('a rule without a jobset or a job is said, and the others go on', async t => {
  const { stage, commits } = await fleet(t, 1)
  const [rule = {}] = stage.config.channels
  await stage.hydra.sql`insert into jobsetrenames (project, from_, to_) values ('dotfiles', 'old', 'main')`
  stage.config.channels = [
    { ...rule, jobset: 'nothing', branch: 'a-{host}' },
    { ...rule, jobset: 'old', branch: 'b-{host}' },
    { ...rule, job: 'nothing', branch: 'c' },
    rule,
  ]
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 1)
  assert.match(result.log, /^Hydra has no jobset dotfiles:nothing, which a rule names$/m)
  assert.match(result.log, /^the jobset dotfiles:old is called dotfiles:main now$/m)
  assert.match(result.log, /^the rule for c matches no job of dotfiles:main: “nothing”$/m)
  assert.equal(await stage.repository.branch(channel(0)), commits[2])
})

test('only the channels that are named are moved, and an unknown name has its nearest', async t => {
  const { stage, commits } = await fleet(t, 3)
  const [, , c3 = ''] = commits
  const one = await stage.command('hydra-channels', ['reconcile', 'Alice/dotfiles:nixos-tested-h1'])
  assert.equal(one.status, 0, one.log)
  assert.deepEqual(await stage.repository.branches(), { main: c3, [channel(1)]: c3 })
  const unknown = await stage.command('hydra-channels', ['reconcile', 'nixos-tested-h11'])
  assert.equal(unknown.status, 2)
  assert.match(unknown.log, /^there is no channel nixos-tested-h11\ndid you mean nixos-tested-h1, /m)
  assert.equal(existsSync(join(stage.directory, 'state/last-reconcile.json')), false)
})

test('a key that systemd could not read is what reconcile and the hook report, with status 2', async t => {
  const { stage } = await fleet(t, 1)
  writeFileSync(join(stage.directory, 'github-app-key'), 'missing:/run/secrets/github-app-key\n')
  stage.config.github.privateKeyFile = 'github-app-key'
  const env = { CREDENTIALS_DIRECTORY: stage.directory }
  const [row] = await stage.hydra.sql<{ id: number }[]>`select max(id) as id from builds`
  for (const run of [
    () => stage.command('hydra-channels', ['reconcile'], { env }),
    () => stage.hook(row?.id ?? 0, [], { env }),
  ]) {
    const { status, log } = await run()
    assert.equal(status, 2, log)
    assert.match(
      log,
      /^there is no private key of the App at \/run\/secrets\/github-app-key: systemd could not read it when it started this unit\nput the App's .*\nif hook\.mode is "inline", restart hydra-notify .*\n$/m,
    )
  }
  assert.deepEqual(stage.github.requests, [])
})

/** Another reconcile that has the lock, until `end`. */
async function runElsewhere({ hydra }: Stage) {
  const other = connect(
    { socketDirectory: hydra.socketDirectory, port: 5432 },
    { database: hydra.database, user: 'hydra', max: 1 },
  )
  await other`set application_name = 'hydra-channels reconcile, process 7 on elsewhere'`
  await other`select pg_advisory_lock(7528510797120398184)`
  return other
}

const untilItWaits = ({ hydra }: Stage) =>
  until('the second one waits', async () => {
    const [row] = await hydra.sql`
      select 1 from pg_stat_activity where datname = ${hydra.database} and wait_event = 'advisory'`
    return row !== undefined
  })

test('a second reconcile says who runs, and exits 0; with --wait it waits', async t => {
  const { stage, commits } = await fleet(t, 1)
  const other = await runElsewhere(stage)
  const second = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(second.status, 0, second.log)
  assert.match(second.log, /^another reconcile runs \(process 7 on elsewhere, since \d\d:\d\d\)\n$/)
  assert.deepEqual(stage.github.requests, [])
  const waiting = stage.command('hydra-channels', ['reconcile', '--wait'])
  await untilItWaits(stage)
  await other.end()
  const { status, log } = await waiting
  assert.equal(status, 0)
  assert.match(log, /^waiting for reconcile \(process 7 on elsewhere, since \d\d:\d\d\)\n/)
  assert.equal(await stage.repository.branch(channel(0)), commits[2])
})

/** The environment of a command whose clock is ahead by so many milliseconds, an expression that is evaluated at each look. */
function withClockAhead({ directory }: Stage, ms: string) {
  const file = join(directory, 'clock.cjs')
  const script = `const { existsSync } = require('node:fs')
const real = process.hrtime.bigint
let looks = 0
process.hrtime.bigint = () => { looks++; return real() + 1_000_000n * BigInt(${ms}) }
`
  writeFileSync(file, script)
  return { NODE_OPTIONS: `--require=${file}` }
}

test('with --wait it gives up after 30 minutes, and asks again for what it was asked for', async t => {
  const { stage } = await fleet(t, 1)
  const kickFile = join(stage.directory, 'kick')
  stage.config.hook = { kickFile }
  writeFileSync(kickFile, '')
  const other = await runElsewhere(stage)
  t.after(() => other.end())
  // 29 minutes pass between two looks at the clock
  const env = withClockAhead(stage, `looks * ${29 * 60_000}`)
  const { status, log } = await stage.command('hydra-channels', ['reconcile', '--wait'], { env })
  assert.equal(status, 1)
  assert.match(
    log,
    /^waiting for reconcile \(.*\nwaited 30 minutes for reconcile \(process 7 on elsewhere, since \d\d:\d\d\)\nthe next run tries again; if none runs there, end its connection: select pg_terminate_backend\(\d+\)\n$/,
  )
  assert.deepEqual(stage.github.requests, [])
  assert.ok(existsSync(kickFile))
})

test('the 6 hours of a run count from its start: a wait is a part of them', async t => {
  const { stage } = await fleet(t, 1)
  const other = await runElsewhere(stage)
  const later = join(stage.directory, 'later')
  const env = withClockAhead(stage, `existsSync(${JSON.stringify(later)}) ? ${6 * 3_600_000} : 0`)
  const running = stage.command('hydra-channels', ['reconcile', '--wait'], { env })
  await untilItWaits(stage)
  writeFileSync(later, '')
  await other.end()
  const { status, log } = await running
  assert.equal(status, 1)
  assert.match(
    log,
    /\nthe reconcile did not end within 6 hours\na copy may still be running; the next run tries again\n$/,
  )
  assert.equal(await stage.repository.branch(channel(0)), undefined)
})

test('a run that lost its lock writes nothing more', async t => {
  const { stage, commits } = await fleet(t, 1)
  const [c1 = ''] = commits
  await stage.repository.setBranch(channel(0), c1)
  stage.github.fault({
    kind: 'hook',
    path: '/compare/',
    async run() {
      await stage.hydra.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${stage.hydra.database} and application_name like 'hydra-channels reconcile%'`
    },
  })
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 1)
  assert.match(
    result.log,
    /^alice\/dotfiles nixos-tested-h0: cannot be moved: the lock in Hydra's database was lost/m,
  )
  assert.equal(await stage.repository.branch(channel(0)), c1)
})

test('a held channel stays until it is released, for the hook and for reconcile', async t => {
  const { stage, commits } = await fleet(t, 1)
  const [c1 = '', , c3 = ''] = commits
  await stage.repository.setBranch(channel(0), c1)
  const held = await stage.command('hydra-channels', [
    'hold',
    channel(0),
    '--reason',
    'kernel 6.18 does not boot',
    '--until',
    '3d',
  ])
  assert.match(
    held.log,
    /^alice\/dotfiles nixos-tested-h0: held by \S+ until \S+ \d\d:\d\d \(\d{4}-.*Z\): kernel 6\.18 does not boot\n$/,
  )
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 0)
  assert.match(
    result.log,
    new RegExp(`h0: held, not moved to ${short(c3)}: kernel 6\\.18 does not boot \\(until `),
  )
  const [row] = await stage.hydra.sql<{ id: number }[]>`select max(id) as id from builds`
  const hook = await stage.hook(row?.id ?? 0)
  assert.equal(hook.status, 0)
  assert.match(hook.log, /h0: held, not moved/)
  assert.equal(await stage.repository.branch(channel(0)), c1)
  assert.match(
    (await stage.command('hydra-channels', ['release', channel(0)])).log,
    /^alice\/dotfiles nixos-tested-h0: released; it was held for 0 min by \S+, until /,
  )
  assert.equal(
    (await stage.command('hydra-channels', ['release', channel(0)])).log,
    'alice/dotfiles nixos-tested-h0: was not held\n',
  )
  await stage.command('hydra-channels', ['reconcile'])
  assert.equal(await stage.repository.branch(channel(0)), c3)
})

test('where all of many channels are held, nothing is asked for', async t => {
  const { stage, commits } = await fleet(t, 11)
  const [c1 = ''] = commits
  const names = Array.from({ length: 11 }, (_, n) => channel(n))
  await stage.repository.setBranches(Object.fromEntries(names.map(name => [name, c1])))
  const hold = { reason: 'frozen', since: '2026-11-24T12:00:00Z', until: null }
  for (const branch of names)
    writeHold(join(stage.directory, 'state'), { repository: 'alice/dotfiles', branch }, hold)
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.match(result.log, /^11 held$/m)
  assert.equal(result.status, 0)
  assert.ok(!stage.github.requests.includes('POST /graphql'))
})

test('a prefix whose branches cannot be listed fails its own channels alone, and makes none anew', async t => {
  const { stage, commits } = await fleet(t, 1)
  const [, , c3 = ''] = commits
  const [rule = {}] = stage.config.channels
  stage.config.channels = [rule, { ...rule, branch: 'other-{host}' }]
  stage.github.fault({
    kind: 'status',
    status: 403,
    body: { message: 'No.' },
    path: 'matching-refs/heads/nixos-tested-',
  })
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(result.status, 1)
  assert.match(result.log, /^alice\/dotfiles nixos-tested-h0: cannot be moved: GitHub refuses: No\./m)
  assert.deepEqual(await stage.repository.branches(), { main: c3, 'other-h0': c3 })
})

test('what changes while a candidate is copied is seen before its channel moves', async t => {
  // main: c1 - c2 - c3, and while the build of c3 is copied, main is reset to  c1 - d2
  const { stage, commits } = await fleet(t, 1)
  const [c1 = ''] = commits
  await stage.repository.setBranch(channel(0), c1)
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.systemd.ends('waits for a file')
  const running = stage.command('hydra-channels', ['reconcile'])
  await until('systemctl is called', () => stage.systemd.calls().length > 0)
  const d2 = await stage.repository.commit({ parents: [c1] })
  await stage.repository.setBranch('main', d2)
  await stage.eval(d2, [{ job: host(0), status: 1 }])
  stage.systemd.release()
  const result = await running
  assert.equal(result.status, 1, result.log)
  assert.match(result.log, /h0: withdrawn, not moved: /)
  assert.match(result.log, /^1 withdrawn$/m)
  assert.equal(await stage.repository.branch(channel(0)), c1)
})

const BAD: [string[], string][] = [
  [[], 'which command?'],
  [['reconcil'], 'there is no command “reconcil”'],
  [['hold', 'elsewhere', '--reason', 'x'], 'no rule makes a channel “elsewhere”'],
  [['release', 'a..b'], 'CHANNEL “a..b” cannot be used: it contains “..”'],
]

test('unusable arguments of hydra-channels: exit 2', async t => {
  const { stage } = await fleet(t, 1)
  for (const [args, message] of BAD) {
    const result = await stage.command('hydra-channels', args)
    assert.equal(result.log.split('\n')[0], message)
    assert.equal(result.status, 2, args.join(' '))
  }
})
