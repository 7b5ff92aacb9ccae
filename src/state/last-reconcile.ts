// When the last reconcile ended, which channels it could not bring to their candidates, and which it knew: for people and for
// status, and for no decision about a move.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { cut, type Log } from '../base/log.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { isRepository } from '../base/repository-name.ts'
import { whatKeepsFromWriting, writeAtomically } from '../base/write-atomically.ts'

const STAMP_FILE = 'last-reconcile.json'

/** A fleet of thousands, all of it failing, and each character escaped. */
const MAX_BYTES = 64 * 1024 * 1024
const MAX_FAILURES = 5_000
const MAX_CHANNELS = 10_000
const MAX_MESSAGE = 1_000
/** git has shorter ones */
const MAX_NAME = 256

/** A channel that could not be brought to its candidate. */
export interface Failure {
  sha: string
  message: string
  /** whether that reconcile only looked */
  dryRun?: boolean | undefined
  /** when that reconcile ended */
  at: string
}

/** A channel that a reconcile knew; `prefix`: what the branches of its rule begin with. */
export interface KnownChannel {
  repository: string
  branch: string
  prefix: string
}

/**
 * `{ finishedAt: '2026-11-24T12:00:00.000Z', ended: 'failed', counts: { 'already-there': 12, failed: 1 },
 * failures: { 'alice/dotfiles:nixos-tested-nas': { sha: '3f2c…', message: 'cannot copy to the cache: …', at: '2026-…' } },
 * channels: [{ repository: 'alice/dotfiles', prefix: 'nixos-tested-', branches: ['nixos-tested-nas'] }] }`
 */
export interface Stamp {
  /** null if none has come to its end */
  finishedAt: string | null
  ended: 'ok' | 'failed'
  counts: Record<string, number>
  /** by channelKey */
  failures: Record<string, Failure>
  channels: { repository: string; prefix: string; branches: string[] }[]
}

const time = z.string().check(z.refine(text => !Number.isNaN(Date.parse(text))))

/** What a file does not have is nothing that is known. */
const stampSchema = z.object({
  finishedAt: z.nullable(time),
  ended: z._default(z.enum(['ok', 'failed']), 'failed'),
  counts: z._default(z.record(z.string(), z.number()), {}),
  failures: z._default(
    z.record(
      z.string(),
      z.object({ sha: z.string(), message: z.string(), dryRun: z.optional(z.boolean()), at: time }),
    ),
    {},
  ),
  channels: z._default(
    z.array(
      z.object({
        repository: z.string().check(z.refine(isRepository)),
        prefix: z.string().check(z.maxLength(MAX_NAME)),
        branches: z.array(z.string().check(z.maxLength(MAX_NAME))),
      }),
    ),
    [],
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
  const failures = datedFailures(run.failures, now)
  report(
    rewrite(stateDirectory, ({ channels }) => ({ ...run, finishedAt: now, failures, channels })),
    log,
  )
}

/** Of a run that did not come to its end: status knows what failed in it, and that the last whole one was before. */
export function writeFailures(stateDirectory: string, failures: Reconciled['failures'], log: Log): void {
  const now = new Date(systemClock.now()).toISOString()
  const failed = rewrite(stateDirectory, before => {
    const all = { ...before.failures, ...datedFailures(failures, now) }
    return { ...before, ended: 'failed', counts: {}, failures: all }
  })
  report(failed, log)
}

/**
 * Before anything moves, so that a run that is killed leaves no channel behind that nothing knows. If this cannot be
 * written, the stamp cannot be either, and that is reported.
 */
export function writeChannels(stateDirectory: string, channels: readonly KnownChannel[]): void {
  rewrite(stateDirectory, before => ({ ...before, channels: grouped(channels) }))
}

const NEVER: Stamp = { finishedAt: null, ended: 'failed', counts: {}, failures: {}, channels: [] }

function grouped(channels: readonly KnownChannel[]): Stamp['channels'] {
  const groups = new Map<string, Stamp['channels'][number]>()
  for (const { repository, prefix, branch } of channels.slice(0, MAX_CHANNELS)) {
    const key = JSON.stringify([repository, prefix])
    const group = groups.get(key) ?? { repository, prefix, branches: [] }
    groups.set(key, group)
    group.branches.push(branch)
  }
  return [...groups.values()]
}

function datedFailures(failures: Reconciled['failures'], at: string): Stamp['failures'] {
  const dated = Object.entries(failures)
    .slice(0, MAX_FAILURES)
    .map(
      ([channel, failure]) =>
        [channel, { ...failure, message: cut(failure.message, MAX_MESSAGE), at }] as const,
    )
  return Object.fromEntries(dated)
}

/**
 * What cannot be read now may be read by the next run, so it is not overwritten.
 *
 * @returns why it cannot be read or written
 */
function rewrite(stateDirectory: string, change: (before: Stamp) => Stamp): string | undefined {
  const before = readWhole(stateDirectory)
  if (before instanceof OperatorError) return `${before.message}, so it is left as it is`
  return write(stateDirectory, change(before ?? NEVER))
}

function write(stateDirectory: string, stamp: Stamp): string | undefined {
  const file = join(stateDirectory, STAMP_FILE)
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 })
    writeAtomically(file, `${JSON.stringify(stamp)}\n`, 0o644)
    return undefined
  } catch (error) {
    return `cannot write ${file}: ${messageOf(error)}; ${whatKeepsFromWriting(error, stateDirectory)}`
  }
}

function report(why: string | undefined, log: Log): void {
  if (why !== undefined) log.line(why)
}

/** Undefined if no reconcile has run here yet, or if the file cannot be read: no decision depends on it. */
export function readStamp(
  stateDirectory: string,
): (Omit<Stamp, 'channels'> & { channels: KnownChannel[] }) | undefined {
  const stamp = readWhole(stateDirectory)
  if (!stamp || stamp instanceof OperatorError) return undefined
  return { ...stamp, channels: channelsIn(stamp) }
}

function channelsIn({ channels }: Stamp): KnownChannel[] {
  const all = channels.flatMap(({ branches, ...group }) => branches.map(branch => ({ ...group, branch })))
  return all.slice(0, MAX_CHANNELS)
}

/**
 * What a reconcile begins with. If this is an error, it must not write down which channels it knows: it would forget those of
 * earlier ones.
 */
export function readChannels(stateDirectory: string): KnownChannel[] | OperatorError {
  const stamp = readWhole(stateDirectory)
  return stamp instanceof OperatorError ? stamp : stamp ? channelsIn(stamp) : []
}

/** There is none; or a link, or something else that we did not make. */
const NONE: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']

/** Undefined if there is none, or if it is no stamp; an error if that is not known. */
function readWhole(stateDirectory: string): Stamp | undefined | OperatorError {
  const file = join(stateDirectory, STAMP_FILE)
  let content: string
  try {
    content = readSmallFile(file, { maxBytes: MAX_BYTES })
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined || NONE.includes(code)) return undefined
    return new OperatorError(`cannot read ${file}: ${messageOf(error)}`, { cause: error })
  }
  try {
    return stampSchema.safeParse(JSON.parse(content)).data
  } catch {
    return undefined
  }
}
