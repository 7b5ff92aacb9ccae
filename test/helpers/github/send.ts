// How an answer goes over the wire: GitHub's headers, gzip, and the ways in which it can go wrong there.

import { randomBytes } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { gzipSync } from 'node:zlib'
import type { FinalFault } from './faults.ts'
import type { Answer } from './routes.ts'
import { errorShape } from './shapes.ts'

const LIMIT = 5000

export interface Outgoing {
  status: number
  headers: Record<string, string>
  payload: Buffer
}

/** The text of the body, or `undefined` when the client went away before it was whole. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString()
}

/** `nowMs` is the server's clock, `used` the number of requests so far. */
export function packAnswer(
  answer: Answer,
  { acceptEncoding = '', nowMs, used }: { acceptEncoding: string | undefined; nowMs: number; used: number },
): Outgoing {
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  const zipped = /\bgzip\b/.test(acceptEncoding)
  const payload = zipped ? gzipSync(text) : Buffer.from(text)
  const requestId = [2, 3, 3, 3, 4].map(bytes => randomBytes(bytes).toString('hex').toUpperCase()).join(':')
  const headers = {
    date: new Date(nowMs).toUTCString(),
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'private, max-age=60, s-maxage=60',
    vary: 'Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With',
    'x-github-media-type': 'github.v3; format=json',
    'x-github-api-version-selected': '2022-11-28',
    'x-ratelimit-limit': String(LIMIT),
    'x-ratelimit-remaining': String(Math.max(0, LIMIT - used)),
    'x-ratelimit-reset': String(Math.floor(nowMs / 1000) + 3600),
    'x-ratelimit-used': String(used),
    'x-ratelimit-resource': 'core',
    'x-github-request-id': requestId,
    ...(zipped && { 'content-encoding': 'gzip' }),
    ...lowerCased(answer.headers ?? {}),
    'content-length': String(payload.length),
  }
  return { status: answer.status, headers, payload }
}

const lowerCased = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

export function send(response: ServerResponse, { status, headers, payload }: Outgoing): void {
  response.writeHead(status, headers).end(payload)
}

/** Promises the whole and cuts the connection after half of it. */
export function sendHalf(response: ServerResponse, { status, headers, payload }: Outgoing): void {
  response.writeHead(status, headers)
  response.write(payload.subarray(0, payload.length >> 1), () => response.destroy())
}

const TRICKLE_MS = 2

/**
 * A byte at a time, from the first one of the headers on. `late`: the body alone, and so slowly that it takes far longer
 * than a short attempt, and is whole in the end for a client that counts each byte as a sign of life.
 */
export function sendSlowly(
  { socket }: ServerResponse,
  { status, headers, payload }: Outgoing,
  ends: 'in time' | 'late',
): void {
  if (!socket) return
  const lines = Object.entries({ ...headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  const head = Buffer.from([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', ''].join('\r\n'))
  if (ends === 'late') socket.write(head)
  const bytes = ends === 'late' ? payload : Buffer.concat([head, payload])
  let sent = 0
  const next = () => {
    if (socket.destroyed) return
    socket.write(bytes.subarray(sent, ++sent))
    if (sent === bytes.length) socket.end()
    else if (ends === 'late') setTimeout(next, TRICKLE_MS)
    else setImmediate(next)
  }
  next()
}

const PAGE = '<!DOCTYPE html><html><body><h1>Whoa there!</h1></body></html>'
const asHtml = { 'content-type': 'text/html; charset=utf-8' }

/** What is sent although nothing happened; `undefined` if the request takes effect first. */
export function answerInstead(
  fault: FinalFault,
  { method, url }: { method: string; url: string },
): Answer | undefined {
  if (fault.kind === 'redirect-loop') {
    const { documentation_url } = errorShape(301, '')
    const body = { message: 'Moved Permanently', url, documentation_url }
    return { status: method === 'GET' ? 301 : 307, headers: { location: url }, body }
  }
  if (fault.kind !== 'status') return undefined
  const { status, body = errorShape(status, STATUS_CODES[status] ?? 'Unknown'), headers = {} } = fault
  return { status, body, headers: { ...(typeof body === 'string' && asHtml), ...headers } }
}

/** What becomes of an answer on its way. */
export function answerSpoilt(fault: FinalFault | undefined, answer: Answer): Answer {
  if (fault?.kind === 'garbage') return { status: 200, body: '{"ref": "refs/heads/' }
  if (fault?.kind === 'html') return { status: 200, body: PAGE, headers: asHtml }
  return answer
}
