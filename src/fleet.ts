// All channels at once: what the rules make of the jobs that Hydra knows. Pure: rows in, a plan out.

import { distance } from 'fastest-levenshtein'
import { ambiguous, type Candidate, type JobName, judgeCandidate, showJob } from './candidate.ts'
import { type Channel, channelKey, channelOfJob, type Rule } from './channel.ts'
import { OperatorError, UsageError } from './errors.ts'
import { findEvaluationError } from './hydra/evaluation-error.ts'

/** A jobset of a rule, as Hydra's database has it (fleet-queries.ts). */
export interface JobsetFacts {
  project: string
  jobset: string
  found:
    | { kind: 'missing'; renamedTo: string | undefined }
    | {
        kind: 'found'
        type: 'flake' | 'legacy'
        newestEval: { id: number; flake: string | null; error: string } | undefined
        jobs: readonly JobFacts[]
      }
}

export interface JobFacts {
  job: string
  newest: { build: number; finished: boolean; status: number | null } | undefined
  candidate: { build: number; eval: { id: number; flake: string | null } } | undefined
}

/**
 * How a job stands to the newest eval: in its build set; kept out of it by an error of its own, which passes; or gone
 * from the flake. A channel whose job is gone may move forward, but is not created.
 */
export type Presence = 'present' | 'evaluation-failed' | 'gone'

export interface PlannedChannel {
  channel: Channel
  job: JobName
  presence: Presence
  /** undefined where the job has no good build; an error where the channel cannot be judged */
  candidate: Candidate | undefined | OperatorError
}

export interface Plan {
  channels: PlannedChannel[]
  /** rules that lead nowhere, and jobs that make no valid channel */
  problems: OperatorError[]
  /** of each rule, what all its channels begin with: `nixos-tested-` */
  prefixes: { repository: string; prefix: string }[]
}

/** `nixos-tested-` of `nixos-tested-{host}` */
function literalPrefix({ branch }: Pick<Rule, 'branch'>): string {
  return branch.split('{')[0] ?? ''
}

export function planFleet(rules: readonly Rule[], jobsets: readonly JobsetFacts[], host: string): Plan {
  const problems: OperatorError[] = []
  const prefixes = new Map<string, { repository: string; prefix: string }>()
  const feeders = new Map<string, { channel: Channel; jobs: Feeder[] }>()

  for (const rule of rules) {
    const prefix = literalPrefix(rule)
    prefixes.set(`${rule.repository.toLowerCase()}:${prefix}`, { repository: rule.repository, prefix })
    const facts = jobsets.find(({ project, jobset }) => project === rule.project && jobset === rule.jobset)
    if (facts?.found.kind !== 'found') {
      problems.push(missingJobset(rule, facts?.found.kind === 'missing' ? facts.found.renamedTo : undefined))
      continue
    }
    let matched = false
    for (const job of facts.found.jobs) {
      const made = channelOfJob(rule, job.job)
      if (!made) continue
      matched = true
      const name = { project: rule.project, jobset: rule.jobset, job: job.job }
      if (made.kind === 'invalid') {
        problems.push(
          new OperatorError(`cannot name a channel for ${showJob(name)} in ${rule.repository}: ${made.why}`),
        )
        continue
      }
      const channel = { repository: rule.repository, branch: made.branch }
      const key = channelKey(channel)
      const entry = feeders.get(key) ?? { channel, jobs: [] }
      feeders.set(key, entry)
      // two rules may make the same channel of the same job
      if (!entry.jobs.some(each => showJob(each.name) === showJob(name))) {
        entry.jobs.push({ name, job, facts, presence: presenceOf(job, facts.found.newestEval?.error ?? '') })
      }
    }
    if (!matched) {
      problems.push(
        new OperatorError(
          `the rule for ${rule.branch} matches no job of ${rule.project}:${rule.jobset}: “${rule.job}”`,
          {
            hint: 'correct job in the rule, or take the rule out of the configuration',
          },
        ),
      )
    }
  }
  return {
    channels: [...feeders.values()].map(({ channel, jobs }) => planChannel(channel, jobs, host)),
    problems,
    prefixes: [...prefixes.values()],
  }
}

interface Feeder {
  name: JobName
  job: JobFacts
  facts: JobsetFacts
  presence: Presence
}

function presenceOf(job: JobFacts, evaluationError: string): Presence {
  if (job.newest) return 'present'
  return findEvaluationError(evaluationError, job.job) === undefined ? 'gone' : 'evaluation-failed'
}

/** A job that is in the newest eval counts before one that is not, so that a host may change its system. */
function planChannel(channel: Channel, jobs: readonly Feeder[], host: string): PlannedChannel {
  const order: Presence[] = ['present', 'evaluation-failed', 'gone']
  const presence = order.find(each => jobs.some(job => job.presence === each)) ?? 'gone'
  const [first, ...others] = jobs.filter(job => job.presence === presence)
  if (!first) throw new Error(`no job leads to ${channelKey(channel)}`)
  const planned = { channel, job: first.name, presence }
  if (others.length > 0) {
    return { ...planned, candidate: ambiguous([first, ...others].map(({ name }) => name)) }
  }
  const { found } = first.facts
  if (found.kind !== 'found') return { ...planned, candidate: undefined }
  try {
    const candidate = judgeCandidate(
      first.name,
      { jobsetType: found.type, candidate: first.job.candidate, newestEval: found.newestEval },
      { repository: channel.repository, host },
    )
    return { ...planned, candidate }
  } catch (error) {
    if (error instanceof OperatorError) return { ...planned, candidate: error }
    throw error
  }
}

function missingJobset({ project, jobset }: Rule, renamedTo: string | undefined): OperatorError {
  return renamedTo === undefined
    ? new OperatorError(`Hydra has no jobset ${project}:${jobset}, which a rule names`, {
        hint: 'correct project and jobset in the rule',
      })
    : new OperatorError(`the jobset ${project}:${jobset} is called ${project}:${renamedTo} now`, {
        hint: `put ${renamedTo} into the rule`,
      })
}

/**
 * The channels that were asked for, each as a branch, or as `owner/repo:branch` where two repositories have it.
 *
 * @throws UsageError for a name that no channel or more than one has
 */
export function selectChannels(
  channels: readonly PlannedChannel[],
  names: readonly string[],
): PlannedChannel[] {
  if (names.length === 0) return [...channels]
  return names.map(name => {
    const found = channels.filter(
      ({ channel }) => channel.branch === name || channelKey(channel) === keyOf(name),
    )
    const [only, ...others] = found
    if (only && others.length === 0) return only
    const full = (found.length > 0 ? found : channels).map(
      ({ channel }) => `${channel.repository}:${channel.branch}`,
    )
    if (only) {
      throw new UsageError(`${name} is a channel in ${found.length} repositories`, { hint: full })
    }
    const nearest = channels
      .map(({ channel }) => channel.branch)
      .sort((a, b) => distance(a, name) - distance(b, name))
      .slice(0, 3)
    throw new UsageError(`there is no channel ${name}`, {
      hint: nearest.length > 0 ? `did you mean ${nearest.join(', ')}?` : 'the rules make no channel at all',
    })
  })
}

/** The repository of `owner/repo:branch` in any spelling. */
function keyOf(name: string): string {
  const [repository = '', ...branch] = name.split(':')
  return `${repository.toLowerCase()}:${branch.join(':')}`
}
