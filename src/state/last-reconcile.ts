// When the last reconcile ended: for people and for status, and for no decision.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'

const STAMP_FILE = 'last-reconcile.json'

/** `{ finishedAt: '2026-11-24T12:00:00.000Z', ended: 'ok', counts: { 'already-there': 12 } }` */
export interface Stamp {
  finishedAt: string
  ended: 'ok' | 'failed'
  counts: Record<string, number>
}

/** If the stamp cannot be written, report it. The run has still succeeded: every channel has moved. */
export function writeStamp(stateDirectory: string, run: Omit<Stamp, 'finishedAt'>, log: Log): void {
  const file = join(stateDirectory, STAMP_FILE)
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 })
    const stamp: Stamp = { finishedAt: new Date(systemClock.now()).toISOString(), ...run }
    writeAtomically(file, `${JSON.stringify(stamp)}\n`, 0o644)
  } catch (error) {
    log.line(`cannot write ${file}: ${messageOf(error)}`)
  }
}

/** Undefined if no reconcile has ended here yet, or if the file cannot be read: no decision depends on it. */
export function readStamp(stateDirectory: string): Pick<Stamp, 'finishedAt'> | undefined {
  try {
    const stamp: unknown = JSON.parse(readSmallFile(join(stateDirectory, STAMP_FILE)))
    const { finishedAt } = stamp as Partial<Stamp>
    return finishedAt !== undefined && !Number.isNaN(Date.parse(finishedAt)) ? { finishedAt } : undefined
  } catch {
    return undefined
  }
}
