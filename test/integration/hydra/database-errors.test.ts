// The message for each refusal of PostgreSQL, and how to mend it. It is recognised by its code and its names.
import assert from 'node:assert/strict'
import dns from 'node:dns'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, type TestContext, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import type { Connection } from '../../../src/hydra/connection.ts'
import { openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findNewestEval } from '../../../src/hydra/queries/newest-eval.ts'
import { findOutputsOfBuilds } from '../../../src/hydra/queries/outputs.ts'
import { ask, asked, type DatabaseScene, NOT_RUNNING, openScene, PASSWORD } from '../../helpers/database.ts'
import { connect, startPostgres } from '../../helpers/postgres.ts'
import { serverSays } from '../../helpers/words.ts'

let scene: DatabaseScene
before(async () => {
  scene = await openScene()
})
afterEach(() => scene.checkSurprises())
after(() => scene.close())

/** `where` as in {@link asked}; `name` is one that the sentence of PostgreSQL has. */
function assertServerSays(
  lines: string[],
  where: Parameters<typeof asked>[0],
  name: string,
  code: string,
  hint: string,
): void {
  const said = lines.join('\n')
  assert.ok(said.startsWith(asked(where)), said)
  assert.match(said, serverSays(name, code, hint))
}

test('there is no socket', async () => {
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: '/nonexistent' })), [
    `${asked({ at: '/nonexistent:5432' })}connect ENOENT /nonexistent/.s.PGSQL.5432`,
    NOT_RUNNING,
  ])
})

test('the socket is stale: its server was killed', async t => {
  const path = join(scene.directory, '.s.PGSQL.5433')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(`${path}.new`, resolve))
  renameSync(`${path}.new`, path)
  await new Promise(resolve => server.close(resolve))
  t.after(() => rmSync(path))
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: scene.directory, port: 5433 })), [
    `${asked({ at: 'DIR:5433' })}connect ECONNREFUSED DIR/.s.PGSQL.5433`,
    NOT_RUNNING,
  ])
})

test('a host with several addresses refuses at each of them', async t => {
  const addresses = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 }))
  const lookup = (_host: string, _options: object, found: (error: null, all: typeof addresses) => void) =>
    setImmediate(found, null, addresses)
  t.mock.method(dns, 'lookup', lookup as unknown as typeof dns.lookup)
  assert.deepEqual(await scene.troubleOf(scene.configured({ host: 'db.example', port: 1 })), [
    `${asked({ at: 'db.example:1' })}connect ECONNREFUSED 127.0.0.1:PORT, connect ECONNREFUSED 127.0.0.2:1`,
    NOT_RUNNING,
  ])
})

test('the role does not exist, or may not log in', async t => {
  await scene.hydra.sql`create role sleeper nologin`
  t.after(() => scene.hydra.sql`drop role sleeper`)
  const hint = 'the server does not let this user in under that role: see pg_hba.conf and the ident map'
  for (const role of ['mallory', 'sleeper']) {
    const said = await scene.troubleOf(scene.configured({ user: role }))
    assertServerSays(said, { role }, `"${role}"`, '28000', hint)
  }
})

test('the database does not exist', async () => {
  const said = await scene.troubleOf(scene.configured({ database: 'nothing' }))
  const hint = 'check "database" in the configuration'
  assertServerSays(said, { database: 'nothing' }, '"nothing"', '3D000', hint)
})

test('it is not a database of Hydra', async () => {
  const said = await scene.troubleOf(scene.configured({ database: 'postgres' }))
  const hint = 'is this the database of a Hydra?'
  assertServerSays(said, { database: 'postgres' }, '"builds"', '42P01', hint)
})

test('a Hydra of another age has other columns', async t => {
  await scene.hydra.sql`alter table jobsetevals rename column flake to flakeref`
  t.after(() => scene.hydra.sql`alter table jobsetevals rename column flakeref to flake`)
  const said = await scene.troubleOf(scene.configured(), sql => findNewestEval(sql, 1))
  const hint = 'this Hydra has other columns than this program knows: is one of the two very old?'
  assertServerSays(said, {}, 'e.flake', '42703', hint)
})

test('the role may not read a table', async t => {
  await scene.hydra.sql`revoke select on buildoutputs from hydra`
  t.after(() => scene.hydra.sql`grant select on buildoutputs to hydra`)
  const said = await scene.troubleOf(scene.configured(), sql => findOutputsOfBuilds(sql, [1]))
  assertServerSays(said, {}, 'buildoutputs', '42501', 'the role lacks SELECT on this table: grant it')
})

test('the role has all the connections that it may have', async t => {
  await scene.hydra.sql`create role crowded login connection limit 0`
  t.after(() => scene.hydra.sql`drop role crowded`)
  const said = await scene.troubleOf(scene.configured({ user: 'crowded' }))
  const hint = 'all connections of the server or of the role are taken; the next run tries again'
  assertServerSays(said, { role: 'crowded' }, '"crowded"', '53300', hint)
})

test('a query takes too long, or somebody cancels it', async () => {
  const hint = 'the query took longer than 30 s, or somebody cancelled it; the next run tries again'
  const slow = async (sql: Sql) => {
    await sql`set local statement_timeout = 1`
    return sql`select pg_sleep(60)`
  }
  assertServerSays(await scene.troubleOf(scene.configured(), slow), {}, '', '57014', hint)
  const cancelled = async (sql: Sql) => {
    const [row] = await sql`select pg_backend_pid() as pid`
    const sleeping = sql`select pg_sleep(60)`.execute()
    await scene.waitFor(`select from pg_stat_activity where pid = ${row?.pid} and wait_event = 'PgSleep'`)
    return Promise.all([sleeping, scene.hydra.sql`select pg_cancel_backend(${row?.pid})`])
  }
  assertServerSays(await scene.troubleOf(scene.configured(), cancelled), {}, '', '57014', hint)
})

