import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  clockTime,
  dateWithZone,
  parseSpan,
  relativeTime,
  spanInShort,
  spanInWords,
} from '../../../src/base/time.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

describe('a span', () => {
  const CASES: [text: string, ms: number | 'no unit' | 'no span'][] = [
    ['90m', 90 * MINUTE],
    ['1h30m', 90 * MINUTE],
    ['1h 30min', 90 * MINUTE],
    [' 1 h 30 min ', 90 * MINUTE],
    ['3w', 21 * DAY],
    ['2 days', 2 * DAY],
    ['45s', 45_000],
    ['0m', 0],
    ['90', 'no unit'],
    ['1h30', 'no unit'],
    ['', 'no span'],
    [' ', 'no span'],
    ['h', 'no span'],
    ['1month', 'no span'],
    ['1toString', 'no span'],
    ['-1h', 'no span'],
    ['1.5h', 'no span'],
    ['1h,30m', 'no span'],
    ['tomorrow', 'no span'],
    ['2026-12-24', 'no span'],
    ['1234567m', 'no unit'],
  ]
  for (const [text, expected] of CASES) {
    test(JSON.stringify(text), () => {
      const span = parseSpan(text)
      assert.equal(span.kind === 'span' ? span.ms : span.kind, expected)
    })
  }
})

test('spans in words and in short', () => {
  const CASES: [ms: number, words: string, short: string][] = [
    [-5 * MINUTE, '0 min', '0m'],
    [59_999, '0 min', '0m'],
    [4 * MINUTE, '4 min', '4m'],
    [HOUR, '1 h', '1h'],
    [47 * HOUR, '47 h', '47h'],
    [2 * DAY, '2 days', '2d'],
    [364 * DAY, '364 days', '364d'],
    [365 * DAY, '1 year', '1y'],
    [1e16, '99 years', '99y'],
  ]
  for (const [ms, words, short] of CASES) assert.deepEqual([spanInWords(ms), spanInShort(ms)], [words, short])
})

test('times beside now', () => {
  const now = new Date(2026, 10, 25, 12, 0).getTime()
  assert.deepEqual(
    [0, -30_000, -8 * MINUTE, 3 * HOUR].map(apart => relativeTime(now + apart, now)),
    ['just now', 'just now', '8 min ago', 'in 3 h'],
  )
  assert.deepEqual(
    [-3 * HOUR, 13 * HOUR, 2 * DAY, -5 * DAY, 30 * DAY].map(apart => clockTime(now + apart, now)),
    ['09:00', 'Thu 01:00', 'Fri 12:00', 'Fri 12:00', '2026-12-25 12:00'],
  )
})

test('a time for who does not know when it is read, or where', () => {
  const zone = process.env.TZ
  try {
    const CASES = [
      ['UTC', 'Sat 28 Nov 2026, 08:05 UTC'],
      ['Europe/Berlin', 'Sat 28 Nov 2026, 09:05 UTC+1'],
      ['America/New_York', 'Sat 28 Nov 2026, 03:05 UTC-5'],
      ['Asia/Kathmandu', 'Sat 28 Nov 2026, 13:50 UTC+5:45'],
      ['Pacific/Auckland', 'Sat 28 Nov 2026, 21:05 UTC+13'],
      ['America/St_Johns', 'Sat 28 Nov 2026, 04:35 UTC-3:30'],
    ] as const
    for (const [name, expected] of CASES) {
      process.env.TZ = name
      assert.equal(dateWithZone(Date.parse('2026-11-28T08:05:59Z')), expected)
    }
  } finally {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  }
})
