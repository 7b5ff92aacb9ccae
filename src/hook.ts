// What a finished build leads to: its outputs in the cache, and the channels of its job at their candidate, brought there
// by this process (bring-channels.ts) or by a reconcile that it asks for.
import { cacheOptionsFor, copyOutputs, isCacheConfigured, startCopies } from './cache.ts'
import { showJob } from './candidate.ts'
import { type Channel, channelKey, channelOfJob, type Rule } from './channel.ts'
import { OperatorError } from './errors.ts'
import { unnameable } from './fleet.ts'
import type { Database } from './hydra/database.ts'
import type { BuildFinished } from './hydra/event.ts'
import { kick } from './kick.ts'
import type { RunOptions } from './run-options.ts'

export interface HookOptions extends RunOptions {
  openDatabase: () => Promise<Database>
}

/**
 * Handles a build that succeeded.
 *
 * @returns `failed` where a channel is in trouble that was logged
 * @throws OperatorError where no channel could be looked at: the copy, the database or the credentials failed
 */
export async function handleBuild(event: BuildFinished, options: HookOptions): Promise<'ok' | 'failed'> {
  const { config, log } = options
  const { cache } = config
  const detached = config.hook.mode === 'detached'

  // every build is copied, channel or not, and before all else: nothing may age during an upload
  const cacheOptions = isCacheConfigured(cache) ? cacheOptionsFor(cache, options) : undefined
  if (cacheOptions) await (detached ? startCopies : copyOutputs)(event.outputs, cacheOptions)
  else if (cache) log.line('cache has neither unit nor url in the configuration: nothing is copied or proven')

  const { channels, invalid } = channelsOf(event, config.channels)
  let ended: 'ok' | 'failed' = 'ok'
  if (channels.length > 0) {
    if (detached) handOver(channels, options)
    else {
      // what a detached hook does without: the database's client and, while the database answers, GitHub's
      const { lookUp } = await import('./build-facts.ts')
      const looking = lookUp(event, channels, options)
      looking.catch(() => {})
      const github = await options.openGitHub()
      const { bringChannels } = await import('./bring-channels.ts')
      ended = await bringChannels(event, channels, { looking, github, cacheOptions }, options)
    }
  } else if (invalid.length === 0) log.line(`no rule matches ${showJob(event)}: nothing to move`)
  for (const error of invalid) options.report(error)
  return invalid.length > 0 ? 'failed' : ended
}

/**
 * `hook.mode: "detached"`: Hydra waits for nothing but two calls of systemd, and reconcile does the rest. Needs neither
 * the database nor GitHub nor the App's key, which is so out of reach of other hooks.
 */
function handOver(channels: readonly Channel[], { config, log, mode }: HookOptions): void {
  const names = channels.map(({ repository, branch }) => `${repository} ${branch}`).join(', ')
  if (mode === 'look') {
    log.line(`would ask for a reconcile of ${names} (dry run)`)
    return
  }
  kick(config.hook.kickFile)
  log.line(
    `asked for a reconcile of ${names}: the verdict is in its journal (journalctl -u hydra-channels-reconcile) and in hydra-channels status`,
  )
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
      } else if (made) invalid.push(unnameable(event, rule, made.why))
    } catch (error) {
      // one rule that does not come to an end on a name leaves the others alone
      if (!(error instanceof OperatorError)) throw error
      invalid.push(error)
    }
  }
  return { channels: [...channels.values()], invalid }
}
