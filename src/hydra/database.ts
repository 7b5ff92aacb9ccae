// The connection to Hydra's database: one, read only, bounded in time, closed at the end. The queries are in queries/.
// PgBouncer may stand between: it refuses a connection that begins with settings, and under transaction pooling each
// transaction may have another connection to the server. So what a transaction needs is set in it.
// https://www.pgbouncer.org/features.html
import { Socket } from 'node:net'
import { Mutex } from 'async-mutex'
import postgres from 'postgres'
import { endWithin } from '../base/deadline.ts'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { type Connection, showConnection } from './connection.ts'
import { readPassword } from './password.ts'

const STATEMENT_TIMEOUT_MS = 30_000

/** One message, so one round trip. Without JIT: planning alone would take 500 ms on a large Hydra. */
const BEGIN_LOOK = `
  begin isolation level repeatable read read only;
  set local statement_timeout = ${STATEMENT_TIMEOUT_MS};
  set local jit = off;
  select pg_backend_pid() as pid`

/** The error codes of a lost connection: of the client, the network, and the server. */
const LOST = new Set(['CONNECTION_CLOSED', 'CONNECTION_ENDED', 'ECONNRESET', 'EPIPE', '57P01'])
export const CONNECT_TIMEOUT_SECONDS = 10
const TIMEOUTS = {
  connectTimeoutSeconds: CONNECT_TIMEOUT_SECONDS,
  /** a look as a whole, also when the server's machine has gone and answers nothing at all */
  lookTimeoutMs: 60_000,
}