test('mistakes of our own stay what they are, also those that have a code', async t => {
  const database = openDatabase(scene.configured())
  t.after(() => database.close())
  const coded = Object.assign(new TypeError('The "path" argument must be of type string'), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
  const operators = new OperatorError('eval 7 has no flakeref')
  for (const mistake of [new TypeError('x is not a function'), coded, operators]) {
    await assert.rejects(
      database.look(() => Promise.reject(mistake)),
      error => error === mistake,
    )
    await assert.rejects(
      database.look(() => {
        throw mistake
      }),
      error => error === mistake,
    )
  }
  await assert.rejects(
    database.look(sql => sql`select ${undefined as unknown as string}`),
    /^Error: UNDEFINED_VALUE: /,
  )
  // and the next look is none the worse for it
  assert.equal(await database.look(ask), undefined)
})

test('of several queries of one look that fail, the first is told', async () => {
  const queries = (sql: Sql) => Promise.all([sql`select nope`, sql`select 1`, sql`select nothing`])
  const [said = ''] = await scene.troubleOf(scene.configured(), queries)
  assert.ok(said.startsWith(asked()), said)
  assert.match(said, /"nope".* \(42703\)$/)
})

const at = (path: string) => ({ path, shown: path })

/** A PostgreSQL that asks the role `guarded` for its password, and neither PGPASSWORD nor PGPASSFILE. */
async function guarded(t: TestContext) {
  const server = await startPostgres()
  t.after(() => server.stop())
  const sql = connect(server, { database: 'postgres', max: 1 })
  t.after(() => sql.end())
  const file = join(server.socketDirectory, 'data', 'pg_hba.conf')
  await sql.unsafe(`create role guarded login password '${PASSWORD}'`)
  await writeFile(file, `local all guarded scram-sha-256\n${await readFile(file, 'utf8')}`)
  await sql`select pg_reload_conf()`

  const { PGPASSFILE, PGPASSWORD } = process.env
  t.after(() => {
    for (const [name, value] of Object.entries({ PGPASSFILE, PGPASSWORD })) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  delete process.env.PGPASSWORD
  process.env.PGPASSFILE = '/nonexistent'
  const { password: _, ...connection } = scene.configured({
    host: server.socketDirectory,
    database: 'postgres',
    user: 'guarded',
  })
  const look = async (more: Partial<Connection> = {}) => {
    const database = openDatabase({ ...connection, ...more })
    try {
      return await database.look(async sql => (await sql`select current_user as role`)[0]?.role)
    } finally {
      await database.close()
    }
  }
  // the server reads its configuration again a moment after it was told to
  let refusal: unknown
  while (refusal === undefined) {
    refusal = await look().then(
      () => undefined,
      error => error,
    )
  }
  const pass = join(scene.directory, 'pgpass')
  const line = (password: string) => `${server.socketDirectory}:5432:*:guarded:${password}\n`
  t.after(() => rmSync(pass, { force: true }))
  return { look, refusal, pass, line }
}

test('the password is asked of PGPASSFILE', async t => {
  const { look, refusal, pass, line } = await guarded(t)
  assert.ok(refusal instanceof OperatorError)
  assert.match(refusal.message, /: .*"guarded".* \(28P01\)$/)
  assert.deepEqual(refusal.hint, [
    'the password is wrong or missing in the connection string, in database.passFile or in PGPASSFILE: a line there is HOST:PORT:DATABASE:ROLE:PASSWORD',
  ])

  process.env.PGPASSFILE = pass
  await writeFile(pass, line('wrong'), { mode: 0o600 })
  await assert.rejects(look(), /28P01/)
  await writeFile(pass, line(PASSWORD))
  assert.equal(await look(), 'guarded')
})

test('before that, of database.passFile', async t => {
  const { look, pass: passFile, line } = await guarded(t)
  const others = `db.example.org:5432:hydra:guarded:wrong\n# ${line('wrong')}`
  await writeFile(passFile, `${others}${line(PASSWORD)}`)
  assert.equal(await look({ passFile: at(passFile) }), 'guarded')
  // as systemd hands it over, with the file that it names: a link, and readable for our user
  symlinkSync(passFile, `${passFile}-link`)
  t.after(() => rmSync(`${passFile}-link`))
  assert.equal(await look({ passFile: at(`${passFile}-link`) }), 'guarded')

  process.env.PGPASSFILE = join(scene.directory, 'other')
  await writeFile(process.env.PGPASSFILE, line(PASSWORD), { mode: 0o600 })
  await writeFile(passFile, others)
  await assert.rejects(look({ passFile: at(passFile) }), /28P01/)
})

const UNREADABLE: { what: string; content?: string; said: RegExp; hint: RegExp }[] = [
  {
    what: 'that is not there',
    said: /^cannot read the password of Hydra's database in DIR\/pass \(database\.passFile\): ENOENT/,
    hint: /^let the user read it/,
  },
  {
    what: 'that systemd could not read',
    content: 'missing:/run/secrets/pass',
    said: /^there is no file with the password of Hydra's database at \/run\/secrets\/pass: systemd could not/,
    hint: /^put the file with the password there, readable for root only/,
  },
]

for (const { what, content, said, hint } of UNREADABLE) {
  test(`a file of database.passFile ${what}`, async t => {
    const passFile = join(scene.directory, 'pass')
    if (content !== undefined) await writeFile(passFile, content)
    t.after(() => rmSync(passFile, { force: true }))
    const { password: _, ...connection } = scene.configured({ passFile: at(passFile) })
    const [message = '', firstHint = ''] = await scene.troubleOf(connection)
    assert.match(message, said)
    assert.match(firstHint, hint)
  })
}
