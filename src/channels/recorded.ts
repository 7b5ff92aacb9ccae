// The channels that earlier reconciles knew. None of them is forgotten while its branch exists, although its rule may be
// another one by now, or gone: hosts may still follow it.

import { NotInstalledError } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import { type FoundBranch, findTip, type Tips } from './branches.ts'
import { type Channel, channelKey } from './channel.ts'
import type { Forge } from './forge.ts'
import type { Plan } from './plan.ts'
import type { Rule } from './rule.ts'

/** `prefix`: what the branches of its rule began with, by which they are listed */
export interface Recorded extends Channel {
  prefix: string
}

export type RecordedBranch = FoundBranch & { channel: Recorded }

/** Of the recorded channels, those whose branches exist or may exist. Their prefixes are listed in `tips`. */
export async function findRecorded(
  recorded: readonly Recorded[],
  {
    tips,
    rules,
    repository,
  }: { tips: Tips; rules: readonly Rule[]; repository: (name: string) => Pick<Forge, 'findNewName'> },
): Promise<RecordedBranch[]> {
  const found = await Promise.all(
    recorded.map(async channel => ({ channel, tip: await findTip(tips, channel, channel.prefix) })),
  )
  const there = found.flatMap(({ channel, tip }) => (tip === undefined ? [] : [{ channel, tip }]))
  const names = await findRuleNames(
    there.map(({ channel }) => channel.repository),
    rules,
    async name =>
      (await repository(name)
        .findNewName()
        .catch(() => undefined)) ?? name,
  )
  return there.map(({ channel, tip }) => {
    const name = names.get(channel.repository.toLowerCase())
    return { channel: name === undefined ? channel : { ...channel, repository: name }, tip }
  })
}

/** A repository may have been renamed since, and its rule with it: by its old name in lower case, what the rules call it. */
async function findRuleNames(
  repositories: readonly string[],
  rules: readonly Rule[],
  nameNow: (name: string) => Promise<string>,
): Promise<Map<string, string>> {
  const ofRules = new Map(rules.map(({ repository }) => [repository.toLowerCase(), repository]))
  const others = new Set(repositories.map(name => name.toLowerCase()).filter(name => !ofRules.has(name)))
  if (others.size === 0) return new Map()
  const ask = async (name: string) => [(await nameNow(name)).toLowerCase(), name] as const
  const [called, renamed] = await Promise.all([
    Promise.all([...ofRules.values()].map(ask)).then(names => new Map(names)),
    Promise.all([...others].map(ask)),
  ])
  return new Map(
    renamed.flatMap(([now, before]) => {
      const name = called.get(now)
      return name === undefined ? [] : [[before, name] as const]
    }),
  )
}

/**
 * What a reconcile has to record: those of before, the branches that had their names until Nix's rules were kept, and the
 * channels that it knows, with or without a branch, as a hook may make one before the next reconcile. The record is cut at
 * its end, where those are that have a job.
 */
export async function knownChannels(
  plan: Plan,
  { tips, rules, recorded }: { tips: Tips; rules: readonly Rule[]; recorded: readonly RecordedBranch[] },
): Promise<Recorded[]> {
  const known = new Map<string, Recorded>()
  for (const { channel, tip } of recorded) {
    // no rule names the repository, and the App is not installed there: it is none of ours any more. Other refusals pass, such
    // as that of a key while a clock is wrong
    if (tip instanceof NotInstalledError && !isRuled(channel, rules)) continue
    known.set(channelKey(channel), channel)
  }
  const exists = async ({ channel, prefix }: { channel: Channel; prefix: string }) =>
    typeof (await findTip(tips, channel, prefix)) === 'string'
  const found = await Promise.all([
    ...[...(plan.former?.values() ?? [])].map(async each => ((await exists(each)) ? [each] : [])),
    ...plan.channels.map(async each => (each.presence !== 'gone' || (await exists(each)) ? [each] : [])),
  ])
  for (const { channel, prefix } of found.flat()) known.set(channelKey(channel), { ...channel, prefix })
  return [...known.values()]
}

/** Whether a rule names the channel's repository. */
export function isRuled({ repository }: Pick<Channel, 'repository'>, rules: readonly Rule[]): boolean {
  return rules.some(rule => sameRepository(rule.repository, repository))
}
