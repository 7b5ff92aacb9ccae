// Every gate between a build and a channel, with its answer: for the candidate, and for the newest eval. Pure: facts in, gates
// out. status says only the first reason (explain.ts), whose words are used here too.

import { lineOfError, OperatorError, PassingError } from '../base/errors.ts'
import { buildUrl, compareUrl, evalUrl } from '../base/links.ts'
import { count, short } from '../base/log.ts'
import { type Candidate, candidateOf, showJob } from '../channels/candidate.ts'
import { contains, type Relation } from '../channels/relation.ts'
import type { Rule } from '../channels/rule.ts'
import { buildStatusOf, UNFINISHED } from '../hydra/build-status.ts'
import type { EvalOfJobs } from '../hydra/queries/last-evals.ts'
import {
  abandoned,
  ago,
  buildFailed,
  building,
  type ChannelFacts,
  describeParting,
  evaluationFailed,
  type Found,
  held,
  jobGone,
  jobsetName,
  newestCommit,
  noTrackedBranch,
  notCached,
  notEvaluated,
  notOnBranch,
  type Stand,
  type Surroundings,
  stillToEvaluate,
  unusableFlakeref,
  withdrawn,
} from './explain.ts'

/** In the order in which a commit passes them. */
export const GATES = [
  'rule',
  'job',
  'evaluation',
  'build',
  'cache',
  'branch',
  'hold',
  'permission',
  'fast-forward',
] as const

export type GateName = (typeof GATES)[number]

/** `unknown`: it was not asked, or cannot be known */
export type State = 'open' | 'shut' | 'unknown'

export interface Answer {
  state: State
  /** in one line, with the numbers */
  text: string
  /** where to read more, in Hydra or on GitHub */
  url: string | null
}

export interface Gate {
  gate: GateName
  candidate: Answer
  newestEval: Answer
}

/** Then it is told once. */
export function hasOneAnswer({ candidate, newestEval }: Omit<Gate, 'gate'>): boolean {
  return candidate.text === newestEval.text && candidate.state === newestEval.state
}

/**
 * How a commit stands to the tip of the tracked branch; `contained`: it is in its history, and how far back is not known;
 * `unknown commit`: GitHub does not have it; undefined: not known.
 */
export type OnTracked = Relation | 'contained' | 'unknown commit' | undefined

export interface GateFacts {
  facts: ChannelFacts
  /** that makes the channel of its job */
  rule: Pick<Rule, 'branch'> | undefined
  /** why Hydra could not be asked */
  databaseAway: OperatorError | undefined
  /** whether the configuration names a cache that can be looked at */
  cache: 'none' | 'known'
  onTracked: Readonly<Record<Side, OnTracked>>
  /** when the candidate's eval was; Unix seconds */
  candidateTime: number | undefined
}

interface Asked extends GateFacts {
  around: Surroundings
  candidate: Candidate | undefined
  /** why there is none to ask about; a channel that several jobs lead to has none */
  noCandidate: string
  newest: { sha: string; eval: number } | undefined
}

type Side = 'candidate' | 'newestEval'
type Ask = (asked: Asked, side: Side) => Answer

const open = (text: string, url?: string | undefined): Answer => ({ state: 'open', text, url: url ?? null })
const unknown = (text: string, url?: string | undefined): Answer => ({
  state: 'unknown',
  text,
  url: url ?? null,
})
/** Of a reason of explain.ts. */
const shut = (found: Exclude<Found, undefined>): Answer => ({
  state: 'shut',
  text: found.message ?? '',
  url: found.url ?? null,
})

const ASK: Readonly<Record<GateName, Ask>> = {
  rule: askRule,
  job: askJob,
  evaluation: askEvaluation,
  build: askBuild,
  cache: askCache,
  branch: askBranch,
  hold: askHold,
  permission: askPermission,
  'fast-forward': askFastForward,
}

