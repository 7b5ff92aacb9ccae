// The queries against the definitions in docs/architecture.md, read naively in memory (helpers/history.ts), for random histories
// that follow Hydra's own rules. HYDRA_CHANNELS_TEST_SEED repeats a run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findConnection } from '../../../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { findBuildsInEvals } from '../../../src/hydra/queries/builds-in-evals.ts'
import { findCandidate, findJobStates } from '../../../src/hydra/queries/candidates.ts'
import { findEvalsOfCommits } from '../../../src/hydra/queries/evals-of-commits.ts'
import { findFailingSince } from '../../../src/hydra/queries/failing-since.ts'
import { findFirstBuilds } from '../../../src/hydra/queries/first-builds.ts'
import { findLastEvals } from '../../../src/hydra/queries/last-evals.ts'
import { findNewestEval } from '../../../src/hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../../../src/hydra/queries/newest-eval-of-build.ts'
import {
  type BuildOfCommit,
  findOutputsOfCommits,
  jobAtCommit,
} from '../../../src/hydra/queries/outputs-of-commits.ts'
import { findPresentJobs } from '../../../src/hydra/queries/present-jobs.ts'
import {
  buildSet,
  buildsOf,
  type HistoricBuild,
  type History,
  isGood,
  JOBS,
  newest,
  outputsOf,
  playSteps,
  type Step,
  steps,
  writeHistory,
} from '../../helpers/history.ts'
import { createHydra } from '../../helpers/hydra.ts'
import { seedFor } from '../../helpers/seed.ts'

const HISTORIES = 60

test(`${HISTORIES} random histories: the queries say what the definitions say`, async t => {
  const hydra = await createHydra()
  const database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))
  t.after(async () => {
    await database.close()
    await hydra.close()
  })
  const seed = seedFor(t)
  const ids = { eval: 1, build: 1 }
  const seen = new Set<string>()

  const check = async (script: readonly Step[]) => {
    const histories = playSteps(script, ids)
    const jobsets: { id: number; history: History }[] = []
    for (const [at, history] of histories.entries()) {
      const id = await hydra.jobset({ name: `history-${ids.eval}-${ids.build}-${at}` })
      await writeHistory(hydra.sql, id, history)
      jobsets.push({ id, history })
    }
    await database.look(async sql => {
      for (const jobset of jobsets) await compare(sql, jobset)
    })
    for (const history of histories) for (const what of kindsOf(history)) seen.add(what)
    await hydra.sql`delete from projects`
  }
  await fc.assert(fc.asyncProperty(steps, check), { seed, numRuns: HISTORIES })

  // else these histories prove less than they seem to
  assert.deepEqual([...seen].sort(), [
    'a candidate in a memberless eval',
    'a candidate in an eval that is not the newest',
    'a candidate older than a newer build that is not good',
    'a job that was good and is gone',
    'a job without a candidate',
    'a memberless eval after one without jobs',
    'a memberless eval before all others',
    'a reused build',
    'one commit in several evals',
    'the same builds, but fewer of them',
  ])
})

async function compare(sql: Sql, jobset: { id: number; history: History }): Promise<void> {
  const { id, history } = jobset
  const expectedStates = jobStates(history)
  // side by side, because they are many
  await Promise.all([
    ...[...JOBS, 'of no jobset'].map(async job => {
      const expected = newest(history, build => build.job === job && isGood(build))
      assert.deepEqual(await findCandidate(sql, id, job), expected, `candidate of ${job}`)
    }),
    ...buildsOf(history).map(async build => {
      const expected = newest(history, each => each === build)?.eval
      assert.deepEqual(await findNewestEvalOfBuild(sql, build.id), expected, `eval of build ${build.id}`)
      assert.equal((await findBuild(sql, build.id))?.good, isGood(build), `whether build ${build.id} is good`)
    }),
  ])
  const last = history.evals.at(-1)
  const newestEval = await findNewestEval(sql, id)
  assert.deepEqual([newestEval?.id, newestEval?.flake], [last?.id, last?.flake], 'newest eval')
  const present = buildSet(history, history.evals.length - 1).map(({ job, id: build, finished, status }) => ({
    job,
    newest: { build, finished, status },
  }))
  const byJob = (a: { job: string }, b: { job: string }) => (a.job < b.job ? -1 : 1)
  assert.deepEqual((await findPresentJobs(sql, id)).sort(byJob), present.sort(byJob), 'present jobs')
  const states = (await findJobStates(sql, id)).sort(byJob)
  assert.deepEqual(states, expectedStates.sort(byJob), 'states of all jobs')
  await compareCommits(sql, jobset)
  await compareOutputs(sql, jobset)
  await compareFailing(sql, jobset)
  await compareFirstBuilds(sql, jobset)
  await compareLastEvals(sql, jobset)
  await compareBuildsInEvals(sql, jobset)
}

