// When a hold ends, as somebody types it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isoTime, parseSince, parseUntil } from '../../../src/base/typed-time.ts'

const NOW = Date.parse('2026-11-24T12:00:00Z')

/** In the zone of this machine. */
const here = (...at: [number, number, number, number?, number?, number?]) =>
  isoTime(new Date(...at).getTime())

const TIMES: [text: string, at: string][] = [
  ['90m', '2026-11-24T13:30:00Z'],
  ['1h30m', '2026-11-24T13:30:00Z'],
  ['12h', '2026-11-25T00:00:00Z'],
  ['3d', '2026-11-27T12:00:00Z'],
  ['3w', '2026-12-15T12:00:00Z'],
  [' 1 h 30 min ', '2026-11-24T13:30:00Z'],
  ['2026-12-24', here(2026, 11, 24)],
  ['2028-02-29', here(2028, 1, 29)],
  ['2026-12-24T18:00', here(2026, 11, 24, 18)],
  ['2026-12-24 18:00:30', here(2026, 11, 24, 18, 0, 30)],
  ['2026-12-24T18:00:00+01:00', '2026-12-24T17:00:00Z'],
  ['2026-12-24T18:00:00-0130', '2026-12-24T19:30:00Z'],
  ['2026-12-24T18:00:00.5Z', '2026-12-24T18:00:00Z'],
  ['2026-12-24t18:00z', '2026-12-24T18:00:00Z'],
]

describe('a time to come', () => {
  for (const [text, at] of TIMES) {
    test(`“${text}”`, () => {
      const until = parseUntil(text, NOW)
      assert.equal(until.kind === 'at' ? isoTime(until.at.getTime()) : until.why, at)
    })
  }

  test('its file has whole seconds, and never less than what was asked for', () => {
    const until = parseUntil('90m', NOW + 1)
    assert.equal(until.kind === 'at' && until.at.toISOString(), '2026-11-24T13:30:01.000Z')
  })
})

const NO_UNIT = 'it has a number without a unit'
const NEITHER = 'it is neither a span from now nor a date'
const NO_SPAN = 'a span has whole numbers, and units in small letters: s, m, h, d, w'
const NO_DATE = 'there is no such date or time of the day'
const TOO_FAR = 'it is too far away'

const WRONG: [text: string, why: string, hint?: RegExp][] = [
  ['90', NO_UNIT, /^write 90m, 90h or 90d$/],
  ['1h30', NO_UNIT],
  ['0m', 'it ends at once'],
  ['', NEITHER],
  ['-3d', NEITHER],
  ['tomorrow', NEITHER, /^write 90m, 1h30m, 3d, 2w, 2026-12-24 or /],
  ['1month', NO_SPAN, /^write 90m, /],
  ['1.5h', NO_SPAN],
  ['1,5 h', NO_SPAN],
  ['3D', NO_SPAN],
  ['24.12.2026', NEITHER],
  ['2026-12-24T18', NEITHER],
  ['2026-02-30', NO_DATE],
  ['2026-13-01', NO_DATE],
  ['2026-00-01', NO_DATE],
  ['2027-02-29T10:00:00Z', NO_DATE],
  ['2026-12-24T24:00:00Z', NO_DATE],
  ['2026-12-24T18:60', NO_DATE],
  ['2026-12-24T18:00:00+15:00', NO_DATE],
  ['999999w999999w999999w999999w', TOO_FAR, /^leave it out/],
  [`${'999999w'.repeat(100)}`, TOO_FAR],
  ['2026-11-24T11:59:59Z', '2026-11-24T11:59:59Z has passed: it is 2026-11-24T12:00:00Z now', /^name a time/],
  ['2026-11-24T12:00:00Z', '2026-11-24T12:00:00Z has passed: it is 2026-11-24T12:00:00Z now'],
  ['2020-01-01', `${here(2020, 0, 1)} has passed: it is 2026-11-24T12:00:00Z now`],
]

describe('no time to come', () => {
  for (const [text, why, hint = /./] of WRONG) {
    test(`“${text.slice(0, 40)}”`, () => {
      const until = parseUntil(text, NOW)
      assert.ok(until.kind === 'unusable', 'it is one')
      assert.equal(until.why, why)
      assert.match(until.hint, hint)
    })
  }
})

describe('a time that has passed', () => {
  const NOON = Date.parse('2026-11-24T12:00:00Z')
  const local = (day: number, hour = 0, minute = 0) => new Date(2026, 10, day, hour, minute).getTime()
  const CASES: [text: string, time: number | string][] = [
    ['90m', NOON - 90 * 60_000],
    ['1h30m', NOON - 90 * 60_000],
    [' 2 days ', NOON - 2 * 86_400_000],
    ['999999w', 0],
    ['2026-11-20', local(20)],
    ['2026-11-20 18:30', local(20, 18, 30)],
    ['2026-11-20T18:00:00Z', Date.parse('2026-11-20T18:00:00Z')],
    ['2026-11-20T18:00:00+01:00', Date.parse('2026-11-20T17:00:00Z')],
    ['3', 'it has a number without a unit'],
    ['yesterday', 'it is neither a span before now nor a date'],
    ['', 'it is neither a span before now nor a date'],
    ['2026-02-30', 'there is no such date or time of the day'],
    ['2026-11-20T25:00', 'there is no such date or time of the day'],
    ['2026-11-25', 'that is still to come'],
    ['2026-11-24T12:00:01Z', 'that is still to come'],
  ]
  for (const [text, expected] of CASES) {
    test(`--since “${text}”: ${expected}`, () => {
      const since = parseSince(text, NOON)
      assert.equal(since.kind === 'at' ? since.at.getTime() : since.why, expected)
    })
  }
})
