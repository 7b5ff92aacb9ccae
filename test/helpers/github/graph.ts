// What a repository of the test GitHub knows of refs and commits. Git answers it (git-graph.ts), or a table in memory where a
// test asks thousands of times (memory-graph.ts); graphs.test.ts holds the one against the other.
import type { Commits } from './commits.ts'

export interface Graph {
  /** the branch that `HEAD` stands for */
  head: string
  /** All branches and tags, in git's order. What is asked for a write does not lag behind other writes. */
  listRefs(why?: 'for a write'): Promise<Ref[]>
  /** The commit of each sha, `HEAD`, `refs/heads/x`, `heads/x` or `x`; of two with one name, the tag as in git. */
  findCommits(names: readonly string[]): Promise<(string | undefined)[]>
  /** The commits of these, which must exist, and everything before them; or all that there are. */
  readCommits(of: readonly string[] | 'all'): Promise<Commits>
  /** The newest commits of a history, in the order of `git log`. */
  listHistory(sha: string, count: number): Promise<string[]>
  compare(base: string, head: string): Promise<GraphComparison>
  /** Of each sha, in the order asked for. */
  readFacts(shas: readonly string[]): Promise<CommitFacts[]>
  /** How `to` differs from `from`; `undefined` stands for nothing at all, before a root commit. */
  listChanges(from: string | undefined, to: string): Promise<FileChange[]>
  /** Each file under .github/workflows of any of the commits, as `blob path`. */
  listWorkflows(shas: readonly string[]): Promise<string[]>
  isRefName(ref: string): Promise<boolean>
  /** All or none, and only if each is at `from`. @throws RefConflict */
  updateRefs(updates: readonly RefUpdate[]): Promise<void>

  // what a test does to it
  write(commits: readonly NewCommit[]): Promise<string[]>
  /** Wherever they were; `undefined` deletes. */
  setRefs(refs: Readonly<Record<string, string | undefined>>): Promise<void>
  annotate(tag: string, sha: string): Promise<void>
}

export interface Ref {
  /** `refs/heads/main` */
  ref: string
  sha: string
  /** `commit`, or `tag` for an annotated one */
  type: string
}

export interface RefUpdate {
  ref: string
  /** `undefined`: there is none */
  from: string | undefined
  to: string
}

export interface GraphComparison {
  /** what head has and base has not, oldest first */
  ahead: string[]
  behindBy: number
  /** `undefined` for histories without a common commit */
  mergeBase: string | undefined
}

export interface CommitFacts {
  sha: string
  tree: string
  parents: readonly string[]
  author: { name: string; email: string; date: string }
  committer: { name: string; email: string; date: string }
  message: string
}

export interface FileChange {
  filename: string
  status: 'added' | 'removed' | 'modified'
  blob: string
  additions: number
  deletions: number
}

export interface NewCommit {
  /** Shas, or `:n` for the n-th commit (from 1) of the same call. */
  parents: readonly string[]
  message: string
  files: Record<string, string>
  /** Unix seconds. */
  date: number
}

/** A ref is not at `from`, or its name and another one cannot both exist. */
export class RefConflict extends Error {
  override name = 'RefConflict'
}

export const ZERO_SHA = '0'.repeat(40)

export const isSha = (text: string) => /^[0-9a-f]{40}$/.test(text)

/** A revision in git's own syntax (`main~1`, `@{1}`) is no name to GitHub. */
const isPlainName = (name: string) => !/[\s~^:?*[\\]|\.\.|@\{/.test(name)

/** The refs that a name may stand for, the first that exists before the others. `HEAD` is the default branch. */
export function refsNamed(name: string): string[] {
  if (name === 'HEAD') return [name]
  if (!isPlainName(name)) return []
  const full = name.startsWith('refs/') ? [name] : []
  return [...full, `refs/${name}`, `refs/tags/${name}`, `refs/heads/${name}`]
}

export const toZulu = (date: string | number) => new Date(date).toISOString().replace('.000Z', 'Z')
