// What a run says of one channel in the end, whichever run it was: what happened, whether that is trouble, and how it reads.

import { OperatorError } from '../base/errors.ts'
import { compareUrl, forceCommand } from '../base/links.ts'
import { count, type Log, short } from '../base/log.ts'
import type { TrackedRef } from '../hydra/flakeref.ts'
import { ambiguous, type Candidate, type JobName, showJob } from './candidate.ts'
import { type Channel, channelName } from './channel.ts'
import { ifMoving } from './dry-run.ts'
import type { Hold } from './holds.ts'
import { showTrackedRef } from './tracked-ref.ts'

export type Verdict =
  /** `answerLost`: GitHub did not answer the write, and the next look found it carried out */
  | { kind: 'created'; sha: string; answerLost?: true }
  | { kind: 'fast-forwarded'; from: string; sha: string; commits: number; answerLost?: true }
  | { kind: 'would-create'; sha: string }
  | { kind: 'would-fast-forward'; from: string; sha: string; commits: number }
  | { kind: 'already-there'; sha: string }
  /** the channel is further than the commit, by that many; `notOn`: what its tip is not in the history of */
  | { kind: 'already-contained'; tip: string; sha: string; commits: number; notOn?: TrackedRef }
  /** somebody holds the channel, or all channels */
  | { kind: 'held'; sha: string; hold: Hold }
  | {
      kind: 'diverged'
      tip: string
      sha: string
      /** undefined if they have no common history at all */
      parted?: { mergeBase: string; aheadBy: number; behindBy: number }
    }
  | OffBranch
  | { kind: 'ambiguous'; jobs: readonly JobName[] }
  | { kind: 'no-good-build' }
  /**
   * The job is not in the jobset any more: a branch is not created for it, another job may lead to the channel now, and
   * `ignored` is somebody else's
   */
  | { kind: 'job-gone'; job: JobName; follows?: JobName; ignored?: true }
  /** another commit, or none, is the candidate by now */
  | { kind: 'candidate-changed' }
  | { kind: 'failed'; error: unknown }

/** The candidate is not in the history of the tracked branch. */
export type OffBranch =
  /** and Hydra has evaluated another commit since: it was taken back */
  | {
      kind: 'withdrawn'
      sha: string
      eval: number
      newest: { eval: number; sha: string }
      tracked: TrackedRef
    }
  /** and Hydra's newest eval is of this commit still, or nothing can be on what the jobset follows */
  | {
      kind: 'not-on-branch'
      sha: string
      eval: number
      tracked: TrackedRef
      /** GitHub does not have what the jobset follows */
      missing: boolean
    }

/** @param missing GitHub does not have the tracked branch at all, or it is none */
export function offBranch(
  { sha, eval: evalId, newest }: Pick<Candidate, 'sha' | 'eval' | 'newest'>,
  tracked: TrackedRef,
  missing: boolean,
): OffBranch {
  const isTaken = newest !== undefined && newest.sha !== sha && tracked.kind !== 'pull request' && !missing
  return isTaken
    ? { kind: 'withdrawn', sha, eval: evalId, newest, tracked }
    : { kind: 'not-on-branch', sha, eval: evalId, tracked, missing }
}

/** Of each kind, whether somebody has to do something about it. */
export const TROUBLE: Readonly<Record<Verdict['kind'], boolean>> = {
  created: false,
  'fast-forwarded': false,
  'would-create': false,
  'would-fast-forward': false,
  'already-there': false,
  'already-contained': false,
  held: false,
  diverged: true,
  withdrawn: true,
  'not-on-branch': true,
  ambiguous: true,
  'no-good-build': false,
  'job-gone': false,
  'candidate-changed': false,
  failed: true,
}

/** Whether somebody has to do something about it. */
export const isTrouble = ({ kind }: Verdict) => TROUBLE[kind]

export interface Voice {
  log: Log
  /** prints an error with what to do about it, on standard error */
  report: (error: unknown) => void
  /** `https://github.com` */
  webUrl: string
  /** of the configuration */
  dryRun: boolean
}

/** The verdict, and then what explains it. Each line begins with the channel's name: lines of others may come between. */
export function tellVerdict(channel: Channel, verdict: Verdict, voice: Voice): void {
  const error = errorOf(verdict)
  if (error !== undefined) voice.report(cannotMove(channel, error))
  else for (const line of describeVerdict(channel, verdict, voice)) voice.log.line(line)
}

/** Of a verdict that is an error. */
function errorOf(verdict: Verdict): unknown {
  if (verdict.kind === 'ambiguous') return ambiguous(verdict.jobs)
  return verdict.kind === 'failed' ? verdict.error : undefined
}

/** Adds to an error what was tried, and on what; a bug keeps its own words and its stack as the cause. */
export function cannotMove(channel: Channel, error: unknown): Error {
  const name = channelName(channel)
  if (!(error instanceof OperatorError)) return new Error(`${name}: cannot be moved`, { cause: error })
  return new OperatorError(`${name}: cannot be moved: ${error.message}`, {
    hint: error.hint.map(line => `${name}: ${line}`),
    cause: error.cause,
  })
}

