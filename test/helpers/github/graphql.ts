// GraphQL, over GitHub's published schema: the query of a repository's refs, https://docs.github.com/graphql/reference/objects#ref, and the
// mutation that moves many of them or none, https://docs.github.com/graphql/reference/mutations#updaterefs.
// Its errors about refs are not documented: their messages here are those of REST, a stale `beforeOid` speaks
// as createCommitOnBranch does.

import { readFileSync } from 'node:fs'
import {
  buildASTSchema,
  execute,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  parse,
  validate,
} from 'graphql'
import { isVisible, Refusal, requireContents, requireWorkflows } from './auth.ts'
import type { Commits } from './commits.ts'
import { statusOf } from './compare.ts'
import { type CommitFacts, type Graph, isSha, type Ref, refsNamed, toZulu, ZERO_SHA } from './graph.ts'
import { bringsWorkflows, tryMoves } from './refs.ts'
import type { TokenRoute } from './routes.ts'
import { nodeId } from './shapes.ts'
import type { Repository, State, Token } from './state.ts'

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
    const { data, errors = [] } = await run({ state, token }, query, variables)
    // A client may take the errors for a reason to go over REST, so the test hears of what is its own mistake.
    const mistakes = errors.filter(error => !(error.originalError instanceof Refusal))
    const violations = mistakes.map(({ message }) => `POST /graphql: ${message}`)
    const told = {
      ...(data !== undefined && mistakes.length === 0 && { data }),
      ...(errors.length > 0 && { errors: errors.map(formatError) }),
    }
    return { ...answer, violations, body: told }
  },
}

let known: GraphQLSchema | undefined

/** It has 1.2 MB, so only the tests that ask wait for it. */
function schema(): GraphQLSchema {
  if (!known) {
    const entry = import.meta.resolve('@octokit/graphql-schema')
    const text = readFileSync(new URL('schema.graphql', entry), 'utf8')
    const document = parse(text, { noLocation: true })
    known = buildASTSchema(document, { assumeValid: true, assumeValidSDL: true })
  }
  return known
}

async function run(caller: Caller, query: string, variables: unknown) {
  try {
    const document = parse(query)
    const errors = validate(schema(), document)
    if (errors.length > 0) return { errors }
    return await execute({
      schema: schema(),
      document,
      rootValue: { ...queries(caller), ...mutations(caller) },
      variableValues: (variables ?? {}) as Record<string, unknown>,
    })
  } catch (error) {
    if (error instanceof GraphQLError) return { errors: [error] }
    throw error
  }
}

const TYPES: Record<number, string> = { 403: 'FORBIDDEN', 404: 'NOT_FOUND', 409: 'STALE_DATA' }

/** GitHub names a type beside what the specification has. */
function formatError(error: GraphQLError): GraphQLFormattedError & { type?: string } {
  const { originalError: refusal } = error
  const type = refusal instanceof Refusal ? (TYPES[refusal.status] ?? 'UNPROCESSABLE') : undefined
  return { ...(type !== undefined && { type }), ...error.toJSON() }
}

/** Optional in GitHub's schema, and yet GitHub wants `first` or `last` of every connection. */
function requireFirst(first: number | undefined): number {
  if (first !== undefined && first >= 1 && first <= 100) return first
  throw new GraphQLError(`first: expected 1 to 100, not ${first}`)
}

const queries = ({ state, token }: Caller) => ({
  repository({ owner, name }: { owner: string; name: string }) {
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
      ref: ({ qualifiedName }: { qualifiedName: string }) => findRef(snapshot, qualifiedName),
      refs: (args: RefsArguments) => refConnection(snapshot, args),
      async object({ oid }: { oid: string }) {
        const sha = isSha(oid) ? await snapshot.findCommit(oid) : undefined
        return sha === undefined ? null : commitNode(snapshot, sha)
      },
    }
  },
})

