// Which channel somebody means who wants to hold or release one: of those that Hydra or GitHub has, or else of what the rules
// could make. Nobody waits long for it: a hold is wanted most where something is away.
import { endWithin } from '../base/deadline.ts'
import { LATER, OperatorError, operatorErrorOf, UsageError } from '../base/errors.ts'
import { type Channel, channelKey } from '../channels/channel.ts'
import { didYouMean, findMakeableChannel, type Nameable, selectChannel } from '../channels/channel-name.ts'
import type { Rule } from '../channels/rule.ts'
import { canMake } from '../channels/template.ts'

export interface KnownOptions {
  rules: readonly Rule[]
  /** those that Hydra has a job for */
  askHydra: () => Promise<Nameable[]>
  /** those that GitHub has a branch for, of all that the rules could make, and of `recorded`; and what it did not tell */
  askGitHub: () => Promise<{ channels: Channel[]; trouble: OperatorError | undefined }>
  /** what earlier reconciles knew */
  recorded: readonly Channel[]
  /** those that a hold is there for */
  held: readonly Channel[]
  /** for each of the two */
  limitMs: number
}

/** `unknown`: neither Hydra nor GitHub has it; `unasked`: why one of them could not say whether it does. */
export interface FoundName {
  channel: Channel
  known: 'known' | 'unknown' | { unasked: string[] }
  didYouMean: string | undefined
}

/**
 * GitHub is asked only about a channel that Hydra has not.
 *
 * @throws UsageError if the name means several channels, or one that no rule makes
 */
export async function findNamedChannel(name: string, options: KnownOptions): Promise<FoundName> {
  const { rules, recorded, limitMs } = options
  const held = options.held.map(channel => ({ channel }))
  const hydra = await tryWithin(limitMs, "Hydra's database", options.askHydra)
  const ofHydra = hydra instanceof OperatorError ? [] : hydra
  const early = findIn([...ofHydra, ...held], name, rules)
  // a branch of just that name comes first
  if (early && (early.isExact || !isMakeable(rules, name))) return knownAs(early.channel)
  const answer = await tryWithin(limitMs, 'GitHub', options.askGitHub)
  const { channels, trouble } = answer instanceof OperatorError ? { channels: [], trouble: answer } : answer
  const ofGitHub = channels.map(channel => ({ channel }))
  const all = once([...ofHydra, ...ofGitHub, ...held])
  const found = findIn(all, name, rules)
  if (found) return knownAs(found.channel)
  const unasked = [hydra, trouble].flatMap(each => (each instanceof OperatorError ? [lineOf(each)] : []))
  const pool = once([...all, ...(unasked.length === 0 ? [] : recorded.map(channel => ({ channel })))])
  const channel = findMakeableChannel(
    rules,
    name,
    pool.map(each => each.channel),
    unasked.length === 0 ? [] : [...unasked, WHOLE_NAME],
  )
  const known = unasked.length === 0 ? 'unknown' : { unasked }
  return { channel, known, didYouMean: didYouMean(pool, name, rules) }
}

const WHOLE_NAME = 'so a part of a name may not be known: give the whole name of the branch'

const knownAs = (channel: Channel): FoundName => ({ channel, known: 'known', didYouMean: undefined })

const lineOf = ({ message, hint }: OperatorError) =>
  [message, ...hint.filter(each => each !== LATER)].join('; ')

function findIn(
  entries: readonly Nameable[],
  name: string,
  rules: readonly Rule[],
): { channel: Channel; isExact: boolean } | undefined {
  const channel = selectChannel(once(entries), name, rules)?.channel
  return channel && { channel, isExact: name === channel.branch || name.endsWith(`:${channel.branch}`) }
}

function isMakeable(rules: readonly Rule[], name: string): boolean {
  return rules.some(({ template }) => canMake(template, name.slice(name.indexOf(':') + 1)))
}

/** The first spelling of a repository counts. */
function once(entries: readonly Nameable[]): Nameable[] {
  const found = new Map<string, Nameable>()
  for (const entry of entries) {
    const key = channelKey(entry.channel)
    if (!found.has(key)) found.set(key, entry)
  }
  return [...found.values()]
}

async function tryWithin<T>(
  limitMs: number,
  what: string,
  ask: () => Promise<T>,
): Promise<T | OperatorError> {
  const late = () => new OperatorError(`${what} did not answer within ${limitMs / 1000} s`)
  try {
    return await endWithin(limitMs, ask(), late)
  } catch (error) {
    return operatorErrorOf(error)
  }
}

/** @throws UsageError for one that neither Hydra nor GitHub has */
export function refuseUnknown(
  name: string,
  { known, didYouMean: suggestion }: FoundName,
  more: string[],
): void {
  if (known !== 'unknown') return
  throw new UsageError(`neither Hydra nor GitHub has a channel “${name}”`, {
    hint: [...(suggestion === undefined ? [] : [suggestion]), ...more],
  })
}
