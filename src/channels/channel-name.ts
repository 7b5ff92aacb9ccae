// CHANNEL, as somebody types it: a branch; `owner/repo:branch` if several repositories have that branch; the name of its job; or
// the part of the branch that the groups of its rule make.
import { operatorErrorOf, UsageError } from '../base/errors.ts'
import { listSome } from '../base/log.ts'
import { nearest } from '../base/nearest.ts'
import { sameRepository } from '../base/repository-name.ts'
import { branchProblem, channelProblem } from './branch-name.ts'
import { type JobName, showJob } from './candidate.ts'
import { type Channel, channelKey } from './channel.ts'
import { channelOfJob, type Rule } from './rule.ts'
import { branchFor, canMake, madeOf, mayHave } from './template.ts'

const MAX_SUGGESTIONS = 3

/** Of what fits, so many are listed. */
const MAX_FITTING = 10

/** A channel, and as much of its jobs as is known. */
export interface Nameable {
  channel: Channel
  /** those that lead to it */
  jobs?: readonly JobName[]
  /** has them, of an entry of status */
  planned?: { jobs: readonly JobName[] } | undefined
}

type NamingRule = Pick<Rule, 'repository' | 'template'>

/** No branch has a colon in its name. */
export function parseChannelName(text: string): { repository: string | undefined; branch: string } {
  const colon = text.indexOf(':')
  return colon === -1
    ? { repository: undefined, branch: text }
    : { repository: text.slice(0, colon), branch: text.slice(colon + 1) }
}

/** `alice/dotfiles:nixos-tested-nas`: what {@link parseChannelName} reads. */
export function nameChannel({ repository, branch }: Channel): string {
  return `${repository}:${branch}`
}

/**
 * The entries of the named channels, each once; all of them if no name was given.
 *
 * @param rules by which a part of a branch is a name
 * @throws UsageError for a name that no channel or more than one has
 */
export function selectChannels<Entry extends Nameable>(
  entries: readonly Entry[],
  names: readonly string[],
  rules: readonly NamingRule[] = [],
): Entry[] {
  if (names.length === 0) return [...entries]
  const selected = names.map(name => {
    const found = selectChannel(entries, name, rules)
    if (found) return found
    throw new UsageError(`there is no channel ${name}`, {
      hint: didYouMean(entries, name, rules) ?? 'the rules make no channel at all',
    })
  })
  return [...new Set(selected)]
}

/**
 * The entry that a name means: of the branch that is called so; else the only one whose job or part is; undefined if there is
 * none.
 *
 * @throws UsageError if more than one fits
 */
export function selectChannel<Entry extends Nameable>(
  entries: readonly Entry[],
  name: string,
  rules: readonly NamingRule[],
): Entry | undefined {
  const { repository, branch } = parseChannelName(name)
  const within = entries.filter(
    ({ channel }) => repository === undefined || sameRepository(channel.repository, repository),
  )
  const exact = within.filter(({ channel }) => channel.branch === branch)
  if (exact.length > 1) {
    throw new UsageError(`${name} is a channel in ${exact.length} repositories`, {
      hint: exact.map(({ channel }) => nameChannel(channel)),
    })
  }
  if (exact[0]) return exact[0]
  const ofJob = entries.filter(entry => jobsOf(entry).includes(name))
  const whole = within.filter(
    entry => jobsOf(entry).includes(branch) || partsOf(entry.channel, rules).includes(branch),
  )
  const ofGroup = () =>
    within.filter(({ channel }) =>
      rulesOf(channel, rules).some(({ template }) => mayHave(template, branch, channel.branch)),
    )
  const fitting = [ofJob, whole].find(each => each.length > 0) ?? ofGroup()
  if (fitting.length > 1) {
    const which = sortByName(fitting, name, rules).map(({ channel }) => nameChannel(channel))
    throw new UsageError(`“${name}” fits ${which.length} channels: name one of them`, {
      hint: listSome(which, MAX_FITTING),
    })
  }
  return fitting[0]
}

/** `did you mean nixos-tested-nas?`: the nearest of the channels; undefined if there is none at all. */
export function didYouMean(
  entries: readonly Nameable[],
  name: string,
  rules: readonly NamingRule[],
): string | undefined {
  const isQualified = parseChannelName(name).repository !== undefined
  const sorted = sortByName(entries, name, rules).map(({ channel }) =>
    isQualified ? nameChannel(channel) : channel.branch,
  )
  const meant = [...new Set(sorted)].slice(0, MAX_SUGGESTIONS)
  return meant.length > 0 ? `did you mean ${meant.join(', ')}?` : undefined
}

