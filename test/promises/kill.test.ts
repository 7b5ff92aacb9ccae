// The hook, stopped by SIGKILL and by SIGTERM at each of its requests and while it copies (reconcile-kill.test.ts does
// so with reconcile): nothing that it keeps is half-written, and the next one ends where it belongs.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'
import { until } from '../helpers/until.ts'

type Signal = 'SIGKILL' | 'SIGTERM'

interface Scene {
  stage: Stage
  c1: string
  c2: string
  build: number
}

/** main: c1 - c2   channel at c1   e2(c2): a good build, which is in the cache after its copy */
async function scene(t: TestContext): Promise<Scene> {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranches({ main: c2, [CHANNEL]: c1 })
  stage.config.cache = { unit: 'copy-cache@.service' }
  return { stage, c1, c2, build: await stage.built(c2) }
}

async function stop(child: ChildProcess | undefined, signal: Signal): Promise<void> {
  assert.ok(child)
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

/** A token that can be read is whole, and only its owner can read it. */
function assertWhole({ runtimeDirectory }: Stage): void {
  for (const name of readdirSync(runtimeDirectory)) {
    const file = join(runtimeDirectory, name)
    assert.equal(statSync(file).mode & 0o077, 0, name)
    if (name.endsWith('.json')) assert.doesNotThrow(() => JSON.parse(readFileSync(file, 'utf8')), name)
  }
}

async function assertHealed({ stage, c2, build }: Scene): Promise<void> {
  const again = await stage.hook(build)
  assert.equal(again.status, 0, again.log)
  assert.equal(await stage.repository.branch(CHANNEL), c2)
}

// the installation, a token, two compares side by side, PATCH
const REQUESTS = 5

test('an undisturbed hook with a cold token makes as many requests as are stopped below', async t => {
  const { stage, build } = await scene(t)
  await stage.hook(build)
  assert.equal(stage.github.requests.length, REQUESTS)
})

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  for (let request = 1; request <= REQUESTS; request++) {
    test(`${signal} at request ${request} of ${REQUESTS}`, async t => {
      const it = await scene(t)
      const { stage, c1, c2, build } = it
      const stopped = await stage.hook(build, [], {
        onStart: child =>
          stage.github.fault({ kind: 'hook', skip: request - 1, run: () => stop(child, signal) }),
      })
      assert.equal(stopped.status, signal, stopped.log)
      assertWhole(stage)
      // the request may have its effect although its process has ended
      const at = await stage.repository.branch(CHANNEL)
      assert.ok(at === c1 || (request === REQUESTS && at === c2), at)
      await assertHealed(it)
    })
  }

  test(`${signal} while it copies: nothing is asked of GitHub, and no channel moves`, async t => {
    const it = await scene(t)
    const { stage, c1, build } = it
    stage.systemd.ends('waits for a file')
    let running: ChildProcess | undefined
    const hook = stage.hook(build, [], {
      onStart: child => {
        running = child
      },
    })
    await until('systemctl is called', () => stage.systemd.calls().length > 0)
    await stop(running, signal)
    stage.systemd.release()
    assert.equal((await hook).status, signal)
    assert.deepEqual(stage.github.requests, [])
    assert.equal(await stage.repository.branch(CHANNEL), c1)
    stage.systemd.ends('ok')
    await assertHealed(it)
  })
}

test('hold, status, release and reconcile leave nothing beside what they write', async t => {
  const { stage, c2, build } = await scene(t)
  await stage.hook(build)
  const metrics = join(stage.directory, 'channels.prom')
  const commands = [
    ['hold', CHANNEL, '--reason', 'kernel'],
    ['status', '--metrics', metrics],
    ['release', CHANNEL],
    ['reconcile'],
  ]
  for (const args of commands) {
    const result = await stage.command('hydra-channels', args)
    assert.equal(result.status, 0, result.log)
  }
  assert.match(readFileSync(metrics, 'utf8'), /reason="held"/)
  const state = join(stage.directory, 'state')
  assert.ok(existsSync(join(state, 'last-reconcile.json')))
  const left = readdirSync(state, { recursive: true, encoding: 'utf8' }).sort()
  assert.deepEqual(left, [
    ...['holds', 'last-reconcile.json'],
    ...['proven', 'proven/alice%2Fdotfiles%3Anixos-tested-nas.json'],
  ])
  assert.equal(await stage.repository.branch(CHANNEL), c2)
})
