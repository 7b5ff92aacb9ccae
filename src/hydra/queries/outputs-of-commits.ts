// What a job made of a commit: its good build in the newest eval of that commit, and what that build has put into the store.
import * as z from 'zod/mini'
import type { Output } from '../../base/output.ts'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { type Eval, parseRows, text } from './rows.ts'

/** `sha`: 40 digits in lower case */
export interface JobAtCommit {
  job: string
  sha: string
}

export interface BuildOfCommit {
  build: number
  /** check its flakeref: the commit may be another repository's */
  eval: Eval
  outputs: Output[]
}

/** Evals of the jobset that are looked through for a commit, from the newest on. */
export const EVALS_LOOKED_THROUGH = 3000

const outputRow = z.object({
  job: text,
  sha: text,
  /** null if none of its builds is good */
  eval: z.nullable(idSchema),
  flake: z.nullable(text),
  build: z.nullable(idSchema),
  /** null if the build has no outputs */
  name: z.nullable(text),
  path: z.nullable(text),
})

/** The key of a job and a commit in {@link findOutputsOfCommits}. */
export function jobAtCommit({ job, sha }: JobAtCommit): string {
  return `${sha} ${job}`
}

/**
 * By {@link jobAtCommit}, the good build of the job in the newest eval of the commit whose build set has one. A commit that none of
 * the newest evals is of is left out.
 */
export async function findOutputsOfCommits(
  sql: Sql,
  jobsetId: number,
  pairs: readonly JobAtCommit[],
): Promise<Map<string, BuildOfCommit | 'none is good'>> {
  const found = new Map<string, BuildOfCommit | 'none is good'>()
  if (pairs.length === 0) return found
  const rows = parseRows(
    outputRow,
    // One pass over the newest evals, however many the pairs are: no index has the flakeref. `between` beside `=` changes no
    // answer: without it, where a Hydra has few jobs, builds_pkey is walked.
    await sql`
      with
      pair as materialized (
        select distinct p ->> 0 as job, p ->> 1 as sha
        from jsonb_array_elements(${JSON.stringify(pairs.map(({ job, sha }) => [job, sha]))}::text::jsonb) p
      ),
      named as materialized (
        select e.id, e.flake, e.hasnewbuilds, e.sha from (
          select id, flake, hasnewbuilds,
                 left(case when strpos(flake, '&rev=') > 0 then substr(flake, strpos(flake, '&rev=') + 5)
                           when strpos(flake, '?rev=') > 0 then substr(flake, strpos(flake, '?rev=') + 5)
                           else split_part(flake, '/', 3) end, 40) as sha
          from (
            select id, flake, hasnewbuilds from jobsetevals
            where jobset_id = ${jobsetId} order by id desc limit ${EVALS_LOOKED_THROUGH}) l) e
        where e.sha in (select sha from pair)
      ),
      -- top: no build of the set has a higher id
      based as materialized (
        select n.id, n.flake, n.sha, b.base, t.top
        from named n
        cross join lateral (
          select case n.hasnewbuilds when 1 then n.id else (
            select p.id from jobsetevals p
            where p.jobset_id = ${jobsetId} and p.hasnewbuilds = 1 and p.id < n.id
            order by p.id desc limit 1) end as base offset 0) b
        cross join lateral (
          select m.build as top from jobsetevalmembers m where m.eval = b.base order by m.build desc limit 1) t
      ),
      found as materialized (
        select p.job, p.sha, f.eval, f.flake, f.build
        from pair p
        cross join lateral (
          select n.id as eval, n.flake, g.id as build
          from (select * from based n where n.sha = p.sha order by n.id desc) n
          -- the newest good build that can be in the set, if it is
          cross join lateral (
            select b.id from builds b
            where b.jobset_id = ${jobsetId} and b.job = p.job and b.job between p.job and p.job
              and b.finished = 1 and b.buildstatus = 0 and b.id <= n.top
            order by b.id desc limit 1) g
          where exists (select 1 from jobsetevalmembers m where m.eval = n.base and m.build = g.id offset 0)
          order by n.id desc limit 1) f
      )
      select p.job, p.sha, f.eval, f.flake, f.build, o.name, o.path
      from pair p
      left join found f on f.job = p.job and f.sha = p.sha
      left join buildoutputs o on o.build = f.build
      where p.sha in (select sha from named)
      order by p.job, p.sha, o.name`,
  )
  for (const { job, sha, eval: id, flake, build, name, path } of rows) {
    const key = jobAtCommit({ job, sha })
    if (build === null || id === null) {
      found.set(key, 'none is good')
      continue
    }
    const known = found.get(key)
    const each: BuildOfCommit =
      typeof known === 'object' ? known : { build, eval: { id, flake }, outputs: [] }
    found.set(key, each)
    if (name !== null) each.outputs.push({ name, path })
  }
  return found
}
