// The REST routes that are about neither refs nor comparisons, the list of all routes, and what a route
// is made of.

import { activityRoute } from './activity.ts'
import { chooseToken, Refusal, type TokenRequest } from './auth.ts'
import { compareRoute } from './compare.ts'
import { graphqlRoute } from './graphql.ts'
import { installationsRoute, openRoutes } from './manifest.ts'
import { refRoutes } from './refs.ts'
import {
  appShape,
  commitShape,
  fileShape,
  fullRepositoryShape,
  installationShape,
  repositoryShape,
} from './shapes.ts'
import type { Repository, State, Token } from './state.ts'

export interface Answer {
  status: number
  /** An object is sent as JSON, a string as it is, with a content-type among the headers. */
  body: unknown
  headers?: Record<string, string>
  /** False if the answer is meant to break GitHub's own schema. */
  checked?: boolean
  /** Mistakes of the client that GitHub's schemas do not show. */
  violations?: string[]
}

export interface Request<Found> {
  state: State
  /** What the pattern of the route caught, decoded. */
  params: string[]
  query: URLSearchParams
  headers: Record<string, string | undefined>
  body: Record<string, unknown>
  found: Found
}

interface RouteOf<Scope extends string, Auth extends string, Found> {
  /** As GitHub's description names it; its method is the route's. */
  operation: string
  scope: Scope
  auth: Auth
  /** Tested on the decoded path; in a repository, on what follows `/repos/{owner}/{repo}`. */
  path: RegExp
  run(request: Request<Found>): Answer | Promise<Answer>
}

/** For anybody, without credentials. */
export type OpenRoute = RouteOf<'global', 'none', undefined>
export type AppRoute = RouteOf<'global', 'app', undefined>
export type AppRepositoryRoute = RouteOf<'repository', 'app', { repository: Repository }>
export type RepositoryRoute = RouteOf<'repository', 'token', { repository: Repository; token: Token }> & {
  contents?: 'read' | 'write'
}
export type TokenRoute = RouteOf<'global', 'token', { token: Token }>
export type Route = OpenRoute | AppRoute | AppRepositoryRoute | RepositoryRoute | TokenRoute

const appRoutes: AppRoute[] = [
  {
    operation: 'GET /app',
    scope: 'global',
    auth: 'app',
    path: /^\/app$/,
    run: ({ state }) => ({ status: 200, body: appShape(state) }),
  },
  {
    operation: 'GET /app/installations/{installation_id}',
    scope: 'global',
    auth: 'app',
    path: /^\/app\/installations\/(\d+)$/,
    run({ state, params: [id] }) {
      const installation = state.findInstallation(Number(id))
      if (!installation) throw new Refusal(404, 'Not Found')
      return { status: 200, body: installationShape(state, installation) }
    },
  },
  {
    operation: 'POST /app/installations/{installation_id}/access_tokens',
    scope: 'global',
    auth: 'app',
    path: /^\/app\/installations\/(\d+)\/access_tokens$/,
    run({ state, params: [id], body }) {
      const { installation, repositories, permissions } = chooseToken(state, Number(id), body as TokenRequest)
      const repositoryIds = repositories && new Set(repositories.map(repository => repository.id))
      const token = state.newInstallationToken({ installation, repositoryIds, permissions })
      return {
        status: 201,
        body: {
          token: token.value,
          expires_at: new Date(token.expiresAt).toISOString().replace(/\.\d+Z$/, 'Z'),
          permissions,
          repository_selection: repositories ? 'selected' : state.selectionOf(installation),
          ...(repositories && {
            repositories: repositories.map(repository => repositoryShape(state, repository)),
          }),
        },
      }
    },
  },
]

const installationRoute: AppRepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/installation',
  scope: 'repository',
  auth: 'app',
  path: /^\/installation$/,
  run({ state, found: { repository } }) {
    if (!repository.installed) throw new Refusal(404, 'Not Found')
    return { status: 200, body: installationShape(state, repository.installation) }
  },
}

const repositoryRoute: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}',
  scope: 'repository',
  auth: 'token',
  path: /^$/,
  run: ({ state, found: { repository } }) => ({
    status: 200,
    body: fullRepositoryShape(state, repository),
  }),
}

const commitRoute: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/commits/{ref}',
  scope: 'repository',
  auth: 'token',
  contents: 'read',
  path: /^\/commits\/(.+)$/,
  async run({ state, params: [ref = ''], headers, found: { repository } }) {
    const { graph } = repository
    if ((await graph.listRefs()).length === 0) throw new Refusal(409, 'Git Repository is empty.')
    const [sha] = await graph.findCommits([ref])
    if (!sha) throw new Refusal(422, `No commit found for SHA: ${ref}`)
    if (/\bapplication\/vnd\.github(\.v3)?\.sha\b/.test(headers.accept ?? '')) {
      const type = { 'content-type': 'application/vnd.github.sha; charset=utf-8' }
      return { status: 200, body: sha, headers: type, checked: false }
    }
    const [facts] = await graph.readFacts([sha])
    if (!facts) throw new Error(`there is no ${sha}`)
    const changes = await graph.listChanges(facts.parents[0], sha)
    const additions = changes.reduce((sum, change) => sum + change.additions, 0)
    const deletions = changes.reduce((sum, change) => sum + change.deletions, 0)
    return {
      status: 200,
      body: {
        ...commitShape(state, repository, facts),
        stats: { total: additions + deletions, additions, deletions },
        files: changes.slice(0, 300).map(change => fileShape(state, repository, sha, change)),
      },
    }
  },
}

export const routes: Route[] = [
  ...openRoutes,
  ...appRoutes,
  installationsRoute,
  installationRoute,
  repositoryRoute,
  commitRoute,
  compareRoute,
  activityRoute,
  ...refRoutes,
  graphqlRoute,
]
