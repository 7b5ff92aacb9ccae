// How branches stand to commits: a hundred branches in one request. REST needs one for each pair.
// https://docs.github.com/graphql/reference/objects#ref
import * as z from 'zod/mini'
import { LATER, messageOf, OperatorError } from '../base/errors.ts'
import { explainIssues } from '../base/schema.ts'
import type { Comparison } from '../channels/forge.ts'
import type { Related } from '../channels/relation.ts'
import type { DescribedCommit, Standing, TrackedBranch } from '../status/survey.ts'
import { isSha, type RepositoryName } from './refs.ts'
import type { GitHubClient } from './request.ts'

export const MAX_BRANCHES = 100

/** As many of a branch's newest commits are asked for: who descends from whom, and since when, is then known of most. */
const MAX_HISTORY = 100
const MAX_PARENTS = 10

/** A commit may have been made in the year 12345, which no Date can hold. */
const time = z.catch(
  z.optional(z.string().check(z.refine(text => !Number.isNaN(Date.parse(text))))),
  undefined,
)
const sideSchema = z.object({
  status: z.enum(['IDENTICAL', 'AHEAD', 'BEHIND', 'DIVERGED']),
  aheadBy: z.int(),
  behindBy: z.int(),
  commits: z.optional(z.object({ nodes: z.array(z.nullable(z.object({ committedDate: time }))) })),
})
const targetSchema = z.object({ oid: z.string(), committedDate: time })
const refSchema = z.nullable(
  z.looseObject({
    target: z.nullable(targetSchema),
    refUpdateRule: z.nullable(z.object({ viewerCanPush: z.boolean() })),
  }),
)
const standingsSchema = z.object({ repository: z.record(z.string(), refSchema) })

/** Each branch beside some commits, given as shas; at most {@link MAX_BRANCHES}. A branch that is not there is left out. */
export async function findStandings(
  client: GitHubClient,
  repository: RepositoryName,
  branches: readonly { branch: string; heads: readonly string[] }[],
): Promise<Map<string, Standing>> {
  const fields = branches.map(({ branch, heads }, index) => {
    const compared = heads.map(
      (head, at) =>
        `h${at}: compare(headRef: ${literal(head)}) { status aheadBy behindBy commits(first: 1) { nodes { committedDate } } }`,
    )
    return `b${index}: ref(qualifiedName: ${literal(`refs/heads/${branch}`)}) {
      target { oid ... on Commit { committedDate } } refUpdateRule { viewerCanPush } ${compared.join(' ')} }`
  })
  const { repository: refs } = await ask(client, repository, fields.join('\n'), standingsSchema)
  const found = new Map<string, Standing>()
  for (const [index, { branch, heads }] of branches.entries()) {
    const ref = refs[`b${index}`]
    if (!ref?.target) continue
    const sides = new Map<string, Related>()
    for (const [at, head] of heads.entries()) {
      const side = sideSchema.safeParse(ref[`h${at}`])
      if (side.success) sides.set(head, sideOf(side.data))
    }
    found.set(branch, {
      sha: ref.target.oid,
      committedAt: ref.target.committedDate,
      mayPush: ref.refUpdateRule?.viewerCanPush,
      sides,
    })
  }
  return found
}

const comparedSchema = z.object({
  repository: z.object({
    ref: z.nullable(
      z.object({ target: z.nullable(z.object({ oid: z.string() })), compare: z.nullable(sideSchema) }),
    ),
  }),
})

const TURNED = { identical: 'identical', ahead: 'behind', behind: 'ahead', diverged: 'diverged' } as const

/**
 * As refs.ts compares over REST, without the files that differ, which may be too much work for GitHub there.
 *
 * @returns undefined: it does not say, which it also does where one of them is not there, and of two commits without a branch
 */
export async function compare(
  client: GitHubClient,
  repository: RepositoryName,
  base: string,
  head: string,
): Promise<Comparison | undefined> {
  const ref = [base, head].find(name => !isSha(name))
  if (ref === undefined) return undefined
  const other = ref === base ? head : base
  const { repository: found } = await ask(
    client,
    repository,
    `${refField(ref)} { target { oid } compare(headRef: ${literal(other)}) { status aheadBy behindBy } }`,
    comparedSchema,
  )
  if (!found.ref?.target || !found.ref.compare) return undefined
  const { status, aheadBy, behindBy } = sideOf(found.ref.compare)
  return ref === base
    ? { status, aheadBy, behindBy, baseSha: found.ref.target.oid }
    : { status: TURNED[status], aheadBy: behindBy, behindBy: aheadBy, baseSha: base }
}

