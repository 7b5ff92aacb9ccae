// One reconcile at a time, on however many machines: an advisory lock in Hydra's database, on a connection of its own,
// because it lasts as long as its connection does. Nothing is written there.
import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { LATER, OperatorError } from '../base/errors.ts'
import type { Connection } from './connection.ts'
import { CONNECT_TIMEOUT_SECONDS, explainDatabaseError, openClient, type Sql, within } from './database.ts'
import { parseRows } from './queries/rows.ts'

/** "hydra-ch" as a number: the key of our lock, which no other program uses. */
const LOCK_KEY = '7528510797120398184'

/** A server whose machine has gone, or that has stopped, says nothing at all. */
const ANSWER_TIMEOUT_MS = 60_000

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

/**
 * @param wait `wait` until another run has ended; `try` returns who runs
 * @throws OperatorError if the database cannot be asked
 */
export async function acquireLock(
  connection: Connection,
  wait: 'wait' | 'try',
  answerTimeoutMs = ANSWER_TIMEOUT_MS,
): Promise<{ kind: 'held'; lock: Lock } | { kind: 'taken'; by: string }> {
  const applicationName = `hydra-channels reconcile on ${hostname()}, process ${process.pid}`.slice(
    0,
    MAX_NAME,
  )
  // no limit for a statement: another run takes its time
  const options = { applicationName, statementTimeoutMs: 0 }
  const { sql, abandon } = openClient(connection, CONNECT_TIMEOUT_SECONDS, () => {}, options)
  try {
    if (wait === 'wait') await sql`select pg_advisory_lock(${LOCK_KEY}::bigint)`
    else {
      const asked = sql<{ held: boolean }[]>`select pg_try_advisory_lock(${LOCK_KEY}::bigint) as held`
      const [row] = await within(answerTimeoutMs, asked)
      if (!row?.held) {
        const by = await within(answerTimeoutMs, findHolder(sql))
        await abandon()
        return { kind: 'taken', by }
      }
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

const holderRow = z.object({ application_name: z.string('text'), since: z.nullable(z.string('text')) })

/** `hydra-channels reconcile on hydra, process 4711, since 2026-11-24T12:00:00Z` */
async function findHolder(sql: Sql): Promise<string> {
  const [row] = parseRows(
    holderRow,
    await sql`
      select a.application_name, to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
      from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and ((l.classid::bigint << 32) | l.objid::bigint) = ${LOCK_KEY}::bigint`,
  )
  if (!row) return 'another run, which has just ended'
  // of another role's connection the server does not say since when it is there
  return row.since === null ? row.application_name : `${row.application_name}, since ${row.since}`
}
