// What every channel is at, how far behind, since when and why. Hydra's database and GitHub are asked side by side, and
// where one of them is away, what the other says is still shown.
import { createLook, isCacheConfigured } from './cache.ts'
import type { Candidate } from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import type { ChannelStatus, FleetStatus } from './channel-status.ts'
import { type Answer, compareAll } from './comparisons.ts'
import { expectedHost } from './config.ts'
import { OperatorError } from './errors.ts'
import { type PlannedChannel, planFleet, prefixesOf, selectChannels } from './fleet.ts'
import { PermissionError } from './github/refusal.ts'
import type { GitHubRepository } from './github/repository.ts'
import { checkWritable, findWithdrawal } from './guard.ts'
import { findHold, type Hold } from './holds.ts'
import type { Database } from './hydra/database.ts'
import { lookUpFleet } from './look-up.ts'
import { type ChannelFacts, contains, explain, explainHold, newestCommit, type Stand } from './reason.ts'
import { canMake } from './rule-channels.ts'
import type { OpenedGitHub, RunOptions } from './run-options.ts'
import { readStamp } from './stamp.ts'
import { findTip, listTips, strayBranches, type Tips } from './tips.ts'
import { createFindTracked, type FindTracked } from './tracked.ts'

export interface StatusOptions extends Pick<RunOptions, 'config' | 'report' | 'http' | 'openGitHub'> {
  /** channels as given on the command line; empty: all */
  only: readonly string[]
  database: Database
  now: Date
}

/** A channel, and where it is: undefined where there is no such branch, an error where GitHub did not say. */
interface Entry {
  channel: Channel
  /** undefined of a branch that no job leads to, and where the database is away */
  planned: PlannedChannel | undefined
  tip: string | undefined | Error
}

/**
 * The status of all channels, or of some.
 *
 * @throws UsageError for a channel that there is not; OperatorError where neither Hydra nor GitHub could be asked
 */
export async function findStatus(options: StatusOptions): Promise<FleetStatus> {
  const { config, now, report } = options
  const github = await options.openGitHub()
  const [jobsets, tips] = await Promise.all([
    lookUpFleet(options).catch(orThrow),
    listTips(github, prefixesOf(config.channels)),
  ])
  let entries: Entry[]
  if (jobsets instanceof OperatorError) {
    entries = entriesOfBranches(options, tips, jobsets)
    report(jobsets)
  } else {
    const plan = planFleet(config.channels, jobsets, expectedHost(config.github))
    for (const problem of plan.problems) report(problem)
    entries = [...plan.channels.map(planned => entryOf(planned, tips)), ...strays(plan.channels, tips)]
  }
  const away = jobsets instanceof OperatorError ? jobsets : undefined
  return {
    generatedAt: now.toISOString(),
    lastReconcile: readStamp(config.stateDirectory)?.finishedAt ?? null,
    channels: await findChannels(selectChannels(entries, options.only), away, github, options),
  }
}

function entryOf(planned: PlannedChannel, tips: Tips): Entry {
  return { channel: planned.channel, planned, tip: findTip(tips, planned.channel, planned.prefix) }
}

function strays(channels: readonly PlannedChannel[], tips: Tips): Entry[] {
  return [...strayBranches(channels, tips)].flatMap(([repository, branches]) =>
    [...branches].map(([branch, tip]) => ({ channel: { repository, branch }, planned: undefined, tip })),
  )
}

/** Without the database: the branches that the rules could make. */
function entriesOfBranches({ config, report }: StatusOptions, tips: Tips, away: OperatorError): Entry[] {
  const listed = [...tips.values()]
  if (listed.every(({ branches }) => branches instanceof Error)) {
    for (const { branches } of listed) report(branches)
    throw away
  }
  const found = new Map<string, Entry>()
  for (const { prefix, branches } of listed) {
    if (branches instanceof Error) continue
    const { repository } = prefix
    const rules = config.channels.filter(rule => rule.repository === repository)
    for (const [branch, tip] of branches) {
      const channel = { repository, branch }
      if (rules.some(rule => canMake(rule, branch))) {
        found.set(channelKey(channel), { channel, planned: undefined, tip })
      }
    }
  }
  return [...found.values()]
}

