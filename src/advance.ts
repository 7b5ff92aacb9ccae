// The heart: bring one channel to a commit, or know why not. A channel only ever moves forward, to a commit that is
// proven, and what is forward GitHub decides: it is asked before the write, and it refuses a write that is none.
import type { Channel } from './channel.ts'
import { OperatorError } from './errors.ts'
import type { Comparison } from './github/refs.ts'
import type { GitHubRepository } from './github/repository.ts'
import type { Outcome } from './outcome.ts'

/**
 * A write may meet a branch that moved since it was looked at. Then it is looked at again, this often while it comes no
 * nearer to the commit; where others bring it nearer each time, that ends with the commits between.
 */
const MAX_LOOKS = 4

/** What was seen of a channel beside the commit that it should be at. */
export type Seen =
  | { kind: 'missing' }
  | { kind: 'unrelated'; tip: string }
  | {
      kind: 'compared'
      tip: string
      /** how the commit stands to the channel's tip */
      status: 'identical' | 'behind' | 'ahead' | 'diverged'
      /** commits that only the commit's history has */
      aheadBy: number
      /** commits that only the channel has */
      behindBy: number
      /** where they parted */
      mergeBase: string
    }

export type Write = { kind: 'create' } | { kind: 'fast-forward'; from: string; commits: number }

export type Decision = { kind: 'leave'; outcome: Outcome } | Write

/** Whether, and how, a channel moves to `sha`: nothing but what was seen decides. */
export function decide(seen: Seen, sha: string): Decision {
  switch (seen.kind) {
    case 'missing':
      return { kind: 'create' }
    case 'unrelated':
      return { kind: 'leave', outcome: { kind: 'diverged', tip: seen.tip, sha } }
    case 'compared':
      switch (seen.status) {
        case 'identical':
          return { kind: 'leave', outcome: { kind: 'already-there', sha } }
        case 'behind':
          return {
            kind: 'leave',
            outcome: { kind: 'already-contained', tip: seen.tip, sha, commits: seen.behindBy },
          }
        case 'diverged': {
          const { tip, mergeBase, aheadBy, behindBy } = seen
          return {
            kind: 'leave',
            outcome: { kind: 'diverged', tip, sha, parted: { mergeBase, aheadBy, behindBy } },
          }
        }
        case 'ahead':
          return { kind: 'fast-forward', from: seen.tip, commits: seen.aheadBy }
      }
  }
}

export interface Move {
  channel: Channel
  /** the commit to move to, 40 digits */
  sha: string
  repository: GitHubRepository
  /** `look` only looks: the outcome says what would be done */
  mode: 'move' | 'look'
  /** what was seen of the channel already, where somebody has looked */
  seen?: Seen | undefined
  /** Asked before the first write: an outcome forbids it. */
  findObjection?: (() => Promise<Outcome | undefined>) | undefined
  /** Done before the first write: the outputs are in the cache, or this throws. */
  prove?: (() => Promise<void>) | undefined
  /** Asked immediately before each write: an outcome forbids it. */
  beforeWrite?: (() => Promise<Outcome | undefined>) | undefined
}

/**
 * Moves a channel to a commit, if that is a move forward.
 *
 * @throws OperatorError where GitHub refuses or cannot be asked
 */
