// Who descends from whom. A question takes as long as the two commits differ, however long their history is.

export interface Commit {
  sha: string
  parents: readonly string[]
  /** Unix seconds */
  date: number
}

export interface Sides {
  /** how many commits head has and base has not */
  aheadBy: number
  behindBy: number
  /** the newest of those where they parted; `undefined` for histories without a common commit */
  mergeBase: string | undefined
}

interface Walk {
  ahead: ReadonlySet<string>
  behindBy: number
  /** common commits that no other common commit descends from */
  mergeBases: string[]
}

const BASE = 1
const HEAD = 2
/** before a merge base */
const BEFORE = 4

export class Commits {
  readonly #commits = new Map<string, Commit>()
  /** the longest way to a commit without parents: a commit's is above that of all before it */
  readonly #heights = new Map<string, number>()
  readonly #walks = new Map<string, Walk>()

  /** After its parents. */
  add(commit: Commit): void {
    const heights = commit.parents.map(parent => this.#heightOf(parent))
    this.#commits.set(commit.sha, commit)
    this.#heights.set(commit.sha, Math.max(0, ...heights.map(height => height + 1)))
  }

  all(): Iterable<Commit> {
    return this.#commits.values()
  }

  get count(): number {
    return this.#commits.size
  }

  has(sha: string): boolean {
    return this.#commits.has(sha)
  }

  get(sha: string): Commit {
    const commit = this.#commits.get(sha)
    if (!commit) throw new Error(`there is no commit ${sha}`)
    return commit
  }

  /** Whether `sha` is in the history of `of`; a commit is in its own. */
  isIn(sha: string, of: string): boolean {
    return this.#walk(sha, of).behindBy === 0
  }

  sides(base: string, head: string): Sides {
    const { ahead, behindBy, mergeBases } = this.#walk(base, head)
    const newest = mergeBases.toSorted((a, b) => this.get(b).date - this.get(a).date)
    return { aheadBy: ahead.size, behindBy, mergeBase: newest[0] }
  }

  /**
   * What head has and base has not, oldest first, in the order of `git rev-list --topo-order --reverse`: from head on, a
   * commit comes when all its children have come, and the last parent before the others.
   */
  missing(base: string, head: string): string[] {
    const { ahead } = this.#walk(base, head)
    const children = new Map<string, number>()
    for (const sha of ahead) {
      for (const parent of this.get(sha).parents) children.set(parent, (children.get(parent) ?? 0) + 1)
    }
    const order: string[] = []
    const next = ahead.has(head) ? [head] : []
    for (let sha = next.pop(); sha !== undefined; sha = next.pop()) {
      order.push(sha)
      for (const parent of this.get(sha).parents) {
        const left = (children.get(parent) ?? 0) - 1
        children.set(parent, left)
        if (left === 0 && ahead.has(parent)) next.push(parent)
      }
    }
    return order.reverse()
  }

  /** The newest commits of a history, in the order of `git log`: of those whose child has come, the newest comes. */
  log(sha: string, count = Number.POSITIVE_INFINITY): Commit[] {
    const found: Commit[] = []
    const seen = new Set([sha])
    const next = [this.get(sha)]
    while (next.length > 0 && found.length < count) {
      const newest = next.reduce((a, b) => (b.date > a.date ? b : a))
      next.splice(next.indexOf(newest), 1)
      found.push(newest)
      for (const parent of newest.parents) {
        if (seen.has(parent)) continue
        seen.add(parent)
        next.push(this.get(parent))
      }
    }
    return found
  }

  #heightOf(sha: string): number {
    const height = this.#heights.get(sha)
    if (height === undefined) throw new Error(`there is no commit ${sha}`)
    return height
  }

  #walk(base: string, head: string): Walk {
    const key = `${base}...${head}`
    const known = this.#walks.get(key)
    if (known) return known
    const walk = this.#paint(base, head)
    this.#walks.set(key, walk)
    return walk
  }

  /** From the highest commit down, each hands to its parents whose history it is in, until all that is left is in both. */
  #paint(base: string, head: string): Walk {
    const marks = new Map<string, number>()
    const waiting = new Map<number, string[]>()
    /** of those that wait, how many are not known to be before a merge base */
    let open = 0
    const paint = (sha: string, mark: number) => {
      const before = marks.get(sha)
      const after = (before ?? 0) | mark
      marks.set(sha, after)
      if (before === undefined) {
        const height = this.#heightOf(sha)
        const level = waiting.get(height)
        if (level) level.push(sha)
        else waiting.set(height, [sha])
      }
      open += Number(!(after & BEFORE)) - Number(before !== undefined && !(before & BEFORE))
    }
    paint(base, BASE)
    paint(head, HEAD)

    const ahead = new Set<string>()
    const mergeBases: string[] = []
    let behindBy = 0
    for (let height = Math.max(this.#heightOf(base), this.#heightOf(head)); open > 0; height--) {
      for (const sha of waiting.get(height) ?? []) {
        const mark = marks.get(sha) ?? 0
        if (!(mark & BEFORE)) open--
        if (mark === HEAD) ahead.add(sha)
        else if (mark === BASE) behindBy++
        else if (!(mark & BEFORE)) mergeBases.push(sha)
        const handed = mark === (BASE | HEAD) ? mark | BEFORE : mark
        for (const parent of this.get(sha).parents) paint(parent, handed)
      }
    }
    return { ahead, behindBy, mergeBases }
  }
}
