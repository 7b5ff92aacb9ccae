// Since when there has been a job.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { parseRows, seconds, text } from './rows.ts'

const firstRow = z.object({ job: text, build: idSchema, queued: seconds })

export interface FirstBuild {
  build: number
  /** Unix seconds */
  queuedTime: number
}

/** Of each of the jobs the first build that Hydra still has; a job without any is left out. */
export async function findFirstBuilds(
  sql: Sql,
  jobsetId: number,
  jobs: readonly string[],
): Promise<Map<string, FirstBuild>> {
  if (jobs.length === 0) return new Map()
  // as in failing-since.ts: without `between`, where a Hydra has few jobs, builds_pkey is walked
  const firstOf = (finished: 0 | 1) => sql`
    (select b.id, b.timestamp from builds b
     where b.jobset_id = ${jobsetId} and b.job = j.job and b.job between j.job and j.job and b.finished = ${finished}
     order by b.id limit 1)`
  const rows = parseRows(
    firstRow,
    await sql`
      select j.job, f.id as build, f.timestamp as queued
      from jsonb_array_elements_text(${JSON.stringify(jobs)}::text::jsonb) j (job)
      cross join lateral (
        select u.id, u.timestamp from (${firstOf(1)} union all ${firstOf(0)}) u order by u.id limit 1) f`,
  )
  return new Map(rows.map(({ job, build, queued }) => [job, { build, queuedTime: queued }]))
}
