// A forge that is nothing but a graph, for unit tests of the engine: no client, no HTTP, no waiting. What it says and refuses
// is what the client makes of the test GitHub (integration/channels/memory-forge.test.ts).
import { sameRepository } from '../../src/base/repository-name.ts'
import type { BranchUpdate, Forge, Written } from '../../src/channels/forge.ts'
import type { MemoryGraph } from './github/memory-graph.ts'

export interface MemoryForge extends Forge {
  /** every write that was carried out */
  readonly moves: BranchUpdate[]
}

export function openMemoryForge(graph: MemoryGraph): MemoryForge {
  const { commits } = graph
  const moves: BranchUpdate[] = []
  const find = async (name: string) => (await graph.findCommits([name]))[0]

  async function findConflict(branch: string): Promise<string | undefined> {
    const all = [...graph.branches().keys()]
    return all.find(other => other.startsWith(`${branch}/`) || branch.startsWith(`${other}/`))
  }

  async function move(updates: readonly BranchUpdate[]): Promise<void> {
    await graph.updateRefs(
      updates.map(({ branch, ...update }) => ({ ref: `refs/heads/${branch}`, ...update })),
    )
    moves.push(...updates.filter(({ from, to }) => from !== to))
  }

  return {
    moves,
    facts: async () => ({ fullName: 'alice/dotfiles', defaultBranch: graph.head, archived: false }),
    async compare(base, head) {
      const [baseSha, headSha] = [await find(base), await find(head)]
      if (baseSha === undefined || headSha === undefined) return 'not-found'
      const { aheadBy, behindBy, mergeBase } = commits.sides(baseSha, headSha)
      if (mergeBase === undefined) return 'unrelated'
      const apart = aheadBy > 0 && behindBy > 0
      const status = apart ? 'diverged' : aheadBy > 0 ? 'ahead' : behindBy > 0 ? 'behind' : 'identical'
      return { status, aheadBy, behindBy, baseSha, mergeBaseSha: mergeBase }
    },
    findBranch: async branch => graph.branch(branch),
    listBranches: async prefix =>
      new Map([...graph.branches()].filter(([branch]) => branch.startsWith(prefix))),
    hasCommit: async sha => commits.has(sha),
    findConflictingBranch: findConflict,
    async createBranch(branch, to): Promise<Written> {
      if (!commits.has(to)) return { kind: 'unknown-commit' }
      if (graph.branch(branch) !== undefined) return { kind: 'raced', message: 'Reference already exists' }
      const conflict = await findConflict(branch)
      if (conflict !== undefined) return { kind: 'unclear', message: 'Reference update failed' }
      await move([{ branch, from: undefined, to }])
      return { kind: 'written' }
    },
    async fastForward(branch, to): Promise<Written> {
      const from = graph.branch(branch)
      if (from === undefined) return { kind: 'raced', message: 'Reference does not exist' }
      if (!commits.has(to)) return { kind: 'unknown-commit' }
      if (!commits.isIn(from, to)) return { kind: 'raced', message: 'Update is not a fast forward' }
      await move([{ branch, from, to }])
      return { kind: 'written' }
    },
    async updateBranches(updates) {
      const isForward = ({ from, to }: BranchUpdate) =>
        commits.has(to) && (from === undefined || commits.isIn(from, to))
      try {
        if (!updates.every(isForward)) throw new Error('Update is not a fast forward')
        await move(updates)
        return { kind: 'written' }
      } catch (error) {
        return { kind: 'refused', error }
      }
    },
    isCalled: async name => sameRepository(name, 'alice/dotfiles'),
    pause: () => new Promise(setImmediate),
    findNewName: async () => undefined,
  }
}
