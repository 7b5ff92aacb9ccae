// GraphQL: the query of a repository's refs and the mutation that moves many of them or none,
// https://docs.github.com/graphql/reference/mutations#updaterefs. Its errors about refs are not documented:
// their messages here are those of REST, a stale `beforeOid` speaks as createCommitOnBranch does.

import { z } from 'zod'
import { Ancestry } from './github-ancestry.ts'
import { isVisible, Refusal, requireContents, requireWorkflows } from './github-auth.ts'
import { statusOf } from './github-compare.ts'
import { findCommits, isSha, listRefs, type Ref, ZERO_SHA } from './github-git.ts'
import { DocumentError, type GraphError, parseOperation, select } from './github-graphql-document.ts'
import { bringsWorkflows, tryMoves } from './github-refs.ts'
import type { TokenRoute } from './github-routes.ts'
import { nodeId } from './github-shapes.ts'
import type { Repository, State, Token } from './github-state.ts'

interface Caller {
  state: State
  token: Token
}

export const graphqlRoute: TokenRoute = {
  operation: 'POST /graphql',
  scope: 'global',
  auth: 'token',
  path: /^\/graphql$/,
  async run({ state, body, found: { token } }) {
    const { query, variables } = body
    if (typeof query !== 'string') {
      throw new Refusal(400, 'A query attribute must be specified and must be a string.')
    }
    const answer = { status: 200, checked: false, headers: { 'x-ratelimit-resource': 'graphql' } }
    try {
      const operation = parseOperation(query, (variables ?? {}) as Record<string, unknown>)
      const caller = { state, token }
      const root = operation.kind === 'query' ? queries(caller) : mutations(caller)
      const errors: GraphError[] = []
      const data = await select(root, operation.fields, errors)
      return { ...answer, body: { data, ...(errors.length > 0 && { errors }) } }
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error
      // A client may take the errors for a reason to go over REST, so the test hears of it.
      const violations = [`POST /graphql: ${error.message}`]
      return { ...answer, violations, body: { errors: [{ message: error.message }] } }
    }
  },
}

