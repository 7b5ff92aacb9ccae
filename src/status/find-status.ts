// What every channel is at, how far behind, since when and why: the shape of `hydra-channels status --json`.

import { OperatorError } from '../base/errors.ts'
import { isoOfSeconds } from '../base/time.ts'
import { candidateOf } from '../channels/candidate.ts'
import type { Hold } from '../channels/holds.ts'
import { type ChannelFacts, commitOf, explain, type Stand, type Surroundings } from './explain.ts'
import { type FoundChannel, type FoundFleet, findFacts, type LookOptions } from './find-facts.ts'
import type { ChannelStatus, Failing, FleetStatus, HoldStatus } from './shape.ts'

/** @throws as {@link findFacts} */
export async function findStatus(options: LookOptions): Promise<FleetStatus> {
  return statusOfFleet(await findFacts(options), options)
}

export function statusOfFleet(
  { channels, lastReconcile, around }: FoundFleet,
  options: Pick<LookOptions, 'now' | 'intervalMs' | 'dryRun'>,
): FleetStatus {
  return {
    generatedAt: options.now.toISOString(),
    lastReconcile: lastReconcile ?? null,
    nextReconcile: nextAfter(lastReconcile, options.intervalMs),
    dryRun: options.dryRun,
    channels: channels.map(found => statusOf(found, around)),
  }
}

export function statusOf({ facts, committedAt, since }: FoundChannel, around: Surroundings): ChannelStatus {
  const { channel, planned, tip, stands, holds } = facts
  const candidate = candidateOf(planned)
  return {
    repository: channel.repository,
    branch: channel.branch,
    project: planned?.job.project ?? null,
    jobset: planned?.job.jobset ?? null,
    job: planned && planned.jobs.length === 1 ? planned.job.job : null,
    sha: tip ?? null,
    committedAt: committedAt ?? null,
    candidate: candidate ? { sha: candidate.sha, eval: candidate.eval, build: candidate.build } : null,
    behindCandidate: aheadBy(stands.candidate),
    behindBranch: aheadBy(stands.tracked),
    since: since ?? null,
    failing: failingOf(facts, around),
    hold: holds instanceof OperatorError || !holds[0] ? null : shapeOf(holds[0]),
    ...explain(facts, around),
  }
}

function shapeOf({ reason, since, until, by, scope }: Hold): HoldStatus {
  return { reason, since, until, by: by ?? null, scope: scope ?? 'channel' }
}

function nextAfter(last: string | undefined, intervalMs: number | undefined): string | null {
  if (last === undefined || intervalMs === undefined) return null
  return new Date(Date.parse(last) + intervalMs).toISOString()
}

function failingOf({ planned, failing }: ChannelFacts, { hosts, commits }: Surroundings): Failing | null {
  if (!planned || !failing) return null
  const { first, lastGood } = failing
  const sha = commitOf(planned, first?.eval?.flake, hosts)
  const commit = sha === undefined ? undefined : commits.get(sha)
  return {
    build: first?.build ?? null,
    eval: first?.eval?.id ?? null,
    since: first?.eval ? isoOfSeconds(first.eval.timestamp) : null,
    sha: sha ?? null,
    subject: commit?.subject ?? null,
    author: commit?.author ?? null,
    lastGoodBuild: lastGood?.build ?? null,
  }
}

function aheadBy(stand: Stand): number | null {
  return typeof stand === 'object' ? stand.aheadBy : null
}
