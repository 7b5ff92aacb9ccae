// Times and spans as people write and read them. Machines get ISO 8601.
import { count } from './log.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
const YEAR_MS = 365 * DAY_MS

/** As systemd.time(7) has them, but for months and years, which are not always as long. */
const UNITS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(['s', 'sec', 'second', 'seconds'].map(unit => [unit, SECOND_MS])),
  ...Object.fromEntries(['m', 'min', 'minute', 'minutes'].map(unit => [unit, MINUTE_MS])),
  ...Object.fromEntries(['h', 'hr', 'hour', 'hours'].map(unit => [unit, HOUR_MS])),
  ...Object.fromEntries(['d', 'day', 'days'].map(unit => [unit, DAY_MS])),
  ...Object.fromEntries(['w', 'week', 'weeks'].map(unit => [unit, WEEK_MS])),
}

export type Span = { kind: 'span'; ms: number } | { kind: 'no unit' } | { kind: 'no span' }

/** `90m`, `1h30m`, `3w`, `15min`, `1 h 30 min`. A number alone has no unit, and means nothing. */
export function parseSpan(text: string): Span {
  const parts = [...text.trim().matchAll(/(\d{1,6}) *([a-z]*) */gy)]
  if (parts.length === 0 || parts.join('').length === 0) return { kind: 'no span' }
  const length = parts.reduce((sum, [part]) => sum + part.length, 0)
  if (length !== text.trim().length) return { kind: 'no span' }
  if (parts.some(([, , unit]) => unit === '')) return { kind: 'no unit' }
  let ms = 0
  for (const [, amount, unit = ''] of parts) {
    const unitMs = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined
    if (unitMs === undefined) return { kind: 'no span' }
    ms += Number(amount) * unitMs
  }
  return { kind: 'span', ms }
}

/** Anybody can date a commit. */
const MAX_YEARS = 99

/** `4 min`, `3 h`, `2 days`, `1 year`: rounded down, and never negative, because clocks disagree. */
export function spanInWords(ms: number): string {
  const { n, unit } = largest(ms)
  return unit === 'min' || unit === 'h' ? `${n} ${unit}` : count(n, unit)
}

/** `4m`, `3h`, `2d`, `1y`: at most four characters. */
export function spanInShort(ms: number): string {
  const { n, unit } = largest(ms)
  return `${n}${unit.charAt(0)}`
}

function largest(ms: number): { n: number; unit: 'min' | 'h' | 'day' | 'year' } {
  const span = Math.max(0, ms)
  if (span < HOUR_MS) return { n: Math.floor(span / MINUTE_MS), unit: 'min' }
  if (span < 2 * DAY_MS) return { n: Math.floor(span / HOUR_MS), unit: 'h' }
  if (span < YEAR_MS) return { n: Math.floor(span / DAY_MS), unit: 'day' }
  return { n: Math.min(MAX_YEARS, Math.floor(span / YEAR_MS)), unit: 'year' }
}

/** `8 min ago`, `just now`; of a time to come `in 3 h`. */
export function relativeTime(time: number, now: number): string {
  if (Math.abs(now - time) < MINUTE_MS) return 'just now'
  return time > now ? `in ${spanInWords(time - now)}` : `${spanInWords(now - time)} ago`
}

/** `2026-11-24T12:00:00.000Z`, for machines; Hydra counts in seconds. */
export function isoOfSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const

/** `01:46` of today, `Sat 01:46` of the six days around it, else `2026-12-24 18:00`; in the time zone of this machine. */
export function clockTime(time: number, now: number): string {
  const at = new Date(time)
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`
  if (at.toDateString() === new Date(now).toDateString()) return clock
  if (Math.abs(time - now) < 6 * DAY_MS) return `${WEEKDAYS[at.getDay()]} ${clock}`
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** `Sat 28 Nov 2026, 18:45 UTC+1`: for who does not know when it is read, or where. */
export function dateWithZone(time: number): string {
  const at = new Date(time)
  const two = (n: number) => String(n).padStart(2, '0')
  const ahead = -at.getTimezoneOffset()
  const [hours, minutes] = [Math.trunc(Math.abs(ahead) / 60), Math.abs(ahead) % 60]
  const zone = ahead === 0 ? '' : `${ahead < 0 ? '-' : '+'}${hours}${minutes === 0 ? '' : `:${two(minutes)}`}`
  const day = `${WEEKDAYS[at.getDay()]} ${at.getDate()} ${MONTHS[at.getMonth()]} ${at.getFullYear()}`
  return `${day}, ${two(at.getHours())}:${two(at.getMinutes())} UTC${zone}`
}
