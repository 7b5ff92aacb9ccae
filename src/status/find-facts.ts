// What Hydra and GitHub know of every channel. Both are asked side by side, and if one of them is away, the other's answers
// are still there.

import { LATER, OperatorError, operatorErrorOf, PermissionError } from '../base/errors.ts'
import type { Look, Output } from '../base/output.ts'
import { isoOfSeconds } from '../base/time.ts'
import {
  describeUnlisted,
  findTip,
  listTips,
  possibleChannels,
  strayBranches,
  type Tips,
} from '../channels/branches.ts'
import { type Candidate, candidateOf } from '../channels/candidate.ts'
import { type Channel, channelKey } from '../channels/channel.ts'
import { selectChannels } from '../channels/channel-name.ts'
import { BYPASS } from '../channels/forge.ts'
import { findHolds, type Hold } from '../channels/holds.ts'
import { resolveNames } from '../channels/other-name.ts'
import { type Plan, type PlannedChannel, planFleet, prefixesOf } from '../channels/plan.ts'
import { findRecorded, isRuled, type RecordedBranch } from '../channels/recorded.ts'
import { contains } from '../channels/relation.ts'
import type { Rule } from '../channels/rule.ts'
import { checkWritable } from '../channels/safeguards.ts'
import { lookUpFleet } from '../channels/snapshot.ts'
import { offBranch } from '../channels/verdict.ts'
import type { Database } from '../hydra/database.ts'
import type { EvalOfCommit } from '../hydra/queries/evals-of-commits.ts'
import type { FailingSince } from '../hydra/queries/failing-since.ts'
import type { FirstBuild } from '../hydra/queries/first-builds.ts'
import { readStamp } from '../state/last-reconcile.ts'
import { ByJobset } from './by-jobset.ts'
import { type Answer, compareAll } from './comparisons.ts'
import { describeCommits } from './describe-commits.ts'
import { type ChannelFacts, commitOf, couldMove, newestCommit, type Surroundings } from './explain.ts'
import type { Survey, Surveys } from './survey.ts'
import {
  type Compared,
  createFindTracked,
  type FindTracked,
  isAncestorIn,
  type TrackedFound,
} from './tracked-branch.ts'

export interface LookOptions {
  rules: readonly Rule[]
  /** of which flakerefs of the rules' repositories must have one: `github.com` */
  hosts: readonly string[]
  /** for links: `https://github.com` */
  webUrl: string
  hydraUrl: string | undefined
  stateDirectory: string
  /** of the configuration */
  dryRun: boolean
  /** whether the configuration has `cache.unit` */
  copies: boolean
  /** of the configuration: how long after one reconcile the next begins */
  intervalMs: number | undefined
  /** says an error with what to do about it, and goes on */
  report: (error: unknown) => void
  openGitHub: () => Promise<Surveys>
  /** whether outputs are in the cache; undefined: there is no cache to look at */
  look: ((outputs: readonly Output[]) => Promise<Look>) | undefined
  /** channels as given on the command line; empty: all */
  only: readonly string[]
  database: Database
  now: Date
}

/** A channel and its tip: undefined if there is no such branch, an error if GitHub did not answer. */
interface Entry {
  channel: Channel
  /** undefined if no job leads to the branch, or if the database is away */
  planned: PlannedChannel | undefined
  tip: string | undefined | Error
  ruleTrouble?: OperatorError | undefined
  successor?: string
}

/** What is known of one channel. */
export interface FoundChannel {
  facts: ChannelFacts
  /** of its tip; ISO 8601 */
  committedAt: string | undefined
  /** since when there is something newer than its commit; ISO 8601 */
  since: string | undefined
  /** how the tracked branch stands to a commit; undefined: there is none, or GitHub could not be asked */
  compareFrom: TrackedFound['compareFrom'] | undefined
  /** the same of the candidate, as far as it had to be found out */
  candidateOnTracked: Compared | 'contained' | undefined
}

