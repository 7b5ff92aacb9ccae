// What a finished build leads to: its outputs in the cache, and the channels of its job at their candidate, brought there
// by this process (channels/settle.ts) or by a reconcile that it asks for.

import { OperatorError, operatorErrorOf } from './base/errors.ts'
import { listSome, short } from './base/log.ts'
import type { Output } from './base/output.ts'
import { isCacheConfigured } from './cache/config.ts'
import { copyOutputs, startCopies } from './cache/copy.ts'
import { blindUnit, type CacheOptions, cacheOptionsFor } from './cache/options.ts'
import { createProver } from './cache/prove.ts'
import { showJob } from './channels/candidate.ts'
import { type Channel, channelKey, channelName } from './channels/channel.ts'
import { type PlannedChannel, planFleet, unnameable } from './channels/plan.ts'
import { channelOfJob, type Rule } from './channels/rule.ts'
import { describeRename } from './channels/safeguards.ts'
import { settle } from './channels/settle.ts'
import type { Facts } from './channels/snapshot.ts'
import { isTrouble, tellVerdict, type Verdict } from './channels/verdict.ts'
import { expectedHosts, webUrlFor } from './github/config.ts'
import type { Database } from './hydra/database.ts'
import type { BuildFinished } from './hydra/event.ts'
import type { RunOptions } from './run-options.ts'
import { kick } from './state/kick.ts'
import { remember } from './state/proven.ts'

export interface HookOptions extends RunOptions {
  /** starts to connect to GitHub, which takes two round trips: the database is asked in that time */
  connect?: () => Promise<void>
  openDatabase: () => Promise<Database>
}

/**
 * Handles a build that succeeded.
 *
 * @returns `failed` where a channel is in trouble that was logged
 * @throws OperatorError if no channel could be looked at: the copy, the database or the credentials failed
 */
export async function handleBuild(event: BuildFinished, options: HookOptions): Promise<'ok' | 'failed'> {
  const { config, log } = options
  const { cache } = config
  const detached = config.hook.mode === 'detached'

  // every build is copied, channel or not, and before all else: nothing may age during an upload
  const cacheOptions = isCacheConfigured(cache) ? cacheOptionsFor(cache, options) : undefined
  let ended: 'ok' | 'failed' = 'ok'
  if (cacheOptions && detached) ended = await startCopying(event, cacheOptions, options)
  else if (cacheOptions) await copyOutputs(event.outputs, showJob(event), cacheOptions)
  else if (cache) log.line('cache has neither unit nor url in the configuration: nothing is copied or proven')

  const { channels, invalid } = channelsOf(event, config.channels)
  if (channels.length > 0) {
    if (detached) handOver(channels, options)
    else ended = await bringToCandidate(event, channels, cacheOptions, options)
  } else if (invalid.length === 0)
    log.line(`${showJob(event)}: no rule matches it, so there is nothing to move`)
  for (const error of invalid) options.report(error)
  return invalid.length > 0 ? 'failed' : ended
}

/**
 * Reconcile, narrowed to the job of a build that has just finished. An old build that finishes late finds the newer candidate
 * here, and one that is being built again finds the older one.
 */
async function bringToCandidate(
  event: BuildFinished,
  channels: readonly Channel[],
  cacheOptions: CacheOptions | undefined,
  options: HookOptions,
): Promise<'ok' | 'failed'> {
  const { config, log } = options
  await options.connect?.()
  // what a detached hook does without: the database's client and, while the database answers, GitHub's
  const [{ lookUpJob }, { findOutputsOfBuilds }] = await Promise.all([
    import('./channels/snapshot.ts'),
    import('./hydra/queries/outputs.ts'),
  ])
  const database = await options.openDatabase()
  try {
    const look = () => lookUpJob(event, channels, { rules: config.channels, database })
    const looking = look()
    looking.catch(() => {})
    const github = await options.openGitHub()
    for (const { repository } of channels) {
      // a token takes its time too; if it cannot be had, that is the channel's own trouble, later
      github
        .repository(repository)
        .facts()
        .catch(() => {})
    }
    const facts = await looking
    if (!facts.good) {
      log.line(
        `${showJob(event)}: build ${event.build} is not good any more: it is being built again, or has failed since. Its next event will follow`,
      )
    }
    const plan = (now: Facts) => planJob(event, channels, now, expectedHosts(config.github))
    const { planned, verdicts } = plan(facts)
    const prove = cacheOptions && createProver(cacheOptions)
    const judged = new Map<string, PlannedChannel>()
    await settle(
      planned,
      {
        mode: options.mode,
        forge: github.repository,
        tips: undefined,
        planAgain: async () => plan(await look()).planned,
        findOutputs: builds => database.look(sql => findOutputsOfBuilds(sql, builds)),
        prove:
          prove &&
          remember(
            async (outputs, build, { name }) => {
              const missing = build === event.build ? notCopied(event, outputs) : outputs
              if (missing.length === 0) return 'seen'
              return github.deadline.exclude(() => prove(missing, name))
            },
            { stateDirectory: config.stateDirectory, unit: blindUnit(cacheOptions), log },
          ),
        checkLock: async () => {},
        stateDirectory: config.stateDirectory,
        secondMs: options.secondMs,
        progress: () => {},
      },
      (own, verdict) => {
        const key = channelKey(own.channel)
        judged.set(key, own)
        verdicts.set(key, verdict)
      },
    )
    sayCandidate(event, [...judged.values()], options)
    for (const [, repository] of new Map(
      channels.map(each => [each.repository.toLowerCase(), each.repository]),
    )) {
      const rename = await describeRename(github.repository(repository), repository)
      if (rename) log.line(rename)
    }
    return tellAll(channels, verdicts, options)
  } finally {
    // the answers are there: nothing waits for the goodbye
    database.close().catch(() => {})
  }
}

