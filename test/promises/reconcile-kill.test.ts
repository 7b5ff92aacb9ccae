// Reconcile, stopped by SIGKILL wherever it may be: it decides by nothing that it keeps itself, so whatever it had done by
// then was right, and the next run does the rest.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RunOptions } from '../helpers/command.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { createSystemd } from '../helpers/systemd.ts'
import { until } from '../helpers/until.ts'

const KILLED = 'SIGKILL'
const EFFECTS = ['before', 'after'] as const

const channel = (host: number) => `nixos-tested-h${host}`
const output = (commit: number, host: number) =>
  `/nix/store/${commit}${String(host).padStart(31, '0')}-nixos-system-h${host}`

interface Fleet {
  stage: Stage
  /** before anything ran; a channel that is not in it is missing */
  before: Record<string, string>
  candidate: string
  /** each output of a candidate: when the cache had it */
  cachedAt: Map<string, number>
}

/**
 * main: c1 - c2 - c3, an eval of each with good builds of all hosts; channels at c1, but h0 at c2 and h1 nowhere.
 * The cache has all outputs of c3 but those of the hosts in `missing`, and none of c1 and c2.
 */
async function fleet(t: TestContext, hosts: number, missing: number[] = []): Promise<Fleet> {
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
  for (const [commit, sha] of [c1, c2, c3].entries()) {
    const builds = Array.from({ length: hosts }, (_, host) => ({
      job: `nixos-h${host}.x86_64-linux`,
      outputs: { out: output(commit, host) },
    }))
    await stage.eval(sha, builds)
  }
  const before: Record<string, string> = { main: c3, [channel(0)]: c2 }
  for (let host = 2; host < hosts; host++) before[channel(host)] = c1
  await stage.repository.setBranches(before)
  stage.config.stateDirectory = join(stage.directory, 'state')
  stage.config.cache = { unit: 'copy-cache@.service', url: stage.cache.url }
  const it: Fleet = { stage, before, candidate: c3, cachedAt: new Map() }
  for (let host = 0; host < hosts; host++) if (!missing.includes(host)) upload(it, output(2, host))
  return it
}

function upload({ stage, cachedAt }: Fleet, path: string): void {
  if (stage.cache.paths.has(path)) return
  stage.cache.paths.add(path)
  cachedAt.set(path, Date.now())
}

