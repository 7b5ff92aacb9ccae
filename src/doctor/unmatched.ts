// Jobs that no rule matches, and what a rule may have meant that matches none. Most jobsets have jobs without a channel.
import { OperatorError } from '../base/errors.ts'
import { count, cut } from '../base/log.ts'
import { nearest } from '../base/nearest.ts'
import { MAX_JOB_LENGTH } from '../channels/job-pattern.ts'
import { channelsOfJobs, type Rule } from '../channels/rule.ts'
import type { FoundJobset, JobsetFacts } from '../hydra/queries/jobset-facts.ts'
import { someOf } from './check.ts'

/** Of others' names, of any length. */
const MAX_NAME = 80

/** What to do about a rule that matches no job of the newest eval: its jobs, nearest first; nothing if it matches one. */
export function explainNoMatch(rule: Rule, found: FoundJobset): string[] {
  const jobs = presentJobs(found)
  if (jobs.length === 0 || unmatched([rule], jobs)?.length !== jobs.length) return []
  return [`${rule.project}:${rule.jobset} has ${count(jobs.length, 'job')}: ${nearestOf(rule, jobs)}`]
}

/** For each jobset some of the jobs without a channel. If its rules match nothing at all, each of them says so. */
export function explainUnmatched(rules: readonly Rule[], jobsets: readonly JobsetFacts[]): string[] {
  return jobsets.flatMap(({ project, jobset, found }) => {
    const [first, ...more] = rules.filter(rule => rule.project === project && rule.jobset === jobset)
    if (!first || !found) return []
    const jobs = presentJobs(found)
    const left = unmatched([first, ...more], jobs) ?? []
    if (left.length === 0 || left.length === jobs.length) return []
    return [
      `no rule matches ${count(left.length, 'job')} of ${project}:${jobset}: ${nearestOf(first, left)}; if one of them should have a channel, add a rule for it`,
    ]
  })
}

/** Without those whose names are too long for any rule. */
function presentJobs({ jobs }: FoundJobset): string[] {
  return jobs.flatMap(({ job, newest }) => (newest && job.length <= MAX_JOB_LENGTH ? [job] : []))
}

/** undefined if a rule takes too long, which its own check says */
function unmatched(rules: readonly Rule[], jobs: readonly string[]): string[] | undefined {
  const matched = new Set<string>()
  try {
    for (const rule of rules) for (const { job } of channelsOfJobs(rule, jobs)) matched.add(job)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return undefined
  }
  return jobs.filter(job => !matched.has(job))
}

function nearestOf(rule: Rule, jobs: readonly string[]): string {
  return someOf(nearest(literalOf(rule.job), jobs, jobs.length).map(job => cut(job, MAX_NAME)))
}

/** `nixos-host.x86_64-linux` of `nixos-(?<host>[^/]*)\.x86_64-linux`: a name such as the pattern is meant for. */
function literalOf(pattern: string): string {
  return pattern.replaceAll(/[^\w.-]/g, '')
}
