// What Hydra's database says at one moment: of one job for the hook, of all jobs for reconcile and status.

import { OperatorError } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import type { Database } from '../hydra/database.ts'
import type { BuildFinished } from '../hydra/event.ts'
import { findBuild } from '../hydra/queries/build.ts'
import { findCandidate, findJobStates, type JobFacts } from '../hydra/queries/candidates.ts'
import { findNewName } from '../hydra/queries/jobset.ts'
import { findJobsetFacts, type JobsetFacts } from '../hydra/queries/jobset-facts.ts'
import { findPresentJobs } from '../hydra/queries/present-jobs.ts'
import { checkBuild } from './candidate.ts'
import type { Channel } from './channel.ts'
import { jobsetsOf, type Rule } from './rule.ts'

export interface Facts {
  /** whether the event's own build is still good */
  good: boolean
  /** those that could lead to the channels, and their jobsets with as much of their jobs as decides */
  rules: readonly Rule[]
  jobsets: JobsetFacts[]
}

/**
 * One look at Hydra's database: all that decides, of one moment.
 *
 * @throws OperatorError if the database cannot be asked, or does not know the build
 */
export async function lookUpJob(
  event: BuildFinished,
  channels: readonly Channel[],
  { rules: all, database }: { rules: readonly Rule[]; database: Database },
): Promise<Facts> {
  // their jobs could lead to the channels too
  const rules = all.filter(rule =>
    channels.some(({ repository }) => sameRepository(repository, rule.repository)),
  )
  return database.look(async sql => {
    const building = findBuild(sql, event.build)
    const candidateOf = building.then(build => build && findCandidate(sql, build.jobsetId, build.job))
    candidateOf.catch(() => {})
    const presentOf = building.then(build => (build ? findPresentJobs(sql, build.jobsetId) : []))
    presentOf.catch(() => {})
    const looking = findJobsetFacts(sql, jobsetsOf(rules), async (sql, jobsetId) => {
      const [build, own] = await Promise.all([building, presentOf])
      const isOwn = build?.jobsetId === jobsetId
      const isThere = own.some(({ job }) => job === build?.job)
      const [known, candidate] = await Promise.all([
        // of jobs that are not there, the one counts that may come back, or that was good last
        !isThere ? findJobStates(sql, jobsetId) : isOwn ? own : findPresentJobs(sql, jobsetId),
        candidateOf,
      ])
      // of jobs beside one that is there, only their being there matters
      const jobs = new Map<string, JobFacts>(known.map(job => [job.job, { candidate: undefined, ...job }]))
      // neither there nor good, if it is built again: the channel is its own all the same
      if (build && isOwn) {
        jobs.set(build.job, { job: build.job, newest: jobs.get(build.job)?.newest, candidate })
      }
      return [...jobs.values()]
    })
    looking.catch(() => {})
    const build = await building
    const renamedTo =
      build && build.jobset !== event.jobset ? await findNewName(sql, event.project, event.jobset) : undefined
    checkBuild(event, build, renamedTo)
    const [candidate, jobsets] = await Promise.all([candidateOf, looking])
    if (build.good && build.jobsetType === 'flake' && !candidate) {
      throw new OperatorError(`build ${event.build} is in no eval of Hydra's database`)
    }
    return { good: build.good, rules, jobsets }
  })
}

/** All jobsets of the rules, with all of their jobs, of one moment. */
export async function lookUpFleet({
  rules,
  database,
}: {
  rules: readonly Rule[]
  database: Database
}): Promise<JobsetFacts[]> {
  return database.look(sql => findJobsetFacts(sql, jobsetsOf(rules), findJobStates))
}
