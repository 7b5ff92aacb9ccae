// The branch of a rule: a text with the groups of its job in braces, as in `nixos-tested-{host}`.
import { channelProblem } from './branch-name.ts'

export interface Template {
  /** what stands before, between and after the groups: one more than there are groups */
  literals: readonly string[]
  /** their names: `host` */
  groups: readonly string[]
}

/** Takes any text: {@link templateProblem} says what is wrong with it. */
export function parseTemplate(text: string): Template {
  const parts = text.split(/\{([^{}]*)\}/)
  return {
    literals: parts.filter((_, index) => index % 2 === 0),
    groups: parts.filter((_, index) => index % 2 === 1),
  }
}

/**
 * What was expected of the template instead, after `expected`; undefined if it can be used.
 *
 * @param known the groups of the rule's job
 */
export function templateProblem(
  { literals, groups }: Template,
  known: readonly string[],
): string | undefined {
  if (groups.some(name => !known.includes(name))) {
    const there =
      known.length === 0 ? 'there is none' : `there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}`
    return `only named groups of job between braces (${there})`
  }
  if (literals.some(literal => /[{}]/.test(literal))) return 'braces only around the name of a group'
  const dollar = groups.findIndex((_, index) => literals[index]?.endsWith('$'))
  if (dollar >= 0) return `{${groups[dollar]}} without “$” before it, which Nix does not accept in a flakeref`
  const problem = channelProblem(literals.join('x'))
  return problem && `a valid branch name (${problem})`
}

/** The branch for these values of the groups, or the groups that have no value. */
export function fillTemplate(
  { literals, groups }: Template,
  values: Readonly<Record<string, string | undefined>>,
): { branch: string } | { empty: string[] } {
  const empty = new Set(groups.filter(name => !values[name]))
  if (empty.size > 0) return { empty: [...empty] }
  const parts = literals.map((literal, index) => literal + (values[groups[index] ?? ''] ?? ''))
  return { branch: parts.join('') }
}

/**
 * Hydra quotes an attribute that has a dot in its name, as in the job `hosts."web.example.org"`: the value of a group that is one
 * such attribute is what stands between the quotes.
 */
export function unquote(
  values: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value && (/^"([^"\\]*)"$/.exec(value)?.[1] ?? value),
    ]),
  )
}

/** Whether the template can make the branch, if each group may be anything but empty. The time is linear in the branch. */
export function canMake({ literals }: Template, branch: string): boolean {
  const [first = '', ...rest] = literals
  const last = rest.pop()
  if (last === undefined) return branch === first
  if (!branch.startsWith(first) || !branch.endsWith(last)) return false
  let at = first.length
  for (const literal of rest) {
    // the earliest place leaves the most for what follows
    const found = branch.indexOf(literal, at + 1)
    if (found === -1) return false
    at = found + literal.length
  }
  return at < branch.length - last.length
}

/**
 * What the groups make of a branch that the template can make, from the first group to the last: `router` of
 * `nixos-tested-router`; undefined if it has no group.
 */
export function madeOf({ literals, groups }: Template, branch: string): string | undefined {
  if (groups.length === 0) return undefined
  return branch.slice((literals[0] ?? '').length, branch.length - (literals.at(-1) ?? '').length)
}

/** Whether one of several groups may be that: `router` in `nixos-tested-router-x86_64-linux`. */
export function mayHave({ literals, groups }: Template, value: string, branch: string): boolean {
  if (groups.length < 2 || value === '') return false
  return groups.some((_, at) => {
    const joined = `${literals[at]}${value}${literals[at + 1]}`
    const rest = { literals: [...literals.slice(0, at), joined, ...literals.slice(at + 2)], groups: [] }
    return canMake(rest, branch)
  })
}

/** The branch of which {@link madeOf} is that, if the template can make one. */
export function branchFor(template: Template, made: string): string | undefined {
  const { literals, groups } = template
  if (groups.length === 0) return undefined
  const branch = `${literals[0] ?? ''}${made}${literals.at(-1) ?? ''}`
  return canMake(template, branch) ? branch : undefined
}

/** What all its branches begin with: `nixos-tested-` */
export function prefixOf({ literals }: Template): string {
  return literals[0] ?? ''
}

/** `nixos-tested-{…}`: equal for templates that make the same branches. */
export function shapeOf({ literals }: Template): string {
  return literals.join('{…}')
}
