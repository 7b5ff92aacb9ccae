// The cases of the comparison, and how one is measured: both sides in turn on the same state, in changing order.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, countProcesses, median, time } from './measure.ts'
import { readBranch, writeBranch } from './refs.ts'
import { CHANNEL, type RoundTripMs, type Scene, type Wire } from './scene.ts'

export interface Case {
  name: string
  roundTripMs: RoundTripMs
  /** `moves`: main gained one commit since the last time; `contained`: the channel is a commit ahead of the build */
  channel: 'moves' | 'contained'
  token: 'warm' | 'cold'
  clone: 'kept' | 'none'
  /** of hydra-hook's time to the script's */
  atMost?: number
}

export const CASES: readonly Case[] = [
  {
    name: 'channel moves, warm token',
    roundTripMs: 100,
    channel: 'moves',
    token: 'warm',
    clone: 'kept',
    atMost: 0.5,
  },
  {
    name: 'channel moves, cold token',
    roundTripMs: 100,
    channel: 'moves',
    token: 'cold',
    clone: 'kept',
    atMost: 0.7,
  },
  {
    name: 'already contained, warm token',
    roundTripMs: 100,
    channel: 'contained',
    token: 'warm',
    clone: 'kept',
    atMost: 0.9,
  },
  {
    name: 'first run on a machine',
    roundTripMs: 100,
    channel: 'moves',
    token: 'cold',
    clone: 'none',
    atMost: 0.5,
  },
  { name: 'channel moves, warm token', roundTripMs: 50, channel: 'moves', token: 'warm', clone: 'kept' },
  {
    name: 'channel moves, warm token',
    roundTripMs: 0,
    channel: 'moves',
    token: 'warm',
    clone: 'kept',
    atMost: 1,
  },
]

export interface Side {
  ms: number[]
  /** of the last run */
  wire: Wire
  processes: number | undefined
}

export interface Compared {
  of: Case
  hook: Side
  script: Side
}

export interface Runs {
  warmUp: number
  measured: number
}

/** @throws Error if a side did not bring the channel to where it belongs */
export async function compareSides(of: Case, scene: Scene, runs: Runs): Promise<Compared> {
  const { roundTripMs } = of
  const folder = join(scene.directory, 'case')
  const clone = join(folder, 'clone')
  const runtimeDirectory = join(folder, 'run')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 })
  const wireOf = (): Wire => ({ requests: [], connections: 0, bytesReceived: 0 })
  const compared: Compared = {
    of,
    hook: { ms: [], wire: wireOf(), processes: undefined },
    script: { ms: [], wire: wireOf(), processes: undefined },
  }
  const nextState = stateMaker(of, scene)

  /** Both sides once, each from the same state. */
  async function turn(
    order: readonly ('hook' | 'script')[],
    run: (side: 'hook' | 'script', command: Command) => Promise<void>,
  ) {
    const { from, to, event } = await nextState()
    const commands = {
      hook: scene.program({ name: 'hydra-hook', event, roundTripMs, runtimeDirectory }),
      script: scene.script({ event, roundTripMs, clone }),
    }
    for (const side of order) {
      writeBranch(scene.gitDir, CHANNEL, from)
      if (of.token === 'cold') {
        rmSync(runtimeDirectory, { recursive: true })
        mkdirSync(runtimeDirectory, { mode: 0o700 })
      }
      if (of.clone === 'none') rmSync(clone, { recursive: true, force: true })
      await run(side, commands[side])
      const at = readBranch(scene.gitDir, CHANNEL)
      if (at !== to) throw new Error(`${of.name}: after the ${side} the channel is at ${at}, not at ${to}`)
    }
  }

  for (let index = 0; index < runs.warmUp + runs.measured; index++) {
    const order = index % 2 === 0 ? (['hook', 'script'] as const) : (['script', 'hook'] as const)
    await turn(order, async (side, command) => {
      await scene.takeWire()
      const ms = await time(command, scene.directory)
      compared[side].wire = await scene.takeWire()
      if (index >= runs.warmUp) compared[side].ms.push(ms)
    })
  }
  await turn(['hook', 'script'], async (side, command) => {
    compared[side].processes = await countProcesses(command, scene.directory)
  })
  return compared
}

interface ChannelState {
  /** where the channel is before, and after */
  from: string
  to: string
  event: string
}

function stateMaker({ channel }: Case, scene: Scene): () => Promise<ChannelState> {
  if (channel === 'moves') {
    return async () => {
      const from = scene.newest()
      const to = scene.gain()
      return { from, to, event: await scene.built(to) }
    }
  }
  let state: ChannelState | undefined
  return async () => {
    if (!state) {
      const event = await scene.built(scene.newest())
      const ahead = scene.gain()
      state = { from: ahead, to: ahead, event }
    }
    return state
  }
}

export const ratio = ({ hook, script }: Compared): number => median(hook.ms) / median(script.ms)
