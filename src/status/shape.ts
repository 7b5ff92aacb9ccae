// What status says of a channel: the shape of `hydra-channels status --json`, documented in docs/status.md and stable.

/** Why a channel is not at the newest commit of the tracked branch, in the order in which they are looked for. */
export const REASONS = [
  'held',
  'withdrawn',
  'not-on-branch',
  'diverged',
  'ambiguous',
  'abandoned',
  'no-permission',
  'job-gone',
  'evaluation-failed',
  'not-evaluated',
  'unusable-flakeref',
  'build-failed',
  'build-timed-out',
  'dependency-failed',
  'build-aborted',
  'not-cached',
  'failed',
  'building',
  'behind',
  'up-to-date',
  /** GitHub or the database is away */
  'unknown',
] as const

export type Reason = (typeof REASONS)[number]

/** Times are ISO 8601 in UTC: `2026-11-24T12:00:00.000Z`. */
export interface ChannelStatus {
  /** `alice/dotfiles` */
  repository: string
  /** `nixos-tested-nas` */
  branch: string
  /** the three are null of a branch that no job leads to */
  project: string | null
  jobset: string | null
  job: string | null
  /** the commit that the channel is at, 40 digits; null if the branch is not there, or not known */
  sha: string | null
  committedAt: string | null
  candidate: { sha: string; eval: number; build: number } | null
  /** commits that the candidate has and the channel does not have */
  behindCandidate: number | null
  /** the same of the tracked branch */
  behindBranch: number | null
  reason: Reason
  /** since when there is something newer than the channel's commit; null if there is nothing newer */
  since: string | null
  /** where to read more, in Hydra or on GitHub */
  url: string | null
  /** what is wrong and what to do, in one line; null if nothing is wrong */
  message: string | null
  /** since when its job fails; null if its newest build is good, or not finished */
  failing: Failing | null
  hold: HoldStatus | null
}

export interface HoldStatus {
  reason: string
  since: string
  /** null: until it is released */
  until: string | null
  /** who asked for it; null: nobody knows */
  by: string | null
  /** whether it is the channel's own, or that of all channels */
  scope: 'channel' | 'all'
}

/** The first build that failed since the last good one. */
export interface Failing {
  /** null: all of them were aborted or cancelled, which decides nothing */
  build: number | null
  eval: number | null
  /** the time of that eval */
  since: string | null
  /** the commit of that eval, and what GitHub says of it */
  sha: string | null
  subject: string | null
  author: string | null
  /** null: there never was one */
  lastGoodBuild: number | null
}

export interface FleetStatus {
  generatedAt: string
  /** when the last reconcile ended; null if none did */
  lastReconcile: string | null
  /** when the next one is due, if it is not asked for sooner; null: nobody knows */
  nextReconcile: string | null
  /** whether the configuration has dryRun, with which nothing is moved */
  dryRun: boolean
  channels: ChannelStatus[]
}

/** Reasons that pass by themselves, or that somebody wanted; in all others somebody has something to mend. */
const QUIET: ReadonlySet<Reason> = new Set<Reason>(['held', 'abandoned', 'building', 'behind', 'up-to-date'])

export function isTroubling(reason: Reason): boolean {
  return !QUIET.has(reason)
}
