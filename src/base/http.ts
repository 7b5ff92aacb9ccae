// A fetch over node:https, in the shape that Octokit takes as `request.fetch`. The built-in fetch costs a process
// that lives this shortly 130 ms and 35 MB, node-fetch 40 ms; and neither bounds an attempt as a whole, keeps the
// method across a renamed repository's 301, or notices a body that was cut off.
import http from 'node:http'
import https from 'node:https'
import { gunzipSync } from 'node:zlib'
import { systemClock } from './clock.ts'
import { EarlyAgent } from './early-agent.ts'
import { codeOf, messageOf } from './errors.ts'
import { HttpError, prospectOf, refusalOfProxy, TooLargeError } from './http-error.ts'

const MAX_REDIRECTS = 5
const MAX_BODY_BYTES = 32 * 1024 * 1024

export interface HttpRequest {
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string | undefined
  /** the attempt as a whole: name, connection, redirects and the last byte of the body */
  timeoutMs: number
  /** A larger answer is an error; default: 32 MB. */
  maxBytes?: number
}

/** As much of a `Response` as Octokit reads. The body has arrived whole. */
export interface HttpResponse {
  status: number
  /** where the answer came from, after redirects */
  url: string
  /** names in lower case */
  headers: ReadonlyMap<string, string>
  text(): Promise<string>
}

export interface Http {
  /**
   * One attempt: no retries. Follows redirects with the same method and body: a write only within one origin, a read over https
   * to others as well, without the authorization.
   *
   * @throws HttpError if no whole answer came
   */
  fetch(url: string, request: HttpRequest): Promise<HttpResponse>
  /** Ends the connections that are kept open, which would keep the process alive. */
  close(): void
}

export interface ConnectingHttp extends Http {
  /**
   * Opens connections to the origin of an https URL before there is a request for them. If that fails, the request finds
   * out. Does nothing if there is a proxy. Resolves when the connections are under way.
   */
  connect(url: string, connections: number): Promise<void>
}

export function createHttp(env: Readonly<Record<string, string | undefined>>): ConnectingHttp {
  const agents = new Map<string, Promise<http.Agent>>()

  function agentFor(url: URL): Promise<http.Agent> {
    let agent = agents.get(url.origin)
    if (!agent) {
      agent = createAgent(url, env)
      agents.set(url.origin, agent)
    }
    return agent
  }

  return {
    async fetch(url, request) {
      const endsAt = systemClock.elapsed() + request.timeoutMs
      const { method = 'GET', body, maxBytes = MAX_BODY_BYTES } = request
      let headers: Readonly<Record<string, string>> = request.headers ?? {}
      let at = new URL(url)
      for (let redirects = 0; ; redirects++) {
        const timeoutMs = Math.max(1, endsAt - systemClock.elapsed())
        const response = await exchange(
          at,
          { method, headers, body, timeoutMs, maxBytes },
          await agentFor(at),
        )
        const location = response.headers.get('location')
        if (location === undefined || ![301, 302, 307, 308].includes(response.status)) return response
        const next = redirection(at, location, redirects)
        if (next.origin !== at.origin) {
          if (method !== 'GET')
            throw new HttpError(`${at.host} redirects to another host`, { retry: 'useless' })
          headers = withoutAuthorization(headers)
        }
        at = next
      }
    },
    async connect(url, connections) {
      const to = new URL(url)
      // if the agent cannot be made, the first request says why
      const agent = await agentFor(to).catch(() => undefined)
      if (agent instanceof EarlyAgent) agent.connect(to, connections)
    },
    close() {
      for (const agent of agents.values()) {
        agent.then(
          open => open.destroy(),
          () => {}, // the request that wanted it has failed with that
        )
      }
    },
  }
}

function redirection(from: URL, location: string, followed: number): URL {
  if (followed >= MAX_REDIRECTS) {
    throw new HttpError(`${from.host} redirects more than ${MAX_REDIRECTS} times`, { retry: 'useless' })
  }
  if (!URL.canParse(location, from.href))
    throw new HttpError(`${from.host} redirects to no URL`, { retry: 'useless' })
  const to = new URL(location, from)
  if (to.protocol !== 'https:' && to.protocol !== from.protocol) {
    throw new HttpError(`${from.host} redirects to ${to.protocol}`, { retry: 'useless' })
  }
  return to
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
  )
}

