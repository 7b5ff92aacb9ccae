// Hydra's database as the program meets it, for tests of what is said when it cannot be asked: every message goes past a
// search for the password, and nothing may be left behind, no rejection that nobody handles and no late exception.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { inspect } from 'node:util'
import { OperatorError } from '../../src/base/errors.ts'
import type { Connection } from '../../src/hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../../src/hydra/database.ts'
import { findBuild } from '../../src/hydra/queries/build.ts'
import { createHydra, type TestHydra } from './hydra.ts'
import { until } from './until.ts'

export const PASSWORD = 'correct horse battery staple'

/** The begin of every message, of a connection that `configured()` made. */
export const asked = ({ at = 'DIR:5432', database = 'DB', role = 'hydra', source = 'configuration' } = {}) =>
  `cannot ask Hydra's database at ${at}, database ${database}, role ${role} (${source}): `

export const NOT_RUNNING = 'is PostgreSQL running there? The next run tries again'
export const CLOSED = 'is PostgreSQL running there, or was it restarted? The next run tries again'
export const NO_ANSWER = 'is the server busy, or its machine away? The next run tries again'

export type Timeouts = NonNullable<Parameters<typeof openDatabase>[1]>
export const ask = (sql: Sql): Promise<unknown> => findBuild(sql, 1)

/** What a look has to be: read only, without JIT, on one snapshot and with a time limit. */
export async function assertLook(database: Database): Promise<void> {
  const settings = await database.look(async sql => {
    const [row] = await sql`
      select current_setting('transaction_read_only') as read_only, current_setting('jit') as jit,
             current_setting('transaction_isolation') as isolation, current_setting('statement_timeout') as timeout`
    return row
  })
  assert.deepEqual(
    { ...settings },
    { read_only: 'on', jit: 'off', isolation: 'repeatable read', timeout: '30s' },
  )
}

export interface DatabaseScene {
  hydra: TestHydra
  /** for sockets and files; DIR in a message, as the folder of the real socket is */
  directory: string
  configured(more?: Partial<Connection>): Connection
  /** The message and its hints, with DIR, DB and PORT for what differs from run to run. */
  troubleOf(
    connection: Connection,
    queries?: (sql: Sql) => Promise<unknown>,
    timeouts?: Timeouts,
  ): Promise<string[]>
  /** Until this query, a superuser's, finds something. */
  waitFor(sql: string): Promise<void>
  /** After each test. */
  checkSurprises(): Promise<void>
  close(): Promise<void>
}

export async function openScene(): Promise<DatabaseScene> {
  const hydra = await createHydra()
  const directory = mkdtempSync(join(tmpdir(), 'hc-db-'))
  const surprises: unknown[] = []
  const note = (error: unknown) => surprises.push(error)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)

  const plain = (line: string) =>
    line
      .replaceAll(hydra.socketDirectory, 'DIR')
      .replaceAll(directory, 'DIR')
      .replaceAll(hydra.database, 'DB')
      .replaceAll(/(127\.0\.0\.1):\d+/g, '$1:PORT')

  return {
    hydra,
    directory,
    configured: more => ({ ...hydra.config, password: PASSWORD, source: 'configuration', ...more }),
    async troubleOf(connection, queries = ask, timeouts) {
      const database = openDatabase(connection, timeouts)
      try {
        const answer = await database.look(queries)
        throw new Error(`there was no trouble: ${JSON.stringify(answer)}`)
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error
        assert.ok(!inspect(error, { depth: 10 }).includes(PASSWORD), 'a password was said')
        return [error.message, ...error.hint].map(plain)
      } finally {
        await database.close()
      }
    },
    waitFor: sql =>
      until(`this finds something: ${sql}`, async () => (await hydra.sql.unsafe(sql)).length > 0),
    async checkSurprises() {
      // Node reports a write to a socket that is gone a turn later
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      assert.deepEqual(surprises.splice(0), [])
    },
    async close() {
      process.off('unhandledRejection', note)
      process.off('uncaughtException', note)
      rmSync(directory, { recursive: true })
      await hydra.close()
    },
  }
}

/** A server of our own, with all that dialled it; it ends with the test. */
export async function listen(
  t: TestContext,
  where: { path: string } | { port: number; host: string },
  talk: (socket: Socket) => void,
): Promise<{ sockets: Socket[]; port: number }> {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    talk(socket)
  })
  await new Promise<void>(resolve => server.listen(where, resolve))
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  const address = server.address()
  return { sockets, port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
}

/** The real server over TCP, where a connection can be cut. */
export function listenBefore(t: TestContext, { socketDirectory }: TestHydra) {
  return listen(t, { port: 0, host: '127.0.0.1' }, socket => {
    const server = connect(join(socketDirectory, '.s.PGSQL.5432')).on('error', () => {})
    socket.pipe(server).pipe(socket)
  })
}
