// A GitHub for the bench, over TLS: the shapes, rights and headers are the test GitHub's, but what it knows of commits is
// in its memory and branches are files, so that no started git process is measured. Knows only what the bench leads to.
import { createPublicKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  chooseToken,
  credentialsOf,
  Refusal,
  requireApp,
  requireContents,
  requireToken,
  requireVisible,
  type TokenRequest,
} from '../test/helpers/github/auth.ts'
import { type CommitFacts, isSha, readCommits } from '../test/helpers/github/git.ts'
import { packAnswer, readBody, send } from '../test/helpers/github/send.ts'
import {
  commitShape,
  comparisonUrls,
  errorShape,
  installationShape,
  nodeId,
  refShape,
  repositoryShape,
} from '../test/helpers/github/shapes.ts'
import { type Repository, State } from '../test/helpers/github/state.ts'
import { listBranches, readBranch, writeBranch } from './refs.ts'
import { serve } from './server-process.ts'

export interface GitHubOptions {
  fullName: string
  gitDir: string
  /** a line of commits, oldest first */
  shas: string[]
  app: { id: number; clientId: string; slug: string; privateKeyPem: string }
  cert: string
  key: string
}

/** The port. */
export type GitHubReady = number

/** The requests: `GET /repos/alice/dotfiles/compare/… 200`. */
export type GitHubTaken = string[]

/** What GitHub sends beside the headers of the test GitHub: 1.3 kB in all. */
const MORE_HEADERS = {
  etag: 'W/"3d5c8a1f6b7e4e0f9c2d1a7b8e6f5d4c3b2a19087f6e5d4c3b2a190817263544"',
  'x-accepted-github-permissions': 'contents=read',
  'access-control-expose-headers':
    'ETag, Link, Location, Retry-After, X-GitHub-OTP, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Used, X-RateLimit-Resource, X-RateLimit-Reset, X-OAuth-Scopes, X-Accepted-OAuth-Scopes, X-Poll-Interval, X-GitHub-Media-Type, X-GitHub-SSO, X-GitHub-Request-Id, Deprecation, Sunset',
  'access-control-allow-origin': '*',
  'strict-transport-security': 'max-age=31536000; includeSubdomains; preload',
  'x-frame-options': 'deny',
  'x-content-type-options': 'nosniff',
  'x-xss-protection': '0',
  'referrer-policy': 'origin-when-cross-origin, strict-origin-when-cross-origin',
  'content-security-policy': "default-src 'none'",
  server: 'github.com',
}

interface Asked {
  state: State
  repository: Repository
  gitDir: string
  commits: Commits
  params: string[]
  body: Record<string, unknown>
  credentials: string | undefined
}

interface Answer {
  status: number
  body: unknown
}

const ok = (body: unknown): Answer => ({ status: 200, body })

/** By method and path; in the path, `REPO` is the repository's. */
const ROUTES: [pattern: RegExp, answer: (asked: Asked) => Answer][] = [
  [/^GET REPO\/installation$/, findInstallation],
  [/^POST \/app\/installations\/(\d+)\/access_tokens$/, createToken],
  [/^GET REPO\/compare\/(.+)\.\.\.(.+)$/, compare],
  [/^GET REPO\/git\/matching-refs\/heads\/(.*)$/, listMatchingRefs],
  [/^PATCH REPO\/git\/refs\/heads\/(.+)$/, fastForward],
  [/^POST \/graphql$/, updateRefs],
]

function findInstallation({ state, repository, credentials }: Asked): Answer {
  requireApp(state, credentials)
  return ok(installationShape(state, repository.installation))
}

function createToken({ state, credentials, params: [id], body }: Asked): Answer {
  requireApp(state, credentials)
  const {
    installation,
    repositories = [],
    permissions,
  } = chooseToken(state, Number(id), body as TokenRequest)
  const repositoryIds = new Set(repositories.map(repository => repository.id))
  const token = state.newInstallationToken({ installation, repositoryIds, permissions })
  return {
    status: 201,
    body: {
      token: token.value,
      expires_at: new Date(token.expiresAt).toISOString().replace(/\.\d+Z$/, 'Z'),
      permissions,
      repository_selection: 'selected',
      repositories: repositories.map(repository => repositoryShape(state, repository)),
    },
  }
}

function requireAccess({ state, repository, credentials }: Asked, level: 'read' | 'write'): void {
  const token = requireToken(state, credentials)
  requireVisible(token, repository)
  requireContents(token, repository, level)
}

/** The second page, which has no files: all that the program asks for. */
function compare(asked: Asked): Answer {
  requireAccess(asked, 'read')
  const { state, repository, gitDir, commits } = asked
  const [baseName = '', headName = ''] = asked.params
  const find = (name: string) => {
    if (isSha(name)) return commits.find(name)
    const branch = name === 'HEAD' ? repository.defaultBranch : name.replace('refs/heads/', '')
    return commits.find(readBranch(gitDir, branch) ?? '')
  }
  const [base, head] = [find(baseName), find(headName)]
  const aheadBy = Math.max(0, head.position - base.position)
  const behindBy = Math.max(0, base.position - head.position)
  const older = aheadBy > 0 ? base : head
  const shape = ({ facts }: typeof base) => commitShape(state, repository, facts)
  const permanent = `${base.facts.sha.slice(0, 7)}...${head.facts.sha.slice(0, 7)}`
  return ok({
    ...comparisonUrls(state, repository, `${baseName}...${headName}`, permanent),
    base_commit: shape(base),
    merge_base_commit: shape(older),
    status: aheadBy > 0 ? 'ahead' : behindBy > 0 ? 'behind' : 'identical',
    ahead_by: aheadBy,
    behind_by: behindBy,
    total_commits: aheadBy,
    commits: aheadBy > 1 ? [shape(commits.at(base.position + 2))] : [],
  })
}

