// The git commands that answer for the test GitHub: what is an ancestor is git's to say, never ours.

import { execFile } from 'node:child_process'

export const ZERO_SHA = '0'.repeat(40)
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904'

const env = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  // a repository that lives for a test waits for no disk and tidies nothing up
  GIT_CONFIG_COUNT: '2',
  GIT_CONFIG_KEY_0: 'core.fsync',
  GIT_CONFIG_VALUE_0: 'none',
  GIT_CONFIG_KEY_1: 'gc.auto',
  GIT_CONFIG_VALUE_1: '0',
  GIT_AUTHOR_NAME: 'Alice',
  GIT_AUTHOR_EMAIL: 'alice@example.org',
  GIT_COMMITTER_NAME: 'Alice',
  GIT_COMMITTER_EMAIL: 'alice@example.org',
}

export class GitError extends Error {
  override name = 'GitError'
  readonly exitCode: number | undefined

  constructor(args: string[], exitCode: number | undefined, stderr: string, cause: Error) {
    super(`git ${args.join(' ')}: ${stderr.trim() || cause.message}`, { cause })
    this.exitCode = exitCode
  }
}

export function git(gitDir: string, args: string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env, GIT_DIR: gitDir }, maxBuffer: 2 ** 28 }
    const child = execFile('git', args, options, (error, stdout, stderr) => {
      if (!error) resolve(stdout)
      else reject(new GitError(args, typeof error.code === 'number' ? error.code : undefined, stderr, error))
    })
    // git may end before it has read all of its input; its exit status tells.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** git's "no", as its exit status 1; any other failure is an error. */
export async function gitTest(gitDir: string, args: string[]): Promise<boolean> {
  try {
    await git(gitDir, args)
    return true
  } catch (error) {
    if (error instanceof GitError && error.exitCode === 1) return false
    throw error
  }
}

export interface NewCommit {
  /** Shas, or `:n` for the n-th commit (from 1) of the same call. */
  parents: string[]
  message: string
  files: Record<string, string>
  /** Unix seconds. */
  date: number
}

// fast-import writes any number of commits with one process, and without a ref that someone could see:
// its branch is reset to nothing before it ends.
export async function writeCommits(gitDir: string, commits: NewCommit[]): Promise<string[]> {
  const scratch = 'refs/scratch/commits'
  const out: string[] = []
  for (const [index, commit] of commits.entries()) {
    out.push(`commit ${scratch}`, `mark :${index + 1}`)
    out.push(`committer ${env.GIT_COMMITTER_NAME} <${env.GIT_COMMITTER_EMAIL}> ${commit.date} +0000`)
    out.push(data(commit.message))
    for (const [n, parent] of commit.parents.entries()) out.push(`${n === 0 ? 'from' : 'merge'} ${parent}`)
    for (const [path, content] of Object.entries(commit.files)) {
      out.push(`M 100644 inline ${path}`, data(content))
    }
    out.push('', `get-mark :${index + 1}`)
  }
  out.push(`reset ${scratch}`, `from ${ZERO_SHA}`, '', '')
  const marks = await git(gitDir, ['fast-import', '--quiet', '--force'], out.join('\n'))
  return marks.trim().split('\n')
}