const nodesOf = <Node extends z.core.$ZodType>(node: Node) => z.object({ nodes: z.array(z.nullable(node)) })
const historySchema = nodesOf(
  z.object({
    oid: z.string(),
    committedDate: time,
    parents: nodesOf(z.object({ oid: z.string() })),
  }),
)
const commitSchema = z.object({ oid: z.string(), history: z.optional(historySchema) })
const trackedSchema = z.object({
  repository: z.object({
    ref: z.nullable(
      z.object({
        name: z.string(),
        prefix: z.string(),
        // of an annotated tag, the commit is one step further
        target: z.nullable(z.object({ ...commitSchema.shape, target: z.optional(commitSchema) })),
      }),
    ),
  }),
})

/** @param ref `refs/heads/main`, `refs/tags/v1`, or `HEAD` for the default branch */
export async function findTrackedBranch(
  client: GitHubClient,
  repository: RepositoryName,
  ref: string,
): Promise<TrackedBranch | undefined> {
  const commit = `oid ... on Commit { history(first: ${MAX_HISTORY}) {
    nodes { oid committedDate parents(first: ${MAX_PARENTS}) { nodes { oid } } } } }`
  const answer = await ask(
    client,
    repository,
    `${refField(ref)} { name prefix target { ${commit} ... on Tag { target { ${commit} } } } }`,
    trackedSchema,
  )
  const found = answer.repository.ref
  const target = found?.target?.target ?? found?.target
  if (!found || !target) return undefined
  const commits = (target.history?.nodes ?? []).filter(node => node !== null)
  return {
    sha: target.oid,
    ref: `${found.prefix}${found.name}`,
    history: commits.map(({ oid, committedDate, parents }) => ({
      sha: oid,
      committedAt: committedDate,
      parents: parents.nodes.flatMap(node => node?.oid ?? []),
    })),
  }
}

/** At most {@link MAX_BRANCHES} commits. One that GitHub does not have is left out. */
export async function describeCommits(
  client: GitHubClient,
  repository: RepositoryName,
  shas: readonly string[],
): Promise<Map<string, DescribedCommit>> {
  const fields = shas.map(
    (sha, index) =>
      `c${index}: object(oid: ${literal(sha)}) { ... on Commit { messageHeadline author { name } } }`,
  )
  const { repository: commits } = await ask(client, repository, fields.join('\n'), commitsSchema)
  return new Map(
    shas.flatMap((sha, index) => {
      const commit = commits[`c${index}`]
      if (commit?.messageHeadline === undefined) return []
      const name = commit.author?.name ?? undefined
      const author = name === undefined ? undefined : cut(name)
      return [[sha, { subject: cut(commit.messageHeadline), author }] as const]
    }),
  )
}

const MAX_TEXT = 72

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1).toWellFormed()}…` : text
}

const commitsSchema = z.object({
  repository: z.record(
    z.string(),
    z.nullable(
      z.object({
        // of another object than a commit there is none
        messageHeadline: z.optional(z.string()),
        author: z.optional(z.nullable(z.object({ name: z.nullable(z.string()) }))),
      }),
    ),
  ),
})

/** GraphQL did not answer what it was asked for. REST may. */
class GraphqlError extends OperatorError {
  override name = 'GraphqlError'

  constructor(message: string, options: ErrorOptions = {}) {
    super(`GitHub's GraphQL did not answer: ${message}`, { hint: LATER, ...options })
  }
}

/** What GitHub could answer beside an error is an answer still. */
async function ask<Answer extends z.core.$ZodType>(
  client: GitHubClient,
  { owner, repo }: RepositoryName,
  fields: string,
  schema: Answer,
): Promise<z.output<Answer>> {
  const query = `query { repository(owner: ${literal(owner)}, name: ${literal(repo)}) {\n${fields}\n} }`
  const answer = await client.graphql(query).catch((error: unknown) => {
    // Octokit's GraphqlResponseError, whose status is 200
    const { name, data } = error as { name?: string; data?: { repository?: unknown } | null }
    if (name !== 'GraphqlResponseError') throw error
    if (data?.repository) return data
    throw new GraphqlError(messageOf(error), { cause: error })
  })
  const result = z.safeParse(schema, answer)
  if (result.success) return result.data
  throw new GraphqlError(explainIssues(result.error.issues).join('; '))
}

const refField = (ref: string) =>
  ref === 'HEAD' ? 'ref: defaultBranchRef' : `ref(qualifiedName: ${literal(ref)})`

function sideOf({ status, aheadBy, behindBy, commits }: z.output<typeof sideSchema>): Related {
  const firstCommittedAt = commits?.nodes[0]?.committedDate
  return { status: status.toLowerCase() as Related['status'], aheadBy, behindBy, firstCommittedAt }
}

/** A branch may be called `a"b`; GraphQL's strings are JSON's. */
function literal(text: string): string {
  return JSON.stringify(text)
}