/** A repository as one request finds it: the graph is asked once, for all the fields that want its refs or commits. */
class Snapshot {
  readonly repository: Repository
  readonly #token: Token
  #refs: Promise<Ref[]> | undefined
  #commits: Promise<Commits> | undefined
  #tips: Promise<Map<string, string | undefined>> | undefined
  #asked: Set<string> | undefined
  #facts: Promise<Map<string, CommitFacts>> | undefined

  constructor(repository: Repository, token: Token) {
    this.repository = repository
    this.#token = token
  }

  async refs(): Promise<Ref[]> {
    requireContents(this.#token, this.repository, 'read')
    this.#refs ??= this.repository.graph.listRefs()
    return this.#refs
  }

  /** Read after the refs, so that it knows the commits of them all. */
  commits(): Promise<Commits> {
    this.#commits ??= this.refs().then(() => this.repository.graph.readCommits('all'))
    return this.#commits
  }

  /** The commit of a sha, `refs/heads/x` or `x`. */
  async findCommit(name: string): Promise<string | undefined> {
    if (isSha(name)) return (await this.commits()).has(name) ? name : undefined
    this.#tips ??= this.#readTips()
    const tips = await this.#tips
    const ref = refsNamed(name).find(ref => tips.has(ref))
    return ref && tips.get(ref)
  }

  /** What many fields of one request ask for is read at once. */
  facts(sha: string): Promise<CommitFacts | undefined> {
    this.#asked ??= new Set()
    const asked = this.#asked.add(sha)
    this.#facts ??= Promise.resolve().then(async () => {
      this.#facts = this.#asked = undefined
      const facts = await this.repository.graph.readFacts([...asked])
      return new Map(facts.map(each => [each.sha, each]))
    })
    return this.#facts.then(found => found.get(sha))
  }

  async #readTips() {
    const refs = await this.refs()
    const shas = refs.map(({ sha }) => sha)
    const commits = await this.repository.graph.findCommits(shas)
    return new Map(refs.map(({ ref }, index) => [ref, commits[index]]))
  }
}

/** By its full name, or else by its short one. */
async function findRef(snapshot: Snapshot, name: string) {
  const refs = await snapshot.refs()
  const found = refs.find(({ ref }) => ref === name) ?? refs.find(ref => shortName(ref) === name)
  return found ? refNode(snapshot, found) : null
}

interface RefsArguments {
  refPrefix: string
  query?: string
  first?: number
  after?: string
}

async function refConnection(snapshot: Snapshot, { refPrefix, query, after, ...page }: RefsArguments) {
  if (!refPrefix.endsWith('/')) throw new GraphQLError('refPrefix: expected a slash at its end')
  const first = requireFirst(page.first)
  const refs = (await snapshot.refs()).filter(
    ref => ref.ref.startsWith(refPrefix) && shortName(ref).includes(query ?? ''),
  )
  const start = after ? refs.findIndex(ref => cursorOf(ref) === after) + 1 : 0
  const found = refs.slice(start, start + first)
  const last = found.at(-1)
  return {
    totalCount: refs.length,
    pageInfo: {
      hasNextPage: start + first < refs.length,
      endCursor: last ? cursorOf(last) : null,
    },
    nodes: found.map(ref => refNode(snapshot, ref)),
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
    compare: ({ headRef }: { headRef: string }) => compare(snapshot, ref, headRef),
    refUpdateRule: repository.protectionOf(shortName(ref)) === undefined ? null : { viewerCanPush: false },
  }
}

function targetNode(snapshot: Snapshot, { ref, sha, type }: Ref): object {
  if (type === 'commit') return commitNode(snapshot, sha)
  return type === 'tag'
    ? tagNode(snapshot, ref, sha)
    : { __typename: type === 'blob' ? 'Blob' : 'Tree', oid: sha }
}

