// The endpoints of GitHub that this program uses, a function each. What is ordinary in an answer is a value; every
// other status travels up untouched. https://docs.github.com/rest/git/refs and …/rest/commits/commits#compare-two-commits
import { RequestError } from '@octokit/request-error'
import { TooLargeError } from '../base/http-error.ts'
import type { BranchUpdate, Comparison, Written } from '../channels/forge.ts'
import type { Activity } from '../status/survey.ts'
import { type GitHubClient, messageOfAnswer, SEND_ONCE } from './request.ts'

/** A repository, as the client asks for it: `{ owner: 'alice', repo: 'dotfiles' }`. */
export interface RepositoryName {
  owner: string
  repo: string
}

const SHA = /^[0-9a-f]{40}$/

export function isSha(name: string): boolean {
  return SHA.test(name)
}

/** Compares two commits, each given as a sha, as `refs/heads/x` (a bare name could mean a tag), or as `HEAD`. */
export async function compare(
  client: GitHubClient,
  repository: RepositoryName,
  base: string,
  head: string,
): Promise<Comparison | 'unrelated' | 'not-found'> {
  const ask = (page: { per_page?: number; page?: number }) =>
    client.rest.repos.compareCommitsWithBasehead({ ...repository, basehead: `${base}...${head}`, ...page })
  try {
    // the second page says the same in 1 kB that the first says in up to 2.5 MB, with every file and commit
    let { data } = await ask({ per_page: 1, page: 2 })
    if (!isComparison(data)) ({ data } = await ask({}))
    if (!isComparison(data)) throw new Error(`GitHub's comparison of ${base} and ${head} has no status`)
    return {
      status: data.status,
      aheadBy: data.ahead_by,
      behindBy: data.behind_by,
      baseSha: data.base_commit.sha,
      mergeBaseSha: data.merge_base_commit.sha,
    }
  } catch (error) {
    if (!isRefused(error, 404)) throw error
    return /^No common ancestor/.test(messageOfAnswer(error)) ? 'unrelated' : 'not-found'
  }
}

function isComparison(data: {
  status?: string
  base_commit?: unknown
  merge_base_commit?: unknown
}): boolean {
  return data.status !== undefined && Boolean(data.base_commit) && Boolean(data.merge_base_commit)
}

/** The commit that a branch is at; undefined if there is no such branch (or no such repository). */
export async function findBranch(
  client: GitHubClient,
  repository: RepositoryName,
  branch: string,
): Promise<string | undefined> {
  try {
    const { data } = await client.rest.git.getRef({ ...repository, ref: `heads/${branch}` })
    return data.object.sha
  } catch (error) {
    if (isRefused(error, 404)) return undefined
    throw error
  }
}

/**
 * The commit that a sha, a whole ref or `HEAD` means, tags peeled; undefined if neither the repository nor one of its
 * forks has it.
 */
