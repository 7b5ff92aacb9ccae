// The queries on a real PostgreSQL with Hydra's tables: by example, then against a brute-force reading of the words in
// README.md for random histories that follow Hydra's own rules.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { findConnection } from '../../src/hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../../src/hydra/database.ts'
import {
  findBuild,
  findCandidate,
  findNewestEval,
  findNewestEvalOfBuild,
  findOutputs,
  findPresentJobs,
} from '../../src/hydra/queries.ts'
import { createHydra, type TestHydra } from '../helpers/hydra.ts'

let hydra: TestHydra
let database: Database
let jobsets = 0

before(async () => {
  hydra = await createHydra()
  database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))
})

after(async () => {
  await database.close()
  await hydra.close()
})

const newJobset = () => hydra.jobset({ name: `jobset-${jobsets++}` })
const look = <T>(query: (sql: Sql) => Promise<T>): Promise<T> => database.look(query)
const flake = (n: number) => `github:alice/dotfiles/${String(n).padStart(40, '0')}`

async function candidate(jobset: number, job = 'a') {
  const found = await look(sql => findCandidate(sql, jobset, job))
  return found && { build: found.build, eval: found.eval.id }
}

test('a reused build is proven by the newest eval that has it', async () => {
  // e1: a=1   e2: a=1, b=2
  const jobset = await newJobset()
  const e1 = await hydra.eval({ jobset, flake: flake(1), builds: [{ job: 'a', id: 101 }] })
  assert.deepEqual(await candidate(jobset), { build: 101, eval: e1 })
  const e2 = await hydra.eval({ jobset, flake: flake(2), builds: [101, { job: 'b', id: 102 }] })
  assert.deepEqual(await candidate(jobset), { build: 101, eval: e2 })
  assert.deepEqual(await look(sql => findNewestEvalOfBuild(sql, 101)), { id: e2, flake: flake(2) })
})

test('a memberless eval has the build set of the one before it', async () => {
  // e1: a=111   e2: (nothing changed)
  const jobset = await newJobset()
  await hydra.eval({ jobset, builds: [{ job: 'a', id: 111 }] })
  const e2 = await hydra.eval({ jobset })
  assert.deepEqual(await candidate(jobset), { build: 111, eval: e2 })
  assert.equal((await look(sql => findNewestEval(sql, jobset)))?.id, e2)
})

test('an eval in which every job failed to evaluate has an empty build set', async () => {
  // e1: a=121   e2: new, and no members   e3: (nothing changed)
  const jobset = await newJobset()
  const e1 = await hydra.eval({ jobset, builds: [{ job: 'a', id: 121 }] })
  await hydra.eval({ jobset, builds: [], error: 'error: everything is broken' })
  await hydra.eval({ jobset })
  assert.deepEqual(await candidate(jobset), { build: 121, eval: e1 })
})

test('a build that failed, is queued, or is built again is no candidate: the older good one is', async () => {
  // e1: a=131 good   e2: a=132
  for (const [step, change] of [
    [0, (id: number) => hydra.finish(id, 1)],
    [1, (id: number) => hydra.restart(id)],
    [2, (id: number) => hydra.repoint(id)],
  ] as const) {
    const jobset = await newJobset()
    const [one, two] = [131 + 10 * step, 132 + 10 * step]
    const e1 = await hydra.eval({ jobset, builds: [{ job: 'a', id: one }] })
    const e2 = await hydra.eval({ jobset, builds: [{ job: 'a', id: two }] })
    assert.deepEqual(await candidate(jobset), { build: two, eval: e2 })
    await change(two)
    assert.deepEqual(await candidate(jobset), { build: one, eval: e1 })
    assert.equal((await look(sql => findBuild(sql, two)))?.good, false)
    await hydra.finish(two)
    assert.deepEqual(await candidate(jobset), { build: two, eval: e2 })
  }
})

test('a build that failed with output is not good, and a cached one is', async () => {
  const jobset = await newJobset()
  await hydra.eval({ jobset, builds: [{ job: 'a', id: 171, status: 6 }] })
  assert.equal(await candidate(jobset), undefined)
  await hydra.sql`update builds set buildstatus = 0, iscachedbuild = 1 where id = 171`
  assert.equal((await candidate(jobset))?.build, 171)
})

