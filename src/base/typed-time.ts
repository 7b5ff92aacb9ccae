// A time, as somebody types it: a span from or before now, a date, or ISO 8601.
import { parseSpan, type Span } from './time.ts'

const EXAMPLES = '90m, 1h30m, 3d, 2w, 2026-12-24 or 2026-12-24T18:00:00+01:00'

/** The years of ISO 8601 have four digits. */
const MAX_MS = Date.UTC(9999, 11, 31)

/** A date, a time of the day, and a zone: the latter two may be missing, and the zone then is this machine's. */
const POINT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?: ?(?:(Z)|([+-])(\d\d):?(\d\d)))?)?$/i

/** `3D`, `1.5h`, `1month` */
const ALMOST_A_SPAN = /^\d{1,6}(?:[.,]\d{1,6})? *[a-z]/i

/** `why` and `hint` go into a message. */
export type TypedTime = { kind: 'at'; at: Date } | { kind: 'unusable'; why: string; hint: string }

const unusable = (why: string, hint: string): TypedTime => ({ kind: 'unusable', why, hint })

/** In whole seconds. A date alone begins at midnight in the zone of this machine. */
export function parseUntil(text: string, now: number): TypedTime {
  const wanted = text.trim()
  const span = parseSpan(wanted)
  if (span.kind === 'span') {
    if (span.ms === 0) return unusable('it ends at once', `write ${EXAMPLES}`)
    return checked(now + span.ms, now)
  }
  const point = parsePoint(wanted, span, { examples: EXAMPLES, what: 'a span from now' })
  return typeof point === 'number' ? checked(point, now) : point
}

const PAST = '90m, 3d, 1w, 2026-11-20 or 2026-11-20T18:00:00Z'

/** A date alone begins at midnight in the zone of this machine. */
export function parseSince(text: string, now: number): TypedTime {
  const wanted = text.trim()
  const span = parseSpan(wanted)
  if (span.kind === 'span') return { kind: 'at', at: new Date(Math.max(0, now - span.ms)) }
  const point = parsePoint(wanted, span, { examples: PAST, what: 'a span before now' })
  if (typeof point !== 'number') return point
  if (point <= now) return { kind: 'at', at: new Date(point) }
  return unusable('that is still to come', `write ${PAST}`)
}

function parsePoint(
  text: string,
  { kind }: Span,
  { examples, what }: { examples: string; what: string },
): number | TypedTime {
  if (kind === 'no unit') {
    const example = /^\d{1,6}$/.test(text) ? `${text}m, ${text}h or ${text}d` : examples
    return unusable('it has a number without a unit', `write ${example}`)
  }
  if (ALMOST_A_SPAN.test(text)) {
    return unusable(
      'a span has whole numbers, and units in small letters: s, m, h, d, w',
      `write ${examples}`,
    )
  }
  const point = POINT.exec(text)
  if (!point) return unusable(`it is neither ${what} nor a date`, `write ${examples}`)
  return timeOf(point) ?? unusable('there is no such date or time of the day', `write ${examples}`)
}

function checked(ms: number, now: number): TypedTime {
  const rounded = Math.ceil(ms / 1000) * 1000
  if (!(rounded <= MAX_MS)) return unusable('it is too far away', 'leave it out: until it is released')
  if (rounded > now) return { kind: 'at', at: new Date(rounded) }
  const [was, is] = [isoTime(rounded), isoTime(now)]
  return unusable(`${was} has passed: it is ${is} now`, 'name a time to come, or a span from now such as 12h')
}

function timeOf(point: RegExpExecArray): number | undefined {
  const number = (group: number) => Number(point[group] ?? 0)
  const [year, month, day] = [number(1), number(2), number(3)]
  const [hour, minute, second] = [number(4), number(5), number(6)]
  const date = new Date(Date.UTC(year, month - 1, day))
  // the 30th of February would be the 2nd of March
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  if (hour > 23 || minute > 59 || second > 59 || number(9) > 14 || number(10) > 59) return undefined
  const hasZone = point[7] !== undefined || point[8] !== undefined
  if (!hasZone) return new Date(year, month - 1, day, hour, minute, second).getTime()
  const offset = (point[8] === '-' ? -1 : 1) * (number(9) * 60 + number(10)) * 60_000
  return Date.UTC(year, month - 1, day, hour, minute, second) - offset
}

/** `2026-11-24T12:00:00Z`, for a person who wants it exactly. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z')
}
