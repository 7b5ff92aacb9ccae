// `status --metrics`, and whether the documented alert fires for what stands still, also for a channel that was never built.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { channel, evaluate, NAS, twoHosts } from '../helpers/status.ts'

const DOCUMENT = readFileSync(new URL('../../docs/status.md', import.meta.url), 'utf8')

/** The samples of a metric: the value by the branch. */
function samples(text: string, metric: string): Map<string, number> {
  const lines = text.matchAll(/^(\w+)\{repository="[^"]*",branch="([^"]*)"(?:,reason="([^"]*)")?\} (\S+)$/gm)
  return new Map(
    [...lines].flatMap(([, name, branch = '', reason, value]) =>
      metric === name || metric === `${name}{reason="${reason}"}` ? [[branch, Number(value)]] : [],
    ),
  )
}

/** The branches for which the documented alert ChannelStandsStill fires, as Prometheus evaluates it. */
function standingStill(text: string, now: number): string[] {
  const expression =
    /alert: ChannelStandsStill\n\s+expr: \|\n\s+time\(\) - (\w+) > (\d+) \* (\d+)\n\s+unless on \(repository, branch\) (\w+\{reason="held"\})\n/
  const [, since = '', days, seconds, held = ''] = expression.exec(DOCUMENT) ?? []
  const isHeld = samples(text, held)
  const fires = ([branch, at]: [string, number]) =>
    now - at > Number(days) * Number(seconds) && !isHeld.has(branch)
  return [...samples(text, since)].filter(fires).map(([branch]) => branch)
}

test('--metrics - writes to standard output what --metrics FILE writes to the file, and says nothing', async t => {
  const { stage } = await twoHosts(t)
  const file = join(stage.directory, 'metrics.prom')
  const asked = (...args: string[]) =>
    stage.command('hydra-channels', ['status', ...args], { streams: 'apart' })
  const written = await asked('--metrics', file)
  assert.deepEqual([written.status, written.stdout], [0, ''])
  for (const args of [['--metrics', '-'], ['--metrics=-']]) {
    const { status, stdout, stderr } = await asked(...args)
    assert.deepEqual([status, stderr], [0, ''])
    assert.equal(stdout, readFileSync(file, 'utf8'))
  }
  const both = await asked('--metrics', '-', '--json')
  assert.deepEqual([both.status, both.stdout], [2, ''])
  assert.match(both.stderr, /^--json and --metrics - both write to standard output\n/)
})

test('a channel that was never built is in the metrics, and the documented alert fires for it', async t => {
  // main: c1 - c2, evals of both; nas and web at c1. broken fails from its first build on, waiting is queued, and held has a hold
  const { stage, c2 } = await twoHosts(t)
  await evaluate(stage, c2, { nas: 0, web: 0, broken: 1, waiting: null, held: 1 })
  await evaluate(stage, c2, { nas: 0, web: 0, broken: 1, waiting: null, held: 1 })
  const hold = ['hold', channel('held'), '--reason', 'not yet']
  assert.equal((await stage.command('hydra-channels', hold)).status, 0)
  const { stdout } = await stage.command('hydra-channels', ['status', '--metrics', '-'], { streams: 'apart' })
  const since = samples(stdout, 'hydra_channels_since_timestamp_seconds')
  assert.deepEqual([...since.keys()].sort(), ['broken', 'held', 'nas', 'waiting', 'web'].map(channel).sort())
  const DAY = 86_400
  const begin = Math.max(...since.values())
  assert.deepEqual(standingStill(stdout, begin + DAY), [])
  assert.deepEqual(
    standingStill(stdout, begin + 2 * DAY + 1).sort(),
    ['broken', 'nas', 'waiting', 'web'].map(channel).sort(),
  )
  assert.ok((since.get(NAS) ?? 0) <= (since.get(channel('broken')) ?? 0))
})