/** The jobs of the newest build set, and those that were good once: what is neither is left out. */
function jobStates(history: History) {
  const newestSet = buildSet(history, history.evals.length - 1)
  return JOBS.map(job => {
    const build = newestSet.find(each => each.job === job)
    return {
      job,
      // all builds end at the same time
      newest: build && {
        build: build.id,
        finished: build.finished,
        status: build.status,
        queuedTime: 1_760_000_300,
      },
      candidate: newest(history, each => each.job === job && isGood(each)),
    }
  }).filter(state => state.newest || state.candidate)
}

const NO_REV = 'f'.repeat(40)
const revOf = ({ flake }: { flake: string }) => /[0-9a-f]{40}/.exec(flake)?.[0] ?? ''

const timeOf = ({ id }: { id: number }) => 1_760_000_000 + id

/** Of every commit, and of one that no eval was of. */
async function compareCommits(sql: Sql, { id, history: { evals } }: { id: number; history: History }) {
  const revs = [...new Set(evals.map(revOf))]
  const expected = new Map(
    revs.map(rev => {
      const at = evals.findLastIndex(each => revOf(each) === rev)
      const [found, after] = [evals[at], evals[at + 1]]
      assert.ok(found)
      return [
        rev,
        { id: found.id, flake: found.flake, timestamp: timeOf(found), newerSince: after && timeOf(after) },
      ]
    }),
  )
  assert.deepEqual(await findEvalsOfCommits(sql, id, [...revs, NO_REV]), expected, 'evals of commits')
  assert.deepEqual(await findEvalsOfCommits(sql, id, [NO_REV]), new Map(), 'eval of an unknown commit')
  assert.deepEqual(await findEvalsOfCommits(sql, id, []), new Map(), 'evals of nothing')
}

/** Of every job at every commit. */
async function compareOutputs(sql: Sql, { id, history }: { id: number; history: History }) {
  const revs = [...new Set(history.evals.map(revOf)), NO_REV]
  const pairs = [...JOBS, 'of no jobset'].flatMap(job => revs.map(sha => ({ job, sha })))
  const expected = pairs.flatMap((pair): [string, BuildOfCommit | 'none is good'][] => {
    const at = history.evals.findLastIndex(
      (each, index) => revOf(each) === pair.sha && buildSet(history, index).some(isGoodOf(pair.job)),
    )
    const [found, build] = [history.evals[at], buildSet(history, at).find(isGoodOf(pair.job))]
    if (pair.sha === NO_REV) return []
    if (!found || !build) return [[jobAtCommit(pair), 'none is good']]
    const made = {
      build: build.id,
      eval: { id: found.id, flake: found.flake },
      outputs: outputsOf(build),
    }
    return [[jobAtCommit(pair), made]]
  })
  // twice the same makes no difference
  const asked = [...pairs, ...pairs.slice(0, 2)]
  assert.deepEqual(await findOutputsOfCommits(sql, id, asked), new Map(expected), 'outputs of commits')
  assert.deepEqual(await findOutputsOfCommits(sql, id, []), new Map(), 'outputs of nothing')
}

const isGoodOf = (job: string) => (build: HistoricBuild) => build.job === job && isGood(build)

/** Aborted, cancelled, and without a builder. */
const DECIDES_NOTHING = [3, 4, 9]

async function compareFailing(sql: Sql, { id, history }: { id: number; history: History }) {
  const jobs = [...JOBS, 'of no jobset']
  for (const limit of [1000, 2]) {
    const expected = new Map(jobs.flatMap(job => failingSince(history, job, limit)))
    assert.deepEqual(
      await findFailingSince(sql, id, jobs, limit),
      expected,
      `failing since, of ${limit} builds`,
    )
  }
  assert.deepEqual(await findFailingSince(sql, id, []), new Map(), 'nothing fails')
}

async function compareFirstBuilds(sql: Sql, { id, history }: { id: number; history: History }) {
  const expected = JOBS.flatMap(job => {
    const builds = buildsOf(history).flatMap(build => (build.job === job ? [build.id] : []))
    return builds.length === 0
      ? []
      : [[job, { build: Math.min(...builds), queuedTime: 1_760_000_000 }] as const]
  })
  assert.deepEqual(
    await findFirstBuilds(sql, id, [...JOBS, 'of no jobset']),
    new Map(expected),
    'first builds',
  )
  assert.deepEqual(await findFirstBuilds(sql, id, []), new Map())
}

