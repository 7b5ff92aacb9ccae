// A GitHub in memory, for histories that are many: one repository whose ancestry comes from a table of parents, with a log
// of every move. memory-github.test.ts holds it against git. What it says and refuses is what refs.ts makes of GitHub.
import type { Comparison, Written } from '../../src/channels/forge.ts'
import type { Related } from '../../src/channels/relation.ts'
import type { Standing, Survey } from '../../src/status/survey.ts'

export interface Commit {
  sha: string
  parents: readonly string[]
  /** Unix seconds */
  date: number
}

/** Who descends from whom. */
export class Graph {
  readonly commits = new Map<string, Commit>()
  readonly #histories = new Map<string, ReadonlySet<string>>()

  add(commit: Commit): string {
    this.commits.set(commit.sha, commit)
    return commit.sha
  }

  /** The commit and all that it descends from. */
  history(sha: string): ReadonlySet<string> {
    const known = this.#histories.get(sha)
    if (known) return known
    const all = new Set([sha])
    for (const parent of this.commits.get(sha)?.parents ?? []) {
      for (const each of this.history(parent)) all.add(each)
    }
    this.#histories.set(sha, all)
    return all
  }

  /** Whether `sha` is in the history of `of`; a commit is in its own. */
  isIn(sha: string, of: string): boolean {
    return this.history(of).has(sha)
  }

  /** The commits that `sha` has and `other` has not. */
  only(sha: string, other: string): string[] {
    return [...this.history(sha)].filter(each => !this.isIn(each, other))
  }

  compare(base: string, head: string): Comparison | 'unrelated' {
    const common = [...this.history(base)].filter(each => this.isIn(each, head))
    const best = common.filter(each => !common.some(other => other !== each && this.isIn(each, other)))
    const [mergeBaseSha] = best.sort((a, b) => this.#dateOf(b) - this.#dateOf(a))
    if (mergeBaseSha === undefined) return 'unrelated'
    const aheadBy = this.only(head, base).length
    const behindBy = this.only(base, head).length
    return { status: statusOf(aheadBy, behindBy), aheadBy, behindBy, baseSha: base, mergeBaseSha }
  }

  /** Newest first. */
  log(sha: string): Commit[] {
    const all = [...this.history(sha)].flatMap(each => this.commits.get(each) ?? [])
    return all.sort((a, b) => b.date - a.date || Number(this.isIn(a.sha, b.sha)) * 2 - 1)
  }

  #dateOf(sha: string): number {
    return this.commits.get(sha)?.date ?? 0
  }
}

function statusOf(aheadBy: number, behindBy: number): Comparison['status'] {
  if (aheadBy > 0) return behindBy > 0 ? 'diverged' : 'ahead'
  return behindBy > 0 ? 'behind' : 'identical'
}

export interface Move {
  by: string
  branch: string
  from: string | undefined
  to: string
}

export class MemoryGitHub {
  readonly graph: Graph
  readonly branches = new Map<string, string>()
  /** what is no branch, by its full name: `refs/tags/v1`, `refs/pull/7/head` */
  readonly refs = new Map<string, string>()
  defaultBranch = 'main'
  /** what the program has moved; nobody else's moves */
  readonly moves: Move[] = []
  readonly #turn: () => Promise<void>
  /** what reads are answered from while they lag behind writes */
  #old: { branches: ReadonlyMap<string, string>; reads: number } | undefined

  /** @param turn waits before and after each request, so that requests of several runs mix */
  constructor(graph: Graph, turn: () => Promise<void>) {
    this.graph = graph
    this.#turn = turn
  }

  /** From now on so many reads are answered as if nothing had been written since. */
  lag(reads: number): void {
    this.#old = { branches: new Map(this.branches), reads }
  }

