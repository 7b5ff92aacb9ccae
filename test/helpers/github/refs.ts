// Refs: https://docs.github.com/rest/git/refs. The order of the checks decides which refusal is seen.

import { Refusal, requireWorkflows } from './auth.ts'
import {
  findCommits,
  GitError,
  gitTest,
  isAncestor,
  isSha,
  listRefs,
  listWorkflows,
  type Ref,
} from './git.ts'
import type { RepositoryRoute } from './routes.ts'
import { refShape } from './shapes.ts'
import type { RefMove, Repository, Token } from './state.ts'

const getRef: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/git/ref/{ref}',
  scope: 'repository',
  auth: 'token',
  contents: 'read',
  path: /^\/git\/ref\/(.+)$/,
  async run({ state, params: [name], found: { repository } }) {
    const ref = (await listNonEmpty(repository)).find(({ ref }) => ref === `refs/${name}`)
    if (!ref) throw new Refusal(404, 'Not Found')
    return { status: 200, body: refShape(state, repository, ref) }
  },
}

const matchingRefs: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/git/matching-refs/{ref}',
  scope: 'repository',
  auth: 'token',
  contents: 'read',
  path: /^\/git\/matching-refs\/(.*)$/,
  async run({ state, params: [prefix], found: { repository } }) {
    const refs = (await listNonEmpty(repository)).filter(({ ref }) => ref.startsWith(`refs/${prefix}`))
    return { status: 200, body: refs.map(ref => refShape(state, repository, ref)) }
  },
}

const createRef: RepositoryRoute = {
  operation: 'POST /repos/{owner}/{repo}/git/refs',
  scope: 'repository',
  auth: 'token',
  contents: 'write',
  path: /^\/git\/refs$/,
  async run({ state, body, found: { repository, token } }) {
    const refs = await listNonEmpty(repository)
    const ref = String(body.ref ?? '')
    const sha = requireSha(body.sha)
    const valid = /^refs\/[^/]+\/./.test(ref) && (await gitTest(repository.gitDir, ['check-ref-format', ref]))
    if (!valid) throw new Refusal(422, `${ref} is not a valid ref name.`)
    await requireObject(repository, sha)
    if (refs.some(existing => existing.ref === ref)) throw new Refusal(422, 'Reference already exists')
    await write(repository, token, refs, { ref, from: undefined, to: sha })
    return { status: 201, body: refShape(state, repository, { ref, sha, type: 'commit' }) }
  },
}

const updateRef: RepositoryRoute = {
  operation: 'PATCH /repos/{owner}/{repo}/git/refs/{ref}',
  scope: 'repository',
  auth: 'token',
  contents: 'write',
  path: /^\/git\/refs\/(.+)$/,
  async run({ state, params: [name], body, found: { repository, token } }) {
    const refs = await listNonEmpty(repository)
    const sha = requireSha(body.sha)
    const current = refs.find(({ ref }) => ref === `refs/${name}`)
    if (!current) throw new Refusal(422, 'Reference does not exist')
    await requireObject(repository, sha)
    if (current.sha !== sha) {
      const forced = body.force === true || (await isAncestor(repository.gitDir, current.sha, sha))
      if (!forced) throw new Refusal(422, 'Update is not a fast forward')
      await write(repository, token, refs, { ref: current.ref, from: current.sha, to: sha })
    }
    return { status: 200, body: refShape(state, repository, { ref: current.ref, sha, type: 'commit' }) }
  },
}

async function listNonEmpty(repository: Repository): Promise<Ref[]> {
  const refs = await listRefs(repository.gitDir)
  if (refs.length === 0) throw new Refusal(409, 'Git Repository is empty.')
  return refs
}

function requireSha(sha: unknown): string {
  if (sha === undefined) throw new Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
  if (typeof sha === 'string' && isSha(sha)) return sha
  throw new Refusal(422, 'The sha parameter must be exactly 40 characters and contain only [0-9a-f].')
}

async function requireObject(repository: Repository, sha: string): Promise<void> {
  const [found] = await findCommits(repository.gitDir, [sha])
  if (!found) throw new Refusal(422, 'Object does not exist')
}

async function write(repository: Repository, token: Token, refs: Ref[], move: Move): Promise<void> {
  if (await bringsWorkflows(repository, refs, [move.to])) requireWorkflows(token)
  await tryMoves(repository, [move])
}

type Move = Omit<RefMove, 'at'>

/** Throws GitHub's 422, and then none has moved. */
export async function tryMoves(repository: Repository, moves: Move[]): Promise<void> {
  for (const { ref, from, to } of moves) {
    const refusal = repository.protectionOf(ref.replace(/^refs\/heads\//, ''))
    if (refusal !== undefined && from !== to) throw new Refusal(422, refusal)
  }
  try {
    await repository.moveRefs(moves)
  } catch (error) {
    // A directory/file conflict, or somebody was faster.
    if (error instanceof GitError) throw new Refusal(422, 'Reference update failed')
    throw error
  }
}

/** Whether a commit has a workflow file, path and content, that is on no branch tip. */
export async function bringsWorkflows(repository: Repository, refs: Ref[], shas: string[]): Promise<boolean> {
  const wanted = await listWorkflows(repository.gitDir, shas)
  if (wanted.length === 0) return false
  const tips = refs.filter(({ ref }) => ref.startsWith('refs/heads/')).map(ref => ref.sha)
  const held = new Set(await listWorkflows(repository.gitDir, tips))
  return wanted.some(file => !held.has(file))
}

export const refRoutes: RepositoryRoute[] = [getRef, matchingRefs, createRef, updateRef]
