// Level-triggered: Hydra's database says where every channel should be, the branches say where it is, and this closes the
// difference. It decides by nothing that it keeps itself, so it can be stopped anywhere and run anywhere.
import { isDeepStrictEqual } from 'node:util'
import {
  advance,
  cannotMove,
  decide,
  outcomeOfWrite,
  type Seen,
  seenFrom,
  unknownCommit,
  type Write,
} from './advance.ts'
import { cacheOptionsFor, createProver, isCacheConfigured } from './cache.ts'
import type { Candidate } from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import { selectChannels } from './channels/channel-name.ts'
import { expectedHost } from './config.ts'
import { OperatorError } from './errors.ts'
import { type PlannedChannel, planFleet, prefixesOf } from './fleet.ts'
import type { GitHubRepository } from './github/repository.ts'
import { checkWritable, findWithdrawal, heldOutcome } from './guard.ts'
import type { Database } from './hydra/database.ts'
import type { Output } from './hydra/event.ts'
import type { Lock } from './hydra/lock.ts'
import { count, type Log } from './log.ts'
import { lookUpFleet } from './look-up.ts'
import { describeOutcome, isTrouble, type Outcome } from './outcome.ts'
import type { OpenedGitHub, RunOptions } from './run-options.ts'
import { getTip, listTips, prefixesIn, type Stray, strayBranches, type Tips } from './tips.ts'

/** From this many moves on, GitHub is asked for a hundred at once, and single writes are a second apart. */
const MANY = 11
const MAX_BATCH = 100

export interface ReconcileOptions extends RunOptions {
  /** channels as given on the command line; empty: all */
  only: readonly string[]
  database: Database
  /** undefined in a dry run, which writes nothing */
  lock: Lock | undefined
  /** says on a terminal how far a long run is */
  progress: (text: string) => void
}

export type Counts = Record<string, number>

interface Pending {
  planned: PlannedChannel
  channel: Channel
  candidate: Candidate
  repository: GitHubRepository
  /** undefined: to be looked at again */
  seen: Seen | undefined
  decision: Write
  /** whether its outputs had to be uploaded, so that what was looked up may be old */
  uploaded: boolean
}

/**
 * Brings every channel to its candidate.
 *
 * @returns how many channels ended how, and `failed` where one of them is in trouble that was logged
 * @throws UsageError for a channel that there is not; OperatorError where nothing could be looked at
 */
export async function reconcile(
  options: ReconcileOptions,
): Promise<{ ended: 'ok' | 'failed'; counts: Counts }> {
  const { config, log } = options
  const jobsets = await lookUpFleet(options)
  const plan = planFleet(config.channels, jobsets, expectedHost(config.github))
  const planned = selectChannels(plan.channels, options.only)
  const github = await options.openGitHub()
  const ending = createEnding(options)
  for (const { error } of plan.problems) ending.problem(error)

  // a whole run also looks for branches that no job leads to any more
  const all = options.only.length === 0
  const tips = await listTips(github, all ? prefixesOf(config.channels) : prefixesIn(planned))
  const pending: Pending[] = []
  await Promise.all(
    planned.map(async each => {
      try {
        const found = await judge(each, github.repository(each.channel.repository), tips)
        if ('decision' in found) pending.push(found)
        else ending.channel(each.channel, found)
      } catch (error) {
        ending.failure(each.channel, error)
      }
    }),
  )

  const builds = [...new Set(pending.map(({ candidate }) => candidate.build))]
  const { findOutputsOfBuilds } = await import('./hydra/fleet-queries.ts')
  const outputs = await options.database.look(sql => findOutputsOfBuilds(sql, builds))
  await move(pending, outputs, github, ending, options)

  if (all) {
    reportStrays(strayBranches(plan, tips, config.channels), log)
  }
  return ending.summarize()
}

/** So many names are a line that somebody still reads. */
const MAX_NAMES = 10

/** Never deleted here, and never silent. */
function reportStrays(strays: readonly Stray[], log: Log): void {
  const byRepository = new Map<string, string[]>()
  for (const { channel, ruleTrouble } of strays) {
    // its rule is reported already
    if (ruleTrouble) continue
    const { repository, branch } = channel
    byRepository.set(repository, [...(byRepository.get(repository) ?? []), branch])
  }
  for (const [repository, branches] of byRepository) {
    const of = branches.length === 1 ? '1 branch' : `${branches.length} branches`
    const names = branches.slice(0, MAX_NAMES).join(', ')
    const more = branches.length > MAX_NAMES ? ` and ${branches.length - MAX_NAMES} more` : ''
    log.line(`${repository}: job-gone: no job leads to ${of}: ${names}${more}`)
  }
}

