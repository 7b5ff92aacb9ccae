// Which key of a schema somebody may have meant by one that it does not have. Apart from schema.ts, which every hook loads.

import type * as z from 'zod/mini'
import { kinship, nearest } from './nearest.ts'
import { join, pathOf } from './schema.ts'

/** So many keys somebody may have meant. */
const MAX_MEANT = 3

/**
 * For `explainIssues`: `, did you mean github.appId?`, or nothing. The nearest key of the same object, and the same one of
 * others, which is how `appId` gets to the top.
 */
export function suggestKeys(schema: z.core.$ZodType): (key: string, path: readonly PropertyKey[]) => string {
  const known = keysIn(schema)
  return (key, path) => didYouMean(key, path, known)
}

/** A key, and the path of the object that has it: `channels[]`. */
export interface KnownKey {
  at: string
  key: string
}

/** All keys that a schema has, those of objects within it after the object's own. */
export function keysIn(schema: z.core.$ZodType, at = ''): KnownKey[] {
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