export async function advance(move: Move): Promise<Outcome> {
  const { channel, sha, repository, findObjection, prove } = move
  let raced = ''
  /** how many commits the channel lacked when a write was refused */
  let lacked: number | undefined
  let cleared = false
  for (let look = 0; look < MAX_LOOKS; look++) {
    // reads lag behind writes for a moment, so a look that follows a race waits for one
    if (look > 0) await repository.pause(look)
    const seen = (look === 0 && move.seen) || (await see(repository, channel.branch, sha))
    if (seen === 'changing') continue
    const decision = decide(seen, sha)
    if (decision.kind === 'leave') return decision.outcome

    if (!cleared) {
      const objection = await findObjection?.()
      if (objection) return objection
      await prove?.()
      cleared = true
    }
    const forbidden = await move.beforeWrite?.()
    if (forbidden) return forbidden
    if (move.mode === 'look') return foresee(move, decision)

    const result =
      decision.kind === 'create'
        ? await repository.createBranch(channel.branch, sha)
        : await repository.fastForward(channel.branch, sha)
    if (result.kind === 'written') return outcomeOfWrite(decision, sha)
    if (result.kind === 'unknown-commit') throw unknownCommit(sha)
    if (decision.kind === 'fast-forward') {
      // another one was quicker, and GitHub has refused nothing for good
      if (lacked !== undefined && decision.commits < lacked) look = 0
      lacked = Math.min(lacked ?? decision.commits, decision.commits)
    }
    raced = result.message
    if (result.kind === 'unclear' && decision.kind === 'create') {
      await refuseConflict(repository, channel.branch)
    }
  }
  throw new OperatorError(
    raced === ''
      ? 'GitHub contradicts itself: the branch and the commit are there, but it cannot compare them'
      : `GitHub refused ${MAX_LOOKS} times, though each new look said that the channel can move: ${raced}`,
    { hint: 'a ruleset or branch protection may forbid it: see the settings of the repository' },
  )
}

export function seenFrom({ status, aheadBy, behindBy, baseSha, mergeBaseSha }: Comparison): Seen {
  return { kind: 'compared', tip: baseSha, status, aheadBy, behindBy, mergeBase: mergeBaseSha }
}

/** What a write that GitHub took has made of the channel. */
export function outcomeOfWrite(decision: Write, sha: string): Outcome {
  return decision.kind === 'create'
    ? { kind: 'created', sha }
    : { kind: 'fast-forwarded', from: decision.from, sha, commits: decision.commits }
}

/** `changing`: what GitHub says does not fit together, because something moves just now. */
async function see(repository: GitHubRepository, branch: string, sha: string): Promise<Seen | 'changing'> {
  const comparison = await repository.compare(`refs/heads/${branch}`, sha)
  if (typeof comparison === 'object') return seenFrom(comparison)
  // GitHub says "not found" of a branch, a commit and a repository alike
  const tip = await repository.findBranch(branch)
  if (comparison === 'unrelated') return tip === undefined ? 'changing' : { kind: 'unrelated', tip }
  if (tip === undefined) return { kind: 'missing' }
  if (!(await repository.hasCommit(sha))) throw unknownCommit(sha)
  return 'changing'
}

/** A dry run asks what only the write would have found out. */
async function foresee({ channel: { branch }, sha, repository }: Move, decision: Write): Promise<Outcome> {
  if (decision.kind === 'create') {
    if (!(await repository.hasCommit(sha))) throw unknownCommit(sha)
    await refuseConflict(repository, branch)
    return { kind: 'would-create', sha }
  }
  return { kind: 'would-fast-forward', from: decision.from, sha, commits: decision.commits }
}

async function refuseConflict(repository: GitHubRepository, branch: string): Promise<void> {
  const other = await repository.findConflictingBranch(branch)
  if (other === undefined) return
  throw new OperatorError(`the branch ${other} is in the way: git cannot have both ${other} and ${branch}`, {
    hint: 'delete or rename that branch, or choose another name',
  })
}

export function unknownCommit(sha: string): OperatorError {
  return new OperatorError(`GitHub has no commit ${sha} in this repository`, {
    hint: 'was it pushed there? Hydra may have fetched it from somewhere else, or it was removed since',
  })
}

/** Adds to an operator's error what was tried; a bug keeps its own words and its stack. */
export function cannotMove({ repository, branch }: Channel, error: unknown): unknown {
  if (!(error instanceof OperatorError)) return error
  return new OperatorError(`cannot move ${branch} in ${repository}: ${error.message}`, {
    hint: error.hint,
    cause: error.cause,
  })
}
