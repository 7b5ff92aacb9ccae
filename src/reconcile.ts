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
import { type Channel, channelKey, jobsetsOf } from './channel.ts'
import { type Config, expectedHost } from './config.ts'
import type { Deadline } from './deadline.ts'
import { OperatorError } from './errors.ts'
import { type JobsetFacts, type PlannedChannel, planFleet, selectChannels } from './fleet.ts'
import type { GitHubRepository } from './github/repository.ts'
import { checkWritable, findWithdrawal, heldOutcome } from './guard.ts'
import type { Http } from './http.ts'
import type { Database } from './hydra/database.ts'
import type { Output } from './hydra/event.ts'
import type { Lock } from './hydra/lock.ts'
import type { Log } from './log.ts'
import { describeOutcome, isTrouble, type Outcome } from './outcome.ts'

/** From this many moves on, GitHub is asked for a hundred at once, and single writes are a second apart. */
const MANY = 11
const MAX_BATCH = 100

export interface ReconcileOptions {
  config: Config
  mode: 'move' | 'look'
  /** channels as given on the command line; empty: all */
  only: readonly string[]
  log: Log
  report: (error: unknown) => void
  env: Readonly<Record<string, string | undefined>>
  http: Http
  secondMs: number
  database: Database
  /** undefined in a dry run, which writes nothing */
  lock: Lock | undefined
  openGitHub: () => Promise<{ deadline: Deadline; repository: (name: string) => GitHubRepository }>
}

export type Counts = Record<string, number>

interface Pending {
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
  const { query, facts } = await lookUpFleet(options)
  const plan = planFleet(config.channels, facts, expectedHost(config.github))
  const planned = selectChannels(plan.channels, options.only)
  const github = await options.openGitHub()
  const ending = createEnding(options)
  for (const problem of plan.problems) ending.problem(problem)

  // where the channels are: one request for each repository and prefix
  const tips = new Map<string, Map<string, string> | Error>()
  await Promise.all(
    plan.prefixes
      .filter(({ repository }) => planned.some(({ channel }) => channel.repository === repository))
      .map(async ({ repository, prefix }) => {
        const found = await github
          .repository(repository)
          .listBranches(prefix)
          .catch((error: Error) => error)
        const known = tips.get(repository) ?? new Map<string, string>()
        // one prefix that could not be asked is no reason to take its channels for missing
        const both = known instanceof Map && found instanceof Map ? new Map([...known, ...found]) : undefined
        tips.set(repository, both ?? (known instanceof Error ? known : found))
      }),
  )

  const pending: Pending[] = []
  await Promise.all(
    planned.map(async each => {
      try {
        const found = await judge(
          each,
          github.repository(each.channel.repository),
          tips.get(each.channel.repository),
        )
        if ('decision' in found) pending.push(found)
        else ending.channel(each.channel, found)
      } catch (error) {
        ending.failure(each.channel, error)
      }
    }),
  )

  const builds = [...new Set(pending.map(({ candidate }) => candidate.build))]
  const outputs = await options.database.look(sql => query.findOutputsOfBuilds(sql, builds))
  await move(pending, outputs, github.deadline, ending, options)

  if (options.only.length === 0) reportStrays(plan, tips, log)
  return ending.summarize()
}

/** All jobsets of the rules, in one look. */
async function lookUpFleet({ config, database }: ReconcileOptions) {
  const query = await import('./hydra/fleet-queries.ts')
  const facts = await database.look(sql =>
    Promise.all(
      jobsetsOf(config.channels).map(async ({ project, jobset }): Promise<JobsetFacts> => {
        const found = await query.findJobset(sql, project, jobset)
        if (found.kind === 'missing') return { project, jobset, found }
        const [jobs, newestEval] = await Promise.all([
          query.findJobStates(sql, found.id),
          query.findNewestEvaluation(sql, found.id),
        ])
        return { project, jobset, found: { kind: 'found', type: found.type, newestEval, jobs } }
      }),
    ),
  )
  return { query, facts }
}

type Judged = Outcome | { kind: 'no-good-build' } | { kind: 'job-gone' } | { kind: 'candidate-changed' }