/** Straight to the host, or through the proxy of `https_proxy`. The proxy's code is loaded only if there is one. */
async function createAgent(url: URL, env: Readonly<Record<string, string | undefined>>): Promise<http.Agent> {
  if (url.protocol === 'http:') return new http.Agent({ keepAlive: true })
  const proxy = findProxy(env)
  if (proxy !== undefined) {
    const { getProxyForUrl } = await import('proxy-from-env')
    // asked for no_proxy alone: a proxy without a scheme it would take for https, and everybody means http
    if (getProxyForUrl(url.href) !== '') {
      const { HttpsProxyAgent } = await import('https-proxy-agent')
      return new HttpsProxyAgent(parseProxy(proxy), { keepAlive: true })
    }
  }
  return new EarlyAgent({ keepAlive: true })
}

/** The proxy for https URLs; `no_proxy` says for which hosts it is not used. */
function findProxy(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY || undefined
}

/** Its value may hold a password and is not shown. */
function parseProxy(proxy: string): URL {
  const url = proxy.includes('://') ? proxy : `http://${proxy}`
  if (!/^https?:/i.test(url) || !URL.canParse(url)) {
    throw new HttpError('https_proxy is no URL of an http or https proxy', { retry: 'useless' })
  }
  return new URL(url)
}

/** What https-proxy-agent tells of a proxy's answer to CONNECT. */
interface ProxyAnswer {
  statusCode?: number
  statusText?: string
}

function exchange(
  url: URL,
  { method, headers, body, timeoutMs, maxBytes }: HttpRequest & { maxBytes: number },
  agent: http.Agent,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const { request: open } = url.protocol === 'https:' ? https : http
    const request = open(url, {
      method,
      agent,
      headers: {
        ...headers,
        'accept-encoding': 'gzip',
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
    })
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(
        error instanceof HttpError
          ? error
          : new HttpError(reason(error), { cause: error, ...prospectOf(error) }),
      )
    }
    // not left to the request: one that still waits for its connection (a silent proxy) keeps its error to itself
    const giveUp = (error: HttpError) => {
      fail(error)
      request.destroy()
    }
    const timer = setTimeout(
      () => giveUp(new HttpError(`no answer within ${Math.ceil(timeoutMs / 1000)} s`)),
      timeoutMs,
    )
    request.on('error', fail)
    // else the proxy's refusal would be taken for an answer of the host
    request.on('proxyConnect', ({ statusCode = 0, statusText = '' }: ProxyAnswer) => {
      if (statusCode === 200) return
      giveUp(refusalOfProxy(statusCode, statusText))
    })
    request.on('response', incoming => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > maxBytes) giveUp(new TooLargeError(maxBytes))
      })
      // an answer that ends before its time is an error here (ECONNRESET, "aborted"), not a shorter body
      incoming.on('error', fail)
      incoming.on('end', () => {
        clearTimeout(timer)
        try {
          resolve(response(url, incoming, Buffer.concat(chunks), maxBytes))
        } catch (error) {
          fail(error as Error)
        }
      })
    })
    request.end(body)
  })
}

function response(url: URL, incoming: http.IncomingMessage, raw: Buffer, maxBytes: number): HttpResponse {
  const headers = new Map<string, string>()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, String(value))
  }
  const text = (headers.get('content-encoding') === 'gzip' ? unzip(raw, maxBytes) : raw).toString('utf8')
  return { status: incoming.statusCode ?? 0, url: url.href, headers, text: () => Promise.resolve(text) }
}

function unzip(raw: Buffer, maxBytes: number): Buffer {
  try {
    return gunzipSync(raw, { maxOutputLength: maxBytes })
  } catch (error) {
    throw codeOf(error) === 'ERR_BUFFER_TOO_LARGE' ? new TooLargeError(maxBytes) : error
  }
}

/** Node's own words for a lost connection, in plainer ones. */
const PLAINER: Readonly<Record<string, string>> = {
  'socket hang up': 'the connection was closed before an answer',
  aborted: 'the connection was closed in the middle of the answer',
}

/** Node tries every address of a host and then says nothing but "AggregateError". */
function reason(error: Error): string {
  const errors = error instanceof AggregateError ? error.errors : [error]
  return (
    errors
      .map(messageOf)
      .map(message => PLAINER[message] ?? message)
      .join('; ') || error.name
  )
}
