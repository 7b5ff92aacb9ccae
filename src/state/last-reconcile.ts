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

/** A fleet of thousands, all of it failing, and each character escaped. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_FAILURES = 5_000
const MAX_MESSAGE = 300

/** A channel that could not be brought to its candidate. */
export interface Failure {
  sha: string
  message: string
  /** whether that reconcile only looked */
  dryRun?: boolean | undefined
  /** when that reconcile ended */
  at: string
}

/**
 * `{ finishedAt: '2026-11-24T12:00:00.000Z', ended: 'failed', counts: { 'already-there': 12, failed: 1 },
 * failures: { 'alice/dotfiles:nixos-tested-nas': { sha: '3f2c…', message: 'cannot copy to the cache: …', at: '2026-…' } } }`
 */
export interface Stamp {
  /** null if none has come to its end */
  finishedAt: string | null
  ended: 'ok' | 'failed'
  counts: Record<string, number>
  /** by channelKey */
  failures: Record<string, Failure>
}

const time = z.string().check(z.refine(text => !Number.isNaN(Date.parse(text))))

/** What is read of it; older versions wrote no failures. */
const stampSchema = z.object({
  finishedAt: z.nullable(time),
  failures: z._default(
    z.record(
      z.string(),
      z.object({ sha: z.string(), message: z.string(), dryRun: z.optional(z.boolean()), at: time }),
    ),
    {},
  ),
})

/** What a reconcile found out, also one that did not come to its end. */
export interface Reconciled {
  ended: 'ok' | 'failed'
  counts: Record<string, number>
  failures: Record<string, Omit<Failure, 'at'>>
}

/** If the stamp cannot be written, report it. The run has still succeeded: every channel has moved. */
export function writeStamp(stateDirectory: string, run: Reconciled, log: Log): void {
  const now = new Date(systemClock.now()).toISOString()
  write(stateDirectory, { ...run, finishedAt: now, failures: datedFailures(run.failures, now) }, log)
}

/** Of a run that did not come to its end: status knows what failed in it, and that the last whole one was before. */
export function writeFailures(stateDirectory: string, failures: Reconciled['failures'], log: Log): void {
  const now = new Date(systemClock.now()).toISOString()
  const before = readStamp(stateDirectory)
  write(
    stateDirectory,
    {
      ...{ finishedAt: before?.finishedAt ?? null, ended: 'failed', counts: {} },
      failures: { ...before?.failures, ...datedFailures(failures, now) },
    },
    log,
  )
}

function datedFailures(failures: Reconciled['failures'], at: string): Stamp['failures'] {
  const dated = Object.entries(failures)
    .slice(0, MAX_FAILURES)
    .map(
      ([channel, failure]) =>
        [channel, { ...failure, message: failure.message.slice(0, MAX_MESSAGE), at }] as const,
    )
  return Object.fromEntries(dated)
}

function write(stateDirectory: string, stamp: Stamp, log: Log): void {
  const file = join(stateDirectory, STAMP_FILE)
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 })
    writeAtomically(file, `${JSON.stringify(stamp)}\n`, 0o644)
  } catch (error) {
    log.line(`cannot write ${file}: ${messageOf(error)}`)
  }
}

/** Undefined if no reconcile has run here yet, or if the file cannot be read: no decision depends on it. */
export function readStamp(stateDirectory: string): Pick<Stamp, 'finishedAt' | 'failures'> | undefined {
  try {
    const content = readSmallFile(join(stateDirectory, STAMP_FILE), { maxBytes: MAX_BYTES })
    return stampSchema.safeParse(JSON.parse(content)).data
  } catch {
    return undefined
  }
}
