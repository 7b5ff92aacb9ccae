// The time comes from one place, and what is measured does not depend on the time of day.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../src/base/clock.ts'
import { Deadline } from '../../../src/base/deadline.ts'

const SRC = fileURLToPath(new URL('../../../src/', import.meta.url))

test('no other file asks the machine for the time', () => {
  const asking = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    file =>
      file.endsWith('.ts') &&
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\b|\bhrtime\b/.test(readFileSync(join(SRC, file), 'utf8')),
  )
  assert.deepEqual(asking, [join('base', 'clock.ts')])
})

test('a deadline does not move if the time of day is set', async t => {
  const deadline = new Deadline(90)
  const today = systemClock.now()
  for (const hours of [-1, 1]) {
    const { mock } = t.mock.method(Date, 'now', () => today + hours * 3_600_000)
    assert.equal(systemClock.now(), today + hours * 3_600_000)
    const remaining = deadline.remainingMs()
    assert.ok(remaining > 60_000 && remaining <= 90_000, `${remaining}`)
    mock.restore()
  }
})

test('what has elapsed is in milliseconds', async () => {
  const before = systemClock.elapsed()
  await sleep(50)
  const elapsed = systemClock.elapsed() - before
  assert.ok(elapsed >= 49 && elapsed < 20_000, `${elapsed}`)
})
