// Why a channel is not at the newest commit of the branch that its jobset follows. Pure: facts in, one reason out, the
// first that holds.

import { lineOfError, OperatorError, PassingError } from '../base/errors.ts'
import {
  buildUrl,
  compareUrl,
  evalUrl,
  forceCommand,
  jobsetUrl,
  journalCommand,
  RELEASE_ALL,
  releaseCommand,
} from '../base/links.ts'
import { count, short } from '../base/log.ts'
import type { Look } from '../base/output.ts'
import { sameRepository, showRepository } from '../base/repository-name.ts'
import { relativeTime, spanInWords } from '../base/time.ts'
import { decide } from '../channels/advance.ts'
import { candidateOf } from '../channels/candidate.ts'
import type { Channel } from '../channels/channel.ts'
import { nameChannel } from '../channels/channel-name.ts'
import { ifMoving } from '../channels/dry-run.ts'
import { describeHold, type Hold } from '../channels/holds.ts'
import type { PlannedChannel } from '../channels/plan.ts'
import { contains, type Relation } from '../channels/relation.ts'
import { describeOffBranch, type OffBranch } from '../channels/verdict.ts'
import { type BuildStatus, buildStatusOf, UNFINISHED } from '../hydra/build-status.ts'
import { lastError } from '../hydra/evaluation-error.ts'
import { parseFlakeref, showFlakeref } from '../hydra/flakeref.ts'
import type { FailingSince } from '../hydra/queries/failing-since.ts'
import type { FoundJobset } from '../hydra/queries/jobset-facts.ts'
import type { Failure } from '../state/last-reconcile.ts'
import type { Reason } from './shape.ts'
import type { DescribedCommit } from './survey.ts'

/** So long may Hydra take to look at a new commit. */
const EVALUATION_MINUTES = 30

/** The tracked branch, or the commit that the jobset is pinned to. */
export interface Tracked {
  kind: 'branch' | 'commit'
  /** `main` */
  name: string
  sha: string
  /** its commits that the newest eval does not have; undefined: not known */
  unevaluated: { commits: number; oldest: string | undefined } | undefined
}

/** How a commit stands to a channel's tip; undefined: there is none of the two, or GitHub does not have it. */
export type Stand = Relation | undefined

export interface ChannelFacts {
  channel: Channel
  /** undefined of a branch that no job leads to */
  planned: PlannedChannel | undefined
  /** if no job leads to the branch: what is wrong with the rule that could make it */
  ruleTrouble?: OperatorError | undefined
  /** the same: why the job that it had leads to another channel now */
  successor?: string | undefined
  /** no rule names the repository any more */
  unruled?: boolean
  /** the one that ends last first; an error if one cannot be read: then it may be one */
  holds: readonly Hold[] | OperatorError
  /** what could not be asked, so that all that follows is not known */
  away?: OperatorError | undefined
  /** undefined if there is no such branch */
  tip: string | undefined
  /** how the newest commit of the tracked branch, the newest eval's and the candidate stand to the tip */
  stands: { tracked: Stand; newest: Stand; candidate: Stand }
  /** whether there ever was an eval of the tip */
  evaluated: boolean
  /** the candidate is not in the history of the tracked branch */
  offBranch: OffBranch | undefined
  /** why GitHub would not let us move it */
  forbidden: OperatorError | undefined
  /** undefined if the branch is not there */
  tracked: Tracked | undefined
  /** whether the candidate is in the cache; undefined: that was not looked for */
  looked: Look | undefined
  /** what the last reconcile that tried could not do about it */
  failure?: Failure | undefined
  /** since when its job fails */
  failing?: FailingSince | undefined
}

export interface Surroundings {
  now: Date
  /** of which flakerefs must have one: `github.com` */
  hosts: readonly string[]
  /** for links: `https://github.com` */
  webUrl: string
  hydraUrl: string | undefined
  /** of the configuration */
  dryRun: boolean
  /** whether reconcile copies what is not in the cache: the configuration has `cache.unit` */
  copies: boolean
  /** what people know commits by; those that a failure began with */
  commits: ReadonlyMap<string, DescribedCommit>
}

export interface Explanation {
  reason: Reason
  message: string | null
  url: string | null
}

export type Found = { message: string | null; url?: string | undefined } | undefined
type Check = (facts: ChannelFacts, around: Surroundings) => Found

