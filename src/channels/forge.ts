// What the engine needs of the place where a repository is, and what it may refuse. src/github has it for GitHub.
import type { Deadline } from '../base/deadline.ts'
import { OperatorError } from '../base/errors.ts'
import type { Related } from './relation.ts'

/** `baseSha`: the commit that the base was, 40 digits */
export type Comparison = Related & { baseSha: string }

/** The forge knows both commits, and cannot compare them: it is too much work for it. Of a branch it may know it another way. */
export class NotComparedError extends OperatorError {
  override name = 'NotComparedError'
}

/** What the forge said of the repository when it made our token. */
export interface RepositoryFacts {
  /** its name now: after a rename another one than ours */
  fullName: string
  defaultBranch: string
  archived: boolean
}

/** A branch that {@link Forge.updateBranches} creates (`from` undefined) or moves. */
export interface BranchUpdate {
  branch: string
  from: string | undefined
  to: string
}

/**
 * A write that was sent, and not answered with success. It is never sent again as it is: what decided it is looked at
 * again first.
 */
export interface NotAnswered {
  kind: 'not-answered'
  /** what GitHub or the network said, for the operator */
  error: unknown
  /** how long to wait before the next look */
  waitSeconds: number
  /** the answer was lost, so the write may have been carried out */
  mayBeWritten: boolean
  /** `useless`: look once more, and then give up */
  retry: 'worthwhile' | 'useless'
}

/** How a write ended; `message` is GitHub's. */
export type Written =
  | { kind: 'written' }
  /** the branch has moved since the decision */
  | { kind: 'raced'; message: string }
  /** a race, a rule, or a branch that is in the way: GitHub does not say which */
  | { kind: 'unclear'; message: string }
  | { kind: 'unknown-commit' }
  | NotAnswered

/** The repositories of a run, and its time. */
export interface Forges {
  deadline: Deadline
  /** `alice/dotfiles` */
  repository: (name: string) => Forge
}

/** One repository. All methods throw an OperatorError if the forge refuses or cannot be asked. */
export interface Forge {
  /** Also fetches the token ahead of the first request. Undefined for a person's token, which says nothing. */
  facts(wanted?: 'cached' | 'fresh'): Promise<RepositoryFacts | undefined>
  /**
   * How `head` stands to `base`. Each is a sha, a whole ref (`refs/heads/x`), or `HEAD`, the default branch.
   *
   * @returns `not-found` where one of them, or the whole repository, is not there: GitHub does not say which
   * @throws NotComparedError
   */
  compare(base: string, head: string): Promise<Comparison | 'unrelated' | 'not-found'>
  /** The commit that a branch is at; undefined if there is no such branch. */
  findBranch(branch: string): Promise<string | undefined>
  /** The branches whose names begin with a prefix, and their commits. `too-many` for one answer: ask for each by its name. */
  listBranches(prefix: string): Promise<Map<string, string> | 'too-many'>
  /** Whether the repository, or one of its forks, has the commit. */
  hasCommit(sha: string): Promise<boolean>
  /** A branch that stands in the way of another: git keeps them as files, and `a` cannot be beside `a/b`. */
  findConflictingBranch(branch: string): Promise<string | undefined>
  /**
   * Sends one write.
   *
   * @param sent how often this write was sent already without success: the waits grow with it, and end
   */
  createBranch(branch: string, sha: string, sent: number): Promise<Written>
  /** As {@link createBranch}. The forge itself rejects what is no fast-forward. */
  fastForward(branch: string, sha: string, sent: number): Promise<Written>
  /** Moves many branches in one write, all or none: each must still be at `from`, and only goes forward. */
  updateBranches(
    updates: readonly BranchUpdate[],
    sent: number,
  ): Promise<{ kind: 'written' } | { kind: 'refused'; error: unknown } | NotAnswered>
  /** Waits before another look. Throws if that would take longer than the time that is left. */
  pause(seconds: number): Promise<void>
  /** Whether this is one of the repository's names: what it was called before, or is now. */
  isCalled(name: string): Promise<boolean>
  /** The repository's new name, where the forge has redirected us from the old one. */
  findNewName(): Promise<string | undefined>
}

/** A repository that cannot be written to. */
export const ARCHIVED = {
  why: 'the repository is archived, so it is read-only',
  hint: 'unarchive it in its settings, or remove its rule',
}

/** What mends a rule or a protection that stands in the way. */
export const BYPASS =
  'let the App bypass the ruleset or branch protection, or let the rule leave this branch out'

/** Undefined if the two are too much for the forge: what else it may be asked, or what stays unknown, the caller decides. */
export async function compareIfPossible(
  forge: Pick<Forge, 'compare'>,
  base: string,
  head: string,
): Promise<Awaited<ReturnType<Forge['compare']>> | undefined> {
  try {
    return await forge.compare(base, head)
  } catch (error) {
    if (error instanceof NotComparedError) return undefined
    throw error
  }
}
