import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import postgres from 'postgres'
import { createHydra, flakeOf, type TestHydra } from './hydra.ts'
import { connect, sharedPostgres } from './postgres.ts'
import { until } from './until.ts'

const sha = '3f2c9d1b6a7e4c5d8f0a1b2c3d4e5f6a7b8c9d0e'
const events = new URL('../../fixtures/events/', import.meta.url)

let hydra: TestHydra
beforeEach(async () => {
  hydra = await createHydra()
})
afterEach(() => hydra.close())

/** Whether the statement is refused, with this code of PostgreSQL's. */
const refused = (statement: PromiseLike<unknown>, code: string) =>
  assert.rejects(Promise.resolve(statement), { code })

const membersOf = async (evalId: number) => [
  ...(await hydra.sql`select build, isnew from jobsetevalmembers where eval = ${evalId} order by build`),
]

const evalOf = async (evalId: number) =>
  (await hydra.sql`select flake, hasnewbuilds, nrbuilds, timestamp from jobsetevals where id = ${evalId}`)[0]

/** The newest good build of a job with the newest eval that has it as a member. */
const candidateOf = async (jobset: number, job: string) => {
  const [row] = await hydra.sql`
    select b.id as build, max(m.eval) as eval from builds b join jobsetevalmembers m on m.build = b.id
    where b.jobset_id = ${jobset} and b.job = ${job} and b.finished = 1 and b.buildstatus = 0
    group by b.id order by b.id desc limit 1`
  return row
}

describe('the cluster', () => {
  test('answers on its socket, and on no other address', async () => {
    const sql = connect(await sharedPostgres(), { database: 'postgres' })
    assert.deepEqual([...(await sql`show listen_addresses`)], [{ listen_addresses: '' }])
    await sql.end()
  })

  test('gives every test a database of its own', async () => {
    await hydra.jobset()
    const other = await createHydra()
    assert.notEqual(other.database, hydra.database)
    assert.deepEqual([...(await other.sql`select * from jobsets`)], [])
    await other.close()
  })

  test('makes many databases at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => createHydra()))
    assert.equal(new Set(all.map(({ database }) => database)).size, 8)
    await Promise.all(all.map(one => one.close()))
  })
})

