// One way to ask GitHub: Octokit with the API version pinned, every attempt and the whole bounded in time. Reads are
// retried after 5xx and lost connections, and obey limits. A write is sent once: whether another one is sent, the engine
// decides anew (channels/advance.ts). The token comes from app.ts, the meaning of refusals from refusal.ts.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
import type { Octokit as Core } from '@octokit/core'
import type { OctokitOptions } from '@octokit/core/types'
import { retry } from '@octokit/plugin-retry'
import { RequestError } from '@octokit/request-error'
import { Octokit } from '@octokit/rest'
import packageJson from '../../package.json' with { type: 'json' }
import { systemClock } from '../base/clock.ts'
import type { Deadline } from '../base/deadline.ts'
import { LATER, LimitError, messageOf } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { HttpError } from '../base/http-error.ts'
import type { NotAnswered } from '../channels/forge.ts'

export const USER_AGENT = `hydra-channels/${packageJson.version}`

/** Supported until 2028-03. Octokit itself sends none. */
export const API_VERSION = '2022-11-28'

/** Refusals that refs.ts takes for an answer. */
const READ_BY_MESSAGE = [404, 409, 422]

/** plugin-retry's own list, and 409 and 429: those are decided here, because it does not know `retry-after`. */
const DO_NOT_RETRY = [400, 401, 403, 404, 409, 410, 422, 429, 451]

/** Octokit's `request` option of a write to a branch. */
export const SEND_ONCE = { sendOnce: true }

/** A write is sent again at most so often after a lost answer or a refused token. A limit may last longer. */
const MAX_RESENDS = 3

export interface RequestOptions {
  http: Http
  apiUrl: string
  attemptTimeoutMs: number
  deadline: Deadline
  /** what plugin-retry's 1, 4 and 9 are multiplied with, and the seconds of a limit; 1,000 outside of tests */
  secondMs: number
  /** called before each wait for a limit, or after a write that was not answered */
  onWait?: (seconds: number) => void
}

export type GitHubClient = InstanceType<typeof Client>

// Plugins wrap each other from the inside out: limits first says how long to wait, then retry waits.
const Client = Octokit.plugin(limits, retry)

/** An Octokit without authentication; `more` adds one. */
export function createClient(options: RequestOptions, more: Record<string, unknown> = {}): GitHubClient {
  // the log is ours alone: Octokit would write every failed or deprecated request to it
  const silent = () => {}
  const log = { debug: silent, info: silent, warn: silent, error: silent }
  const client = new Client({
    baseUrl: options.apiUrl,
    request: { fetch: fetchFor(options), log },
    retry: { doNotRetry: DO_NOT_RETRY, retryAfterBaseValue: options.secondMs },
    limits: options,
    log,
    ...more,
  })
  client.hook.before('request', request => {
    request.headers['user-agent'] = USER_AGENT
    request.headers['x-github-api-version'] = API_VERSION
    // all requests of a client share this object, and plugin-retry counts in it
    const retries = isSentOnce(request) ? 0 : undefined
    request.request = { ...request.request, retryCount: 0, retries }
  })
  return client
}

export function isSentOnce({ request }: { request?: object }): boolean {
  return (request as Partial<typeof SEND_ONCE> | undefined)?.sendOnce === true
}

interface FetchInit {
  method: string
  headers: Record<string, string>
  body?: string
}

