// When reconcile last ran to its end: for people and for status, and for no decision.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { writeAtomically } from './atomic.ts'
import { messageOf } from './errors.ts'
import type { Log } from './log.ts'

/** `{ finishedAt: '2026-11-24T12:00:00.000Z', ended: 'ok', counts: { 'already-there': 12 } }` */
export interface Stamp {
  finishedAt: string
  ended: 'ok' | 'failed'
  counts: Record<string, number>
}

/** A stamp that cannot be written is said, and is no reason to call a run failed that moved every channel. */
export function writeStamp(stateDirectory: string, run: Omit<Stamp, 'finishedAt'>, log: Log): void {
  const file = join(stateDirectory, 'last-reconcile.json')
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 })
    const stamp: Stamp = { finishedAt: new Date().toISOString(), ...run }
    writeAtomically(file, `${JSON.stringify(stamp)}\n`, 0o644)
  } catch (error) {
    log.line(`cannot write ${file}: ${messageOf(error)}`)
  }
}
