// The connection to Hydra's database: one, read only, bounded in time, closed at the end. The queries are in queries.ts.
import pgpass from 'pgpass'
import postgres from 'postgres'
import { codeOf, messageOf, OperatorError } from '../errors.ts'
import { type Connection, showConnection } from './connection.ts'

const STATEMENT_TIMEOUT_MS = 30_000
const TIMEOUTS = {
  connectTimeoutSeconds: 10,
  /** a look as a whole, also when the server's machine has gone and answers nothing at all */
  lookTimeoutMs: 60_000,
}

export interface Database {
  /**
   * Runs the queries of one look on one snapshot of the database. One look at a time.
   *
   * @throws OperatorError that says which database and what it answered
   */
  look<T>(queries: (sql: Sql) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export type Sql = postgres.Sql

/** Opens no connection yet: the first look does. */
export function openDatabase(connection: Connection, timeouts = TIMEOUTS): Database {
  let open: Sql | undefined
  // `end()` alone would wait for ever for a connection that was lost
  const close = async () => {
    await open?.end({ timeout: 0 })
    open = undefined
  }
  return {
    async look(queries) {
      open ??= createClient(connection, timeouts.connectTimeoutSeconds)
      try {
        return await within(timeouts.lookTimeoutMs, snapshot(open, queries))
      } catch (error) {
        // whatever became of the transaction, it ends with its connection
        await close()
        // an error without a code is not the database's but a mistake in our own code
        throw codeOf(error) === undefined ? error : explain(error, connection)
      }
    },
    close,
  }
}

function createClient(connection: Connection, connectTimeoutSeconds: number): Sql {
  const { host, port, user, database, password, sslMode } = connection
  return postgres({
    ...(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : {}),
    // as lists (its types know only the text), because a text is split at its colons, and IPv6 addresses have some
    host: [host] as unknown as string,
    port: [port] as unknown as number,
    user,
    database,
    // asked for only when the server wants one
    pass: password ?? (() => findPassword(connection)),
    ...(sslMode !== undefined && sslMode !== 'disable' ? { ssl: sslMode as 'require' } : {}),
    max: 1,
    max_lifetime: null,
    connect_timeout: connectTimeoutSeconds,
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: 'hydra-channels',
      default_transaction_read_only: true,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      // planning alone would take 500 ms on a large Hydra
      jit: 'off',
    },
  })
}

/**
 * Not `sql.begin()`: where the server ends in the middle of it, its rollback is written to a socket that is gone, which
 * throws outside of every promise. One connection does as well without.
 */
async function snapshot<T>(sql: Sql, queries: (sql: Sql) => Promise<T>): Promise<T> {
  const begun = sql`begin isolation level repeatable read read only`.execute()
  const [answers] = await Promise.all([queries(sql), begun])
  // nothing waits for it: there is nothing to commit
  sql`commit`.execute().catch(() => {})
  return answers
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    const error = Object.assign(new Error(`no answer within ${timeoutMs / 1000} s`), { code: 'NO_ANSWER' })
    timer = setTimeout(() => reject(error), timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** PGPASSFILE, which Hydra sets, or ~/.pgpass; '' where neither knows a password. */
function findPassword(connection: Connection): Promise<string> {
  return new Promise(resolve => pgpass(connection, password => resolve(password ?? '')))
}

const NOT_RUNNING = 'is PostgreSQL running there? The next finished build tries again'

/** What PostgreSQL's and the client's error codes mean to the one who has to mend it. */
const HINTS: Readonly<Record<string, string>> = {
  ENOENT: NOT_RUNNING,
  ECONNREFUSED: NOT_RUNNING,
  ECONNRESET: NOT_RUNNING,
  CONNECT_TIMEOUT: NOT_RUNNING,
  CONNECTION_CLOSED: 'the server closed the connection (a restart?); the next finished build tries again',
  NO_ANSWER: 'the server did not answer in time; the next finished build tries again',
  ENOTFOUND: 'check the host under "database" in the configuration',
  EACCES: 'this user may not open the socket',
  '28000': 'the server does not let this user in under that role: see pg_hba.conf and the ident map',
  '28P01': 'the password in the connection string or in PGPASSFILE is wrong',
  '3D000': 'check "database" in the configuration',
  '42P01': 'is this the database of a Hydra?',
  '42703': 'this Hydra has other columns than this program knows: is one of the two very old?',
  '42501': 'the role lacks SELECT on this table: grant it',
  '53300': 'all connections of the server are taken; the next finished build tries again',
  '57014': `the query took longer than ${STATEMENT_TIMEOUT_MS / 1000} s`,
  '57P01': 'the server is being restarted; the next finished build tries again',
  '57P03': 'the server is starting or stopping; the next finished build tries again',
}

function explain(error: unknown, connection: Connection): OperatorError {
  const code = codeOf(error)
  return new OperatorError(
    `cannot ask Hydra's database at ${showConnection(connection)}: ${messageOf(error)}${code === undefined ? '' : ` (${code})`}`,
    { hint: (code !== undefined && HINTS[code]) || [], cause: error },
  )
}
