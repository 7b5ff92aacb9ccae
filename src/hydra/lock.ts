// One reconcile at a time, on however many machines: an advisory lock in Hydra's database, which an open transaction has on
// a connection of its own. Nothing is written there, and VACUUM does not wait for a transaction that only holds a lock.
// A lock of the session would be worth nothing behind PgBouncer: under transaction pooling two runs may share a session, so
// both have the lock, and the session keeps it when both have ended. Nobody shares a transaction.
// https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, LATER, OperatorError } from '../base/errors.ts'
import type { Connection } from './connection.ts'
import {
  begin,
  CONNECT_TIMEOUT_SECONDS,
  explainDatabaseError,
  openClient,
  type Sql,
  within,
} from './database.ts'
import { parseRows } from './queries/rows.ts'

const OPTIONS = {
  /** 63 bits: "hydra-ch" as a number, which no other program uses */
  key: '7528510797120398184',
  /** how the connections that want the lock are called */
  applicationName: `hydra-channels reconcile on ${hostname()}, process ${process.pid}`,
  /** A server whose machine has gone, or that has stopped, says nothing at all. */
  answerTimeoutMs: 60_000,
  /** The longest wait for another run: any role of the database can keep the lock, for any time. */
  waitMs: 1_800_000,
  /** so often we hear from the server while we wait */
  turnMs: 30_000,
}

/** PostgreSQL: the lock was not free within lock_timeout. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Nobody ends the transaction while it waits for copies. Only PostgreSQL 17 and later know transaction_timeout. */
const BEGIN_LOCK = `
  begin isolation level read committed read only;
  set local statement_timeout = 0;
  set local idle_in_transaction_session_timeout = 0;
  select set_config('transaction_timeout', '0', true) where current_setting('transaction_timeout', true) is not null;`

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
  options: Partial<typeof OPTIONS> = {},
): Promise<{ kind: 'held'; lock: Lock } | { kind: 'taken'; by: Holder }> {
  const { key, applicationName, answerTimeoutMs, waitMs, turnMs } = { ...OPTIONS, ...options }
  const name = applicationName.slice(0, MAX_NAME)
  const { sql, abandon } = openClient(connection, CONNECT_TIMEOUT_SECONDS, () => {}, name)
  const endsAt = systemClock.elapsed() + (wait ? waitMs : 0)
  try {
    let isHeld = await within(answerTimeoutMs, tryLock(sql, key))
    for (let turn = 1; !isHeld; turn++) {
      const by = await within(answerTimeoutMs, findHolder(sql, key))
      if (systemClock.elapsed() >= endsAt) {
        await abandon()
        return { kind: 'taken', by }
      }
      if (turn === 1) wait?.(by)
      // 0 would be no limit
      const ms = Math.max(1, Math.min(turnMs, endsAt - systemClock.elapsed()))
      isHeld = await within(ms + answerTimeoutMs, waitForLock(sql, key, ms))
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

async function tryLock(sql: Sql, key: string): Promise<boolean> {
  const { row } = await begin<{ held: boolean }>(
    sql,
    `${BEGIN_LOCK} select pg_try_advisory_xact_lock(${key}) as held`,
  )
  if (!row.held) await sql`rollback`
  return row.held
}

async function waitForLock(sql: Sql, key: string, ms: number): Promise<boolean> {
  try {
    await begin(
      sql,
      `${BEGIN_LOCK} set local lock_timeout = ${Math.ceil(ms)}; select pg_advisory_xact_lock(${key})`,
    )
    return true
  } catch (error) {
    if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error
    await sql`rollback`
    return false
  }
}

const holderRow = z.object({
  pid: z.nullable(z.int('a number')),
  role: z.nullable(z.string('text')),
  application_name: z.nullable(z.string('text')),
  since: z.nullable(z.string('text')),
})

async function findHolder(sql: Sql, key: string): Promise<Holder> {
  const [row] = parseRows(
    holderRow,
    await sql`
      select l.pid, a.usename as role, a.application_name,
        to_char(coalesce(a.xact_start, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
      from pg_locks l left join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and ((l.classid::bigint << 32) | l.objid::bigint) = ${key}::bigint`,
  )
  if (!row) return { name: 'another run, which has just ended', pid: undefined }
  if (row.pid === null) return { name: 'a prepared transaction (pg_prepared_xacts)', pid: undefined }
  // any role may give itself our name
  const name = `${row.application_name || 'a connection'} (role ${row.role})`
  // of another role's connection the server does not say since when it is there
  return { name: row.since === null ? name : `${name}, since ${row.since}`, pid: row.pid }
}
