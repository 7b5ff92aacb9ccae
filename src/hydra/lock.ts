// One reconcile at a time, on however many machines: an advisory lock in Hydra's database, which an open transaction has on
// a connection of its own. Nothing is written there, and VACUUM does not wait for a transaction that only holds a lock.
// A lock of the session would be worth nothing behind PgBouncer: under transaction pooling two runs may share a session, so
// both have the lock, and the session keeps it when both have ended. Nobody shares a transaction.
// https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, LATER, OperatorError } from '../base/errors.ts'
import { clockTime } from '../base/time.ts'
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
  /** how the connections that want the lock are called; a host's name may be long, and PostgreSQL cuts the end */
  applicationName: `hydra-channels reconcile, process ${process.pid} on ${hostname()}`,
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
  /** `reconcile`; of a program that is not ours, its own name for itself: `psql` */
  program: string
  /** `process 4711 on hydra1, since 11:02`; of a program that is not ours, `role alice, since 11:02` */
  details: string
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
  is_ours: z.nullable(z.boolean('true or false')),
  application_name: z.nullable(z.string('text')),
  since: z.nullable(z.string('text')),
})

async function findHolder(sql: Sql, key: string): Promise<Holder> {
  const [row] = parseRows(
    holderRow,
    await sql`
      select l.pid, a.usename as role, a.usename = current_user as is_ours, a.application_name,
        to_char(coalesce(a.xact_start, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
      from pg_locks l left join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and ((l.classid::bigint << 32) | l.objid::bigint) = ${key}::bigint`,
  )
  if (!row) return { program: RECONCILE, details: 'which ends just now', pid: undefined }
  if (row.pid === null) {
    return { program: 'a prepared transaction', details: 'pg_prepared_xacts', pid: undefined }
  }
  return { ...describeHolder(row), pid: row.pid }
}

const RECONCILE = 'reconcile'

/** PgBouncer hands our name on, and may add where it comes from (application_name_add_host). */
const OUR_NAME = /^hydra-channels reconcile, (process \d{1,10} on [^\s,()]+)/

function describeHolder({
  application_name: name,
  role,
  is_ours: isOurs,
  since,
}: z.infer<typeof holderRow>): Pick<Holder, 'program' | 'details'> {
  const ours = OUR_NAME.exec(name ?? '')?.[1]
  const details = [
    ...(ours === undefined ? [] : [ours]),
    // any role may give itself our name
    ...(isOurs && ours !== undefined ? [] : [`role ${role}`]),
    // of another role's connection the server does not say since when it is there
    ...(since === null ? [] : [`since ${clockTime(Date.parse(since), systemClock.now())}`]),
  ]
  return { program: ours === undefined ? name || 'a connection' : RECONCILE, details: details.join(', ') }
}

/** `another reconcile runs (process 4711 on hydra1, since 11:02)` */
export function anotherRuns({ program, details }: Holder): string {
  return program === RECONCILE
    ? `another reconcile runs (${details})`
    : `${program} has the lock of reconcile (${details})`
}
