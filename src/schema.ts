// How a failed check reads: which key, what it holds, what was expected. The schemas carry what they expect as
// their error text (`z.string('a string')`), because zod/mini has no texts of its own and loads in 2 ms for that.
import type * as z from 'zod/mini'

const MAX_SHOWN = 60

/** One line for each issue: `channels[0].branch: is 7, expected a string`. */
export function explainIssues(issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap(issue => {
    const at = pathOf(issue.path)
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => `${at === '' ? key : `${at}.${key}`}: unknown key`)
    }
    const holds = issue.input === undefined ? 'missing' : `is ${show(issue.input)}`
    return [`${at === '' ? 'the whole' : at}: ${holds}, expected ${issue.message}`]
  })
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((at, key) => {
    if (typeof key === 'number') return `${at}[${key}]`
    return at === '' ? String(key) : `${at}.${String(key)}`
  }, '')
}

/** The value as JSON, shortened; what may be user information in a URL is left out. */
function show(value: unknown): string {
  const text =
    JSON.stringify(value, (_, part) => (typeof part === 'string' ? withoutUserInformation(part) : part)) ??
    typeof value
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/** Slashes do not make a URL: `https:alice:geheim@host` is one too. So it is all from the first colon to the last “@”. */
function withoutUserInformation(text: string): string {
  const start = /:[/\\\s]*|[/\\]{2}/.exec(text)
  const from = start ? start.index + start[0].length : text.length
  const to = text.lastIndexOf('@')
  return from < to ? `${text.slice(0, from)}…${text.slice(to)}` : text
}
