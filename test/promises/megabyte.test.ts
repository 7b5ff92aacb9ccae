// A megabyte of hostile text in every field that has text: of the event, of Hydra's database, of GitHub's and the cache's
// answers. Each run comes to its end with a log that has limits. The processor time of each is told, and not judged: the
// loops and patterns are counted in integration/linear.test.ts and patterns.test.ts.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type CommandName, cleanEnvironment, keepLog } from '../helpers/command.ts'
import type { Fault } from '../helpers/github/github.ts'
import { flakeOf } from '../helpers/hydra.ts'
import { CHANNEL, createStage, type Stage } from '../helpers/stage.ts'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))
const MEGABYTE = 1_000_000

/** Each begins something that a pattern might look for the end of. */
const PIECES = [
  '://',
  '<',
  ' ',
  '\u0007',
  '\n',
  '@',
  '.',
  '/',
  '%',
  '{',
  '"',
  '\\',
  'a-',
  '\u202e',
  'in job \u2018a\u2019:\n',
  'error: ',
  '<head>',
]
const HOSTILE = PIECES.map(piece => piece.repeat(Math.ceil(MEGABYTE / PIECES.length / piece.length))).join('')

const MAX_LOG = 2_600_000
const MAX_LINE = 8_100

let stage: Stage
let build: number
let event: Record<string, unknown>
const times: [what: string, seconds: number][] = []

async function begin(): Promise<void> {
  stage = await createStage()
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranches({ main: c2, [CHANNEL]: c1 })
  build = await stage.built(c2)
  event = await stage.hydra.eventOf(build)
}

/** What they print on standard output is no log. */
const TABLES = ['status', 'explain', 'history']