export interface FoundFleet {
  /** where it was asked */
  github: Surveys
  /** when the last reconcile ended; ISO 8601 */
  lastReconcile: string | undefined
  channels: FoundChannel[]
  around: Surroundings
  /** why Hydra could not be asked */
  databaseAway: OperatorError | undefined
}

/**
 * The facts of all channels, or of some.
 *
 * @throws UsageError for a channel that there is not; OperatorError if neither Hydra nor GitHub could be asked
 */
export async function findFacts(options: LookOptions): Promise<FoundFleet> {
  const { rules, hosts, report } = options
  const github = await options.openGitHub()
  const stamp = readStamp(options.stateDirectory)
  const before = stamp?.channels ?? []
  const [jobsets, tips] = await Promise.all([
    lookUpFleet(options).catch(operatorErrorOf),
    listTips(github, prefixesOf(rules, before)),
  ])
  const recorded = await findRecorded(before, { tips, rules, repository: github.repository })
  const databaseAway = jobsets instanceof OperatorError ? jobsets : undefined
  const asPlanned = planFleet(
    databaseAway ? [] : rules,
    jobsets instanceof OperatorError ? [] : jobsets,
    hosts,
  )
  const channels = asPlanned.channels.map(each =>
    resolveNames(each, github.repository(each.channel.repository)),
  )
  const plan = { ...asPlanned, channels: await Promise.all(channels) }
  const entries = databaseAway
    ? possibleChannels(tips, rules, recorded).map(entry => ({ ...entry, planned: undefined }))
    : [
        ...(await Promise.all(plan.channels.map(planned => entryOf(planned, tips)))).filter(
          isOfInterest(recorded),
        ),
        ...strayBranches(plan, tips, rules, recorded).map(stray => ({ ...stray, planned: undefined })),
      ]
  if (databaseAway) report(databaseAway)
  reportSilent({ tips, plan, entries, report })
  for (const line of describeUnlisted(tips)) report(new OperatorError(line))
  if (databaseAway && [...tips.values()].every(({ branches }) => branches instanceof Error)) {
    throw new OperatorError('neither Hydra nor GitHub could be asked', { hint: LATER })
  }
  const selected = selectChannels(entries, options.only, rules)
  return {
    github,
    lastReconcile: stamp?.finishedAt ?? undefined,
    databaseAway,
    ...(await findChannels(selected, { databaseAway, stamp }, github, options)),
  }
}

async function entryOf(planned: PlannedChannel, tips: Tips): Promise<Entry> {
  return { channel: planned.channel, planned, tip: await findTip(tips, planned.channel, planned.prefix) }
}

/** Hydra remembers every job that was ever good; one that is gone, and has no branch that we know of, is over. */
function isOfInterest(recorded: readonly RecordedBranch[]): (entry: Entry) => boolean {
  const keys = new Set(recorded.map(({ channel }) => channelKey(channel)))
  return ({ planned, channel, tip }) => {
    if (planned?.presence !== 'gone') return true
    if (planned.ignored) return false
    return tip instanceof Error ? keys.has(channelKey(channel)) : tip !== undefined
  }
}

/** An error of a list or of a rule is said of its channels; if it has none, here, and once. */
function reportSilent({
  tips,
  plan,
  entries,
  report,
}: {
  tips: Tips
  plan: Plan
  entries: readonly Entry[]
  report: (error: unknown) => void
}): void {
  const said = new Set(
    entries.flatMap(({ tip, ruleTrouble }) =>
      [tip, ruleTrouble].map(each => each instanceof Error && each.message),
    ),
  )
  const lists = [...tips.values()].map(({ branches }) => branches)
  for (const error of [...plan.problems.map(each => each.error), ...lists]) {
    if (!(error instanceof Error) || said.has(error.message)) continue
    said.add(error.message)
    report(error)
  }
}

