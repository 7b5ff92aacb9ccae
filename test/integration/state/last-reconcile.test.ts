// What a reconcile leaves for status, also one that did not come to its end.
import assert from 'node:assert/strict'
import fs, { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import {
  readChannels,
  readStamp,
  writeChannels,
  writeFailures,
  writeStamp,
} from '../../../src/state/last-reconcile.ts'

const SHA = 'a'.repeat(40)
const log = { line: assert.fail }
const failed = (message: string) => ({ sha: SHA, message })

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hc-stamp-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** As in a process that has too many files open. Root may read everything, so a mode would not do. */
function withoutDescriptors(t: TestContext, run: () => void): void {
  const error = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
  const { mock } = t.mock.method(fs, 'openSync', () => {
    throw error
  })
  syncBuiltinESMExports()
  try {
    run()
  } finally {
    mock.restore()
    syncBuiltinESMExports()
  }
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

const channel = (branch: string, repository = 'alice/dotfiles', prefix = 'nixos-') => ({
  ...{ repository, prefix, branch },
})
const channelsIn = (directory: string) => readStamp(directory)?.channels

test('the channels that a reconcile knew outlive the runs that say nothing of them', t => {
  const directory = directoryFor(t)
  const known = [channel('nixos-nas'), channel('nas', 'alice/other', ''), channel('nixos-web')]
  writeChannels(directory, known)
  // it may be killed here
  assert.deepEqual(readStamp(directory)?.finishedAt, null)
  const all = [channel('nixos-nas'), channel('nixos-web'), channel('nas', 'alice/other', '')]
  assert.deepEqual(channelsIn(directory), all)
  writeFailures(directory, { a: failed('one') }, log)
  assert.deepEqual(channelsIn(directory), all)
  writeStamp(directory, { ended: 'failed', counts: { failed: 1 }, failures: { a: failed('one') } }, log)
  assert.deepEqual(channelsIn(directory), all)
})

test('a run that begins leaves what the one before it said', t => {
  const directory = directoryFor(t)
  const run = { ended: 'failed' as const, counts: { failed: 1 }, failures: { a: failed('one') } }
  writeStamp(directory, run, log)
  const file = join(directory, 'last-reconcile.json')
  const before = JSON.parse(readFileSync(file, 'utf8'))
  writeChannels(directory, [channel('nixos-nas')])
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    ...before,
    channels: [{ repository: 'alice/dotfiles', prefix: 'nixos-', branches: ['nixos-nas'] }],
  })
  writeChannels(directory, [])
  assert.deepEqual(channelsIn(directory), [])
})

test('a name that means something to JavaScript is a name', t => {
  const directory = directoryFor(t)
  const known = [channel('__proto__', 'constructor/__proto__', '__proto__')]
  writeChannels(directory, known)
  assert.deepEqual(channelsIn(directory), known)
})

test('more channels than anybody has, of the longest names, beside as many failures, can be read again', t => {
  const directory = directoryFor(t)
  const longest = '"'.repeat(235)
  const known = Array.from({ length: 12_000 }, (_, n) => channel(`${longest}-${n}`, `alice/${n}`, longest))
  writeChannels(directory, known)
  const failures = Object.fromEntries(known.map(({ branch }) => [branch, failed('\u0007'.repeat(9_000))]))
  writeStamp(directory, { ended: 'failed', counts: {}, failures }, log)
  assert.deepEqual([channelsIn(directory)?.length, messagesOf(directory).length], [10_000, 5_000])
})

test('a folder that cannot be written is reported with the end of the run, and not before', t => {
  const directory = join(directoryFor(t), 'file')
  writeFileSync(directory, '')
  const said: string[] = []
  writeChannels(directory, [channel('nixos-nas')])
  writeStamp(directory, { ended: 'ok', counts: {}, failures: {} }, { line: text => said.push(text) })
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /^cannot write .*last-reconcile\.json: /)
})

test('a stamp that somebody else wrote is no stamp, or is cut', t => {
  const directory = directoryFor(t)
  const finishedAt = '2026-11-24T12:00:00.000Z'
  const group = { repository: 'alice/dotfiles', prefix: 'nixos-', branches: ['nixos-nas'] }
  const read = (channels: unknown) => {
    writeFileSync(join(directory, 'last-reconcile.json'), JSON.stringify({ finishedAt, channels }))
    return readStamp(directory)
  }
  assert.deepEqual(read([group])?.channels, [channel('nixos-nas')])
  for (const hostile of [
    ...[null, {}, 'nixos-nas', [null], ['nixos-nas'], [{ ...group, branches: 'nixos-nas' }]],
    ...['../../user', 'alice/..', 'alice', 'alice/dotfiles/x', ''].map(repository => [
      { ...group, repository },
    ]),
    ...[[{ ...group, prefix: 'x'.repeat(300) }], [{ ...group, branches: ['x'.repeat(300)] }]],
    [{ ...group, branches: [7] }],
  ]) {
    assert.equal(read(hostile), undefined, JSON.stringify(hostile).slice(0, 200))
  }
  const many = Array.from({ length: 20_000 }, (_, n) => `nixos-${n}`)
  assert.equal(read([{ ...group, branches: many }])?.channels.length, 10_000)
})

test('a stamp without failures and channels says when, and knows none', t => {
  const directory = directoryFor(t)
  const finishedAt = '2026-11-24T12:00:00.000Z'
  writeFileSync(
    join(directory, 'last-reconcile.json'),
    JSON.stringify({ finishedAt, ended: 'ok', counts: {} }),
  )
  assert.deepEqual(readStamp(directory), { finishedAt, ended: 'ok', counts: {}, failures: {}, channels: [] })
})

test('a stamp that cannot be read now is not overwritten, and that is reported', t => {
  const directory = directoryFor(t)
  const known = [channel('nixos-nas')]
  writeChannels(directory, known)
  const file = join(directory, 'last-reconcile.json')
  const before = readFileSync(file, 'utf8')
  const said: string[] = []
  const saying = { line: (text: string) => said.push(text) }
  withoutDescriptors(t, () => {
    const found = readChannels(directory)
    assert.ok(found instanceof OperatorError)
    assert.match(found.message, /^cannot read .*last-reconcile\.json: EMFILE/)
    assert.equal(readStamp(directory), undefined)
    writeChannels(directory, [])
    writeStamp(directory, { ended: 'ok', counts: {}, failures: {} }, saying)
    writeFailures(directory, { a: failed('one') }, saying)
  })
  assert.equal(said.length, 2)
  for (const line of said) assert.match(line, /^cannot read .*: EMFILE.*, so it is left as it is$/)
  assert.equal(readFileSync(file, 'utf8'), before)
  assert.deepEqual(readChannels(directory), known)
})

test('no stamp, and what is no stamp, is none', t => {
  const directory = directoryFor(t)
  assert.deepEqual(readChannels(directory), [])
  const file = join(directory, 'last-reconcile.json')
  for (const content of ['', '{', '[]', '{"finishedAt":7}']) {
    writeFileSync(file, content)
    assert.deepEqual(readChannels(directory), [])
  }
  rmSync(file)
  symlinkSync('/dev/null', file)
  assert.deepEqual(readChannels(directory), [])
})