/** All gates, in their order. */
export function findGates(facts: GateFacts, around: Surroundings): Gate[] {
  const { planned } = facts.facts
  const candidate = candidateOf(planned)
  const newest = planned && newestCommit(planned, around.hosts)
  const asked = { ...facts, around, candidate, newest, noCandidate: whyNoCandidate(facts) }
  return GATES.map(gate => ({
    gate,
    candidate: ASK[gate](asked, 'candidate'),
    // the candidate may be of the newest eval
    newestEval: ASK[gate](asked, isOfCandidate(gate, asked) ? 'candidate' : 'newestEval'),
  }))
}

/** The others are asked of the newest eval also for what came after it: an evaluation that fails as a whole, new commits. */
function isOfCandidate(gate: GateName, { candidate, newest }: Asked): boolean {
  return (gate === 'cache' || gate === 'branch') && candidate !== undefined && candidate.eval === newest?.eval
}

function whyNoCandidate({ facts: { planned }, databaseAway }: GateFacts): string {
  if (databaseAway) return notKnown(databaseAway)
  if (!planned) return 'no job leads to it'
  if (planned.jobs.length > 1) return `not asked: ${count(planned.jobs.length, 'job')} lead to it`
  if (planned.candidate instanceof OperatorError) return `there is no candidate: ${planned.candidate.message}`
  return 'there is no candidate: its job has no good build'
}

function notKnown(error: OperatorError): string {
  return `not known: ${error.message}`
}

/** What a gate of Hydra cannot be asked of. */
function withoutJob({ facts: { planned }, noCandidate, candidate }: Asked, side: Side): Answer | undefined {
  if (!planned || planned.jobs.length > 1) return unknown(noCandidate)
  return side === 'candidate' && !candidate ? unknown(noCandidate) : undefined
}

function askRule({ facts, rule, databaseAway, noCandidate }: Asked): Answer {
  const { planned, ruleTrouble, channel } = facts
  if (planned && planned.jobs.length > 1) {
    const { candidate } = planned
    return shut({ message: candidate instanceof OperatorError ? lineOfError(candidate) : noCandidate })
  }
  if (planned) {
    const which = rule ? `the rule for ${rule.branch}` : `a rule for ${channel.repository}`
    return open(`${which} leads ${showJob(planned.job)} to it`)
  }
  if (databaseAway) return unknown(noCandidate)
  if (ruleTrouble) {
    const text = lineOfError(ruleTrouble)
    return ruleTrouble instanceof PassingError ? unknown(text) : shut({ message: text })
  }
  return shut(abandoned({ ...facts, away: undefined }) ?? { message: noCandidate })
}

function askJob(asked: Asked, side: Side): Answer {
  const without = withoutJob(asked, side)
  if (without) return without
  const { facts, candidate, around } = asked
  const { planned } = facts
  if (side === 'candidate' && candidate) {
    return open(`it is in eval ${candidate.eval}`, evalUrl(around.hydraUrl, candidate.eval))
  }
  const gone = jobGone(facts)
  if (gone) return shut(gone)
  const id = planned?.facts.jobset.newestEval?.id
  if (planned?.presence !== 'present' || id === undefined) {
    return unknown('not known: it could not be evaluated')
  }
  return open(`it is in eval ${id}`, evalUrl(around.hydraUrl, id))
}

function askEvaluation(asked: Asked, side: Side): Answer {
  const { facts, candidate, newest, around, candidateTime } = asked
  const { planned, tracked } = facts
  if (planned?.jobs.length === 1 && planned.candidate instanceof OperatorError) {
    const unusable = unusableFlakeref(facts, around)
    if (unusable) return shut(unusable)
  }
  const without = withoutJob(asked, side)
  if (without) return without
  const evaluated = (id: number, sha: string | undefined, time: number | undefined) => {
    const commit = sha === undefined ? '' : ` is of ${short(sha)}`
    const when = time === undefined ? '' : `, ${ago(time, around.now)}`
    return `eval ${id}${commit}${when}`
  }
  if (side === 'candidate' && candidate) {
    const text = evaluated(candidate.eval, candidate.sha, candidateTime)
    return open(text, evalUrl(around.hydraUrl, candidate.eval))
  }
  const failed = evaluationFailed(facts, around)
  if (failed) return shut(failed)
  const newestEval = planned?.facts.jobset.newestEval
  if (!newestEval) return unknown(`${jobsetName(facts)} has no eval yet`)
  const url = evalUrl(around.hydraUrl, newestEval.id)
  const late = notEvaluated(facts, around)
  if (late) return shut(late)
  const text = evaluated(newestEval.id, newest?.sha, newestEval.timestamp)
  const fresh = tracked?.unevaluated?.commits ?? 0
  return open(tracked && fresh > 0 ? `${text}; ${stillToEvaluate(fresh, tracked)}` : text, url)
}

