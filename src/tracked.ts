// The branches that the jobsets follow, by which "behind" is measured: what is at their tips, and how much of it Hydra
// has not evaluated.
import { OperatorError } from './errors.ts'
import type { PlannedChannel } from './fleet.ts'
import type { GitHubRepository } from './github/repository.ts'
import type { TrackedBranch } from './github/standing.ts'
import { findTrackedRef } from './hydra/flakeref.ts'
import { short } from './log.ts'
import { newestCommit, type Tracked } from './reason.ts'
import type { OpenedGitHub } from './run-options.ts'

/** The branch that a channel is measured by; undefined where it is not there. An error is thrown to each who asks. */
export type FindTracked = (planned: PlannedChannel) => Promise<Tracked | undefined>

/** Each branch is asked for once, however many channels follow it. */
export function createFindTracked(github: Pick<OpenedGitHub, 'repository'>, host: string): FindTracked {
  const once = new Map<string, Promise<Tracked | undefined>>()
  return planned => {
    const { channel, job } = planned
    const key = JSON.stringify([channel.repository.toLowerCase(), job.project, job.jobset])
    const known = once.get(key) ?? findTracked(planned, github.repository(channel.repository), host)
    once.set(key, known)
    known.catch(() => {})
    return known
  }
}

async function findTracked(
  planned: PlannedChannel,
  repository: GitHubRepository,
  host: string,
): Promise<Tracked | undefined> {
  const { flake } = planned.facts.jobset
  const ref = findTrackedRef(flake ?? '', planned.channel.repository) ?? (await defaultRef(repository))
  if (ref === undefined) return undefined
  // a jobset that is pinned to a commit
  if (!ref.startsWith('refs/')) {
    return { name: short(ref), sha: ref, unevaluated: { commits: 0, oldest: undefined } }
  }
  const found = await findBranch(repository, ref)
  if (!found) return undefined
  const newest = newestCommit(planned, host)
  return {
    name: ref.replace(/^refs\/(heads\/)?/, ''),
    sha: found.sha,
    unevaluated: newest && (await countUnevaluated(repository, found, newest.sha)),
  }
}

async function defaultRef(repository: GitHubRepository): Promise<string | undefined> {
  const facts = await repository.facts()
  return facts && `refs/heads/${facts.defaultBranch}`
}

async function findBranch(repository: GitHubRepository, ref: string): Promise<TrackedBranch | undefined> {
  try {
    return await repository.findTrackedBranch(ref)
  } catch (error) {
    if (!(error instanceof OperatorError) && (error as Error).name !== 'GraphqlResponseError') throw error
    const sha = await repository.findBranch(ref.replace(/^refs\/heads\//, ''))
    return sha === undefined ? undefined : { sha, committedAt: undefined, history: [] }
  }
}

/** What the branch has, and the newest eval's commit has not. */
async function countUnevaluated(
  repository: GitHubRepository,
  { sha, history }: TrackedBranch,
  newest: string,
): Promise<Tracked['unevaluated']> {
  if (sha === newest) return { commits: 0, oldest: undefined }
  const comparison = await repository.compare(newest, sha)
  if (comparison === 'not-found') return undefined
  const commits = comparison === 'unrelated' ? history.length : comparison.aheadBy
  const times = history.slice(0, commits).map(({ committedAt }) => Date.parse(committedAt))
  return {
    commits,
    oldest: times.length === 0 ? undefined : new Date(Math.min(...times)).toISOString(),
  }
}
