// What is asked of Hydra's database, one function per query; its rows are checked here, once.
// Source: src/sql/hydra.sql of Hydra. README.md explains evals, build sets and candidates.
import * as z from 'zod/mini'
import { OperatorError } from '../base/errors.ts'
import { explainIssues } from '../base/schema.ts'
import type { Sql } from './database.ts'
import { idSchema } from './event.ts'

const text = z.string('text')
const nullableText = z.nullable(z.string('text or null'))

const buildRow = z.object({
  build: idSchema,
  project: text,
  jobset: text,
  jobset_id: idSchema,
  type: z.int('a number'),
  job: text,
  good: z.boolean('true or false'),
})

export interface Build {
  id: number
  project: string
  jobset: string
  jobsetId: number
  /** a jobset without a flake has its revisions elsewhere, and no channel */
  jobsetType: 'flake' | 'legacy'
  job: string
  /** finished and succeeded; a build that is being built again is not */
  good: boolean
}

/** The build, undefined where Hydra has none of that id. */
export async function findBuild(sql: Sql, id: number): Promise<Build | undefined> {
  const [row] = parseRows(
    buildRow,
    await sql`
      select b.id as build, j.project, j.name as jobset, b.jobset_id, j.type, b.job,
             coalesce(b.finished = 1 and b.buildstatus = 0, false) as good
      from builds b join jobsets j on j.id = b.jobset_id
      where b.id = ${id}`,
  )
  return (
    row && {
      id: row.build,
      project: row.project,
      jobset: row.jobset,
      jobsetId: row.jobset_id,
      jobsetType: row.type === 1 ? 'flake' : 'legacy',
      job: row.job,
      good: row.good,
    }
  )
}

const evalRow = z.object({ eval: z.nullable(idSchema), flake: nullableText })

export interface Eval {
  id: number
  /** the locked flakeref (flakeref.ts); null in a legacy jobset */
  flake: string | null
}

/** The newest eval whose build set contains the build: the newest proof of it. Undefined where no eval has it. */
export async function findNewestEvalOfBuild(sql: Sql, build: number): Promise<Eval | undefined> {
  const [row] = parseRows(
    evalRow,
    await sql`
      select e.id as eval, e.flake
      from builds b
      cross join lateral (
        select max(m.eval) as base from jobsetevalmembers m where m.build = b.id
      ) r
      left join lateral (
        select n.id from jobsetevals n
        where n.jobset_id = b.jobset_id and n.hasnewbuilds = 1 and n.id > r.base
        order by n.id limit 1
      ) next on true
      left join lateral (
        select e.id, e.flake from jobsetevals e
        where e.jobset_id = b.jobset_id and e.id >= r.base and e.id < coalesce(next.id, 2147483647)
        order by e.id desc limit 1
      ) e on true
      where b.id = ${build}`,
  )
  return row?.eval ? { id: row.eval, flake: row.flake } : undefined
}

const evaluationRow = z.object({
  eval: idSchema,
  flake: nullableText,
  timestamp: z.int('Unix seconds'),
  error: text,
})

export interface Evaluation extends Eval {
  /** Unix seconds */
  timestamp: number
  /** what could not be evaluated (evaluation-error.ts), '' where all could */
  error: string
}

/** The jobset's newest eval, whatever came of it; undefined where it has none. */
export async function findNewestEval(sql: Sql, jobsetId: number): Promise<Evaluation | undefined> {
  const [row] = parseRows(
    evaluationRow,
    await sql`
      select e.id as eval, e.flake, e.timestamp, coalesce(left(r.errormsg, 1048576), '') as error
      from (select * from jobsetevals where jobset_id = ${jobsetId} order by id desc limit 1) e
      left join evaluationerrors r on r.id = e.evaluationerror_id`,
  )
  return row && { id: row.eval, flake: row.flake, timestamp: row.timestamp, error: row.error }
}

const jobRow = z.object({
  job: text,
  build: idSchema,
  finished: z.int('a number'),
  buildstatus: z.nullable(z.int('a number')),
})

/** A job's build in the newest build set of its jobset. */
export interface NewestBuild {
  build: number
  finished: boolean
  /** Hydra's buildStatus: 0 succeeded, 1 failed, 2 a dependency failed, … */
  status: number | null
}

/** The jobs of the jobset's newest build set, in any state. */
export async function findPresentJobs(
  sql: Sql,
  jobsetId: number,
): Promise<{ job: string; newest: NewestBuild }[]> {
  const rows = parseRows(
    jobRow,
    await sql`
      select b.job, b.id as build, b.finished, b.buildstatus
      from jobsetevalmembers m join builds b on b.id = m.build
      where m.eval = (
        select e.id from jobsetevals e
        where e.jobset_id = ${jobsetId} and e.hasnewbuilds = 1
        order by e.id desc limit 1)`,
  )
  return rows.map(({ job, build, finished, buildstatus }) => ({
    job,
    newest: { build, finished: finished === 1, status: buildstatus },
  }))
}

/** SQL has no types: what comes back is checked once, here. */
export function parseRows<Row extends z.core.$ZodType>(row: Row, rows: readonly unknown[]): z.output<Row>[] {
  return rows.map(candidate => {
    const result = z.safeParse(row, candidate, { reportInput: true })
    if (result.success) return result.data
    throw new OperatorError(
      `Hydra's database answered what this program does not understand: ${explainIssues(result.error.issues).join('; ')}`,
      { hint: 'is this Hydra newer than this program? An update of hydra-channels may know its tables' },
    )
  })
}
