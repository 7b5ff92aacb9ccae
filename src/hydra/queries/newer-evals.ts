// Since when there is something newer than a commit.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { parseFlakeref } from '../flakeref.ts'
import { parseRows, seconds, text } from './rows.ts'

const sinceRow = z.object({ sha: text, flake: z.nullable(text), since: z.nullable(seconds) })

/** Evals that are looked through for a commit, from the newest on. */
const MAX_EVALS = 3000

/**
 * Since when the jobset has had something newer than a commit: the time, in Unix seconds, of the first eval after the
 * newest eval of that commit; undefined if that is the newest. Commits without an eval are left out.
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
