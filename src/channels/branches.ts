// Where the channels are: the commits of all branches with a rule's prefix, one request for each repository and prefix.

import { Semaphore } from 'async-mutex'
import { askOnce } from '../base/ask-once.ts'
import { OperatorError } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import { showJob } from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import type { Forge } from './forge.ts'
import { type FormerChannel, type Plan, type PlannedChannel, prefixKey } from './plan.ts'
import { isIgnored, type Rule } from './rule.ts'
import { canMake, prefixOf } from './template.ts'

export interface Prefix {
  repository: string
  /** `nixos-tested-`; '' lists all branches */
  prefix: string
}

/** By prefix, the branches and their commits, or why they could not be listed. */
export type Tips = ReadonlyMap<string, ListedPrefix>

interface ListedPrefix {
  prefix: Prefix
  branches: Map<string, string> | 'too-many' | Error
  findBranch(branch: string): Promise<string | undefined>
}

/** So many branches are asked for by their names at once. */
const MAX_AT_ONCE = 10

/** One prefix that cannot be listed leaves the others alone. */
export async function listTips(
  { repository }: { repository: (name: string) => Pick<Forge, 'listBranches' | 'findBranch'> },
  prefixes: readonly Prefix[],
): Promise<Tips> {
  const slots = new Semaphore(MAX_AT_ONCE)
  const listed = await Promise.all(
    prefixes.map(async (prefix): Promise<ListedPrefix> => {
      const forge = repository(prefix.repository)
      const asked = new Map<string, Promise<string | undefined>>()
      return {
        prefix,
        branches: await forge.listBranches(prefix.prefix).catch((error: Error) => error),
        findBranch: branch =>
          askOnce(asked, branch, () => slots.runExclusive(() => forge.findBranch(branch))),
      }
    }),
  )
  return new Map(listed.map(each => [prefixKey(each.prefix), each]))
}

/** The prefixes that channels have, each once. */
export function prefixesIn(channels: readonly PlannedChannel[]): Prefix[] {
  const found = channels.map(({ channel, prefix }) => ({ repository: channel.repository, prefix }))
  return [...new Map(found.map(each => [prefixKey(each), each])).values()]
}

/** The commit that a channel is at, undefined if there is no such branch; or why the branches could not be listed. */
export async function findTip(
  tips: Tips,
  { repository, branch }: Channel,
  prefix: string,
): Promise<string | undefined | Error> {
  const found = tips.get(prefixKey({ repository, prefix }))
  if (!found) throw new Error(`nobody has listed the branches ${prefix}… of ${repository}`)
  const { branches } = found
  if (branches === 'too-many') return found.findBranch(branch).catch((error: Error) => error)
  return branches instanceof Error ? branches : branches.get(branch)
}

/** As {@link findTip}, and throws the error. */
export async function getTip(tips: Tips, { channel, prefix }: PlannedChannel): Promise<string | undefined> {
  const tip = await findTip(tips, channel, prefix)
  if (tip instanceof Error) throw tip
  return tip
}

/** A branch that may be a channel; `tip`: an error if GitHub did not say whether it exists. */
export interface FoundBranch {
  channel: Channel
  tip: string | Error
}

/** A branch that a rule could make, or that an earlier reconcile recorded, and that no job leads to. */
export interface Stray extends FoundBranch {
  /** the trouble of a rule that could make it: then its job may still exist */
  ruleTrouble: OperatorError | undefined
  /** why its job leads to another channel now; undefined if it has no job */
  successor?: string
}

/** @param recorded what earlier reconciles knew (recorded.ts) */
export function strayBranches(
  plan: Plan,
  tips: Tips,
  rules: readonly Rule[],
  recorded: readonly FoundBranch[] = [],
): Stray[] {
  const known = new Set(plan.channels.map(({ channel }) => channelKey(channel)))
  const troubles = plan.problems.filter(({ of }) => of === 'the rule')
  const strays = new Map<string, Stray>()
  for (const { channel, tip } of possibleChannels(tips, rules, recorded)) {
    const key = channelKey(channel)
    if (known.has(key) || isIgnored(rules, channel)) continue
    const trouble = troubles.find(({ rule }) => couldBeOf(rule, channel))
    strays.set(key, { channel, tip, ruleTrouble: trouble?.error })
  }
  for (const [key, former] of plan.former ?? []) {
    const branches = tips.get(prefixKey({ ...former.channel, prefix: former.prefix }))?.branches
    const tip = branches instanceof Map ? branches.get(former.channel.branch) : strays.get(key)?.tip
    if (tip !== undefined && !isIgnored(rules, former.channel)) strays.set(key, formerStray(former, tip))
  }
  return [...strays.values()]
}

function formerStray({ channel, job, instead }: FormerChannel, tip: string | Error): Stray {
  if (instead instanceof OperatorError) return { channel, tip, ruleTrouble: instead }
  const successor = `Nix does not accept its name in a flakeref, so ${showJob(job)} leads to ${instead} now: let the hosts that follow it follow that one`
  return { channel, tip, ruleTrouble: undefined, successor }
}

/** What is not seen of branches that are too many to list. */
export function describeUnlisted(tips: Tips): string[] {
  return [...tips.values()]
    .filter(({ branches }) => branches === 'too-many')
    .map(
      ({ prefix: { repository, prefix } }) =>
        `${repository} has too many branches ${prefix}… to list: each channel was asked for by its name, and a branch without a job is seen only if an earlier reconcile knew it`,
    )
}

/** What may be a channel, as far as the branches tell, each once: what the rules could make, and what was recorded. */
export function possibleChannels(
  tips: Tips,
  rules: readonly Rule[],
  recorded: readonly FoundBranch[] = [],
): FoundBranch[] {
  const found = new Map<string, FoundBranch>()
  const add = (branch: FoundBranch) => found.set(channelKey(branch.channel), branch)
  // also ignored ones: while the database is away, they may have a job
  for (const branch of recorded) add(branch)
  // every branch looks like a channel of a rule without a prefix: of those only the recorded ones count
  const telling = rules.filter(({ template }) => prefixOf(template) !== '')
  for (const { prefix, branches } of tips.values()) {
    if (!(branches instanceof Map)) continue
    const { repository } = prefix
    for (const [branch, tip] of branches) {
      const channel = { repository, branch }
      if (!isIgnored(rules, channel) && telling.some(rule => couldBeOf(rule, channel))) add({ channel, tip })
    }
  }
  return [...found.values()]
}

/** Whether the rule can make it. */
export function couldBeOf(rule: Rule, { repository, branch }: Channel): boolean {
  return sameRepository(rule.repository, repository) && canMake(rule.template, branch)
}
