// The tracked branches, which "behind" is measured by: their tips, and how much of them Hydra has not evaluated.

import { askOnlyOnce } from '../base/ask-once.ts'
import { short } from '../base/log.ts'
import { compareIfPossible } from '../channels/forge.ts'
import type { PlannedChannel } from '../channels/plan.ts'
import { refsOf } from '../channels/tracked-ref.ts'
import { newestCommit, type Tracked } from './explain.ts'
import {
  type HistoricCommit,
  isWorthOneByOne,
  type Survey,
  type Surveys,
  type TrackedBranch,
} from './survey.ts'

export type TrackedFound = Tracked & {
  history: readonly HistoricCommit[]
  /** How it stands to a commit; undefined if that is too much for GitHub. */
  compareFrom: (sha: string) => Promise<Compared | undefined>
}

export type Compared = Awaited<ReturnType<Survey['compare']>>

/** What a channel is measured by; undefined: that is not in its repository. Throws if GitHub cannot be asked. */
export type FindTracked = (planned: PlannedChannel) => Promise<TrackedFound | undefined>

/** Each branch is asked for once, however many channels and jobsets follow it. */
export function createFindTracked(github: Surveys, hosts: readonly string[]): FindTracked {
  const branches = new Map<string, Promise<TrackedBranch | undefined>>()
  const comparisons = new Map<string, Promise<Compared | undefined>>()

  return async planned => {
    const { repository: name } = planned.channel
    const repository = github.repository(name)
    const { tracked } = planned
    if (tracked.kind === 'pinned') {
      const { rev } = tracked
      const compareFrom = (sha: string) => compareIfPossible(repository, sha, rev)
      return { name: short(rev), kind: 'commit', sha: rev, unevaluated: NOTHING, history: [], compareFrom }
    }
    const key = name.toLowerCase()
    let branch: TrackedBranch | undefined
    for (const each of refsOf(tracked)) {
      branch ??= await askOnlyOnce(branches, `${key} ${each}`, () => findBranch(repository, each))
    }
    if (!branch) return undefined
    const { ref } = branch
    const newest = newestCommit(planned, hosts)?.sha
    // with the branch, as the engine does, and not with its commit: of a branch GraphQL knows what is too much for REST
    const compareFrom = (sha: string) =>
      askOnlyOnce(comparisons, `${key} ${ref} ${sha}`, () => compareIfPossible(repository, sha, ref))
    return {
      name: ref === 'HEAD' ? 'the default branch' : ref.replace(/^refs\/(heads\/)?/, ''),
      kind: 'branch',
      sha: branch.sha,
      history: branch.history,
      compareFrom,
      unevaluated: newest === undefined ? undefined : await countUnevaluated(branch, newest, compareFrom),
    }
  }
}

const NOTHING = { commits: 0, oldest: undefined }

async function findBranch(repository: Survey, ref: string): Promise<TrackedBranch | undefined> {
  try {
    return await repository.findTrackedBranch(ref)
  } catch (error) {
    if (!isWorthOneByOne(error)) throw error
    const branch = /^refs\/heads\/(.*)$/s.exec(ref)?.[1]
    const sha = await (branch === undefined ? repository.findCommit(ref) : repository.findBranch(branch))
    return sha === undefined ? undefined : { sha, ref, history: [] }
  }
}

/** The commits that the branch has and the newest eval's commit does not have. */
async function countUnevaluated(
  { sha, history }: TrackedBranch,
  newest: string,
  compareFrom: TrackedFound['compareFrom'],
): Promise<Tracked['unevaluated']> {
  if (sha === newest) return NOTHING
  const comparison = await compareFrom(newest)
  if (comparison === undefined || comparison === 'not-found') return undefined
  // another root: how many does not matter
  const commits = comparison === 'unrelated' ? Math.max(1, history.length) : comparison.aheadBy
  // if main was rewritten, the new commits begin where the two parted
  const known = (comparison !== 'unrelated' && comparison.mergeBaseSha) || newest
  return { commits, oldest: commits === 0 ? undefined : firstAfter(known, { sha, history }, commits) }
}

/**
 * When the branch first had something newer, by the commits that it was at: a merge brings old commits, and is new itself.
 * ISO 8601; undefined if that is not known.
 */
function firstAfter(
  known: string,
  { sha, history }: Pick<TrackedBranch, 'sha' | 'history'>,
  commits: number,
): string | undefined {
  const bySha = new Map(history.map(commit => [commit.sha, commit]))
  let oldest: string | undefined
  let at: string | undefined = sha
  for (let steps = 0; steps < commits && at !== undefined; steps++) {
    if (isAncestorIn(history, at, known)) break
    const commit: HistoricCommit | undefined = bySha.get(at)
    oldest = commit?.committedAt ?? oldest
    at = commit?.parents[0]
  }
  return oldest
}

/** Whether `ancestor` is in the history of `sha`, as far as this part of the history tells; else undefined. */
export function isAncestorIn(
  history: readonly HistoricCommit[],
  ancestor: string,
  sha: string,
): true | undefined {
  const bySha = new Map(history.map(commit => [commit.sha, commit]))
  const seen = new Set<string>()
  const left = [sha]
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (at === ancestor) return true
    if (seen.has(at)) continue
    seen.add(at)
    left.push(...(bySha.get(at)?.parents ?? []))
  }
  return undefined
}
