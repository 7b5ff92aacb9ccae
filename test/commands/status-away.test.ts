// Status if GitHub or the database is away or refuses, and with odd facts: through the real command.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { holdFile } from '../../src/channels/holds.ts'
import type { FleetStatus } from '../../src/status/shape.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import {
  branchesOf,
  channel,
  evaluate,
  find,
  findStatusAtOnce,
  hold,
  job,
  loseDatabase,
  loseGitHub,
  NAS,
  REFUSALS,
  run,
  statusOf,
  twoHosts,
  WEB,
} from '../helpers/status.ts'
import { until } from '../helpers/until.ts'

/** Until the first look at the database is over: its connection waits for the next. */
function untilAsked({ hydra }: Stage): Promise<void> {
  return until('the database was asked', async () => {
    const rows = await hydra.sql`
      select from pg_stat_activity
      where datname = ${hydra.database} and usename = 'hydra' and state = 'idle' and query = 'commit'`
    return rows.length > 0
  })
}

const endConnections = ({ hydra }: Stage) => hydra.sql`
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = ${hydra.database} and usename = 'hydra'`

describe('one half is away, and the other is shown', () => {
  test('GitHub', async t => {
    const { stage, c2 } = await twoHosts(t)
    await hold(stage, WEB)
    loseGitHub(stage)
    const status = await statusOf(stage)
    assert.deepEqual(branchesOf(status), [NAS, WEB])

    const nas = find(status, NAS)
    const [newest] = await stage.hydra.sql<{ eval: number; build: number }[]>`
      select m.eval, m.build from jobsetevalmembers m join builds b on b.id = m.build
      where b.job = ${job('nas')} order by m.eval desc limit 1`
    assert.match(nas.message ?? '', /^GitHub .*; the next run tries again$/)
    assert.deepEqual(nas, {
      repository: 'alice/dotfiles',
      branch: NAS,
      project: 'dotfiles',
      jobset: 'main',
      job: job('nas'),
      sha: null,
      committedAt: null,
      candidate: { sha: c2, ...newest },
      behindCandidate: null,
      behindBranch: null,
      since: null,
      url: null,
      failing: null,
      hold: null,
      reason: 'unknown',
      message: nas.message,
    })
    const web = find(status, WEB)
    assert.equal(web.reason, 'held')
    assert.equal(web.hold?.reason, 'does not boot')
    assert.match(
      web.message ?? '',
      /^held for \d+ min by \S+, until it is released, because “does not boot”: hydra-channels release .* lets it move again; GitHub could not be asked: /,
    )
    assert.equal(web.sha, null)
    assert.equal(web.candidate?.sha, c2)
  })

  test('the database', async t => {
    const { stage, c1 } = await twoHosts(t)
    await hold(stage, WEB)
    loseDatabase(stage)
    const { status: exit, stdout, stderr } = await run(stage)
    assert.equal(exit, 0, stderr)
    assert.match(stderr, /^cannot .*\/nonexistent/m)
    const status: FleetStatus = JSON.parse(stdout)
    assert.deepEqual(branchesOf(status), [NAS, WEB])

    const nas = find(status, NAS)
    assert.match(nas.message ?? '', /\/nonexistent.*the next run tries again/i)
    assert.match(nas.committedAt ?? '', /^2023-11-14T\d\d:\d\d:\d\dZ$/)
    assert.deepEqual(nas, {
      repository: 'alice/dotfiles',
      branch: NAS,
      project: null,
      jobset: null,
      job: null,
      sha: c1,
      committedAt: nas.committedAt,
      candidate: null,
      behindCandidate: null,
      behindBranch: null,
      since: null,
      url: null,
      failing: null,
      hold: null,
      reason: 'unknown',
      message: nas.message,
    })
    const web = find(status, WEB)
    assert.deepEqual([web.reason, web.sha, web.hold?.reason], ['held', c1, 'does not boot'])
  })

  test('the database, and a channel is named', async t => {
    const { stage } = await twoHosts(t)
    loseDatabase(stage)
    assert.deepEqual(branchesOf(await statusOf(stage, WEB)), [WEB])
  })

  for (const [how, lose] of [
    [
      'the server ends the connection, and takes no other',
      async (stage: Stage) => {
        const { sql, database } = stage.hydra
        await sql`alter database ${sql(database)} connection limit 0`
        await endConnections(stage)
      },
    ],
    ['the role lacks a right', (stage: Stage) => stage.hydra.sql`revoke select on buildoutputs from hydra`],
  ] as const) {
    test(`the database, once it has said what there is: ${how}`, async t => {
      const { stage, c1, c2 } = await twoHosts(t)
      stage.config.cache = { url: stage.cache.url }
      // the database is asked again only when the branches are known
      stage.github.fault({
        kind: 'hook',
        path: '/git/matching-refs/',
        async run() {
          await untilAsked(stage)
          await lose(stage)
        },
      })
      const { status: exit, stdout, stderr } = await run(stage)
      assert.equal(exit, 0, stderr)
      assert.match(stderr, /^cannot ask Hydra's database at /m)
      assert.doesNotMatch(stderr, /unexpected error|uncaught/i)
      const status: FleetStatus = JSON.parse(stdout)
      for (const branch of [NAS, WEB]) {
        const { reason, sha, candidate, behindBranch, behindCandidate, message } = find(status, branch)
        assert.deepEqual(
          [reason, sha, candidate?.sha, behindBranch, behindCandidate, message],
          ['behind', c1, c2, 1, 1, `the next reconcile moves it to ${c2.slice(0, 7)}`],
        )
      }
    })
  }

  test('a connection to the database that is lost between two looks is made anew', async t => {
    const { stage, c1 } = await twoHosts(t)
    stage.github.fault({
      kind: 'hook',
      path: '/git/matching-refs/',
      async run() {
        await untilAsked(stage)
        await endConnections(stage)
      },
    })
    const { status, stdout, stderr } = await run(stage)
    assert.deepEqual([status, stderr], [0, ''])
    const nas = find(JSON.parse(stdout), NAS)
    assert.deepEqual([nas.reason, nas.sha], ['behind', c1])
    // what only the second look says
    assert.match(nas.since ?? '', /^2025-/)
  })

  test('both: exit 1, and both are said', async t => {
    const { stage } = await twoHosts(t)
    loseGitHub(stage)
    loseDatabase(stage)
    const { status, stdout, stderr } = await run(stage)
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^GitHub /m)
    assert.match(stderr, /\/nonexistent/)
    assert.doesNotMatch(stderr, /unexpected error/)
  })
})