function failingSince(history: History, job: string, limit: number) {
  const builds = buildsOf(history)
    .filter(build => build.job === job)
    .sort((a, b) => a.id - b.id)
  const now = buildSet(history, history.evals.length - 1).find(build => build.job === job)
  if (!now?.finished || now.status === 0) return []
  const good = builds.findLast(isGood)
  const run = builds.filter(({ id, finished }) => finished && id > (good?.id ?? 0))
  const decides = ({ status }: { status: number | null }) => !DECIDES_NOTHING.includes(status ?? 0)
  const seen = run.slice(0, limit).find(decides)
  const atLeast = !seen && run.length > limit
  const first = seen ?? (atLeast && decides(now) ? now : undefined)
  const made = first && history.evals.find(({ members }) => members.includes(first))
  const lastGood = good && newest(history, build => build === good)
  return [
    [
      job,
      {
        first: first && {
          build: first.id,
          status: first.status,
          eval: made && { id: made.id, flake: made.flake, timestamp: timeOf(made) },
        },
        atLeast,
        lastGood: lastGood && {
          build: lastGood.build,
          eval: { ...lastGood.eval, timestamp: timeOf(lastGood.eval) },
        },
      },
    ] as const,
  ]
}

async function compareLastEvals(sql: Sql, { id, history }: { id: number; history: History }) {
  for (const evals of [1, 5, 100]) {
    const expected = history.evals
      .map((each, at) => {
        const builds = buildSet(history, at).map(
          ({ job, id: build, finished, status }) => [job, { build, finished, status }] as const,
        )
        const { id: of, flake, hasNewBuilds } = each
        return { id: of, timestamp: timeOf(each), flake, hasNewBuilds, builds: new Map(builds) }
      })
      .slice(-evals)
      .reverse()
    assert.deepEqual(await findLastEvals(sql, id, JOBS, evals), expected, `the last ${evals} evals`)
  }
}

async function compareBuildsInEvals(sql: Sql, { id, history }: { id: number; history: History }) {
  // also of those in between that are the other jobset's
  const last = history.evals.at(-1)?.id ?? 0
  const ids = Array.from({ length: Math.min(last, 60) }, (_, at) => last - at)
  for (const job of [...JOBS, 'of no jobset']) {
    const expected = history.evals.flatMap((each, at) => {
      const found = buildSet(history, at).find(build => build.job === job)
      if (!found || !ids.includes(each.id)) return []
      return [[each.id, { build: found.id, finished: found.finished, status: found.status }] as const]
    })
    assert.deepEqual(await findBuildsInEvals(sql, id, job, ids), new Map(expected), `builds of ${job}`)
  }
  assert.deepEqual(await findBuildsInEvals(sql, id, 'a', []), new Map())
}

/** What of the difficult things this history has. */
function kindsOf(history: History): string[] {
  const { evals } = history
  const lastSet = buildSet(history, evals.length - 1)
  const jobs = JOBS.map(job => {
    const candidate = newest(history, build => build.job === job && isGood(build))
    const at = evals.find(({ id }) => id === candidate?.eval.id)
    const builds = buildsOf(history).filter(build => build.job === job)
    return { job, candidate, at, builds }
  })
  const some = (what: string, is: boolean) => (is ? [what] : [])
  return [
    ...some('a job without a candidate', evals.length > 0 && jobs.some(({ candidate }) => !candidate)),
    ...some(
      'a candidate in a memberless eval',
      jobs.some(({ at }) => at && !at.hasNewBuilds),
    ),
    ...some(
      'a candidate in an eval that is not the newest',
      jobs.some(({ at }) => at && at !== evals.at(-1)),
    ),
    ...some(
      'a candidate older than a newer build that is not good',
      jobs.some(({ candidate, builds }) => candidate && builds.some(build => build.id > candidate.build)),
    ),
    ...some(
      'a job that was good and is gone',
      jobs.some(({ candidate, job }) => candidate && !lastSet.some(build => build.job === job)),
    ),
    ...some('a memberless eval before all others', evals[0]?.hasNewBuilds === false),
    ...some(
      'a memberless eval after one without jobs',
      evals.some((each, at) => !each.hasNewBuilds && at > 0 && buildSet(history, at).length === 0),
    ),
    ...some(
      'a reused build',
      evals.some(
        ({ members }, at) => at > 0 && members.some(build => buildSet(history, at - 1).includes(build)),
      ),
    ),
    ...some('one commit in several evals', new Set(evals.map(({ flake }) => flake)).size < evals.length),
    ...some(
      'the same builds, but fewer of them',
      evals.some(
        ({ members }, at) =>
          at > 0 && members.length > 0 && members.every(build => buildSet(history, at - 1).includes(build)),
      ),
    ),
  ]
}