/** Asks about all channels at once what one alone would have to ask for itself. */
async function findChannels(
  entries: readonly Entry[],
  { databaseAway, stamp }: { databaseAway: OperatorError | undefined; stamp: ReturnType<typeof readStamp> },
  github: Surveys,
  options: LookOptions,
): Promise<Pick<FoundFleet, 'channels' | 'around'>> {
  const { hosts, webUrl, hydraUrl, stateDirectory, dryRun, copies, look, now } = options
  const report = onceEach(options.report)
  const tracked = createFindTracked(github, hosts)
  const [answers, hydra] = await Promise.all([
    compareEntries(entries, tracked, github, hosts, report),
    databaseAway ? NOTHING_MORE : lookAgain(entries, options),
  ])
  // people know a commit by its subject, and ask its author
  const failingSince = entries.map(({ channel: { repository }, planned }) => ({
    repository,
    sha: planned && commitOf(planned, hydra.failing(planned)?.first?.eval?.flake, hosts),
  }))
  const commits = await describeCommits(failingSince, github, report)
  const around = { now, hosts, webUrl, hydraUrl, dryRun, copies, commits }
  const channels = await Promise.all(
    entries.map(async (entry): Promise<FoundChannel> => {
      const { channel, planned } = entry
      const answer = answers.get(channelKey(channel))
      const repository = github.repository(channel.repository)
      const onGitHub = await factsOf(entry, answer, tracked, repository, hosts).catch(operatorErrorOf)
      const { compareFrom, candidateOnTracked, ...known }: GitHubFacts =
        onGitHub instanceof OperatorError ? { ...notKnown(entry), away: onGitHub } : onGitHub
      const { tip, stands } = known
      const candidate = candidateOf(planned)
      const evaluated = planned && tip !== undefined ? hydra.evalOf(planned, tip) : undefined
      const toCopy = candidate && !known.away && couldMove(tip, stands.candidate)
      const failure = stamp?.failures[channelKey(channel)]
      const facts: ChannelFacts = {
        ...known,
        channel,
        planned,
        ruleTrouble: entry.ruleTrouble,
        successor: entry.successor,
        unruled: !isRuled(channel, options.rules),
        holds: readHolds(channel, stateDirectory),
        away: known.away ?? databaseAway,
        forbidden: known.away instanceof PermissionError ? known.away : known.forbidden,
        evaluated: evaluated !== undefined,
        failure,
        failing: planned && hydra.failing(planned),
        looked: toCopy ? await lookFor(hydra.outputs.get(candidate.build), look) : undefined,
      }
      const since = sinceOf(facts, { evaluated, first: planned && hydra.first(planned) })
      return { facts, committedAt: answer?.committedAt, since, compareFrom, candidateOnTracked }
    }),
  )
  return { channels, around }
}

/** Not if they are not known. */
async function lookFor(
  outputs: readonly Output[] | undefined,
  look: LookOptions['look'],
): Promise<Look | undefined> {
  return outputs && look?.(outputs)
}

/** Where GraphQL is away, several questions get the same answer. */
function onceEach(report: LookOptions['report']): LookOptions['report'] {
  const said = new Set<string>()
  return error => {
    const { message } = operatorErrorOf(error)
    if (said.has(message)) return
    said.add(message)
    report(error)
  }
}

/** A hold that cannot be read may be one: nothing moves the channel until it can. */
function readHolds(channel: Channel, stateDirectory: string): Hold[] | OperatorError {
  try {
    return findHolds(stateDirectory, channel)
  } catch (error) {
    return operatorErrorOf(error)
  }
}

