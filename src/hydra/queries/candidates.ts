// The candidates of a jobset's jobs: of one job for the hook, of all for reconcile and status.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import type { NewestBuild } from './present-jobs.ts'
import { type Eval, number, parseRows, seconds, text } from './rows.ts'

/** A job that is in the newest build set, or was good once. */
export interface JobFacts {
  job: string
  /** its build in the newest build set; undefined if it is absent from it */
  newest: (NewestBuild & { queuedTime?: number | undefined }) | undefined
  /** undefined if it never had a good build, or was not asked for */
  candidate: { build: number; eval: Eval } | undefined
}

/**
 * The candidates as a part of a query, `candidate (job, build, eval, flake)`: of one job, or of every job of the jobset.
 *
 * The good build of a job with the highest id is in the newest eval in which the job is good. Its build set is its rows in
 * the jobset's current one, else in the newest eval that has it as a member, and in the memberless evals behind.
 */
function candidates(sql: Sql, jobsetId: number, job?: string) {
  // a text and not a parameter that may be null: that would keep the planner from the index
  const ofJob = job === undefined ? sql`` : sql`and b.job = ${job}`
  // all jobs are found by jumping from one to the next on the index of good builds
  const nextJobs = sql`
    union all
    select n.job, n.id from good g cross join lateral (
      select b.job, b.id from builds b
      where b.jobset_id = ${jobsetId} and b.job > g.job and b.finished = 1 and b.buildstatus = 0
      order by b.job, b.id desc limit 1) n`
  return sql`
    cur as (
      select e.id from jobsetevals e
      where e.jobset_id = ${jobsetId} and e.hasnewbuilds = 1
      order by e.id desc limit 1
    ),
    good (job, build) as (
      (select b.job, b.id from builds b
       where b.jobset_id = ${jobsetId} ${ofJob} and b.finished = 1 and b.buildstatus = 0
       order by b.job, b.id desc limit 1)
      ${job === undefined ? nextJobs : sql``}
    ),
    based as materialized (
      select g.job, g.build, coalesce(
        (select m.eval from jobsetevalmembers m where m.eval = (select id from cur) and m.build = g.build),
        (select max(m.eval) from jobsetevalmembers m where m.build = g.build)) as base
      from good g
    ),
    run as materialized (
      select r.base, e.id, e.flake
      from (select distinct base from based) r
      left join lateral (
        select n.id from jobsetevals n
        where n.jobset_id = ${jobsetId} and n.hasnewbuilds = 1 and n.id > r.base
        order by n.id limit 1) next on true
      cross join lateral (
        select e.id, e.flake from jobsetevals e
        where e.jobset_id = ${jobsetId} and e.id >= r.base and e.id < coalesce(next.id, 2147483647)
        order by e.id desc limit 1) e
    ),
    candidate as (select d.job, d.build, run.id as eval, run.flake from based d join run using (base))`
}

const candidateRow = z.object({ build: idSchema, eval: idSchema, flake: z.nullable(text) })

/** The job's candidate; undefined if it never had a good build. */
export async function findCandidate(sql: Sql, jobsetId: number, job: string): Promise<JobFacts['candidate']> {
  const [row] = parseRows(
    candidateRow,
    await sql`with recursive ${candidates(sql, jobsetId, job)} select build, eval, flake from candidate`,
  )
  return row && { build: row.build, eval: { id: row.eval, flake: row.flake } }
}

const jobRow = z.object({
  job: text,
  newest_build: z.nullable(idSchema),
  newest_finished: z.nullable(number),
  newest_status: z.nullable(number),
  newest_queued: z.nullable(seconds),
  build: z.nullable(idSchema),
  eval: z.nullable(idSchema),
  flake: z.nullable(text),
})

/** Every job's candidate and newest build, in one query. */
export async function findJobStates(sql: Sql, jobsetId: number): Promise<JobFacts[]> {
  const rows = parseRows(
    jobRow,
    await sql`
      with recursive ${candidates(sql, jobsetId)}
      select coalesce(n.job, d.job) as job,
             n.id as newest_build, n.finished as newest_finished, n.buildstatus as newest_status,
             greatest(n.timestamp, n.stoptime) as newest_queued,
             d.build, d.eval, d.flake
      from candidate d
      full join (
        select b.job, b.id, b.finished, b.buildstatus, b.timestamp, b.stoptime
        from jobsetevalmembers m join builds b on b.id = m.build
        where m.eval = (select id from cur)) n using (job)`,
  )
  return rows.map(row => ({
    job: row.job,
    newest:
      row.newest_build === null
        ? undefined
        : {
            build: row.newest_build,
            finished: row.newest_finished === 1,
            status: row.newest_status,
            // one that is built again has the end of the time before
            queuedTime: row.newest_queued ?? undefined,
          },
    candidate:
      row.build === null || row.eval === null
        ? undefined
        : { build: row.build, eval: { id: row.eval, flake: row.flake } },
  }))
}
