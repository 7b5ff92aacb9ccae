// The queries on a real PostgreSQL with Hydra's tables, by example. queries-histories.test.ts has random histories.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findConnection } from '../../../src/hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../../../src/hydra/database.ts'
import { findBuild } from '../../../src/hydra/queries/build.ts'
import { findCandidate } from '../../../src/hydra/queries/candidates.ts'
import { findNewestEval } from '../../../src/hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../../../src/hydra/queries/newest-eval-of-build.ts'
import { findOutputsOfBuilds } from '../../../src/hydra/queries/outputs.ts'
import { findPresentJobs } from '../../../src/hydra/queries/present-jobs.ts'
import { createHydra, type TestHydra } from '../../helpers/hydra.ts'

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
  const outputs = [
    { name: 'dev', path: null },
    { name: 'out', path: '/nix/store/x' },
  ]
  assert.deepEqual(await look(sql => findOutputsOfBuilds(sql, [201])), new Map([[201, outputs]]))
})

test('what is not there is undefined or empty', async () => {
  const jobset = await newJobset()
  assert.equal(await look(sql => findBuild(sql, 2_000_000)), undefined)
  assert.equal(await look(sql => findNewestEvalOfBuild(sql, 2_000_000)), undefined)
  assert.equal(await look(sql => findNewestEval(sql, jobset)), undefined)
  assert.equal(await candidate(jobset), undefined)
  assert.deepEqual(await look(sql => findPresentJobs(sql, jobset)), [])
  assert.deepEqual(await look(sql => findOutputsOfBuilds(sql, [2_000_000])), new Map([[2_000_000, []]]))
  assert.deepEqual(await look(sql => findOutputsOfBuilds(sql, [])), new Map())
})