/** In the order of REASONS, but that what is not known comes before all that would have to be asked. */
const CHECKS: readonly (readonly [Reason, Check])[] = [
  ['held', held],
  ['unknown', notKnown],
  ['withdrawn', withdrawn],
  ['not-on-branch', notOnBranch],
  ['diverged', diverged],
  ['ambiguous', ambiguous],
  // before what GitHub forbids: nothing would move it
  ['abandoned', abandoned],
  ['no-permission', noPermission],
  ['job-gone', jobGone],
  ['evaluation-failed', unlessNewest(alsoMoving(evaluationFailed))],
  ['not-evaluated', unlessNewest(alsoMoving(notEvaluated))],
  ['unusable-flakeref', unusableFlakeref],
  ['build-failed', unlessNewest(alsoMoving(buildEnded('build-failed')))],
  ['build-timed-out', unlessNewest(alsoMoving(buildEnded('build-timed-out')))],
  ['dependency-failed', unlessNewest(alsoMoving(buildEnded('dependency-failed')))],
  ['build-aborted', unlessNewest(alsoMoving(buildEnded('build-aborted')))],
  ['not-cached', unlessNewest(notCached)],
  ['failed', unlessNewest(failed)],
  ['building', unlessNewest(alsoMoving(building))],
  ['behind', unlessNewest(behind)],
]

export function explain(facts: ChannelFacts, around: Surroundings): Explanation {
  for (const [reason, check] of CHECKS) {
    const found = check(facts, around)
    if (found) return { reason, message: found.message, url: found.url ?? null }
  }
  if (isNewest(facts)) return { reason: 'up-to-date', message: null, url: null }
  return { reason: 'unknown', message: noTrackedBranch(facts), url: null }
}

export function noTrackedBranch(facts: ChannelFacts): string {
  return `the branch that ${jobsetName(facts)} follows is not in ${facts.channel.repository}: correct the flake of the jobset`
}

export function held(facts: ChannelFacts, around: Surroundings): Found {
  const { holds, channel, away } = facts
  if (!(holds instanceof OperatorError) && holds.length === 0) return undefined
  const left = abandoned(facts)
  const more = away ? `; ${lineOfError(away)}` : left ? `; ${left.message}` : ''
  if (holds instanceof OperatorError) return { message: `${lineOfError(holds)}${more}` }
  const isOfAll = ({ scope }: Hold) => scope === 'all'
  const what = holds
    .map(
      each =>
        `${isOfAll(each) ? 'all channels are held' : 'held'} ${describeHold(each, around.now.getTime())}`,
    )
    .join(', and ')
  const commands = holds
    .map(each => (isOfAll(each) ? RELEASE_ALL : releaseCommand(nameChannel(channel))))
    .join(' and ')
  const [end, let_, it] = [
    holds.length > 1 ? 'end that' : 'ends that',
    holds.length > 1 ? 'let' : 'lets',
    holds.every(isOfAll) ? 'them' : 'it',
  ]
  const release = left ? `${commands} ${end}` : ifMoving(`${commands} ${let_} ${it} move again`, around)
  return { message: `${what}: ${release}${more}` }
}

function notKnown({ away, forbidden, planned, ruleTrouble }: ChannelFacts): Found {
  if (away && !forbidden) return { message: lineOfError(away) }
  const isTrouble = !planned && ruleTrouble && !(ruleTrouble instanceof PassingError)
  return isTrouble ? { message: lineOfError(ruleTrouble) } : undefined
}

/** Taken back: main was reset, or its history rewritten. */
export function withdrawn(facts: ChannelFacts, { hosts, webUrl, dryRun }: Surroundings): Found {
  const { tip, channel, evaluated, offBranch } = facts
  const newest = outsideOf(facts, hosts)
  // what never was evaluated was not taken back: somebody else put it there
  if (tip !== undefined && newest && evaluated) {
    return {
      message: `its commit ${short(tip)} was taken back: it is not in the history of ${short(newest.sha)}, the commit of the newest eval ${newest.eval}; ${wayOut(facts, webUrl)}`,
      url: compareUrl(channel.repository, tip, newest.sha, webUrl),
    }
  }
  if (offBranch?.kind !== 'withdrawn') return undefined
  return {
    message: describeOffBranch(offBranch, { dryRun }).join('; '),
    url: compareUrl(channel.repository, offBranch.sha, offBranch.newest.sha, webUrl),
  }
}