test('a cluster ends with its process, even with one that is killed', async () => {
  const script = `
    const { startPostgres } = await import('${new URL('./postgres.ts', import.meta.url)}')
    console.log((await startPostgres()).socketDirectory)
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  const [directory] = String(await once(owner.stdout, 'data')).split('\n')
  assert.ok(directory && existsSync(join(directory, 'data', 'postmaster.pid')))
  owner.kill('SIGKILL')
  await until('its folder is gone', () => !existsSync(directory))
})

describe('the role hydra', () => {
  test('reads the tables, but neither Users nor anything that it could write', async () => {
    await hydra.jobset()
    const { config } = hydra
    const sql = postgres({ ...config, username: config.user })
    assert.equal((await sql`select * from jobsets`).length, 1)
    await refused(sql`select * from users`, '42501')
    await refused(sql`delete from jobsets`, '42501')
    await sql.end()
  })

  test('meets a read-only transaction before it meets its missing privileges', async () => {
    const { config } = hydra
    const connection = { default_transaction_read_only: true }
    const sql = postgres({ ...config, username: config.user, connection })
    await refused(sql`delete from jobsets`, '25006')
    await sql.end()
  })

  test('finds the database by the URL that Hydra writes', () => {
    const url = new URL(hydra.url)
    assert.equal(decodeURIComponent(url.hostname), hydra.socketDirectory)
    assert.equal(url.username, 'hydra')
    assert.equal(url.pathname, `/${hydra.database}`)
    assert.match(hydra.dbi, new RegExp(`^dbi:Pg:dbname=${hydra.database};host=/.*;user=hydra;;`))
  })
})

describe('an eval', () => {
  test('has its new builds as members, and the next one reuses them', async () => {
    const jobset = await hydra.jobset()
    const first = await hydra.eval({ jobset, builds: [{ id: 7, job: 'a' }, { job: 'b' }] })
    const second = await hydra.eval({ jobset, builds: [7, { job: 'b', status: 1 }] })
    assert.deepEqual(await membersOf(first), [
      { build: 7, isnew: 1 },
      { build: 8, isnew: 1 },
    ])
    assert.deepEqual(await membersOf(second), [
      { build: 7, isnew: 0 },
      { build: 9, isnew: 1 },
    ])
    assert.deepEqual(await candidateOf(jobset, 'a'), { build: 7, eval: second })
    assert.deepEqual(await candidateOf(jobset, 'b'), { build: 8, eval: first })
  })

  test('that changes nothing has no members', async () => {
    const jobset = await hydra.jobset()
    const flake = flakeOf(sha)
    const id = await hydra.eval({ jobset, flake, timestamp: 1_760_000_000 })
    assert.deepEqual(await membersOf(id), [])
    assert.deepEqual(await evalOf(id), { flake, hasnewbuilds: 0, nrbuilds: null, timestamp: 1_760_000_000 })
  })

  test('in which every job fails to evaluate has new builds, namely none', async () => {
    const jobset = await hydra.jobset()
    const error = 'in job ‘a’:\nerror: no'
    const flake = flakeOf(sha)
    const id = await hydra.eval({ jobset, flake, timestamp: 1000, builds: [], error })
    assert.deepEqual(await evalOf(id), { flake, hasnewbuilds: 1, nrbuilds: 0, timestamp: 1000 })
    const [row] = await hydra.sql`
      select r.errormsg, j.errormsg as last, j.errortime = j.lastcheckedtime as current
      from jobsetevals e join evaluationerrors r on r.id = e.evaluationerror_id join jobsets j on j.id = e.jobset_id
      where e.id = ${id}`
    assert.deepEqual(row, { errormsg: error, last: error, current: true })
  })

  test('cannot reuse what the eval before did not have', async () => {
    const jobset = await hydra.jobset()
    await hydra.eval({ jobset, builds: [{ id: 1, job: 'a' }] })
    await hydra.eval({ jobset, builds: [{ job: 'b' }] })
    await assert.rejects(hydra.eval({ jobset, builds: [1] }), /build 1 is not in the eval before/)
  })

  test('has one build per job', async () => {
    const jobset = await hydra.jobset()
    const builds = [{ job: 'a' }, { job: 'a' }]
    await assert.rejects(hydra.eval({ jobset, builds }), /one build per job/)
  })
})

describe('a build', () => {
  const stateOf = async (build: number) =>
    (await hydra.sql`select finished, buildstatus, stoptime from builds where id = ${build}`)[0]

  test('is queued, ends, is restarted, ends again and is re-pointed', async () => {
    const jobset = await hydra.jobset()
    await hydra.eval({ jobset, timestamp: 1000, builds: [{ id: 1, job: 'a', finished: false }] })
    assert.deepEqual(await stateOf(1), { finished: 0, buildstatus: null, stoptime: null })
    await hydra.finish(1, 1)
    assert.deepEqual(await stateOf(1), { finished: 1, buildstatus: 1, stoptime: 1300 })
    await hydra.restart(1)
    assert.deepEqual(await stateOf(1), { finished: 0, buildstatus: 1, stoptime: 1300 })
    await hydra.finish(1, 0)
    assert.deepEqual(await stateOf(1), { finished: 1, buildstatus: 0, stoptime: 1600 })
    const drvPath = await hydra.repoint(1)
    assert.deepEqual(await stateOf(1), { finished: 0, buildstatus: null, stoptime: 1600 })
    assert.equal((await hydra.eventOf(1)).drvPath, drvPath)
  })

  test('cannot be finished without a start and an end', async () => {
    const jobset = await hydra.jobset()
    for (const times of [{ stopTime: null }, { stopTime: 0 }, { startTime: null }, { startTime: 0 }])
      await refused(hydra.eval({ jobset, builds: [{ job: 'a', ...times }] }), '23514')
    await hydra.eval({ jobset, builds: [{ job: 'a', finished: false, stopTime: null }] })
  })

  test('that does not exist is not changed in silence', async () => {
    await assert.rejects(hydra.finish(99), /expected one row, got 0/)
  })
})

describe('the recorded events', () => {
  test('read back from the database as Hydra wrote them', async () => {
    await hydra.seedEvents({ sha })
    let compared = 0
    for (const name of await readdir(events)) {
      if (name === 'metrics-nan-inf-jsonxs.json') continue
      const recorded = JSON.parse(await readFile(new URL(name, events), 'utf8'))
      // Products and metrics are in tables that this schema does not have.
      const { products: _, metrics: __, ...expected } = recorded
      const { products, metrics, ...event } = await hydra.eventOf(recorded.build)
      const sorted = (outputs: { name: string }[]) => outputs.toSorted((a, b) => (a.name < b.name ? -1 : 1))
      assert.deepEqual(
        { ...event, outputs: sorted(event.outputs) },
        { ...expected, outputs: sorted(expected.outputs) },
        name,
      )
      compared++
    }
    assert.equal(compared, 18)
  })

  test('belong to one eval of the commit per jobset', async () => {
    const evals = await hydra.seedEvents({ sha, owner: 'bob', repo: 'nixos' })
    assert.equal((await evalOf(evals.main))?.flake, flakeOf(sha, { owner: 'bob', repo: 'nixos' }))
    assert.equal(
      (await evalOf(evals['git-https']))?.flake,
      `git+https://github.com/bob/nixos?ref=refs/heads/main&rev=${sha}`,
    )
    assert.equal((await evalOf(evals.legacy))?.flake, null)
    assert.deepEqual(
      [...(await hydra.sql`select eval, revision from jobsetevalinputs`)],
      [{ eval: evals.legacy, revision: sha }],
    )
    assert.deepEqual(await membersOf(evals.legacy), [{ build: 3001, isnew: 1 }])
  })

  test('are written for their owner alone', async t => {
    const directory = await mkdtemp(join(tmpdir(), 'hc-event-'))
    t.after(() => rm(directory, { recursive: true }))
    await hydra.seedEvents({ sha })
    const path = await hydra.writeEvent(1001, directory)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const written = JSON.parse(await readFile(path, 'utf8'))
    assert.deepEqual(written, JSON.parse(await readFile(new URL('success.json', events), 'utf8')))
    assert.equal(Object.keys(written).length, 19)
  })

  test('may be changed before they are written', async t => {
    const directory = await mkdtemp(join(tmpdir(), 'hc-event-'))
    t.after(() => rm(directory, { recursive: true }))
    const path = await hydra.writeEvent({ event: 'buildStarted' }, directory)
    assert.equal(await readFile(path, 'utf8'), '{"event":"buildStarted"}')
  })
})

test('a flakeref keeps a slash in its narHash and escapes the rest', () => {
  assert.match(flakeOf(sha), /^github:alice\/dotfiles\/[0-9a-f]{40}\?narHash=sha256-[\w%/]*\/[\w%/]*%3D$/)
})
