// The jobs that are in a jobset now.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { number, parseRows, text } from './rows.ts'

const jobRow = z.object({
  job: text,
  build: idSchema,
  finished: number,
  buildstatus: z.nullable(number),
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
