// The connection: what it is allowed, when it ends, and what is said when there is none.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { OperatorError } from '../../src/errors.ts'
import { type Connection, findConnection } from '../../src/hydra/connection.ts'
import { openDatabase } from '../../src/hydra/database.ts'
import { findBuild } from '../../src/hydra/queries.ts'
import { cleanEnvironment } from '../helpers/command.ts'
import { createHydra, type TestHydra } from '../helpers/hydra.ts'

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
  const settings = await database.look(async sql => {
    const [row] = await sql`
      select current_setting('transaction_read_only') as read_only, current_setting('jit') as jit,
             current_setting('transaction_isolation') as isolation, current_setting('statement_timeout') as timeout`
    return row
  })
  assert.deepEqual(
    { ...settings },
    { read_only: 'on', jit: 'off', isolation: 'repeatable read', timeout: '30s' },
  )
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
  for (let tries = 0; tries < 100 && (await count()) !== 0; tries++);
  assert.equal(await count(), 0)
})

test('a write is refused', async t => {
  await hydra.sql`grant insert on projects to hydra`
  const write = open(t, configured()).look(
    sql => sql`insert into projects (name, displayname) values ('x', 'x')`,
  )
  await assert.rejects(write, /cannot execute INSERT in a read-only transaction \(25006\)$/)
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

test('a bug in the code that asks stays a bug', async t => {
  const bug = open(t, configured()).look(async () => {
    throw new TypeError('undefined is not a function')
  })
  await assert.rejects(bug, TypeError)
})

const failure = async (
  connection: Connection,
  sql = 'select 1',
): Promise<{ message: string; hint: readonly string[] }> => {
  const database = openDatabase(connection)
  try {
    await database.look(transaction => transaction.unsafe(sql))
  } catch (error) {
    assert.ok(error instanceof OperatorError, String(error))
    return { message: error.message, hint: error.hint }
  } finally {
    await database.close()
  }
  throw new Error('there was no failure')
}

test('what PostgreSQL refuses is said with where it was asked, and with what mends it', async () => {
  const table: [string, Connection, string | undefined, RegExp, RegExp][] = [
    [
      'no socket',
      configured({ host: '/nonexistent' }),
      undefined,
      /at \/nonexistent:5432, .* ENOENT/,
      /is PostgreSQL running there/,
    ],
    [
      'no such database',
      configured({ database: 'nothing' }),
      undefined,
      /database "nothing" does not exist \(3D000\)$/,
      /check "database"/,
    ],
    [
      'no such role',
      configured({ user: 'mallory' }),
      undefined,
      /role "mallory" does not exist \(28000\)$/,
      /ident map/,
    ],
    [
      'no such table',
      configured({ database: 'postgres' }),
      'select * from builds',
      /relation "builds" does not exist \(42P01\)$/,
      /the database of a Hydra/,
    ],
    [
      'no such column',
      configured(),
      'select nix from builds',
      /column "nix" does not exist \(42703\)$/,
      /other columns/,
    ],
    [
      'no permission',
      configured(),
      'select * from users',
      /permission denied for table users \(42501\)$/,
      /lacks SELECT/,
    ],
    [
      'a cancelled statement',
      configured(),
      'set statement_timeout = 1; select pg_sleep(5)',
      /statement timeout \(57014\)$/,
      /took longer/,
    ],
  ]
  for (const [what, connection, sql, message, hint] of table) {
    const said = await failure(connection, sql)
    assert.match(said.message, message, what)
    assert.match(
      said.message,
      /^cannot ask Hydra's database at .*:5432, database .*, role .* \(configuration\): /,
      what,
    )
    assert.match(said.hint.join('\n'), hint, what)
  }
})

test('a role that has no connection left is told so', async t => {
  await hydra.sql`create role narrow login connection limit 0`
  t.after(() => hydra.sql`drop role narrow`)
  const said = await failure(configured({ user: 'narrow' }))
  assert.match(said.message, /too many connections for role "narrow" \(53300\)$/)
})

test('a server that ends in the middle of a query is an error, not a hang', async () => {
  const said = await failure(configured(), 'select pg_terminate_backend(pg_backend_pid())')
  assert.match(said.message, /\((57P01|CONNECTION_CLOSED|ECONNRESET)\)$/)
})

test('a socket that nobody listens at, and one that never answers', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'hc-db-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const sockets: Socket[] = []
  const server = createServer(socket => sockets.push(socket.on('error', () => {})))
  await new Promise<void>(resolve => server.listen(join(directory, '.s.PGSQL.5432'), resolve))
  const silent = openDatabase(configured({ host: directory }), {
    connectTimeoutSeconds: 0.2,
    lookTimeoutMs: 5_000,
  })
  await assert.rejects(
    silent.look(sql => findBuild(sql, 1)),
    /\(CONNECT_TIMEOUT\)$/,
  )
  await silent.close()
  const hanging = openDatabase(configured({ host: directory }), {
    connectTimeoutSeconds: 30,
    lookTimeoutMs: 200,
  })
  await assert.rejects(
    hanging.look(sql => findBuild(sql, 1)),
    /: no answer within 0\.2 s \(NO_ANSWER\)$/,
  )
  await hanging.close()
  for (const socket of sockets) socket.destroy()
  await new Promise(resolve => server.close(resolve))
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
    /^OperatorError: Hydra's database answered what this program does not understand: job: is null, expected text$/,
  )
})

test('a process that could not ask ends by itself', async () => {
  const script = `
    import { openDatabase } from '${fileURLToPath(new URL('../../src/hydra/database.ts', import.meta.url))}'
    const database = openDatabase({ host: '/nonexistent', port: 5432, user: 'hydra', database: 'hydra', source: 'default' })
    database.look(async sql => sql\`select 1\`).catch(error => console.log(error.message)).finally(() => database.close())`
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const run = promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    {
      cwd: root,
      env: cleanEnvironment(),
      timeout: 20_000,
    },
  )
  assert.match((await run).stdout, /^cannot ask Hydra's database at \/nonexistent:5432/)
})
