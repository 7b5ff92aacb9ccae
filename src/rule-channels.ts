// A channel by its name alone, without Hydra: what the rules could make.
import { branchProblem } from './branch-name.ts'
import { type Channel, type Rule, sameRepository } from './channel.ts'
import { canMake } from './channels/template.ts'
import { UsageError } from './errors.ts'

/**
 * The channel that a name means: a branch that a rule can make, or `owner/repo:branch`.
 *
 * @throws UsageError where no rule makes such a branch, or rules of several repositories do
 */
export function parseChannel(rules: readonly Rule[], name: string): Channel {
  const [before = '', ...after] = name.split(':')
  const branch = after.length > 0 ? after.join(':') : before
  const problem = branchProblem(branch)
  if (problem) throw new UsageError(`CHANNEL “${name}” cannot be used: ${problem}`)
  const making = rules.filter(
    rule => canMake(rule.template, branch) && (after.length === 0 || sameRepository(rule.repository, before)),
  )
  const repositories = [
    ...new Map(making.map(({ repository }) => [repository.toLowerCase(), repository])).values(),
  ]
  const [repository, ...others] = repositories
  if (repository === undefined) {
    throw new UsageError(`no rule makes a channel “${name}”`, {
      hint: rules.map(rule => `${rule.repository}:${rule.branch}`),
    })
  }
  if (others.length > 0) {
    throw new UsageError(`${branch} is a channel in ${repositories.length} repositories`, {
      hint: repositories.map(each => `${each}:${branch}`),
    })
  }
  return { repository, branch }
}
