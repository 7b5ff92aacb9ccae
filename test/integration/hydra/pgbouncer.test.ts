// A real PgBouncer between the program and PostgreSQL: it refuses settings when a connection begins, and under transaction
// pooling each transaction may have another connection to the server. database.test.ts has what can be seen without it.
import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Connection } from '../../../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { acquireLock, anotherRuns, type Holder } from '../../../src/hydra/lock.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { assertLook, type DatabaseScene, openScene } from '../../helpers/database.ts'
import { startPgBouncer, type TestPgBouncer, type Way, withoutPgBouncer } from '../../helpers/pgbouncer.ts'
import { until } from '../../helpers/until.ts'

describe('behind PgBouncer', { skip: withoutPgBouncer }, () => {
  let scene: DatabaseScene
  let bouncer: TestPgBouncer
  before(async () => {
    scene = await openScene()
    bouncer = await startPgBouncer(scene.hydra)
  })
  after(async () => {
    await bouncer.close()
    await scene.close()
  })

  const connectionOf = (way: Way): Connection => ({ ...bouncer.connectionOf(way), source: 'configuration' })

  function open(t: TestContext, way: Way) {
    const database = openDatabase(connectionOf(way))
    t.after(() => database.close())
    return database
  }

  const pidOf = async (sql: Sql) => (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]?.pid

  for (const way of ['session', 'transaction'] as const) {
    test(`${way}: a look is read only, without JIT, on one snapshot and with a time limit`, async t => {
      await assertLook(open(t, way))
    })

    test(`${way}: a write is refused, and the next look is none the worse for it`, async t => {
      await scene.hydra.sql`grant insert on projects to hydra`
      const database = open(t, way)
      const write = database.look(sql => sql`insert into projects (name, displayname) values ('x', 'x')`)
      await assert.rejects(write, / \(25006\)$/)
      assert.equal(await database.look(sql => findBuild(sql, 1)), undefined)
    })

    test(`${way}: one run has the lock, and others are told so until it ends`, async () => {
      const first = await acquireLock(connectionOf(way), undefined)
      assert.ok(first.kind === 'held')
      await first.lock.check()
      const told: Holder[] = []
      const waiting = acquireLock(connectionOf(way), by => void told.push(by), { turnMs: 10 })
      // also those who come another way
      for (const connection of [connectionOf(way), scene.configured()]) {
        const second = await acquireLock(connection, undefined)
        assert.ok(second.kind === 'taken')
        assert.match(
          anotherRuns(second.by),
          new RegExp(`^another reconcile runs \\(process ${process.pid} on ${hostname()}, since `),
        )
      }
      await until('it waits', () => told.length === 1)
      await first.lock.release()
      const third = await waiting
      assert.ok(third.kind === 'held')
      await third.lock.release()
      await until('nobody has the lock', async () => {
        const [row] = await scene.hydra.sql<{ count: number }[]>`
          select count(*)::int from pg_locks where locktype = 'advisory' and objsubid = 1`
        return row?.count === 0
      })
    })
  }

  test('transaction: the next look has another connection to the server, which knows no statement of ours', async t => {
    const [ours, another] = [open(t, 'transaction'), open(t, 'transaction')]
    const ask = async (sql: Sql) => {
      await Promise.all([findBuild(sql, 1), findBuild(sql, 2)])
      const [row] = await sql<{ count: number }[]>`select count(*)::int from pg_prepared_statements`
      assert.equal(row?.count, 0)
      return pidOf(sql)
    }
    // PgBouncer hears of the end of a look a moment later
    await until('another connection is found', async () => {
      const first = await ours.look(ask)
      return another.look(async sql => {
        await sql`select 1`
        return (await ours.look(ask)) !== first
      })
    })
  })

  test('transaction: the loss of the lock is noticed', async () => {
    const acquired = await acquireLock(connectionOf('transaction'), undefined)
    assert.ok(acquired.kind === 'held')
    await scene.hydra.sql`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'hydra-channels reconcile%'`
    await assert.rejects(acquired.lock.check(), /the lock in Hydra's database was lost/)
    await acquired.lock.release()
  })

  test('statement: there are no transactions, so nothing is asked', async () => {
    const [said = ''] = await scene.troubleOf(connectionOf('statement'))
    assert.match(said, /^cannot ask Hydra's database at .*: the server closed the connection/)
  })
})
