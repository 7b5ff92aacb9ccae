// The newest eval of a jobset.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { type Eval, parseRows, seconds, text, wholeLines } from './rows.ts'

/** It may have megabytes. */
const MAX_ERROR = 1024 * 1024

const evaluationRow = z.object({
  eval: idSchema,
  flake: z.nullable(text),
  timestamp: seconds,
  error: text,
})

export interface Evaluation extends Eval {
  /** Unix seconds */
  timestamp: number
  /** what could not be evaluated (evaluation-error.ts); '' if everything could */
  error: string
}

/** The jobset's newest eval, good or not; undefined if it has none. */
export async function findNewestEval(sql: Sql, jobsetId: number): Promise<Evaluation | undefined> {
  const [row] = parseRows(
    evaluationRow,
    await sql`
      select e.id as eval, e.flake, e.timestamp, coalesce(left(r.errormsg, ${MAX_ERROR}::int), '') as error
      from (select * from jobsetevals where jobset_id = ${jobsetId} order by id desc limit 1) e
      left join evaluationerrors r on r.id = e.evaluationerror_id`,
  )
  return (
    row && {
      id: row.eval,
      flake: row.flake,
      timestamp: row.timestamp,
      error: wholeLines(row.error, MAX_ERROR),
    }
  )
}