type Judged = Outcome | { kind: 'no-good-build' } | { kind: 'job-gone' } | { kind: 'candidate-changed' }

/** What a channel needs, from its candidate and its tip; at most one compare, and none where it is there already. */
async function judge(
  planned: PlannedChannel,
  repository: GitHubRepository,
  tips: Tips,
): Promise<Pending | Judged> {
  const { channel, candidate, presence } = planned
  if (candidate instanceof OperatorError) throw candidate
  if (!candidate) return { kind: 'no-good-build' }
  const { sha } = candidate
  const tip = getTip(tips, planned)
  if (tip === sha) return { kind: 'already-there', sha }
  if (tip === undefined && presence === 'gone') return { kind: 'job-gone' }

  const seen = await seeFrom(repository, tip, sha)
  const decision = decide(seen, sha)
  if (decision.kind === 'leave') return decision.outcome
  await checkWritable(repository, channel)
  const withdrawal = await findWithdrawal(repository, candidate)
  return withdrawal ?? { planned, channel, candidate, repository, seen, decision, uploaded: false }
}

/** As advance.ts looks, but from a tip that is known: channels with the same two commits share the answer. */
async function seeFrom(repository: GitHubRepository, tip: string | undefined, sha: string): Promise<Seen> {
  if (tip === undefined) return { kind: 'missing' }
  if (tip === sha) {
    return { kind: 'compared', tip, status: 'identical', aheadBy: 0, behindBy: 0, mergeBase: sha }
  }
  const comparison = await repository.compare(tip, sha)
  if (comparison === 'unrelated') return { kind: 'unrelated', tip }
  if (comparison === 'not-found') throw unknownCommit(sha)
  return seenFrom(comparison)
}

/** Moves each channel as soon as its own copies are proven, so that one upload never holds up the others. */
async function move(
  pending: readonly Pending[],
  outputs: ReadonlyMap<number, Output[]>,
  github: OpenedGitHub,
  ending: Ending,
  options: ReconcileOptions,
): Promise<void> {
  const { cache } = options.config
  const prove = isCacheConfigured(cache) ? createProver(cacheOptionsFor(cache, options)) : undefined
  const many = pending.length >= MANY
  const ready: Pending[] = []
  const proving = new Set<Promise<void>>()
  for (const each of pending) {
    const { build } = each.candidate
    const proof = github.deadline
      .exclude(async () => prove?.(outputs.get(build) ?? [], `build ${build}`))
      .then(how => void ready.push({ ...each, uploaded: how === 'copied' }))
      .catch(error => ending.failure(each.channel, error))
      .finally(() => {
        proving.delete(proof)
        if (prove) options.progress(`${pending.length - proving.size} of ${pending.length} proven`)
      })
    proving.add(proof)
  }
  let left = pending.length
  for (let wrote = false; proving.size > 0 || ready.length > 0; ) {
    if (ready.length === 0) await Promise.race(proving)
    // GitHub wants writes a second apart; and what is proven meanwhile goes along
    if (many) await new Promise(resolve => setTimeout(resolve, wrote ? options.secondMs : 0))
    const next = ready.splice(0, many ? MAX_BATCH : 1)
    options.progress(`${pending.length - left} of ${count(pending.length, 'channel')} moved`)
    left -= next.length
    const wave = await stillCandidates(next, ending, options)
    if (wave.length === 0) continue
    if (wave.length > 1 && options.mode === 'move') await moveTogether(wave, github, ending, options)
    else for (const each of wave) await moveOne(each, ending, options)
    wrote = true
  }
}

/**
 * Leaves out what is another commit's turn by now: an upload takes its time, and meanwhile a build may be built again, or
 * main be reset. The next run brings these channels to where they belong.
 */
