// What Hydra knows when one of its builds has finished: all that decides where the channels of the build's job go.
import { isCacheConfigured } from './cache.ts'
import { checkBuild } from './candidate.ts'
import { type Channel, jobsetsOf, type Rule, sameRepository } from './channel.ts'
import { OperatorError } from './errors.ts'
import type { HookOptions } from './hook.ts'
import type { BuildFinished, Output } from './hydra/event.ts'
import { findJobsetFacts, type JobFacts, type JobsetFacts } from './hydra/fleet-queries.ts'
import * as query from './hydra/queries.ts'

export interface Facts {
  /** whether the event's own build is still good */
  good: boolean
  /** those that could lead to the channels, and their jobsets with as much of their jobs as decides */
  rules: readonly Rule[]
  jobsets: JobsetFacts[]
  /** of the candidate's build, where there is a cache to prove them in */
  outputs: Output[]
}

/**
 * One look at Hydra's database: all that decides, of one moment.
 *
 * @throws OperatorError where the database cannot be asked, or does not know the build
 */
export async function lookUp(
  event: BuildFinished,
  channels: readonly Channel[],
  options: HookOptions,
): Promise<Facts> {
  const database = await options.openDatabase()
  // their jobs could lead to the channels too
  const rules = options.config.channels.filter(rule =>
    channels.some(({ repository }) => sameRepository(repository, rule.repository)),
  )
  try {
    return await database.look(async sql => {
      const building = query.findBuild(sql, event.build)
      const candidateOf = building.then(build => build && query.findCandidate(sql, build.jobsetId, build.job))
      candidateOf.catch(() => {})
      const looking = findJobsetFacts(sql, jobsetsOf(rules), async (sql, jobsetId) => {
        const [present, build, candidate] = await Promise.all([
          query.findPresentJobs(sql, jobsetId),
          building,
          candidateOf,
        ])
        const jobs: JobFacts[] = present.map(job => ({ ...job, candidate: undefined }))
        if (build?.jobsetId !== jobsetId) return jobs
        // of the other jobs only their being there matters
        const newest = present.find(({ job }) => job === build.job)?.newest
        return [...jobs.filter(({ job }) => job !== build.job), { job: build.job, newest, candidate }]
      })
      looking.catch(() => {})
      const build = await building
      checkBuild(event, build)
      const [candidate, jobsets] = await Promise.all([candidateOf, looking])
      if (build.good && build.jobsetType === 'flake' && !candidate) {
        throw new OperatorError(`build ${event.build} is in no eval of Hydra's database`)
      }
      const outputs =
        candidate && isCacheConfigured(options.config.cache)
          ? await query.findOutputs(sql, candidate.build)
          : []
      return { good: build.good, rules, jobsets, outputs }
    })
  } finally {
    // the answers are there: nothing waits for the goodbye
    database.close().catch(() => {})
  }
}