export interface Database {
  /**
   * Runs the queries of one look on one snapshot of the database. Looks run one after the other.
   *
   * @throws OperatorError that says which database and what it answered; a mistake in our own code as it is
   */
  look<T>(queries: (sql: Sql) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export type Sql = postgres.Sql

/** Opens no connection yet: the first look does. */
export function openDatabase(connection: Connection, timeouts = TIMEOUTS): Database {
  let client: Client | undefined
  const turn = new Mutex()
  return {
    look: queries => turn.runExclusive(() => look(queries)),
    // `end()` alone never returns if the connection was lost
    async close() {
      await client?.sql.end({ timeout: 0 })
      client = undefined
    },
  }

  async function look<T>(queries: (sql: Sql) => Promise<T>): Promise<T> {
    // a connection of an earlier look may be lost without notice
    for (let again = client !== undefined; ; again = false) {
      client ??= openClient(connection, timeouts.connectTimeoutSeconds, () => {
        client = undefined
      })
      const { sql, abandon } = client
      try {
        return await within(timeouts.lookTimeoutMs, snapshot(sql, queries))
      } catch (error) {
        // the transaction ends with its connection in any case
        client = undefined
        await abandon()
        if (again && LOST.has(codeOf(error) ?? '')) continue
        throw isOurs(error) ? error : explainDatabaseError(error, connection)
      }
    }
  }
}

export interface Client {
  sql: Sql
  /** without a goodbye: a server that does not listen would keep the process */
  abandon(): Promise<void>
}

/**
 * One connection, dialled once. The postgres client would dial again: after a loss, so that the next query would miss its
 * snapshot; and without end if a server hangs up before it sends anything (a proxy before a PostgreSQL that is down).
 */
export function openClient(
  connection: Connection,
  connectTimeoutSeconds: number,
  onLost: () => void,
  applicationName = 'hydra-channels',
): Client {
  const { host, port, user, database, password } = connection
  const path = host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : undefined
  let first: Socket | undefined
  let abandoned = false

  const dial = () => {
    // TLS checks the certificate for this host
    const socket = Object.assign(new Socket(), { host, port })
    const again = first !== undefined
    first ??= socket
    // later, because an error may be known at once, and the client listens only when it has the socket
    setImmediate(() => {
      if (again || abandoned) socket.destroy(Object.assign(new Error(), { code: 'CONNECTION_CLOSED' }))
      else if (path === undefined) socket.connect(port, host)
      else socket.connect(path)
    })
    return socket
  }

  const sql = postgres({
    ...(path === undefined ? {} : { path }),
    // as lists (its types know only the text), because a text is split at its colons, and IPv6 addresses have some
    host: [host] as unknown as string,
    port: [port] as unknown as number,
    user,
    database,
    // looked up only when the server wants one
    pass: password ?? readPassword(connection),
    ssl: tlsOf(connection),
    ...{ socket: dial }, // not in its types
    max: 1,
    max_lifetime: null,
    connect_timeout: connectTimeoutSeconds,
    fetch_types: false,
    onnotice: () => {},
    onclose: onLost,
    // of all parameters, PgBouncer takes this one and those that the client sends by itself
    connection: { application_name: applicationName },
    prepare: false,
  })
  return {
    sql,
    abandon() {
      abandoned = true
      first?.destroy()
      return sql.end({ timeout: 0 })
    },
  }
}

/** As libpq has it: no TLS on a Unix socket. The client would take `allow` for `require`. */
function tlsOf({ host, sslMode = 'prefer' }: Connection): false | 'prefer' | 'require' {
  if (host.startsWith('/') || sslMode === 'disable') return false
  return sslMode === 'allow' ? 'prefer' : (sslMode as 'require')
}

/**
 * Not `sql.begin()`: if the server ends in the middle of it, its rollback is written to a closed socket, which
 * throws outside of every promise. One connection does as well without.
 */
async function snapshot<T>(sql: Sql, queries: (sql: Sql) => Promise<T>): Promise<T> {
  const begun = begin<{ pid: number }>(sql, BEGIN_LOOK).then(({ row, pid }) => {
    // prepared statements save round trips, but the next server connection of a pooler would not know them
    sql.options.prepare = row.pid === pid
  })
  const [answers] = await Promise.all([Promise.resolve(sql).then(queries), begun])
  // nothing waits for it: there is nothing to commit
  sql`commit`.execute().catch(() => {})
  return answers
}

/**
 * Begins a transaction with several statements in one message, the last of which has one row.
 *
 * @returns that row, and the process that the server named when the connection began: a pooler names none that there is
 */
export async function begin<Row extends object>(
  sql: Sql,
  statements: string,
): Promise<{ row: Row; pid: number }> {
  // its types know one answer, not a list of them
  const answers = (await sql.unsafe(statements)) as unknown as postgres.RowList<Row[]>[]
  const answer = answers.at(-1)
  const row = answer?.[0]
  if (!answer || !row) throw new Error('a query without a table has one row')
  return { row, pid: answer.state.pid }
}

export function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  return endWithin(timeoutMs, work, () =>
    Object.assign(new Error(`no answer within ${timeoutMs / 1000} s`), { code: 'NO_ANSWER' }),
  )
}

const NOT_RUNNING = 'is PostgreSQL running there? The next run tries again'
const NO_ANSWER = 'is the server busy, or its machine away? The next run tries again'
const NO_WAY = 'check the host under "database" in the configuration'

/** What PostgreSQL's and the client's error codes mean to the one who has to mend it. */
const HINTS: Readonly<Record<string, string>> = {
  ENOENT: NOT_RUNNING,
  ECONNREFUSED: NOT_RUNNING,
  ECONNRESET: NOT_RUNNING,
  EPIPE: NOT_RUNNING,
  CONNECT_TIMEOUT: NO_ANSWER,
  ETIMEDOUT: NO_ANSWER,
  NO_ANSWER,
  CONNECTION_CLOSED: 'is PostgreSQL running there, or was it restarted? The next run tries again',
  ENOTFOUND: NO_WAY,
  EHOSTUNREACH: NO_WAY,
  ENETUNREACH: NO_WAY,
  EAI_AGAIN: 'the name of the host could not be looked up; the next run tries again',
  EACCES: 'this user may not open the socket',
  '28000': 'the server does not let this user in under that role: see pg_hba.conf and the ident map',
  '28P01':
    'the password is wrong or missing in the connection string, in database.passFile or in PGPASSFILE: a line there is HOST:PORT:DATABASE:ROLE:PASSWORD',
  '3D000': 'check "database" in the configuration',
  '42P01': 'is this the database of a Hydra?',
  '42703': 'this Hydra has other columns than this program knows: is one of the two very old?',
  '42501': 'the role lacks SELECT on this table: grant it',
  '42501 database': 'the role lacks CONNECT on this database: grant it',
  '53300': 'all connections of the server or of the role are taken; the next run tries again',
  '57014': `the query took longer than ${STATEMENT_TIMEOUT_MS / 1000} s, or somebody cancelled it; the next run tries again`,
  '57P01': 'the server is being restarted; the next run tries again',
  '57P03': 'the server is starting or stopping; the next run tries again',
}

/** A mistake in our own code, which Node and the postgres client may give a code too; or it says already what it has to. */
function isOurs(error: unknown): boolean {
  const code = codeOf(error)
  return code === undefined || error instanceof TypeError || code === 'UNDEFINED_VALUE'
}

/** One code is for all that a role may not do. */
function deniedTo(code: string, text: string): string | undefined {
  return text.startsWith('permission denied for database ') ? `${code} database` : undefined
}

/** The client's own errors are called `write CONNECTION_CLOSED HOST:PORT`. */
const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  CONNECT_TIMEOUT: 'the server did not answer',
  CONNECTION_CLOSED: 'the server closed the connection',
}

export function explainDatabaseError(error: unknown, connection: Connection): OperatorError {
  const code = codeOf(error) ?? ''
  // a host with several addresses has an error for each, and none of its own
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error]
  const text = CLIENT_ERRORS[code] ?? errors.map(messageOf).join(', ')
  const said = text.includes(code) ? text : `${text} (${code})`
  return new OperatorError(`cannot ask Hydra's database at ${showConnection(connection)}: ${said}`, {
    hint: text.includes('TLS connection')
      ? 'sslmode asks for TLS: does this server offer it?'
      : (HINTS[deniedTo(code, text) ?? code] ?? []),
    cause: error,
  })
}
