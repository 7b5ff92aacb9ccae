// What may be typed after a command's name: one table for each command, from which the arguments are read and --help,
// docs/commands.md, man pages and completions are made.
import { parseArgs } from 'node:util'
import { UsageError } from '../base/errors.ts'
import type { TypedTime } from '../base/typed-time.ts'

export interface Option {
  type: 'string' | 'boolean'
  /** what stands for its value in --help: `FILE` */
  value?: string
  /** what it does, in --help; as long as it needs to be */
  about: string
  /** it can be left out unless this is set */
  required?: true
  /** `h` */
  short?: string
}

export type Options = Readonly<Record<string, Option>>

/** What of a table decides about the values. */
export type Types = Readonly<Record<string, Pick<Option, 'type'>>>

/** `{ json?: boolean; config?: string }`, as the types of a table say. */
export type Values<O extends Types> = {
  readonly [Name in keyof O]?: (O[Name]['type'] extends 'boolean' ? boolean : string) | undefined
}

export const CONFIG = {
  type: 'string',
  value: 'FILE',
  about: 'the configuration (default: $HYDRA_CHANNELS_CONFIG, else /etc/hydra-channels/config.json)',
} as const satisfies Option

/** For the hint of a command that wants one. */
export const LISTED = 'hydra-channels status lists the channels'

/** @throws UsageError if it is not one */
export function oneChannel(positionals: readonly string[], hint: string): string {
  const [name, extra] = positionals
  if (name !== undefined && extra === undefined) return name
  throw new UsageError(`expected one CHANNEL, but got ${positionals.length}`, { hint })
}

/**
 * @param option `--until`
 * @throws UsageError if it is given, and names no time
 */
export function timeOf(
  option: string,
  text: string | undefined,
  parse: (text: string, now: number) => TypedTime,
  now: number,
): Date | undefined {
  if (text === undefined) return undefined
  const found = parse(text, now)
  if (found.kind === 'at') return found.at
  throw new UsageError(`${option} “${text}” cannot be used: ${found.why}`, { hint: found.hint })
}

/** All commands take them. */
export const COMMON = {
  help: { type: 'boolean', short: 'h', about: 'this text' },
  version: { type: 'boolean', short: 'v', about: 'the version' },
} as const satisfies Options

/**
 * @param name for the hint: `hydra-channels status`
 * @throws UsageError for an option that there is not, or that lacks its value or has one too many
 */
export async function parseArguments<O extends Options>(
  name: string,
  options: O,
  args: readonly string[],
): Promise<{ values: Values<O & typeof COMMON>; positionals: string[] }> {
  const known: Options = { ...options, ...COMMON }
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options: known,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const see = `see ${name} --help`
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    const { rawName, value, inlineValue } = token
    if (!option) {
      throw new UsageError(`there is no option ${rawName}`, {
        hint: [...(await suggest(token.name, Object.keys(known))), see],
      })
    }
    const usage = `${rawName} ${option.value}`
    if (option.type === 'boolean' && value !== undefined) {
      throw new UsageError(`${rawName} takes no value, but got “${value}”`, { hint: see })
    }
    if (option.type === 'string' && (value === undefined || value === '')) {
      throw new UsageError(`${rawName} needs a value: ${usage}`, { hint: see })
    }
    if (option.type === 'string' && !inlineValue && value !== '-' && value?.startsWith('-')) {
      throw new UsageError(`${rawName} needs a value, but is followed by ${value}`, {
        hint: [`if that is the value: ${rawName}=${value}`, see],
      })
    }
  }
  return { values: values as Values<O & typeof COMMON>, positionals }
}

async function suggest(wanted: string, names: readonly string[]): Promise<string[]> {
  const { kinship, nearest } = await import('../base/nearest.ts')
  const [best] = nearest(
    wanted,
    names.filter(name => kinship(wanted, name)),
    1,
  )
  return best === undefined ? [] : [`did you mean --${best}?`]
}
