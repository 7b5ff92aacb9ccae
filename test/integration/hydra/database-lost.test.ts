// Connections that are lost, hang, or never were: the message, and that nothing keeps or ends the process.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findConnection } from '../../../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { findPresentJobs } from '../../../src/hydra/queries/present-jobs.ts'
import { cleanEnvironment } from '../../helpers/command.ts'
import {
  ask,
  asked,
  CLOSED,
  type DatabaseScene,
  listen,
  listenBefore,
  NO_ANSWER,
  NOT_RUNNING,
  openScene,
} from '../../helpers/database.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

let scene: DatabaseScene
before(async () => {
  scene = await openScene()
})
afterEach(() => scene.checkSurprises())
after(() => scene.close())

/** Hangs up, and waits until the client has seen it: what it may take is far less than a question to the server. */
async function cut(sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy()
  for (let turns = 0; turns < 5; turns++) await scene.hydra.sql`select 1`
}

test('the server ends in the middle of a query, with others behind it', async () => {
  const queries = (sql: Sql) =>
    Promise.all([
      sql.unsafe('select pg_terminate_backend(pg_backend_pid())'),
      findPresentJobs(sql, 1),
      findBuild(sql, 1),
    ])
  assert.deepEqual(await scene.troubleOf(scene.configured(), queries), [
    `${asked()}the server closed the connection (CONNECTION_CLOSED)`,
    CLOSED,
  ])
})

test('the connection is lost between two queries: the second is not asked outside of the snapshot', async t => {
  const { sockets, port } = await listenBefore(t, scene.hydra)
  const queries = async (sql: Sql) => {
    await sql`select 1`
    await cut(sockets)
    return sql`select 2`
  }
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: '127.0.0.1', port }), queries), [
    `${asked({ at: '127.0.0.1:PORT' })}the server closed the connection (CONNECTION_CLOSED)`,
    CLOSED,
  ])
})

test('after a lost connection the next look has a new one', async t => {
  const database = openDatabase(scene.configured())
  t.after(() => database.close())
  const pidOf = () => database.look(async sql => (await sql`select pg_backend_pid() as pid`)[0]?.pid)
  const pid = await pidOf()
  await assert.rejects(
    database.look(sql => sql.unsafe('select pg_terminate_backend(pg_backend_pid())')),
    /CONNECTION_CLOSED/,
  )
  assert.notEqual(await pidOf(), pid)
})

test('also after one that was lost while nobody asked', async t => {
  const { sockets, port } = await listenBefore(t, scene.hydra)
  const database = openDatabase(scene.configured({ host: '127.0.0.1', port }))
  t.after(() => database.close())
  assert.equal(await database.look(ask), undefined)
  await cut(sockets)
  assert.equal(await database.look(ask), undefined)
  assert.equal(sockets.length, 2)
})

test('a look that fails before there is a connection makes none', async t => {
  const path = join(scene.directory, '.s.PGSQL.5432')
  const { sockets } = await listen(t, { path }, () => {})
  const database = openDatabase(scene.configured({ host: scene.directory }))
  await assert.rejects(
    database.look(() => Promise.reject(new TypeError('x is not a function'))),
    TypeError,
  )
  await database.close()
  for (let turns = 0; turns < 5; turns++) await scene.hydra.sql`select 1`
  assert.equal(sockets.length, 0)
})

test('the connection is reset on its way', async t => {
  const queries = async (sql: Sql) => {
    const [row] = await sql`select pg_backend_pid() as pid`
    const sleeping = sql`select pg_sleep(60)`.execute()
    await scene.waitFor(`select from pg_stat_activity where pid = ${row?.pid} and wait_event = 'PgSleep'`)
    for (const socket of sockets) socket.resetAndDestroy()
    return Promise.all([sleeping, scene.hydra.sql`select pg_terminate_backend(${row?.pid})`])
  }
  const { sockets, port } = await listenBefore(t, scene.hydra)
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: '127.0.0.1', port }), queries), [
    `${asked({ at: '127.0.0.1:PORT' })}read ECONNRESET`,
    NOT_RUNNING,
  ])
})

