// Which jobs feed which branch: the rules of the configuration, applied to the names of Hydra's jobs.
import * as z from 'zod/mini'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { isRepository, sameRepository } from '../base/repository-name.ts'
import { branchProblem, channelProblem } from './branch-name.ts'
import type { Channel } from './channel.ts'
import { execOnAll, MAX_JOB_LENGTH, wholeName } from './job-pattern.ts'
import { fillTemplate, parseTemplate, type Template, templateProblem, unquote } from './template.ts'

/** One entry of `channels` in the configuration: one channel, one job. */
export interface Rule {
  project: string
  jobset: string
  /** `nixos-(?<host>[^/]*)\\.x86_64-linux`, as configured */
  job: string
  /** `job`, anchored */
  pattern: RegExp
  /** `alice/dotfiles` */
  repository: string
  /** `nixos-tested-{host}`, as configured */
  branch: string
  /** `branch`, parsed */
  template: Template
  /** `main`: candidates must be in the history of this branch; undefined: of what the jobset follows */
  ref?: string | undefined
  /** branches of somebody else, such as another Hydra: `nixos-tested-web`, or `nixos-tested-b-*` */
  ignore?: readonly string[] | undefined
}

const IGNORED = 'a branch, or what branches begin with and *, as in nixos-tested-b-*'

export const ruleSchema = z.pipe(
  z.strictObject(
    {
      project: z.string('the name of a project').check(z.minLength(1, 'the name of a project')),
      jobset: z.string('the name of a jobset').check(z.minLength(1, 'the name of a jobset')),
      job: z.string('a regular expression').check(
        z.refine(job => patternProblem(job) === undefined, {
          error: ({ input }) => `a valid JavaScript regular expression (${patternProblem(String(input))})`,
        }),
      ),
      repository: z
        .string('owner/repository')
        .check(z.refine(isRepository, 'owner/repository, as in alice/dotfiles')),
      branch: z.string('a branch such as nixos-tested-{host}'),
      ref: z.optional(
        z
          .string('a branch such as main')
          .check(z.refine(name => branchProblem(name) === undefined, 'a branch such as main')),
      ),
      ignore: z.optional(
        z.array(z.string(IGNORED).check(z.refine(isIgnorable, IGNORED)), 'a list of branches'),
      ),
    },
    'an object with project, jobset, job, repository and branch',
  ),
  z.transform((rule, context): Rule => {
    const template = parseTemplate(rule.branch)
    const problem = templateProblem(template, groupsOf(rule.job))
    if (problem) {
      context.issues.push({ code: 'custom', path: ['branch'], input: rule.branch, message: problem })
      return z.NEVER
    }
    return { ...rule, pattern: wholeName(rule.job), template }
  }),
)

/** In JavaScript's own words, as `Unterminated group`. */
function patternProblem(source: string): string | undefined {
  try {
    // by itself, before it is anchored: “a)|(b” would close our own group
    new RegExp(source)
    return undefined
  } catch (error) {
    // `Invalid regular expression: /(/: Unterminated group`: our message quotes the expression itself
    const said = messageOf(error)
    const start = said.lastIndexOf('/: ')
    return start === -1 ? said : said.slice(start + 3)
  }
}

function isIgnorable(name: string): boolean {
  return branchProblem(name.endsWith('*') ? `${name.slice(0, -1)}x` : name) === undefined
}

/** Whether a rule of the repository says that the branch is somebody else's. A channel that has a job is ours all the same. */
export function isIgnored(rules: readonly Rule[], { repository, branch }: Channel): boolean {
  return rules.some(
    rule =>
      sameRepository(rule.repository, repository) &&
      rule.ignore?.some(name =>
        name.endsWith('*') ? branch.startsWith(name.slice(0, -1)) : branch === name,
      ),
  )
}

/** The jobsets that rules name, each once. */
export function jobsetsOf(rules: readonly Rule[]): { project: string; jobset: string }[] {
  const found = rules.map(
    ({ project, jobset }) => [JSON.stringify([project, jobset]), { project, jobset }] as const,
  )
  return [...new Map(found).values()]
}

/** The names of a regular expression's groups, asked of the engine: with an empty alternative it always matches. */
export function groupsOf(source: string): string[] {
  return Object.keys(new RegExp(`${source}|`).exec('')?.groups ?? {})
}

/** @throws OperatorError if the rule takes too long */
function matchAll(rule: Rule, names: readonly string[]): (RegExpExecArray | null)[] {
  try {
    return execOnAll(rule.pattern, names)
  } catch (error) {
    if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    const which = names.length === 1 ? names[0] : `the ${names.length} jobs of ${rule.project}:${rule.jobset}`
    throw new OperatorError(`the rule “${rule.job}” takes too long on ${which}: it nests repetitions`, {
      hint: 'write job without a repetition inside of a repetition',
    })
  }
}

/** `formerly`: the branch of the plain name, with what Nix does not accept in a flakeref; it may be there, from another tool. */
export type MadeChannel = { formerly?: string } & (
  | { kind: 'channel'; branch: string }
  | { kind: 'invalid'; why: string }
)

/** The jobs that a rule matches, and the channel that it makes of each, or why it can make none. */
export function channelsOfJobs(rule: Rule, jobs: readonly string[]): { job: string; made: MadeChannel }[] {
  const names = jobs.filter(job => job.length <= MAX_JOB_LENGTH)
  return matchAll(rule, names).flatMap((match, index) => {
    const job = names[index]
    return match && job !== undefined ? [{ job, made: channelOf(rule, match) }] : []
  })
}

/** As {@link channelsOfJobs}, of one job; undefined if the rule does not match. */
export function channelOfJob(rule: Rule, job: string): MadeChannel | undefined {
  return channelsOfJobs(rule, [job])[0]?.made
}

function channelOf(rule: Rule, { groups = {} }: RegExpExecArray): MadeChannel {
  const filled = fillTemplate(rule.template, unquote(groups))
  if ('empty' in filled) {
    return {
      kind: 'invalid',
      why: `the group ${filled.empty.join(', ')} of the rule “${rule.job}” is empty for this job`,
    }
  }
  const { branch } = filled
  const problem = channelProblem(branch)
  const formerly = formerBranch(rule, groups)
  return {
    ...(problem
      ? { kind: 'invalid', why: `“${branch}” is no valid branch name: ${problem}` }
      : { kind: 'channel', branch }),
    ...(formerly !== undefined && { formerly }),
  }
}

function formerBranch(rule: Rule, groups: Readonly<Record<string, string>>): string | undefined {
  const filled = fillTemplate(rule.template, groups)
  if ('empty' in filled || branchProblem(filled.branch) !== undefined) return undefined
  return channelProblem(filled.branch) === undefined ? undefined : filled.branch
}
