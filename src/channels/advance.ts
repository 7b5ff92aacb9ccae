// Brings one channel to a commit, or tells why not. It looks where the channel is, decides, asks for clearance, and
// writes once. A write that was not answered with success is decided anew, from all that decided it the first time.

import { LimitError, OperatorError } from '../base/errors.ts'
import type { Channel } from './channel.ts'
import { compareIfPossible, type Forge, type NotAnswered } from './forge.ts'
import { IDENTICAL, type Relation } from './relation.ts'
import { unknownCommit } from './safeguards.ts'
import type { Verdict } from './verdict.ts'

/**
 * A write may meet a branch that moved since it was looked at. Then we look again, this often if the channel comes no nearer
 * to the commit. If others bring it nearer each time, that ends with the commits between.
 */
const MAX_LOOKS = 4

/** What was seen of a channel beside the commit that it should be at. */
export type Seen = { tip: undefined } | { tip: string; relation: Relation }

export type Write = { kind: 'create' } | { kind: 'fast-forward'; from: string; commits: number }

export type Decision = { kind: 'leave'; verdict: Verdict } | Write

/** Whether, and how, a channel moves to `sha`: nothing but what was seen decides. */
export function decide(seen: Seen, sha: string): Decision {
  if (seen.tip === undefined) return { kind: 'create' }
  const { tip, relation } = seen
  const leave = (verdict: Verdict): Decision => ({ kind: 'leave', verdict })
  if (relation === 'unrelated') return leave({ kind: 'diverged', tip, sha })
  const { aheadBy, behindBy, mergeBaseSha: mergeBase } = relation
  switch (relation.status) {
    case 'ahead':
      return { kind: 'fast-forward', from: tip, commits: aheadBy }
    case 'identical':
      return leave({ kind: 'already-there', sha })
    case 'behind':
      return leave({ kind: 'already-contained', tip, sha, commits: behindBy })
    case 'diverged':
      return leave({
        kind: 'diverged',
        tip,
        sha,
        ...(mergeBase !== undefined && { parted: { mergeBase, aheadBy, behindBy } }),
      })
  }
}

export interface Move {
  channel: Channel
  /** the commit to move to, 40 digits */
  sha: string
  forge: Forge
  /** `look` only looks: the verdict says what would be done */
  mode: 'move' | 'look'
  /** what was seen of the channel already, if that is still true */
  seen?: Seen | undefined
  /** Asked before each write, as the last thing: nothing waits between it and the write. A verdict forbids the write. */
  clear?: (() => Promise<Verdict | undefined>) | undefined
  /** called before each wait: what was looked up before it may not be true any more */
  onWait?: (() => void) | undefined
}

/**
 * Moves a channel to a commit, if that is a move forward.
 *
 * @throws OperatorError if GitHub refuses or cannot be asked
 */
export async function advance(move: Move): Promise<Verdict> {
  const { sha } = move
  let seen = move.seen
  let looks = seen ? 1 : 0
  let sent = 0
  let raced = ''
  let isUnknown = false
  /** how many commits the channel lacked when a write was refused */
  let lacked: number | undefined
  /** the last write that GitHub may or may not have carried out */
  let lost: (NotAnswered & { write: Write }) | undefined

  for (;;) {
    if (!seen) {
      looks++
      const found = await seeAgain(move, lost)
      if (found === 'changing') {
        if (looks >= MAX_LOOKS) throw refusedTooOften(raced)
        await pause(move, looks)
        continue
      }
      seen = found
    }
    const decision = decide(seen, sha)
    if (decision.kind === 'leave') {
      const isOurs = lost && decision.verdict.kind === 'already-there'
      return lost && isOurs ? { ...verdictOfWrite(lost.write, sha), answerLost: true } : decision.verdict
    }
    if (lost?.retry === 'useless') throw lost.error

    const forbidden = await move.clear?.()
    if (forbidden) return forbidden
    if (move.mode === 'look') return foresee(move, decision)
    const result = await send(move, decision, sent)
    seen = undefined
    switch (result.kind) {
      case 'written':
        return verdictOfWrite(decision, sha)
      case 'unknown-commit':
        // a commit that was just pushed may not have reached the server that writes
        if (isUnknown) throw unknownCommit(sha)
        isUnknown = true
        await pause(move, 1).catch((error: unknown) => {
          // without time for another look, that is what went wrong
          throw error instanceof LimitError ? unknownCommit(sha) : error
        })
        break
      case 'not-answered':
        sent++
        lost = result.mayBeWritten ? { ...result, write: decision } : lost
        // how often these are sent again, the forge decides
        looks = 0
        await pause(move, result.waitSeconds, result)
        break
      case 'unclear':
      case 'raced':
        raced = result.message
        if (result.kind === 'unclear' && decision.kind === 'create') await refuseConflict(move)
        if (decision.kind === 'fast-forward') {
          // another one was quicker, and GitHub has refused nothing for good
          if (lacked !== undefined && decision.commits < lacked) looks = 0
          lacked = Math.min(lacked ?? decision.commits, decision.commits)
        }
        if (looks >= MAX_LOOKS) throw refusedTooOften(raced)
        // reads lag behind writes for a moment
        await pause(move, looks)
    }
  }
}

