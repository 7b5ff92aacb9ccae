// Who descends from whom, for many pairs at once: git is asked one time for all parents, because a process
// for each of a hundred refs takes longer than all the rest of the request.

import { git, listCommits } from './git.ts'

export class Ancestry {
  readonly #parents = new Map<string, string[]>()
  readonly #dates = new Map<string, number>()
  readonly #reachable = new Map<string, Set<string>>()
  readonly #orders = new Map<string, string[]>()
  readonly #compared = new Map<string, { aheadBy: number; behindBy: number } | undefined>()

  /** Knows the given commits, which must exist, and everything before them. */
  static async read(gitDir: string, shas: string[]): Promise<Ancestry> {
    const ancestry = new Ancestry()
    if (shas.length === 0) return ancestry
    const args = ['rev-list', '--parents', '--timestamp', '--stdin']
    const lines = await git(gitDir, args, `${shas.join('\n')}\n`)
    for (const line of lines.trimEnd().split('\n')) {
      const [date, sha = '', ...parents] = line.split(' ')
      ancestry.#parents.set(sha, parents)
      ancestry.#dates.set(sha, Number(date))
    }
    return ancestry
  }

  /** Knows every commit of the repository. */
  static async readAll(gitDir: string): Promise<Ancestry> {
    return Ancestry.read(gitDir, await listCommits(gitDir))
  }

  has(sha: string): boolean {
    return this.#parents.has(sha)
  }

  parentsOf(sha: string): readonly string[] {
    return this.#parents.get(sha) ?? []
  }

  /** Unix seconds. */
  committedAt(sha: string): number {
    const date = this.#dates.get(sha)
    if (date === undefined) throw new Error(`git did not tell about ${sha}`)
    return date
  }

  /** The number of commits of a history, this one among them. */
  size(sha: string): number {
    return this.#reachableFrom(sha).size
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

  /** What head has and base has not, oldest first, in the order of `git rev-list --topo-order --reverse`. */
  missing(base: string, head: string): string[] {
    const ofBase = this.#reachableFrom(base)
    return this.#orderOf(head).filter(sha => !ofBase.has(sha))
  }

  // From head on, a commit comes when all its children have come, and the last parent before the others. What
  // base has too leaves no gap that could change the order of the rest: no child of the rest is among it.
  #orderOf(head: string): string[] {
    const known = this.#orders.get(head)
    if (known) return known
    const children = new Map<string, number>()
    for (const sha of this.#reachableFrom(head)) {
      for (const parent of this.#parents.get(sha) ?? []) {
        children.set(parent, (children.get(parent) ?? 0) + 1)
      }
    }
    const order: string[] = []
    const next = [head]
    for (let sha = next.pop(); sha !== undefined; sha = next.pop()) {
      order.push(sha)
      for (const parent of this.#parents.get(sha) ?? []) {
        const left = (children.get(parent) ?? 0) - 1
        children.set(parent, left)
        if (left === 0) next.push(parent)
      }
    }
    order.reverse()
    this.#orders.set(head, order)
    return order
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
