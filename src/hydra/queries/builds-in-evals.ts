// What became of one job in some evals, wherever they are in the jobset's history.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import type { NewestBuild } from './present-jobs.ts'
import { number, parseRows } from './rows.ts'

const buildRow = z.object({
  eval: idSchema,
  build: idSchema,
  finished: number,
  buildstatus: z.nullable(number),
})

/** The job's build in the build set of each of these evals of the jobset; evals without one are left out. */
export async function findBuildsInEvals(
  sql: Sql,
  jobsetId: number,
  job: string,
  evals: readonly number[],
): Promise<Map<number, NewestBuild>> {
  if (evals.length === 0) return new Map()
  // `between` beside `=` changes no answer: without it, where a Hydra has few jobs, builds_pkey is walked
  const buildsOf = sql`b.jobset_id = ${jobsetId} and b.job = ${job} and b.job between ${job} and ${job}`
  const rows = parseRows(
    buildRow,
    await sql`
      with
      ev as materialized (
        select e.id, case e.hasnewbuilds when 1 then e.id else (
                 select n.id from jobsetevals n
                 where n.jobset_id = ${jobsetId} and n.hasnewbuilds = 1 and n.id < e.id
                 order by n.id desc limit 1) end as base
        from jsonb_array_elements_text(${JSON.stringify(evals)}::text::jsonb) w (id)
        cross join lateral (
          select e.id, e.hasnewbuilds from jobsetevals e
          where e.id = w.id::int and e.jobset_id = ${jobsetId} offset 0) e
      ),
      -- top: no build of the set has a higher id
      based as materialized (
        select ev.id, ev.base, t.top from ev
        cross join lateral (
          select m.build as top from jobsetevalmembers m where m.eval = ev.base order by m.build desc limit 1) t
      )
      select d.id as eval, f.id as build, f.finished, f.buildstatus
      from based d
      -- the newest build of the job that can be in the set, if it is
      cross join lateral (
        select u.id, u.finished, u.buildstatus from (
          (select b.id, b.finished, b.buildstatus from builds b
           where ${buildsOf} and b.finished = 1 and b.id <= d.top order by b.id desc limit 1)
          union all
          (select b.id, b.finished, b.buildstatus from builds b
           where ${buildsOf} and b.finished = 0 and b.id <= d.top order by b.id desc limit 1)) u
        order by u.id desc limit 1) f
      where exists (select 1 from jobsetevalmembers m where m.eval = d.base and m.build = f.id offset 0)`,
  )
  return new Map(
    rows.map(({ eval: id, build, finished, buildstatus }) => [
      id,
      { build, finished: finished === 1, status: buildstatus },
    ]),
  )
}
