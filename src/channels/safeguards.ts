// What must hold before a channel is written, beyond its being a fast-forward: the commit is on the tracked branch, nobody
// holds the channel, the branch is not the one that people work on, and the repository can be written to.

import { LATER, OperatorError, PermissionError } from '../base/errors.ts'
import { short } from '../base/log.ts'
import type { TrackedRef } from '../hydra/flakeref.ts'
import type { Candidate } from './candidate.ts'
import type { Channel } from './channel.ts'
import { ARCHIVED, type Forge, NotComparedError } from './forge.ts'
import { findHolds } from './holds.ts'
import { contains } from './relation.ts'
import { refsOf } from './tracked-ref.ts'
import { offBranch, type Verdict } from './verdict.ts'

/** `missing`: GitHub does not have what the jobset follows, or that is no branch. */
export type OnTracked = 'on' | 'off' | 'missing'

/**
 * Whether a commit is in the history of the tracked branch, as GitHub has it now.
 *
 * @param onWait called before a wait
 */
export async function standOnTracked(
  forge: Forge,
  sha: string,
  tracked: TrackedRef,
  onWait: () => void,
): Promise<OnTracked> {
  const found = await askOnTracked(forge, sha, tracked)
  if (found === 'on' || refsOf(tracked).length === 0) return found
  // GitHub's answers may be older than its last push: a “no” is asked once more
  onWait()
  await forge.pause(1)
  return askOnTracked(forge, sha, tracked)
}

async function askOnTracked(forge: Forge, sha: string, tracked: TrackedRef): Promise<OnTracked> {
  for (const ref of refsOf(tracked)) {
    const comparison = await forge.compare(sha, ref).catch((error: unknown) => {
      // the forge's own advice is for two commits of a channel, both of which are on the branch
      throw error instanceof NotComparedError ? notKnownOn(error, sha, ref) : error
    })
    if (comparison !== 'not-found') return contains(comparison) ? 'on' : 'off'
    // GitHub says so of the commit as well
    if (!(await forge.hasCommit(sha))) throw unknownCommit(sha)
  }
  return 'missing'
}

function notKnownOn(error: NotComparedError, sha: string, ref: string): NotComparedError {
  const unknown = `until then it is not known whether ${short(sha)} is in the history of ${ref}, and nothing is moved to it`
  return new NotComparedError(error.message, { hint: [LATER, unknown], cause: error })
}

/** The verdict for a candidate that may not be promoted. */
export function judgeOnTracked(
  candidate: Candidate,
  tracked: TrackedRef,
  found: OnTracked,
): Verdict | undefined {
  if (found === 'on') return undefined
  if (tracked.kind === 'other repository') return { kind: 'failed', error: unreadableFlake() }
  return offBranch(candidate, tracked, found === 'missing')
}

function unreadableFlake(): OperatorError {
  return new OperatorError(
    "the flake of the jobset cannot be read as this repository's, so no branch is known",
    {
      hint: 'name the branch in the rule (channels[].ref), or let the jobset follow the repository itself',
    },
  )
}

/** @throws PermissionError if the channel is the default branch, or the repository is archived */
export async function checkWritable(forge: Pick<Forge, 'facts'>, { branch }: Channel): Promise<void> {
  const isFine = (facts: Awaited<ReturnType<Forge['facts']>>) =>
    !facts || (facts.defaultBranch !== branch && !facts.archived)
  if (isFine(await forge.facts())) return
  // what came with a cached token may be an hour old
  const facts = await forge.facts('fresh')
  if (isFine(facts)) return
  if (facts?.archived) throw new PermissionError(ARCHIVED.why, ARCHIVED)
  throw new PermissionError(`${branch} is the default branch of the repository, and no channel`, {
    hint: 'give the channel another name in the rule (branch)',
  })
}

/**
 * What keeps a channel where it is, read immediately before each write.
 *
 * @throws OperatorError if a hold cannot be read: it may be one
 */
export function findHeld(channel: Channel, sha: string, stateDirectory: string): Verdict | undefined {
  const [hold] = findHolds(stateDirectory, channel)
  return hold && { kind: 'held', sha, hold }
}

/** A line for the log if the repository has another name now. GitHub redirects until somebody takes the old name. */
export async function describeRename(
  forge: Pick<Forge, 'findNewName'>,
  repository: string,
): Promise<string | undefined> {
  // all channels have their verdict by now: if the name cannot be learned, that makes none of them a failure
  const name = await forge.findNewName().catch(() => undefined)
  return (
    name &&
    `${repository} is called ${name} now, and GitHub redirects: write the new name in the configuration and the jobset`
  )
}

export function unknownCommit(sha: string): OperatorError {
  return new OperatorError(`GitHub has no commit ${sha} in this repository`, {
    hint: 'Hydra may have fetched it from another repository, or it was removed since: was it pushed there?',
  })
}