const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}`

export interface Ref {
  ref: string
  sha: string
  type: string
}

/** All branches and tags, in git's order. */
export async function listRefs(gitDir: string): Promise<Ref[]> {
  const format = '--format=%(objectname) %(objecttype) %(refname)'
  const lines = await git(gitDir, ['for-each-ref', format, 'refs/heads/', 'refs/tags/'])
  return lines
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [sha = '', type = '', ref = ''] = line.split(' ')
      return { ref, sha, type }
    })
}

export const isSha = (text: string) => /^[0-9a-f]{40}$/.test(text)

/** A revision in git's own syntax (`main~1`, `@{1}`) is no name to GitHub. */
const isPlainName = (name: string) => !/[\s~^:?*[\\]|\.\.|@\{/.test(name)

/** The refs that a name may stand for, the first that exists before the others. `HEAD` is the default branch. */
export function refsNamed(name: string): string[] {
  if (name === 'HEAD') return [name]
  const full = name.startsWith('refs/') ? [name] : []
  return [...full, `refs/${name}`, `refs/tags/${name}`, `refs/heads/${name}`]
}

/** The commit of each sha, `HEAD`, `refs/heads/x`, `heads/x` or `x`; of two with one name, the tag as in git. */
export async function findCommits(gitDir: string, names: string[]): Promise<(string | undefined)[]> {
  const candidates = names.map(name => {
    if (isSha(name)) return [name]
    return isPlainName(name) ? refsNamed(name) : []
  })
  const input = candidates.flat().map(candidate => `${candidate}^{commit}\n`)
  const answers = (await git(gitDir, ['cat-file', '--batch-check'], input.join(''))).split('\n')
  let at = 0
  return candidates.map(those => {
    const found = answers.slice(at, at + those.length).find(line => / commit \d+$/.test(line))
    at += those.length
    return found?.slice(0, 40)
  })
}

/** Every commit that there is, also those that no ref leads to. */
export async function listCommits(gitDir: string): Promise<string[]> {
  const format = '--batch-check=%(objectname) %(objecttype)'
  const lines = await git(gitDir, ['cat-file', '--batch-all-objects', '--unordered', format])
  return lines
    .split('\n')
    .filter(line => line.endsWith(' commit'))
    .map(line => line.slice(0, 40))
}

/** The newest commits of a history, in the order of `git log`. */
export async function listHistory(gitDir: string, sha: string, count: number): Promise<string[]> {
  const lines = await git(gitDir, ['rev-list', `--max-count=${count}`, sha])
  return lines.trimEnd().split('\n')
}

export async function isAncestor(gitDir: string, ancestor: string, sha: string): Promise<boolean> {
  return gitTest(gitDir, ['merge-base', '--is-ancestor', ancestor, sha])
}

export async function findMergeBase(gitDir: string, a: string, b: string): Promise<string | undefined> {
  try {
    return (await git(gitDir, ['merge-base', a, b])).trim()
  } catch (error) {
    if (error instanceof GitError && error.exitCode === 1) return undefined
    throw error
  }
}

/** What head has and base has not, oldest first, and how many it is the other way round. */
export async function readSides(gitDir: string, base: string, head: string) {
  const args = ['rev-list', '--topo-order', '--reverse', '--left-right', `${base}...${head}`]
  const lines = (await git(gitDir, args)).split('\n')
  const ahead = lines.filter(line => line.startsWith('>')).map(line => line.slice(1))
  return { ahead, behindBy: lines.filter(line => line.startsWith('<')).length }
}

export interface CommitFacts {
  sha: string
  tree: string
  parents: string[]
  author: { name: string; email: string; date: string }
  committer: { name: string; email: string; date: string }
  message: string
}

const COMMIT_FIELDS = ['%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B']

/** The facts of each sha, in the order asked for. */
export async function readCommits(gitDir: string, shas: string[]): Promise<CommitFacts[]> {
  const unique = [...new Set(shas)]
  if (unique.length === 0) return []
  const format = `--format=tformat:${COMMIT_FIELDS.map(field => `${field}%x00`).join('')}`
  const text = await git(gitDir, ['log', '--no-walk=unsorted', '--stdin', format], `${unique.join('\n')}\n`)
  const fields = text.split('\0')
  const facts = new Map<string, CommitFacts>()
  for (let at = 0; at + COMMIT_FIELDS.length <= fields.length; at += COMMIT_FIELDS.length) {
    const field = (n: number) => fields[at + n] ?? ''
    const sha = field(0).trim()
    facts.set(sha, {
      sha,
      tree: field(1),
      parents: field(2).split(' ').filter(Boolean),
      author: { name: field(3), email: field(4), date: toZulu(field(5)) },
      committer: { name: field(6), email: field(7), date: toZulu(field(8)) },
      message: field(9).trimEnd(),
    })
  }
  return shas.map(sha => {
    const found = facts.get(sha)
    if (!found) throw new Error(`git did not tell about ${sha}`)
    return found
  })
}

export const toZulu = (date: string | number) => new Date(date).toISOString().replace('.000Z', 'Z')

export interface FileChange {
  filename: string
  status: 'added' | 'removed' | 'modified'
  blob: string
  additions: number
  deletions: number
}

/** How `to` differs from `from`; `undefined` stands for nothing at all, before a root commit. */
export async function listChanges(
  gitDir: string,
  from: string | undefined,
  to: string,
): Promise<FileChange[]> {
  const flags = ['-r', '-z', '--no-renames', '--no-abbrev', '--raw', '--numstat']
  const text = await git(gitDir, ['diff-tree', ...flags, from ?? EMPTY_TREE, to])
  const parts = text.split('\0').filter(part => part !== '')
  const changes = new Map<string, FileChange>()
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at] ?? ''
    if (part.startsWith(':')) {
      const [, , before = '', after = '', letter] = part.split(' ')
      const filename = parts[++at] ?? ''
      const status = letter === 'A' ? 'added' : letter === 'D' ? 'removed' : 'modified'
      const blob = status === 'removed' ? before : after
      changes.set(filename, { filename, status, blob, additions: 0, deletions: 0 })
    } else {
      const [additions, deletions, filename = ''] = part.split('\t')
      const change = changes.get(filename)
      // Binary files count `-`.
      if (change)
        Object.assign(change, { additions: Number(additions) || 0, deletions: Number(deletions) || 0 })
    }
  }
  return [...changes.values()]
}

/** Each file under .github/workflows of any of the commits, as `blob path`. */
export async function listWorkflows(gitDir: string, shas: string[]): Promise<string[]> {
  const input = shas.map(sha => `${sha}:.github/workflows\n`).join('')
  const answers = (await git(gitDir, ['cat-file', '--batch-check'], input)).split('\n')
  const trees = answers.filter(line => / tree \d+$/.test(line)).map(line => line.slice(0, 40))
  // Many commits have few such trees between them.
  const lists = await Promise.all([...new Set(trees)].map(tree => git(gitDir, ['ls-tree', '-r', '-z', tree])))
  return lists
    .flatMap(lines => lines.split('\0'))
    .filter(line => line !== '')
    .map(line => line.split(' ').slice(2).join(' '))
}

/** All or none, as git's own transaction; `from: undefined` must not exist. */
export async function updateRefs(
  gitDir: string,
  updates: { ref: string; from: string | undefined; to: string }[],
): Promise<void> {
  const lines = updates.map(({ ref, from, to }) => `update ${ref}\0${to}\0${from ?? ZERO_SHA}\0`)
  const input = ['start\0', ...lines, 'prepare\0', 'commit\0']
  await git(gitDir, ['update-ref', '--stdin', '-z'], input.join(''))
}