async function compareEntries(
  entries: readonly Entry[],
  findTracked: FindTracked,
  github: Surveys,
  hosts: readonly string[],
  report: (error: unknown) => void,
): Promise<Map<string, Answer>> {
  const questions = await Promise.all(
    entries.map(async ({ channel, planned, tip }) => {
      if (typeof tip !== 'string') return []
      // its error is reported below, if it is needed
      const tracked = planned && (await findTracked(planned).catch(operatorErrorOf))
      const heads = [
        tracked instanceof Error ? undefined : tracked?.sha,
        planned && newestCommit(planned, hosts)?.sha,
        candidateOf(planned)?.sha,
      ].filter(sha => sha !== undefined)
      return [{ channel, tip, heads }]
    }),
  )
  return compareAll(questions.flat(), github, report)
}

type GitHubFacts = Pick<ChannelFacts, 'tip' | 'stands' | 'tracked' | 'offBranch' | 'forbidden' | 'away'> &
  Pick<FoundChannel, 'compareFrom' | 'candidateOnTracked'>

/** GitHub told at most where the branch is. */
function notKnown({ tip }: Entry): GitHubFacts {
  return {
    tip: typeof tip === 'string' ? tip : undefined,
    stands: { tracked: undefined, newest: undefined, candidate: undefined },
    tracked: undefined,
    compareFrom: undefined,
    candidateOnTracked: undefined,
    offBranch: undefined,
    forbidden: undefined,
  }
}

/** @throws OperatorError if GitHub cannot be asked */
async function factsOf(
  { channel, planned, tip }: Entry,
  answer: Answer | undefined,
  findTracked: FindTracked,
  repository: Survey,
  hosts: readonly string[],
): Promise<GitHubFacts> {
  if (tip instanceof Error) throw tip
  const tracked = planned && (await findTracked(planned))
  const candidate = candidateOf(planned)
  const [trackedStand, newest, candidateStand] = await Promise.all([
    answer?.standOf(tracked?.sha),
    answer?.standOf(planned && newestCommit(planned, hosts)?.sha),
    answer?.standOf(candidate?.sha),
  ])
  const stands = { tracked: trackedStand, newest, candidate: candidateStand }
  const [on, forbidden] = await Promise.all([
    planned && candidate && findOnBranch(planned, candidate, { tip, stands, tracked }),
    whyForbidden(channel, answer, repository),
  ])
  const { compareFrom } = tracked ?? {}
  return { tip, stands, tracked, offBranch: on?.off, candidateOnTracked: on?.stand, forbidden, compareFrom }
}

/** What the engine asks before a write (channels/safeguards.ts), from what is known already if that is enough. */
async function findOnBranch(
  { tracked: ref }: PlannedChannel,
  candidate: Candidate,
  { tip, stands, tracked }: Pick<GitHubFacts, 'tip' | 'stands'> & { tracked: TrackedFound | undefined },
): Promise<{ off: ChannelFacts['offBranch']; stand: FoundChannel['candidateOnTracked'] }> {
  // another reason says so
  if (ref.kind === 'other repository') return { off: undefined, stand: undefined }
  if (!tracked) return { off: offBranch(candidate, ref, true), stand: undefined }
  const { candidate: stand } = stands
  const tipHasCandidate =
    typeof stand === 'object' && (stand.status === 'identical' || stand.status === 'behind')
  const isIn =
    (tip !== undefined && tipHasCandidate && contains(stands.tracked)) ||
    isAncestorIn(tracked.history, candidate.sha, tracked.sha)
  if (isIn) return { off: undefined, stand: 'contained' }
  const comparison = await tracked.compareFrom(candidate.sha)
  // a commit that GitHub does not have, or that it cannot compare, decides nothing here
  const isOff = comparison !== undefined && comparison !== 'not-found' && !contains(comparison)
  return { off: isOff ? offBranch(candidate, ref, false) : undefined, stand: comparison }
}

async function whyForbidden(
  channel: Channel,
  answer: Answer | undefined,
  repository: Survey,
): Promise<OperatorError | undefined> {
  if (answer?.mayPush === false) {
    return new PermissionError('a rule of the repository does not let the App push to the branch', {
      hint: BYPASS,
    })
  }
  try {
    await checkWritable(repository, channel)
    return undefined
  } catch (error) {
    if (error instanceof PermissionError) return error
    throw error
  }
}

