// All channels at once: what the rules make of the jobs that Hydra knows. Pure: rows in, a plan out.

import { OperatorError, operatorErrorOf, PassingError } from '../base/errors.ts'
import { count } from '../base/log.ts'
import { type EvaluationErrors, lastError, parseEvaluationErrors } from '../hydra/evaluation-error.ts'
import type { TrackedRef } from '../hydra/flakeref.ts'
import type { JobFacts } from '../hydra/queries/candidates.ts'
import type { FoundJobset, JobsetFacts } from '../hydra/queries/jobset-facts.ts'
import {
  ambiguous,
  type Candidate,
  type JobName,
  judgeCandidate,
  missingJobset,
  showJob,
} from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import { channelsOfJobs, isIgnored, type MadeChannel, type Rule } from './rule.ts'
import { prefixOf } from './template.ts'
import { trackedRefOf } from './tracked-ref.ts'

/**
 * How a job stands to the newest eval: in its build set; kept out of it by an error of its own, which passes; or gone
 * from the flake. A channel whose job is gone may move forward, but is not created. Where its branch is ignored, a job that
 * only an error of the whole keeps out counts as gone.
 */
export type Presence = 'present' | 'evaluation-failed' | 'gone'

export interface PlannedChannel {
  channel: Channel
  job: JobName
  /** more than one if the channel is ambiguous */
  jobs: JobName[]
  presence: Presence
  /** its job is gone, and a rule says that the branch is somebody else's: it is left alone */
  ignored?: true
  /** undefined if the job has no good build; an error if the channel cannot be judged */
  candidate: Candidate | undefined | OperatorError
  /** other names of the repository, as GitHub says (other-name.ts) */
  alsoCalled?: readonly string[]
  /** what the branches begin with that the rule makes */
  prefix: string
  /** what the candidate must be in the history of */
  tracked: TrackedRef
  /** `evaluationError`: what kept the job from being evaluated in the newest eval */
  facts: { jobset: FoundJobset; job: JobFacts; evaluationError: string | undefined }
}

export interface Plan {
  channels: PlannedChannel[]
  /** rules that match nothing, and jobs that get no valid channel */
  problems: { rule: Rule; error: OperatorError; of: 'the rule' | 'its jobs' }[]
  /** by channel: branches with names that Nix cannot write in a flakeref, which are not moved any more */
  former?: ReadonlyMap<string, FormerChannel>
}

export interface FormerChannel {
  channel: Channel
  prefix: string
  job: JobName
  /** the channel that its job leads to instead, or why it leads to none */
  instead: string | OperatorError
}

/**
 * The repositories and prefixes of the rules and of recorded channels, each once: a request for each says where the channels
 * are.
 */
export function prefixesOf(
  rules: readonly Rule[],
  recorded: readonly { repository: string; prefix: string }[] = [],
): { repository: string; prefix: string }[] {
  const found = [
    ...rules.map(rule => ({ repository: rule.repository, prefix: prefixOf(rule.template) })),
    ...recorded.map(({ repository, prefix }) => ({ repository, prefix })),
  ]
  return [...new Map(found.map(each => [prefixKey(each), each])).values()]
}

export function prefixKey({ repository, prefix }: { repository: string; prefix: string }): string {
  return `${repository.toLowerCase()}:${prefix}`
}

/** Of a rule that has trouble with more jobs than this, the others are counted. */
const MAX_TROUBLES = 10

