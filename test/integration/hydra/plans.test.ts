// How PostgreSQL finds the answers in a large Hydra: by Hydra's own indexes, and without reading much more than it
// answers. Each query is explained as the program sent it, on its own connection: planned for its parameters, and planned
// for any, as PostgreSQL may do with a statement that it was sent six times. The size is one that
// takes seconds; with 200 jobs, 3,000 evals and 870,000 builds the same indexes are used.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findConnection } from '../../../src/hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { findBuildsInEvals } from '../../../src/hydra/queries/builds-in-evals.ts'
import { findCandidate, findJobStates } from '../../../src/hydra/queries/candidates.ts'
import { findEvalsOfCommits } from '../../../src/hydra/queries/evals-of-commits.ts'
import { findFailingSince } from '../../../src/hydra/queries/failing-since.ts'
import { findFirstBuilds } from '../../../src/hydra/queries/first-builds.ts'
import { findJobset, findNewName } from '../../../src/hydra/queries/jobset.ts'
import { findJobsetFacts } from '../../../src/hydra/queries/jobset-facts.ts'
import { findLastEvals } from '../../../src/hydra/queries/last-evals.ts'
import { findNewestEval } from '../../../src/hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../../../src/hydra/queries/newest-eval-of-build.ts'
import { findOutputsOfBuilds } from '../../../src/hydra/queries/outputs.ts'
import { findOutputsOfCommits } from '../../../src/hydra/queries/outputs-of-commits.ts'
import { findPresentJobs } from '../../../src/hydra/queries/present-jobs.ts'
import { createHydra, type TestHydra } from '../../helpers/hydra.ts'
import { fillLargeHydra, type LargeHydra } from '../../helpers/large-hydra.ts'
import { namesOfQueries } from '../../helpers/queries.ts'

const JOBS = 100
const EVALS = 1000
/** of all jobsets together, at most */
const ALL_EVALS = 4 * EVALS
/** Tables that grow with every eval; the others have a row for a jobset or a project. */
const LARGE = ['builds', 'jobsetevals', 'jobsetevalmembers', 'buildoutputs', 'evaluationerrors']

let hydra: TestHydra
let database: Database
let large: LargeHydra
/** the newest good build of each job that has one */
let builds: Map<string, number>
/** the commits of evals of dotfiles:main: the newest, and the hundredth before it */
let commits: string[]
/** ids of evals of dotfiles:main, newest first */
let evalIds: number[]

before(async () => {
  hydra = await createHydra()
  large = await fillLargeHydra(hydra, { jobs: JOBS, evals: EVALS, otherBuilds: 30_000 })
  database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))
  const states = await database.look(sql => findJobStates(sql, large.jobset))
  builds = new Map(states.flatMap(({ job, candidate }) => (candidate ? [[job, candidate.build]] : [])))
  const evals = await hydra.sql<{ id: number; sha: string }[]>`
    select id, substring(flake from '[0-9a-f]{40}') as sha from jobsetevals
    where jobset_id = ${large.jobset} order by id desc limit 101`
  commits = [0, 100].map(at => evals[at]?.sha ?? '')
  evalIds = evals.map(({ id }) => id)
})

after(async () => {
  await database.close()
  await hydra.close()
})

interface Case {
  ask: (sql: Sql) => Promise<unknown>
  /** indexes that have to be used, with the columns that they are asked for */
  indexes: string[]
  /** rows of large tables that may be read, also those that a filter then leaves out */
  rows: number
  /** tables that may be read as a whole, if Hydra has no index that is a shorter way */
  whole?: string[]
}

/** Not more than these, however long the jobset has been there. */
const FEW = 50

const candidateIndexes = [
  'indexfinishedsuccessfulbuilds (jobset_id, job)',
  'jobsetevalmembers_pkey (eval, build)',
  'indexjobsetevalmembersonbuild (build)',
]
const candidateOf = (job: keyof LargeHydra['jobs']): Case => ({
  ask: sql => findCandidate(sql, large.jobset, large.jobs[job]),
  indexes: candidateIndexes,
  rows: FEW,
})
const jobStates: Omit<Case, 'ask'> = {
  indexes: [
    // the first job, then from each job to the next
    'indexfinishedsuccessfulbuilds (jobset_id)',
    'indexfinishedsuccessfulbuilds (jobset_id, job)',
    'jobsetevalmembers_pkey (eval, build)',
    'indexjobsetevalmembersonbuild (build)',
  ],
  rows: 13 * JOBS,
}

