// How a failed check reads: which key, what it holds, what was expected. The schemas carry what they expect as
// their error text (`z.string('a string')`), because zod/mini has no texts of its own and loads in 2 ms for that.

import type * as z from 'zod/mini'
import { cut } from './log.ts'
import { kinship, nearest } from './nearest.ts'

const MAX_SHOWN = 60

/** So many keys somebody may have meant. */
const MAX_MEANT = 3

/**
 * One line for each issue: `channels[0].branch: is 7, expected a string`.
 *
 * @param schema whose keys are suggested for unknown ones
 */
export function explainIssues(issues: readonly z.core.$ZodIssue[], schema?: z.core.$ZodType): string[] {
  const known = schema ? keysIn(schema) : []
  return issues.flatMap(issue => {
    const at = pathOf(issue.path)
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => `${join(at, key)}: unknown key${didYouMean(key, issue.path, known)}`)
    }
    const holds = issue.input === undefined ? 'missing' : `is ${show(issue.input)}`
    return [
      at === '' ? `it ${holds}, expected ${issue.message}` : `${at}: ${holds}, expected ${issue.message}`,
    ]
  })
}

/** `channels[0].branch`, or with `[]` for each place of a list */
function pathOf(path: readonly PropertyKey[], place = (index: number) => `[${index}]`): string {
  return path.reduce<string>(
    (at, key) => (typeof key === 'number' ? at + place(key) : join(at, String(key))),
    '',
  )
}

function join(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`
}

/** A key, and the path of the object that has it: `channels[]`. */
interface KnownKey {
  at: string
  key: string
}

function keysIn(schema: z.core.$ZodType, at = ''): KnownKey[] {
  const { def } = (schema as z.core.$ZodTypes)._zod
  switch (def.type) {
    case 'object':
      return Object.entries(def.shape).flatMap(([key, value]) => [
        { at, key },
        ...keysIn(value, join(at, key)),
      ])
    case 'array':
      return keysIn(def.element, `${at}[]`)
    case 'pipe':
      return keysIn(def.in, at)
    case 'optional':
    case 'default':
    case 'prefault':
      return keysIn(def.innerType, at)
    default:
      return []
  }
}

/** The nearest key of the same object, and the same one of others, which is how `appId` gets to the top. */
function didYouMean(key: string, path: readonly PropertyKey[], known: readonly KnownKey[]): string {
  const object = pathOf(path, () => '[]')
  const own = known.filter(each => each.at === object).map(each => each.key)
  const [near = ''] = nearest(key, own, 1)
  const kin = kinship(key, near)
  const others = known.filter(each => each.at !== object && kinship(key, each.key) === 'same')
  const meant = [
    ...(kin === undefined || (kin === 'mistyped' && others.length > 0) ? [] : [join(pathOf(path), near)]),
    ...(kin === 'same' ? [] : others).map(each =>
      each.at === '' ? `${each.key} at the top` : join(each.at, each.key),
    ),
  ]
  return meant.length === 0 ? '' : `, did you mean ${meant.slice(0, MAX_MEANT).join(' or ')}?`
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