function askBuild(asked: Asked, side: Side): Answer {
  const without = withoutJob(asked, side)
  if (without) return without
  const { facts, candidate, around } = asked
  const succeeded = (build: number) =>
    open(`build ${build} ${buildStatusOf(0).words}`, buildUrl(around.hydraUrl, build))
  if (side === 'candidate' && candidate) return succeeded(candidate.build)
  const found = buildFailed(facts, around)
  if (found) return shut(found)
  // what it will come to is not known
  const waiting = building(facts, around)
  if (waiting) return unknown(waiting.message ?? '', waiting.url)
  const build = facts.planned?.facts.job.newest?.build
  return build === undefined ? unknown('there is no build of it in the newest eval') : succeeded(build)
}

function askCache(asked: Asked, side: Side): Answer {
  const without = withoutJob(asked, side)
  if (without) return without
  const { facts, candidate, cache, around } = asked
  const url = candidate && buildUrl(around.hydraUrl, candidate.build)
  if (cache === 'none') return unknown('not asked: the configuration has no cache.url')
  if (side === 'newestEval') return unknown('not asked: only for the candidate')
  switch (facts.looked?.kind) {
    case 'seen':
      return open('its outputs are there', url)
    case 'missing':
      return shut(notCached(facts, around) ?? { message: facts.looked.why, url })
    case 'silent':
      return unknown('not known: the cache did not answer in time')
    case undefined:
      return unknown('not asked: the next reconcile would not move the channel to it')
  }
}

function askBranch(asked: Asked, side: Side): Answer {
  const without = withoutJob(asked, side)
  if (without) return without
  const { facts, candidate, newest, around, onTracked } = asked
  if (side === 'candidate') {
    const off =
      notOnBranch(facts, around) ?? (facts.offBranch && withdrawn({ ...facts, tip: undefined }, around))
    if (off) return shut(off)
  }
  if (facts.away) return unknown(notKnown(facts.away))
  const { planned, tracked, channel } = facts
  if (planned?.tracked.kind === 'other repository') {
    return shut(
      unusableFlakeref({ ...facts, planned: { ...planned, candidate: undefined } }, around) ?? {
        message: '',
      },
    )
  }
  if (!tracked) return shut({ message: noTrackedBranch(facts) })
  const sha = side === 'candidate' ? candidate?.sha : newest?.sha
  if (sha === undefined) return unknown('not asked: the newest eval names no commit of the repository')
  const relation = onTracked[side]
  if (relation === undefined) return unknown('not known: GitHub did not compare it')
  if (relation === 'unknown commit') return unknown(noSuchCommit(sha))
  const url = compareUrl(channel.repository, sha, tracked.sha, around.webUrl)
  if (relation === 'contained') return open(`${short(sha)} is in the history of ${tracked.name}`, url)
  if (!contains(relation)) {
    return shut({ message: `${short(sha)} is not in the history of ${tracked.name}`, url })
  }
  const newer = relation === 'unrelated' ? 0 : relation.aheadBy
  return newer === 0
    ? open(`${short(sha)} is the tip of ${tracked.name}`)
    : open(
        `${short(sha)} is in the history of ${tracked.name}, ${count(newer, 'commit')} before its tip`,
        url,
      )
}

function noSuchCommit(sha: string): string {
  return `not known: GitHub does not have ${short(sha)}`
}

function askHold({ facts, around, databaseAway }: Asked): Answer {
  if (facts.holds instanceof OperatorError) return unknown(lineOfError(facts.holds))
  // whether a job leads to it is another gate's, and not known without Hydra
  const found = held({ ...facts, away: undefined, ruleTrouble: facts.ruleTrouble ?? databaseAway }, around)
  return found ? shut(found) : open('nobody holds it')
}

