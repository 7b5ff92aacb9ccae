// What a finished build leads to: its outputs in the cache, and the channels of its job at their candidate. An old build
// that finishes late finds the newer candidate here, and a build that is being built again finds the older one.
import { advance, cannotMove } from './advance.ts'
import {
  type CacheOptions,
  cacheOptionsFor,
  copyOutputs,
  createProver,
  isCacheConfigured,
  startCopies,
} from './cache.ts'
import {
  ambiguous,
  type Candidate,
  checkBuild,
  type JobFacts,
  jobsOfChannel,
  judgeCandidate,
  type PresentJobs,
  showJob,
} from './candidate.ts'
import { type Channel, channelKey, channelOfJob, jobsetsOf, type Rule, sameRepository } from './channel.ts'
import { type Config, expectedHost } from './config.ts'
import type { Deadline } from './deadline.ts'
import { LATER, OperatorError } from './errors.ts'
import type { GitHubRepository } from './github/repository.ts'
import { checkWritable, describeRename, findWithdrawal, heldOutcome } from './guard.ts'
import type { Http } from './http.ts'
import type { Database } from './hydra/database.ts'
import type { BuildFinished, Output } from './hydra/event.ts'
import { kick } from './kick.ts'
import { type Log, short } from './log.ts'
import { describeOutcome, isTrouble, type Outcome } from './outcome.ts'

export interface HookOptions {
  config: Config
  /** `look` copies nothing and moves nothing */
  mode: 'move' | 'look'
  log: Log
  /** says an error with what to do about it, and goes on */
  report: (error: unknown) => void
  env: Readonly<Record<string, string | undefined>>
  http: Http
  /** a second of waiting; shorter in tests */
  secondMs: number
  openDatabase: () => Promise<Database>
  openGitHub: () => Promise<{ deadline: Deadline; repository: (name: string) => GitHubRepository }>
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
    else ended = await bringChannels(event, channels, cacheOptions, options)
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
    `asked for a reconcile of ${names}: the verdict is in its journal (journalctl -u hydra-channels-reconcile)`,
  )
}

/** Brings each channel to its candidate, all at once, and says what became of them. */
async function bringChannels(
  event: BuildFinished,
  channels: readonly Channel[],
  cacheOptions: CacheOptions | undefined,
  options: HookOptions,
): Promise<'ok' | 'failed'> {
  const [facts, github] = await Promise.all([
    lookUp(event, channels, options),
    options.openGitHub().then(opened => {
      // both tokens and rows take their time; a token that cannot be had is each channel's own trouble, below
      for (const { repository } of channels) {
        const early = opened.repository(repository).facts()
        early.catch(() => {})
      }
      return opened
    }),
  ])
  if (!facts.good) {
    options.log.line(
      `build ${event.build} is not good any more: it is built again or failed since, and its own event will come`,
    )
  }
  const proveOutputs = cacheOptions && createProver(cacheOptions)

  async function bring(channel: Channel, known: Facts, looks = MAX_LOOKS): Promise<Result> {
    const repository = github.repository(channel.repository)
    const jobs = jobsOfChannel(channel, event, options.config.channels, known.present)
    if (jobs.length > 1) throw ambiguous(jobs)
    if (!jobs.some(job => showJob(job) === showJob(event))) return { channel, follows: jobs.map(showJob) }

    const host = expectedHost(options.config.github)
    const candidate = judgeCandidate(event, known, { repository: channel.repository, host })
    if (!candidate) return { channel }
    await checkWritable(repository, channel)
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
  return conclude(event, facts, channels, results, options)
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

/** The channels that the rules make of the event's job, each once, and what is wrong with the others. */
function channelsOf(
  event: BuildFinished,
  rules: readonly Rule[],
): { channels: Channel[]; invalid: OperatorError[] } {
  const channels = new Map<string, Channel>()
  const invalid: OperatorError[] = []
  for (const rule of rules) {
    if (rule.project !== event.project || rule.jobset !== event.jobset) continue
    const made = tryRule(rule, event.job)
    if (made instanceof OperatorError) invalid.push(made)
    else if (made?.kind === 'channel') {
      const channel = { repository: rule.repository, branch: made.branch }
      // the first spelling of a repository counts
      if (!channels.has(channelKey(channel))) channels.set(channelKey(channel), channel)
    } else if (made) {
      invalid.push(
        new OperatorError(`cannot name a channel for ${showJob(event)} in ${rule.repository}: ${made.why}`, {
          hint: 'correct the rule, or make its job leave this one out',
        }),
      )
    }
  }
  return { channels: [...channels.values()], invalid }
}

/** One rule that does not come to an end on a name leaves the others alone. */
function tryRule(rule: Rule, job: string): ReturnType<typeof channelOfJob> | OperatorError {
  try {
    return channelOfJob(rule, job)
  } catch (error) {
    if (error instanceof OperatorError) return error
    throw error
  }
}

interface Facts extends JobFacts {
  /** whether the event's own build is still good */
  good: boolean
  present: PresentJobs[]
  /** of the candidate's build */
  outputs: Output[]
}

/** One look at Hydra's database: all that decides, of one moment. */
async function lookUp(
  event: BuildFinished,
  channels: readonly Channel[],
  options: HookOptions,
): Promise<Facts> {
  const [query, database] = await Promise.all([import('./hydra/queries.ts'), options.openDatabase()])
  // their jobs could lead to the channels too
  const rules = options.config.channels.filter(rule =>
    channels.some(({ repository }) => sameRepository(repository, rule.repository)),
  )
  try {
    return await database.look(async sql => {
      const presentJobs = Promise.all(
        jobsetsOf(rules).map(async ({ project, jobset }) => ({
          project,
          jobset,
          jobs: await query.findPresentJobs(sql, project, jobset),
        })),
      )
      presentJobs.catch(() => {})
      const build = await query.findBuild(sql, event.build)
      checkBuild(event, build)
      const [candidate, newestEval, present] = await Promise.all([
        query.findCandidate(sql, build.jobsetId, build.job),
        query.findNewestEval(sql, build.jobsetId),
        presentJobs,
      ])
      if (build.good && build.jobsetType === 'flake' && !candidate) {
        throw new OperatorError(`build ${event.build} is in no eval of Hydra's database`)
      }
      const outputs = candidate ? await query.findOutputs(sql, candidate.build) : []
      return { jobsetType: build.jobsetType, good: build.good, candidate, newestEval, present, outputs }
    })
  } finally {
    // the answers are there: nothing waits for the goodbye
    database.close().catch(() => {})
  }
}

interface Result {
  channel: Channel
  candidate?: Candidate
  outcome?: Outcome
  rename?: string | undefined
  /** the jobs that the channel follows instead */
  follows?: string[]
}

/** Says what became of each channel, in the order of the rules; the last line is the verdict. */
function conclude(
  event: BuildFinished,
  facts: Facts,
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
    const { outcome, rename, follows } = result.value
    if (rename) log.line(rename)
    if (outcome) {
      failed ||= isTrouble(outcome)
      for (const line of describeOutcome(channel, outcome, `https://${host}`)) log.line(line)
    } else if (follows) {
      log.line(
        `${channel.repository} ${channel.branch}: not moved: ${showJob(event)} is not in the jobset any more, and the channel follows ${follows.join(', ')}`,
      )
    } else if (!facts.candidate) {
      log.line(`${channel.repository} ${channel.branch}: not moved: the job has no good build now`)
    }
  }
  return failed ? 'failed' : 'ok'
}
