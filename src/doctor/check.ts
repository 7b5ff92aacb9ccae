// How doctor makes a check: what it becomes when it fails, and when it cannot be made at all.
import { statSync } from 'node:fs'
import { messageOf, OperatorError } from '../base/errors.ts'
import { shellWord } from '../base/links.ts'
import { listSome } from '../base/log.ts'

/** The checks, in the order of their output. */
export const CHECK_NAMES = [
  'configuration',
  'rules',
  'key',
  'app',
  'clock',
  'installation',
  'permissions',
  'repository',
  'database',
  'read-only',
  'users',
  'tables',
  'schema',
  'lock',
  'jobsets',
  'jobs',
  'overlap',
  'default-branch',
  'cache-unit',
  'polkit',
  'cache',
  'cache-path',
  'reconcile',
  'holds',
  'kick',
] as const

export type CheckName = (typeof CHECK_NAMES)[number]

export interface Check {
  name: CheckName
  result: 'ok' | 'failed' | 'note' | 'not-checked'
  /** what was looked at, and what came back */
  message: string
  /** what to do about it */
  hint: string[]
}

/** A check, and what later checks need of it; undefined if they cannot run. */
export interface Checked<Found> extends Check {
  found: Found | undefined
}

export interface Answer<Found> {
  /** default: ok */
  result?: Check['result']
  message: string
  hint?: string | readonly string[]
  found?: Found | undefined
}

/** An error is a failed check; one that is no operator's is a mistake in our own code, and leaves the others alone. */
export async function check<Found>(
  name: CheckName,
  make: () => Answer<Found> | Promise<Answer<Found>>,
): Promise<Checked<Found>> {
  try {
    const { result = 'ok', message, hint = [], found } = await make()
    return { name, result, message, hint: [hint].flat(), found }
  } catch (error) {
    return { name, result: 'failed', found: undefined, ...explain(error) }
  }
}

function explain(error: unknown): { message: string; hint: string[] } {
  if (error instanceof OperatorError) return { message: error.message, hint: [...error.hint] }
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1) : []
  return {
    message: `unexpected error, please report it: ${messageOf(error)}`,
    hint: stack.map(line => line.trim()),
  }
}

/** A check that needs another one's findings. */
export async function after<Needed, Found>(
  name: CheckName,
  needed: Promise<Checked<Needed>>,
  make: (found: Needed) => Answer<Found> | Promise<Answer<Found>>,
): Promise<Checked<Found>> {
  const { found, ...before } = await needed
  if (found !== undefined) return check(name, () => make(found))
  return check(name, () =>
    before.result === 'not-checked'
      ? { result: before.result, message: before.message }
      : notChecked(`it needs “${before.name}”, which failed`),
  )
}

/** What a check needs that needs two others. */
export async function both<A, B>(a: Promise<Checked<A>>, b: Promise<Checked<B>>): Promise<Checked<[A, B]>> {
  const [one, other] = await Promise.all([a, b])
  if (one.found === undefined) return { ...one, found: undefined }
  return { ...other, found: other.found === undefined ? undefined : [one.found, other.found] }
}

export function notChecked(why: string): Answer<never> {
  return { result: 'not-checked', message: `not checked: ${why}` }
}

/** What is worth knowing of something that works, behind its message. */
export interface Note {
  words: string
  hint: string
}

/** What works is `ok`, or a note if there is more to say of it. */
export function withNotes<Found>(message: string, notes: readonly Note[], found: Found): Answer<Found> {
  if (notes.length === 0) return { message, found }
  return {
    result: 'note',
    message: [message, ...notes.map(({ words }) => words)].join('; '),
    hint: notes.map(({ hint }) => hint),
    found,
  }
}

/**
 * If every user of this machine may read a file with a secret.
 *
 * @param whose `its mode`
 * @param then what somebody can do who has read it, and what to do about that
 */
export function noteMode(file: string, { whose, then }: { whose: string; then: string }): Note[] {
  if (!isOpenToOthers(file)) return []
  return [
    {
      words: `${whose} lets every user read it`,
      hint: `chmod 600 ${shellWord(file)}; if somebody else has read it, ${then}`,
    },
  ]
}

function isOpenToOthers(file: string): boolean {
  try {
    return (statSync(file).mode & 0o004) !== 0
  } catch {
    return false
  }
}

/** Of what an answer names: `a, b, c and 9 more` */
export const someOf = (names: readonly string[]) => listSome(names, 3)
