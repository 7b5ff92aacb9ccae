// One reconcile at a time, on however many machines: an advisory lock in Hydra's database, on a connection of its own,
// because it lasts as long as its connection does. Nothing is written there.
import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, LATER, OperatorError } from '../base/errors.ts'
import type { Connection } from './connection.ts'
import { CONNECT_TIMEOUT_SECONDS, explainDatabaseError, openClient, type Sql, within } from './database.ts'
import { parseRows } from './queries/rows.ts'

/** "hydra-ch" as a number: the key of our lock, which no other program uses. */
const LOCK_KEY = '7528510797120398184'

const TIMES = {
  /** A server whose machine has gone, or that has stopped, says nothing at all. */
  answerTimeoutMs: 60_000,
  /** The longest wait for another run: any role of the database can keep the lock, for any time. */
  waitMs: 1_800_000,
  /** so often we hear from the server while we wait */
  turnMs: 30_000,
}

/** PostgreSQL: the lock was not free within lock_timeout. */
const LOCK_NOT_AVAILABLE = '55P03'

/** How the connections that want the lock are called. */
const OUR_NAME = 'hydra-channels reconcile on'

/** As much of an application_name as PostgreSQL keeps. */
const MAX_NAME = 63

export interface Lock {
  /**
   * Asks the server whether the lock is still held: it is not, once its connection was lost.
   *
   * @throws OperatorError
   */
  check(): Promise<void>
  release(): Promise<void>
}

/** The connection that has the lock. */
export interface Holder {
  /** `hydra-channels reconcile on hydra, process 4711 (role hydra-channels), since 2026-11-24T12:00:00Z` */
  name: string
  /** PostgreSQL's process; undefined if it has just ended */
  pid: number | undefined
}

/**
 * @param wait called if another run has the lock, which is then waited for, 30 minutes at most; undefined: do not wait
 * @throws OperatorError if the database cannot be asked
 */
export async function acquireLock(
  connection: Connection,
  wait: ((by: Holder) => void) | undefined,
  { answerTimeoutMs, waitMs, turnMs } = TIMES,
): Promise<{ kind: 'held'; lock: Lock } | { kind: 'taken'; by: Holder }> {
  const applicationName = `${OUR_NAME} ${hostname()}, process ${process.pid}`.slice(0, MAX_NAME)
  // no limit for a statement: another run takes its time
  const options = { applicationName, statementTimeoutMs: 0 }
  const { sql, abandon } = openClient(connection, CONNECT_TIMEOUT_SECONDS, () => {}, options)
  const endsAt = systemClock.elapsed() + (wait ? waitMs : 0)
  try {
    let isHeld = await within(answerTimeoutMs, tryLock(sql))
    for (let turn = 1; !isHeld; turn++) {
      const by = await within(answerTimeoutMs, findHolder(sql))
      if (systemClock.elapsed() >= endsAt) {
        await abandon()
        return { kind: 'taken', by }
      }
      if (turn === 1) wait?.(by)
      // 0 would be no limit
      const ms = Math.max(1, Math.min(turnMs, endsAt - systemClock.elapsed()))
      isHeld = await within(ms + answerTimeoutMs, waitForLock(sql, ms))
    }
  } catch (error) {
    await abandon()
    throw error instanceof OperatorError ? error : explainDatabaseError(error, connection)
  }
  return {
    kind: 'held',
    lock: {
      async check() {
        try {
          // the client does not connect again by itself
          await within(answerTimeoutMs, sql`select 1`)
        } catch (error) {
          throw new OperatorError("the lock in Hydra's database was lost: its connection has ended", {
            hint: `nothing more is moved; ${LATER}`,
            cause: error,
          })
        }
      },
      release: abandon,
    },
  }
}

async function tryLock(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ held: boolean }[]>`select pg_try_advisory_lock(${LOCK_KEY}::bigint) as held`
  return row?.held === true
}

async function waitForLock(sql: Sql, ms: number): Promise<boolean> {
  try {
    await sql`select set_config('lock_timeout', ${`${ms}ms`}, false)`
    await sql`select pg_advisory_lock(${LOCK_KEY}::bigint)`
    return true
  } catch (error) {
    if (codeOf(error) === LOCK_NOT_AVAILABLE) return false
    throw error
  }
}

const holderRow = z.object({
  pid: z.nullable(z.int('a number')),
  role: z.nullable(z.string('text')),
  application_name: z.nullable(z.string('text')),
  since: z.nullable(z.string('text')),
})

async function findHolder(sql: Sql): Promise<Holder> {
  const [row] = parseRows(
    holderRow,
    await sql`
      select l.pid, a.usename as role, a.application_name,
        to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
      from pg_locks l left join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and ((l.classid::bigint << 32) | l.objid::bigint) = ${LOCK_KEY}::bigint`,
  )
  if (!row) return { name: 'another run, which has just ended', pid: undefined }
  if (row.pid === null) return { name: 'a prepared transaction (pg_prepared_xacts)', pid: undefined }
  // any role may give itself our name
  const name = `${row.application_name || 'a connection'} (role ${row.role})`
  // of another role's connection the server does not say since when it is there
  return { name: row.since === null ? name : `${name}, since ${row.since}`, pid: row.pid }
}
