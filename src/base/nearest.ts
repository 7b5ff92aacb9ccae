// What somebody may have meant by a name that is not there: a channel, a key of the configuration.
import { distance } from 'fastest-levenshtein'

/** Of longer names the beginning is compared: the time grows with the product of both lengths. */
const MAX_COMPARED = 255

/** Less than this is in many names. */
const MIN_PART = 3

/** The names, nearest first: those that contain the wanted one, or that it contains, and then by the letters that differ. */
export function nearest(wanted: string, names: readonly string[], max: number): string[] {
  const a = spelling(wanted)
  return names
    .map(name => ({ name, b: spelling(name) }))
    .map(({ name, b }) => ({ name, apart: isPart(a, b) ? 0 : 1, far: distance(a, b) }))
    .sort((one, other) => one.apart - other.apart || one.far - other.far)
    .slice(0, max)
    .map(({ name }) => name)
}

/** How the wanted name may be the other one: another spelling of it, a part of it (or it of that), or mistyped. */
export function kinship(wanted: string, name: string): 'same' | 'part' | 'mistyped' | undefined {
  const [a, b] = [spelling(wanted), spelling(name)]
  if (a === b) return 'same'
  if (isPart(a, b)) return 'part'
  const most = Math.max(Math.min(2, a.length - 1), a.length / 3)
  return distance(a, b) <= most ? 'mistyped' : undefined
}

/** `app_id` is `appId` in another spelling. */
function spelling(name: string): string {
  return name.slice(0, MAX_COMPARED).toLowerCase().replaceAll(/[-_]/g, '')
}

function isPart(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= MIN_PART && (a.includes(b) || b.includes(a))
}