describe('GitHub refuses', () => {
  test('the App is not installed', async t => {
    const { stage, c2 } = await twoHosts(t)
    await hold(stage, WEB)
    stage.repository.installed = false
    const status = await statusOf(stage)
    assert.deepEqual(branchesOf(status), [NAS, WEB])
    const { reason, sha, candidate, message } = find(status, NAS)
    assert.deepEqual([reason, sha, candidate?.sha], ['no-permission', null, c2])
    assert.match(
      message ?? '',
      /^the GitHub App is not installed on this repository, .*; install it at https:\/\/github\.com\/apps\//,
    )
    assert.equal(find(status, WEB).reason, 'held')
  })

  test('the repository is archived', async t => {
    const { stage, c1 } = await twoHosts(t)
    stage.repository.archived = true
    const { channels } = await statusOf(stage)
    assert.equal(channels.length, 2)
    for (const { reason, sha, behindBranch, message } of channels) {
      assert.deepEqual([reason, sha, behindBranch], ['no-permission', c1, 1])
      assert.match(message ?? '', /^the repository is archived, so it is read-only; unarchive it /)
    }
  })
})

/**
 *     main: c1 - c2 - c3 - c4     evals of x1 (main was there), c1, c2, c3, c4; the jobset stale is at c3
 *             \- d1               pushed by hand
 *             \- x1               main was reset from it
 */
async function manyReasons(t: TestContext): Promise<Stage> {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  const { repository, hydra } = stage
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = await repository.history(4)
  const d1 = await repository.commit({ parents: [c1], message: 'by hand' })
  const x1 = await repository.commit({ parents: [c1], message: 'taken back' })
  const good = {
    held: 0,
    withdrawn: 0,
    diverged: 0,
    unrelated: 0,
    behind: 0,
    newest: 0,
    missing: 0,
    removed: 0,
    failed: 0,
    building: 0,
    skipped: 0,
  }
  for (const sha of [x1, c1, c3]) await evaluate(stage, sha, good)
  const { removed: _, ...rest } = good
  await evaluate(stage, c4, { ...rest, failed: 1, building: null })
  const stale = await hydra.jobset({ name: 'stale', flake: 'github:alice/dotfiles/main' })
  await evaluate(stage, c3, { stale: 0 }, stale)

  const { missing: __, ...branches } = good
  const tips = Object.fromEntries(Object.keys({ ...branches, stale: 0 }).map(host => [channel(host), c3]))
  const root = await repository.commit({ message: 'a history of its own' })
  await repository.setBranches({
    main: c4,
    ...tips,
    [channel('held')]: c1,
    [channel('withdrawn')]: x1,
    [channel('diverged')]: d1,
    [channel('unrelated')]: root,
    [channel('newest')]: c4,
    [channel('skipped')]: c2,
    [channel('old')]: c2,
  })
  const [rule = {}] = stage.config.channels
  stage.config.channels = [rule, { ...rule, jobset: 'stale' }]
  stage.config.hydraUrl = 'https://hydra.example.org'
  await hold(stage, channel('held'))
  return stage
}

