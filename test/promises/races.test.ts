// Many processes at once, each the real command: whoever wins, no other one fails because of it, and the channels end at the
// newest commit.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Result } from '../helpers/command.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'

const PROCESSES = Number(process.env.HYDRA_CHANNELS_TEST_PROCESSES ?? 30)
/** Where fewer show the same: each of them costs a second of a core. */
const SOME = Math.ceil(PROCESSES / 3)

const hostJob = (n: number) => `nixos-h${n}.x86_64-linux`
const hostChannel = (n: number) => `nixos-tested-h${n}`

/** Only fast-forwards along a line; the commits that a channel was at, in the order of the line. */
function assertForwardOnly({ repository }: Stage, line: readonly string[]): void {
  const at = new Map<string, number>()
  for (const { ref, from, to } of repository.moves) {
    const before = at.get(ref)
    if (before !== undefined) assert.equal(from, line[before], `${ref} was elsewhere`)
    const [was, is] = [from === undefined ? -1 : line.indexOf(from), line.indexOf(to)]
    assert.ok(is > was, `${ref} went from ${was} to ${is}`)
    at.set(ref, is)
  }
}

function assertAllWell(results: readonly Result[]): void {
  const failed = results.filter(({ status }) => status !== 0)
  assert.deepEqual(
    failed.map(({ status, log }) => `exit ${status}\n${log}`),
    [],
  )
}

/** What is kept between processes is whole. */
function assertWhole({ runtimeDirectory }: Stage): void {
  if (!existsSync(runtimeDirectory)) return
  for (const name of readdirSync(runtimeDirectory)) {
    assert.match(name, /\.json$/, 'nothing half-written is left')
    assert.doesNotThrow(() => JSON.parse(readFileSync(join(runtimeDirectory, name), 'utf8')), name)
  }
}

/** Thirty processes on two processors: no answer is late because of that. */
const PATIENCE = { attemptTimeoutSeconds: 600, deadlineSeconds: 1800 }

/** A stage whose configuration is written once: a process that starts must not meet it half-written by the next one. */
async function steadyStage(t: TestContext): Promise<Stage> {
  const stage = await stageFor(t)
  const file = join(stage.directory, 'steady.json')
  writeFileSync(file, JSON.stringify({ ...stage.config, github: { ...stage.config.github, ...PATIENCE } }))
  stage.env.HYDRA_CHANNELS_CONFIG = file
  return stage
}

/** A line of commits with an eval and a good build of each; and the builds. */
async function line(t: TestContext, length: number) {
  const stage = await steadyStage(t)
  const commits = await stage.repository.history(length)
  await stage.repository.setBranch('main', commits.at(-1) ?? '')
  const builds: number[] = []
  for (const sha of commits) builds.push(await stage.built(sha))
  return { stage, commits, builds }
}

test(`${PROCESSES} hooks at once, each of another commit of one line, on one channel that is missing`, async t => {
  // main: c1 - … - c30   a good build of each   channel nowhere
  const { stage, commits, builds } = await line(t, PROCESSES)
  assertAllWell(await Promise.all(builds.map(build => stage.hook(build))))
  assert.equal(await stage.repository.branch(CHANNEL), commits.at(-1))
  assertForwardOnly(stage, commits)
  assertWhole(stage)
})

test(`${PROCESSES} builds of one line that end one after the other, while the hooks of the others run`, async t => {
  // main: c1 - … - c30   builds end in the order of the line, and each hook begins when its build has ended
  const stage = await steadyStage(t)
  const commits = await stage.repository.history(PROCESSES)
  await stage.repository.setBranches({ main: commits.at(-1) ?? '', [CHANNEL]: commits[0] ?? '' })
  const builds: number[] = []
  for (const sha of commits) {
    await stage.eval(sha, [{ job: JOB, status: null }])
    const [row] = await stage.hydra.sql<{ id: number }[]>`select max(id) as id from builds`
    builds.push(row?.id ?? 0)
  }
  const running: Promise<Result>[] = []
  for (const build of builds) {
    await stage.hydra.finish(build)
    running.push(stage.hook(build))
  }
  assertAllWell(await Promise.all(running))
  assert.equal(await stage.repository.branch(CHANNEL), commits.at(-1))
  assertForwardOnly(stage, commits)
})