/** A run on a machine of its own: what systemd was about to do for another one is nothing to it. */
async function reconcile(it: Fleet, onCopy: () => Promise<void> | void, options: RunOptions = {}) {
  const directory = mkdtempSync(join(it.stage.directory, 'machine-'))
  const systemd = createSystemd(directory)
  systemd.ends('waits for a file')
  let copying: Promise<void> | undefined
  const copy = async () => {
    try {
      await onCopy()
    } finally {
      systemd.release()
    }
  }
  const watcher = watch(directory, () => {
    if (systemd.calls().length > 0) copying ??= copy()
  })
  try {
    const env = { PATH: `${systemd.bin}${delimiter}${process.env.PATH}` }
    const result = await it.stage.command('hydra-channels', ['reconcile', '--wait'], { ...options, env })
    await copying
    return { ...result, copies: systemd.calls().length }
  } finally {
    watcher.close()
    systemd.release()
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  assert.ok(child)
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/**
 * Runs it until it is killed at a request: one that has no effect then, or has it when nobody hears the answer. What it
 * keeps is whole. `ended`: it sent fewer requests this time, for what happens side by side may share one.
 */
async function reconcileUntil(
  it: Fleet,
  effect: 'before' | 'after',
  request: { path?: string; skip?: number },
): Promise<'killed' | 'ended'> {
  const { github } = it.stage
  const killed = await reconcile(it, () => upload(it, output(2, 1)), {
    onStart(child) {
      github.fault({ ...request, kind: 'hook', run: () => kill(child) })
      if (effect === 'before') github.fault({ ...request, kind: 'drop', when: 'before' })
    },
  })
  await github.idle()
  const isShorter = killed.status === 0 && github.requests.length <= (request.skip ?? 0)
  if (!isShorter) assert.equal(killed.status, KILLED, killed.log)
  for (const file of jsonFiles(it)) assert.doesNotThrow(() => JSON.parse(readFileSync(file, 'utf8')), file)
  return isShorter ? 'ended' : 'killed'
}

/** Each channel was always where it had been, or at its candidate, whose outputs were all in the cache by then. */
async function assertProven({ stage, before, candidate, cachedAt }: Fleet): Promise<void> {
  const branches = { ...before }
  for (const { ref, from, to, at } of stage.repository.moves) {
    const branch = ref.replace('refs/heads/', '')
    assert.deepEqual([branch, from, to], [branch, before[branch], candidate])
    const path = output(2, Number(/\d+$/.exec(branch)?.[0]))
    assert.ok((cachedAt.get(path) ?? Infinity) <= at, `${branch} moved before the cache had ${path}`)
    branches[branch] = to
  }
  assert.deepEqual(await stage.repository.branches(), branches)
}

/** The next run ends well, with every channel at its candidate. */
async function assertNextRunEnds(it: Fleet, hosts: number) {
  const next = await reconcile(it, () => upload(it, output(2, 1)))
  assert.equal(next.status, 0, next.log)
  await assertProven(it)
  for (let host = 0; host < hosts; host++)
    assert.equal(await it.stage.repository.branch(channel(host)), it.candidate, channel(host))
  const stamp = JSON.parse(readFileSync(join(it.stage.directory, 'state/last-reconcile.json'), 'utf8'))
  assert.equal(stamp.ended, 'ok')
  return next
}

/** The files that a run keeps. */
function jsonFiles({ stage }: Fleet): string[] {
  return ['run', 'state'].flatMap(folder => {
    const directory = join(stage.directory, folder)
    if (!existsSync(directory)) return []
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    return names.filter(name => name.endsWith('.json')).map(name => join(directory, name))
  })
}

const isWrite = (request: string) => /^(PATCH|POST) .*\/git\/refs/.test(request)

test('killed at any of its requests, it leaves nothing that the next run does not end well', async t => {
  // main: c1 - c2 - c3   builds of c3 good, h1's not in the cache   h0 at c2, h1 nowhere, h2 at c1
  const undisturbed = await fleet(t, 3, [1])
  const whole = await reconcile(undisturbed, () => upload(undisturbed, output(2, 1)))
  assert.deepEqual([whole.status, whole.copies], [0, 1], whole.log)
  const requests = [...undisturbed.stage.github.requests]
  assert.equal(requests.filter(isWrite).length, 3)

  let killed = 0
  for (const [skip, request] of requests.entries()) {
    // to read has no effect
    for (const effect of request.startsWith('GET ') ? EFFECTS.slice(0, 1) : EFFECTS) {
      const said = `${effect} the effect of request ${skip + 1} of ${requests.length}, like ${request}`
      await t.test(said, async t => {
        const it = await fleet(t, 3, [1])
        if ((await reconcileUntil(it, effect, { skip })) === 'killed') killed++
        const { requests: sent } = it.stage.github
        const lost = effect === 'before' && isWrite(sent[skip] ?? '') ? 1 : 0
        assert.equal(it.stage.repository.moves.length, sent.filter(isWrite).length - lost)
        await assertProven(it)
        await assertNextRunEnds(it, 3)
      })
    }
  }
  // at each request but for the few that may be shared
  assert.ok(killed >= requests.length, `${killed}`)
})

for (const effect of EFFECTS) {
  test(`killed ${effect} the effect of one request that moves many channels, it goes on with the others`, async t => {
    // main: c1 - c2 - c3   builds of c3 good, h1's not in the cache   h0 at c2, h1 nowhere, h2…h11 at c1
    const it = await fleet(t, 12, [1])
    assert.equal(await reconcileUntil(it, effect, { path: '/graphql' }), 'killed')
    const { moves } = it.stage.repository
    assert.ok(effect === 'before' ? moves.length <= 1 : moves.length >= 2, `moved ${moves.length}`)
    await assertProven(it)
    await assertNextRunEnds(it, 12)
  })
}

for (const fate of ['ends with it', 'goes on without it'] as const) {
  test(`killed during a copy that ${fate}, it has not moved the copy's channel`, async t => {
    // main: c1 - c2 - c3   builds of c3 good, h1's not in the cache   h0 at c2, h1 nowhere, h2 at c1
    const it = await fleet(t, 3, [1])
    let child: ChildProcess | undefined
    const killed = await reconcile(
      it,
      async () => {
        await until('two channels have moved', () => it.stage.repository.moves.length >= 2)
        await kill(child)
        if (fate === 'goes on without it') upload(it, output(2, 1))
      },
      {
        onStart(started) {
          child = started
        },
      },
    )
    assert.deepEqual([killed.status, killed.copies], [KILLED, 1], killed.log)
    assert.equal(await it.stage.repository.branch(channel(1)), undefined)
    await assertProven(it)
    const next = await assertNextRunEnds(it, 3)
    assert.equal(next.copies, fate === 'ends with it' ? 1 : 0)
  })
}

test('what a killed run has half written is not taken for what it was to become', async t => {
  // main: c1 - c2 - c3   builds of c3 good and in the cache   h0 at c2, h1 nowhere, h2 at c1
  const it = await fleet(t, 3)
  const { runtimeDirectory } = it.stage
  await reconcileUntil(it, 'before', { path: '/compare/' })
  const [token = ''] = readdirSync(runtimeDirectory)
  const half = readFileSync(join(runtimeDirectory, token), 'utf8').slice(0, 100)
  const state = join(it.stage.directory, 'state')
  mkdirSync(join(state, 'holds'), { recursive: true })
  writeFileSync(join(runtimeDirectory, token), half, { mode: 0o600 })
  writeFileSync(join(runtimeDirectory, `${token}.4711`), half, { mode: 0o600 })
  writeFileSync(join(state, 'last-reconcile.json'), '{"finishedAt":"20')
  writeFileSync(join(state, 'last-reconcile.json.4711'), '{"finishedAt":"20')
  writeFileSync(join(state, 'holds', 'alice%2Fdotfiles%3Anixos-tested-h0.json.4711'), '{"reason":"')
  await assertNextRunEnds(it, 3)
})
