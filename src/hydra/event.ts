// The event that Hydra hands to a RunCommand hook in the file `$HYDRA_JSON`.
// Source: src/lib/Hydra/Plugin/RunCommand.pm of Hydra; fixtures/events has what it really writes.
import { readFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { codeOf, messageOf, UsageError } from '../base/errors.ts'
import { explainIssues } from '../base/schema.ts'
import { buildStatusOf } from './build-status.ts'

/** An id of Hydra's tables: a PostgreSQL integer. */
export const idSchema = z.int('an id').check(z.minimum(1, 'an id'), z.maximum(2 ** 31 - 1, 'an id'))

const text = z.string('a string')

/** As deep as Perl's JSON modules read and write (`max_depth`). What is far deeper, some versions of Node cannot write. */
const MAX_DEPTH = 512

// Loose: a field that Hydra adds one day must not stop a channel.
const eventSchema = z.looseObject({ event: text }, 'an object')

const buildFinishedSchema = z.looseObject(
  {
    event: z.literal('buildFinished', 'buildFinished'),
    build: idSchema,
    finished: z.boolean('true or false'),
    /** as in build-status.ts; null while the build is unfinished */
    buildStatus: z.nullable(z.int('a number or null')),
    project: text,
    jobset: text,
    job: text,
    outputs: z.array(
      z.looseObject(
        { name: text, path: z.nullable(z.string('a string or null')) },
        'an object with name and path',
      ),
      'a list of outputs',
    ),
  },
  'an object',
)

export type BuildFinished = z.output<typeof buildFinishedSchema>

/** An event of another kind: not for us. */
export interface OtherEvent {
  event: string
}

/**
 * Reads the event of `$HYDRA_JSON`.
 *
 * @returns the event, and `shown`: it on one line of JSON for the log, with long texts and lists cut
 * @throws UsageError that names the file and the field
 */
export function readEvent(file: string | undefined): { event: BuildFinished | OtherEvent; shown: string } {
  if (!file) {
    throw new UsageError('HYDRA_JSON is not set: there is no event to read', {
      hint: 'Hydra sets it for a RunCommand hook; to try by hand: HYDRA_JSON=event.json hydra-hook',
    })
  }
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the event ${file} (HYDRA_JSON): ${messageOf(error)}`, {
      hint:
        codeOf(error) === 'ENOENT'
          ? 'Hydra removes the file as soon as the hooks of its build have ended'
          : [],
      cause: error,
    })
  }
  return parseEvent(content, file)
}

/** As {@link readEvent}, of a file that has been read; `file` is for messages. */
export function parseEvent(
  content: string,
  file: string,
): { event: BuildFinished | OtherEvent; shown: string } {
  const json = parsePerlJson(content, file)
  if (isDeeperThan(MAX_DEPTH, json)) {
    throw new UsageError(
      `the event ${file} (HYDRA_JSON) cannot be used: it is nested more than ${MAX_DEPTH} levels deep`,
    )
  }
  const { event } = check(eventSchema, json, file)
  return {
    event: event === 'buildFinished' ? check(buildFinishedSchema, json, file) : { event },
    shown: JSON.stringify(json, shorten),
  }
}

const MAX_SHOWN = 500
const MAX_SHOWN_ITEMS = 50

function shorten(_key: string, value: unknown): unknown {
  if (Array.isArray(value) && value.length > MAX_SHOWN_ITEMS) {
    return [...value.slice(0, MAX_SHOWN_ITEMS), `… and ${value.length - MAX_SHOWN_ITEMS} more`]
  }
  if (typeof value !== 'string' || value.length <= MAX_SHOWN) return value
  return `${value.slice(0, MAX_SHOWN)}… (cut: ${value.length} characters)`
}

export function isBuildFinished(event: BuildFinished | OtherEvent): event is BuildFinished {
  return event.event === 'buildFinished'
}

/** `build 4123 dotfiles:main:nixos-nas.x86_64-linux succeeded` */
export function summarize(event: BuildFinished): string {
  const { build, project, jobset, job, finished, buildStatus } = event
  const state = finished ? buildStatusOf(buildStatus).words : 'is not finished'
  return `build ${build} ${project}:${jobset}:${job} ${state}`
}

/**
 * JSON as Perl writes it: JSON::XS prints a metric that is NaN or infinite as a bare `nan` or `inf`. These become
 * null, as Hydra's other JSON backend has them.
 */
function parsePerlJson(content: string, file: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    // Token by token: a pattern for a whole string would take a time that is the square of a string that is cut off.
    let inString = false
    const repaired = content.replace(/\\.|"|-?\b(?:nan|inf)\b/gis, token => {
      if (token === '"') inString = !inString
      return /^[-ni]/i.test(token) && !inString ? 'null' : token
    })
    try {
      return JSON.parse(repaired)
    } catch (error) {
      throw new UsageError(
        `the event ${file} (HYDRA_JSON) is not JSON, or only a part of it (${Buffer.byteLength(content)} bytes): ${messageOf(error)}`,
      )
    }
  }
}

function isDeeperThan(levels: number, json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false
  return levels === 0 || Object.values(json).some(value => isDeeperThan(levels - 1, value))
}

function check<Schema extends z.core.$ZodType>(
  schema: Schema,
  json: unknown,
  file: string,
): z.output<Schema> {
  const result = z.safeParse(schema, json, { reportInput: true })
  if (result.success) return result.data
  const [first = '', ...more] = explainIssues(result.error.issues)
  throw new UsageError(`the event ${file} (HYDRA_JSON) cannot be used: ${first}`, { hint: more })
}