/** What a channel needs, from its candidate and its tip; at most one compare, and none where it is there already. */
async function judge(
  { channel, candidate, presence }: PlannedChannel,
  repository: GitHubRepository,
  tips: Map<string, string> | Error | undefined,
): Promise<Pending | Judged> {
  if (candidate instanceof OperatorError) throw candidate
  if (!candidate) return { kind: 'no-good-build' }
  if (!(tips instanceof Map)) throw tips
  const { sha } = candidate
  const tip = tips.get(channel.branch)
  if (tip === sha) return { kind: 'already-there', sha }
  if (tip === undefined && presence === 'gone') return { kind: 'job-gone' }

  const seen = await seeFrom(repository, tip, sha)
  const decision = decide(seen, sha)
  if (decision.kind === 'leave') return decision.outcome
  await checkWritable(repository, channel)
  const withdrawal = await findWithdrawal(repository, candidate)
  return withdrawal ?? { channel, candidate, repository, seen, decision, uploaded: false }
}

/** As advance.ts looks, but from a tip that is known: channels with the same two commits share the answer. */
async function seeFrom(repository: GitHubRepository, tip: string | undefined, sha: string): Promise<Seen> {
  if (tip === undefined) return { kind: 'missing' }
  const comparison = await repository.compare(tip, sha)
  if (comparison === 'unrelated') return { kind: 'unrelated', tip }
  if (comparison === 'not-found') throw unknownCommit(sha)
  return seenFrom(comparison)
}

/** Moves each channel as soon as its own copies are proven, so that one upload never holds up the others. */
async function move(
  pending: readonly Pending[],
  outputs: ReadonlyMap<number, Output[]>,
  deadline: Deadline,
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
    const proof = deadline
      .exclude(async () => prove?.(outputs.get(build) ?? [], `build ${build}`))
      .then(how => void ready.push({ ...each, uploaded: how === 'copied' }))
      .catch(error => ending.failure(each.channel, error))
      .finally(() => proving.delete(proof))
    proving.add(proof)
  }
  for (let wrote = false; proving.size > 0 || ready.length > 0; ) {
    if (ready.length === 0) await Promise.race(proving)
    // GitHub wants writes a second apart; and what is proven meanwhile goes along
    if (many) await new Promise(resolve => setTimeout(resolve, wrote ? options.secondMs : 0))
    const wave = await stillCandidates(ready.splice(0, many ? MAX_BATCH : 1), ending, options)
    if (wave.length === 0) continue
    if (wave.length > 1 && options.mode === 'move') await moveTogether(wave, ending, options)
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
  const { facts } = await lookUpFleet(options)
  const { channels } = planFleet(options.config.channels, facts, expectedHost(options.config.github))
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
    for (const [index, each] of movable.entries()) {
      if (index > 0) await new Promise(resolve => setTimeout(resolve, options.secondMs))
      // what was seen may be the reason why GitHub objected: look again
      await moveOne({ ...each, seen: undefined }, ending, options)
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
function createEnding({ config, log, report }: ReconcileOptions): Ending {
  const counts: Counts = {}
  let failed = false
  const tally = (kind: string) => {
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  const webUrl = `https://${expectedHost(config.github)}`
  return {
    channel(channel, judged) {
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

/** Branches that look like channels, and that no job leads to any more: never deleted here, and never silent. */
function reportStrays(
  { channels, prefixes }: ReturnType<typeof planFleet>,
  tips: ReadonlyMap<string, Map<string, string> | Error>,
  log: Log,
): void {
  const known = new Set(channels.map(({ channel }) => channelKey(channel)))
  for (const [repository, found] of tips) {
    if (!(found instanceof Map)) continue
    const literal = prefixes.filter(each => each.repository === repository && each.prefix !== '')
    const strays = [...found.keys()].filter(
      branch =>
        literal.some(({ prefix }) => branch.startsWith(prefix)) &&
        !known.has(channelKey({ repository, branch })),
    )
    if (strays.length > 0) {
      log.line(
        `${repository}: job-gone: no job leads to ${strays.length} ${strays.length === 1 ? 'branch' : 'branches'}: ${strays.join(', ')}`,
      )
    }
  }
}
