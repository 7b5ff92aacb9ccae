// What happened to branches: https://docs.github.com/rest/repos/repos#list-repository-activities. Each change of a branch is
// recorded by who made it; whether it was forced, git says when it is asked for.

import { ZERO_SHA } from './graph.ts'
import type { RepositoryRoute } from './routes.ts'
import { accountShape, nodeId } from './shapes.ts'
import type { Activity, Repository, State } from './state.ts'

const MAX_PER_PAGE = 100

export const activityRoute: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/activity',
  scope: 'repository',
  auth: 'token',
  contents: 'read',
  path: /^\/activity$/,
  async run({ state, query, found: { repository } }) {
    const known = ['ref', 'per_page', 'after']
    const violations = [...query.keys()]
      .filter(key => !known.includes(key))
      .map(key => `activity: this test GitHub does not know ?${key}`)
    const ref = query.get('ref')
    const wanted = ref === null || ref.startsWith('refs/') ? ref : `refs/heads/${ref}`
    const all = repository.activities.filter(each => wanted === null || each.ref === wanted).toReversed()
    // the id of the last one of the page before
    const after = Number(query.get('after') ?? Number.POSITIVE_INFINITY)
    const rest = all.filter(({ id }) => id < after)
    const perPage = Math.min(Number(query.get('per_page') ?? 30), MAX_PER_PAGE)
    const page = rest.slice(0, perPage)
    const last = page.at(-1)
    const next = new URLSearchParams(query)
    next.set('after', String(last?.id))
    const url = `${state.apiUrl}/repositories/${repository.id}/activity?${next}`
    return {
      status: 200,
      body: await Promise.all(page.map(each => activityShape(state, repository, each))),
      ...(rest.length > perPage && { headers: { link: `<${url}>; rel="next"` } }),
      violations,
    }
  },
}

async function activityShape(state: State, repository: Repository, activity: Activity) {
  const { id, ref, from, to, at, actor } = activity
  return {
    id,
    node_id: nodeId('PUSH', id),
    before: from ?? ZERO_SHA,
    after: to ?? ZERO_SHA,
    ref,
    timestamp: new Date(at).toISOString().replace(/\.\d+Z$/, 'Z'),
    activity_type: await typeOf(repository, activity),
    actor: actor === undefined ? null : accountShape(state, actor),
  }
}

async function typeOf({ graph }: Repository, { from, to }: Activity): Promise<string> {
  if (from === undefined) return 'branch_creation'
  if (to === undefined) return 'branch_deletion'
  return (await graph.compare(from, to)).behindBy === 0 ? 'push' : 'force_push'
}