const cases: Record<string, Case> = {
  findBuild: { ask: sql => findBuild(sql, buildOf('usual')), indexes: ['builds_pkey (id)'], rows: 1 },
  findNewestEvalOfBuild: {
    ask: sql => findNewestEvalOfBuild(sql, buildOf('usual')),
    indexes: ['builds_pkey (id)', 'indexjobsetevalmembersonbuild (build)'],
    rows: FEW,
  },
  // it has no shorter way than all evals that the build is a member of
  'findNewestEvalOfBuild, of one in most evals': {
    ask: sql => findNewestEvalOfBuild(sql, buildOf('unchanged')),
    indexes: ['builds_pkey (id)', 'indexjobsetevalmembersonbuild (build)'],
    rows: EVALS,
  },
  // Hydra has no index for the evals of a jobset, so those of other jobsets that are newer are read too
  findNewestEval: {
    ask: sql => findNewestEval(sql, large.jobset),
    indexes: ['jobsetevals_pkey', 'evaluationerrors_pkey (id)'],
    rows: FEW,
  },
  findCandidate: candidateOf('usual'),
  'findCandidate, of a job whose build has not changed for long': candidateOf('unchanged'),
  'findCandidate, of a job that has not been good for long': candidateOf('longBad'),
  'findCandidate, of a job that does not evaluate now': candidateOf('failsToEvaluate'),
  'findCandidate, of a job that is gone': candidateOf('retired'),
  'findCandidate, of a job that never was good': candidateOf('neverGood'),
  findNewName: { ask: sql => findNewName(sql, 'dotfiles', 'old'), indexes: [], rows: 0 },
  findPresentJobs: {
    ask: sql => findPresentJobs(sql, large.jobset),
    indexes: ['builds_pkey (id)'],
    rows: 2 * JOBS + FEW,
  },
  'findOutputsOfBuilds, of one': {
    ask: sql => findOutputsOfBuilds(sql, [buildOf('usual')]),
    indexes: ['buildoutputs_pkey (build)'],
    rows: 2,
  },
  findJobset: { ask: sql => findJobset(sql, 'dotfiles', 'main'), indexes: [], rows: 0 },
  findJobStates: { ask: sql => findJobStates(sql, large.jobset), ...jobStates },
  findJobsetFacts: {
    ask: sql => findJobsetFacts(sql, [{ project: 'dotfiles', jobset: 'main' }], findJobStates),
    ...jobStates,
  },
  // Hydra has an index neither for the evals of a jobset nor for their commits: the newest 3,000 are read once, and where
  // the table is no larger than that, all of it
  findEvalsOfCommits: {
    ask: sql => findEvalsOfCommits(sql, large.jobset, commits),
    indexes: [],
    rows: ALL_EVALS,
    whole: ['jobsetevals'],
  },
  findFailingSince: {
    ask: sql => findFailingSince(sql, large.jobset, [...builds.keys()]),
    indexes: [
      'indexbuildsonjobsetidfinishedid (jobset_id, job, finished)',
      'jobsetevalmembers_pkey (eval, build)',
    ],
    rows: 5 * JOBS + FEW,
  },
  'findFailingSince, of one that has failed for long': {
    ask: sql => findFailingSince(sql, large.jobset, [large.jobs.longBad, large.jobs.neverGood]),
    indexes: [
      'indexbuildsonjobsetidfinishedid (jobset_id, job, finished)',
      'jobsetevalmembers_pkey (eval, build)',
    ],
    rows: FEW,
  },
  findFirstBuilds: {
    ask: sql => findFirstBuilds(sql, large.jobset, [...builds.keys()]),
    indexes: ['indexbuildsonjobsetidfinishedid (jobset_id, job, finished)'],
    rows: 2 * JOBS + FEW,
  },
  findBuildsInEvals: {
    ask: sql => findBuildsInEvals(sql, large.jobset, large.jobs.usual, evalIds),
    indexes: [
      'jobsetevals_pkey (id)',
      'indexbuildsonjobsetidfinishedid (jobset_id, job, finished, id)',
      'jobsetevalmembers_pkey (eval, build)',
    ],
    rows: 20 * FEW,
  },
  'findBuildsInEvals, of one in most evals': {
    ask: sql => findBuildsInEvals(sql, large.jobset, large.jobs.unchanged, evalIds),
    indexes: ['jobsetevals_pkey (id)', 'jobsetevalmembers_pkey (eval, build)'],
    rows: 20 * FEW,
  },
  'findLastEvals, of one job': {
    ask: sql => findLastEvals(sql, large.jobset, [large.jobs.usual], 30),
    indexes: [
      'indexbuildsonjobsetidfinishedid (jobset_id, job, finished, id)',
      'jobsetevalmembers_pkey (eval, build)',
    ],
    rows: 10 * FEW,
  },
  findLastEvals: {
    ask: sql => findLastEvals(sql, large.jobset, [...builds.keys()], 30),
    indexes: [
      'indexbuildsonjobsetidfinishedid (jobset_id, job, finished, id)',
      'jobsetevalmembers_pkey (eval, build)',
    ],
    rows: 60 * JOBS,
  },
  // the newest 3,000 evals are read once, as of findEvalsOfCommits
  'findOutputsOfCommits, of one': {
    ask: sql => findOutputsOfCommits(sql, large.jobset, [{ job: large.jobs.usual, sha: commits[1] ?? '' }]),
    indexes: [
      'indexfinishedsuccessfulbuilds (jobset_id, job, id)',
      'jobsetevalmembers_pkey (eval, build)',
      'buildoutputs_pkey (build)',
    ],
    rows: ALL_EVALS + FEW,
    whole: ['jobsetevals'],
  },
  findOutputsOfCommits: {
    ask: sql =>
      findOutputsOfCommits(
        sql,
        large.jobset,
        [...builds.keys()].map((job, at) => ({ job, sha: commits[at % 2] ?? '' })),
      ),
    indexes: [
      'indexfinishedsuccessfulbuilds (jobset_id, job, id)',
      'jobsetevalmembers_pkey (eval, build)',
      'buildoutputs_pkey (build)',
    ],
    rows: ALL_EVALS + 5 * JOBS + FEW,
    whole: ['jobsetevals'],
  },
  findOutputsOfBuilds: {
    ask: sql => findOutputsOfBuilds(sql, [...builds.values()]),
    indexes: ['buildoutputs_pkey (build)'],
    rows: 2 * JOBS,
  },
}

