// The connection: what it is allowed, when it ends, and the message if there is none.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type Connection, findConnection } from '../../../src/hydra/connection.ts'
import { openDatabase } from '../../../src/hydra/database.ts'
import { acquireLock } from '../../../src/hydra/lock.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { assertLook } from '../../helpers/database.ts'
import { createHydra, type TestHydra } from '../../helpers/hydra.ts'
import { type ProxyOptions, startPostgresProxy } from '../../helpers/postgres-proxy.ts'
import { until } from '../../helpers/until.ts'

let hydra: TestHydra
before(async () => {
  hydra = await createHydra()
})
after(() => hydra.close())

const configured = (more: Partial<Connection> = {}): Connection => ({
  ...hydra.config,
  source: 'configuration',
  ...more,
})

function open(t: TestContext, connection: Connection) {
  const database = openDatabase(connection)
  t.after(() => database.close())
  return database
}

test('one connection, read only, without JIT, with a time limit, and closed at the end', async t => {
  const database = open(t, configured())
  await assertLook(database)
  const count = async () => {
    const [row] = await hydra.sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity
      where datname = ${hydra.database} and application_name = 'hydra-channels'`
    return row?.n
  }
  await database.look(sql => Promise.all([findBuild(sql, 1), findBuild(sql, 2)]))
  assert.equal(await count(), 1)
  await database.close()
  // the server notices the end of a connection a moment later
  await until('there is no connection', async () => (await count()) === 0)
})

async function proxyFor(t: TestContext, options?: ProxyOptions) {
  const proxy = await startPostgresProxy(hydra, options)
  t.after(() => proxy.close())
  return { proxy, connection: configured({ host: proxy.directory }) }
}

// https://www.pgbouncer.org/config.html#ignore_startup_parameters
test('a connection begins with nothing that PgBouncer refuses', async t => {
  const taken = ['user', 'database', 'client_encoding', 'application_name']
  const { proxy, connection } = await proxyFor(t)
  await open(t, connection).look(sql => findBuild(sql, 1))
  const acquired = await acquireLock(connection, undefined)
  assert.ok(acquired.kind === 'held')
  await acquired.lock.release()
  assert.equal(proxy.parameters.length, 2)
  for (const parameters of proxy.parameters) {
    assert.deepEqual(Object.keys(parameters).toSorted(), taken.toSorted())
  }
})

for (const pooled of [undefined, true] as const) {
  test(`statements are ${pooled ? 'not ' : ''}prepared for the next look ${pooled ? 'behind a pooler' : 'on a connection of our own'}`, async t => {
    const { proxy, connection } = await proxyFor(t, { ...(pooled && { pooled }) })
    const database = open(t, connection)
    for (let looks = 0; looks < 3; looks++) {
      await database.look(sql => Promise.all([findBuild(sql, 1), sql`select ${looks}::int`]))
    }
    const [rounds = []] = proxy.rounds
    assert.equal(rounds.filter(text => text.includes('from builds')).length, 3)
    // the two queries and the commit, each once
    assert.equal(proxy.names.length, pooled ? 0 : 3)
  })
}

test('a write is refused', async t => {
  await hydra.sql`grant insert on projects to hydra`
  const write = open(t, configured()).look(
    sql => sql`insert into projects (name, displayname) values ('x', 'x')`,
  )
  await assert.rejects(write, / \(25006\)$/)
})

test("the developer's PG variables do not lead elsewhere", async t => {
  const names = { PGHOST: '/nonexistent', PGPORT: '1', PGUSER: 'nobody', PGDATABASE: 'nothing' }
  const kept = { ...process.env }
  Object.assign(process.env, names)
  t.after(() => {
    for (const name of Object.keys(names)) {
      if (kept[name] === undefined) delete process.env[name]
      else process.env[name] = kept[name]
    }
  })
  assert.equal(await open(t, configured()).look(sql => findBuild(sql, 1)), undefined)
})

test("both of Hydra's connection strings lead there", async t => {
  for (const env of [{ HYDRA_DATABASE_URL: hydra.url }, { HYDRA_DBI: hydra.dbi }]) {
    assert.equal(await open(t, findConnection(undefined, env)).look(sql => findBuild(sql, 1)), undefined)
  }
})

test('a row that this program does not understand is an error that names the field', async t => {
  const other = await createHydra()
  t.after(() => other.close())
  const jobset = await other.jobset({})
  await other.eval({ jobset, builds: [{ job: 'a', id: 7 }] })
  await other.sql`alter table builds alter column job drop not null`
  await other.sql`update builds set job = null`
  const asked = open(t, findConnection(undefined, { HYDRA_DATABASE_URL: other.url })).look(sql =>
    findBuild(sql, 7),
  )
  await assert.rejects(
    asked,
    /^OperatorError: this program does not understand an answer of Hydra's database: job: is null, expected text$/,
  )
})
