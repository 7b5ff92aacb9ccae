// What a command writes into a pipe arrives whole, however slow its reader is.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FleetStatus } from '../../src/status/shape.ts'
import { cleanEnvironment, keepLog } from '../helpers/command.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { until } from '../helpers/until.ts'

const COMMAND = fileURLToPath(new URL('../../dist/hydra-channels.cjs', import.meta.url))
const HOSTS = 700

/** The command's connections to the database. */
async function connections({ hydra }: Stage): Promise<number> {
  const [row] = await hydra.sql<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity
    where datname = ${hydra.database} and usename = 'hydra' and backend_type = 'client backend'`
  return row?.n ?? 0
}

// main: c1     700 jobs are good at c1, and no channel is there yet
test('200 kB of JSON, read only when the command is done', async t => {
  const stage = await stageFor(t)
  const c1 = await stage.repository.commit()
  await stage.repository.setBranch('main', c1)
  await stage.eval(
    c1,
    Array.from({ length: HOSTS }, (_, n) => ({ job: `nixos-h${n}.x86_64-linux` })),
  )
  const metrics = join(stage.directory, 'hydra-channels.prom')
  const configFile = join(stage.directory, 'config.json')
  writeFileSync(configFile, JSON.stringify(stage.config))
  const child = spawn(process.execPath, [COMMAND, 'status', '--json', '--metrics', metrics], {
    env: cleanEnvironment({ ...stage.env, HYDRA_CHANNELS_CONFIG: configFile }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')

  // it says this after the JSON, and then it closes the database and is done
  const [said] = await once(child.stderr, 'data')
  assert.match(String(said), new RegExp(`^wrote ${metrics}: ${HOSTS} channels, 0 in trouble$`, 'm'))
  await until('it has closed the database', async () => (await connections(stage)) === 0)

  const stdout = await text(child.stdout)
  keepLog(stdout)
  assert.deepEqual(await ended, [0, null])
  assert.ok(stdout.length > 200_000, `${stdout.length} characters`)
  const status: FleetStatus = JSON.parse(stdout)
  assert.equal(status.channels.length, HOSTS)
})

test('a reader that goes away is no error', async t => {
  const stage = await stageFor(t)
  writeFileSync(join(stage.directory, 'config.json'), JSON.stringify(stage.config))
  const child = spawn(process.execPath, [COMMAND, 'status', '--json'], {
    env: cleanEnvironment(stage.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  keepLog(stderr)
  assert.doesNotMatch(stderr, /EPIPE|unexpected error/)
  assert.equal(status, 0, stderr)
})
