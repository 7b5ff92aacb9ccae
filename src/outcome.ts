// What became of a channel, and how that reads. An outcome is an expected ending; trouble is an error.
import { compareUrl, forceCommand } from './base/links.ts'
import type { Channel } from './channel.ts'
import { count, short } from './log.ts'

export type Outcome =
  | { kind: 'created'; sha: string }
  | { kind: 'fast-forwarded'; from: string; sha: string; commits: number }
  | { kind: 'already-there'; sha: string }
  /** the channel is further than the commit, by that many */
  | { kind: 'already-contained'; tip: string; sha: string; commits: number }
  | {
      kind: 'diverged'
      tip: string
      sha: string
      /** undefined where they have no common history at all */
      parted?: { mergeBase: string; aheadBy: number; behindBy: number }
    }
  /** main was reset: the commit is not in the history of the newest eval's */
  | { kind: 'withdrawn'; sha: string; eval: number; newest: { eval: number; sha: string } }
  /** somebody keeps the channel where it is; `until` is ISO 8601, or null: until it is released */
  | { kind: 'held'; sha: string; reason: string; until: string | null }
  | { kind: 'would-create'; sha: string }
  | { kind: 'would-fast-forward'; from: string; sha: string; commits: number }

/** Whether somebody has to do something about it. */
export function isTrouble({ kind }: Outcome): boolean {
  return kind === 'diverged' || kind === 'withdrawn'
}

/**
 * The outcome for the log. The last line is the verdict:
 * `alice/dotfiles nixos-tested-nas: fast-forwarded 1a2b3c4..3f2c9d1 (12 commits)`.
 */
export function describeOutcome(channel: Channel, outcome: Outcome, webUrl: string): string[] {
  const verdict = `${channel.repository} ${channel.branch}: `
  switch (outcome.kind) {
    case 'created':
      return [`${verdict}created at ${short(outcome.sha)}`]
    case 'would-create':
      return [`${verdict}would be created at ${short(outcome.sha)} (dry run)`]
    case 'fast-forwarded':
      return [`${verdict}fast-forwarded ${range(outcome)}`]
    case 'would-fast-forward':
      return [`${verdict}would be fast-forwarded ${range(outcome)} (dry run)`]
    case 'already-there':
      return [`${verdict}already there, at ${short(outcome.sha)}`]
    case 'already-contained':
      return [
        `${verdict}already contained: it is at ${short(outcome.tip)}, ${count(outcome.commits, 'commit')} after ${short(outcome.sha)}`,
      ]
    case 'diverged':
      return [
        ...describeParting(channel, outcome, webUrl),
        `${verdict}diverged, not moved: it is at ${short(outcome.tip)}, the candidate is ${short(outcome.sha)}`,
      ]
    case 'held':
      return [
        `${verdict}held, not moved to ${short(outcome.sha)}: ${outcome.reason} (until ${outcome.until ?? 'it is released'})`,
      ]
    case 'withdrawn':
      return [
        `the commit ${outcome.sha} of eval ${outcome.eval} was taken back: it is not in the history of ${outcome.newest.sha}, the commit of the newest eval ${outcome.newest.eval}`,
        'the next good build of a commit in that history moves the channel',
        `${verdict}withdrawn, not moved: ${short(outcome.sha)} was taken back`,
      ]
  }
}

function range({ from, sha, commits }: { from: string; sha: string; commits: number }): string {
  return `${short(from)}..${short(sha)} (${count(commits, 'commit')})`
}

/** Both sides, and the way out without a clone: the owner may force what this program never does. */
function describeParting(
  { repository, branch }: Channel,
  { tip, sha, parted }: Extract<Outcome, { kind: 'diverged' }>,
  webUrl: string,
): string[] {
  return [
    `the channel is at ${tip}`,
    `the candidate is ${sha}`,
    parted
      ? `they parted at ${parted.mergeBase}: ${count(parted.behindBy, 'commit')} only in the channel, ${count(parted.aheadBy, 'commit')} only in the candidate`
      : 'they have no common history',
    `see ${compareUrl(repository, tip, sha, webUrl)}`,
    `to give up what only the channel has: ${forceCommand({ repository, branch }, sha, webUrl)}`,
  ]
}
