// Hydra's database says where every channel should be, the branches say where it is, and reconcile closes the
// difference. It decides by nothing that it keeps itself, so it can be stopped anywhere and run anywhere.

import { lineOfError, OperatorError, PassingError } from './base/errors.ts'
import { type Log, listSome } from './base/log.ts'
import { isCacheConfigured } from './cache/config.ts'
import { blindUnit, cacheOptionsFor } from './cache/options.ts'
import { createProver } from './cache/prove.ts'
import { describeUnlisted, listTips, prefixesIn, type Stray, strayBranches } from './channels/branches.ts'
import { channelKey } from './channels/channel.ts'
import { selectChannels } from './channels/channel-name.ts'
import { type Plan, type PlannedChannel, planFleet, prefixesOf } from './channels/plan.ts'
import { findRecorded, knownChannels, type Recorded } from './channels/recorded.ts'
import { describeRename } from './channels/safeguards.ts'
import { settle } from './channels/settle.ts'
import { lookUpFleet } from './channels/snapshot.ts'
import { isTrouble, tellVerdict, type Verdict } from './channels/verdict.ts'
import { expectedHosts, webUrlFor } from './github/config.ts'
import type { Database } from './hydra/database.ts'
import type { Lock } from './hydra/lock.ts'
import type { RunOptions } from './run-options.ts'
import type { Reconciled } from './state/last-reconcile.ts'
import { remember } from './state/proven.ts'

export interface ReconcileOptions extends RunOptions {
  /** channels as given on the command line; empty: all */
  only: readonly string[]
  database: Database
  /** undefined in a dry run, which moves nothing */
  lock: Lock | undefined
  /** what could not be done, as soon as it is known: a run may not come to its end */
  failures?: Reconciled['failures']
  /** the channels that earlier ones knew */
  recorded?: readonly Recorded[]
  /** keeps the channels that this one knows, before anything moves; undefined: it leaves nothing behind */
  record?: (known: readonly Recorded[]) => void
  /** shows on a terminal how far a long run is */
  progress: (text: string) => void
}

/**
 * Brings every channel to its candidate.
 *
 * @returns how many channels ended how, which of them failed and why, and `failed` where one is in trouble that was logged
 * @throws UsageError for a channel that there is not; OperatorError if nothing could be looked at
 */
export async function reconcile(options: ReconcileOptions): Promise<Reconciled> {
  const { config, database, log, mode, secondMs, progress } = options
  const lookUp = () => lookUpFleet({ rules: config.channels, database })
  const hosts = expectedHosts(config.github)
  const plan = planFleet(config.channels, await lookUp(), hosts)
  const planned = selectChannels(plan.channels, options.only, config.channels)
  const github = await options.openGitHub()
  const summary = createSummary(options)
  for (const { error } of plan.problems) summary.problem(error)

  // a whole run also looks for branches that no job leads to any more
  const all = options.only.length === 0
  const rules = config.channels
  const before = all ? (options.recorded ?? []) : []
  const tips = await listTips(github, all ? prefixesOf(rules, before) : prefixesIn(planned))
  const recorded = await findRecorded(before, { tips, rules, repository: github.repository })
  if (all) options.record?.(await knownChannels(plan, { tips, rules, recorded }))
  const { findOutputsOfBuilds } = await import('./hydra/queries/outputs.ts')
  const cacheOptions = isCacheConfigured(config.cache) ? cacheOptionsFor(config.cache, options) : undefined
  const prove = cacheOptions && createProver(cacheOptions)
  let proven = 0
  await settle(
    planned,
    {
      mode,
      forge: github.repository,
      tips,
      planAgain: async () => planFleet(config.channels, await lookUp(), hosts).channels,
      findOutputs: builds => database.look(sql => findOutputsOfBuilds(sql, builds)),
      prove:
        prove &&
        remember(
          async (outputs, _build, { name }) => {
            const how = await github.deadline.exclude(() => prove(outputs, name))
            progress(`${++proven} proven`)
            return how
          },
          { stateDirectory: config.stateDirectory, unit: blindUnit(cacheOptions), log },
        ),
      checkLock: async () => options.lock?.check(),
      stateDirectory: config.stateDirectory,
      secondMs,
      progress,
    },
    summary.channel,
  )
  for (const [, repository] of new Map(planned.map(nameOfRepository))) {
    const rename = await describeRename(github.repository(repository), repository)
    if (rename) log.line(rename)
  }
  if (all) {
    reportStrays(strayBranches(plan, tips, rules, recorded), plan, log)
    for (const line of describeUnlisted(tips)) log.line(line)
  }
  return summary.end()
}