for (const [name, { ask, indexes, rows, whole = [] }] of Object.entries(cases)) {
  for (const planning of ['for its parameters', 'for any parameters'] as const) {
    test(`${name}, planned ${planning}: by indexes, at most ${rows} rows`, async () => {
      const reads = await explain(ask, planning)
      assert.deepEqual(
        wholeTables(reads).filter(table => !whole.includes(table)),
        [],
      )
      const used = new Set(reads.map(read => read.index))
      assert.deepEqual(
        indexes.filter(index => !used.has(index)),
        [],
        `not used, but ${[...used].join(', ')}`,
      )
      const read = rowsOf(reads)
      assert.ok(read <= rows, `${read} rows were read:\n${reads.map(show).join('\n')}`)
    })
  }
}

test('every query of the program is among these', async () => {
  const queries = await namesOfQueries()
  const asked = new Set(Object.keys(cases).map(name => name.replace(/,.*/, '')))
  assert.deepEqual(
    queries.filter(name => !asked.has(name)),
    [],
  )
})

test('they are asked as the role of Hydra, without JIT', async () => {
  const [row] = await database.look(
    sql => sql`select current_user as role, current_setting('jit') as jit,
                      current_setting('transaction_read_only') as read_only`,
  )
  assert.deepEqual({ ...row }, { role: 'hydra', jit: 'off', read_only: 'on' })
})

test('a query that no index serves is seen to read a whole table', async () => {
  const ask = (sql: Sql) => sql`select id from builds where drvpath = '/nix/store/7.drv'`
  assert.deepEqual(wholeTables(await explain(ask, 'for its parameters')), ['builds'])
  const byPartOfAKey = (sql: Sql) => sql`select count(build) from jobsetevalmembers`
  assert.deepEqual(wholeTables(await explain(byPartOfAKey, 'for its parameters')), ['jobsetevalmembers'])
})

test('a query that reads all good builds for the newest ones is seen to', async () => {
  const reads = await explain(
    sql => sql`
      select distinct on (b.job) b.job, b.id from builds b
      where b.jobset_id = ${large.jobset} and b.finished = 1 and b.buildstatus = 0
      order by b.job, b.id desc`,
    'for its parameters',
  )
  assert.deepEqual(wholeTables(reads), [])
  assert.ok(rowsOf(reads) > jobStates.rows)
})

test('the candidate of one job is that of all jobs', async () => {
  for (const jobset of [large.jobset, large.dormantJobset]) {
    const rows = await hydra.sql<{ job: string }[]>`
      select distinct job from builds where jobset_id = ${jobset} order by job`
    const jobs = rows.map(({ job }) => job)
    const states = await database.look(sql => findJobStates(sql, jobset))
    const together = new Map(states.map(state => [state.job, state]))
    assert.equal(together.size, states.length, 'a job twice')
    const oneByOne = await database.look(sql =>
      Promise.all(jobs.map(async job => [job, await findCandidate(sql, jobset, job)] as const)),
    )
    assert.deepEqual(
      jobs.map(job => [job, together.get(job)?.candidate]),
      oneByOne,
    )
    const asked = new Set(jobs)
    assert.deepEqual(
      [...together.keys()].filter(job => !asked.has(job)),
      [],
    )
  }
})