test(`${SOME} channel-updates at once, to different commits of one line`, async t => {
  // main: c1 - … - c10   channel at c1
  const stage = await steadyStage(t)
  const commits = await stage.repository.history(SOME)
  await stage.repository.setBranches({ main: commits.at(-1) ?? '', [CHANNEL]: commits[0] ?? '' })
  const shuffled = commits.toSorted((a, b) => (a < b ? -1 : 1))
  const results = await Promise.all(
    shuffled.map(sha => stage.command('channel-update', ['alice', 'dotfiles', CHANNEL, sha])),
  )
  assertAllWell(results)
  assert.equal(await stage.repository.branch(CHANNEL), commits.at(-1))
  assertForwardOnly(stage, commits)
})

/** Two commits, and good builds of both for as many hosts as there are processes. */
async function hosts(t: TestContext) {
  const stage = await steadyStage(t)
  const commits = await stage.repository.history(2)
  const [c1 = '', c2 = ''] = commits
  const names = Array.from({ length: PROCESSES }, (_, n) => hostChannel(n))
  await stage.repository.setBranches({ main: c2, ...Object.fromEntries(names.map(name => [name, c1])) })
  for (const sha of commits) {
    await stage.eval(
      sha,
      names.map((_, n) => ({ job: hostJob(n) })),
    )
  }
  const rows = await stage.hydra.sql<{ id: number }[]>`
    select m.build as id from jobsetevalmembers m where m.eval = (select max(id) from jobsetevals)`
  return { stage, commits, names, builds: rows.map(({ id }) => id) }
}

async function assertAllAt(stage: Stage, names: readonly string[], sha: string | undefined): Promise<void> {
  const branches = await stage.repository.branches()
  assert.deepEqual(
    Object.fromEntries(names.map(name => [name, branches[name]])),
    Object.fromEntries(names.map(name => [name, sha])),
  )
}

test(`${PROCESSES} hooks at once on ${PROCESSES} channels`, async t => {
  // main: c1 - c2   a good build of each host at both   all channels at c1
  const { stage, commits, names, builds } = await hosts(t)
  assertAllWell(await Promise.all(builds.map(build => stage.hook(build))))
  await assertAllAt(stage, names, commits[1])
  assert.equal(stage.repository.moves.length, PROCESSES)
  assertForwardOnly(stage, commits)
  assertWhole(stage)
})

test(`${SOME} hooks race a reconcile that moves the same channels`, async t => {
  // main: c1 - c2   a good build of each host at both   all channels at c1
  const { stage, commits, names, builds } = await hosts(t)
  const some = builds.slice(0, SOME)
  const reconcile = stage.command('hydra-channels', ['reconcile'])
  const results = await Promise.all([reconcile, ...some.map(build => stage.hook(build))])
  assertAllWell(results)
  await assertAllAt(stage, names, commits[1])
  // each once, whichever run it was
  assert.equal(stage.repository.moves.length, PROCESSES)
  assertForwardOnly(stage, commits)
})

test('two reconciles: one works, and the other says so or finds nothing to do', async t => {
  // main: c1 - c2   a good build of each host at both   all channels at c1
  const { stage, commits, names } = await hosts(t)
  const results = await Promise.all([
    stage.command('hydra-channels', ['reconcile']),
    stage.command('hydra-channels', ['reconcile']),
    stage.command('hydra-channels', ['reconcile', '--wait']),
  ])
  assertAllWell(results)
  await assertAllAt(stage, names, commits[1])
  assert.equal(stage.repository.moves.length, PROCESSES)
  const moved = results.filter(({ log }) => log.includes(`${PROCESSES} fast-forwarded`))
  assert.equal(moved.length, 1, results.map(({ log }) => log).join('\n'))
})

test('two reconciles of overlapping channels wait for each other', async t => {
  // main: c1 - c2   a good build of each host at both   all channels at c1   two runs at once
  const { stage, commits, names } = await hosts(t)
  const results = await Promise.all([
    stage.command('hydra-channels', ['reconcile', '--wait', ...names.slice(0, 20)]),
    stage.command('hydra-channels', ['reconcile', '--wait', ...names.slice(10)]),
  ])
  assertAllWell(results)
  await assertAllAt(stage, names, commits[1])
  assert.equal(stage.repository.moves.length, PROCESSES)
})
