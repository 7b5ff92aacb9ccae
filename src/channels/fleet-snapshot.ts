// Hydra's half of what reconcile and status start from.

import type { Config } from '../config.ts'
import type { Database } from '../hydra/database.ts'
import type { JobsetFacts } from '../hydra/queries/jobset-facts.ts'
import { jobsetsOf } from './rule.ts'

/** All jobsets of the rules, with all of their jobs, of one moment. */
export async function lookUpFleet({
  config,
  database,
}: {
  config: Config
  database: Database
}): Promise<JobsetFacts[]> {
  const [{ findJobsetFacts }, { findJobStates }] = await Promise.all([
    import('../hydra/queries/jobset-facts.ts'),
    import('../hydra/queries/candidates.ts'),
  ])
  return database.look(sql => findJobsetFacts(sql, jobsetsOf(config.channels), findJobStates))
}
