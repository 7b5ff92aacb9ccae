// nix/database-role.sql: enough for every command, and nothing more. A question that asks for another table fails here.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createHydra } from '../helpers/hydra.ts'
import { connect } from '../helpers/postgres.ts'
import { stageFor } from '../helpers/stage.ts'
import { NIX_DIRECTORY } from './nix.ts'

const SQL = readFileSync(`${NIX_DIRECTORY}database-role.sql`, 'utf8')

test('the role is enough for reconcile, status, the hook and get-flake-commit', async t => {
  const stage = await stageFor(t)
  await stage.hydra.sql.unsafe(SQL)
  // again does no harm
  await stage.hydra.sql.unsafe(SQL)
  stage.config.database = { ...stage.hydra.config, user: 'hydra-channels' }
  const [first = '', second = ''] = await stage.repository.history(2)
  await stage.repository.setBranch('main', second)
  const build = await stage.built(first)
  const main = await stage.built(second, { job: 'nixos-mail.x86_64-linux' })

  const hook = await stage.hook(build)
  assert.equal(hook.status, 0, hook.log)
  for (const args of [['reconcile'], ['status', '--json'], ['reconcile', '--dry-run']]) {
    const { status, log } = await stage.command('hydra-channels', args)
    assert.equal(status, 0, log)
    assert.doesNotMatch(log, /cannot ask|42501/)
  }
  const { status, log } = await stage.command('get-flake-commit', [String(main)])
  assert.equal(status, 0, log)
  assert.match(log, new RegExp(second))
})

test('the role reads no password hash and writes nothing', async t => {
  const stage = await stageFor(t)
  await stage.hydra.sql.unsafe(SQL)
  const { database, socketDirectory } = stage.hydra
  const sql = connect({ socketDirectory, port: 5432 }, { database, user: 'hydra-channels' })
  t.after(() => sql.end({ timeout: 5 }))
  for (const statement of [
    'select * from users',
    'insert into projects (name, displayname) values (1, 1)',
    'update jobsets set enabled = 0',
    'delete from builds',
    'truncate jobsetevals',
  ]) {
    await assert.rejects(sql.unsafe(statement), { code: '42501' }, statement)
  }
})

const GRANTED = [
  'public.buildoutputs SELECT',
  'public.builds SELECT',
  'public.evaluationerrors SELECT',
  'public.jobsetevalmembers SELECT',
  'public.jobsetevals SELECT',
  'public.jobsetrenames SELECT',
  'public.jobsets SELECT',
  'public.projects SELECT',
  'public.schemaversion SELECT',
]

test('a table of the same name in another schema is neither granted nor read', async t => {
  const hydra = await createHydra()
  t.after(() => hydra.close())
  const { database, socketDirectory } = hydra
  // every role finds `other` first, and the role of a schema's name that schema
  await hydra.sql.unsafe(`alter database "${database}" set search_path = other, "$user", public`)
  for (const schema of ['other', '"hydra-channels"']) {
    await hydra.sql.unsafe(`create schema ${schema}; create table ${schema}.builds (id int);
      grant usage on schema ${schema} to public`)
  }
  const superuser = connect({ socketDirectory, port: 5432 }, { database })
  const role = connect({ socketDirectory, port: 5432 }, { database, user: 'hydra-channels' })
  t.after(() => Promise.all([superuser, role].map(each => each.end({ timeout: 5 }))))
  const schemaOfBuilds = async (sql: typeof role) => {
    const [row] =
      await sql`select relnamespace::regnamespace::text as schema from pg_class where oid = 'builds'::regclass`
    return row?.schema
  }
  assert.equal(await schemaOfBuilds(superuser), 'other')

  for (const run of ['first', 'second']) {
    await superuser.unsafe(SQL)
    const granted = await superuser`
      select table_schema || '.' || table_name || ' ' || privilege_type as privilege
      from information_schema.role_table_grants where grantee = 'hydra-channels' order by 1`
    assert.deepEqual(
      granted.map(({ privilege }) => privilege),
      GRANTED,
      run,
    )
  }
  assert.equal(await schemaOfBuilds(role), 'public')
})
