// What is asked of Hydra's database about the jobs of a jobset: all of them for reconcile and status, one for the hook.
import * as z from 'zod/mini'
import type { Sql } from './database.ts'
import { idSchema, type Output } from './event.ts'
import { parseFlakeref } from './flakeref.ts'
import { type Eval, type Evaluation, findNewestEval, type NewestBuild, parseRows } from './queries.ts'

const text = z.string('text')
const number = z.int('a number')

const seconds = z.nullable(z.int('Unix seconds'))

const jobsetRow = z.object({
  id: z.nullable(idSchema),
  type: z.nullable(number),
  flake: z.nullable(text),
  enabled: z.nullable(number),
  project_enabled: number,
  checkinterval: z.nullable(number),
  lastcheckedtime: seconds,
  errortime: seconds,
  errormsg: z.nullable(text),
  fetcherrormsg: z.nullable(text),
  renamed_to: z.nullable(text),
})

export interface Jobset {
  id: number
  type: 'flake' | 'legacy'
  /** as somebody entered it, not locked: `github:alice/dotfiles/main` */
  flake: string | null
  /** whether the evaluator looks at it at all, and its project */
  enabled: boolean
  /** 0: only when a webhook or a person asks for it */
  checkIntervalSeconds: number
  /** Unix seconds; undefined: never */
  lastCheckedTime: number | undefined
  /** What the last evaluation that failed said, when, and whether nothing was checked since. */
  error: { text: string; time: number; current: boolean } | undefined
}

/**
 * The jobset of a rule; where there is none, the name that it has now, if it was renamed.
 */
export async function findJobset(
  sql: Sql,
  project: string,
  jobset: string,
): Promise<Jobset | { renamedTo: string | undefined }> {
  const [row] = parseRows(
    jobsetRow,
    await sql`
      select j.id, j.type, j.flake, j.enabled, p.enabled as project_enabled, j.checkinterval, j.lastcheckedtime,
             j.errortime, left(j.errormsg, 65536) as errormsg, left(j.fetcherrormsg, 65536) as fetcherrormsg,
             (select r.to_ from jobsetrenames r where r.project = ${project} and r.from_ = ${jobset}) as renamed_to
      from projects p left join jobsets j on j.project = p.name and j.name = ${jobset}
      where p.name = ${project}`,
  )
  if (!row?.id) return { renamedTo: row?.renamed_to ?? undefined }
  return {
    id: row.id,
    type: row.type === 1 ? 'flake' : 'legacy',
    flake: row.flake,
    enabled: row.enabled !== 0 && row.project_enabled !== 0,
    checkIntervalSeconds: row.checkinterval ?? 0,
    lastCheckedTime: row.lastcheckedtime ?? undefined,
    error: errorOf(row),
  }
}

function errorOf({ fetcherrormsg, lastcheckedtime, errormsg, errortime }: z.output<typeof jobsetRow>) {
  // the next check that can fetch takes it away
  if (fetcherrormsg && lastcheckedtime !== null) {
    return { text: fetcherrormsg, time: lastcheckedtime, current: true }
  }
  // after a good evaluation the text is '' and has a time
  if (!errormsg || errortime === null) return undefined
  return { text: errormsg, time: errortime, current: errortime === lastcheckedtime }
}

export interface FoundJobset extends Jobset {
  newestEval: Evaluation | undefined
  jobs: readonly JobFacts[]
}

/** A jobset of a rule, with all that decides about its jobs. */
export interface JobsetFacts {
  project: string
  jobset: string
  /** undefined where there is none */
  found: FoundJobset | undefined
  /** the name that it has now */
  renamedTo?: string | undefined
}

/** A job that is in the newest build set, or was good once. */
export interface JobFacts {
  job: string
  /** its build in the newest build set; undefined where it is absent from it */
  newest: (NewestBuild & { queuedTime?: number | undefined }) | undefined
  /** undefined where it never had a good build */
  candidate: { build: number; eval: Eval } | undefined
}

/**
 * All that decides about the jobsets of rules.
 *
 * @param findJobs which of their jobs: of all jobs all, or of one job what the hook needs
 */
export function findJobsetFacts(
  sql: Sql,
  jobsets: readonly { project: string; jobset: string }[],
  findJobs: (sql: Sql, jobsetId: number) => Promise<JobFacts[]>,
): Promise<JobsetFacts[]> {
  return Promise.all(
    jobsets.map(async ({ project, jobset }): Promise<JobsetFacts> => {
      const found = await findJobset(sql, project, jobset)
      if ('renamedTo' in found) return { project, jobset, found: undefined, renamedTo: found.renamedTo }
      const [jobs, newestEval] = await Promise.all([findJobs(sql, found.id), findNewestEval(sql, found.id)])
      return { project, jobset, found: { ...found, newestEval, jobs } }
    }),
  )
}

const jobRow = z.object({
  job: text,
  newest_build: z.nullable(idSchema),
  newest_finished: z.nullable(number),
  newest_status: z.nullable(number),
  newest_queued: seconds,
  build: z.nullable(idSchema),
  eval: z.nullable(idSchema),
  flake: z.nullable(text),
})

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

const sinceRow = z.object({ sha: text, flake: z.nullable(text), since: seconds })

/** Evals that are looked through for a commit, from the newest on. */
const MAX_EVALS = 3000

/**
 * Since when the jobset has had something newer than a commit: the time, in Unix seconds, of the first eval after the
 * newest eval of that commit; undefined where that is the newest. A commit that no eval was of is left out.
 */
export async function findNewerSince(
  sql: Sql,
  jobsetId: number,
  shas: readonly string[],
): Promise<Map<string, number | undefined>> {
  if (shas.length === 0) return new Map()
  const rows = parseRows(
    sinceRow,
    // in one pass, however many the commits are
    await sql`
      with recent as materialized (
        select e.id, e.flake, substring(e.flake from '[0-9a-f]{40}') as sha,
               lead(e.timestamp) over (order by e.id) as since
        from (
          select id, flake, timestamp from jobsetevals
          where jobset_id = ${jobsetId} order by id desc limit ${MAX_EVALS}) e
      )
      select distinct on (sha) sha, flake, since from recent
      where sha in ${sql([...shas])}
      order by sha, id desc`,
  )
  return new Map(
    rows
      .filter(({ sha, flake }) => {
        const flakeref = parseFlakeref(flake ?? '')
        return flakeref.kind === 'locked' && flakeref.rev === sha
      })
      .map(({ sha, since }) => [sha, since ?? undefined]),
  )
}
