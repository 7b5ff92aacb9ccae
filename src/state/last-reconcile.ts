// When the last reconcile ended, and which channels it could not bring to their candidates: for people and for status, and for
// no decision.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'

const STAMP_FILE = 'last-reconcile.json'

/** A fleet of thousands, all of it failing. */
const MAX_BYTES = 4 * 1024 * 1024
const MAX_FAILURES = 5_000
const MAX_MESSAGE = 500

/**
 * `{ finishedAt: '2026-11-24T12:00:00.000Z', ended: 'failed', counts: { 'already-there': 12, failed: 1 },
 * failures: { 'alice/dotfiles:nixos-tested-nas': 'cannot copy to the cache: …' } }`
 */
export interface Stamp {
  finishedAt: string
  ended: 'ok' | 'failed'
  counts: Record<string, number>
  /** by channelKey, of channels that it could not bring to their candidates */
  failures: Record<string, string>
}

/** What is read of it; older versions wrote no failures. */
const stampSchema = z.object({
  finishedAt: z.string().check(z.refine(text => !Number.isNaN(Date.parse(text)))),
  failures: z._default(z.record(z.string(), z.string()), {}),
})

/** If the stamp cannot be written, report it. The run has still succeeded: every channel has moved. */
export function writeStamp(stateDirectory: string, run: Omit<Stamp, 'finishedAt'>, log: Log): void {
  const file = join(stateDirectory, STAMP_FILE)
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 })
    const failures = Object.entries(run.failures)
      .slice(0, MAX_FAILURES)
      .map(([channel, message]) => [channel, shorten(message)] as const)
    const finishedAt = new Date(systemClock.now()).toISOString()
    const stamp: Stamp = { finishedAt, ...run, failures: Object.fromEntries(failures) }
    writeAtomically(file, `${JSON.stringify(stamp)}\n`, 0o644)
  } catch (error) {
    log.line(`cannot write ${file}: ${messageOf(error)}`)
  }
}

/** Undefined if no reconcile has ended here yet, or if the file cannot be read: no decision depends on it. */
export function readStamp(stateDirectory: string): Pick<Stamp, 'finishedAt' | 'failures'> | undefined {
  try {
    const content = readSmallFile(join(stateDirectory, STAMP_FILE), { maxBytes: MAX_BYTES })
    return stampSchema.safeParse(JSON.parse(content)).data
  } catch {
    return undefined
  }
}

function shorten(message: string): string {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message
}