function argumentsOf<Args>(schema: z.ZodType<Args>, args: unknown): Args {
  const parsed = schema.safeParse(args)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'arguments'}: ${message}`,
  )
  throw new DocumentError(issues.join('; '))
}

const RepositoryArguments = z.strictObject({ owner: z.string(), name: z.string() })

const queries = ({ state, token }: Caller) => ({
  repository(args: unknown) {
    const { owner, name } = argumentsOf(RepositoryArguments, args)
    const repository = state.findRepository(`${owner}/${name}`)
    if (!repository || !isVisible(token, repository)) {
      throw new Refusal(404, `Could not resolve to a Repository with the name '${owner}/${name}'.`)
    }
    return {
      id: nodeId('R', repository.id),
      nameWithOwner: repository.fullName,
      isArchived: repository.archived,
      refs: (args: unknown) => refConnection(repository, token, args),
    }
  },
})

const RefsArguments = z.strictObject({
  refPrefix: z.string().endsWith('/'),
  query: z.string().nullish(),
  first: z.int().min(1).max(100),
  after: z.string().nullish(),
})

async function refConnection(repository: Repository, token: Token, args: unknown) {
  const { refPrefix, query, first, after } = argumentsOf(RefsArguments, args)
  requireContents(token, repository, 'read')
  const shortName = ({ ref }: Ref) => ref.replace(/^refs\/(heads|tags)\//, '')
  const refs = (await listRefs(repository.gitDir)).filter(
    ref => ref.ref.startsWith(refPrefix) && shortName(ref).includes(query ?? ''),
  )
  const start = after ? refs.findIndex(ref => cursorOf(ref) === after) + 1 : 0
  const page = refs.slice(start, start + first)
  const last = page.at(-1)
  const compare = comparer(repository.gitDir, page)
  return {
    totalCount: refs.length,
    pageInfo: {
      hasNextPage: start + first < refs.length,
      endCursor: last ? cursorOf(last) : null,
    },
    nodes: page.map(ref => ({
      id: nodeId('REF', `${repository.id}:${ref.ref}`),
      name: shortName(ref),
      prefix: ref.ref.slice(0, -shortName(ref).length),
      target: { oid: ref.sha },
      compare: (args: unknown) => compare(ref, args),
      refUpdateRule: repository.protectionOf(shortName(ref)) === undefined ? null : { viewerCanPush: false },
    })),
  }
}

const cursorOf = ({ ref }: Ref) => Buffer.from(`cursor:${ref}`).toString('base64')

const CompareArguments = z.strictObject({ headRef: z.string() })

/** All refs are compared with one head: the first that asks reads for all of them. */
function comparer(gitDir: string, refs: Ref[]) {
  const readings = new Map<string, Promise<{ head: string; ancestry: Ancestry } | undefined>>()
  const read = async (headRef: string) => {
    const [head] = await findCommits(gitDir, [headRef])
    return head
      ? { head, ancestry: await Ancestry.read(gitDir, [head, ...refs.map(({ sha }) => sha)]) }
      : undefined
  }
  return async ({ sha }: Ref, args: unknown) => {
    const { headRef } = argumentsOf(CompareArguments, args)
    const reading = readings.get(headRef) ?? read(headRef)
    readings.set(headRef, reading)
    const found = await reading
    const sides = found?.ancestry.compare(sha, found.head)
    return sides ? { status: statusOf(sides.aheadBy, sides.behindBy).toUpperCase(), ...sides } : null
  }
}

const Oid = z.string().refine(isSha, 'not a GitObjectID')

const UpdateRefsArguments = z.strictObject({
  input: z.strictObject({
    repositoryId: z.string(),
    clientMutationId: z.string().nullish(),
    refUpdates: z.array(
      z.strictObject({
        name: z.string(),
        beforeOid: Oid.nullish(),
        afterOid: Oid,
        force: z.boolean().nullish(),
      }),
    ),
  }),
})

type RefUpdate = z.infer<typeof UpdateRefsArguments>['input']['refUpdates'][number]

const mutations = ({ state, token }: Caller) => ({
  async updateRefs(args: unknown) {
    const { input } = argumentsOf(UpdateRefsArguments, args)
    const repository = state.repositories().find(({ id }) => nodeId('R', id) === input.repositoryId)
    if (!repository || !isVisible(token, repository)) {
      throw new Refusal(404, `Could not resolve to a node with the global id of '${input.repositoryId}'`)
    }
    requireContents(token, repository, 'write')
    await updateRefs(repository, token, input.refUpdates)
    return { clientMutationId: input.clientMutationId ?? null }
  },
})

async function updateRefs(repository: Repository, token: Token, updates: RefUpdate[]): Promise<void> {
  const { gitDir } = repository
  const refs = await listRefs(gitDir)
  if (refs.length === 0) throw new Refusal(422, 'Git Repository is empty.')
  const current = new Map(refs.map(({ ref, sha }) => [ref, sha]))
  for (const { name, beforeOid } of updates) {
    if (!/^refs\/(heads|tags)\/[^\0]+$/.test(name)) {
      throw new Refusal(422, `${name} is not a valid ref name.`)
    }
    if (beforeOid && beforeOid !== (current.get(name) ?? ZERO_SHA)) {
      const expected = `Expected ${name} to point to "${beforeOid}"`
      throw new Refusal(409, `${expected} but it did not. Pull and try again.`)
    }
  }
  // This includes 40 zeros, with which GitHub would delete the ref: no client here has a reason to.
  const targets = updates.map(({ afterOid }) => afterOid)
  const commits = await findCommits(gitDir, targets)
  if (commits.includes(undefined)) throw new Refusal(422, 'Object does not exist')

  const moves = updates.map(({ name, afterOid, force }) => ({
    ref: name,
    from: current.get(name),
    to: afterOid,
    force,
  }))
  const unforced = moves.filter(({ force }) => !force)
  await requireFastForwards(gitDir, unforced)
  // A ref that stays where it is brings nothing: its commit is a branch tip already.
  if (await bringsWorkflows(repository, refs, targets)) requireWorkflows(token)
  await tryMoves(repository, moves)
}

async function requireFastForwards(gitDir: string, moves: { from: string | undefined; to: string }[]) {
  const pairs = moves.flatMap(({ from, to }) => (from === undefined || from === to ? [] : [{ from, to }]))
  const ancestry = await Ancestry.read(gitDir, [...new Set(pairs.map(({ to }) => to))])
  if (!pairs.every(({ from, to }) => ancestry.isAncestor(from, to))) {
    throw new Refusal(422, 'Update is not a fast forward')
  }
}