test('the database has jobs of all kinds', async () => {
  const [states, newest] = await database.look(sql =>
    Promise.all([findJobStates(sql, large.jobset), findNewestEval(sql, large.jobset)]),
  )
  const { unchanged, longBad, neverGood, failsToEvaluate, retired } = large.jobs
  const kindOf = (job: string) => {
    const state = states.find(each => each.job === job)
    const proof = !state?.candidate
      ? 'never good'
      : state.candidate.eval.id === newest?.id
        ? 'good now'
        : 'good once'
    return `${state?.newest ? 'present' : 'absent'}, ${proof}`
  }
  assert.deepEqual([unchanged, longBad, neverGood, failsToEvaluate, retired].map(kindOf), [
    'present, good now',
    'present, good once',
    'present, never good',
    'absent, good once',
    'absent, good once',
  ])
  assert.match(newest?.error ?? '', new RegExp(`^in job ‘${failsToEvaluate}’:$`, 'm'))
})

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: PlanNode[]
}

/** How a plan reads one large table. */
interface Read {
  table: string
  /** `builds_pkey (id)`; undefined if it reads the whole table, or the whole index for a part of its rows */
  index: string | undefined
  rows: number
}

/** Asks, and explains what was asked, with the text and the parameters that were sent. */
function explain(
  ask: (sql: Sql) => Promise<unknown>,
  planning: 'for its parameters' | 'for any parameters',
): Promise<Read[]> {
  return database.look(async sql => {
    const sent: { text: string; parameters: string[] }[] = []
    // the client looks for it anew before each query
    Object.assign(sql.options, {
      debug: (_connection: number, text: string, parameters: unknown[]) =>
        sent.push({ text, parameters: parameters.map(String) }),
    })
    await ask(sql)
    Object.assign(sql.options, { debug: false })
    const queries = sent.filter(
      ({ text }) => text.includes('select') && !text.trimStart().startsWith('begin'),
    )
    assert.ok(queries.length > 0, 'nothing was asked')

    const reads: Read[] = []
    for (const { text, parameters } of queries) {
      const analyze = 'explain (analyze, timing off, format json)'
      if (planning === 'for its parameters') {
        const rows = await sql.unsafe(`${analyze} ${text}`, parameters)
        reads.push(...readsOf(rows[0]?.['QUERY PLAN'][0].Plan))
      } else {
        const values = parameters.map(value => `'${value.replaceAll("'", "''")}'`).join(', ')
        await sql.unsafe('set local plan_cache_mode = force_generic_plan')
        await sql.unsafe(`prepare explained as ${text}`)
        const rows = await sql.unsafe(`${analyze} execute explained${values && ` (${values})`}`)
        await sql.unsafe('deallocate explained')
        reads.push(...readsOf(rows[0]?.['QUERY PLAN'][0].Plan))
      }
    }
    return reads
  })
}

function readsOf(node: PlanNode): Read[] {
  const below = node.Plans ?? []
  const table = node['Relation Name']
  if (!table || !LARGE.includes(table)) return below.flatMap(readsOf)
  // a bitmap of the rows is made by nodes of their own
  const [by = node] = node['Node Type'] === 'Bitmap Heap Scan' ? below : []
  const name = by['Index Name']
  const columns = [...(by['Index Cond'] ?? '').matchAll(/\((\w+) [=<>]/g)].map(match => match[1])
  const condition = columns.length > 0 ? ` (${[...new Set(columns)].join(', ')})` : ''
  const left = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
  return [
    {
      table,
      index: name && `${name}${condition}`,
      rows: Math.round((node['Actual Rows'] + left) * node['Actual Loops']),
    },
    ...below.filter(child => child !== by).flatMap(readsOf),
  ]
}

const rowsOf = (reads: Read[]) => reads.reduce((sum, { rows }) => sum + rows, 0)

const show = ({ table, index, rows }: Read) => `${table}: ${rows} rows by ${index ?? 'none'}`

/** An index without a condition is a table in another order, which may be a short way only to the newest evals. */
function wholeTables(reads: Read[]): string[] {
  return reads
    .filter(({ index }) => index === undefined || (!index.includes('(') && index !== 'jobsetevals_pkey'))
    .map(({ table }) => table)
}

function buildOf(job: keyof LargeHydra['jobs']): number {
  const build = builds.get(large.jobs[job])
  assert.ok(build, `no good build of ${job}`)
  return build
}
