// Who descends from whom, for many pairs at once: git is asked one time for all parents, because a process
// for each of a hundred refs takes longer than all the rest of the request.

import { git } from './github-git.ts'

export class Ancestry {
  readonly #parents = new Map<string, string[]>()
  readonly #reachable = new Map<string, Set<string>>()
  readonly #compared = new Map<string, { aheadBy: number; behindBy: number } | undefined>()

  /** Knows the given commits, which must exist, and everything before them. */
  static async read(gitDir: string, shas: string[]): Promise<Ancestry> {
    const ancestry = new Ancestry()
    if (shas.length === 0) return ancestry
    const lines = await git(gitDir, ['rev-list', '--parents', '--stdin'], `${shas.join('\n')}\n`)
    for (const line of lines.split('\n')) {
      const [sha = '', ...parents] = line.split(' ')
      ancestry.#parents.set(sha, parents)
    }
    return ancestry
  }

  /** True of a commit and itself too. */
  isAncestor(ancestor: string, sha: string): boolean {
    return this.#reachableFrom(sha).has(ancestor)
  }

  /** `undefined` for histories without a common commit. */
  compare(base: string, head: string): { aheadBy: number; behindBy: number } | undefined {
    const key = `${base}...${head}`
    if (!this.#compared.has(key)) this.#compared.set(key, this.#count(base, head))
    return this.#compared.get(key)
  }

  #count(base: string, head: string) {
    const ofBase = this.#reachableFrom(base)
    const ofHead = this.#reachableFrom(head)
    let common = 0
    for (const sha of ofHead) if (ofBase.has(sha)) common++
    return common === 0 ? undefined : { aheadBy: ofHead.size - common, behindBy: ofBase.size - common }
  }

  #reachableFrom(sha: string): Set<string> {
    let reachable = this.#reachable.get(sha)
    if (!reachable) {
      // A set is walked in the order of its making, with what is added on the way.
      reachable = new Set([sha])
      for (const found of reachable)
        for (const parent of this.#parents.get(found) ?? []) reachable.add(parent)
      this.#reachable.set(sha, reachable)
    }
    return reachable
  }
}