function fetchFor({ http, attemptTimeoutMs, deadline }: RequestOptions) {
  return async (url: string, { method, headers, body }: FetchInit) => {
    const remainingMs = deadline.remainingMs()
    if (remainingMs <= 0) throw new DeadlineError()
    const timeoutMs = Math.min(attemptTimeoutMs, remainingMs)
    const response = await http.fetch(url, { method, headers, body, timeoutMs }).catch(error => {
      // a timer may be a millisecond early
      throw deadline.remainingMs() <= 1 ? new DeadlineError({ cause: error }) : error
    })
    const { status } = response
    const json = isJson(await response.text())
    // Octokit would hand on half of an answer, a proxy's page or an odd redirect as if it were data, and a page with
    // status 404 would be read as "there is no such branch"
    if ((status < 300 || READ_BY_MESSAGE.includes(status)) && !json) {
      throw new HttpError(`the answer (status ${status}) is not JSON`)
    }
    if (status >= 300 && status < 400) throw new HttpError(`the answer has the status ${status}`)
    // Octokit goes by the type, and may know nothing to do with a proxy's
    const type = json ? 'application/json' : 'text/plain'
    return { ...response, headers: new Map([...response.headers, ['content-type', type]]) }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The time of the GitHub part is over. Octokit hands an `AbortError` on as it is, and plugin-retry does not retry it. */
export class DeadlineError extends LimitError {
  override name = 'AbortError'

  constructor(options: ErrorOptions = {}) {
    super('GitHub did not answer in the time that was left (github.deadlineSeconds)', {
      hint: LATER,
      ...options,
    })
  }
}

declare module '@octokit/core/types' {
  interface OctokitOptions {
    limits?: Pick<RequestOptions, 'deadline' | 'secondMs' | 'onWait'>
  }
}

function limits(octokit: Core, { limits: options }: OctokitOptions): Record<string, never> {
  if (!options) return {}
  const { deadline, secondMs, onWait } = options
  octokit.hook.error('request', (error, request) => {
    if (!(error instanceof RequestError) || isSentOnce(request)) throw error
    const waited = (request.request as { retryCount?: number }).retryCount ?? 0
    const asked = limitSeconds(error)
    if (asked !== undefined) {
      // a limit that is still there after a wait is asked more and more seldom
      const seconds = Math.max(asked, waited ** 2)
      if (seconds * secondMs >= deadline.remainingMs()) {
        throw new RateLimitError(
          messageOfAnswer(error),
          { asked, waits: seconds > asked ? waited : 0 },
          error,
        )
      }
      onWait?.(seconds)
      const { retry } = octokit as Core & ReturnType<typeof import('@octokit/plugin-retry').retry>
      throw retry.retryRequest(error, waited + 1, seconds)
    }
    const useless =
      (error.cause instanceof HttpError && error.cause.retry === 'useless') || isNotCompared(error)
    // a retry that begins after the deadline is only a later failure
    if (useless || (waited + 1) ** 2 * secondMs >= deadline.remainingMs()) request.request.retries = 0
    throw error
  })
  return {}
}

/**
 * “Server Error: Sorry, this diff is taking too long to generate.”, or “… is temporarily unavailable due to heavy server
 * load.” Another attempt would take as long.
 */
export function isNotCompared(error: RequestError): boolean {
  return error.status >= 500 && /\bthis diff\b/i.test(messageOfAnswer(error))
}

export class RateLimitError extends LimitError {
  override name = 'RateLimitError'

  constructor(message: string, { asked, waits }: { asked: number; waits: number }, cause: unknown) {
    const reached = `GitHub's rate limit is reached (${message})`
    super(
      waits > 0
        ? `${reached}, and still is after ${waits} waits`
        : `${reached}: it asks to wait ${asked} s, longer than the time left`,
      { hint: LATER, cause },
    )
  }
}

/**
 * How a write goes on that was not answered with success: how long to wait before everything is looked at again.
 * Undefined if another attempt would be refused as well.
 *
 * @param sent how often it was sent before
 * @throws RateLimitError if GitHub asks to wait longer than there is time
 */
export function waitAfterWrite(
  error: unknown,
  sent: number,
  { deadline, secondMs }: Pick<RequestOptions, 'deadline' | 'secondMs'>,
): Omit<NotAnswered, 'kind' | 'error'> | undefined {
  // whether it was carried out we do not know, and there is no time to look: the look says so
  if (error instanceof DeadlineError) return { waitSeconds: 0, mayBeWritten: true, retry: 'useless' }
  const asked = error instanceof RequestError ? limitSeconds(error) : mutationLimitSeconds(error)
  if (asked !== undefined) {
    const waitSeconds = Math.max(asked, sent ** 2)
    if (waitSeconds * secondMs < deadline.remainingMs()) {
      return { waitSeconds, mayBeWritten: false, retry: 'worthwhile' }
    }
    const message = error instanceof RequestError ? messageOfAnswer(error) : messageOf(error)
    throw new RateLimitError(message, { asked, waits: waitSeconds > asked ? sent : 0 }, error)
  }
  if (!(error instanceof RequestError)) return undefined
  // Octokit gives a request without an answer the status 500
  if (error.status < 500) return undefined
  const useless = error.cause instanceof HttpError && error.cause.retry === 'useless'
  const waitSeconds = Math.min(sent + 1, MAX_RESENDS) ** 2
  const retry = useless || sent >= MAX_RESENDS ? 'useless' : 'worthwhile'
  return { waitSeconds: retry === 'useless' ? 1 : waitSeconds, mayBeWritten: true, retry }
}

/** The same after a refused token. `renewed`: another token is on its way. */
export function waitForToken(
  renewed: boolean,
  sent: number,
): Omit<NotAnswered, 'kind' | 'error'> | undefined {
  if (sent >= MAX_RESENDS) return undefined
  return { waitSeconds: renewed ? 0 : sent + 1, mayBeWritten: false, retry: 'worthwhile' }
}

/**
 * How long GitHub asks to wait, in seconds, if it refused because of a primary or secondary limit: `retry-after`,
 * else until `x-ratelimit-reset` when nothing remains, else a minute. Undefined for every other refusal.
 */
export function limitSeconds(error: RequestError): number | undefined {
  if (error.status !== 403 && error.status !== 429) return undefined
  const isLimit = error.status === 429 || LIMIT.test(messageOfAnswer(error))
  return askedSeconds(error.response?.headers ?? {}) ?? (isLimit ? 60 : undefined)
}

type ResponseHeaders = NonNullable<RequestError['response']>['headers']

const LIMIT = /rate limit|abuse detection/i

/** The same of a mutation: GraphQL says so in an answer with status 200 (Octokit's GraphqlResponseError). */
function mutationLimitSeconds(error: unknown): number | undefined {
  const { errors, headers } = error as {
    errors?: { type?: string; message?: string }[]
    headers?: ResponseHeaders
  }
  const isLimit = errors?.some(each => each.type === 'RATE_LIMITED' || LIMIT.test(each.message ?? ''))
  return isLimit ? (askedSeconds(headers ?? {}) ?? 60) : undefined
}

function askedSeconds(headers: ResponseHeaders): number | undefined {
  // by GitHub's clock, which may not be ours
  const now = Date.parse(headers.date ?? '') || systemClock.now()
  const after = headers['retry-after']
  if (after !== undefined) {
    // seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    const seconds = Number.isFinite(Number(after)) ? Number(after) : (Date.parse(String(after)) - now) / 1000
    if (Number.isFinite(seconds)) return Math.max(1, Math.ceil(seconds))
  }
  if (headers['x-ratelimit-remaining'] === '0') {
    const reset = Number(headers['x-ratelimit-reset']) * 1000
    return Number.isFinite(reset) ? Math.max(1, Math.ceil((reset - now) / 1000)) : 60
  }
  return undefined
}

/** Of an address that GitHub has redirected us to: `https://api.github.com/repositories/501/installation`. */
export function repositoryIdOf(url: string): number | undefined {
  const parts = url.split('/')
  const id = parts[parts.indexOf('repositories') + 1] ?? ''
  return parts.includes('repositories') && /^\d+$/.test(id) ? Number(id) : undefined
}

/** GitHub's own words on one line, without the link that Octokit adds; '' if there was no answer. */
export function messageOfAnswer(error: RequestError): string {
  const data: unknown = error.response?.data
  if (typeof data === 'object' && data !== null && 'message' in data) {
    return oneLine(String(data.message).slice(0, MAX_MESSAGE))
  }
  return typeof data === 'string' ? oneLine(textOf(data)).slice(0, 200) : ''
}

/** GitHub's messages have some hundred characters. */
const MAX_MESSAGE = 1_000

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim()

/** Elements that a browser does not show. */
const UNSEEN = ['head', 'style', 'script']

/** A page, without what a browser would not show. It may be of any proxy on the way, so each character is looked at once. */
function textOf(html: string): string {
  const shown: string[] = []
  let unseen: string | undefined
  for (const [index, part] of html.split('<').entries()) {
    const end = part.indexOf('>')
    const tag = index === 0 ? '' : part.slice(0, end < 0 ? undefined : end).toLowerCase()
    if (unseen !== undefined) {
      if (tag === `/${unseen}`) unseen = undefined
      else continue
    } else unseen = UNSEEN.find(name => tag === name || tag.startsWith(`${name} `))
    if (unseen === undefined && (index === 0 || end >= 0)) shown.push(part.slice(index === 0 ? 0 : end + 1))
  }
  return shown.join(' ')
}
