// What single parts cost: a failed build's event, starting Node, trusting the bench's authority, jq.
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { type Command, median, time } from './measure.ts'
import { writeBranch } from './refs.ts'
import { CHANNEL, ROUND_TRIPS_MS, type RoundTripMs, type Scene } from './scene.ts'

export interface Costs {
  nodeMs: number
  /** hydra-hook with the event of a build that failed: most of what it is started for */
  failedMs: number
  /** of a hydra-hook that moves a channel, warm token */
  hookPeakBytes: number
  /** an empty file, without and with trust.cjs before it */
  emptyMs: number
  emptyPreloadedMs: number
  /** one start of jq */
  jqMs: number
  /** hydra-hook, already contained, warm token, 0 ms: with trust.cjs, and with the variable instead */
  hookPreloadedMs: number
  hookExtraMs: number
  /** the proxy's round trips, as half of what TCP and TLS take together */
  roundTrips: { nominalMs: RoundTripMs; ms: number }[]
}

type Timed = Exclude<keyof Costs, 'hookPeakBytes' | 'roundTrips'>

export async function measureCosts(scene: Scene, runs: number): Promise<Costs> {
  const { directory } = scene
  const env = { PATH: process.env.PATH ?? '' }
  const trust = fileURLToPath(new URL('trust.cjs', import.meta.url))
  const empty = join(directory, 'empty.cjs')
  writeFileSync(empty, '')
  const runtimeDirectory = join(directory, 'costs')
  mkdirSync(runtimeDirectory, { mode: 0o700 })
  const event = await scene.built(scene.newest())
  writeBranch(scene.gitDir, CHANNEL, scene.gain())
  const hook = { name: 'hydra-hook', event, roundTripMs: 0, runtimeDirectory } as const

  const failed = join(directory, 'failed.json')
  writeFileSync(failed, JSON.stringify({ ...JSON.parse(readFileSync(event, 'utf8')), buildStatus: 1 }))
  const failing = scene.program({ ...hook, event: failed })

  const commands: Record<Timed, Command> = {
    nodeMs: { command: process.execPath, args: ['-e', '0'], env },
    // without trust.cjs: no connection is made
    failedMs: { ...failing, args: failing.args.slice(2) },
    emptyMs: { command: process.execPath, args: [empty], env },
    emptyPreloadedMs: { command: process.execPath, args: ['--require', trust, empty], env },
    jqMs: { command: scene.jq, args: ['-r', '.build', event], env },
    hookPreloadedMs: scene.program(hook),
    hookExtraMs: scene.program({ ...hook, trust: 'NODE_EXTRA_CA_CERTS' }),
  }
  const names = Object.keys(commands) as Timed[]
  const times = new Map(names.map(name => [name, [] as number[]]))
  for (let run = 0; run <= runs; run++) {
    for (const name of names) {
      const ms = await time(commands[name], directory)
      // the first warms up
      if (run > 0) times.get(name)?.push(ms)
    }
  }
  const costs = names.map(name => [name, median(times.get(name) ?? [])])
  const timed = Object.fromEntries(costs) as Record<Timed, number>
  const roundTrips: Costs['roundTrips'] = []
  for (const nominalMs of ROUND_TRIPS_MS) {
    const handshakes: number[] = []
    for (let run = 0; run <= runs; run++) handshakes.push(await shakeHands(scene, nominalMs))
    roundTrips.push({ nominalMs, ms: median(handshakes.slice(1)) / 2 })
  }
  return { ...timed, roundTrips, hookPeakBytes: await measurePeak(scene, hook) }
}

async function measurePeak(
  scene: Scene,
  hook: Omit<Parameters<Scene['program']>[0], 'event'>,
): Promise<number> {
  const usageFile = join(scene.directory, 'hook-usage')
  const from = scene.newest()
  const event = await scene.built(scene.gain())
  const peaks: number[] = []
  for (let run = 0; run < PEAK_RUNS; run++) {
    writeBranch(scene.gitDir, CHANNEL, from)
    await time(scene.program({ ...hook, event, usageFile }), scene.directory)
    peaks.push(Number(readFileSync(usageFile, 'utf8')))
  }
  return Math.max(...peaks)
}

const PEAK_RUNS = 5

/** Node's servers send so many, last of all. */
const TICKETS = 2

async function shakeHands(scene: Scene, roundTripMs: RoundTripMs): Promise<number> {
  const began = performance.now()
  const socket = connect({ ...scene.github(roundTripMs), host: 'localhost', servername: 'localhost' })
  let tickets = 0
  const ticketed = new Promise<void>(resolve =>
    socket.on('session', () => {
      if (++tickets === TICKETS) resolve()
    }),
  )
  await once(socket, 'secureConnect')
  const ms = performance.now() - began
  await ticketed
  socket.destroy()
  return ms
}
