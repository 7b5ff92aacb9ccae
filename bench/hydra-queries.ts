// How long the program's queries take in a large Hydra, as a table in Markdown.
//
//   node --import tsx bench/hydra-queries.ts          200 jobs, 3,000 evals, about 190,000 builds
//   node --import tsx bench/hydra-queries.ts large    the same beside other jobsets: about 900,000 builds
import { findConnection } from '../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../src/hydra/database.ts'
import { findBuild } from '../src/hydra/queries/build.ts'
import { findCandidate, findJobStates } from '../src/hydra/queries/candidates.ts'
import { findEvalsOfCommits } from '../src/hydra/queries/evals-of-commits.ts'
import { findFailingSince } from '../src/hydra/queries/failing-since.ts'
import { findFirstBuilds } from '../src/hydra/queries/first-builds.ts'
import { findJobset } from '../src/hydra/queries/jobset.ts'
import { findJobsetFacts } from '../src/hydra/queries/jobset-facts.ts'
import { findLastEvals } from '../src/hydra/queries/last-evals.ts'
import { findNewestEval } from '../src/hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../src/hydra/queries/newest-eval-of-build.ts'
import { findOutputsOfBuilds } from '../src/hydra/queries/outputs.ts'
import { findOutputsOfCommits } from '../src/hydra/queries/outputs-of-commits.ts'
import { findPresentJobs } from '../src/hydra/queries/present-jobs.ts'
import { createHydra } from '../test/helpers/hydra.ts'
import { fillLargeHydra } from '../test/helpers/large-hydra.ts'

const RUNS = 10
const OTHER_BUILDS = { usual: 150_000, large: 860_000 }

const size = process.argv[2] === 'large' ? 'large' : 'usual'
const hydra = await createHydra()
const started = performance.now()
const { jobset, dormantJobset, jobs } = await fillLargeHydra(hydra, {
  jobs: 200,
  evals: 3000,
  otherBuilds: OTHER_BUILDS[size],
})
const seconds = Math.round((performance.now() - started) / 1000)
const database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))

const states = await database.look(sql => findJobStates(sql, jobset))
const candidates = new Map(
  states.flatMap(({ job, candidate }) => (candidate ? [[job, candidate.build]] : [])),
)
const buildOf = (job: string) => candidates.get(job) ?? 0
const evals = await hydra.sql<{ sha: string }[]>`
  select substring(flake from '[0-9a-f]{40}') as sha from jobsetevals where jobset_id = ${jobset} order by id desc`
const recent = evals.slice(0, 100).map(({ sha }) => sha)

const queries: [name: string, ask: (sql: Sql) => Promise<unknown>][] = [
  ['findBuild', sql => findBuild(sql, buildOf(jobs.usual))],
  ['findNewestEvalOfBuild', sql => findNewestEvalOfBuild(sql, buildOf(jobs.usual))],
  ['findNewestEvalOfBuild, in most evals', sql => findNewestEvalOfBuild(sql, buildOf(jobs.unchanged))],
  ['findNewestEval', sql => findNewestEval(sql, jobset)],
  ['findNewestEval, of a dormant jobset', sql => findNewestEval(sql, dormantJobset)],
  ['findCandidate', sql => findCandidate(sql, jobset, jobs.usual)],
  ['findCandidate, unchanged for long', sql => findCandidate(sql, jobset, jobs.unchanged)],
  ['findCandidate, of a job that is gone', sql => findCandidate(sql, jobset, jobs.retired)],
  ['findPresentJobs', sql => findPresentJobs(sql, jobset)],
  ['findOutputsOfBuilds, of one', sql => findOutputsOfBuilds(sql, [buildOf(jobs.usual)])],
  ['findJobset', sql => findJobset(sql, 'dotfiles', 'main')],
  ['findJobStates', sql => findJobStates(sql, jobset)],
  ['findJobStates, of a dormant jobset', sql => findJobStates(sql, dormantJobset)],
  ['findJobsetFacts', sql => findJobsetFacts(sql, [{ project: 'dotfiles', jobset: 'main' }], findJobStates)],
  ['findEvalsOfCommits, 100 recent commits', sql => findEvalsOfCommits(sql, jobset, recent)],
  [
    'findEvalsOfCommits, the oldest commit',
    sql => findEvalsOfCommits(sql, jobset, [evals.at(-1)?.sha ?? '']),
  ],
  ['findEvalsOfCommits, an unknown commit', sql => findEvalsOfCommits(sql, jobset, ['0'.repeat(40)])],
  ['findFailingSince', sql => findFailingSince(sql, jobset, [...candidates.keys()])],
  ['findFirstBuilds', sql => findFirstBuilds(sql, jobset, [...candidates.keys()])],
  ['findFailingSince, of two', sql => findFailingSince(sql, jobset, [jobs.longBad, jobs.neverGood])],
  ['findLastEvals, of one job', sql => findLastEvals(sql, jobset, [jobs.usual], 30)],
  ['findLastEvals', sql => findLastEvals(sql, jobset, [...candidates.keys()], 30)],
  [
    'findOutputsOfCommits, each job at one of 100 recent commits',
    sql =>
      findOutputsOfCommits(
        sql,
        jobset,
        [...candidates.keys()].map((job, at) => ({ job, sha: recent[at % recent.length] ?? '' })),
      ),
  ],
  ['findOutputsOfBuilds', sql => findOutputsOfBuilds(sql, [...candidates.values()])],
]

const counts = await Promise.all(
  ['builds', 'jobsetevals', 'jobsetevalmembers'].map(async table => {
    const [row] = await hydra.sql<{ count: number }[]>`select count(*)::int from ${hydra.sql(table)}`
    return `${row?.count.toLocaleString('en')} ${table}`
  }),
)
console.log(`${counts.join(', ')} (written in ${seconds} s)\n`)
console.log('| query | rows | ms |\n| --- | ---: | ---: |')
for (const [name, ask] of queries) {
  const { rows, medianMs } = await database.look(sql => measure(sql, ask))
  console.log(`| ${name} | ${rows} | ${medianMs.toFixed(2)} |`)
}
await database.close()
await hydra.close()

/** What the function finds: how many, and in how long. */
async function measure(sql: Sql, ask: (sql: Sql) => Promise<unknown>) {
  const rows = rowsOf(await ask(sql))
  const times: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now()
    await ask(sql)
    times.push(performance.now() - began)
  }
  const sorted = times.toSorted((a, b) => a - b)
  return { rows, medianMs: ((sorted[RUNS / 2 - 1] ?? 0) + (sorted[RUNS / 2] ?? 0)) / 2 }
}

function rowsOf(found: unknown): number {
  if (found === undefined) return 0
  if (Array.isArray(found)) return found.length
  return found instanceof Map ? found.size : 1
}
