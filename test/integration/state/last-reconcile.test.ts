// What a reconcile leaves for status, also one that did not come to its end.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readStamp, writeFailures, writeStamp } from '../../../src/state/last-reconcile.ts'

const SHA = 'a'.repeat(40)
const log = { line: assert.fail }
const failed = (message: string) => ({ sha: SHA, message })

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hc-stamp-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

const messagesOf = (directory: string) =>
  Object.entries(readStamp(directory)?.failures ?? {}).map(([channel, { message }]) => [channel, message])

test('a whole run says what failed in it, and nothing of the one before', t => {
  const directory = directoryFor(t)
  writeStamp(directory, { ended: 'failed', counts: { failed: 1 }, failures: { a: failed('one') } }, log)
  assert.deepEqual(messagesOf(directory), [['a', 'one']])
  writeStamp(directory, { ended: 'ok', counts: {}, failures: {} }, log)
  assert.deepEqual(messagesOf(directory), [])
})

test('a run that did not come to its end adds what failed in it, and is not the last one', t => {
  const directory = directoryFor(t)
  writeFailures(directory, { a: failed('one') }, log)
  assert.equal(readStamp(directory)?.finishedAt, null)
  writeStamp(
    directory,
    { ended: 'failed', counts: {}, failures: { a: failed('two'), b: failed('two') } },
    log,
  )
  const { finishedAt } = readStamp(directory) ?? {}
  writeFailures(directory, { a: failed('three') }, log)
  assert.equal(readStamp(directory)?.finishedAt, finishedAt)
  assert.deepEqual(messagesOf(directory), [
    ['a', 'three'],
    ['b', 'two'],
  ])
})

test('a failure keeps that it is of a dry run', t => {
  const directory = directoryFor(t)
  const failures = { a: { ...failed('one'), dryRun: true }, b: failed('two') }
  writeStamp(directory, { ended: 'failed', counts: {}, failures }, log)
  const { a, b } = readStamp(directory)?.failures ?? {}
  assert.deepEqual([a?.dryRun, b?.dryRun], [true, undefined])
})

test('a fleet of thousands that all fail, in the longest words, can be read again', t => {
  const directory = directoryFor(t)
  const failures = Object.fromEntries(
    Array.from({ length: 6_000 }, (_, n) => [
      `alice/dotfiles:${'ü'.repeat(240)}-${n}`,
      failed('\u0007'.repeat(9_000)),
    ]),
  )
  writeStamp(directory, { ended: 'failed', counts: {}, failures }, log)
  assert.equal(messagesOf(directory).length, 5_000)
})

test('a stamp of an older version says when, and knows no failures', t => {
  const directory = directoryFor(t)
  const finishedAt = '2026-11-24T12:00:00.000Z'
  writeFileSync(
    join(directory, 'last-reconcile.json'),
    JSON.stringify({ finishedAt, ended: 'ok', counts: {} }),
  )
  assert.deepEqual(readStamp(directory), { finishedAt, failures: {} })
})