  open(by: string): Survey {
    const { graph } = this
    const read = <T>(answer: (branches: ReadonlyMap<string, string>) => T) => this.#read(answer)
    return {
      facts: () =>
        read(() => ({ fullName: 'alice/dotfiles', defaultBranch: this.defaultBranch, archived: false })),
      compare: (base, head) =>
        read(branches => {
          const [from, to] = [this.#resolve(base, branches), this.#resolve(head, branches)]
          return from !== undefined && to !== undefined ? graph.compare(from, to) : 'not-found'
        }),
      findBranch: branch => read(branches => branches.get(branch)),
      hasCommit: sha => read(() => graph.commits.has(sha)),
      findConflictingBranch: branch =>
        read(branches =>
          [...branches.keys()].find(each => each.startsWith(`${branch}/`) || branch.startsWith(`${each}/`)),
        ),
      listBranches: prefix =>
        read(branches => new Map([...branches].filter(([branch]) => branch.startsWith(prefix)))),
      findTrackedBranch: ref =>
        read(branches => {
          const sha = this.#resolve(ref, branches)
          if (sha === undefined) return undefined
          const history = graph.log(sha).slice(0, 100)
          return {
            sha,
            ref: ref === 'HEAD' ? `refs/heads/${this.defaultBranch}` : ref,
            history: history.map(each => ({
              sha: each.sha,
              committedAt: iso(each.date),
              parents: [...each.parents],
            })),
          }
        }),
      findCommit: ref => read(branches => this.#resolve(ref, branches)),
      findStandings: asked =>
        read(branches => ({
          standings: new Map(asked.flatMap(each => standingOf(graph, branches, each))),
          errors: [],
        })),
      createBranch: (branch, to) =>
        this.#write((): Written => {
          if (!graph.commits.has(to)) return { kind: 'unknown-commit' }
          if (this.branches.has(branch)) return { kind: 'raced', message: 'Reference already exists' }
          this.#move({ by, branch, from: undefined, to })
          return { kind: 'written' }
        }),
      fastForward: (branch, to) =>
        this.#write((): Written => {
          const from = this.branches.get(branch)
          if (from === undefined) return { kind: 'raced', message: 'Reference does not exist' }
          if (!graph.commits.has(to)) return { kind: 'unknown-commit' }
          if (!graph.isIn(from, to)) return { kind: 'raced', message: 'Update is not a fast forward' }
          this.#move({ by, branch, from, to })
          return { kind: 'written' }
        }),
      updateBranches: updates =>
        this.#write(() => {
          for (const { branch, from, to } of updates) {
            const is = this.branches.get(branch)
            if (is !== from || (from !== undefined && !graph.isIn(from, to)) || !graph.commits.has(to)) {
              return { kind: 'refused', error: new Error(`${branch} is at ${is}`) } as const
            }
          }
          for (const { branch, from, to } of updates) this.#move({ by, branch, from, to })
          return { kind: 'written' } as const
        }),
      pause: () => this.#turn(),
      findNewName: () => read(() => undefined),
    }
  }

  /** The commit of a sha, of `HEAD` or of a full name. */
  #resolve(name: string, branches: ReadonlyMap<string, string>): string | undefined {
    if (name === 'HEAD') return branches.get(this.defaultBranch)
    if (name.startsWith('refs/heads/')) return branches.get(name.slice('refs/heads/'.length))
    return this.graph.commits.has(name) ? name : this.refs.get(name)
  }

  async #read<T>(answer: (branches: ReadonlyMap<string, string>) => T): Promise<T> {
    await this.#turn()
    const old = this.#old && this.#old.reads-- > 0 ? this.#old.branches : undefined
    const said = answer(old ?? this.branches)
    await this.#turn()
    return said
  }

  async #write<T>(write: () => T): Promise<T> {
    await this.#turn()
    const said = write()
    await this.#turn()
    return said
  }

  #move(move: Move): void {
    if (move.from === move.to) return
    this.branches.set(move.branch, move.to)
    this.moves.push(move)
  }
}

function standingOf(
  graph: Graph,
  branches: ReadonlyMap<string, string>,
  { branch, heads }: { branch: string; heads: readonly string[] },
): [string, Standing][] {
  const sha = branches.get(branch)
  if (sha === undefined) return []
  const sides = new Map<string, Related>()
  for (const head of heads) {
    const compared = graph.commits.has(head) ? graph.compare(sha, head) : 'unrelated'
    // GraphQL leaves out what has no common history, and REST says why
    if (compared === 'unrelated') continue
    const { status, aheadBy, behindBy } = compared
    const first = graph.only(head, sha).flatMap(each => graph.commits.get(each)?.date ?? [])
    sides.set(head, {
      status,
      aheadBy,
      behindBy,
      firstCommittedAt: first.length > 0 ? iso(Math.min(...first)) : undefined,
    })
  }
  const date = graph.commits.get(sha)?.date
  return [
    [branch, { sha, committedAt: date === undefined ? undefined : iso(date), mayPush: undefined, sides }],
  ]
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}