/** Runs a command with bash's `time` around it. */
async function run(what: string, name: CommandName, args: string[], more: Record<string, string> = {}) {
  const file = join(stage.directory, 'megabyte.json')
  writeFileSync(file, JSON.stringify(stage.config))
  const command = [process.execPath, join(DIST, `${name}.cjs`), ...args]
  const child = spawn('bash', ['-c', 'TIMEFORMAT="took %U %S"; time "$@"', 'bash', ...command], {
    env: cleanEnvironment({ ...stage.env, HYDRA_CHANNELS_CONFIG: file, ...more }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  keepLog(out + err)
  const [, user, system] = /took (\S+) (\S+)\n$/.exec(err) ?? []
  times.push([`${[name, ...args].join(' ')}: ${what}`, Number(user) + Number(system)])
  assert.ok([0, 1, 2].includes(status), `${what}: ${status}\n${err.slice(-2_000)}`)
  assert.doesNotMatch(err.slice(-MAX_LINE), /unexpected error/, what)
  const isTable = name === 'hydra-channels' && TABLES.includes(args[0] ?? '')
  const log = isTable ? err : out + err
  assert.ok(log.length < MAX_LOG, `${what}: a log of ${log.length} characters`)
  const longest = Math.max(...log.split('\n').map(line => line.length))
  assert.ok(longest < MAX_LINE, `${what}: a line of ${longest} characters`)
}

async function runAll(what: string) {
  await run(what, 'hydra-hook', [], { HYDRA_JSON: await stage.hydra.writeEvent(build, stage.directory) })
  await run(what, 'hydra-channels', ['reconcile', '--dry-run'])
  await run(what, 'hydra-channels', ['status'])
  await run(what, 'hydra-channels', ['status', '--page', stage.directory])
  await run(what, 'hydra-channels', ['explain', CHANNEL])
  await run(what, 'hydra-channels', ['history', CHANNEL])
}

describe('of the event', () => {
  before(begin)
  after(() => stage.close())

  const WITH: Record<string, unknown> = {
    'its texts': Object.fromEntries(
      ['project', 'jobset', 'job', 'drvPath', 'system', 'nixName', 'description', 'license', 'homepage'].map(
        field => [field, HOSTILE],
      ),
    ),
    job: HOSTILE,
    event: HOSTILE,
    buildStatus: HOSTILE,
    'outputs (name)': { outputs: [{ name: HOSTILE, path: null }] },
    'outputs (path)': { outputs: [{ name: 'out', path: HOSTILE }] },
    'outputs (many)': {
      outputs: Array.from({ length: 20_000 }, (_, n) => ({ name: `o${n}`, path: '/nix/store/x' })),
    },
    'outputs (wrong)': { outputs: Array.from({ length: 20_000 }, () => 7) },
    products: { products: [{ name: HOSTILE, path: HOSTILE }] },
    metrics: { metrics: Array.from({ length: 20_000 }, () => ({ name: 'a', unit: 'b', value: 1 })) },
    'an unknown field': { [HOSTILE]: HOSTILE },
  }
  for (const [field, value] of Object.entries(WITH)) {
    test(field, async () => {
      const more = typeof value === 'string' ? { [field]: value } : (value as object)
      stage.config.cache = { unit: 'copy-cache@.service' }
      const file = await stage.hydra.writeEvent({ ...event, ...more }, stage.directory)
      await run(`event, ${field}`, 'hydra-hook', [], { HYDRA_JSON: file })
      delete stage.config.cache
    })
  }
})

describe('of the database', () => {
  beforeEach(begin)
  afterEach(() => stage.close())

  const FIELDS: Record<string, (stage: Stage) => Promise<unknown>> = {
    'the flake of the jobset': ({ hydra, jobset }) =>
      hydra.sql`update jobsets set flake = ${`github:alice/dotfiles/${HOSTILE}`} where id = ${jobset}`,
    'the error of the jobset': ({ hydra, jobset }) =>
      hydra.sql`update jobsets set errormsg = ${HOSTILE}, errortime = lastcheckedtime where id = ${jobset}`,
    'the error of fetching': ({ hydra, jobset }) =>
      hydra.sql`update jobsets set fetcherrormsg = ${HOSTILE} where id = ${jobset}`,
    'the error of the newest eval': ({ hydra, jobset }) =>
      hydra.eval({ jobset, flake: flakeOf('a'.repeat(40)), error: HOSTILE }),
    'the flakeref of the newest eval': ({ hydra, jobset }) =>
      hydra.eval({ jobset, flake: `git+https://${HOSTILE}` }),
    'an output of the build': ({ hydra }) =>
      hydra.sql`update buildoutputs set path = ${HOSTILE} where build = ${build}`,
    'the names of 10,000 jobs': ({ hydra, jobset }) =>
      hydra.eval({
        jobset,
        flake: flakeOf('b'.repeat(40)),
        builds: Array.from({ length: 5_000 }, (_, n) => [
          { job: `nixos-${'x.'.repeat(60)}${n}` },
          { job: `nixos-\u0007${'<'.repeat(60)}${n}.x` },
        ]).flat(),
      }),
  }
  for (const [field, set] of Object.entries(FIELDS)) {
    test(field, async () => {
      stage.config.cache = { unit: 'copy-cache@.service' }
      await set(stage)
      await runAll(`database, ${field}`)
    })
  }
})

describe('of an answer', () => {
  before(begin)
  after(() => stage.close())

  const PAGE = { status: 403, headers: { 'content-type': 'text/html' }, body: HOSTILE }
  const JSONS = { status: 403, body: { message: HOSTILE, documentation_url: HOSTILE } }
  for (const [what, answer] of Object.entries({ 'a page': PAGE, 'a message': JSONS })) {
    test(`GitHub’s: ${what}`, async () => {
      stage.github.strictClient = false
      for (const path of ['/compare/', '/matching-refs/', '/activity']) {
        const fault: Fault = { kind: 'status', path, ...answer, times: Number.POSITIVE_INFINITY }
        stage.github.fault(fault)
        await runAll(`GitHub, ${what} at ${path}`)
        fault.path = 'never'
      }
    })
  }

  test('the cache’s', async () => {
    stage.config.cache = { url: stage.cache.url }
    for (const narinfo of [HOSTILE, `StorePath: a${' '.repeat(400_000)}b`, `StorePath: ${HOSTILE}`]) {
      stage.cache.next.push(...Array(40).fill(narinfo))
      await runAll('cache, a narinfo')
      stage.cache.next.length = 0
    }
  })
})

test('the processor time of the slowest', t => {
  const slowest = times.toSorted(([, a], [, b]) => b - a).slice(0, 5)
  for (const [what, seconds] of slowest) t.diagnostic(`${seconds.toFixed(2)} s: ${what}`)
  assert.ok(times.length > 50 && times.every(([, seconds]) => seconds > 0))
})
