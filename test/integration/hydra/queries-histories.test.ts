// The queries against the definitions of README.md, read naively in memory (helpers/history.ts), for random histories
// that follow Hydra's own rules. HYDRA_CHANNELS_TEST_SEED repeats a run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findConnection } from '../../../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { findCandidate, findJobStates } from '../../../src/hydra/queries/candidates.ts'
import { findNewerSince } from '../../../src/hydra/queries/newer-evals.ts'
import { findNewestEval } from '../../../src/hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../../../src/hydra/queries/newest-eval-of-build.ts'
import { findPresentJobs } from '../../../src/hydra/queries/present-jobs.ts'
import {
  buildSet,
  buildsOf,
  type History,
  isGood,
  JOBS,
  newest,
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
  await compareSince(sql, jobset)
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

/** Of every commit, and of one that no eval was of. */
async function compareSince(sql: Sql, { id, history: { evals } }: { id: number; history: History }) {
  const revs = [...new Set(evals.map(revOf))]
  const expected = new Map(
    revs.map(rev => {
      const after = evals[evals.findLastIndex(each => revOf(each) === rev) + 1]
      return [rev, after && 1_760_000_000 + after.id]
    }),
  )
  assert.deepEqual(await findNewerSince(sql, id, [...revs, NO_REV]), expected, 'newer since')
  assert.deepEqual(await findNewerSince(sql, id, [NO_REV]), new Map(), 'newer than an unknown commit')
  assert.deepEqual(await findNewerSince(sql, id, []), new Map(), 'newer than nothing')
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