function send({ forge, channel: { branch }, sha }: Move, decision: Write, sent: number) {
  return decision.kind === 'create'
    ? forge.createBranch(branch, sha, sent)
    : forge.fastForward(branch, sha, sent)
}

/** @param after the write that was not answered: if there is no time for another look, that is what went wrong */
async function pause({ forge, onWait }: Move, seconds: number, after?: NotAnswered): Promise<void> {
  onWait?.()
  if (seconds === 0) return
  try {
    await forge.pause(seconds)
  } catch (error) {
    throw after ? (after.mayBeWritten ? mayHaveMoved(after) : after.error) : error
  }
}

async function seeAgain(
  { forge, channel, sha }: Move,
  lost: NotAnswered | undefined,
): Promise<Seen | 'changing'> {
  try {
    return await see(forge, channel.branch, sha)
  } catch (error) {
    throw lost && error instanceof OperatorError ? mayHaveMoved(lost) : error
  }
}

/** We could not look whether GitHub carried out a write. */
function mayHaveMoved({ error }: NotAnswered): unknown {
  if (!(error instanceof OperatorError)) return error
  return new OperatorError(error.message, {
    hint: [...error.hint, 'GitHub may have carried out the write all the same: the next run looks'],
    cause: error.cause,
  })
}

function refusedTooOften(raced: string): OperatorError {
  return new OperatorError(
    raced === ''
      ? 'GitHub contradicts itself: the branch and the commit are there, but it cannot compare them'
      : `GitHub refused ${MAX_LOOKS} times, although the channel could move each time we looked: ${raced}`,
    { hint: 'a ruleset or branch protection may forbid it: see the settings of the repository' },
  )
}

/** What a write that GitHub carried out has made of the channel. */
export function verdictOfWrite(write: Write, sha: string): Extract<Verdict, { answerLost?: true }> {
  return write.kind === 'create'
    ? { kind: 'created', sha }
    : { kind: 'fast-forwarded', from: write.from, sha, commits: write.commits }
}

/** `changing`: what GitHub says does not fit together, because something moves just now. */
async function see(forge: Forge, branch: string, sha: string): Promise<Seen | 'changing'> {
  const comparison = await forge.compare(`refs/heads/${branch}`, sha)
  if (typeof comparison === 'object') return { tip: comparison.baseSha, relation: comparison }
  // GitHub says "not found" of a branch, a commit and a repository alike
  const tip = await forge.findBranch(branch)
  if (comparison === 'unrelated') return tip === undefined ? 'changing' : { tip, relation: 'unrelated' }
  if (tip === undefined) return { tip }
  if (!(await forge.hasCommit(sha))) throw unknownCommit(sha)
  return 'changing'
}

type Looked = Pick<Move, 'forge' | 'channel' | 'sha' | 'onWait'>

/** Where a channel is, by its name, and how the commit stands to that. */
export async function look({ forge, channel, sha, onWait }: Looked): Promise<Seen> {
  for (let looks = 1; ; looks++) {
    const seen = await see(forge, channel.branch, sha)
    if (seen !== 'changing') return seen
    if (looks >= MAX_LOOKS) throw refusedTooOften('')
    onWait?.()
    await forge.pause(looks)
  }
}

/** The same, from a tip that is known: channels with the same two commits share the answer. */
export async function lookFrom(tip: string | undefined, move: Looked): Promise<Seen> {
  const { forge, sha } = move
  if (tip === undefined) return { tip }
  if (tip === sha) return { tip, relation: IDENTICAL }
  const relation = await compareIfPossible(forge, tip, sha)
  // of a branch, by its name, the forge may know it another way
  if (!relation) return look(move)
  if (relation === 'not-found') throw unknownCommit(sha)
  return { tip, relation }
}

/** A dry run asks what only the write would have found out. */
async function foresee(move: Move, decision: Write): Promise<Verdict> {
  const { sha, forge } = move
  if (decision.kind === 'create') {
    if (!(await forge.hasCommit(sha))) throw unknownCommit(sha)
    await refuseConflict(move)
    return { kind: 'would-create', sha }
  }
  return { kind: 'would-fast-forward', from: decision.from, sha, commits: decision.commits }
}

async function refuseConflict({ forge, channel: { branch } }: Move): Promise<void> {
  const other = await forge.findConflictingBranch(branch)
  if (other === undefined) return
  throw new OperatorError(`the branch ${other} is in the way: git cannot have both ${other} and ${branch}`, {
    hint: 'choose another name for the channel (branch in its rule): hosts may follow the branch that is in the way',
  })
}