/** `alice/dotfiles nixos-tested-nas: fast-forwarded 1a2b3c4..3f2c9d1 (12 commits)`, above what explains it. */
export function describeVerdict(
  channel: Channel,
  verdict: Verdict,
  voice: Pick<Voice, 'webUrl' | 'dryRun'>,
): string[] {
  return inWords(channel, verdict, voice).map(line => `${channelName(channel)}: ${line}`)
}

function inWords(
  channel: Channel,
  verdict: Verdict,
  { webUrl, dryRun }: Pick<Voice, 'webUrl' | 'dryRun'>,
): string[] {
  switch (verdict.kind) {
    case 'created':
      return [`created at ${short(verdict.sha)}${lost(verdict)}`]
    case 'would-create':
      return [`would be created at ${short(verdict.sha)} (dry run)`]
    case 'fast-forwarded':
      return [`fast-forwarded ${range(verdict)}${lost(verdict)}`]
    case 'would-fast-forward':
      return [`would be fast-forwarded ${range(verdict)} (dry run)`]
    case 'already-there':
      return [`already there, at ${short(verdict.sha)}`]
    case 'already-contained':
      return [
        `already contained: it is at ${short(verdict.tip)}, ${count(verdict.commits, 'commit')} after ${short(verdict.sha)}`,
        ...(verdict.notOn
          ? [`its commit ${verdict.tip} is not in the history of ${showTrackedRef(verdict.notOn)}`]
          : []),
      ]
    case 'diverged':
      return [
        `diverged, not moved: it is at ${short(verdict.tip)}, the candidate is ${short(verdict.sha)}`,
        ...describeParting(channel, verdict, webUrl),
      ]
    case 'held':
      return [heldInWords(verdict.sha, verdict.hold)]
    case 'withdrawn':
    case 'not-on-branch':
      return [
        `${verdict.kind}, not moved: ${short(verdict.sha)} is not in the history of ${showTrackedRef(verdict.tracked)}`,
        ...describeOffBranch(verdict, { dryRun }),
      ]
    case 'no-good-build':
      return [`not moved: the job has no good build now`]
    case 'job-gone': {
      const gone = `${showJob(verdict.job)} is not in the jobset any more`
      if (verdict.follows) {
        return [`not moved: ${gone}, and the channel follows ${showJob(verdict.follows)}`]
      }
      return [
        verdict.ignored
          ? `not moved: ${showJob(verdict.job)} is not in the newest eval, and channels[].ignore says that the branch is somebody else's`
          : `not created: ${gone}`,
      ]
    }
    case 'candidate-changed':
      return [`not moved: its candidate changed while it was copied or written; the next run looks again`]
    case 'ambiguous':
    case 'failed':
      throw new Error(`${verdict.kind} is reported as an error`)
  }
}

function lost({ answerLost }: { answerLost?: true }): string {
  return answerLost ? " (GitHub's answer was lost)" : ''
}

function range({ from, sha, commits }: { from: string; sha: string; commits: number }): string {
  return `${short(from)}..${short(sha)} (${count(commits, 'commit')})`
}

/** Both sides, and the way out without a clone: the owner may force what this program never does. */
function describeParting(
  { repository, branch }: Channel,
  { tip, sha, parted }: Extract<Verdict, { kind: 'diverged' }>,
  webUrl: string,
): string[] {
  return [
    `it is at ${tip}`,
    `the candidate is ${sha}`,
    parted
      ? `they parted at ${parted.mergeBase}: ${count(parted.behindBy, 'commit')} only in the channel, ${count(parted.aheadBy, 'commit')} only in the candidate`
      : 'they have no common history',
    `see ${compareUrl(repository, tip, sha, webUrl)}`,
    `to give up what only the channel has: ${forceCommand({ repository, branch }, sha, webUrl)}`,
  ]
}

/** Of the log: it is read at any time, and the hook's by anybody, whom the names of users are no business of. */
function heldInWords(sha: string, { reason, until, scope }: Hold): string {
  const what = scope === 'all' ? 'all channels are held' : 'held'
  return `${what}, not moved to ${short(sha)}: ${reason} (until ${until ?? 'it is released'})`
}

/** What is wrong and what settles it; status puts the lines into one. */
export function describeOffBranch(verdict: OffBranch, { dryRun }: { dryRun: boolean }): string[] {
  const { sha, eval: evalId, tracked } = verdict
  const followed = showTrackedRef(tracked)
  if (verdict.kind === 'withdrawn') {
    const { newest } = verdict
    return [
      `the commit ${sha} of eval ${evalId} was taken back: it is not in the history of ${followed}, and the newest eval ${newest.eval} is of ${newest.sha}`,
      ifMoving(`the next good build of a commit in the history of ${followed} moves the channel`, { dryRun }),
    ]
  }
  if (tracked.kind === 'pull request') {
    return [
      `the jobset follows ${followed}, and its commits are on no branch`,
      'let the jobset follow a branch, or name the branch in the rule (channels[].ref)',
    ]
  }
  if (verdict.missing) {
    return [
      `the jobset or the rule follows ${followed}, and GitHub has no such branch or tag`,
      'correct the flake of the jobset, or ref in the rule (channels[].ref)',
    ]
  }
  return [
    `the commit ${sha} of eval ${evalId} is not in the history of ${followed}, as GitHub has it now`,
    "if the branch was reset, Hydra's next evaluation settles it; else the commit must be merged first",
  ]
}
