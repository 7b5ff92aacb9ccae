// What the test GitHub knows: accounts, installations, repositories and the tokens it handed out.

import { type KeyObject, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { GitGraph } from './git-graph.ts'
import type { Graph, NewCommit, RefUpdate } from './graph.ts'
import type { Creation } from './manifest.ts'

export type Permissions = Record<string, string>

/** One per account, as on GitHub: repositories of one owner share its permissions and its suspension. */
export interface Installation {
  id: number
  owner: string
  suspended: boolean
  permissions: Permissions
}

export interface Token {
  value: string
  /** `undefined` for a personal token, which sees all repositories. */
  installation: Installation | undefined
  /** `undefined`: every repository of the installation. */
  repositoryIds: Set<number> | undefined
  permissions: Permissions
  /** Milliseconds, by the server's clock. */
  expiresAt: number
}

export interface App {
  id: number
  clientId: string
  slug: string
  publicKey: KeyObject
  privateKeyPem: string
}

export interface RefMove extends RefUpdate {
  /** Milliseconds, by the server's clock. */
  at: number
  /** the token that it was moved with */
  by: string
}

/** A change of a branch. */
export interface Activity {
  id: number
  ref: string
  /** `undefined`: it was created */
  from: string | undefined
  /** `undefined`: it was deleted */
  to: string | undefined
  /** Milliseconds, by the server's clock; a test may put it back. */
  at: number
  /** a login; `undefined`: GitHub does not name it */
  actor: string | undefined
}

export interface CommitOptions {
  parents?: string[]
  message?: string
  /** Added to the first parent's tree. */
  files?: Record<string, string>
  /** Unix seconds. */
  date?: number
}

export interface TestRepository {
  readonly fullName: string
  readonly id: number
  readonly graph: Graph
  /** The folder of git's graph. */
  readonly gitDir: string
  /** Writes a commit that no branch holds yet, and returns its sha. */
  commit(options?: CommitOptions): Promise<string>
  /** A line of commits, oldest first; the first is a child of `from`, or a root. */
  history(count: number, from?: string): Promise<string[]>
  setBranch(branch: string, sha: string): Promise<void>
  /** As `setBranch` of each, in the time of one. */
  setBranches(branches: Record<string, string>): Promise<void>
  deleteBranch(branch: string): Promise<void>
  branch(name: string): Promise<string | undefined>
  branches(): Promise<Record<string, string>>
  setTag(name: string, sha: string, how?: 'light' | 'annotated'): Promise<void>
  /** `refs/pull/7/head`, which is no branch. */
  setPullRequest(number: number, sha: string): Promise<void>
  /** The branch goes on under another name, and stays the default branch. */
  renameDefaultBranch(name: string): Promise<void>
  installed: boolean
  /** Of the owner's installation, which all its repositories share. */
  suspended: boolean
  /** Of the owner's installation, which all its repositories share. */
  permissions: Permissions
  archived: boolean
  defaultBranch: string
  private: boolean
  /** Refuses writes to a branch; the pattern is exact, or a prefix that ends in `*`. */
  protect(branchPattern: string, message: string): void
  rename(newFullName: string): void
  readonly moves: readonly RefMove[]
  /** What GitHub tells of its branches, oldest first. */
  readonly activities: Activity[]
  /** Who makes the changes that a test makes (default: the owner). */
  person: string
}

export interface RepositoryOptions {
  /** default: `main` */
  defaultBranch?: string
  /** default: git's, in a folder of the test GitHub */
  graph?: Graph
}

export class State {
  readonly app: App
  /** Without a slash at the end. */
  readonly apiUrl: string
  readonly secrets: string[] = []
  readonly tokens = new Map<string, Token>()
  /** By the code that the browser takes back. */
  readonly creations = new Map<string, Creation>()
  comparePageTwoWithoutStatus = false
  readonly #directory: string
  readonly #clockSkewSeconds: number
  readonly #repositories = new Map<number, Repository>()
  readonly #idByName = new Map<string, number>()
  readonly #installations = new Map<string, Installation>()
  readonly #accounts = new Map<string, number>()

  constructor(options: { app: App; apiUrl: string; directory: string; clockSkewSeconds: number }) {
    this.app = options.app
    this.apiUrl = options.apiUrl
    this.#directory = options.directory
    this.#clockSkewSeconds = options.clockSkewSeconds
  }

  /** Milliseconds. */
  now(): number {
    return Date.now() + this.#clockSkewSeconds * 1000
  }

  async createRepository(
    fullName: string,
    { defaultBranch = 'main', graph }: RepositoryOptions = {},
  ): Promise<Repository> {
    const id = 501_000 + this.#repositories.size + 1
    const repository = new Repository(this, {
      ...{ id, fullName },
      graph: graph ?? (await GitGraph.open(join(this.#directory, `${id}.git`))),
    })
    repository.defaultBranch = defaultBranch
    this.#repositories.set(id, repository)
    this.nameRepository(fullName, id)
    return repository
  }

  /** A name goes on meaning its repository after a rename, until another repository takes it. */
  nameRepository(fullName: string, id: number): void {
    this.#idByName.set(fullName.toLowerCase(), id)
  }

  findRepository(nameOrId: string | number): Repository | undefined {
    const id = typeof nameOrId === 'number' ? nameOrId : this.#idByName.get(nameOrId.toLowerCase())
    return id === undefined ? undefined : this.#repositories.get(id)
  }

  installationOf(owner: string): Installation {
    const key = owner.toLowerCase()
    let installation = this.#installations.get(key)
    if (!installation) {
      const permissions = { contents: 'write', workflows: 'write', metadata: 'read' }
      installation = { id: 61_000 + this.#installations.size + 1, owner, suspended: false, permissions }
      this.#installations.set(key, installation)
    }
    return installation
  }

  repositories(): Repository[] {
    return [...this.#repositories.values()]
  }

  /** `undefined` if the App is installed on none of the owner's repositories. */
  findInstallation(id: number): Installation | undefined {
    const found = [...this.#installations.values()].find(installation => installation.id === id)
    return found && this.repositoriesOf(found).length > 0 ? found : undefined
  }

  /** Of the App, on every account with a repository that it may see. */
  installations(): Installation[] {
    return [...new Set(this.repositories().flatMap(its => (its.installed ? [its.installation] : [])))]
  }

  repositoriesOf(installation: Installation): Repository[] {
    const all = this.repositories()
    return all.filter(repository => repository.installed && repository.installation === installation)
  }

  /** `all` when no repository of the owner is left out. */
  selectionOf(installation: Installation): 'all' | 'selected' {
    const all = this.repositories().filter(({ installation: its }) => its === installation)
    return all.every(({ installed }) => installed) ? 'all' : 'selected'
  }

  accountId(login: string): number {
    const key = login.toLowerCase()
    const id = this.#accounts.get(key) ?? 9_000 + this.#accounts.size + 1
    this.#accounts.set(key, id)
    return id
  }

  /** About 520 characters and two dots, as GitHub's are since they are JWTs inside. */
  newInstallationToken(token: Omit<Token, 'value' | 'expiresAt'>): Token {
    const part = (bytes: number) => randomBytes(bytes).toString('base64url')
    const value = `ghs_${this.app.id}_eyJ${part(24)}.eyJ${part(96)}.${part(256)}`
    return this.addToken({ ...token, value, expiresAt: this.now() + 3_600_000 })
  }

  /** Of an installation's token the App's; a person's token does not say whose it is. */
  loginOf(token: string): string | undefined {
    return this.tokens.get(token)?.installation && `${this.app.slug}[bot]`
  }

  addToken(token: Token): Token {
    this.tokens.set(token.value, token)
    this.secrets.push(token.value)
    return token
  }
}

export class Repository implements TestRepository {
  readonly id: number
  readonly graph: Graph
  readonly moves: RefMove[] = []
  readonly activities: Activity[] = []
  person: string
  readonly protections: { pattern: string; message: string }[] = []
  installed = true
  archived = false
  private = false
  readonly #state: State
  #fullName: string
  #commits = 0
  /** as far as this has moved them */
  readonly #tips = new Map<string, string>()

  constructor(state: State, options: { id: number; fullName: string; graph: Graph }) {
    this.#state = state
    this.id = options.id
    this.#fullName = options.fullName
    this.person = this.owner
    this.graph = options.graph
  }

  get fullName(): string {
    return this.#fullName
  }

  get gitDir(): string {
    if (this.graph instanceof GitGraph) return this.graph.gitDir
    throw new Error(`${this.#fullName} is in memory`)
  }

  get owner(): string {
    return this.#fullName.split('/')[0] ?? ''
  }

  get name(): string {
    return this.#fullName.split('/')[1] ?? ''
  }

  get defaultBranch(): string {
    return this.graph.head
  }

  set defaultBranch(branch: string) {
    this.graph.head = branch
  }

  get installation(): Installation {
    return this.#state.installationOf(this.owner)
  }

  get suspended(): boolean {
    return this.installation.suspended
  }

  set suspended(suspended: boolean) {
    this.installation.suspended = suspended
  }

  get permissions(): Permissions {
    return this.installation.permissions
  }

  set permissions(permissions: Permissions) {
    this.installation.permissions = permissions
  }

  async commit(options: CommitOptions = {}): Promise<string> {
    const [sha = ''] = await this.graph.write([this.#next(options)])
    return sha
  }

  async history(count: number, from?: string): Promise<string[]> {
    const commits = Array.from({ length: count }, (_, index) => {
      const parent = index === 0 ? from : `:${index}`
      return this.#next(parent === undefined ? {} : { parents: [parent] })
    })
    return this.graph.write(commits)
  }

  // The number makes commits distinct, and the same from run to run.
  #next(options: CommitOptions): NewCommit {
    const number = ++this.#commits
    return {
      parents: options.parents ?? [],
      message: options.message ?? `commit ${number}`,
      files: options.files ?? { 'counter.txt': `${number}\n` },
      date: options.date ?? 1_700_000_000 + number * 60,
    }
  }

  async setBranch(branch: string, sha: string): Promise<void> {
    await this.setBranches({ [branch]: sha })
  }

  async setBranches(branches: Record<string, string>): Promise<void> {
    const refs = Object.entries(branches).map(([branch, sha]) => [`refs/heads/${branch}`, sha])
    await this.graph.setRefs(Object.fromEntries(refs))
    for (const [ref = '', sha] of refs) this.#record(ref, sha, this.person)
  }

  async deleteBranch(branch: string): Promise<void> {
    const ref = `refs/heads/${branch}`
    await this.graph.setRefs({ [ref]: undefined })
    this.#record(ref, undefined, this.person)
  }

  async branch(name: string): Promise<string | undefined> {
    return (await this.branches())[name]
  }

  async branches(): Promise<Record<string, string>> {
    const refs = await this.graph.listRefs('for a write')
    const branches = refs.filter(({ ref }) => ref.startsWith('refs/heads/'))
    return Object.fromEntries(branches.map(({ ref, sha }) => [ref.slice('refs/heads/'.length), sha]))
  }

  async setTag(name: string, sha: string, how: 'light' | 'annotated' = 'light'): Promise<void> {
    if (how === 'annotated') await this.graph.annotate(name, sha)
    else await this.graph.setRefs({ [`refs/tags/${name}`]: sha })
  }

  async setPullRequest(number: number, sha: string): Promise<void> {
    await this.graph.setRefs({ [`refs/pull/${number}/head`]: sha })
  }

  async renameDefaultBranch(name: string): Promise<void> {
    const { defaultBranch } = this
    const sha = await this.branch(defaultBranch)
    if (sha === undefined) throw new Error(`there is no branch ${defaultBranch}`)
    await this.setBranch(name, sha)
    this.defaultBranch = name
    await this.deleteBranch(defaultBranch)
  }

  protect(pattern: string, message: string): void {
    this.protections.push({ pattern, message })
  }

  protectionOf(branch: string): string | undefined {
    return this.protections.find(({ pattern }) =>
      pattern.endsWith('*') ? branch.startsWith(pattern.slice(0, -1)) : branch === pattern,
    )?.message
  }

  rename(newFullName: string): void {
    this.#fullName = newFullName
    this.#state.nameRepository(newFullName, this.id)
  }

  /** All or none. @throws RefConflict */
  async moveRefs(moves: readonly RefUpdate[], by: string): Promise<void> {
    await this.graph.updateRefs(moves)
    const at = this.#state.now()
    for (const { ref, from, to } of moves) {
      if (from === to) continue
      this.moves.push({ ref, from, to, at, by })
      this.#record(ref, to, this.#state.loginOf(by) ?? this.person, from)
    }
  }

  #record(ref: string, to: string | undefined, actor: string, from = this.#tips.get(ref)): void {
    if (from === to) return
    if (to === undefined) this.#tips.delete(ref)
    else this.#tips.set(ref, to)
    const id = this.activities.length + 1
    this.activities.push({ id, ref, from, to, at: this.#state.now(), actor })
  }
}
