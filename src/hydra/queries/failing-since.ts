// Since when a job fails, and after which good build.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { type Eval, number, parseRows, seconds, text } from './rows.ts'

/** Builds of one job that are looked through; nobody has seen a job with so many that decide nothing. */
const MAX_BUILDS = 1000

/** What is known of a job whose newest build ended, and not well. */
export interface FailingSince {
  /**
   * The first build of those that failed since the last good one, and the eval that made it. Builds that were aborted,
   * cancelled or found no builder decide nothing: undefined if there is no other one.
   */
  first: { build: number; status: number; eval: (Eval & { timestamp: number }) | undefined } | undefined
  /** there are too many builds to look at: `first` is the newest build, and the job has failed for longer */
  atLeast: boolean
  /** the last good build, and the newest eval that has it; undefined: it was never good */
  lastGood: { build: number; eval: Eval & { timestamp: number } } | undefined
}

const failingRow = z.object({
  job: text,
  at_least: z.boolean(),
  since_build: z.nullable(idSchema),
  since_status: z.nullable(number),
  since_eval: z.nullable(idSchema),
  since_flake: z.nullable(text),
  since_time: z.nullable(seconds),
  good_build: z.nullable(idSchema),
  good_eval: z.nullable(idSchema),
  good_flake: z.nullable(text),
  good_time: z.nullable(seconds),
})

/**
 * For each of the jobs whose build in the newest build set is finished and not good; the others are left out. However long
 * a job has failed, a dozen rows are read for it.
 */
export async function findFailingSince(
  sql: Sql,
  jobsetId: number,
  jobs: readonly string[],
  maxBuilds = MAX_BUILDS,
): Promise<Map<string, FailingSince>> {
  if (jobs.length === 0) return new Map()
  // `between` beside `=` changes no answer: without it, where a Hydra has few jobs, builds_pkey is walked
  const buildsOf = (job: ReturnType<Sql>) =>
    sql`b.jobset_id = ${jobsetId} and b.job = ${job} and b.job between ${job} and ${job}`
  const rows = parseRows(
    failingRow,
    await sql`
      with
      cur as (
        select e.id from jobsetevals e
        where e.jobset_id = ${jobsetId} and e.hasnewbuilds = 1
        order by e.id desc limit 1
      ),
      bad as materialized (
        select j.job, n.id as build, n.buildstatus, g.id as good
        from jsonb_array_elements_text(${JSON.stringify(jobs)}::text::jsonb) j (job)
        cross join lateral (
          select u.id, u.finished, u.buildstatus from (
            (select b.id, b.finished, b.buildstatus from builds b
             where ${buildsOf(sql`j.job`)} and b.finished = 1 order by b.id desc limit 1)
            union all
            (select b.id, b.finished, b.buildstatus from builds b
             where ${buildsOf(sql`j.job`)} and b.finished = 0 order by b.id desc limit 1)) u
          order by u.id desc limit 1) n
        left join lateral (
          select b.id from builds b
          where ${buildsOf(sql`j.job`)} and b.finished = 1 and b.buildstatus = 0
          order by b.id desc limit 1) g on true
        where n.finished = 1 and n.buildstatus <> 0
          and exists (select 1 from jobsetevalmembers m where m.eval = (select id from cur) and m.build = n.id offset 0)
      ),
      since as materialized (
        select d.job, d.good, s.at_least,
               case when s.at_least then case when d.buildstatus not in (3, 4, 9) then d.build end else f.id end as first,
               case when s.at_least then case when d.buildstatus not in (3, 4, 9) then d.buildstatus end
                    else f.buildstatus end as first_status
        from bad d
        left join lateral (
          select w.id, w.buildstatus from (
            select b.id, b.buildstatus from builds b
            where ${buildsOf(sql`d.job`)} and b.finished = 1 and b.id > coalesce(d.good, 0)
            order by b.id limit ${maxBuilds}::int) w
          where w.buildstatus not in (3, 4, 9) limit 1) f on true
        cross join lateral (
          select f.id is null and exists (
            select 1 from builds b
            where ${buildsOf(sql`d.job`)} and b.finished = 1 and b.id > coalesce(d.good, 0)
            order by b.id offset ${maxBuilds}::int limit 1) as at_least) s
      ),
      -- next_eval: that of the finished build that came after the good one
      made as materialized (
        select s.*, m.eval as since_eval, n.eval as next_eval
        from since s
        left join lateral (
          select m.eval from jobsetevalmembers m where m.build = s.first and m.isnew = 1 limit 1) m on true
        left join lateral (
          select m.eval from jobsetevalmembers m
          where m.isnew = 1 and m.build = (
            select b.id from builds b
            where ${buildsOf(sql`s.job`)} and b.finished = 1 and b.id > s.good
            order by b.id limit 1)
          limit 1) n on true
      ),
      -- the last eval that has the good build as a member
      based as materialized (
        select s.*, case when s.good is not null then coalesce(
          (select m.eval from jobsetevalmembers m
           where m.eval = (select n.id from jobsetevals n
                           where n.jobset_id = ${jobsetId} and n.hasnewbuilds = 1 and n.id < s.next_eval
                           order by n.id desc limit 1) and m.build = s.good),
          (select max(m.eval) from jobsetevalmembers m where m.build = s.good)) end as base
        from made s
      ),
      -- and the memberless ones behind it
      run as materialized (
        select r.base, e.id, e.flake, e.timestamp
        from (select distinct base from based where base is not null) r
        left join lateral (
          select n.id from jobsetevals n
          where n.jobset_id = ${jobsetId} and n.hasnewbuilds = 1 and n.id > r.base
          order by n.id limit 1) next on true
        cross join lateral (
          select e.id, e.flake, e.timestamp from jobsetevals e
          where e.jobset_id = ${jobsetId} and e.id >= r.base and e.id < coalesce(next.id, 2147483647)
          order by e.id desc limit 1) e
      )
      select d.job, d.at_least, d.first as since_build, d.first_status as since_status,
             d.since_eval, e.flake as since_flake, e.timestamp as since_time,
             d.good as good_build, run.id as good_eval, run.flake as good_flake, run.timestamp as good_time
      from based d
      left join lateral (select e.flake, e.timestamp from jobsetevals e where e.id = d.since_eval offset 0) e on true
      left join run using (base)`,
  )
  return new Map(rows.map(row => [row.job, failingSince(row)]))
}

function failingSince(row: z.output<typeof failingRow>): FailingSince {
  const evalOf = (id: number | null, flake: string | null, timestamp: number | null) =>
    id === null || timestamp === null ? undefined : { id, flake, timestamp }
  const goodEval = evalOf(row.good_eval, row.good_flake, row.good_time)
  return {
    first:
      row.since_build === null || row.since_status === null
        ? undefined
        : {
            build: row.since_build,
            status: row.since_status,
            eval: evalOf(row.since_eval, row.since_flake, row.since_time),
          },
    atLeast: row.at_least,
    lastGood: row.good_build === null || !goodEval ? undefined : { build: row.good_build, eval: goodEval },
  }
}