/** The tracked branch was reset, and Hydra has not evaluated it since; or the jobset follows no branch. */
export function notOnBranch(
  { offBranch, channel, tracked }: ChannelFacts,
  { webUrl, dryRun }: Surroundings,
): Found {
  if (offBranch?.kind !== 'not-on-branch') return undefined
  return {
    message: describeOffBranch(offBranch, { dryRun }).join('; '),
    url: tracked && compareUrl(channel.repository, offBranch.sha, tracked.sha, webUrl),
  }
}

/** It has commits that are in no history that Hydra built. */
function diverged(facts: ChannelFacts, { hosts, webUrl }: Surroundings): Found {
  const { tip, stands, channel, planned } = facts
  const candidate = candidateOf(planned)
  const parted = stands.candidate === 'unrelated' || stands.candidate?.status === 'diverged'
  const from = parted && candidate ? candidate.sha : outsideOf(facts, hosts)?.sha
  if (tip === undefined || from === undefined) return undefined
  const stand = parted ? stands.candidate : stands.newest
  return {
    message: `it is at ${short(tip)} and not in the history of ${short(from)}: ${describeParting(stand, from)}; ${wayOut(facts, webUrl)}`,
    url: compareUrl(channel.repository, tip, from, webUrl),
  }
}

/** `3 commits only in the channel, 1 commit only in 4444444` */
export function describeParting(stand: Stand, sha: string): string {
  return typeof stand === 'object'
    ? `${count(stand.behindBy, 'commit')} only in the channel, ${count(stand.aheadBy, 'commit')} only in ${short(sha)}`
    : 'they have no common history'
}

/** Only ever to a commit that is built. */
function wayOut({ planned, channel, offBranch }: ChannelFacts, webUrl: string): string {
  const candidate = candidateOf(planned)
  if (!candidate || offBranch) {
    return 'nothing that it could be put to instead is built yet'
  }
  return `to give up what only the channel has: ${forceCommand(channel, candidate.sha, webUrl)}`
}

/** The newest eval's commit, if the channel's commit is neither in its history nor in the tracked branch's. */
function outsideOf({ tip, planned, stands, tracked }: ChannelFacts, hosts: readonly string[]) {
  const newest = planned && newestCommit(planned, hosts)
  if (tip === undefined || !newest || tip === newest.sha || tip === tracked?.sha) return undefined
  // what GitHub did not compare decides nothing
  if (!stands.newest) return undefined
  return contains(stands.newest) || contains(stands.tracked) ? undefined : newest
}

function ambiguous({ planned }: ChannelFacts): Found {
  return planned && planned.candidate instanceof OperatorError && planned.jobs.length > 1
    ? { message: lineOfError(planned.candidate) }
    : undefined
}

function noPermission({ forbidden }: ChannelFacts): Found {
  return forbidden && { message: lineOfError(forbidden) }
}

/** Hosts may follow it, so nothing here says to delete it. */
const retire = (how: string) => `when no host follows it any more, ${how}, and it is no longer shown`
const IGNORE = retire('name it in channels[].ignore')
const UNINSTALL = retire("take the repository out of the App's installation")

/** A rule could make it, or did, and none makes it of a job that Hydra knows. */
export function abandoned({ planned, ruleTrouble, away, successor, unruled, channel }: ChannelFacts): Found {
  if (planned || ruleTrouble || away) return undefined
  if (successor !== undefined) return { message: `${successor}; ${IGNORE}` }
  const why = unruled ? `no rule names ${channel.repository} now` : 'no job leads to it now'
  return {
    message: `${why}, so it stays where it is, and so do hosts that follow it; ${unruled ? UNINSTALL : IGNORE}`,
  }
}

/** Hydra knows its job, because it was good once, and the newest eval does not have it. */
export function jobGone({ planned }: ChannelFacts): Found {
  if (planned?.presence !== 'gone') return undefined
  return {
    message: `the job ${planned.job.job} is not in the newest eval of ${planned.job.project}:${planned.job.jobset}: was it removed from the flake? If so, ${IGNORE}`,
  }
}

/** Of the job, or of the whole jobset as long as that is current: then there is no eval at all. */
export function evaluationFailed({ planned }: ChannelFacts, { hydraUrl, now }: Surroundings): Found {
  if (!planned) return undefined
  const { jobset } = planned.facts
  const fatal = fatalError(jobset)
  if (planned.presence === 'evaluation-failed' && jobset.newestEval) {
    const { id } = jobset.newestEval
    const text = planned.facts.evaluationError ?? 'without a message'
    return { message: `eval ${id} could not evaluate it: ${text}`, url: evalUrl(hydraUrl, id) }
  }
  if (!fatal) return undefined
  return {
    message: `the evaluation of ${jobsetName({ planned })} fails, last ${ago(fatal.time, now)}: ${errorWords(jobset)}; see ${journalCommand('hydra-evaluator')}`,
    url: jobsetUrl(hydraUrl, planned.job),
  }
}

