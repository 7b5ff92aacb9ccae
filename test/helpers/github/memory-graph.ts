// A graph in memory, for tests that ask thousands of times: no git is started for an answer. Its commits have no files.
import { createHash } from 'node:crypto'
import { type Commit, Commits } from './commits.ts'
import {
  type CommitFacts,
  type FileChange,
  type Graph,
  type GraphComparison,
  isSha,
  type NewCommit,
  type Ref,
  RefConflict,
  type RefUpdate,
  refsNamed,
  toZulu,
} from './graph.ts'

/** Where refs are: `refs/heads/main` to a sha. */
export interface RefStore {
  get(ref: string): string | undefined
  set(ref: string, sha: string): unknown
  delete(ref: string): unknown
  entries(): Iterable<[ref: string, sha: string]>
}

export class MemoryGraph implements Graph {
  readonly commits = new Commits()
  readonly refs: RefStore
  head = 'main'
  readonly #messages = new Map<string, string>()
  /** the commit of each annotated tag */
  readonly #tags = new Map<string, string>()
  /** what reads are answered from while they lag behind writes */
  #old: { refs: ReadonlyMap<string, string>; reads: number } | undefined

  constructor(refs: RefStore = new Map()) {
    this.refs = refs
  }

  add(commit: Commit, message = 'a commit'): string {
    this.commits.add(commit)
    this.#messages.set(commit.sha, message)
    return commit.sha
  }

  branch(name: string): string | undefined {
    return this.refs.get(`refs/heads/${name}`)
  }

  /** `undefined` deletes it. */
  setBranch(name: string, sha: string | undefined): void {
    if (sha === undefined) this.refs.delete(`refs/heads/${name}`)
    else this.refs.set(`refs/heads/${name}`, sha)
  }

  branches(): Map<string, string> {
    const heads = [...this.refs.entries()].filter(([ref]) => ref.startsWith('refs/heads/'))
    return new Map(heads.map(([ref, sha]) => [ref.slice('refs/heads/'.length), sha]))
  }

  /** From now on so many reads are answered as if nothing had been written since. */
  lag(reads: number): void {
    this.#old = { refs: new Map(this.refs.entries()), reads }
  }

  async listRefs(why?: 'for a write'): Promise<Ref[]> {
    const refs = why ? this.refs : this.#read()
    return [...refs.entries()]
      .filter(([ref]) => /^refs\/(heads|tags)\//.test(ref))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([ref, sha]) => ({ ref, sha, type: this.#tags.has(sha) ? 'tag' : 'commit' }))
  }

  async findCommits(names: readonly string[]): Promise<(string | undefined)[]> {
    const refs = names.every(isSha) ? this.refs : this.#read()
    const find = (name: string) => {
      if (name === 'HEAD') return refs.get(`refs/heads/${this.head}`)
      const ref = refsNamed(name).find(each => refs.get(each) !== undefined)
      return isSha(name) ? name : ref && refs.get(ref)
    }
    return names.map(name => {
      const sha = find(name) ?? ''
      const commit = this.#tags.get(sha) ?? sha
      return this.commits.has(commit) ? commit : undefined
    })
  }

  async readCommits(): Promise<Commits> {
    return this.commits
  }

  async listHistory(sha: string, count: number): Promise<string[]> {
    return this.commits.log(sha, count).map(commit => commit.sha)
  }

  async compare(base: string, head: string): Promise<GraphComparison> {
    const { behindBy, mergeBase } = this.commits.sides(base, head)
    return { ahead: this.commits.missing(base, head), behindBy, mergeBase }
  }

  async readFacts(shas: readonly string[]): Promise<CommitFacts[]> {
    return shas.map(sha => {
      const { parents, date } = this.commits.get(sha)
      const person = { name: 'Alice', email: 'alice@example.org', date: toZulu(date * 1000) }
      return {
        ...{ sha, tree: sha, parents, author: person, committer: person },
        message: this.#messages.get(sha) ?? '',
      }
    })
  }

  async listChanges(): Promise<FileChange[]> {
    return []
  }

  async listWorkflows(): Promise<string[]> {
    return []
  }

  async isRefName(ref: string): Promise<boolean> {
    return !/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|^\/|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(ref)
  }

  async updateRefs(updates: readonly RefUpdate[]): Promise<void> {
    const others = [...[...this.refs.entries()].map(([ref]) => ref), ...updates.map(({ ref }) => ref)]
    for (const { ref, from } of updates) {
      if (this.refs.get(ref) !== from) throw new RefConflict(`${ref} is at ${this.refs.get(ref)}`)
      const inTheWay = others.find(other => other.startsWith(`${ref}/`) || ref.startsWith(`${other}/`))
      if (inTheWay !== undefined) throw new RefConflict(`${inTheWay} is in the way of ${ref}`)
    }
    for (const { ref, to } of updates) this.refs.set(ref, to)
  }

  async write(commits: readonly NewCommit[]): Promise<string[]> {
    const shas: string[] = []
    for (const { message, date, ...commit } of commits) {
      const parents = commit.parents.map(each =>
        each.startsWith(':') ? (shas[Number(each.slice(1)) - 1] ?? '') : each,
      )
      const sha = createHash('sha1')
        .update(JSON.stringify([parents, message, date]))
        .digest('hex')
      shas.push(this.add({ sha, parents, date }, message))
    }
    return shas
  }

  async setRefs(refs: Readonly<Record<string, string | undefined>>): Promise<void> {
    for (const [ref, sha] of Object.entries(refs)) {
      if (sha === undefined) this.refs.delete(ref)
      else this.refs.set(ref, sha)
    }
  }

  async annotate(tag: string, sha: string): Promise<void> {
    const object = createHash('sha1').update(`${tag} ${sha}`).digest('hex')
    this.#tags.set(object, sha)
    this.refs.set(`refs/tags/${tag}`, object)
  }

  #read(): Pick<RefStore, 'get' | 'entries'> {
    return this.#old && this.#old.reads-- > 0 ? this.#old.refs : this.refs
  }
}
