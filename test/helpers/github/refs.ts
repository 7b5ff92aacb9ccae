// Refs: https://docs.github.com/rest/git/refs. The order of the checks decides which refusal is seen.

import { Refusal, requireWorkflows } from './auth.ts'
import { isSha, type Ref, RefConflict, type RefUpdate } from './graph.ts'
import type { RepositoryRoute } from './routes.ts'
import { refShape } from './shapes.ts'
import type { Repository, Token } from './state.ts'

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
    const refs = await listNonEmpty(repository, 'for a write')
    const ref = String(body.ref ?? '')
    const sha = requireSha(body.sha)
    const valid = /^refs\/[^/]+\/./.test(ref) && (await repository.graph.isRefName(ref))
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
    const refs = await listNonEmpty(repository, 'for a write')
    const sha = requireSha(body.sha)
    const current = refs.find(({ ref }) => ref === `refs/${name}`)
    if (!current) throw new Refusal(422, 'Reference does not exist')
    await requireObject(repository, sha)
    if (current.sha !== sha) {
      const forced = body.force === true || (await isForward(repository, current.sha, sha))
      if (!forced) throw new Refusal(422, 'Update is not a fast forward')
      await write(repository, token, refs, { ref: current.ref, from: current.sha, to: sha })
    }
    return { status: 200, body: refShape(state, repository, { ref: current.ref, sha, type: 'commit' }) }
  },
}

async function listNonEmpty({ graph }: Repository, why?: 'for a write'): Promise<Ref[]> {
  const refs = await graph.listRefs(why)
  if (refs.length === 0) throw new Refusal(409, 'Git Repository is empty.')
  return refs
}

function requireSha(sha: unknown): string {
  if (sha === undefined) throw new Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
  if (typeof sha === 'string' && isSha(sha)) return sha
  throw new Refusal(422, 'The sha parameter must be exactly 40 characters and contain only [0-9a-f].')
}

async function isForward({ graph }: Repository, from: string, to: string): Promise<boolean> {
  return (await graph.compare(from, to)).behindBy === 0
}

async function requireObject(repository: Repository, sha: string): Promise<void> {
  const [found] = await repository.graph.findCommits([sha])
  if (!found) throw new Refusal(422, 'Object does not exist')
}

async function write(repository: Repository, token: Token, refs: Ref[], move: RefUpdate): Promise<void> {
  if (await bringsWorkflows(repository, refs, [move.to])) requireWorkflows(token)
  await tryMoves(repository, token, [move])
}

/** Throws GitHub's 422, and then none has moved. */
export async function tryMoves(repository: Repository, token: Token, moves: RefUpdate[]): Promise<void> {
  for (const { ref, from, to } of moves) {
    const refusal = repository.protectionOf(ref.replace(/^refs\/heads\//, ''))
    if (refusal !== undefined && from !== to) throw new Refusal(422, refusal)
  }
  try {
    await repository.moveRefs(moves, token.value)
  } catch (error) {
    if (error instanceof RefConflict) throw new Refusal(422, 'Reference update failed')
    throw error
  }
}

/** Whether a commit has a workflow file, path and content, that is on no branch tip. */
export async function bringsWorkflows(repository: Repository, refs: Ref[], shas: string[]): Promise<boolean> {
  const wanted = await repository.graph.listWorkflows(shas)
  if (wanted.length === 0) return false
  const tips = refs.filter(({ ref }) => ref.startsWith('refs/heads/')).map(ref => ref.sha)
  const held = new Set(await repository.graph.listWorkflows(tips))
  return wanted.some(file => !held.has(file))
}

export const refRoutes: RepositoryRoute[] = [getRef, matchingRefs, createRef, updateRef]