export function notEvaluated(
  { planned, tracked, ruleTrouble }: ChannelFacts,
  { now, hydraUrl, hosts }: Surroundings,
): Found {
  if (!planned && ruleTrouble instanceof PassingError) return { message: lineOfError(ruleTrouble) }
  const fresh = tracked?.unevaluated
  if (!planned || !fresh) return undefined
  const newest = newestCommit(planned, hosts)
  const reset = fresh.commits === 0 && newest !== undefined && newest.sha !== tracked.sha
  const age = fresh.oldest === undefined ? 0 : now.getTime() - Date.parse(fresh.oldest)
  if (!reset && (fresh.commits === 0 || age < EVALUATION_MINUTES * 60_000)) return undefined
  const { jobset } = planned.facts
  const what = reset
    ? tracked.kind === 'commit'
      ? `the jobset is pinned to ${tracked.name}, which Hydra has not evaluated`
      : `${tracked.name} was reset to ${short(tracked.sha)}, which is older than the newest eval's commit, and Hydra has not evaluated that`
    : `Hydra has not evaluated ${count(fresh.commits, 'commit')} of ${tracked.name}${fresh.oldest === undefined ? '' : `, which it has had for ${spanInWords(age)}`}`
  const waits = waitsFor(jobset)
  if (waits) {
    return {
      message: `${what}; the jobset is evaluated one at a time, and waits for ${waits.words}`,
      url: buildUrl(hydraUrl, waits.build),
    }
  }
  const checked =
    jobset.lastCheckedTime === undefined
      ? 'it was never checked'
      : `it was last checked ${ago(jobset.lastCheckedTime, now)}`
  const how = !jobset.enabled
    ? 'the jobset or its project is disabled: enable it'
    : jobset.checkIntervalSeconds === 0
      ? `the jobset has no check interval, so only a webhook or a person starts an evaluation; ${checked}`
      : `the jobset is checked every ${jobset.checkIntervalSeconds} s, and ${checked}: is hydra-evaluator running?`
  const error = jobset.error?.current ? `; its error: ${errorWords(jobset)}` : ''
  return {
    message: `${what}; ${how}${error}`,
    url: jobsetUrl(hydraUrl, planned.job),
  }
}

/** A jobset that is evaluated one at a time is looked at again when all builds of its last eval have ended. */
const waitsFor = oncePerJobset(({ enabled, oneAtATime, jobs }) => {
  if (!enabled || !oneAtATime) return undefined
  const [first, ...others] = jobs.flatMap(({ job, newest }) =>
    newest && !newest.finished ? [{ job, build: newest.build }] : [],
  )
  if (!first) return undefined
  const more = others.length === 0 ? '' : ` and ${count(others.length, 'other')}`
  return { words: `build ${first.build} of ${first.job}${more}`, build: first.build }
})

/** Of the error of the whole jobset: a long text. */
const errorWords = oncePerJobset(({ error }) => lastError(error?.text ?? ''))

/** Thousands of channels may ask. */
function oncePerJobset<Found>(ask: (jobset: FoundJobset) => Found): (jobset: FoundJobset) => Found {
  const known = new WeakMap<FoundJobset, { found: Found }>()
  return jobset => {
    const answer = known.get(jobset) ?? { found: ask(jobset) }
    known.set(jobset, answer)
    return answer.found
  }
}

export function unusableFlakeref(
  { planned, channel }: ChannelFacts,
  { hydraUrl, hosts }: Surroundings,
): Found {
  if (!planned) return undefined
  const url = jobsetUrl(hydraUrl, planned.job)
  if (planned.candidate instanceof OperatorError) return { message: lineOfError(planned.candidate), url }
  const { flake } = planned.facts.jobset
  if (planned.tracked.kind !== 'other repository') return undefined
  const followed = flake === null ? 'no flake' : showFlakeref(flake)
  return {
    message: `${jobsetName({ planned })} follows ${followed} now, which is not ${showRepository(hosts, channel.repository)}: correct the rule or the flake of the jobset, or name the branch in the rule (channels[].ref)`,
    url,
  }
}

