// A GitHub for tests: its REST API and a little GraphQL over HTTP, with a real bare git repository behind each of its
// repositories, so that git itself answers what is an ancestor; or a graph in memory, for tests that ask thousands of times.
// Messages and shapes are GitHub's own.

import { generateKeyPairSync } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Http } from '../../../src/base/http.ts'
import { credentialsOf, looksLikeJwt } from './auth.ts'
import { type Arrival, answerOf } from './dispatch.ts'
import { type Fault, Faults } from './faults.ts'
import { answerBrowser, type Creation, isWebPage } from './manifest.ts'
import { answerInstead, answerSpoilt, packAnswer, readBody, send, sendHalf, sendSlowly } from './send.ts'
import { type Permissions, type RepositoryOptions, State, type TestRepository } from './state.ts'

export type { Fault } from './faults.ts'
export type { Activity, CommitOptions, Permissions, RefMove, TestRepository } from './state.ts'

export interface RequestRecord {
  method: string
  /** Decoded, without the base path and the query string. */
  path: string
  /** As it came over the wire. */
  rawUrl: string
  query: Record<string, string>
  headers: Record<string, string | undefined>
  /** The parsed JSON, or `undefined` if there was none. */
  body: unknown
  /** Of the answer; `undefined` while there is none, and if the connection was cut before it. */
  status: number | undefined
  /** What the token that came with the request may do. */
  tokenPermissions?: Permissions
}

export interface TestGitHub {
  /** `http://127.0.0.1:PORT` and the base path. */
  readonly apiUrl: string
  readonly app: {
    id: number
    clientId: string
    slug: string
    privateKeyPem: string
    privateKeyPkcs8Pem: string
  }
  /** `GET /repos/alice/dotfiles`, every arrival in its order, redirected and faulted ones too. */
  readonly requests: string[]
  readonly records: RequestRecord[]
  /** Every line of the private keys, every JWT seen and every token handed out. */
  readonly secrets: string[]
  /** What GitHub's schemas, or the manners of a client, were broken by. */
  readonly violations: string[]
  /** Whether each request must name the API's version and the program (default true). */
  strictClient: boolean
  /** Whether page 2 of a comparison of at most one commit lacks its `status` (default false). */
  comparePageTwoWithoutStatus: boolean
  /** The Apps that a browser created from a manifest. */
  readonly creations: Creation[]
  readonly tokens: {
    /** From now on the installation tokens handed out so far are refused. */
    expireAll(): void
    /** As `expireAll`, and the tokens that `addToken` registered too. */
    revokeAll(): void
  }
  /** Installed for the App, on an account that grants it contents, workflows and metadata. */
  createRepository(fullName: string, options?: RepositoryOptions): Promise<TestRepository>
  /** A personal token, which sees every repository. */
  addToken(token: string, permissions?: Permissions): void
  /** A way to it without a socket, for tests that ask hundreds of thousands of times. It has no faults, and keeps no log. */
  inProcess(): Http
  fault(fault: Fault): void
  clearRequests(): void
  /** Until every request that has arrived has had its effect, also those whose client is gone. */
  idle(): Promise<void>
  close(): Promise<void>
}

export interface GitHubOptions {
  /** `''`, or `/api/v3` as on GitHub Enterprise Server. */
  basePath?: string
  appId?: number
  clientId?: string
  slug?: string
  /** How far GitHub's clock is ahead of ours. */
  clockSkewSeconds?: number
  /** Over TLS, at `https://localhost:PORT`. */
  tls?: { cert: string; key: string }
  /** Sent with each answer. */
  moreHeaders?: Record<string, string>
}

const PERSONAL: Permissions = { contents: 'write', workflows: 'write', metadata: 'read' }

type Keys = ReturnType<typeof newKeys>
const newKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
let known: Keys | undefined

// A key takes a quarter of a second to make, so all GitHubs of a process share one.
function keys(): Keys {
  known ??= newKeys()
  return known
}

