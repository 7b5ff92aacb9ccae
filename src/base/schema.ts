// How a failed check reads: which key, what it holds, what was expected. The schemas carry what they expect as
// their error text (`z.string('a string')`), because zod/mini has no texts of its own and loads in 2 ms for that.

import type * as z from 'zod/mini'
import { cut } from './log.ts'

const MAX_SHOWN = 60

/**
 * One line for each issue: `channels[0].branch: is 7, expected a string`.
 *
 * @param suggest what goes on after an unknown key, in the object at the path (known-keys.ts)
 */
export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  suggest: (key: string, path: readonly PropertyKey[]) => string = () => '',
): string[] {
  return issues.flatMap(issue => {
    const at = pathOf(issue.path)
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => `${join(at, key)}: unknown key${suggest(key, issue.path)}`)
    }
    const holds = issue.input === undefined ? 'missing' : `is ${show(issue.input)}`
    return [
      at === '' ? `it ${holds}, expected ${issue.message}` : `${at}: ${holds}, expected ${issue.message}`,
    ]
  })
}

/** `channels[0].branch`, or with `[]` for each place of a list */
export function pathOf(path: readonly PropertyKey[], place = (index: number) => `[${index}]`): string {
  return path.reduce<string>(
    (at, key) => (typeof key === 'number' ? at + place(key) : join(at, String(key))),
    '',
  )
}

export function join(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`
}

/**
 * The value as JSON, shortened. What may be user information in a URL is left out, and so is all that is in an object or
 * a list: a key that strayed there would be on a public page.
 */
function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  const text =
    JSON.stringify(typeof value === 'string' ? withoutUserInformation(value) : value) ?? typeof value
  return cut(text, MAX_SHOWN)
}

/** Slashes do not make a URL: `https:alice:geheim@host` is one too. So it is all from the first colon to the last “@”. */
function withoutUserInformation(text: string): string {
  const start = /:[/\\\s]*|[/\\]{2}/.exec(text)
  const from = start ? start.index + start[0].length : text.length
  const to = text.lastIndexOf('@')
  return from < to ? `${text.slice(0, from)}…${text.slice(to)}` : text
}