/** What GraphQL alone knows is left out: the times of commits, and what they are called. */
function withoutTimes({ channels }: FleetStatus): object[] {
  return channels
    .map(({ committedAt: _, since: __, message, failing, ...rest }) => ({
      ...rest,
      failing: failing && { ...failing, subject: null, author: null },
      message: message?.replace(/, which it has had for [^;]*| “[^”]*” by Alice/g, '') ?? null,
    }))
    .sort((a, b) => (a.branch < b.branch ? -1 : 1))
}

const comparesOf = ({ github }: Stage) => github.requests.filter(request => request.includes('/compare/'))

describe('GitHub answers over REST alone', () => {
  // how old a commit is that Hydra has not evaluated, GraphQL alone says
  const overRest = (each: object) =>
    'branch' in each && each.branch === channel('stale')
      ? { ...each, reason: 'behind', message: 'Hydra has still to evaluate 1 commit of main', url: null }
      : each

  test('GraphQL answers with errors: the same result', async t => {
    const stage = await manyReasons(t)
    const asked = await statusOf(stage)
    assert.deepEqual(
      new Set(asked.channels.map(({ reason }) => reason)),
      new Set([
        'held',
        'withdrawn',
        'diverged',
        'abandoned',
        'job-gone',
        'not-evaluated',
        'build-failed',
        'building',
        'behind',
        'up-to-date',
      ]),
    )
    stage.github.clearRequests()
    stage.github.fault(REFUSALS.errors)
    const { status, stdout, stderr } = await run(stage)
    assert.equal(status, 0)
    assert.match(stderr, /^GitHub's GraphQL did not answer: .*Resource limits exceeded/m)
    assert.ok(stage.github.requests.some(request => request.startsWith('GET /repos/alice/dotfiles/compare/')))
    assert.deepEqual(withoutTimes(JSON.parse(stdout)), withoutTimes(asked).map(overRest))
  })

  for (const how of ['badGateway', 'noRepository'] as const) {
    test(`GraphQL answers ${how}: the same result`, async t => {
      const stage = await manyReasons(t)
      const asked = await findStatusAtOnce(stage)
      assert.deepEqual(asked.said, [])
      stage.github.fault(REFUSALS[how])
      const refused = await findStatusAtOnce(stage)
      assert.deepEqual(withoutTimes(refused.status), withoutTimes(asked.status).map(overRest))
      assert.equal(refused.said.length, 1)
    })
  }

  // alice/dotfiles main: c1 - c2, alice/other main: o1 - o2; both channels are one behind
  test('GraphQL knows nothing of one repository: the other is asked as before', async t => {
    const { stage, c1, c2 } = await twoHosts(t)
    const other = await stage.github.createRepository('alice/other')
    const [o1 = '', o2 = ''] = await other.history(2)
    const jobset = await stage.hydra.jobset({ name: 'other', flake: 'github:alice/other' })
    for (const sha of [o1, o2]) {
      const flake = `github:alice/other/${sha}`
      await stage.hydra.eval({ jobset, flake, builds: [{ job: job('far') }] })
    }
    await other.setBranches({ main: o2, [channel('far')]: o1 })
    const [rule = {}] = stage.config.channels
    stage.config.channels = [rule, { ...rule, jobset: 'other', repository: 'alice/other' }]
    // each repository has its own branch asked for, and its channels
    stage.github.fault({ ...REFUSALS.noRepository, times: 1 })
    const { status, said } = await findStatusAtOnce(stage)
    assert.ok(said.length <= 1, said.join('\n'))
    assert.deepEqual(
      status.channels.map(({ branch, sha, reason, behindBranch }) => [branch, sha, reason, behindBranch]),
      [
        [NAS, c1, 'behind', 1],
        [WEB, c1, 'behind', 1],
        [channel('far'), o1, 'behind', 1],
      ],
    )
    assert.deepEqual(
      status.channels.map(({ candidate }) => candidate?.sha),
      [c2, c2, o2],
    )
  })

  test('a rate limit of GraphQL is not answered by flooding REST: the branches that are followed', async t => {
    const stage = await manyReasons(t)
    stage.github.fault(REFUSALS.rateLimit)
    const { status } = await findStatusAtOnce(stage)
    assert.deepEqual(comparesOf(stage), [])
    for (const { branch, reason, message, sha, candidate } of status.channels) {
      if (candidate === null || branch === channel('held')) continue
      // where it is, its listing has said
      assert.deepEqual([reason, sha === null], ['unknown', branch === channel('missing')], branch)
      assert.match(message ?? '', /^GitHub's rate limit is reached/)
    }
  })

  test('a rate limit of GraphQL is not answered by flooding REST: the channels', async t => {
    const stage = await manyReasons(t)
    // after what the two jobsets follow, main and the default branch
    stage.github.fault({ ...REFUSALS.rateLimit, skip: 2 })
    const { status } = await findStatusAtOnce(stage)
    // what main has and the jobset stale has not
    assert.equal(comparesOf(stage).length, 1)
    const behind = find(status, channel('behind'))
    assert.deepEqual([behind.reason, behind.sha !== null, behind.behindBranch], ['unknown', true, null])
    assert.match(behind.message ?? '', /^GitHub's rate limit is reached/)
    // which needed no request
    assert.equal(find(status, channel('newest')).reason, 'up-to-date')
  })

  // main: c1 - c2     c2 is 5 minutes old
  for (const refusal of [undefined, REFUSALS.errors]) {
    test(
      `a commit of 5 minutes is no reason to worry ${refusal ? 'over REST either' : ''}`.trim(),
      async t => {
        const stage = await stageFor(t)
        const { repository, github } = stage
        const [c1 = ''] = await repository.history(1)
        const date = Math.floor(Date.now() / 1000) - 300
        const c2 = await repository.commit({ parents: [c1], date })
        await evaluate(stage, c1, { nas: 0 })
        await repository.setBranches({ main: c2, [NAS]: c1 })
        if (refusal) github.fault(refusal)
        const nas = find(await statusOf(stage), NAS)
        assert.equal(nas.reason, 'behind', nas.message ?? '')
        // REST alone does not tell its name
        const main = refusal ? 'the default branch' : 'main'
        assert.equal(nas.message, `Hydra has still to evaluate 1 commit of ${main}`)
        assert.deepEqual([nas.behindBranch, nas.behindCandidate], [1, 0])
        if (!refusal) assert.equal(nas.since, new Date(date * 1000).toISOString())
      },
    )
  }
})

describe('the channels that are named', () => {
  test('one, and one with its repository', async t => {
    const { stage } = await twoHosts(t)
    assert.deepEqual(branchesOf(await statusOf(stage, NAS)), [NAS])
    assert.deepEqual(branchesOf(await statusOf(stage, WEB, `Alice/DotFiles:${NAS}`)), [NAS, WEB])
  })

  test('a branch that no job leads to', async t => {
    const { stage, c1 } = await twoHosts(t)
    await stage.repository.setBranch(channel('old'), c1)
    const status = await statusOf(stage, channel('old'))
    assert.deepEqual(branchesOf(status), [channel('old')])
    assert.equal(find(status, channel('old')).reason, 'abandoned')
  })

  test('an unknown one: exit 2, with the nearest names', async t => {
    const { stage } = await twoHosts(t)
    const { status, stdout, stderr } = await run(stage, 'nixos-tested-naz')
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.equal(stderr, `there is no channel nixos-tested-naz\ndid you mean ${NAS}, ${WEB}?\n`)
  })
})

test('a hold that is not JSON may be one: held, and the file is named', async t => {
  const { stage, c1 } = await twoHosts(t)
  const file = holdFile(join(stage.directory, 'state'), { repository: 'alice/dotfiles', branch: NAS })
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, 'held')
  const status = await statusOf(stage)
  const nas = find(status, NAS)
  assert.deepEqual([nas.reason, nas.hold, nas.sha, nas.behindBranch], ['held', null, c1, 1])
  assert.ok(nas.message?.startsWith(`the hold ${file} is not JSON`), nas.message ?? '')
  assert.equal(find(status, WEB).reason, 'behind')
})

test('what other people wrote is one line without control characters, as JSON and as a table', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  const name = 'nixos-nas.x86\u001b[31m\u202e\u0085'
  const [c3 = ''] = await stage.repository.history(1, c2)
  await stage.hydra.eval({
    jobset: stage.jobset,
    flake: `github:alice/dotfiles/${c3}`,
    builds: [{ job: name, status: 0 }],
    error: `in job ‘${job('web')}’:\nerror:\n error: \u001b[31mred \u202e and \u2028 back\n`,
  })
  await stage.repository.setBranches({ main: c3, [NAS]: c1 })
  const { status, stdout, stderr } = await run(stage)
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^[^\n]*\n$/)
  // C0, DEL, C1, the separators and the bidirectional controls
  const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/
  assert.doesNotMatch(stdout, raw)
  const found: FleetStatus = JSON.parse(stdout)
  assert.equal(find(found, NAS).job, name)
  assert.match(find(found, WEB).message ?? '', /: error: \u001b\[31mred \u202e and \u2028 back; until then /)

  const table = await stage.command('hydra-channels', ['status'])
  assert.equal(table.status, 0)
  assert.match(table.log, /red/)
  assert.doesNotMatch(table.log, raw)
})
