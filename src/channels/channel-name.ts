// CHANNEL, as somebody types it: a branch, or `owner/repo:branch` if several repositories have that branch.
import { UsageError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { sameRepository } from '../base/repository-name.ts'
import { branchProblem } from './branch-name.ts'
import { type Channel, channelKey } from './channel.ts'
import type { Rule } from './rule.ts'
import { canMake } from './template.ts'

const MAX_SUGGESTIONS = 3

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
 * @throws UsageError for a name that no channel or more than one has
 */
export function selectChannels<Entry extends { channel: Channel }>(
  entries: readonly Entry[],
  names: readonly string[],
): Entry[] {
  if (names.length === 0) return [...entries]
  const selected = names.map(name => {
    const found = selectOne(entries, name)
    if (found) return found
    const wanted = parseChannelName(name).branch
    const branches = [...new Set(entries.map(({ channel }) => channel.branch))]
    const meant = nearest(wanted, branches, MAX_SUGGESTIONS)
    throw new UsageError(`there is no channel ${name}`, {
      hint: meant.length > 0 ? `did you mean ${meant.join(', ')}?` : 'the rules make no channel at all',
    })
  })
  return [...new Set(selected)]
}

/**
 * The channel of that name that the rules could make, or that an earlier reconcile recorded. Hydra is not asked whether it has
 * a job for it.
 *
 * @throws UsageError if no rule makes such a branch, or rules of several repositories do
 */
export function findMakeableChannel(
  rules: readonly Rule[],
  name: string,
  recorded: readonly Channel[] = [],
): Channel {
  const { branch } = parseChannelName(name)
  const problem = branchProblem(branch)
  if (problem) throw new UsageError(`CHANNEL “${name}” cannot be used: ${problem}`)
  const makeable = new Map<string, { channel: Channel }>()
  for (const { repository, template } of rules) {
    const channel = { repository, branch }
    const key = channelKey(channel)
    if (canMake(template, branch) && !makeable.has(key)) makeable.set(key, { channel })
  }
  for (const { repository, branch: its } of recorded) {
    const channel = { repository, branch: its }
    const key = channelKey(channel)
    if (its === branch && !makeable.has(key)) makeable.set(key, { channel })
  }
  const found = selectOne([...makeable.values()], name)
  if (found) return found.channel
  throw new UsageError(`no rule makes a channel “${name}”`, { hint: rules.map(nameChannel) })
}

/** @throws UsageError if several repositories have a channel of that name */
function selectOne<Entry extends { channel: Channel }>(
  entries: readonly Entry[],
  name: string,
): Entry | undefined {
  const { repository, branch } = parseChannelName(name)
  const found = entries.filter(
    ({ channel }) =>
      channel.branch === branch &&
      (repository === undefined || sameRepository(channel.repository, repository)),
  )
  if (found.length < 2) return found[0]
  throw new UsageError(`${name} is a channel in ${found.length} repositories`, {
    hint: found.map(({ channel }) => nameChannel(channel)),
  })
}