/**
 * The channel of that name that the rules could make, or that is known. Hydra is not asked whether it has a job for it, so only
 * what is known may go by the name of its job or by a part of its branch: any word could be a part.
 *
 * @param known such as an earlier reconcile recorded
 * @param moreHints of the error that no rule makes it: why less is known than could be
 * @throws UsageError if no rule makes such a branch, or rules of several repositories do
 */
export function findMakeableChannel(
  rules: readonly Rule[],
  name: string,
  known: readonly Channel[] = [],
  moreHints: readonly string[] = [],
): Channel {
  const { branch } = parseChannelName(name)
  const makeable = new Map<string, Nameable>()
  for (const { repository, template } of rules) {
    const channel = { repository, branch }
    const key = channelKey(channel)
    const isValid = branchProblem(branch) === undefined
    if (isValid && canMake(template, branch) && !makeable.has(key)) makeable.set(key, { channel })
  }
  const ofJob = channelsOf(rules, name)
  for (const { repository, branch: its } of known) {
    const channel = { repository, branch: its }
    const key = channelKey(channel)
    if (!makeable.has(key)) makeable.set(key, { channel, jobs: ofJob.get(key)?.jobs ?? [] })
  }
  const found = selectChannel([...makeable.values()], name, rules)
  if (found) return found.channel
  const made = rules.flatMap(({ repository, template }) => {
    const its = branchFor(template, branch)
    return its === undefined || channelProblem(its) ? [] : [{ channel: { repository, branch: its } }]
  })
  // what is there, before what could be there
  const meant = makeable.size > 0 ? [...makeable.values()] : [...ofJob.values(), ...made]
  const suggestion = didYouMean(meant, name, rules)
  const problem = branchProblem(branch)
  if (problem) {
    const hint = ofJob.size > 0 ? suggestion : undefined
    throw new UsageError(`CHANNEL “${name}” cannot be used: ${problem}`, hint === undefined ? {} : { hint })
  }
  throw new UsageError(`no rule makes a channel “${name}”`, {
    hint: [
      ...(suggestion === undefined ? [] : [suggestion]),
      `the rules make ${rules.map(nameChannel).join(', ')}`,
      ...moreHints,
    ],
  })
}

/** What the rules make of a job, by channel. */
function channelsOf(rules: readonly Rule[], name: string): Map<string, Nameable> {
  const found = new Map<string, Nameable>()
  for (const rule of rules) {
    const { project, jobset, repository } = rule
    const of = `${project}:${jobset}:`
    const job = name.startsWith(of) ? name.slice(of.length) : name
    const made = tryJob(rule, job)
    if (made?.kind !== 'channel') continue
    const channel = { repository, branch: made.branch }
    found.set(channelKey(channel), { channel, jobs: [{ project, jobset, job }] })
  }
  return found
}

/** A rule that takes too long on it makes nothing of it. */
function tryJob(rule: Rule, job: string): ReturnType<typeof channelOfJob> {
  try {
    return channelOfJob(rule, job)
  } catch (error) {
    operatorErrorOf(error)
    return undefined
  }
}

/** As they may be typed. */
function jobsOf({ jobs, planned }: Nameable): string[] {
  return (jobs ?? planned?.jobs ?? []).flatMap(job => [job.job, showJob(job)])
}

function partsOf(channel: Channel, rules: readonly NamingRule[]): string[] {
  return rulesOf(channel, rules).flatMap(({ template }) => madeOf(template, channel.branch) ?? [])
}

/** Those that can make it. */
function rulesOf({ repository, branch }: Channel, rules: readonly NamingRule[]): NamingRule[] {
  return rules.filter(rule => sameRepository(rule.repository, repository) && canMake(rule.template, branch))
}

/** The nearest first, by any of its names. */
function sortByName<Entry extends Nameable>(
  entries: readonly Entry[],
  name: string,
  rules: readonly NamingRule[],
): Entry[] {
  const byName = new Map<string, Set<Entry>>()
  for (const entry of entries) {
    const names = [entry.channel.branch, ...partsOf(entry.channel, rules), ...jobsOf(entry)]
    for (const each of names) byName.set(each, (byName.get(each) ?? new Set()).add(entry))
  }
  const sorted = nearest(parseChannelName(name).branch, [...byName.keys()], byName.size)
  return [...new Set(sorted.flatMap(each => [...(byName.get(each) ?? [])]))]
}
