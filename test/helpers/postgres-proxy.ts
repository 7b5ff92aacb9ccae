// Between a client and a real PostgreSQL: knows where one message ends and the next begins, so that a connection ends, or
// falls silent, at each of its rounds in turn. A round is what PostgreSQL answers as a whole: the greeting is the first, and
// each query is one more. The protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestHydra } from './hydra.ts'

/** What becomes of a connection in a round. */
export const CUTS = [
  'before the answer',
  'in the middle of the answer',
  'after the answer',
  /** by pg_terminate_backend, before the server has the query */
  'terminated',
  /** nothing is heard of it any more, and it stays open */
  'silent',
] as const

export type Cut = (typeof CUTS)[number]

export interface Point {
  /** the first connection is 0 */
  connection: number
  /** the greeting is 0 */
  round: number
  cut: Cut
}

export interface PostgresProxy {
  /** for a connection's `host` */
  directory: string
  /** the texts of each connection's queries, one for each round; '' for the greeting */
  rounds: string[][]
  close(): Promise<void>
}

export interface ProxyOptions {
  /** where a connection is cut; default: nowhere */
  point?: Point
  /** what a statement may take instead of what the client says; 5 digits at most */
  statementTimeoutMs?: number
}

interface Message {
  /** a letter; '' for the first message of a client, which has none */
  type: string
  bytes: Buffer
}

/** Splits a stream into messages: a letter, the length in four bytes, which counts itself, and the rest. */
function createSplitter(first: 'has no letter' | 'has a letter'): (chunk: Buffer) => Message[] {
  let left = Buffer.alloc(0)
  let letter = first === 'has no letter' ? 0 : 1
  return chunk => {
    left = Buffer.concat([left, chunk])
    const messages: Message[] = []
    while (left.length >= letter + 4) {
      const length = letter + left.readInt32BE(letter)
      if (left.length < length) break
      messages.push({ type: left.subarray(0, letter).toString(), bytes: left.subarray(0, length) })
      left = left.subarray(length)
      letter = 1
    }
    return messages
  }
}

/** One for each run: a connection that an earlier one gave up may still be on its way here, and would be counted. */
export async function startPostgresProxy(
  hydra: TestHydra,
  { point, statementTimeoutMs }: ProxyOptions = {},
): Promise<PostgresProxy> {
  const directory = mkdtempSync(join(tmpdir(), 'hc-pgproxy-'))
  const sockets = new Set<Socket>()
  let connections = 0
  const proxy: PostgresProxy = {
    directory,
    rounds: [],
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
      rmSync(directory, { recursive: true })
    },
  }
  const keep = (socket: Socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.on('close', () => sockets.delete(socket))
    return socket
  }

  const server = createServer(client => {
    keep(client)
    const upstream = keep(connect(join(hydra.socketDirectory, '.s.PGSQL.5432')))
    const mine = point?.connection === connections++ ? point : undefined
    const rounds: string[] = ['']
    const statements = new Map<string, string>()
    proxy.rounds.push(rounds)
    const at = (round: number, ...cuts: Cut[]) =>
      mine !== undefined && mine.round === round && cuts.includes(mine.cut)
    const end = (last: Uint8Array = new Uint8Array()) => {
      client.end(last)
      upstream.destroy()
    }

    let pid = 0
    let silent = false
    let terminated = false
    let asked = 0
    const fromClient = createSplitter('has no letter')
    client.on('data', chunk => {
      for (const { type, bytes } of fromClient(chunk)) {
        if (silent || client.writableEnded) return
        if (at(asked, 'silent')) {
          silent = true
          return
        }
        if (at(asked, 'terminated')) {
          // what is asked after this is the server's to refuse
          if (!terminated) hydra.sql`select pg_terminate_backend(${pid})`.catch(() => {})
          terminated = true
          return
        }
        if (type === 'P') {
          const [name = '', text = ''] = textsOf(bytes)
          statements.set(name, text)
        }
        if (type === 'B') rounds[asked] = statements.get(textsOf(bytes)[1] ?? '') ?? ''
        upstream.write(type === '' ? withLimit(bytes, statementTimeoutMs) : bytes)
        if (type === 'S' || type === '') asked++
      }
    })
    let answered = 0
    const fromServer = createSplitter('has a letter')
    upstream.on('data', chunk => {
      for (const { type, bytes } of fromServer(chunk)) {
        if (silent || client.writableEnded) return
        if (type === 'K') pid = bytes.readInt32BE(5)
        if (at(answered, 'before the answer')) return end()
        // the first row, or else the word that there is none; before that the client has still to say something
        if (at(answered, 'in the middle of the answer') && /[RDC]/.test(type))
          return end(bytes.subarray(0, bytes.length >> 1))
        client.write(bytes)
        if (type !== 'Z') continue
        if (at(answered, 'after the answer')) return end()
        answered++
      }
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => {
      if (!silent) client.end()
    })
  })
  await new Promise<void>(resolve => server.listen(join(directory, '.s.PGSQL.5432'), resolve))
  return proxy
}

/** A message of texts, each of which ends with a zero: Parse has a statement's name and text, Bind a portal's and a statement's name. */
function textsOf(bytes: Buffer): string[] {
  const texts = bytes.subarray(5).toString().split('\0')
  return texts.map(text => text.replace(/\s+/g, ' ').trim())
}

/** The client says in its greeting how long a statement may take; the length of the greeting stays. */
function withLimit(greeting: Buffer, ms: number | undefined): Buffer {
  const text = greeting.toString('latin1')
  const found = /statement_timeout\0(\d+)\0/.exec(text)
  if (ms === undefined || !found?.[1] || found[1] === '0') return greeting
  const spaces = ' '.repeat(found[1].length - String(ms).length)
  return Buffer.from(text.replace(found[0], `statement_timeout\0${spaces}${ms}\0`), 'latin1')
}
