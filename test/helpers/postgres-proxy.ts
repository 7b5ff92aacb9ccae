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
  /** what each connection began with */
  parameters: Record<string, string>[]
  /** of the statements that were prepared under one: it lasts as long as the connection to the server */
  names: string[]
  close(): Promise<void>
}

export interface ProxyOptions {
  /** where a connection is cut; default: nowhere */
  point?: Point
  /** what a statement may take instead of what the client says; 5 digits at most */
  statementTimeoutMs?: number
  /** each client is told another process than it has, as PgBouncer does */
  pooled?: true
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
  { point, statementTimeoutMs, pooled }: ProxyOptions = {},
): Promise<PostgresProxy> {
  const directory = mkdtempSync(join(tmpdir(), 'hc-pgproxy-'))
  const sockets = new Set<Socket>()
  let connections = 0
  const proxy: PostgresProxy = {
    directory,
    rounds: [],
    parameters: [],
    names: [],
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
          if (name !== '') proxy.names.push(name)
        }
        if (type === 'B') rounds[asked] = statements.get(textsOf(bytes)[1] ?? '') ?? ''
        if (type === 'Q') rounds[asked] = textsOf(bytes)[0] ?? ''
        if (type === '') proxy.parameters.push(parametersOf(bytes))
        upstream.write(type === 'Q' ? withLimit(bytes, statementTimeoutMs) : bytes)
        // a query of several statements is one round, too
        if (type === 'S' || type === 'Q' || type === '') asked++
      }
    })
    let answered = 0
    const fromServer = createSplitter('has a letter')
    upstream.on('data', chunk => {
      for (const { type, bytes } of fromServer(chunk)) {
        if (silent || client.writableEnded) return
        if (type === 'K') pid = bytes.readInt32BE(5)
        if (type === 'K' && pooled) bytes.writeUInt32BE(0xfeed_beef, 5)
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

/**
 * A message of texts, each of which ends with a zero: Parse has a statement's name and text, Bind a portal's and a statement's
 * name, Query the text of one or more statements.
 */
function textsOf(bytes: Buffer): string[] {
  const texts = bytes.subarray(5).toString().split('\0')
  return texts.map(text => text.replace(/\s+/g, ' ').trim())
}

/** Of a greeting: after its length and the protocol's version, names and values. */
function parametersOf(greeting: Buffer): Record<string, string> {
  const texts = greeting.subarray(8).toString().split('\0')
  const parameters: Record<string, string> = {}
  for (let at = 0; texts[at]; at += 2) parameters[texts[at] ?? ''] = texts[at + 1] ?? ''
  return parameters
}

/** The client says when a look begins how long a statement may take; the length of the message stays. */
function withLimit(query: Buffer, ms: number | undefined): Buffer {
  const text = query.toString('latin1')
  const found = /statement_timeout = (\d+)/.exec(text)
  if (ms === undefined || !found?.[1] || found[1] === '0') return query
  return Buffer.from(
    text.replace(found[0], `statement_timeout = ${String(ms).padEnd(found[1].length)}`),
    'latin1',
  )
}