/** @param hosts of which the flakerefs of the evals must have one: `github.com` */
export function planFleet(
  rules: readonly Rule[],
  jobsets: readonly JobsetFacts[],
  hosts: readonly string[],
): Plan {
  const problems: Plan['problems'] = []
  const feeders = new Map<string, { channel: Channel; jobs: Map<string, Feeder> }>()
  const errors = new Map<FoundJobset, EvaluationErrors>()
  const former = new Map<string, FormerChannel>()

  for (const rule of rules) {
    const facts = jobsets.find(({ project, jobset }) => project === rule.project && jobset === rule.jobset)
    if (!facts?.found) {
      problems.push({ rule, of: 'the rule', error: missingJobset(rule, facts?.renamedTo) })
      continue
    }
    const jobset = facts.found
    // a long text, and a jobset may have many rules
    const failed = errors.get(jobset) ?? parseEvaluationErrors(jobset.newestEval?.error ?? '')
    errors.set(jobset, failed)
    const jobs = jobsIn(jobset, failed)
    const made = tryRule(rule, [...jobs.keys()])
    if (made instanceof OperatorError) {
      problems.push({ rule, of: 'the rule', error: made })
      continue
    }
    if (made.length === 0) {
      const error = jobset.newestEval ? matchesNothing(rule) : notEvaluated(rule, jobset)
      problems.push({ rule, of: 'the rule', error })
    }
    const troubles: OperatorError[] = []
    for (const { job: jobName, made: channelMade } of made) {
      const name = { project: rule.project, jobset: rule.jobset, job: jobName }
      const job = jobs.get(jobName)
      if (!job) continue
      const evaluationError = failed.find(jobName)
      const presence = presenceOf(job, evaluationError)
      const instead =
        channelMade.kind === 'channel' ? channelMade.branch : unnameable(name, rule, channelMade)
      // Hydra remembers every job that was ever good: what is wrong with the name of one that is gone is over
      if (channelMade.formerly !== undefined && presence !== 'gone') {
        const channel = { repository: rule.repository, branch: channelMade.formerly }
        former.set(channelKey(channel), { channel, prefix: prefixOf(rule.template), job: name, instead })
      }
      if (instead instanceof OperatorError) {
        if (presence !== 'gone') troubles.push(instead)
        continue
      }
      const channel = { repository: rule.repository, branch: instead }
      const key = channelKey(channel)
      // the first spelling of a repository counts
      const entry = feeders.get(key) ?? { channel, jobs: new Map() }
      feeders.set(key, entry)
      // two rules may make the same channel of the same job
      const same = entry.jobs.get(showJob(name))
      if (same && same.rule.ref !== rule.ref) troubles.push(twoRefs(channel, same.rule))
      if (same) continue
      // an error of the whole names no job: this one may no longer exist, and its branch may be somebody else's
      const isUnknown = presence === 'evaluation-failed' && !failed.jobs.has(jobName)
      const counted = isUnknown && isIgnored(rules, channel) ? 'gone' : presence
      entry.jobs.set(showJob(name), { name, job, jobset, presence: counted, evaluationError, rule })
    }
    const more = troubles.length - MAX_TROUBLES
    const said = more > 0 ? [...troubles.slice(0, MAX_TROUBLES), moreOf(rule, more)] : troubles
    problems.push(...said.map(error => ({ rule, of: 'its jobs' as const, error })))
  }
  const channels = [...feeders.values()].map(({ channel, jobs }) =>
    planChannel(channel, [...jobs.values()], hosts),
  )
  return {
    channels: channels.map(each => (isLeft(each, rules) ? { ...each, ignored: true } : each)),
    problems,
    former,
  }
}

/** A host may have gone to another Hydra, and taken its branch along. */
function isLeft({ channel, presence }: PlannedChannel, rules: readonly Rule[]): boolean {
  return presence === 'gone' && isIgnored(rules, channel)
}

interface Feeder {
  name: JobName
  job: JobFacts
  jobset: FoundJobset
  presence: Presence
  evaluationError: string | undefined
  rule: Rule
}

/** With those that the newest eval names only in its error, because it could not evaluate them and nothing is older. */
function jobsIn({ jobs }: FoundJobset, failed: EvaluationErrors): Map<string, JobFacts> {
  const found = new Map(jobs.map(job => [job.job, job]))
  for (const job of failed.jobs) {
    if (!found.has(job)) found.set(job, { job, newest: undefined, candidate: undefined })
  }
  return found
}

/** One rule that takes too long on a name leaves the others alone. */
function tryRule(rule: Rule, jobs: readonly string[]): ReturnType<typeof channelsOfJobs> | OperatorError {
  try {
    return channelsOfJobs(rule, jobs)
  } catch (error) {
    return operatorErrorOf(error)
  }
}

