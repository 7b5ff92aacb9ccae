// Which eval was of a commit, and what came after it.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { parseFlakeref } from '../flakeref.ts'
import { type Eval, parseRows, seconds, text } from './rows.ts'

const evalRow = z.object({
  sha: text,
  eval: idSchema,
  flake: z.nullable(text),
  timestamp: seconds,
  since: z.nullable(seconds),
})

/** Evals that are looked through for a commit, from the newest on. */
const MAX_EVALS = 3000

export interface EvalOfCommit extends Eval {
  /** Unix seconds */
  timestamp: number
  /** since when the jobset has had something newer: the time of the eval after it; undefined if it is the newest */
  newerSince: number | undefined
}

/** The newest eval of each of these commits; commits without an eval are left out. */
export async function findEvalsOfCommits(
  sql: Sql,
  jobsetId: number,
  shas: readonly string[],
): Promise<Map<string, EvalOfCommit>> {
  if (shas.length === 0) return new Map()
  const rows = parseRows(
    evalRow,
    // in one pass, however many the commits are; a regular expression takes ten times as long
    await sql`
      with recent as materialized (
        select e.id, e.flake, e.timestamp, lead(e.timestamp) over (order by e.id) as since,
               left(case when strpos(e.flake, '&rev=') > 0 then substr(e.flake, strpos(e.flake, '&rev=') + 5)
                         when strpos(e.flake, '?rev=') > 0 then substr(e.flake, strpos(e.flake, '?rev=') + 5)
                         else split_part(e.flake, '/', 3) end, 40) as sha
        from (
          select id, flake, timestamp from jobsetevals
          where jobset_id = ${jobsetId} order by id desc limit ${MAX_EVALS}) e
      )
      select distinct on (sha) sha, id as eval, flake, timestamp, since from recent
      where sha in ${sql([...shas])}
      order by sha, id desc`,
  )
  return new Map(
    rows
      .filter(({ sha, flake }) => {
        const flakeref = parseFlakeref(flake ?? '')
        return flakeref.kind === 'locked' && flakeref.rev === sha
      })
      .map(({ sha, eval: id, flake, timestamp, since }) => [
        sha,
        { id, flake, timestamp, newerSince: since ?? undefined },
      ]),
  )
}
