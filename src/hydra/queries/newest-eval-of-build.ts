// The newest eval that proves a build.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { type Eval, parseRows, text } from './rows.ts'

const evalRow = z.object({ eval: z.nullable(idSchema), flake: z.nullable(text) })

/** The newest eval whose build set contains the build: the newest proof of it. Undefined if no eval has it. */
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
