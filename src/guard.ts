// What must hold before a channel is written, beyond its being a fast-forward: the commit was not taken back, the branch
// is not the one that people work on, and the repository can be written to.
import { unknownCommit } from './advance.ts'
import type { Candidate } from './candidate.ts'
import type { Channel } from './channel.ts'
import { ARCHIVED, PermissionError } from './github/refusal.ts'
import type { GitHubRepository } from './github/repository.ts'
import { findHold } from './holds.ts'
import type { Outcome } from './outcome.ts'

/**
 * Whether a candidate's commit was taken back. Evals are in the order of time, not of commits: after main was reset, the
 * newest good eval may hold a commit that is in no branch any more. So it must be in the history of the newest eval's.
 */
export async function findWithdrawal(
  repository: GitHubRepository,
  { sha, eval: evalId, newest }: Candidate,
): Promise<Outcome | undefined> {
  if (!newest || newest.sha === sha || (await isContained(repository, sha, newest.sha))) return undefined
  return { kind: 'withdrawn', sha, eval: evalId, newest }
}

async function isContained(repository: GitHubRepository, sha: string, newest: string): Promise<boolean> {
  const comparison = await repository.compare(sha, newest)
  if (comparison === 'unrelated') return false
  if (comparison !== 'not-found') return comparison.status === 'identical' || comparison.status === 'ahead'
  throw unknownCommit((await repository.hasCommit(sha)) ? newest : sha)
}

/**
 * @throws PermissionError where the channel is the default branch, or the repository is archived
 */
export async function checkWritable(repository: GitHubRepository, { branch }: Channel): Promise<void> {
  const isFine = (facts: Awaited<ReturnType<GitHubRepository['facts']>>) =>
    !facts || (facts.defaultBranch !== branch && !facts.archived)
  if (isFine(await repository.facts())) return
  // what came with a cached token may be an hour old
  const facts = await repository.facts('fresh')
  if (isFine(facts)) return
  if (facts?.archived) throw new PermissionError(ARCHIVED.why, ARCHIVED)
  throw new PermissionError(`${branch} is the default branch of the repository, and no channel`, {
    hint: 'give the channel another name in the rule (branch)',
  })
}

/** A line for the log where the repository has another name now; GitHub redirects until somebody takes the old one. */
export async function describeRename(
  repository: GitHubRepository,
  channel: Channel,
): Promise<string | undefined> {
  // the channel has been dealt with by now: a name that cannot be learned is no reason to call that a failure
  const name = await repository.findNewName().catch(() => undefined)
  return (
    name &&
    `${channel.repository} is called ${name} now, and GitHub redirects: put the new name into the configuration and the jobset`
  )
}

/**
 * What keeps a channel where it is, read immediately before each write.
 *
 * @throws OperatorError where a hold cannot be read: it may be one
 */
export function heldOutcome(channel: Channel, sha: string, stateDirectory: string): Outcome | undefined {
  const hold = findHold(stateDirectory, channel)
  return hold && { kind: 'held', sha, reason: hold.reason, until: hold.until }
}
