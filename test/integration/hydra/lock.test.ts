// One reconcile at a time, and no wait without an end: any role of the database can keep the lock.
import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { after, before, test } from 'node:test'
import { acquireLock, anotherRuns, type Holder } from '../../../src/hydra/lock.ts'
import { type DatabaseScene, openScene } from '../../helpers/database.ts'

const LOCK = '7528510797120398184'
const TIMES = { answerTimeoutMs: 60_000, waitMs: 3_600_000, turnMs: 10 }

let scene: DatabaseScene
before(async () => {
  scene = await openScene()
})
after(() => scene.close())

async function acquire(told: Holder[] | undefined, times = TIMES) {
  const wait = told && ((by: Holder) => void told.push(by))
  return acquireLock(scene.configured(), wait, times)
}

const OURS = new RegExp(
  `^another reconcile runs \\(process ${process.pid} on ${hostname()}, since (?:\\w{3} )?\\d\\d:\\d\\d\\)$`,
)

/** Somebody else's connection that keeps the lock. */
async function keep(name = 'psql') {
  const other = await scene.hydra.sql.reserve()
  const [row] = await other<{ pid: number }[]>`
    select pg_backend_pid() as pid, pg_advisory_lock(${LOCK}::bigint), set_config('application_name', ${name}, false)`
  const release = async () => {
    await other`select pg_advisory_unlock(${LOCK}::bigint)`
    other.release()
  }
  return { pid: row?.pid, release }
}

test('who has the lock is said: our process and its host, the role of another program, and the process to end', async () => {
  const mine = await acquire(undefined)
  assert.ok(mine.kind === 'held')
  const second = await acquire(undefined)
  assert.ok(second.kind === 'taken')
  assert.match(anotherRuns(second.by), OURS)
  await mine.lock.release()

  const { pid, release } = await keep()
  const third = await acquire(undefined)
  await release()
  assert.ok(third.kind === 'taken')
  assert.match(anotherRuns(third.by), /^psql has the lock of reconcile \(role postgres\)$/)
  assert.equal(third.by.pid, pid)
})

const NAMES: [application: string, said: RegExp][] = [
  // PgBouncer adds the address with application_name_add_host
  [
    'hydra-channels reconcile, process 7 on hydra1 - unix(4711):6432',
    /^another reconcile runs \(process 7 on hydra1, /,
  ],
  // cut by PostgreSQL after 63 bytes
  [
    `hydra-channels reconcile, process 7 on ${'h'.repeat(40)}`,
    /^another reconcile runs \(process 7 on h{24}, /,
  ],
  [
    'hydra-channels reconcile, process x on hydra1',
    /^hydra-channels reconcile, process x on hydra1 has the lock/,
  ],
  ['', /^a connection has the lock of reconcile \(role postgres\)$/],
]

for (const [application, said] of NAMES) {
  test(`a connection that calls itself “${application}”: ${said.source}`, async () => {
    const { release } = await keep(application)
    const acquired = await acquire(undefined)
    await release()
    assert.ok(acquired.kind === 'taken')
    assert.match(anotherRuns(acquired.by), said)
  })
}

test('a wait says once whom it waits for, goes on over many turns, and has the lock in the end', async () => {
  const { release } = await keep()
  const told: Holder[] = []
  const waiting = acquire(told)
  // several turns: each asks the server anew
  await scene.waitFor(
    `select 1 from pg_stat_activity where application_name like 'hydra-channels reconcile%' and query like '%pg_advisory_xact_lock%'`,
  )
  const [turn] = await scene.hydra.sql<{ began: string }[]>`
    select query_start::text as began from pg_stat_activity where application_name like 'hydra-channels reconcile%'`
  await scene.waitFor(
    `select 1 from pg_stat_activity where application_name like 'hydra-channels reconcile%' and query_start > '${turn?.began}'`,
  )
  await release()
  const acquired = await waiting
  assert.ok(acquired.kind === 'held')
  assert.equal(told.length, 1)
  await acquired.lock.release()
})

for (const [what, turnMs] of [
  ['after many turns', 10],
  ['in the middle of a turn', 3_600_000],
] as const) {
  test(`a wait ends at its limit, ${what}, with nothing left behind`, async () => {
    const { pid, release } = await keep()
    const told: Holder[] = []
    const acquired = await acquire(told, { ...TIMES, waitMs: 30, turnMs })
    await release()
    assert.ok(acquired.kind === 'taken')
    assert.equal(acquired.by.pid, pid)
    const again = await acquire(undefined)
    assert.ok(again.kind === 'held')
    await again.lock.release()
  })
}