test('a job that was removed keeps the newest eval that had it, and gets a new build when it comes back', async () => {
  // e1: a=181, b   e2: b   e3: a=182, b
  const jobset = await newJobset()
  const e1 = await hydra.eval({
    jobset,
    builds: [
      { job: 'a', id: 181 },
      { job: 'b', id: 183 },
    ],
  })
  await hydra.eval({ jobset, builds: [183] })
  assert.deepEqual(await candidate(jobset), { build: 181, eval: e1 })
  const e3 = await hydra.eval({ jobset, builds: [183, { job: 'a', id: 190 }] })
  assert.deepEqual(await candidate(jobset), { build: 190, eval: e3 })
})

test('a build is described by its own jobset, and a legacy one has no flakeref', async () => {
  const jobset = await hydra.jobset({ name: 'old', type: 0 })
  const id = await hydra.eval({
    jobset,
    flake: null,
    builds: [{ job: 'hello', id: 201, outputs: { out: '/nix/store/x', dev: null } }],
  })
  assert.deepEqual(await look(sql => findBuild(sql, 201)), {
    id: 201,
    project: 'dotfiles',
    jobset: 'old',
    jobsetId: jobset,
    jobsetType: 'legacy',
    job: 'hello',
    good: true,
  })
  assert.deepEqual(await look(sql => findNewestEvalOfBuild(sql, 201)), { id, flake: null })
  assert.deepEqual(await look(sql => findOutputs(sql, 201)), [
    { name: 'dev', path: null },
    { name: 'out', path: '/nix/store/x' },
  ])
})

test('what is not there is undefined or empty', async () => {
  const jobset = await newJobset()
  assert.equal(await look(sql => findBuild(sql, 2_000_000)), undefined)
  assert.equal(await look(sql => findNewestEvalOfBuild(sql, 2_000_000)), undefined)
  assert.equal(await look(sql => findNewestEval(sql, jobset)), undefined)
  assert.equal(await candidate(jobset), undefined)
  assert.deepEqual(await look(sql => findPresentJobs(sql, 'dotfiles', 'no such jobset')), [])
  assert.deepEqual(await look(sql => findOutputs(sql, 2_000_000)), [])
})

// The definitions of README.md, read naively.

interface ModelBuild {
  id: number
  job: string
  finished: boolean
  status: number | null
}

interface ModelEval {
  id: number
  hasNewBuilds: boolean
  members: ModelBuild[]
}

class Model {
  evals: ModelEval[] = []

  /** the members of an eval with new builds; else those of the newest one before it that has new builds */
  buildSet(index: number): ModelBuild[] {
    for (let at = index; at >= 0; at--) {
      const found = this.evals[at]
      if (found?.hasNewBuilds) return found.members
    }
    return []
  }

  isGood = (build: ModelBuild) => build.finished && build.status === 0

  candidate(job: string): { build: number; eval: number } | undefined {
    for (let at = this.evals.length - 1; at >= 0; at--) {
      const build = this.buildSet(at).find(each => each.job === job && this.isGood(each))
      if (build) return { build: build.id, eval: this.evals[at]?.id ?? 0 }
    }
    return undefined
  }

  newestEvalOf(build: number): number | undefined {
    for (let at = this.evals.length - 1; at >= 0; at--) {
      if (this.buildSet(at).some(each => each.id === build)) return this.evals[at]?.id
    }
    return undefined
  }

  builds(): ModelBuild[] {
    return [...new Map(this.evals.flatMap(each => each.members).map(build => [build.id, build])).values()]
  }
}

const JOBS = ['a', 'b', 'c']