export async function startGitHub(options: GitHubOptions = {}): Promise<TestGitHub> {
  const { basePath = '', clockSkewSeconds = 0, moreHeaders } = options
  const { publicKey, privateKey } = keys()
  const app = {
    id: options.appId ?? 424_242,
    clientId: options.clientId ?? 'Iv23liTestTestTest00',
    slug: options.slug ?? 'hydra-channels-test',
    privateKeyPem: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    privateKeyPkcs8Pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  const directory = await mkdtemp(join(tmpdir(), 'test-github-'))
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  const faults = new Faults()
  const pending = new Set<Promise<void>>()
  let arrivals = 0
  const listener: RequestListener = (request, response) => {
    // a browser has no manners
    const answered = isWebPage(request.url)
      ? answerBrowser(state, request, response)
      : handle(request, response)
    const handled = answered.finally(() => pending.delete(handled))
    pending.add(handled)
  }
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener)
  // a client that is slow on a busy machine must not find its connection closed
  server.keepAliveTimeout = 0
  const host = options.tls ? 'localhost' : '127.0.0.1'
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const origin = `${options.tls ? 'https' : 'http'}://${host}:${port}`
  const apiUrl = `${origin}${basePath}`
  const state = new State({ app: { ...app, publicKey }, apiUrl, directory, clockSkewSeconds })
  for (const pem of [app.privateKeyPem, app.privateKeyPkcs8Pem]) {
    state.secrets.push(...pem.split('\n').filter(line => line.length >= 32 && !line.startsWith('-')))
  }

  const github: TestGitHub = {
    apiUrl,
    app,
    requests: [],
    records: [],
    secrets: state.secrets,
    violations: [],
    get creations() {
      return [...state.creations.values()]
    },
    strictClient: true,
    get comparePageTwoWithoutStatus() {
      return state.comparePageTwoWithoutStatus
    },
    set comparePageTwoWithoutStatus(without) {
      state.comparePageTwoWithoutStatus = without
    },
    tokens: {
      expireAll() {
        for (const token of state.tokens.values()) if (token.installation) token.expiresAt = 0
      },
      revokeAll: () => state.tokens.clear(),
    },
    createRepository: (fullName, options) => state.createRepository(fullName, options),
    inProcess: () => ({
      async fetch(url, { method = 'GET', headers = {}, body = '' }) {
        const arrival = arrivalOf(method, url.slice(origin.length), headers)
        if (body !== '') arrival.body = JSON.parse(body)
        const answer = await answerOf(state, arrival, github.violations)
        const text = JSON.stringify(answer.body)
        return { status: answer.status, url, headers: new Map(), text: async () => text }
      },
      close: () => {},
    }),
    addToken(value, permissions = { ...PERSONAL }) {
      state.addToken({
        value,
        permissions,
        installation: undefined,
        repositoryIds: undefined,
        expiresAt: Infinity,
      })
    },
    fault: fault => faults.add(fault),
    clearRequests() {
      github.requests.length = 0
      github.records.length = 0
    },
    async idle() {
      await Promise.all(pending)
    },
    async close() {
      closing.abort()
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
      await Promise.all(pending)
      await rm(directory, { recursive: true, force: true })
    },
  }
  return github

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { record, arrival } = arrive(request)
    try {
      const text = await readBody(request)
      if (text === undefined) return
      arrival.body = parseJson(text)
      arrival.malformed = text !== '' && arrival.body === undefined
      record.body = arrival.body
      await answer(record, arrival, response)
    } catch (error) {
      if (closing.signal.aborted) return
      github.violations.push(
        `${record.method} ${record.path}: ${error instanceof Error ? error.stack : error}`,
      )
      response.destroy()
    }
  }

  function arrive(request: IncomingMessage): { record: RequestRecord; arrival: Arrival } {
    const { url: rawUrl = '/', method = 'GET' } = request
    const headers = request.headers as Record<string, string | undefined>
    const arrival = arrivalOf(method, rawUrl, headers)
    const { path, query } = arrival
    const credentials = credentialsOf(headers.authorization)
    const token = credentials === undefined ? undefined : state.tokens.get(credentials)
    const record: RequestRecord = {
      method,
      path,
      rawUrl,
      query: Object.fromEntries(query),
      headers,
      body: undefined,
      status: undefined,
      ...(token && { tokenPermissions: token.permissions }),
    }
    arrivals++
    github.requests.push(`${method} ${path}`)
    github.records.push(record)
    if (credentials && looksLikeJwt(credentials) && !state.secrets.includes(credentials)) {
      state.secrets.push(credentials)
    }
    if (github.strictClient) github.violations.push(...badManners(record))
    return { record, arrival }
  }

  function arrivalOf(
    method: string,
    rawUrl: string,
    headers: Readonly<Record<string, string | undefined>>,
  ): Arrival {
    const [pathAndBase = '', search = ''] = rawUrl.split(/\?(.*)/s)
    const rawPath = pathInside(pathAndBase, basePath)
    const path = decode(rawPath ?? pathAndBase)
    const query = new URLSearchParams(search)
    return { method, path, rawPath, query, headers, body: undefined, malformed: false }
  }

  async function answer(record: RequestRecord, arrival: Arrival, response: ServerResponse): Promise<void> {
    const { method, path, rawUrl, headers } = record
    const { fault, beforeAnswer } = await faults.meet(method, path, closing.signal)
    if (fault?.kind === 'silence') return
    if (fault?.kind === 'drop' && fault.when === 'before') return void response.destroy()

    const instead = fault && answerInstead(fault, { method, url: `${origin}${rawUrl}` })
    const proper = instead ?? (await answerOf(state, arrival, github.violations))
    await beforeAnswer()
    if (fault?.kind === 'drop') return void response.destroy()

    const pack = { acceptEncoding: headers['accept-encoding'], nowMs: state.now(), used: arrivals }
    const spoilt = answerSpoilt(fault, proper)
    const packed = packAnswer({ ...spoilt, headers: { ...moreHeaders, ...spoilt.headers } }, pack)
    record.status = packed.status
    if (fault?.kind === 'truncate') sendHalf(response, packed)
    else if (fault?.kind === 'trickle') sendSlowly(response, packed, fault.ends)
    else send(response, packed)
  }
}

