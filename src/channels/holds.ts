// Holds. A held channel stays where it is, for example after a rollback by hand. Each hold is a file in the state directory,
// and so is one of all channels. Written by `hydra-channels hold`, read immediately before each write.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { cut } from '../base/log.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { explainIssues } from '../base/schema.ts'
import { clockTime, spanInWords } from '../base/time.ts'
import { whatKeepsFromWriting, writeAtomically } from '../base/write-atomically.ts'
import { type Channel, channelKey } from './channel.ts'

const time = z.iso.datetime({ offset: true, error: 'a time such as 2026-11-24T12:00:00Z' })

const holdSchema = z.strictObject(
  { reason: z.string('a text'), since: time, until: z.nullable(time), by: z.optional(z.string('a text')) },
  'an object with reason, since, until and by',
)

/**
 * `{ reason: 'kernel 6.18 does not boot', since: '2026-11-24T12:00:00Z', until: null, by: 'alice' }`; until null: until it is
 * released; by: who asked for it, if that is known
 */
export type NewHold = z.output<typeof holdSchema>

/** `scope`: whether it is the channel's own, or that of all channels; only the latter is marked. */
export type Hold = NewHold & { scope?: 'all' }

/** In the state directory. */
export const HOLDS_DIRECTORY = 'holds'

/** Who asked for it: a user's name, and whatever the environment says. */
export const MAX_NAME = 64

/** A channel's file has a colon in its name, so this is none's. */
export const ALL = 'all'

/** Where a hold is: `holds/alice%2Fdotfiles%3Anixos-tested-nas.json`, and of all channels `holds/all.json`. */
export function holdFile(stateDirectory: string, of: Channel | typeof ALL): string {
  const name = of === ALL ? ALL : encodeURIComponent(channelKey(of))
  return join(stateDirectory, HOLDS_DIRECTORY, `${name}.json`)
}

/**
 * What holds the channel: its own hold, that of all channels, or both, the one that ends last first. None that has ended.
 *
 * @throws OperatorError for everything but a missing file: a hold that cannot be read may be one
 */
export function findHolds(stateDirectory: string, channel: Channel, now: number = systemClock.now()): Hold[] {
  return [readHold(stateDirectory, ALL), readHold(stateDirectory, channel)]
    .filter(hold => hold !== undefined)
    .filter(hold => endOf(hold) > now)
    .sort((a, b) => Number(endOf(a) < endOf(b)) - Number(endOf(a) > endOf(b)))
}

/** Milliseconds; infinity: when it is released. */
export function endOf({ until }: Hold): number {
  return until === null ? Number.POSITIVE_INFINITY : Date.parse(until)
}

/**
 * What its file says, also if it has ended; undefined if there is none.
 *
 * @throws OperatorError as {@link findHolds}
 */
export function readHold(stateDirectory: string, of: Channel | typeof ALL): Hold | undefined {
  const file = holdFile(stateDirectory, of)
  let content: string
  try {
    content = readSmallFile(file)
  } catch (error) {
    // a name that is too long for a file cannot be one's
    if (['ENOENT', 'ENAMETOOLONG'].includes(codeOf(error) ?? '')) return undefined
    throw new OperatorError(`cannot read the hold ${file}: ${messageOf(error)}`, {
      hint: again(of),
      cause: error,
    })
  }
  const hold = parseHold(content, file, again(of))
  return of === ALL ? { ...hold, scope: ALL } : hold
}

const again = (of: Channel | typeof ALL) =>
  of === ALL ? 'remove the file, or hold all channels again' : 'remove the file, or hold the channel again'

/** `for 3 days by alice, until Sat 01:46, because “kernel 6.18 does not boot”` */
export function describeHold({ reason, since, until, by }: Hold, now: number): string {
  const end = until === null ? 'it is released' : clockTime(Date.parse(until), now)
  const who = by === undefined ? '' : ` by ${by}`
  return `for ${spanInWords(now - Date.parse(since))}${who}, until ${end}, because “${reason}”`
}

/** Of which channels there is a file, as they are typed: `alice/dotfiles:nixos-tested-nas`, or `all`. */
export function listHolds(stateDirectory: string): string[] {
  const directory = join(stateDirectory, HOLDS_DIRECTORY)
  try {
    const files = readdirSync(directory).filter(file => file.endsWith('.json'))
    return files.sort().map(file => decode(file.slice(0, -'.json'.length)))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw new OperatorError(`cannot list the holds in ${directory}: ${messageOf(error)}`, {
      hint: 'its folder must be readable for this user',
      cause: error,
    })
  }
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function parseHold(content: string, file: string, hint: string): NewHold {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch {
    throw new OperatorError(`the hold ${file} is not JSON`, { hint })
  }
  const result = holdSchema.safeParse(json, { reportInput: true })
  if (!result.success) {
    const problems = explainIssues(result.error.issues).join('; ')
    throw new OperatorError(`the hold ${file} cannot be used: ${problems}`, { hint })
  }
  const { by, ...hold } = result.data
  return by === undefined ? hold : { ...hold, by: cut(by, MAX_NAME) }
}

/** @throws OperatorError if the state directory cannot be written */
export function writeHold(stateDirectory: string, of: Channel | typeof ALL, hold: NewHold): void {
  const file = holdFile(stateDirectory, of)
  try {
    mkdirSync(join(stateDirectory, HOLDS_DIRECTORY), { recursive: true, mode: 0o755 })
    // the hook's user reads it, who is another one
    writeAtomically(file, `${JSON.stringify(hold)}\n`, 0o644)
  } catch (error) {
    throw new OperatorError(`cannot write the hold ${file}: ${messageOf(error)}`, {
      hint: whatKeepsFromWriting(error, stateDirectory),
      cause: error,
    })
  }
}

/** Whether there was one. */
export function removeHold(stateDirectory: string, of: Channel | typeof ALL): 'released' | 'none' {
  const file = holdFile(stateDirectory, of)
  try {
    rmSync(file)
    return 'released'
  } catch (error) {
    if (['ENOENT', 'ENAMETOOLONG'].includes(codeOf(error) ?? '')) return 'none'
    throw new OperatorError(`cannot remove the hold ${file}: ${messageOf(error)}`, {
      hint: whatKeepsFromWriting(error, stateDirectory),
      cause: error,
    })
  }
}
