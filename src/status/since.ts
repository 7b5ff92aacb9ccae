// A time that has passed, as somebody types it: `--since 3d`.
import { UsageError } from '../base/errors.ts'
import { parseSpan } from '../base/time.ts'

/** A date alone begins at midnight, and a time without a zone is this machine's. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?))?$/

const HINT = 'a span before now (90m, 3d, 1w), a date (2026-11-20), or ISO 8601 (2026-11-20T18:00:00Z)'

/**
 * Milliseconds.
 *
 * @throws UsageError for anything else, and for a time to come
 */
export function parseSince(text: string, now: number): number {
  const unusable = (why: string) => new UsageError(`--since “${text}” cannot be used: ${why}`, { hint: HINT })
  const span = parseSpan(text)
  if (span.kind === 'no unit') throw unusable('it has no unit')
  if (span.kind === 'span') return now - span.ms
  const [, date, clock = '00:00'] = TIME.exec(text.trim()) ?? []
  const time = date === undefined || !isDate(date) ? Number.NaN : Date.parse(`${date}T${clock}`)
  if (Number.isNaN(time)) throw unusable('it is no time')
  if (time > now) throw unusable('that is still to come')
  return time
}

/** There is no 30th of February. */
function isDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
}