/** What happens to a job in an eval, and to builds between evals. */
const jobStep = fc.constantFrom('absent', 'reused', 'good', 'failed', 'queued')
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant('eval' as const), fc.array(jobStep, { minLength: 3, maxLength: 3 })),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('memberless' as const), fc.constant([])) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('all jobs failed' as const), fc.constant([])) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constantFrom('restart' as const, 'repoint' as const, 'finish' as const, 'fail' as const),
      fc.array(fc.nat(30), { minLength: 1, maxLength: 1 }),
    ),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function play(steps: readonly Step[]): Promise<{ jobset: number; name: string; model: Model }> {
  const name = `jobset-${jobsets}`
  const jobset = await newJobset()
  const model = new Model()
  for (const [kind, what] of steps) {
    const builds = model.builds()
    const at = builds[Number(what[0]) % Math.max(1, builds.length)]
    if (kind === 'memberless') {
      model.evals.push({ id: await hydra.eval({ jobset }), hasNewBuilds: false, members: [] })
    } else if (kind === 'all jobs failed') {
      model.evals.push({ id: await hydra.eval({ jobset, builds: [] }), hasNewBuilds: true, members: [] })
    } else if (kind === 'eval') {
      const previous = model.buildSet(model.evals.length - 1)
      const reused = JOBS.flatMap((job, index) =>
        what[index] === 'reused' ? (previous.find(build => build.job === job) ?? []) : [],
      )
      const fresh = JOBS.flatMap((job, index) => {
        const state = what[index]
        if (state === 'good') return { job, finished: true, status: 0 }
        if (state === 'failed') return { job, finished: true, status: 1 }
        return state === 'queued' ? { job, finished: false, status: null } : []
      })
      const id = await hydra.eval({ jobset, builds: [...reused.map(build => build.id), ...fresh] })
      const made = await hydra.sql<{ id: number; job: string }[]>`
        select b.id, b.job from jobsetevalmembers m join builds b on b.id = m.build where m.eval = ${id} and m.isnew = 1`
      const members = fresh.map(build => ({ ...build, id: made.find(row => row.job === build.job)?.id ?? 0 }))
      model.evals.push({ id, hasNewBuilds: true, members: [...reused, ...members] })
    } else if (at && kind === 'restart' && at.finished) {
      await hydra.restart(at.id)
      at.finished = false
    } else if (at && kind === 'repoint') {
      await hydra.repoint(at.id)
      at.finished = false
      at.status = null
    } else if (at && (kind === 'finish' || kind === 'fail') && !at.finished) {
      await hydra.finish(at.id, kind === 'finish' ? 0 : 1)
      at.finished = true
      at.status = kind === 'finish' ? 0 : 1
    }
  }
  return { jobset, name, model }
}

test('for every history, the queries say what the definitions say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 18 }), async steps => {
      const { jobset, name, model } = await play(steps)
      await look(async sql => {
        for (const job of JOBS) {
          const found = await findCandidate(sql, jobset, job)
          assert.deepEqual(found && { build: found.build, eval: found.eval.id }, model.candidate(job), job)
        }
        for (const build of model.builds()) {
          assert.equal((await findNewestEvalOfBuild(sql, build.id))?.id, model.newestEvalOf(build.id))
          assert.equal((await findBuild(sql, build.id))?.good, model.isGood(build))
        }
        assert.equal((await findNewestEval(sql, jobset))?.id, model.evals.at(-1)?.id)
        const present = model.buildSet(model.evals.length - 1).map(build => build.job)
        assert.deepEqual((await findPresentJobs(sql, 'dotfiles', name)).sort(), present.sort())
      })
    }),
    { numRuns: 60 },
  )
})

test('on a large database the candidate and the newest eval are found without reading a whole table', async t => {
  // 40 jobs in 800 evals: 32,000 builds
  const large = await createHydra()
  t.after(() => large.close())
  const jobset = await large.jobset({ name: 'large' })
  await large.sql.unsafe(`
    insert into jobsetevals (jobset_id, timestamp, flake, hasnewbuilds, nrbuilds)
      select ${jobset}, 1760000000 + n, 'github:alice/dotfiles/' || lpad(to_hex(n), 40, '0'), 1, 40 from generate_series(1, 800) n;
    insert into builds (id, finished, timestamp, jobset_id, job, drvpath, system, starttime, stoptime, buildstatus, iscurrent)
      select n * 40 + j, 1, 1760000000, ${jobset}, 'nixos-' || j, '/nix/store/x.drv', 'x86_64-linux', 1, 2, (n + j) % 5, 0
      from generate_series(1, 800) n, generate_series(1, 40) j;
    insert into jobsetevalmembers (eval, build, isnew)
      select e, e * 40 + j, 1 from generate_series(1, 800) e, generate_series(1, 40) j;
    analyze`)
  const tables = ['builds', 'jobsetevals', 'jobsetevalmembers']
  const readWhole = async (): Promise<number> => {
    // the statistics of a session arrive when it ends
    const [row] = await large.sql<{ n: number }[]>`
      select sum(seq_tup_read)::int as n from pg_stat_user_tables where relname in ${large.sql(tables)}`
    return row?.n ?? 0
  }
  const before = await readWhole()
  const opened = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: large.url }))
  await opened.look(async sql => {
    assert.ok(await findCandidate(sql, jobset, 'nixos-7'))
    assert.ok(await findNewestEvalOfBuild(sql, 800 * 40 + 7))
    assert.ok(await findNewestEval(sql, jobset))
    assert.ok(await findBuild(sql, 800 * 40 + 7))
    assert.equal((await findPresentJobs(sql, 'dotfiles', 'large')).length, 40)
    await sql`select pg_stat_force_next_flush()`
  })
  await opened.close()
  assert.equal(await readWhole(), before)
})