async function stillCandidates(
  wave: readonly Pending[],
  ending: Ending,
  options: ReconcileOptions,
): Promise<readonly Pending[]> {
  if (!wave.some(({ uploaded }) => uploaded)) return wave
  const jobsets = await lookUpFleet(options)
  const { channels } = planFleet(options.config.channels, jobsets, expectedHost(options.config.github))
  const now = new Map(channels.map(({ channel, candidate }) => [channelKey(channel), candidate]))
  return wave.filter(({ channel, candidate, uploaded }) => {
    const same = !uploaded || isDeepStrictEqual(now.get(channelKey(channel)), candidate)
    if (!same) ending.channel(channel, { kind: 'candidate-changed' })
    return same
  })
}

async function moveOne(each: Pending, ending: Ending, options: ReconcileOptions): Promise<void> {
  const { channel, candidate, repository, seen } = each
  try {
    const outcome = await advance({
      channel,
      sha: candidate.sha,
      repository,
      mode: options.mode,
      seen,
      async beforeWrite() {
        await options.lock?.check()
        return heldOutcome(channel, candidate.sha, options.config.stateDirectory)
      },
    })
    ending.channel(channel, outcome)
  } catch (error) {
    ending.failure(channel, error)
  }
}

/** All of them in one request for each repository; where GitHub objects, one by one, so that a bad one stands alone. */
async function moveTogether(
  wave: readonly Pending[],
  github: OpenedGitHub,
  ending: Ending,
  options: ReconcileOptions,
): Promise<void> {
  await options.lock?.check()
  for (const repository of new Set(wave.map(each => each.repository))) {
    const movable: Pending[] = []
    for (const each of wave.filter(one => one.repository === repository)) {
      try {
        const held = heldOutcome(each.channel, each.candidate.sha, options.config.stateDirectory)
        if (held) ending.channel(each.channel, held)
        else movable.push(each)
      } catch (error) {
        ending.failure(each.channel, error)
      }
    }
    if (movable.length === 0) continue
    const result = await repository
      .updateBranches(
        movable.map(({ channel, candidate, decision }) => ({
          branch: channel.branch,
          from: decision.kind === 'create' ? undefined : decision.from,
          to: candidate.sha,
        })),
      )
      .catch((error: unknown) => ({ refused: error }))
    if (result === 'written') {
      for (const { channel, candidate, decision } of movable)
        ending.channel(channel, outcomeOfWrite(decision, candidate.sha))
      continue
    }
    // what was seen may be the reason why GitHub objected
    const tips = await listTips(github, prefixesIn(movable.map(each => each.planned)))
    for (const [index, each] of movable.entries()) {
      if (index > 0) await new Promise(resolve => setTimeout(resolve, options.secondMs))
      try {
        const seen = await seeFrom(repository, getTip(tips, each.planned), each.candidate.sha)
        await moveOne({ ...each, seen }, ending, options)
      } catch (error) {
        ending.failure(each.channel, error)
      }
    }
  }
}

interface Ending {
  channel(channel: Channel, judged: Judged): void
  failure(channel: Channel, error: unknown): void
  problem(error: OperatorError): void
  summarize(): { ended: 'ok' | 'failed'; counts: Counts }
}

/** One line for each channel that changed or failed, and the summary. */
function createEnding({ config, log, report, only }: ReconcileOptions): Ending {
  const counts: Counts = {}
  let failed = false
  const tally = (kind: string) => {
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  const webUrl = `https://${expectedHost(config.github)}`
  return {
    channel(channel, judged) {
      // a job that was there once, and has no branch: of no interest, and for ever
      if (judged.kind === 'job-gone' && only.length === 0) return
      tally(judged.kind)
      if (judged.kind === 'no-good-build' || judged.kind === 'job-gone') return
      if (judged.kind === 'candidate-changed') {
        log.line(
          `${channel.repository} ${channel.branch}: not moved: its candidate changed while it was copied, and the next run looks again`,
        )
        return
      }
      failed ||= isTrouble(judged)
      if (judged.kind === 'already-there' || judged.kind === 'already-contained') return
      for (const text of describeOutcome(channel, judged, webUrl)) log.line(text)
    },
    failure(channel, error) {
      tally('failed')
      failed = true
      report(cannotMove(channel, error))
    },
    problem(error) {
      tally('rule in trouble')
      failed = true
      report(error)
    },
    summarize() {
      const kinds = Object.entries(counts).map(([kind, n]) => `${n} ${kind}`)
      log.line(kinds.length === 0 ? 'no channels' : kinds.join(', '))
      return { ended: failed ? 'failed' : 'ok', counts }
    },
  }
}