function nameOfRepository({ channel: { repository } }: PlannedChannel): [string, string] {
  return [repository.toLowerCase(), repository]
}

/** Hosts may follow them: they are left as they are, and named each time. */
function reportStrays(strays: readonly Stray[], { problems }: Plan, log: Log): void {
  const reported = new Set(problems.map(({ error }) => error))
  const byRepository = new Map<string, string[]>()
  for (const { channel, tip, ruleTrouble, successor } of strays) {
    // GitHub did not say whether it exists
    if (tip instanceof Error) continue
    const { repository, branch } = channel
    const why = successor ?? ruleTrouble?.message
    if (why !== undefined) {
      const isReported = ruleTrouble !== undefined && reported.has(ruleTrouble)
      if (!isReported) log.line(`${repository} ${branch}: not moved any more: ${why}`)
      continue
    }
    const branches = byRepository.get(repository) ?? []
    byRepository.set(repository, branches)
    branches.push(branch)
  }
  for (const [repository, branches] of byRepository) {
    const of = branches.length === 1 ? '1 branch' : `${branches.length} branches`
    log.line(`${repository}: abandoned: no job leads to ${of}: ${listSome(branches)}`)
  }
}

interface Summary {
  channel(planned: PlannedChannel, verdict: Verdict): void
  problem(error: OperatorError): void
  end(): Reconciled
}

/** A line for each channel that changed or is in trouble, and in the end how many ended how. */
function createSummary({ config, log, report, only, failures = {} }: ReconcileOptions): Summary {
  const counts: Reconciled['counts'] = {}
  let ended: 'ok' | 'failed' = 'ok'
  const said = new Set<string>()
  const tally = (kind: string) => {
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  const { dryRun } = config
  const voice = { log, report, webUrl: webUrlFor(config.github), dryRun }
  return {
    channel({ channel, candidate }, verdict) {
      // a job that is gone and has no branch stays so: it is not worth a line
      if (verdict.kind === 'job-gone' && only.length === 0) return
      tally(verdict.kind)
      if (isTrouble(verdict)) ended = 'failed'
      if (verdict.kind === 'failed' && candidate && !(candidate instanceof OperatorError)) {
        failures[channelKey(channel)] = { sha: candidate.sha, message: lineOfError(verdict.error), dryRun }
      }
      if (!isQuiet(verdict)) tellVerdict(channel, verdict, voice)
    },
    problem(error) {
      // many rules may have the same
      const isSaid = said.has(error.message)
      said.add(error.message)
      if (error instanceof PassingError) {
        if (!isSaid) log.line(error.message)
        return
      }
      tally('rule in trouble')
      ended = 'failed'
      if (!isSaid) report(error)
    },
    end() {
      const kinds = Object.entries(counts).map(([kind, n]) => `${n} ${kind}`)
      log.line(kinds.length === 0 ? 'no channels' : kinds.join(', '))
      return { ended, counts, failures }
    },
  }
}

/** Nothing changed, and nothing has to be done. */
function isQuiet(verdict: Verdict): boolean {
  if (verdict.kind === 'already-contained') return verdict.notOn === undefined
  return ['already-there', 'no-good-build', 'job-gone'].includes(verdict.kind)
}