/** GraphQL is beside an Enterprise Server's `/api/v3`, not in it: https://HOST/api/graphql. */
function pathInside(path: string, basePath: string): string | undefined {
  if (basePath === '/api/v3') {
    if (path === '/api/graphql') return '/graphql'
    if (path === '/api/v3/graphql') return undefined
  }
  return path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : undefined
}

/** The branches that a request would move. */
export function writtenBranches({ method, path, body }: RequestRecord): string[] {
  const {
    ref = '',
    query = '',
    variables,
  } = (body ?? {}) as {
    ref?: string
    query?: string
    variables?: { input: { refUpdates: { name: string }[] } }
  }
  const refs = query.startsWith('mutation')
    ? (variables?.input.refUpdates ?? []).map(({ name }) => name)
    : method === 'PATCH'
      ? [path.replace(/^.*\/git\//, '')]
      : method === 'POST' && path.endsWith('/git/refs')
        ? [ref]
        : []
  return refs.map(name => name.slice('refs/heads/'.length))
}

function badManners({ method, path, headers }: RequestRecord): string[] {
  const version = headers['x-github-api-version']
  const agent = headers['user-agent']
  return [
    ...(version === '2022-11-28' ? [] : [`${method} ${path}: X-GitHub-Api-Version is ${version}`]),
    ...(/^hydra-channels\/\d/.test(agent ?? '') ? [] : [`${method} ${path}: User-Agent is ${agent}`]),
  ]
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
