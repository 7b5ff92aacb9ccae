// Holds. A held channel stays where it is, for example after a rollback by hand. Each hold is a file in the state directory.
// Written by `hydra-channels hold`, read immediately before each write.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { explainIssues } from '../base/schema.ts'
import { writeAtomically } from '../base/write-atomically.ts'
import { type Channel, channelKey } from './channel.ts'

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-24T12:00:00Z' })

const holdSchema = z.strictObject(
  { reason: z.string('a text'), since: time, until: z.nullable(time) },
  'an object with reason, since and until',
)

/** `{ reason: 'kernel 6.18 does not boot', since: '2026-11-24T12:00:00Z', until: null }`; null: until it is released */
export type Hold = z.output<typeof holdSchema>

/** In the state directory. */
export const HOLDS_DIRECTORY = 'holds'

/** The file of a channel's hold: `holds/alice%2Fdotfiles%3Anixos-tested-nas.json`. */
export function holdFile(stateDirectory: string, channel: Channel): string {
  return join(stateDirectory, HOLDS_DIRECTORY, `${encodeURIComponent(channelKey(channel))}.json`)
}

/**
 * The channel's hold; undefined if there is none, or if it has ended.
 *
 * @throws OperatorError for everything but a missing file: a hold that cannot be read may be one
 */
export function findHold(
  stateDirectory: string,
  channel: Channel,
  now: number = systemClock.now(),
): Hold | undefined {
  const file = holdFile(stateDirectory, channel)
  let content: string
  try {
    content = readSmallFile(file)
  } catch (error) {
    // a name that is too long for a file cannot be one's
    if (['ENOENT', 'ENAMETOOLONG'].includes(codeOf(error) ?? '')) return undefined
    throw new OperatorError(`cannot read the hold ${file}: ${messageOf(error)}`, {
      hint: 'remove it, or hold the channel again',
      cause: error,
    })
  }
  const hold = parseHold(content, file)
  return hold.until !== null && Date.parse(hold.until) <= now ? undefined : hold
}

function parseHold(content: string, file: string): Hold {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch {
    throw new OperatorError(`the hold ${file} is not JSON`, {
      hint: 'remove the file, or hold the channel again',
    })
  }
  const result = holdSchema.safeParse(json, { reportInput: true })
  if (result.success) return result.data
  throw new OperatorError(
    `the hold ${file} cannot be used: ${explainIssues(result.error.issues).join('; ')}`,
    {
      hint: 'remove the file, or hold the channel again',
    },
  )
}

/** @throws OperatorError if the state directory cannot be written */
export function writeHold(stateDirectory: string, channel: Channel, hold: Hold): void {
  const file = holdFile(stateDirectory, channel)
  try {
    mkdirSync(join(stateDirectory, HOLDS_DIRECTORY), { recursive: true, mode: 0o755 })
    // the hook's user reads it, who is another one
    writeAtomically(file, `${JSON.stringify(hold)}\n`, 0o644)
  } catch (error) {
    throw new OperatorError(`cannot write the hold ${file}: ${messageOf(error)}`, {
      hint: 'run it as root, or as the user whom the state directory belongs to',
      cause: error,
    })
  }
}

/** Whether there was one. */
export function removeHold(stateDirectory: string, channel: Channel): 'released' | 'none' {
  const file = holdFile(stateDirectory, channel)
  try {
    rmSync(file)
    return 'released'
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'none'
    throw new OperatorError(`cannot remove the hold ${file}: ${messageOf(error)}`, {
      hint: 'run it as root, or as the user whom the state directory belongs to',
      cause: error,
    })
  }
}

/**
 * When a hold ends: ISO 8601 with a zone, or a span from now such as `90m`, `12h`, `3d`. Undefined if it is neither,
 * or has passed.
 */
export function parseUntil(text: string, now: number = systemClock.now()): Date | undefined {
  const span = /^(\d{1,5})([mhd])$/.exec(text)
  const at = span
    ? now + Number(span[1]) * { m: 60_000, h: 3_600_000, d: 86_400_000 }[span[2] as 'm' | 'h' | 'd']
    : time.safeParse(text).success
      ? Date.parse(text)
      : Number.NaN
  return at > now ? new Date(at) : undefined
}
