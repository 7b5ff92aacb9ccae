// How branches stand to commits: a hundred branches in one request, where REST would need one for each pair.
// https://docs.github.com/graphql/reference/objects#ref
import * as z from 'zod/mini'
import type { RepositoryName } from './refs.ts'
import type { GitHubClient } from './request.ts'

export const MAX_BRANCHES = 100

/** As many of a branch's newest commits are looked at for the time of the first that is new. */
const MAX_HISTORY = 100

/** How a commit stands to a branch. */
export interface Side {
  status: 'identical' | 'ahead' | 'behind' | 'diverged'
  /** commits that only the commit's history has */
  aheadBy: number
  /** commits that only the branch has */
  behindBy: number
  /** when the first of the commits was made that only the commit's history has; ISO 8601, undefined where not known */
  firstCommittedAt?: string | undefined
}

export interface Standing {
  sha: string
  /** ISO 8601 */
  committedAt: string | undefined
  /** what rules and protection say of the one who asks; undefined where there are none */
  mayPush: boolean | undefined
  /** by head; what GitHub did not compare is left out */
  sides: Map<string, Side>
}

const time = z.string('a time')
const sideSchema = z.object({
  status: z.enum(['IDENTICAL', 'AHEAD', 'BEHIND', 'DIVERGED']),
  aheadBy: z.int(),
  behindBy: z.int(),
  commits: z.optional(z.object({ nodes: z.array(z.nullable(z.object({ committedDate: time }))) })),
})
const targetSchema = z.object({ oid: z.string(), committedDate: z.optional(time) })
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
  const { repository: refs } = standingsSchema.parse(await ask(client, repository, fields.join('\n')))
  const found = new Map<string, Standing>()
  for (const [index, { branch, heads }] of branches.entries()) {
    const ref = refs[`b${index}`]
    if (!ref?.target) continue
    const sides = new Map<string, Side>()
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

/** A branch that channels are measured by. */
export interface TrackedBranch {
  sha: string
  /** ISO 8601 */
  committedAt: string | undefined
  /** its newest commits, newest first; at most {@link MAX_HISTORY} */
  history: { committedAt: string }[]
}

const trackedSchema = z.object({
  repository: z.object({
    ref: z.nullable(
      z.object({
        target: z.nullable(
          z.extend(targetSchema, {
            history: z.optional(z.object({ nodes: z.array(z.nullable(z.object({ committedDate: time }))) })),
          }),
        ),
      }),
    ),
  }),
})

/** @param ref `refs/heads/main` */
export async function findTrackedBranch(
  client: GitHubClient,
  repository: RepositoryName,
  ref: string,
): Promise<TrackedBranch | undefined> {
  const answer = await ask(
    client,
    repository,
    `ref(qualifiedName: ${literal(ref)}) { target { oid ... on Commit {
      committedDate history(first: ${MAX_HISTORY}) { nodes { committedDate } } } } }`,
  )
  const target = trackedSchema.parse(answer).repository.ref?.target
  return target
    ? {
        sha: target.oid,
        committedAt: target.committedDate,
        history: (target.history?.nodes ?? []).flatMap(node =>
          node ? { committedAt: node.committedDate } : [],
        ),
      }
    : undefined
}

/** What GitHub could answer beside an error is an answer still. */
async function ask(client: GitHubClient, { owner, repo }: RepositoryName, fields: string): Promise<unknown> {
  const query = `query { repository(owner: ${literal(owner)}, name: ${literal(repo)}) {\n${fields}\n} }`
  try {
    return await client.graphql(query)
  } catch (error) {
    // Octokit's GraphqlResponseError
    const { data } = error as { data?: { repository?: unknown } | null }
    if (data?.repository) return data
    throw error
  }
}

function sideOf({ status, aheadBy, behindBy, commits }: z.output<typeof sideSchema>): Side {
  const firstCommittedAt = commits?.nodes[0]?.committedDate
  return { status: status.toLowerCase() as Side['status'], aheadBy, behindBy, firstCommittedAt }
}

/** A branch may be called `a"b`; GraphQL's strings are JSON's. */
function literal(text: string): string {
  return JSON.stringify(text)
}