function buildEnded(kind: Exclude<BuildStatus['kind'], 'succeeded'>): Check {
  return (facts, around) => {
    const newest = facts.planned?.facts.job.newest
    if (!newest?.finished || buildStatusOf(newest.status).kind !== kind) return undefined
    return buildFailed(facts, around)
  }
}

/** Of its newest build, if that ended and not well. */
export function buildFailed({ planned, failing }: ChannelFacts, around: Surroundings): Found {
  const { hydraUrl, dryRun } = around
  const newest = planned?.facts.job.newest
  if (!newest?.finished) return undefined
  const status = buildStatusOf(newest.status)
  if (status.kind === 'succeeded') return undefined
  const todo = status.todo ?? ifMoving('the channel moves with the next good build', { dryRun })
  const since = planned && failing && describeFailing(planned, failing, newest.build, around)
  return {
    message: `${since === undefined ? '' : `${since}; `}build ${newest.build} ${status.words}; ${todo}`,
    url: buildUrl(hydraUrl, newest.build),
  }
}

/** `failing for 5 days, since build 189 of commit abc1234 “router: nftables rewrite” by Alice` */
function describeFailing(
  planned: PlannedChannel,
  { first, atLeast }: FailingSince,
  newestBuild: number,
  { now, hosts, commits }: Surroundings,
): string | undefined {
  // aborted and cancelled builds say nothing of the commit
  if (!first?.eval) return undefined
  const sha = commitOf(planned, first.eval.flake, hosts)
  const of = sha === undefined ? `eval ${first.eval.id}` : `commit ${describeCommit(sha, commits.get(sha))}`
  const since = first.build === newestBuild ? of : `build ${first.build} of ${of}`
  const long = spanInWords(now.getTime() - first.eval.timestamp * 1000)
  return `failing for ${atLeast ? 'more than ' : ''}${long}, since ${since}${atLeast ? ' or before' : ''}`
}

/** `abc1234 “router: nftables rewrite” by Alice` */
export function describeCommit(sha: string, commit: DescribedCommit | undefined): string {
  if (!commit) return short(sha)
  return `${short(sha)} “${commit.subject}”${commit.author === undefined ? '' : ` by ${commit.author}`}`
}

export function notCached(facts: ChannelFacts, around: Surroundings): Found {
  const { looked, planned } = facts
  if (looked?.kind !== 'missing' || !planned || planned.candidate instanceof OperatorError) return undefined
  const { candidate } = planned
  const message = describeMissing(looked, candidate?.sha, facts, around)
  return { message, url: candidate && buildUrl(around.hydraUrl, candidate.build) }
}

/** Until a reconcile has tried to copy it, nobody has to look after it. */
function describeMissing(
  { why, absent }: Extract<Look, { kind: 'missing' }>,
  sha: string | undefined,
  { failure, holds, forbidden, offBranch }: ChannelFacts,
  around: Surroundings,
): string {
  if (absent === undefined || !around.copies) return why
  if (failure !== undefined && failure.sha === sha && !failure.dryRun) {
    // what the cache answered after the copy, or why there was none
    return failure.message.includes(absent) ? why : `${absent}; ${describeFailure(failure, around.now)}`
  }
  const isFree = !(holds instanceof OperatorError) && holds.length === 0 && !forbidden && !offBranch
  return isFree
    ? `${absent}; ${ifMoving('the next reconcile copies it, and moves the channel', around)}`
    : absent
}

/** Whatever it was, the channel has not moved since. */
function failed({ failure, planned, tip, stands }: ChannelFacts, { hydraUrl, now }: Surroundings): Found {
  const candidate = candidateOf(planned)
  if (!failure || !candidate) return undefined
  // what was built since may move
  if (failure.sha !== candidate.sha || !couldMove(tip, stands.candidate)) return undefined
  return {
    message: describeFailure(failure, now),
    url: buildUrl(hydraUrl, candidate.build),
  }
}

/** A dry run finds a branch in the way, a permission that is missing, or GitHub away, and copies nothing. */
function describeFailure({ sha, at, message, dryRun }: Failure, now: Date): string {
  const when = relativeTime(Date.parse(at), now.getTime())
  return dryRun
    ? `the last reconcile, a dry run ${when}, could not have moved it to ${short(sha)}: ${message}`
    : `the last reconcile, ${when}, could not move it to ${short(sha)}: ${message}`
}

