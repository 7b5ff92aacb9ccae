// One build, as the hook and get-flake-commit ask for it.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { number, parseRows, text } from './rows.ts'

const buildRow = z.object({
  build: idSchema,
  project: text,
  jobset: text,
  jobset_id: idSchema,
  type: number,
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

/** The build; undefined if Hydra has no build of that id. */
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
