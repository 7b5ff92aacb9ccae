// The channels of one job, brought to their candidate: reconcile, narrowed to the job of a build that has just finished.
// An old build that finishes late finds the newer candidate here, and one that is being built again finds the older one.
import { advance, cannotMove } from './advance.ts'
import { type Facts, lookUp } from './build-facts.ts'
import { type CacheOptions, createProver } from './cache.ts'
import { type Candidate, type JobName, showJob } from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import { expectedHost } from './config.ts'
import { LATER, OperatorError } from './errors.ts'
import { planFleet } from './fleet.ts'
import { checkWritable, describeRename, findWithdrawal, heldOutcome } from './guard.ts'
import type { HookOptions } from './hook.ts'
import type { BuildFinished, Output } from './hydra/event.ts'
import { short } from './log.ts'
import { describeOutcome, isTrouble, type Outcome } from './outcome.ts'
import type { OpenedGitHub } from './run-options.ts'

/** What is open or under way already. */
interface Hands {
  looking: Promise<Facts>
  github: OpenedGitHub
  cacheOptions: CacheOptions | undefined
}

/** Brings each channel to its candidate, all at once, and says what became of them. */
export async function bringChannels(
  event: BuildFinished,
  channels: readonly Channel[],
  { looking, github, cacheOptions }: Hands,
  options: HookOptions,
): Promise<'ok' | 'failed'> {
  for (const { repository } of channels) {
    // tokens take their time too; one that cannot be had is each channel's own trouble, below
    github
      .repository(repository)
      .facts()
      .catch(() => {})
  }
  const facts = await looking
  if (!facts.good) {
    options.log.line(
      `build ${event.build} is not good any more: it is built again or failed since, and its own event will come`,
    )
  }
  const proveOutputs = cacheOptions && createProver(cacheOptions)

  async function bring(channel: Channel, known: Facts, looks = MAX_LOOKS): Promise<Result> {
    const repository = github.repository(channel.repository)
    const plan = planFleet(known.rules, known.jobsets, expectedHost(options.config.github))
    const own = plan.channels.find(each => channelKey(each.channel) === channelKey(channel))
    if (!own) {
      // the rule leads here, but does not come to an end on another job of the jobset
      throw plan.problems[0]?.error ?? new Error(`no rule makes ${channel.branch} of ${showJob(event)}`)
    }
    const { candidate, job } = own
    if (candidate instanceof OperatorError) throw candidate
    if (showJob(job) !== showJob(event)) return { channel, follows: job }
    if (!candidate) return { channel }
    await checkWritable(repository, channel)
    // of a job that is gone a branch may move on, but none is made
    if (own.presence === 'gone' && (await repository.findBranch(channel.branch)) === undefined) {
      return { channel, gone: true }
    }
    try {
      const outcome = await advance({
        channel,
        sha: candidate.sha,
        repository,
        mode: options.mode,
        findObjection: () => findWithdrawal(repository, candidate),
        beforeWrite: async () => heldOutcome(channel, candidate.sha, options.config.stateDirectory),
        async prove() {
          const missing = unprovenOutputs(event, candidate, known.outputs)
          if (!proveOutputs || missing.length === 0) return
          const proof = await github.deadline.exclude(() => proveOutputs(missing, `build ${candidate.build}`))
          // an upload takes its time, and what was looked up before may not hold any more
          if (proof === 'copied') throw new UploadedMeanwhile()
        },
      })
      return { channel, candidate, outcome, rename: await describeRename(repository, channel) }
    } catch (error) {
      if (!(error instanceof UploadedMeanwhile) || looks <= 1) throw error
      return bring(channel, await lookUp(event, channels, options), looks - 1)
    }
  }

  const results = await Promise.allSettled(channels.map(channel => bring(channel, facts)))
  return conclude(event, channels, results, options)
}

/** A candidate that needs an upload may be another one after it, this often. */
const MAX_LOOKS = 4

/** Something was copied while a channel waited: all is to be looked up once more. */
class UploadedMeanwhile extends OperatorError {
  override name = 'UploadedMeanwhile'

  constructor() {
    super(`the candidate changed ${MAX_LOOKS} times while its outputs were copied`, { hint: LATER })
  }
}

/** What the hook has not copied yet: another build's outputs, and those that the event's build has only now. */
function unprovenOutputs(
  event: BuildFinished,
  candidate: Candidate,
  outputs: readonly Output[],
): readonly Output[] {
  if (candidate.build !== event.build) return outputs
  const copied = new Set(event.outputs.map(({ path }) => path))
  return outputs.filter(({ path }) => path !== null && !copied.has(path))
}

interface Result {
  channel: Channel
  candidate?: Candidate
  outcome?: Outcome
  rename?: string | undefined
  /** the job is not in the jobset any more, and there is no such branch */
  gone?: true
  /** the job that the channel follows instead */
  follows?: JobName
}

/** Says what became of each channel, in the order of the rules; the last line is the verdict. */
function conclude(
  event: BuildFinished,
  channels: readonly Channel[],
  results: readonly PromiseSettledResult<Result>[],
  { config, log, report }: HookOptions,
): 'ok' | 'failed' {
  const host = expectedHost(config.github)
  let failed = false
  const first = results.find(result => result.status === 'fulfilled' && result.value.candidate)
  if (first?.status === 'fulfilled' && first.value.candidate) {
    const { candidate, channel } = first.value
    const build = candidate.build === event.build ? '' : `, with the newest good build ${candidate.build}`
    const forge = host === 'github.com' ? 'github:' : `${host}/`
    log.line(`eval ${candidate.eval}${build}: ${forge}${channel.repository}/${short(candidate.sha)}`)
  }
  for (const [index, result] of results.entries()) {
    const channel = channels[index] as Channel
    if (result.status === 'rejected') {
      failed = true
      report(cannotMove(channel, result.reason))
      continue
    }
    const { outcome, rename, follows, gone } = result.value
    if (rename) log.line(rename)
    if (outcome) {
      failed ||= isTrouble(outcome)
      for (const line of describeOutcome(channel, outcome, `https://${host}`)) log.line(line)
    } else if (gone) {
      log.line(
        `${channel.repository} ${channel.branch}: not created: ${showJob(event)} is not in the jobset any more`,
      )
    } else if (follows) {
      log.line(
        `${channel.repository} ${channel.branch}: not moved: ${showJob(event)} is not in the jobset any more, and the channel follows ${showJob(follows)}`,
      )
    } else {
      log.line(`${channel.repository} ${channel.branch}: not moved: the job has no good build now`)
    }
  }
  return failed ? 'failed' : 'ok'
}