export function building({ planned }: ChannelFacts, { hydraUrl, now }: Surroundings): Found {
  const newest = planned?.facts.job.newest
  if (!newest || newest.finished) return undefined
  const { queuedTime } = newest
  const how =
    queuedTime === undefined
      ? UNFINISHED
      : `has been queued or running for ${spanInWords(now.getTime() - queuedTime * 1000)}`
  return {
    message: `build ${newest.build} ${how}`,
    url: buildUrl(hydraUrl, newest.build),
  }
}

function behind({ planned, tip, tracked, stands, failure }: ChannelFacts, around: Surroundings): Found {
  if (!planned || planned.candidate instanceof OperatorError) return undefined
  const { candidate } = planned
  if (candidate && couldMove(tip, stands.candidate)) {
    const before = failure ? `; ${describeFailure(failure, around.now)}` : ''
    return {
      message: `${ifMoving(`the next reconcile moves it to ${short(candidate.sha)}`, around)}${before}`,
    }
  }
  if (!candidate && tip === undefined) return { message: 'its job has no good build yet' }
  // it is not known what the channel is behind
  if (!tracked) return undefined
  const fresh = tracked.unevaluated?.commits ?? 0
  return {
    message:
      fresh > 0
        ? stillToEvaluate(fresh, tracked)
        : `it is not at ${tracked.name}, and no newer commit has a good build of its job`,
  }
}

export function stillToEvaluate(commits: number, { name }: Pick<Tracked, 'name'>): string {
  return `Hydra has still to evaluate ${count(commits, 'commit')} of ${name}`
}

/** Whether reconcile would move the channel to its candidate. */
export function couldMove(tip: string | undefined, candidate: Stand): boolean {
  if (tip === undefined) return true
  return candidate !== undefined && decide({ tip, relation: candidate }, '').kind !== 'leave'
}

/** The newest commit is not good, but an older one is, and the channel is not there yet either. */
function alsoMoving(check: Check): Check {
  return (facts, around) => {
    const found = check(facts, around)
    const { planned, tip, stands, failure } = facts
    const candidate = candidateOf(planned)
    if (!found || !candidate || !couldMove(tip, stands.candidate)) return found
    const how =
      notCached(facts, around)?.message ??
      (failure?.sha === candidate.sha
        ? describeFailure(failure, around.now)
        : ifMoving(`the next reconcile moves it to ${short(candidate.sha)}, the newest that is good`, around))
    return { ...found, message: `${found.message}; until then ${how}` }
  }
}

/** What keeps a channel from going on does not matter to one that is at the newest commit. */
function unlessNewest(check: Check): Check {
  return (facts, around) => (isNewest(facts) ? undefined : check(facts, around))
}

function isNewest({ tip, tracked }: ChannelFacts): boolean {
  return tip !== undefined && tip === tracked?.sha
}

/** The newest eval's commit; undefined if it has none of this repository. */
export function newestCommit(
  planned: PlannedChannel,
  hosts: readonly string[],
): { sha: string; eval: number } | undefined {
  const { newestEval } = planned.facts.jobset
  const sha = commitOf(planned, newestEval?.flake, hosts)
  return newestEval && sha !== undefined ? { sha, eval: newestEval.id } : undefined
}

/** The commit of an eval's flakeref; undefined if that has none of the channel's repository. */
export function commitOf(
  { channel, alsoCalled = [] }: PlannedChannel,
  flake: string | null | undefined,
  hosts: readonly string[],
): string | undefined {
  if (!flake) return undefined
  const flakeref = parseFlakeref(flake)
  return flakeref.kind === 'locked' &&
    hosts.includes(flakeref.host) &&
    [channel.repository, ...alsoCalled].some(name => sameRepository(flakeref.repository, name))
    ? flakeref.rev
    : undefined
}

/** An evaluation that failed as a whole leaves no eval. Its error is never removed, so it counts only while it is current. */
function fatalError({ error, newestEval }: FoundJobset) {
  return error?.current && error.time > (newestEval?.timestamp ?? 0) ? error : undefined
}

export function jobsetName({ planned }: Pick<ChannelFacts, 'planned'>): string {
  return planned ? `${planned.job.project}:${planned.job.jobset}` : 'the jobset'
}

/** Unix seconds */
export function ago(seconds: number, now: Date): string {
  return relativeTime(seconds * 1000, now.getTime())
}
