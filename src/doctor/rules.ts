// What the rules alone tell, without a request. Nix runs this when it builds a system.

import { count } from '../base/log.ts'
import { jobsetsOf, type Rule } from '../channels/rule.ts'
import { shapeOf } from '../channels/template.ts'
import { type Answer, someOf } from './check.ts'

/** Two rules that are equal, and rules that may lead jobs of two jobsets to one branch. */
export function checkRules(rules: readonly Rule[]): Answer<never> {
  const failures: string[] = []
  const notes: string[] = []
  for (const [index, rule] of rules.entries()) {
    const first = rules.findIndex(other => key(other) === key(rule))
    if (first < index) failures.push(`channels[${index}] is the same rule as channels[${first}]`)
  }
  for (const branches of new Set(rules.map(branchesOf))) {
    const alike = [...rules.entries()].filter(([, rule]) => branchesOf(rule) === branches)
    const jobsets = jobsetsOf(alike.map(([, rule]) => rule)).map(each => `${each.project}:${each.jobset}`)
    if (jobsets.length === 1) continue
    const which = someOf(alike.map(([index]) => `channels[${index}]`))
    // a branch without a group is one branch, whatever the jobs are called
    if (alike.some(([, { template }]) => template.groups.length === 0)) {
      failures.push(`${which} lead jobs of ${someOf(jobsets)} to one channel, ${branches}`)
    } else {
      notes.push(
        `${which} name the channels of ${someOf(jobsets)} alike (${branches}): two jobs of one name would lead to one channel`,
      )
    }
  }
  const messages = [...failures, ...notes]
  const [message, ...more] = messages
  if (message === undefined) return { message: `${count(rules.length, 'rule')}, no two of them alike` }
  return {
    result: failures.length > 0 ? 'failed' : 'note',
    message,
    hint: [
      ...more,
      failures.length > 0
        ? 'a channel follows one job: take a rule out, or give it another branch'
        : 'well if their jobs have different names (the check “overlap” says whether they have); else give each another branch',
    ],
  }
}

function key({ project, jobset, job, repository, branch }: Rule): string {
  return JSON.stringify([project, jobset, job, repository.toLowerCase(), branch])
}

/** `alice/dotfiles:nixos-tested-{…}`: a group may stand for the same, whatever it is called. */
function branchesOf({ repository, template }: Rule): string {
  return `${repository.toLowerCase()}:${shapeOf(template)}`
}