function presenceOf({ newest }: JobFacts, evaluationError: string | undefined): Presence {
  if (newest) return 'present'
  return evaluationError === undefined ? 'gone' : 'evaluation-failed'
}

/**
 * A job that is not in the newest build set counts only while no other leads to the channel, so that a host may change its
 * system; whatever the text of an error says, which others write, and which may name any job or mean all.
 */
function planChannel(channel: Channel, jobs: readonly Feeder[], hosts: readonly string[]): PlannedChannel {
  const there = jobs.filter(({ presence }) => presence === 'present')
  const [first, ...others] = there.length > 0 ? there : lastOf(jobs)
  if (!first) throw new Error(`no job leads to ${channelKey(channel)}`)
  const { name, job, jobset, presence, evaluationError, rule } = first
  const names = [first, ...others].map(each => each.name)
  const expected = { hosts, repository: channel.repository }
  const tracked = trackedRefOf(rule.ref, jobset.flake, expected)
  const prefix = prefixOf(rule.template)
  const planned = {
    channel,
    job: name,
    jobs: names,
    presence,
    prefix,
    tracked,
    facts: { jobset, job, evaluationError },
  }
  if (names.length > 1) return { ...planned, candidate: ambiguous(names) }
  try {
    const candidate = judgeCandidate(
      name,
      { jobsetType: jobset.type, candidate: job.candidate, newestEval: jobset.newestEval },
      expected,
    )
    return { ...planned, candidate }
  } catch (error) {
    return { ...planned, candidate: operatorErrorOf(error) }
  }
}

/**
 * Of jobs that are not there one counts, as their number cannot be reduced: one that may come back, rather one that was good;
 * or the one that was good last.
 */
function lastOf(jobs: readonly Feeder[]): Feeder[] {
  const rankOf = ({ presence, job }: Feeder) =>
    presence === 'gone'
      ? [0, job.candidate?.eval.id ?? 0, job.candidate?.build ?? 0]
      : [job.candidate ? 2 : 1, 0, 0]
  let [last] = jobs
  for (const each of jobs.slice(1)) {
    if (!last) continue
    const [rank, best] = [rankOf(each), rankOf(last)]
    const at = rank.findIndex((value, index) => value !== best[index])
    const isAfter = at < 0 ? showJob(each.name) < showJob(last.name) : (rank[at] ?? 0) > (best[at] ?? 0)
    if (isAfter) last = each
  }
  return last ? [last] : []
}

function twoRefs({ branch, repository }: Channel, { ref }: Rule): OperatorError {
  return new OperatorError(`${repository} ${branch}: two rules make it, with different values of ref`, {
    hint: `the first one counts (${ref === undefined ? 'without ref' : `ref ${ref}`}): remove one of the two rules`,
  })
}

/** A new jobset has no eval for minutes, and one whose first evaluation fails has none until that is mended. */
function notEvaluated({ project, jobset }: Rule, { enabled, error }: FoundJobset): PassingError {
  const why = error ? `: ${lastError(error.text)}` : enabled ? '' : ': it is disabled'
  return new PassingError(`${project}:${jobset} is not evaluated yet${why}`)
}

function matchesNothing({ branch, project, jobset, job }: Rule): OperatorError {
  return new OperatorError(`the rule for ${branch} matches no job of ${project}:${jobset}: “${job}”`, {
    hint: 'correct job in the rule, or remove the rule',
  })
}

/** A job that a rule cannot make a channel of. */
export function unnameable(
  job: JobName,
  { repository }: Rule,
  { why, formerly }: Extract<MadeChannel, { kind: 'invalid' }>,
): OperatorError {
  return new OperatorError(`${showJob(job)}: cannot name a channel in ${repository}: ${why}`, {
    hint: [
      'correct the rule, or make its job leave this one out',
      ...(formerly === undefined ? [] : [`if there is a branch ${formerly}, it is not moved any more`]),
    ],
  })
}

function moreOf({ project, jobset, branch }: Rule, more: number): OperatorError {
  return new OperatorError(
    `the rule for ${branch} has such trouble with ${count(more, 'more job')} of ${project}:${jobset}`,
    { hint: 'correct the rule, or make its job leave them out' },
  )
}
