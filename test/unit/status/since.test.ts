import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../../src/base/errors.ts'
import { parseSince } from '../../../src/status/since.ts'

const NOW = Date.parse('2026-11-24T12:00:00Z')
const local = (...[year, month, ...rest]: [number, number, number, number?, number?]) =>
  new Date(year, month - 1, ...(rest as [number])).getTime()

for (const [text, time] of [
  ['90m', NOW - 90 * 60_000],
  ['1h30m', NOW - 90 * 60_000],
  ['3d', NOW - 3 * 86_400_000],
  ['1w', NOW - 7 * 86_400_000],
  [' 2 days ', NOW - 2 * 86_400_000],
  ['2026-11-20', local(2026, 11, 20)],
  ['2026-11-20 18:30', local(2026, 11, 20, 18, 30)],
  ['2026-11-20T18:00', local(2026, 11, 20, 18, 0)],
  ['2026-11-20T18:00:00Z', Date.parse('2026-11-20T18:00:00Z')],
  ['2026-11-20T18:00:00.5+01:00', Date.parse('2026-11-20T17:00:00.500Z')],
] as const) {
  test(`--since ${text}`, () => assert.equal(parseSince(text, NOW), time))
}

for (const [text, why] of [
  ['3', 'it has no unit'],
  ['1h30', 'it has no unit'],
  ['yesterday', 'it is no time'],
  ['', 'it is no time'],
  ['3 fortnights', 'it is no time'],
  ['2026-02-30', 'it is no time'],
  ['2026-13-01', 'it is no time'],
  ['2026-11-20T25:00', 'it is no time'],
  ['2026-11-20T18:00:00Zx', 'it is no time'],
  ['2026-11-25', 'that is still to come'],
  ['2026-11-24T12:00:01Z', 'that is still to come'],
]) {
  test(`--since “${text}”: ${why}`, () => {
    assert.throws(
      () => parseSince(text ?? '', NOW),
      (error: unknown) =>
        error instanceof UsageError &&
        error.message === `--since “${text}” cannot be used: ${why}` &&
        /a span before now \(90m, 3d, 1w\), a date/.test(error.hint[0] ?? ''),
    )
  })
}
