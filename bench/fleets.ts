// Reconcile of many channels: what it costs when nothing is to be done, and when one eval moves them all.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { flakeOf } from '../test/helpers/hydra.ts'
import { median, time } from './measure.ts'
import { listBranches, removeBranches, writeBranch } from './refs.ts'
import { REPOSITORY, type RoundTripMs, type Scene, type Wire } from './scene.ts'

const SIZES = [10, 100, 1000]
const ROUND_TRIPS_MS: readonly RoundTripMs[] = [0, 100]

/** For 1,000 channels. */
export const MOST_REQUESTS = { none: 3, all: 25 }

export interface Reconciled {
  channels: number
  toMove: 'none' | 'all'
  roundTripMs: RoundTripMs
  ms: number
  peakBytes: number
  wire: Wire
  /** how often it was measured */
  runs: number
}

export async function measureReconcile(scene: Scene, runs: number): Promise<Reconciled[]> {
  const rows: Reconciled[] = []
  for (const channels of SIZES) {
    const jobset = `fleet-${channels}`
    await fill(scene, jobset, channels)
    for (const toMove of ['none', 'all'] as const) {
      for (const roundTripMs of ROUND_TRIPS_MS) {
        rows.push(await measure(scene, { channels, toMove, roundTripMs }, runs))
      }
    }
  }
  return rows
}

const PREFIX = 'fleet-host'

/** An eval of the newest commit, in which every job is good. */
async function fill({ hydra, newest }: Scene, name: string, channels: number): Promise<void> {
  const jobset = await hydra.jobset({ project: 'dotfiles', name, flake: `github:${REPOSITORY}` })
  const builds = Array.from({ length: channels }, (_, index) => ({ job: `nixos-host${index}.x86_64-linux` }))
  await hydra.eval({ jobset, flake: flakeOf(newest()), builds })
}

async function measure(
  scene: Scene,
  { channels, toMove, roundTripMs }: Pick<Reconciled, 'channels' | 'toMove' | 'roundTripMs'>,
  runs: number,
): Promise<Reconciled> {
  const runtimeDirectory = join(scene.directory, 'fleet')
  const usageFile = join(scene.directory, 'usage')
  const command = scene.program({
    name: 'hydra-channels',
    args: ['reconcile'],
    roundTripMs,
    runtimeDirectory,
    usageFile,
    rule: { jobset: `fleet-${channels}`, branch: 'fleet-{host}' },
  })
  const candidate = scene.newest()
  const ms: number[] = []
  const peaks: number[] = []
  let wire: Wire = { requests: [], connections: 0, bytesReceived: 0 }
  for (let run = 0; run < runs; run++) {
    rmSync(runtimeDirectory, { recursive: true, force: true })
    mkdirSync(runtimeDirectory, { mode: 0o700 })
    removeBranches(scene.gitDir, PREFIX)
    const tip = toMove === 'none' ? candidate : scene.oldest
    for (let index = 0; index < channels; index++) writeBranch(scene.gitDir, `${PREFIX}${index}`, tip)
    await scene.takeWire()
    ms.push(await time(command, scene.directory))
    wire = await scene.takeWire()
    peaks.push(Number(readFileSync(usageFile, 'utf8')))
    const arrived = listBranches(scene.gitDir, PREFIX).filter(([, sha]) => sha === candidate).length
    if (arrived !== channels) throw new Error(`reconcile brought ${arrived} of ${channels} channels`)
  }
  return { channels, toMove, roundTripMs, ms: median(ms), peakBytes: median(peaks), wire, runs }
}
