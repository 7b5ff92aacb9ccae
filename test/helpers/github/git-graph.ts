// The graph of a bare git repository: what is an ancestor is git's to say, never ours.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Commits } from './commits.ts'
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
  ZERO_SHA,
} from './graph.ts'

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

class GitError extends Error {
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

export class GitGraph implements Graph {
  readonly gitDir: string
  #head = ''

  private constructor(gitDir: string) {
    this.gitDir = gitDir
  }

  /** A new bare repository, or the one that is there. */
  static async open(gitDir: string): Promise<GitGraph> {
    await git(gitDir, ['init', '--quiet', '--bare', '--template=', gitDir])
    return new GitGraph(gitDir)
  }

  get head(): string {
    return this.#head
  }

  /** Git itself answers what `HEAD` is. */
  set head(branch: string) {
    writeFileSync(join(this.gitDir, 'HEAD'), `ref: refs/heads/${branch}\n`)
    this.#head = branch
  }

  async listRefs(): Promise<Ref[]> {
    const format = '--format=%(objectname) %(objecttype) %(refname)'
    return linesOf(await this.#git(['for-each-ref', format, 'refs/heads/', 'refs/tags/'])).map(line => {
      const [sha = '', type = '', ref = ''] = line.split(' ')
      return { ref, sha, type }
    })
  }

  async findCommits(names: readonly string[]): Promise<(string | undefined)[]> {
    const candidates = names.map(name => (isSha(name) ? [name] : refsNamed(name)))
    const input = candidates.flat().map(candidate => `${candidate}^{commit}\n`)
    const answers = (await this.#git(['cat-file', '--batch-check'], input.join(''))).split('\n')
    let at = 0
    return candidates.map(those => {
      const found = answers.slice(at, at + those.length).find(line => / commit \d+$/.test(line))
      at += those.length
      return found?.slice(0, 40)
    })
  }

  // asked one time for all parents: a process for each of a hundred refs takes longer than all the rest of a request
  async readCommits(of: readonly string[] | 'all'): Promise<Commits> {
    const commits = new Commits()
    const shas = of === 'all' ? await this.#listCommits() : of
    if (shas.length === 0) return commits
    const args = ['rev-list', '--topo-order', '--reverse', '--parents', '--timestamp', '--stdin']
    for (const line of linesOf(await this.#git(args, `${shas.join('\n')}\n`))) {
      const [date, sha = '', ...parents] = line.split(' ')
      commits.add({ sha, parents, date: Number(date) })
    }
    return commits
  }

  /** Also those that no ref leads to. */
  async #listCommits(): Promise<string[]> {
    const format = '--batch-check=%(objectname) %(objecttype)'
    const lines = linesOf(await this.#git(['cat-file', '--batch-all-objects', '--unordered', format]))
    return lines.filter(line => line.endsWith(' commit')).map(line => line.slice(0, 40))
  }

  async listHistory(sha: string, count: number): Promise<string[]> {
    return linesOf(await this.#git(['rev-list', `--max-count=${count}`, sha]))
  }

  async compare(base: string, head: string): Promise<GraphComparison> {
    const args = ['rev-list', '--topo-order', '--reverse', '--left-right', `${base}...${head}`]
    const lines = linesOf(await this.#git(args))
    const ahead = lines.filter(line => line.startsWith('>')).map(line => line.slice(1))
    const behindBy = lines.length - ahead.length
    // only commits that went apart need git once more
    if (behindBy === 0) return { ahead, behindBy, mergeBase: base }
    if (ahead.length === 0) return { ahead, behindBy, mergeBase: head }
    return { ahead, behindBy, mergeBase: await this.#findMergeBase(base, head) }
  }

  async #findMergeBase(a: string, b: string): Promise<string | undefined> {
    try {
      return (await this.#git(['merge-base', a, b])).trim()
    } catch (error) {
      if (error instanceof GitError && error.exitCode === 1) return undefined
      throw error
    }
  }

  async readFacts(shas: readonly string[]): Promise<CommitFacts[]> {
    const unique = [...new Set(shas)]
    if (unique.length === 0) return []
    const format = `--format=tformat:${COMMIT_FIELDS.map(field => `${field}%x00`).join('')}`
    const text = await this.#git(['log', '--no-walk=unsorted', '--stdin', format], `${unique.join('\n')}\n`)
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

  async listChanges(from: string | undefined, to: string): Promise<FileChange[]> {
    const flags = ['-r', '-z', '--no-renames', '--no-abbrev', '--raw', '--numstat']
    const text = await this.#git(['diff-tree', ...flags, from ?? EMPTY_TREE, to])
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

  async listWorkflows(shas: readonly string[]): Promise<string[]> {
    const input = shas.map(sha => `${sha}:.github/workflows\n`).join('')
    const answers = linesOf(await this.#git(['cat-file', '--batch-check'], input))
    const trees = answers.filter(line => / tree \d+$/.test(line)).map(line => line.slice(0, 40))
    // Many commits have few such trees between them.
    const lists = await Promise.all([...new Set(trees)].map(tree => this.#git(['ls-tree', '-r', '-z', tree])))
    return lists
      .flatMap(lines => lines.split('\0'))
      .filter(line => line !== '')
      .map(line => line.split(' ').slice(2).join(' '))
  }

  /** git's "no" is its exit status 1; any other failure is an error. */
  async isRefName(ref: string): Promise<boolean> {
    try {
      await this.#git(['check-ref-format', ref])
      return true
    } catch (error) {
      if (error instanceof GitError && error.exitCode === 1) return false
      throw error
    }
  }

  async updateRefs(updates: readonly RefUpdate[]): Promise<void> {
    const lines = updates.map(({ ref, from, to }) => `update ${ref}\0${to}\0${from ?? ZERO_SHA}\0`)
    const input = ['start\0', ...lines, 'prepare\0', 'commit\0']
    try {
      await this.#git(['update-ref', '--stdin', '-z'], input.join(''))
    } catch (error) {
      if (error instanceof GitError) throw new RefConflict(error.message, { cause: error })
      throw error
    }
  }

  // fast-import writes any number of commits with one process, and without a ref that someone could see:
  // its branch is reset to nothing before it ends.
  async write(commits: readonly NewCommit[]): Promise<string[]> {
    if (commits.length === 0) return []
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
    return linesOf(await this.#git(['fast-import', '--quiet', '--force'], out.join('\n')))
  }

  async setRefs(refs: Readonly<Record<string, string | undefined>>): Promise<void> {
    const lines = Object.entries(refs).map(([ref, sha]) =>
      sha === undefined ? `delete ${ref}\n` : `update ${ref} ${sha}\n`,
    )
    await this.#git(['update-ref', '--stdin'], lines.join(''))
  }

  async annotate(tag: string, sha: string): Promise<void> {
    await this.#git(['tag', '--force', '--annotate', `--message=${tag}`, tag, sha])
  }

  #git(args: string[], input?: string): Promise<string> {
    return git(this.gitDir, args, input)
  }
}

const COMMIT_FIELDS = ['%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B']

const linesOf = (text: string) => text.split('\n').filter(line => line !== '')
const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}`