/** Asks about all channels at once what one alone would have to ask for itself. */
async function findChannels(
  entries: readonly Entry[],
  databaseAway: OperatorError | undefined,
  github: OpenedGitHub,
  options: StatusOptions,
): Promise<ChannelStatus[]> {
  const host = expectedHost(options.config.github)
  const tracked = createFindTracked(github, host)
  const [answers, hydra] = await Promise.all([
    compareEntries(entries, tracked, github, host),
    databaseAway ?? lookAgain(entries, options).catch(orThrow),
  ])
  return Promise.all(
    entries.map(async entry => {
      const { channel, planned, tip } = entry
      const status = startOf(entry, options)
      try {
        if (tip instanceof Error) throw tip
        const answer = answers.get(channelKey(channel))
        status.sha = tip ?? null
        status.committedAt = answer?.committedAt ?? null
        if (hydra instanceof OperatorError) throw hydra
        const candidate = candidateOf(planned)
        const evaluated = planned && tip !== undefined ? hydra.newer.get(planned, tip) : undefined
        const facts = await factsOf(entry, tip, answer, tracked, github.repository(channel.repository), host)
        const explanation = explain(
          {
            ...facts,
            hold: status.hold,
            evaluated: evaluated !== undefined,
            uncached: candidate && hydra.uncached.get(candidate.build),
          },
          { now: options.now, host, hydraUrl: options.config.hydraUrl },
        )
        return {
          ...status,
          behindCandidate: aheadBy(facts.stands.candidate),
          behindBranch: aheadBy(facts.stands.tracked),
          since: sinceOf(evaluated, facts.stands.tracked),
          // what the start says of an unreadable hold stands
          ...(status.reason === 'held' && !status.hold ? {} : explanation),
        }
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error
        if (status.reason === 'held') return status
        const reason = error instanceof PermissionError ? 'no-permission' : 'unknown'
        return { ...status, reason, message: [error.message, ...error.hint].join('; ') } as const
      }
    }),
  )
}

/** What is known without asking anybody: the job, its candidate, and a hold. */
function startOf({ channel, planned }: Entry, { config }: StatusOptions): ChannelStatus {
  const candidate = candidateOf(planned)
  const hold = readHold(channel, config.stateDirectory)
  return {
    repository: channel.repository,
    branch: channel.branch,
    project: planned?.job.project ?? null,
    jobset: planned?.job.jobset ?? null,
    job: planned && planned.jobs.length === 1 ? planned.job.job : null,
    sha: null,
    committedAt: null,
    candidate: candidate ? { sha: candidate.sha, eval: candidate.eval, build: candidate.build } : null,
    behindCandidate: null,
    behindBranch: null,
    since: null,
    url: null,
    hold: hold instanceof Error ? null : (hold ?? null),
    ...(hold instanceof Error
      ? { reason: 'held', message: hold.message }
      : hold
        ? { reason: 'held', message: explainHold(channel, hold) }
        : { reason: 'unknown', message: null }),
  }
}

/** A hold that cannot be read may be one: nothing moves the channel until it can. */
function readHold(channel: Channel, stateDirectory: string): Hold | undefined | OperatorError {
  try {
    return findHold(stateDirectory, channel)
  } catch (error) {
    return orThrow(error)
  }
}

async function compareEntries(
  entries: readonly Entry[],
  findTracked: FindTracked,
  github: OpenedGitHub,
  host: string,
): Promise<Map<string, Answer>> {
  const questions = await Promise.all(
    entries.map(async ({ channel, planned, tip }) => {
      if (typeof tip !== 'string') return []
      // whoever needs it learns below why it could not be found
      const tracked = planned && (await findTracked(planned).catch(orThrow))
      const heads = [
        tracked instanceof Error ? undefined : tracked?.sha,
        planned && newestCommit(planned, host)?.sha,
        candidateOf(planned)?.sha,
      ].filter(sha => sha !== undefined)
      return [{ channel, tip, heads }]
    }),
  )
  return compareAll(questions.flat(), github)
}

type GitHubFacts = Omit<ChannelFacts, 'hold' | 'evaluated' | 'uncached'>

async function factsOf(
  { channel, planned }: Entry,
  tip: string | undefined,
  answer: Answer | undefined,
  findTracked: FindTracked,
  repository: GitHubRepository,
  host: string,
): Promise<GitHubFacts> {
  const tracked = planned && (await findTracked(planned))
  const candidate = candidateOf(planned)
  const [trackedStand, newest, candidateStand] = await Promise.all([
    answer?.standOf(tracked?.sha),
    answer?.standOf(planned && newestCommit(planned, host)?.sha),
    answer?.standOf(candidate?.sha),
  ])
  const stands = { tracked: trackedStand, newest, candidate: candidateStand }
  const [withdrawal, forbidden] = await Promise.all([
    candidate && findWithdrawalFrom(candidate, tip, stands, repository),
    whyForbidden(channel, answer, repository),
  ])
  return { channel, planned, tip, stands, tracked, withdrawal, forbidden }
}

