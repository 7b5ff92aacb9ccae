// What the rules alone tell, without a request. Nix runs this when it builds a system.

import { count } from '../base/log.ts'
import { groupsOf, jobsetsOf, type Rule } from '../channels/rule.ts'
import { shapeOf } from '../channels/template.ts'
import { type Answer, type Note, someOf } from './check.ts'

/** Two rules that are equal, rules that may lead jobs of two jobsets to one branch, and a rule for many jobs with one branch. */
export function checkRules(rules: readonly Rule[], mode: 'offline' | 'online'): Answer<never> {
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
  // online, “overlap” knows whether several jobs match
  const fixed = mode === 'online' ? [] : rules.flatMap((rule, index) => describeFixed(rule, index) ?? [])
  const messages = [...failures, ...notes, ...fixed.map(({ words }) => words)]
  const [message, ...more] = messages
  if (message === undefined) return { message: `${count(rules.length, 'rule')}, no two of them alike` }
  return {
    result: failures.length > 0 ? 'failed' : 'note',
    message,
    hint: [
      ...more,
      ...(failures.length > 0
        ? ['a channel follows one job: take a rule out, or give it another branch']
        : []),
      ...(failures.length === 0 && notes.length > 0
        ? [
            'well if their jobs have different names (the check “overlap” says whether they have); else give each another branch',
          ]
        : []),
      ...fixed.map(({ hint }) => hint),
    ],
  }
}

/** Its job has groups, so it is made for several jobs, and its branch has none. */
function describeFixed({ job, branch, template }: Rule, index: number): Note | undefined {
  const groups = groupsOf(job)
  if (groups.length === 0 || template.groups.length > 0) return undefined
  const example = `{${groups[0]}}`
  return {
    words: `channels[${index}] leads every job that “${job}” matches to one channel, ${branch}`,
    hint: `well if only one job matches; else name the group in branch, as in ${branch}-${example}`,
  }
}

function key({ project, jobset, job, repository, branch }: Rule): string {
  return JSON.stringify([project, jobset, job, repository.toLowerCase(), branch])
}

/** `alice/dotfiles:nixos-tested-{…}`: a group may stand for the same, whatever it is called. */
function branchesOf({ repository, template }: Rule): string {
  return `${repository.toLowerCase()}:${shapeOf(template)}`
}
