// All that decides about the jobsets of rules, put together from several queries.
import type { Sql } from '../database.ts'
import type { JobFacts } from './candidates.ts'
import { findJobset, type Jobset } from './jobset.ts'
import { type Evaluation, findNewestEval } from './newest-eval.ts'

export interface FoundJobset extends Jobset {
  newestEval: Evaluation | undefined
  jobs: readonly JobFacts[]
}

/** A jobset of a rule, with all that decides about its jobs. */
export interface JobsetFacts {
  project: string
  jobset: string
  /** undefined if there is none */
  found: FoundJobset | undefined
  /** the name that it has now */
  renamedTo?: string | undefined
}

/**
 * All that decides about the jobsets of rules.
 *
 * @param findJobs which of their jobs: of all jobs all, or of one job what the hook needs
 */
export function findJobsetFacts(
  sql: Sql,
  jobsets: readonly { project: string; jobset: string }[],
  findJobs: (sql: Sql, jobsetId: number) => Promise<JobFacts[]>,
): Promise<JobsetFacts[]> {
  return Promise.all(
    jobsets.map(async ({ project, jobset }): Promise<JobsetFacts> => {
      const found = await findJobset(sql, project, jobset)
      if ('renamedTo' in found) return { project, jobset, found: undefined, renamedTo: found.renamedTo }
      const [newestEval, jobs] = await Promise.all([findNewestEval(sql, found.id), findJobs(sql, found.id)])
      return { project, jobset, found: { ...found, newestEval, jobs } }
    }),
  )
}
