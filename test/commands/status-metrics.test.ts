// `status --metrics`, and whether the documented alert fires for what stands still, also for a channel that was never built.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { REASONS } from '../../src/status/shape.ts'
import type { Stage } from '../helpers/stage.ts'
import { channel, evaluate, loseDatabase, NAS, REFUSALS, twoHosts } from '../helpers/status.ts'

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

/** The same of one that compares the reason with a pattern, or with a word. */
function firing(alert: string, text: string): string[] {
  const expression = new RegExp(
    `alert: ${alert}\\n\\s+expr:(?: \\|\\n\\s+max without \\(reason\\) \\(\\n)?\\s+(\\w+)\\{reason=~?"([^"]+)"\\}\\n`,
  ).exec(DOCUMENT)
  const [, metric = '', reasons = ''] = expression ?? []
  assert.notEqual(metric, '', alert)
  for (const reason of reasons.split('|')) assert.ok((REASONS as readonly string[]).includes(reason), reason)
  return reasons.split('|').flatMap(reason => [...samples(text, `${metric}{reason="${reason}"}`).keys()])
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

const TROUBLE: { what: string; given: (stage: Stage) => unknown }[] = [
  {
    what: 'the App is not installed',
    given: ({ repository }) => Object.assign(repository, { installed: false }),
  },
  {
    what: 'the installation is suspended',
    given: ({ repository }) => Object.assign(repository, { suspended: true }),
  },
  {
    what: 'the key is of no App',
    given: ({ config }) => Object.assign(config.github, { appId: 'Iv23liOther' }),
  },
  {
    what: 'GitHub is away',
    given: ({ config }) => Object.assign(config.github, { apiUrl: 'http://127.0.0.1:9' }),
  },
  {
    what: "GitHub's rate limit is reached",
    given: ({ github }) => {
      github.fault(REFUSALS.rateLimit)
      github.fault({ ...REFUSALS.rateLimit, method: 'GET', path: '/' })
    },
  },
  { what: 'the database is away', given: loseDatabase },
]

for (const { what, given } of TROUBLE) {
  test(`where nobody knows how far a channel is behind, another alert fires: ${what}`, async t => {
    const { stage } = await twoHosts(t)
    const metrics = async () =>
      (await stage.command('hydra-channels', ['status', '--metrics', '-'], { streams: 'apart' })).stdout
    assert.deepEqual(firing('ChannelCannotMove', await metrics()), [])
    given(stage)
    const text = await metrics()
    assert.deepEqual(standingStill(text, Number.MAX_SAFE_INTEGER), [])
    assert.deepEqual(firing('ChannelCannotMove', text).sort(), [channel('nas'), channel('web')])
  })
}

test('of a build that fails, or is queued, that alert says nothing: another one does', async t => {
  const { stage, c2 } = await twoHosts(t)
  await evaluate(stage, c2, { nas: 1, web: null })
  const { stdout } = await stage.command('hydra-channels', ['status', '--metrics', '-'], { streams: 'apart' })
  assert.deepEqual(firing('ChannelCannotMove', stdout), [])
  assert.deepEqual(standingStill(stdout, Number.MAX_SAFE_INTEGER).sort(), [channel('nas'), channel('web')])
})

test('a hold that is forgotten has an alert, and no other one fires for it', async t => {
  const { stage } = await twoHosts(t)
  const held = await stage.command('hydra-channels', ['hold', channel('nas'), '--reason', 'forgotten'])
  assert.equal(held.status, 0)
  const { stdout } = await stage.command('hydra-channels', ['status', '--metrics', '-'], { streams: 'apart' })
  assert.deepEqual(firing('ChannelIsHeld', stdout), [channel('nas')])
  assert.deepEqual(firing('ChannelCannotMove', stdout), [])
  assert.ok(!standingStill(stdout, Number.MAX_SAFE_INTEGER).includes(channel('nas')))
})
