// GraphQL: the query of a repository's refs, https://docs.github.com/graphql/reference/objects#ref, and the
// mutation that moves many of them or none, https://docs.github.com/graphql/reference/mutations#updaterefs.
// Its errors about refs are not documented: their messages here are those of REST, a stale `beforeOid` speaks
// as createCommitOnBranch does.

import { z } from 'zod'
import { Ancestry } from './github-ancestry.ts'
import { isVisible, Refusal, requireContents, requireWorkflows } from './github-auth.ts'
import { statusOf } from './github-compare.ts'
import {
  findCommits,
  isSha,
  listHistory,
  listRefs,
  type Ref,
  refsNamed,
  toZulu,
  ZERO_SHA,
} from './github-git.ts'
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
    const snapshot = new Snapshot(repository, token)
    return {
      id: nodeId('R', repository.id),
      nameWithOwner: repository.fullName,
      isArchived: repository.archived,
      defaultBranchRef: () => findRef(snapshot, `refs/heads/${repository.defaultBranch}`),
      ref: (args: unknown) => findRef(snapshot, argumentsOf(RefArguments, args).qualifiedName),
      refs: (args: unknown) => refConnection(snapshot, args),
    }
  },
})

/** A repository as one request finds it: git is asked once, for all the fields that want its refs or commits. */
class Snapshot {
  readonly repository: Repository
  readonly #token: Token
  #refs: Promise<Ref[]> | undefined
  #ancestry: Promise<Ancestry> | undefined
  #tips: Promise<Map<string, string | undefined>> | undefined

  constructor(repository: Repository, token: Token) {
    this.repository = repository
    this.#token = token
  }

  async refs(): Promise<Ref[]> {
    requireContents(this.#token, this.repository, 'read')
    this.#refs ??= listRefs(this.repository.gitDir)
    return this.#refs
  }

  /** Read after the refs, so that it knows the commits of them all. */
  ancestry(): Promise<Ancestry> {
    this.#ancestry ??= this.refs().then(() => Ancestry.readAll(this.repository.gitDir))
    return this.#ancestry
  }

  /** The commit of a sha, `refs/heads/x` or `x`. */
  async findCommit(name: string): Promise<string | undefined> {
    if (isSha(name)) return (await this.ancestry()).has(name) ? name : undefined
    this.#tips ??= this.#readTips()
    const tips = await this.#tips
    const ref = refsNamed(name).find(ref => tips.has(ref))
    return ref && tips.get(ref)
  }

  async #readTips() {
    const refs = await this.refs()
    const shas = refs.map(({ sha }) => sha)
    const commits = await findCommits(this.repository.gitDir, shas)
    return new Map(refs.map(({ ref }, index) => [ref, commits[index]]))
  }
}

const RefArguments = z.strictObject({ qualifiedName: z.string() })

/** By its full name, or else by its short one. */
async function findRef(snapshot: Snapshot, name: string) {
  const refs = await snapshot.refs()
  const found = refs.find(({ ref }) => ref === name) ?? refs.find(ref => shortName(ref) === name)
  return found ? refNode(snapshot, found) : null
}

// Optional in GitHub's schema, where GitHub yet wants `first` or `last` of every connection.
const First = z.int().min(1).max(100)

const RefsArguments = z.strictObject({
  refPrefix: z.string().endsWith('/'),
  query: z.string().nullish(),
  first: First,
  after: z.string().nullish(),
})

async function refConnection(snapshot: Snapshot, args: unknown) {
  const { refPrefix, query, first, after } = argumentsOf(RefsArguments, args)
  const refs = (await snapshot.refs()).filter(
    ref => ref.ref.startsWith(refPrefix) && shortName(ref).includes(query ?? ''),
  )
  const start = after ? refs.findIndex(ref => cursorOf(ref) === after) + 1 : 0
  const page = refs.slice(start, start + first)
  const last = page.at(-1)
  return {
    totalCount: refs.length,
    pageInfo: {
      hasNextPage: start + first < refs.length,
      endCursor: last ? cursorOf(last) : null,
    },
    nodes: page.map(ref => refNode(snapshot, ref)),
  }
}

const cursorOf = ({ ref }: Ref) => Buffer.from(`cursor:${ref}`).toString('base64')
const shortName = ({ ref }: Ref) => ref.replace(/^refs\/(heads|tags)\//, '')

function refNode(snapshot: Snapshot, ref: Ref) {
  const { repository } = snapshot
  return {
    id: nodeId('REF', `${repository.id}:${ref.ref}`),
    name: shortName(ref),
    prefix: ref.ref.slice(0, -shortName(ref).length),
    target: targetNode(snapshot, ref),
    compare: (args: unknown) => compare(snapshot, ref, args),
    refUpdateRule: repository.protectionOf(shortName(ref)) === undefined ? null : { viewerCanPush: false },
  }
}

const OBJECT_TYPES = ['Blob', 'Commit', 'Tag', 'Tree']

function targetNode(snapshot: Snapshot, { ref, sha, type }: Ref): object {
  const common = { oid: sha }
  const own =
    type === 'commit' ? commitNode(snapshot, sha) : type === 'tag' ? tagNode(snapshot, ref, sha) : common
  const fragments = OBJECT_TYPES.map(name => [
    `... on ${name}`,
    name.toLowerCase() === type ? own : undefined,
  ])
  return { ...common, ...Object.fromEntries(fragments) }
}

/** Of an annotated tag: the commit behind it. */
const tagNode = (snapshot: Snapshot, ref: string, oid: string) => ({
  oid,
  async target() {
    const sha = await snapshot.findCommit(ref)
    return sha && targetNode(snapshot, { ref, sha, type: 'commit' })
  },
})

const ConnectionArguments = z.strictObject({ first: First })

function commitNode(snapshot: Snapshot, sha: string): object {
  return {
    oid: sha,
    committedDate: async () => toZulu((await snapshot.ancestry()).committedAt(sha) * 1000),
    async parents(args: unknown) {
      const { first } = argumentsOf(ConnectionArguments, args)
      const parents = (await snapshot.ancestry()).parentsOf(sha)
      return {
        totalCount: parents.length,
        nodes: parents.slice(0, first).map(parent => commitNode(snapshot, parent)),
      }
    },
    async history(args: unknown) {
      const { first } = argumentsOf(ConnectionArguments, args)
      const commits = await listHistory(snapshot.repository.gitDir, sha, first)
      return {
        totalCount: async () => (await snapshot.ancestry()).size(sha),
        nodes: commits.map(commit => commitNode(snapshot, commit)),
      }
    },
  }
}

const CompareArguments = z.strictObject({ headRef: z.string() })

/** The ref is the base. */
async function compare(snapshot: Snapshot, { ref }: Ref, args: unknown) {
  const { headRef } = argumentsOf(CompareArguments, args)
  const [base, head] = await Promise.all([snapshot.findCommit(ref), snapshot.findCommit(headRef)])
  if (!base || !head) return null
  const ancestry = await snapshot.ancestry()
  const sides = ancestry.compare(base, head)
  if (!sides) return null
  return {
    status: statusOf(sides.aheadBy, sides.behindBy).toUpperCase(),
    ...sides,
    commits(args: unknown) {
      const { first } = argumentsOf(ConnectionArguments, args)
      return {
        totalCount: sides.aheadBy,
        nodes: () =>
          ancestry
            .missing(base, head)
            .slice(0, first)
            .map(sha => commitNode(snapshot, sha)),
      }
    },
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