test('a server that hangs up at once is not dialled again and again', async t => {
  let dialled = 0
  await listen(t, { path: join(scene.directory, '.s.PGSQL.5432') }, socket => {
    dialled++
    socket.end()
  })
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: scene.directory })), [
    `${asked()}the server closed the connection (CONNECTION_CLOSED)`,
    CLOSED,
  ])
  assert.equal(dialled, 1)
})

test('a server accepts and never answers', async t => {
  await listen(t, { path: join(scene.directory, '.s.PGSQL.5432') }, () => {})
  const connection = scene.configured({ host: scene.directory })
  assert.deepEqual(
    await scene.troubleOf(connection, ask, { connectTimeoutSeconds: 0.05, lookTimeoutMs: 60_000 }),
    [`${asked()}the server did not answer (CONNECT_TIMEOUT)`, NO_ANSWER],
  )
  assert.deepEqual(await scene.troubleOf(connection, ask, { connectTimeoutSeconds: 60, lookTimeoutMs: 50 }), [
    `${asked()}no answer within 0.05 s (NO_ANSWER)`,
    NO_ANSWER,
  ])
})

test('sslmode is for TCP, where a server may have no TLS', async t => {
  const { port } = await listenBefore(t, scene.hydra)
  const url = (host: string, mode: string) =>
    findConnection(undefined, {
      HYDRA_DATABASE_URL: `postgres://hydra@${host}/${scene.hydra.database}?sslmode=${mode}`,
    })
  const socket = `${encodeURIComponent(scene.hydra.socketDirectory)}:5432`
  for (const [host, mode] of [
    [socket, 'require'],
    [socket, 'verify-full'],
    [`127.0.0.1:${port}`, 'disable'],
    [`127.0.0.1:${port}`, 'allow'],
    [`127.0.0.1:${port}`, 'prefer'],
  ] as const) {
    const database = openDatabase(url(host, mode))
    assert.equal(await database.look(ask), undefined, `${host} ${mode}`)
    await database.close()
  }
  const [said = '', ...hints] = await scene.troubleOf(url(`127.0.0.1:${port}`, 'require'))
  assert.ok(said.startsWith(asked({ at: '127.0.0.1:PORT', source: 'HYDRA_DATABASE_URL' })), said)
  assert.match(said, / \(ECONNRESET\)$/)
  assert.deepEqual(hints, ['sslmode asks for TLS: does this server offer it?'])
})

test('whatever it was, the process ends by itself', async t => {
  await listen(t, { path: join(scene.directory, '.s.PGSQL.5432') }, () => {})
  const module = JSON.stringify(new URL('../../../src/hydra/database.ts', import.meta.url))
  const hosts: [host: string, lookTimeoutMs: number][] = [
    [scene.directory, 2_000],
    ['/nonexistent', 60_000],
    [scene.hydra.socketDirectory, 60_000],
  ]
  const endings = hosts.map(async ([host, lookTimeoutMs]) => {
    const script = `
      import { openDatabase } from ${module}
      const database = openDatabase(${JSON.stringify(scene.configured({ host }))}, { connectTimeoutSeconds: 60, lookTimeoutMs: ${lookTimeoutMs} })
      database.look(sql => sql.unsafe('select pg_terminate_backend(pg_backend_pid())'))
        .catch(error => console.log(error.message)).finally(() => database.close())`
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { cwd: ROOT, env: cleanEnvironment(), timeout: 120_000 },
    )
    return `${stdout}${stderr}`.replace(/^.*\(configuration\): /, '')
  })
  assert.deepEqual(await Promise.all(endings), [
    'no answer within 2 s (NO_ANSWER)\n',
    'connect ENOENT /nonexistent/.s.PGSQL.5432\n',
    'the server closed the connection (CONNECTION_CLOSED)\n',
  ])
})