/** What the database has to say once the channels' commits are known. */
interface MoreOfHydra {
  /** the newest eval of the commit, and since when there is a newer one of another commit */
  evalOf: (planned: PlannedChannel, tip: string) => EvalOfCommit | undefined
  outputs: ReadonlyMap<number, Output[]>
  /** since when its job fails; undefined if it does not */
  failing: (planned: PlannedChannel) => FailingSince | undefined
  /** of a channel that has no branch: the first build of its job */
  first: (planned: PlannedChannel) => FirstBuild | undefined
}

const NOTHING_MORE: MoreOfHydra = {
  evalOf: () => undefined,
  outputs: new Map(),
  failing: () => undefined,
  first: () => undefined,
}

async function lookAgain(
  entries: readonly Entry[],
  { look, database, report }: LookOptions,
): Promise<MoreOfHydra> {
  const [tips, bad, unborn] = [new ByJobset(), new ByJobset(), new ByJobset()]
  const builds = new Set<number>()
  for (const { planned, tip } of entries) {
    if (!planned) continue
    const { id } = planned.facts.jobset
    const { job, newest } = planned.facts.job
    if (newest?.finished && newest.status !== 0) bad.add(id, job)
    if (tip instanceof Error) continue
    if (tip === undefined) unborn.add(id, job)
    else tips.add(id, tip)
    const candidate = candidateOf(planned)
    if (candidate && candidate.sha !== tip && look) builds.add(candidate.build)
  }
  const [{ findEvalsOfCommits }, { findFailingSince }, { findFirstBuilds }, { findOutputsOfBuilds }] =
    await Promise.all([
      import('../hydra/queries/evals-of-commits.ts'),
      import('../hydra/queries/failing-since.ts'),
      import('../hydra/queries/first-builds.ts'),
      import('../hydra/queries/outputs.ts'),
    ])
  try {
    return await database.look(async sql => {
      const [outputs, evals, failing, first] = await Promise.all([
        findOutputsOfBuilds(sql, [...builds]),
        tips.ask((id, shas) => findEvalsOfCommits(sql, id, shas)),
        bad.ask((id, jobs) => findFailingSince(sql, id, jobs)),
        unborn.ask((id, jobs) => findFirstBuilds(sql, id, jobs)),
      ])
      return {
        outputs,
        failing: ({ facts }) => failing.get(facts.jobset.id)?.get(facts.job.job),
        first: ({ facts }) => first.get(facts.jobset.id)?.get(facts.job.job),
        evalOf: ({ facts }, tip) => evals.get(facts.jobset.id)?.get(tip),
      }
    })
  } catch (error) {
    // its earlier answers still hold
    report(operatorErrorOf(error))
    return NOTHING_MORE
  }
}

/**
 * The first eval after those of the channel's commit, else the first commit after it: a quiet repository is never stale. Of a
 * channel that has no branch yet, since when there has been its job: whatever became of its builds, and how many there are.
 */
function sinceOf(
  { tip, tracked, stands, planned, away }: ChannelFacts,
  { evaluated, first }: { evaluated: EvalOfCommit | undefined; first: FirstBuild | undefined },
): string | undefined {
  if (tip === undefined) {
    // a job that never could be evaluated has no build
    const since = first?.queuedTime ?? planned?.facts.jobset.newestEval?.timestamp
    return away || since === undefined ? undefined : isoOfSeconds(since)
  }
  if (tip === tracked?.sha) return undefined
  if (evaluated?.newerSince !== undefined) return isoOfSeconds(evaluated.newerSince)
  const stand = stands.tracked
  const ahead = typeof stand === 'object' && stand.aheadBy > 0 ? stand.firstCommittedAt : undefined
  return ahead === undefined ? undefined : new Date(ahead).toISOString()
}
