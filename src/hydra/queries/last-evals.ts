// The newest evals of a jobset, and what became of some jobs in each.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { type Eval, number, parseRows, seconds, text } from './rows.ts'

export interface EvalOfJobs extends Eval {
  /** Unix seconds */
  timestamp: number
  /** false: it changed nothing, and its builds are those of an eval before it */
  hasNewBuilds: boolean
  /** by job; none of a job that the eval's build set does not have */
  builds: ReadonlyMap<string, { build: number; finished: boolean; status: number | null }>
}

const evalRow = z.object({
  eval: idSchema,
  timestamp: seconds,
  flake: z.nullable(text),
  hasnewbuilds: number,
  /** the number of the job from 1 on, build, finished, status */
  builds: z.array(z.tuple([number, idSchema, number, z.nullable(number)])),
})

/** The newest `evals` evals of the jobset, newest first, each with the builds that these jobs have in its build set. */
export async function findLastEvals(
  sql: Sql,
  jobsetId: number,
  jobs: readonly string[],
  evals: number,
): Promise<EvalOfJobs[]> {
  // `between` beside `=` changes no answer: without it, where a Hydra has few jobs, builds_pkey is walked
  const buildsOf = sql`b.jobset_id = ${jobsetId} and b.job = j.job and b.job between j.job and j.job`
  const rows = parseRows(
    evalRow,
    await sql`
      with
      ev as materialized (
        select e.id, e.timestamp, e.flake, e.hasnewbuilds,
               case e.hasnewbuilds when 1 then e.id else (
                 select n.id from jobsetevals n
                 where n.jobset_id = ${jobsetId} and n.hasnewbuilds = 1 and n.id < e.id
                 order by n.id desc limit 1) end as base
        from (
          select id, timestamp, flake, hasnewbuilds from jobsetevals
          where jobset_id = ${jobsetId} order by id desc limit ${evals}::int) e
      ),
      -- top: no build of the set has a higher id
      base as materialized (
        select d.base, t.top
        from (select distinct base from ev where base is not null) d
        cross join lateral (
          select m.build as top from jobsetevalmembers m where m.eval = d.base order by m.build desc limit 1) t
      ),
      job as materialized (
        select job, ord from jsonb_array_elements_text(${JSON.stringify(jobs)}::text::jsonb) with ordinality j (job, ord)
      ),
      -- the job's builds since the oldest of the sets, and the one before
      cand as materialized (
        select j.ord, b.id, b.finished, b.buildstatus, lead(b.id) over (partition by j.ord order by b.id) as next
        from job j
        cross join (values (0), (1)) f (finished)
        cross join lateral (
          (select b.id, b.finished, b.buildstatus from builds b
           where ${buildsOf} and b.finished = f.finished and b.id > (select min(top) from base)
           order by b.id desc limit ${evals}::int)
          union all
          (select b.id, b.finished, b.buildstatus from builds b
           where ${buildsOf} and b.finished = f.finished and b.id <= (select min(top) from base)
           order by b.id desc limit 1)
        ) b
      ),
      -- the newest build of the job that can be in the set, if it is
      slot as materialized (
        select b.base, c.ord, c.id, c.finished, c.buildstatus
        from cand c
        join base b on b.top >= c.id and (c.next is null or b.top < c.next)
        where exists (select 1 from jobsetevalmembers m where m.eval = b.base and m.build = c.id offset 0)
      ),
      shown as materialized (
        select s.base, json_agg(json_build_array(s.ord, s.id, s.finished, s.buildstatus) order by s.ord) as builds
        from slot s group by s.base
      )
      select e.id as eval, e.timestamp, e.flake, e.hasnewbuilds, coalesce(s.builds, '[]') as builds
      from ev e left join shown s on s.base = e.base
      order by e.id desc`,
  )
  return rows.map(row => ({
    id: row.eval,
    timestamp: row.timestamp,
    flake: row.flake,
    hasNewBuilds: row.hasnewbuilds === 1,
    builds: new Map(
      row.builds.flatMap(([ord, build, finished, status]) => {
        const job = jobs[ord - 1]
        return job === undefined ? [] : [[job, { build, finished: finished === 1, status }]]
      }),
    ),
  }))
}