function askPermission({ facts: { forbidden, away, channel }, databaseAway }: Asked): Answer {
  if (forbidden) return shut({ message: lineOfError(forbidden) })
  if (away && away !== databaseAway) return unknown(notKnown(away))
  return open(`GitHub names nothing that keeps us from writing to it in ${channel.repository}`)
}

function askFastForward(asked: Asked, side: Side): Answer {
  const { facts, candidate, newest, noCandidate, around } = asked
  const { tip, channel, stands } = facts
  const sha = side === 'candidate' ? candidate?.sha : newest?.sha
  const without = withoutJob(asked, side)
  if (without) return without
  if (sha === undefined) {
    return unknown(
      side === 'candidate' ? noCandidate : 'not asked: the newest eval names no commit of the repository',
    )
  }
  // the tip may be known although GitHub did not answer all that followed
  if (facts.away) return unknown(notKnown(facts.away))
  if (tip === undefined) return open(`there is no branch yet: it would be created at ${short(sha)}`)
  const url = tip === sha ? undefined : compareUrl(channel.repository, tip, sha, around.webUrl)
  return describeStand(stands[side === 'candidate' ? 'candidate' : 'newest'], sha, url)
}

function describeStand(stand: Stand, sha: string, url: string | undefined): Answer {
  if (!stand) return unknown(noSuchCommit(sha))
  if (stand === 'unrelated' || stand.status === 'diverged') {
    return shut({
      message: `${short(sha)} does not descend from the channel's commit: ${describeParting(stand, sha)}`,
      url,
    })
  }
  switch (stand.status) {
    case 'identical':
      return open(`the channel is at ${short(sha)}`)
    case 'behind':
      return open(`the channel is ${count(stand.behindBy, 'commit')} further than ${short(sha)}`, url)
    case 'ahead':
      return open(`${short(sha)} is ${count(stand.aheadBy, 'commit')} ahead of the channel`, url)
  }
}

/** An eval between the candidate's and the newest one. */
export interface Between {
  eval: number
  /** Unix seconds */
  timestamp: number
  flake: string | null
  build: number | undefined
  /** why it did not become the candidate */
  why: string
  url: string | null
}

/** So many evals are told of. */
const MAX_BETWEEN = 30

/** The newest eval, those between, and the candidate's. */
export const EVALS_LOOKED_AT = MAX_BETWEEN + 2

/**
 * Why the evals after the candidate's and before the newest did not become the candidate, newest first; without a candidate,
 * of all that came before the newest.
 *
 * @param evals the newest {@link EVALS_LOOKED_AT}
 */
export function findBetween(
  evals: readonly EvalOfJobs[],
  { job, candidate }: { job: string; candidate: Pick<Candidate, 'eval'> | undefined },
  { hydraUrl }: Pick<Surroundings, 'hydraUrl'>,
): { between: Between[]; more: boolean } {
  const after = evals.slice(1).filter(({ id }) => id > (candidate?.eval ?? 0))
  return {
    between: after.slice(0, MAX_BETWEEN).map(each => betweenOf(each, job, hydraUrl)),
    more: after.length > MAX_BETWEEN,
  }
}

function betweenOf(
  { id, timestamp, flake, builds }: EvalOfJobs,
  job: string,
  hydraUrl: string | undefined,
): Between {
  const found = builds.get(job)
  const ofEval = { eval: id, timestamp, flake }
  if (!found) {
    const url = evalUrl(hydraUrl, id) ?? null
    return {
      ...ofEval,
      build: undefined,
      why: 'it has no build of the job, which was not in the flake or could not be evaluated',
      url,
    }
  }
  const { build, finished, status } = found
  const { words, kind } = buildStatusOf(status)
  const why = !finished
    ? `build ${build} ${UNFINISHED}`
    : kind === 'succeeded'
      ? `build ${build} has succeeded by now: the next reconcile looks at it`
      : `build ${build} ${words}`
  return { ...ofEval, build, why, url: buildUrl(hydraUrl, build) ?? null }
}
