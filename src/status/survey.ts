// What status needs to know of a repository beyond what the engine needs. src/github has it for GitHub.
import { LimitError, OperatorError, PermissionError } from '../base/errors.ts'
import type { Forge } from '../channels/forge.ts'
import type { Related } from '../channels/relation.ts'

/** How one branch stands to several commits. */
export interface Standing {
  sha: string
  /** ISO 8601 */
  committedAt: string | undefined
  /** whether rules and protection let us push; undefined if there are none */
  mayPush: boolean | undefined
  /** by head; GraphQL compares nothing that has no common history, and that is left out */
  sides: Map<string, Related>
}

/** A branch that channels are measured by. */
export interface TrackedBranch {
  sha: string
  /** `refs/heads/main`, also if `HEAD` was asked for */
  ref: string
  /** its newest commits, newest first; a part of the history */
  history: HistoricCommit[]
}

export interface HistoricCommit {
  sha: string
  /** ISO 8601 */
  committedAt: string | undefined
  /** the first is the one that the branch was at before */
  parents: string[]
}

/** What people know a commit by. */
export interface DescribedCommit {
  /** the first line of its message, at most 72 characters */
  subject: string
  /** the name in the commit, whoever wrote it there, at most 72 characters */
  author: string | undefined
}

/** What happened to a branch, as GitHub tells. */
export interface Activity {
  /** ISO 8601 */
  at: string
  kind: 'created' | 'pushed' | 'forced' | 'deleted' | 'merged'
  /** 40 digits; undefined: there was no branch before */
  from: string | undefined
  /** undefined: there was none afterwards */
  to: string | undefined
  /** a login, `alice` or `hydra-channels-alice[bot]`; undefined: GitHub does not name it */
  actor: string | undefined
}

/** One repository. All methods throw an OperatorError if it cannot be asked. */
export interface Survey extends Forge {
  /** How branches stand to commits, in as few requests as can be; and why some of them are not known. */
  findStandings(
    branches: readonly { branch: string; heads: readonly string[] }[],
  ): Promise<{ standings: Map<string, Standing>; errors: OperatorError[] }>
  /** @param ref a whole ref, or `HEAD`, the default branch */
  findTrackedBranch(ref: string): Promise<TrackedBranch | undefined>
  /** What commits are called, by sha, in as few requests as can be; and why some of them are not known. */
  describeCommits(
    shas: readonly string[],
  ): Promise<{ commits: Map<string, DescribedCommit>; errors: OperatorError[] }>
  /**
   * What happened to a branch, newest first, also to one that is gone: all since a time, but from at most so many pages of a
   * hundred. `more`: there is more before.
   */
  listActivities(
    branch: string,
    options: { sinceMs: number; pages: number },
  ): Promise<{ activities: Activity[]; more: boolean }>
  /** The login that our App's changes have: `hydra-channels-alice[bot]`; undefined for a person's token. */
  findOwnLogin(): Promise<string | undefined>
  /** The commit that a whole ref or `HEAD` means, tags peeled; undefined if there is no such ref. */
  findCommit(ref: string): Promise<string | undefined>
}

export interface Surveys {
  /** `alice/dotfiles` */
  repository: (name: string) => Survey
}

/** Whether a question that failed may be answered one by one: another way to ask would meet the same limit or refusal. */
export function isWorthOneByOne(error: unknown): error is OperatorError {
  return error instanceof OperatorError && !(error instanceof LimitError || error instanceof PermissionError)
}