export async function findCommit(
  client: GitHubClient,
  repository: RepositoryName,
  ref: string,
): Promise<string | undefined> {
  try {
    // GitHub wants `heads/x` here
    const name = ref.replace(/^refs\//, '')
    const { data } = await client.rest.repos.getCommit({ ...repository, ref: name, per_page: 1, page: 2 })
    return data.sha
  } catch (error) {
    if (isRefused(error, 422)) return undefined
    throw error
  }
}

/** A branch that stands in the way of another: git keeps them as files, and `a` cannot be beside `a/b`. */
export async function findConflictingBranch(
  client: GitHubClient,
  repository: RepositoryName,
  branch: string,
): Promise<string | undefined> {
  const parts = branch.split('/')
  for (let length = 1; length < parts.length; length++) {
    const above = parts.slice(0, length).join('/')
    if ((await findBranch(client, repository, above)) !== undefined) return above
  }
  const { data } = await client.rest.git.listMatchingRefs({ ...repository, ref: `heads/${branch}/` })
  return data[0]?.ref.replace(/^refs\/heads\//, '')
}

/** The branches whose names begin with a prefix, and their commits: all of them in one answer. */
export async function listBranches(
  client: GitHubClient,
  repository: RepositoryName,
  prefix: string,
): Promise<Map<string, string> | 'too-many'> {
  const found = await client.rest.git
    .listMatchingRefs({ ...repository, ref: `heads/${prefix}` })
    .catch((error: Error) => {
      if (error.cause instanceof TooLargeError) return 'too-many' as const
      throw error
    })
  if (found === 'too-many') return found
  return new Map(found.data.map(({ ref, object }) => [ref.replace(/^refs\/heads\//, ''), object.sha]))
}

/** What `beforeOid` says of a branch that must not exist. */
const NO_COMMIT = '0'.repeat(40)

/** `repositoryId` is the node id. Whatever GitHub objects to, it names no branch. */
export async function updateBranches(
  client: GitHubClient,
  repositoryId: string,
  updates: readonly BranchUpdate[],
): Promise<void> {
  await client.graphql(
    `mutation ($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }`,
    {
      request: SEND_ONCE,
      input: {
        repositoryId,
        refUpdates: updates.map(({ branch, from, to }) => ({
          name: `refs/heads/${branch}`,
          beforeOid: from ?? NO_COMMIT,
          afterOid: to,
          force: false,
        })),
      },
    },
  )
}

const ACTIVITIES: Readonly<Record<string, Activity['kind']>> = {
  branch_creation: 'created',
  push: 'pushed',
  force_push: 'forced',
  branch_deletion: 'deleted',
  pr_merge: 'merged',
  merge_queue_merge: 'merged',
}

/** https://docs.github.com/rest/repos/repos#list-repository-activities */
export async function listActivities(
  client: GitHubClient,
  repository: RepositoryName,
  branch: string,
  { sinceMs, pages }: { sinceMs: number; pages: number },
): Promise<{ activities: Activity[]; more: boolean }> {
  const activities: Activity[] = []
  let after: string | undefined
  for (let page = 0; page < pages; page++) {
    const { data, headers } = await client.rest.repos.listActivities({
      ...repository,
      ref: `refs/heads/${branch}`,
      per_page: 100,
      ...(after !== undefined && { after }),
    })
    for (const { timestamp, activity_type: type, before: from, after: to, actor } of data) {
      if (Date.parse(timestamp) < sinceMs) return { activities, more: false }
      activities.push({
        at: timestamp,
        // GitHub may tell of more kinds some day
        kind: ACTIVITIES[type] ?? 'pushed',
        from: from === NO_COMMIT ? undefined : from,
        to: to === NO_COMMIT ? undefined : to,
        actor: actor?.login,
      })
    }
    after = nextCursor(headers.link)
    if (after === undefined) return { activities, more: false }
  }
  return { activities, more: true }
}

/** `<https://api.github.com/repositories/501/activity?after=CURSOR&per_page=100>; rel="next"` */
function nextCursor(link: string | undefined): string | undefined {
  for (const part of (link ?? '').split(',')) {
    const [address = '', ...parameters] = part.split(';').map(each => each.trim())
    if (!parameters.includes('rel="next"')) continue
    const query = address.slice(1, -1).split('?')[1] ?? ''
    return new URLSearchParams(query).get('after') ?? undefined
  }
  return undefined
}

/** The repository's own spelling of its name, after redirects. */
export async function getFullName(client: GitHubClient, repository: RepositoryName): Promise<string> {
  const { data } = await client.rest.repos.get({ ...repository })
  return data.full_name
}

/** GitHub's node id of a repository, after redirects; undefined if there is none of that name, or none that we may see. */
export async function findNodeId(
  client: GitHubClient,
  repository: RepositoryName,
): Promise<string | undefined> {
  try {
    const { data } = await client.rest.repos.get({ ...repository })
    return data.node_id
  } catch (error) {
    if (isRefused(error, 404)) return undefined
    throw error
  }
}

export async function createBranch(
  client: GitHubClient,
  repository: RepositoryName,
  branch: string,
  sha: string,
): Promise<Written> {
  return written(() =>
    client.rest.git.createRef({ ...repository, ref: `refs/heads/${branch}`, sha, request: SEND_ONCE }),
  )
}

/** Moves a branch forward; GitHub itself refuses whatever is no fast-forward. */
export async function fastForward(
  client: GitHubClient,
  repository: RepositoryName,
  branch: string,
  sha: string,
): Promise<Written> {
  return written(() =>
    client.rest.git.updateRef({
      ...repository,
      ref: `heads/${branch}`,
      sha,
      force: false,
      request: SEND_ONCE,
    }),
  )
}

/** What GitHub's answer says of the write; every other refusal is thrown. */
async function written(write: () => Promise<unknown>): Promise<Written> {
  try {
    await write()
    return { kind: 'written' }
  } catch (error) {
    const message = error instanceof RequestError ? messageOfAnswer(error) : ''
    if (isRefused(error, 422)) {
      if (/^(Update is not a fast forward|Reference (already exists|does not exist))/.test(message)) {
        return { kind: 'raced', message }
      }
      if (/^Reference update failed/.test(message)) return { kind: 'unclear', message }
      if (/^(Object does not exist|No commit found)/.test(message)) return { kind: 'unknown-commit' }
    }
    if (isRefused(error, 409) && !/empty/i.test(message)) return { kind: 'raced', message }
    throw error
  }
}

function isRefused(error: unknown, status: number): error is RequestError {
  return error instanceof RequestError && error.status === status
}
