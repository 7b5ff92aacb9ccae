// What is asked of Hydra's database about all jobs of a jobset at once: reconcile and status, where the hook asks about
// one job (queries.ts).
import * as z from 'zod/mini'
import type { Sql } from './database.ts'
import { idSchema, type Output } from './event.ts'
import { type Eval, parseRows } from './queries.ts'

const text = z.string('text')
const number = z.int('a number')

const jobsetRow = z.object({
  id: z.nullable(idSchema),
  type: z.nullable(number),
  renamed_to: z.nullable(text),
})

export type Jobset =
  | { kind: 'found'; id: number; type: 'flake' | 'legacy' }
  /** `renamedTo`: the name that it has now */
  | { kind: 'missing'; renamedTo: string | undefined }

export async function findJobset(sql: Sql, project: string, jobset: string): Promise<Jobset> {
  const [row] = parseRows(
    jobsetRow,
    await sql`
      select j.id, j.type,
             (select r.to_ from jobsetrenames r where r.project = ${project} and r.from_ = ${jobset}) as renamed_to
      from projects p left join jobsets j on j.project = p.name and j.name = ${jobset}
      where p.name = ${project}`,
  )
  if (!row?.id) return { kind: 'missing', renamedTo: row?.renamed_to ?? undefined }
  return { kind: 'found', id: row.id, type: row.type === 1 ? 'flake' : 'legacy' }
}

const jobRow = z.object({
  job: text,
  newest_build: z.nullable(idSchema),
  newest_finished: z.nullable(number),
  newest_status: z.nullable(number),
  build: z.nullable(idSchema),
  eval: z.nullable(idSchema),
  flake: z.nullable(text),
})

/** A job of a jobset: one that is in the newest build set, or was good once. */
export interface JobState {
  job: string
  /** its build in the newest build set; undefined where it is absent from it */
  newest: { build: number; finished: boolean; status: number | null } | undefined
  /** undefined where it never had a good build */
  candidate: { build: number; eval: Eval } | undefined
}

/** Every job's candidate and newest build, in one query. */
export async function findJobStates(sql: Sql, jobsetId: number): Promise<JobState[]> {
  const rows = parseRows(
    jobRow,
    // The good builds are found by jumping from job to job on the index of good builds; see findCandidate for the rest.
    await sql`
      with recursive
      cur as (
        select e.id from jobsetevals e
        where e.jobset_id = ${jobsetId} and e.hasnewbuilds = 1
        order by e.id desc limit 1
      ),
      good (job, build) as (
        (select b.job, b.id from builds b
         where b.jobset_id = ${jobsetId} and b.finished = 1 and b.buildstatus = 0
         order by b.job, b.id desc limit 1)
        union all
        select n.job, n.id from good g cross join lateral (
          select b.job, b.id from builds b
          where b.jobset_id = ${jobsetId} and b.job > g.job and b.finished = 1 and b.buildstatus = 0
          order by b.job, b.id desc limit 1) n
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
      )
      select coalesce(n.job, d.job) as job,
             n.id as newest_build, n.finished as newest_finished, n.buildstatus as newest_status,
             d.build, d.eval, d.flake
      from (select d.job, d.build, run.id as eval, run.flake from based d join run using (base)) d
      full join (
        select b.job, b.id, b.finished, b.buildstatus
        from jobsetevalmembers m join builds b on b.id = m.build
        where m.eval = (select id from cur)) n using (job)`,
  )
  return rows.map(row => ({
    job: row.job,
    newest:
      row.newest_build === null
        ? undefined
        : { build: row.newest_build, finished: row.newest_finished === 1, status: row.newest_status },
    candidate:
      row.build === null || row.eval === null
        ? undefined
        : { build: row.build, eval: { id: row.eval, flake: row.flake } },
  }))
}

const evaluationRow = z.object({ eval: idSchema, flake: z.nullable(text), error: text })

/** The jobset's newest eval, and what went wrong in it ('' where nothing did). */
export interface Evaluation extends Eval {
  error: string
}

export async function findNewestEvaluation(sql: Sql, jobsetId: number): Promise<Evaluation | undefined> {
  const [row] = parseRows(
    evaluationRow,
    await sql`
      select e.id as eval, e.flake, coalesce(left(r.errormsg, 1048576), '') as error
      from (select * from jobsetevals where jobset_id = ${jobsetId} order by id desc limit 1) e
      left join evaluationerrors r on r.id = e.evaluationerror_id`,
  )
  return row && { id: row.eval, flake: row.flake, error: row.error }
}

const outputRow = z.object({ build: idSchema, name: text, path: z.nullable(text) })

/** The outputs of several builds, by build. */
export async function findOutputsOfBuilds(
  sql: Sql,
  builds: readonly number[],
): Promise<Map<number, Output[]>> {
  const found = new Map<number, Output[]>(builds.map(build => [build, []]))
  if (builds.length === 0) return found
  const rows = parseRows(
    outputRow,
    await sql`select o.build, o.name, o.path from buildoutputs o where o.build in ${sql([...found.keys()])} order by o.build, o.name`,
  )
  for (const { build, name, path } of rows) found.get(build)?.push({ name, path })
  return found
}