/** The channels that follow the event's job, and the verdicts on the others. */
function planJob(
  event: BuildFinished,
  channels: readonly Channel[],
  { rules, jobsets }: Facts,
  hosts: readonly string[],
): { planned: PlannedChannel[]; verdicts: Map<string, Verdict> } {
  const plan = planFleet(rules, jobsets, hosts)
  const planned: PlannedChannel[] = []
  const verdicts = new Map<string, Verdict>()
  for (const channel of channels) {
    const key = channelKey(channel)
    const found = plan.channels.find(each => channelKey(each.channel) === key)
    if (!found) {
      // the rule leads here, but takes too long on another job of the jobset
      const error =
        plan.problems[0]?.error ?? new Error(`no rule makes ${channel.branch} of ${showJob(event)}`)
      verdicts.set(key, { kind: 'failed', error })
    } else if (found.jobs.length === 1 && showJob(found.job) !== showJob(event)) {
      verdicts.set(key, { kind: 'job-gone', job: event, follows: found.job })
    } else planned.push(found)
  }
  return { planned, verdicts }
}

/** Outputs that the event's build has only now. */
function notCopied(event: BuildFinished, outputs: readonly Output[]): readonly Output[] {
  const copied = new Set(event.outputs.map(({ path }) => path))
  return outputs.filter(({ path }) => path !== null && !copied.has(path))
}

/** `dotfiles:main:nixos-nas: eval 991: github:alice/dotfiles/3f2c9d1`: all channels of one job have the same candidate. */
function sayCandidate(
  event: BuildFinished,
  judged: readonly PlannedChannel[],
  { config, log }: HookOptions,
): void {
  for (const { channel, candidate } of judged) {
    if (!candidate || candidate instanceof OperatorError) continue
    const { host } = new URL(webUrlFor(config.github))
    const newest = candidate.build === event.build ? '' : `, with the newest good build ${candidate.build}`
    const prefix = host === 'github.com' ? 'github:' : `${host}/`
    const flakeref = `${prefix}${channel.repository}/${short(candidate.sha)}`
    log.line(`${showJob(event)}: eval ${candidate.eval}${newest}: ${flakeref}`)
    return
  }
}

/** In the order of the rules. */
function tellAll(
  channels: readonly Channel[],
  verdicts: ReadonlyMap<string, Verdict>,
  { config, log, report }: HookOptions,
): 'ok' | 'failed' {
  let ended: 'ok' | 'failed' = 'ok'
  for (const channel of channels) {
    const verdict = verdicts.get(channelKey(channel))
    if (!verdict) throw new Error(`${channelKey(channel)} has no verdict`)
    if (isTrouble(verdict)) ended = 'failed'
    const webUrl = webUrlFor(config.github)
    tellVerdict(channel, verdict, { log, report, webUrl, dryRun: config.dryRun })
  }
  return ended
}

/**
 * `hook.mode: "detached"`: Hydra waits for nothing but two calls of systemd, and reconcile does the rest. Needs neither
 * the database nor GitHub nor the App's key, which is so out of reach of other hooks.
 */
function handOver(channels: readonly Channel[], { config, log, mode }: HookOptions): void {
  const names = listSome(channels.map(channelName))
  if (mode === 'look') {
    log.line(`${names}: would ask for a reconcile (dry run)`)
    return
  }
  kick(config.hook.kickFile)
  log.line(
    `${names}: asked for a reconcile; the verdict is in its journal (journalctl -u hydra-channels-reconcile) and in hydra-channels status`,
  )
}

/** A copy that cannot be started is trouble, and keeps nobody from asking for a reconcile, which copies by itself. */
async function startCopying(
  event: BuildFinished,
  cacheOptions: CacheOptions,
  { report }: HookOptions,
): Promise<'ok' | 'failed'> {
  try {
    await startCopies(event.outputs, showJob(event), cacheOptions)
    return 'ok'
  } catch (error) {
    report(operatorErrorOf(error))
    return 'failed'
  }
}

/** The channels that the rules make of the event's job, each once, and what is wrong with the others. */
function channelsOf(
  event: BuildFinished,
  rules: readonly Rule[],
): { channels: Channel[]; invalid: OperatorError[] } {
  const channels = new Map<string, Channel>()
  const invalid: OperatorError[] = []
  for (const rule of rules) {
    if (rule.project !== event.project || rule.jobset !== event.jobset) continue
    try {
      const made = channelOfJob(rule, event.job)
      if (made?.kind === 'channel') {
        const channel = { repository: rule.repository, branch: made.branch }
        // the first spelling of a repository counts
        if (!channels.has(channelKey(channel))) channels.set(channelKey(channel), channel)
      } else if (made) invalid.push(unnameable(event, rule, made))
    } catch (error) {
      // one rule that takes too long on a name leaves the others alone
      if (!(error instanceof OperatorError)) throw error
      invalid.push(error)
    }
  }
  return { channels: [...channels.values()], invalid }
}
