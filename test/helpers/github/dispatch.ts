// From a request to an answer: the route, who asks, where the repository is now, and GitHub's schemas.

import { credentialsOf, Refusal, requireApp, requireContents, requireToken, requireVisible } from './auth.ts'
import { type Answer, type Request, type Route, routes } from './routes.ts'
import { checkAnswer, checkRequest } from './schema.ts'
import { errorShape } from './shapes.ts'
import type { Repository, State } from './state.ts'

export interface Arrival {
  method: string
  /** Decoded, without the base path. */
  path: string
  /** As it came, without the base path and the query string; `undefined` outside the base path. */
  rawPath: string | undefined
  query: URLSearchParams
  headers: Record<string, string | undefined>
  /** Parsed JSON. */
  body: unknown
  /** There was a body, but it is no JSON. */
  malformed: boolean
}

const REPOSITORY_PATH = /^\/(?:repos\/([^/]+\/[^/]+)|repositories\/(\d+))(\/.*)?$/

/** Adds to `violations` what GitHub's schemas do not allow, of the request and of the answer. */
export async function answerOf(state: State, arrival: Arrival, violations: string[]): Promise<Answer> {
  const [, name, id, rest = ''] = REPOSITORY_PATH.exec(arrival.path) ?? []
  const scope = (name ?? id) ? 'repository' : 'global'
  const path = scope === 'repository' ? rest : arrival.path
  const route = routes.find(
    route =>
      route.scope === scope && route.operation.startsWith(`${arrival.method} `) && route.path.test(path),
  )
  if (!route || arrival.rawPath === undefined) {
    // A client could take this 404 for an answer, so the test hears of it.
    violations.push(`${arrival.method} ${arrival.path}: no such route`)
    return { status: 404, body: errorShape(404, 'Not Found') }
  }

  let answer: Answer
  try {
    const params = route.path.exec(path)?.slice(1) ?? []
    answer = await play(state, route, arrival, { params, nameOrId: name ?? Number(id) })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { status, message, headers } = error
    answer = { status, headers, body: errorShape(status, message) }
  }
  violations.push(...(answer.violations ?? []), ...checkRequest(route.operation, arrival.body ?? {}))
  // Sent as JSON, so checked as JSON: an undefined field is a field that is missing.
  const sent: unknown = JSON.parse(JSON.stringify(answer.body))
  if (answer.checked !== false) violations.push(...checkAnswer(route.operation, answer.status, sent))
  return answer
}

async function play(
  state: State,
  route: Route,
  arrival: Arrival,
  { params, nameOrId }: { params: string[]; nameOrId: string | number },
): Promise<Answer> {
  const body = (arrival.body ?? {}) as Record<string, unknown>
  const request: Request<undefined> = { ...arrival, state, params, body, found: undefined }
  if (route.auth === 'none') return route.run(request)
  const credentials = credentialsOf(arrival.headers.authorization)
  if (route.auth === 'app') {
    requireApp(state, credentials)
    requireJson(arrival)
    if (route.scope === 'global') return route.run(request)
    const repository = requireRepository(state, nameOrId)
    return moved(state, repository, arrival, nameOrId) ?? route.run({ ...request, found: { repository } })
  }

  const token = requireToken(state, credentials)
  if (route.scope === 'global') {
    requireJson(arrival)
    return route.run({ ...request, found: { token } })
  }
  const repository = requireRepository(state, nameOrId)
  requireVisible(token, repository)
  const redirect = moved(state, repository, arrival, nameOrId)
  if (redirect) return redirect
  if (route.contents) requireContents(token, repository, route.contents)
  requireJson(arrival)
  return route.run({ ...request, found: { repository, token } })
}

function requireRepository(state: State, nameOrId: string | number): Repository {
  const repository = state.findRepository(nameOrId)
  if (!repository) throw new Refusal(404, 'Not Found')
  return repository
}

function requireJson({ malformed }: Arrival): void {
  if (malformed) throw new Refusal(400, 'Problems parsing JSON')
}

/** The redirect that an old name of a renamed repository meets. */
function moved(
  state: State,
  repository: Repository,
  { method, rawPath = '', query }: Arrival,
  nameOrId: string | number,
): Answer | undefined {
  if (typeof nameOrId === 'number') return undefined
  if (nameOrId.toLowerCase() === repository.fullName.toLowerCase()) return undefined
  const rest = REPOSITORY_PATH.exec(rawPath)?.[3] ?? ''
  const search = query.size > 0 ? `?${query}` : ''
  const url = `${state.apiUrl}/repositories/${repository.id}${rest}${search}`
  const { documentation_url } = errorShape(301, '')
  return {
    status: method === 'GET' ? 301 : 307,
    headers: { location: url },
    body: { message: 'Moved Permanently', url, documentation_url },
  }
}