function listMatchingRefs(asked: Asked): Answer {
  requireAccess(asked, 'read')
  const { state, repository, gitDir, params } = asked
  return ok(
    listBranches(gitDir, params[0] ?? '').map(([branch, sha]) =>
      refShape(state, repository, { ref: `refs/heads/${branch}`, sha, type: 'commit' }),
    ),
  )
}

function fastForward(asked: Asked): Answer {
  requireAccess(asked, 'write')
  const { state, repository, params, body } = asked
  const branch = params[0] ?? ''
  const sha = String(body.sha)
  move(asked, branch, sha)
  return ok(refShape(state, repository, { ref: `refs/heads/${branch}`, sha, type: 'commit' }))
}

function move({ gitDir, commits }: Asked, branch: string, sha: string): void {
  const before = readBranch(gitDir, branch)
  if (before === undefined) throw new Refusal(422, 'Reference does not exist')
  if (commits.find(sha).position < commits.find(before).position) {
    throw new Refusal(422, 'Update is not a fast forward')
  }
  writeBranch(gitDir, branch, sha)
}

interface UpdateRefs {
  input: { repositoryId: string; refUpdates: { name: string; beforeOid: string; afterOid: string }[] }
}

function updateRefs(asked: Asked): Answer {
  requireAccess(asked, 'write')
  const { repository, gitDir, body } = asked
  const { repositoryId, refUpdates } = (body.variables as UpdateRefs).input
  if (repositoryId !== nodeId('R', repository.id)) throw new Refusal(404, 'Not Found')
  for (const { name, beforeOid, afterOid } of refUpdates) {
    const branch = name.replace('refs/heads/', '')
    if (readBranch(gitDir, branch) !== beforeOid) throw new Refusal(409, `${name} has moved`)
    move(asked, branch, afterOid)
  }
  return ok({ data: { updateRefs: { clientMutationId: null } } })
}

/** A line of commits, in which a comparison is a subtraction. */
class Commits {
  readonly #facts: CommitFacts[]
  readonly #positions: Map<string, number>

  constructor(facts: CommitFacts[]) {
    this.#facts = facts
    this.#positions = new Map(facts.map(({ sha }, index) => [sha, index]))
  }

  at(position: number): { position: number; facts: CommitFacts } {
    const facts = this.#facts[position]
    if (!facts) throw new Refusal(404, 'Not Found')
    return { position, facts }
  }

  find(sha: string): { position: number; facts: CommitFacts } {
    return this.at(this.#positions.get(sha) ?? -1)
  }
}

await serve<GitHubOptions, GitHubReady, GitHubTaken>(async options => {
  const { fullName, gitDir, cert, key } = options
  const app = { ...options.app, publicKey: createPublicKey(options.app.privateKeyPem) }
  const directory = await mkdtemp(join(tmpdir(), 'hc-bench-github-'))
  const state = new State({ app, apiUrl: 'https://api.github.com', directory, clockSkewSeconds: 0 })
  // has the names and the rights; the repository that it makes in git stays empty
  const repository = await state.createRepository(fullName, 'main')
  await rm(directory, { recursive: true })
  const commits = new Commits(await readCommits(gitDir, options.shas))
  let requests: string[] = []
  let used = 0

  const server = createServer({ cert, key }, async (request, response) => {
    const body = await readBody(request)
    const path = decodeURIComponent((request.url ?? '').replace(/\?.*/s, ''))
    const asked = `${request.method} ${path}`
    const credentials = credentialsOf(request.headers.authorization)
    const pack = {
      acceptEncoding: request.headers['accept-encoding'] as string | undefined,
      nowMs: state.now(),
      used: used++,
    }
    const common = { state, repository, gitDir, commits, credentials, body: body ? JSON.parse(body) : {} }
    const answer = answerOf(asked.replace(`/repos/${fullName}`, 'REPO'), common)
    requests.push(`${asked} ${answer.status}`)
    send(response, packAnswer({ ...answer, headers: MORE_HEADERS }, pack))
  })
  // Node's own header about it is none of GitHub's
  server.keepAliveTimeout = 0
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  return {
    ready: (server.address() as AddressInfo).port,
    take() {
      const taken = requests
      requests = []
      return taken
    },
  }
})

function answerOf(asked: string, common: Omit<Asked, 'params'>): Answer {
  try {
    for (const [pattern, answer] of ROUTES) {
      const match = pattern.exec(asked)
      if (match) return answer({ ...common, params: match.slice(1) })
    }
    throw new Refusal(501, 'The bench has no such route')
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { status: error.status, body: errorShape(error.status, error.message) }
  }
}