/** As guard.ts asks before a write, but for what the comparisons with the channel's tip say already. */
async function findWithdrawalFrom(
  candidate: Candidate,
  tip: string | undefined,
  { newest, candidate: stand }: ChannelFacts['stands'],
  repository: GitHubRepository,
): Promise<ChannelFacts['withdrawal']> {
  const tipHasCandidate =
    typeof stand === 'object' && (stand.status === 'identical' || stand.status === 'behind')
  if (tip !== undefined && tipHasCandidate && contains(newest)) return undefined
  const outcome = await findWithdrawal(repository, candidate)
  return outcome?.kind === 'withdrawn' ? outcome : undefined
}

async function whyForbidden(
  channel: Channel,
  answer: Answer | undefined,
  repository: GitHubRepository,
): Promise<OperatorError | undefined> {
  if (answer?.mayPush === false) {
    return new OperatorError('a rule of the repository does not let the App push to the branch', {
      hint: 'let the App bypass the ruleset or branch protection, or let the rule leave this branch out',
    })
  }
  return checkWritable(repository, channel).then(() => undefined, orThrow)
}

/** What the database and the cache have to say once the channels' commits are known. One look at a time. */
async function lookAgain(entries: readonly Entry[], options: StatusOptions) {
  const newer = await findNewer(entries, options)
  return { newer, uncached: await findUncached(entries, options) }
}

/** Since when there have been evals newer than those of the channels' commits (fleet-queries.ts). */
async function findNewer(entries: readonly Entry[], { database }: StatusOptions) {
  const tips = new Map<number, Set<string>>()
  for (const { planned, tip } of entries) {
    if (!planned || typeof tip !== 'string') continue
    const { id } = planned.facts.jobset
    tips.set(id, (tips.get(id) ?? new Set()).add(tip))
  }
  const { findNewerSince } = await import('./hydra/fleet-queries.ts')
  const found = await database.look(async sql => {
    const each = [...tips].map(async ([id, shas]) => [id, await findNewerSince(sql, id, [...shas])] as const)
    return new Map(await Promise.all(each))
  })
  return {
    /** undefined where no eval was of the commit */
    get({ facts }: PlannedChannel, tip: string): { since: number | undefined } | undefined {
      const evals = found.get(facts.jobset.id)
      return evals?.has(tip) ? { since: evals.get(tip) } : undefined
    },
  }
}

/** Of the channels that could move, why the outputs of their candidates cannot be found in the cache, by build. */
async function findUncached(
  entries: readonly Entry[],
  { config, http, database }: StatusOptions,
): Promise<Map<number, string>> {
  const { cache } = config
  if (!isCacheConfigured(cache) || cache.url === undefined) return new Map()
  const candidates = entries.flatMap(({ planned, tip }) => {
    const candidate = candidateOf(planned)
    return candidate && candidate.sha !== tip ? [candidate.build] : []
  })
  const { findOutputsOfBuilds } = await import('./hydra/fleet-queries.ts')
  const outputs = await database.look(sql => findOutputsOfBuilds(sql, [...new Set(candidates)]))
  const look = createLook(cache, http)
  const found = await Promise.all([...outputs].map(async ([build, of]) => [build, await look(of)] as const))
  return new Map(
    found.flatMap(([build, problem]) => (problem === undefined ? [] : [[build, problem] as const])),
  )
}

function candidateOf(planned: PlannedChannel | undefined): Candidate | undefined {
  return planned?.candidate instanceof OperatorError ? undefined : planned?.candidate
}

function aheadBy(stand: Stand): number | null {
  return typeof stand === 'object' ? stand.aheadBy : null
}

/** The first eval after those of the channel's commit, else the first commit after it: a quiet repository is never stale. */
function sinceOf(evaluated: { since: number | undefined } | undefined, tracked: Stand): string | null {
  if (evaluated?.since !== undefined) return new Date(evaluated.since * 1000).toISOString()
  const first = typeof tracked === 'object' && tracked.aheadBy > 0 ? tracked.firstCommittedAt : undefined
  return first === undefined ? null : new Date(first).toISOString()
}

function orThrow(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error
  throw error
}