/** Of an annotated tag: the commit behind it. */
const tagNode = (snapshot: Snapshot, ref: string, oid: string) => ({
  __typename: 'Tag',
  oid,
  async target() {
    const sha = await snapshot.findCommit(ref)
    return sha && targetNode(snapshot, { ref, sha, type: 'commit' })
  },
})

interface ConnectionArguments {
  first?: number
}

function commitNode(snapshot: Snapshot, sha: string): object {
  return {
    __typename: 'Commit',
    oid: sha,
    messageHeadline: async () => (await snapshot.facts(sha))?.message.split('\n')[0] ?? '',
    author: async () => ({ name: (await snapshot.facts(sha))?.author.name }),
    committedDate: async () => toZulu((await snapshot.commits()).get(sha).date * 1000),
    async parents(args: ConnectionArguments) {
      const first = requireFirst(args.first)
      const parents = (await snapshot.commits()).get(sha).parents
      return {
        totalCount: parents.length,
        nodes: parents.slice(0, first).map(parent => commitNode(snapshot, parent)),
      }
    },
    async history(args: ConnectionArguments) {
      const first = requireFirst(args.first)
      const commits = await snapshot.repository.graph.listHistory(sha, first)
      return {
        totalCount: async () => (await snapshot.commits()).log(sha).length,
        nodes: commits.map(commit => commitNode(snapshot, commit)),
      }
    },
  }
}

/** The ref is the base. */
async function compare(snapshot: Snapshot, { ref }: Ref, headRef: string) {
  const [base, head] = await Promise.all([snapshot.findCommit(ref), snapshot.findCommit(headRef)])
  if (!base || !head) return null
  const all = await snapshot.commits()
  const { aheadBy, behindBy, mergeBase } = all.sides(base, head)
  if (mergeBase === undefined) return null
  return {
    status: statusOf(aheadBy, behindBy).toUpperCase(),
    ...{ aheadBy, behindBy },
    commits(args: ConnectionArguments) {
      const first = requireFirst(args.first)
      return {
        totalCount: aheadBy,
        nodes: () =>
          all
            .missing(base, head)
            .slice(0, first)
            .map(sha => commitNode(snapshot, sha)),
      }
    },
  }
}

interface RefUpdate {
  name: string
  beforeOid?: string | null
  afterOid: string
  force?: boolean | null
}

interface UpdateRefsInput {
  repositoryId: string
  clientMutationId?: string | null
  refUpdates: RefUpdate[]
}

const mutations = ({ state, token }: Caller) => ({
  async updateRefs({ input }: { input: UpdateRefsInput }) {
    for (const { beforeOid, afterOid } of input.refUpdates) {
      // the schema has a scalar of its own for them
      for (const oid of [beforeOid, afterOid])
        if (oid && !isSha(oid)) throw new GraphQLError(`${oid} is no GitObjectID`)
    }
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
  const { graph } = repository
  const refs = await graph.listRefs('for a write')
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
  const commits = await graph.findCommits(targets)
  if (commits.includes(undefined)) throw new Refusal(422, 'Object does not exist')

  const moves = updates.map(({ name, afterOid, force }) => ({
    ref: name,
    from: current.get(name),
    to: afterOid,
    force,
  }))
  const unforced = moves.filter(({ force }) => !force)
  await requireFastForwards(graph, unforced)
  // A ref that stays where it is brings nothing: its commit is a branch tip already.
  if (await bringsWorkflows(repository, refs, targets)) requireWorkflows(token)
  await tryMoves(repository, token, moves)
}

async function requireFastForwards(graph: Graph, moves: { from: string | undefined; to: string }[]) {
  const pairs = moves.flatMap(({ from, to }) => (from === undefined || from === to ? [] : [{ from, to }]))
  const commits = await graph.readCommits([...new Set(pairs.map(({ to }) => to))])
  if (!pairs.every(({ from, to }) => commits.has(from) && commits.isIn(from, to))) {
    throw new Refusal(422, 'Update is not a fast forward')
  }
}
