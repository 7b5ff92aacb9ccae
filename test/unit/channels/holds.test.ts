// Holds, as files and in words.
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import {
  ALL,
  describeHold,
  findHolds,
  type Hold,
  holdFile,
  listHolds,
  removeHold,
  writeHold,
} from '../../../src/channels/holds.ts'

const CHANNEL = { repository: 'Alice/dotfiles', branch: 'nixos/tested-nas' }
const NOW = Date.parse('2026-11-24T12:00:00Z')
const HOLD = { reason: 'does not boot', since: '2026-11-24T11:00:00.000Z', until: '2026-11-24T13:00:00.000Z' }

function directoryFor(t: { after(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'hc-holds-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

test('a hold is a file of its channel that everybody may read, and ends by time or release', t => {
  const directory = directoryFor(t)
  assert.deepEqual(findHolds(directory, CHANNEL), [])
  writeHold(directory, CHANNEL, HOLD)
  const file = holdFile(directory, CHANNEL)
  assert.equal(file, join(directory, 'holds', 'alice%2Fdotfiles%3Anixos%2Ftested-nas.json'))
  assert.equal(statSync(file).mode & 0o777, 0o644)
  assert.deepEqual(readdirSync(dirname(file)).length, 1)
  assert.deepEqual(findHolds(directory, { ...CHANNEL, repository: 'alice/DOTFILES' }, NOW), [HOLD])
  assert.deepEqual(findHolds(directory, CHANNEL, Date.parse(HOLD.until)), [])
  writeHold(directory, CHANNEL, { ...HOLD, until: null })
  assert.equal(findHolds(directory, CHANNEL, NOW + 1e12)[0]?.until, null)
  assert.equal(removeHold(directory, CHANNEL), 'released')
  assert.equal(removeHold(directory, CHANNEL), 'none')
})

test('whatever is no hold, and not absent either, is an error: it may be one', t => {
  const directory = directoryFor(t)
  writeHold(directory, CHANNEL, HOLD)
  const file = holdFile(directory, CHANNEL)
  for (const [content, message] of [
    ['', /^the hold .* is not JSON$/],
    ['{}', /^the hold .* cannot be used: reason: missing, expected a text; /],
    [JSON.stringify({ ...HOLD, until: 'soon' }), /until: is "soon", expected a time such as/],
  ] as const) {
    writeFileSync(file, content)
    assert.throws(() => findHolds(directory, CHANNEL, NOW), { message })
  }
  rmSync(file)
  rmSync(dirname(file), { recursive: true })
  writeFileSync(dirname(file), '')
  assert.throws(() => findHolds(directory, CHANNEL, NOW), /^OperatorError: cannot read the hold .*: ENOTDIR/)
  assert.throws(() => writeHold(directory, CHANNEL, HOLD), /^OperatorError: cannot write the hold /)
  chmodSync(directory, 0o755)
})

test('a channel whose name is too long for a file has no hold, and cannot get one', t => {
  const directory = directoryFor(t)
  const long = { ...CHANNEL, branch: 'ü'.repeat(100) }
  assert.deepEqual(findHolds(directory, long), [])
  assert.throws(
    () => writeHold(directory, long, HOLD),
    /^OperatorError: cannot write the hold .*: ENAMETOOLONG/,
  )
})

test('the hold of all channels holds each, and single ones stay beside it', t => {
  const directory = directoryFor(t)
  const all = { ...HOLD, reason: 'moving house', by: 'alice' }
  writeHold(directory, ALL, all)
  assert.equal(holdFile(directory, ALL), join(directory, 'holds', 'all.json'))
  for (const branch of ['all', 'nixos-to-come']) {
    assert.deepEqual(findHolds(directory, { ...CHANNEL, branch }, NOW), [{ ...all, scope: 'all' }])
  }
  assert.deepEqual(findHolds(directory, CHANNEL, Date.parse(HOLD.until)), [])
  // both: the one that ends last is the first
  for (const [untilAll, untilOwn, scopes] of [
    [null, null, ['all', undefined]],
    [HOLD.until, null, [undefined, 'all']],
    [null, HOLD.until, ['all', undefined]],
    ['2026-11-24T12:00:00Z', HOLD.until, [undefined]],
  ] as const) {
    writeHold(directory, ALL, { ...all, until: untilAll })
    writeHold(directory, CHANNEL, { ...HOLD, until: untilOwn })
    const found = findHolds(directory, CHANNEL, NOW).map(({ scope }) => scope)
    assert.deepEqual(found, scopes)
  }
  assert.deepEqual(listHolds(directory), ['alice/dotfiles:nixos/tested-nas', 'all'])
  assert.equal(removeHold(directory, ALL), 'released')
  assert.equal(findHolds(directory, CHANNEL, NOW)[0]?.reason, HOLD.reason)
  writeFileSync(holdFile(directory, ALL), '{')
  const message = /^the hold .*all\.json is not JSON$/
  assert.throws(() => findHolds(directory, { ...CHANNEL, branch: 'other' }, NOW), { message })
})

test('who asked is text of others, and of older holds nobody knows', t => {
  const directory = directoryFor(t)
  writeHold(directory, CHANNEL, { ...HOLD, by: 'a'.repeat(1000) })
  const [hold] = findHolds(directory, CHANNEL, NOW)
  assert.equal(hold?.by, `${'a'.repeat(64)}…`)
  writeHold(directory, CHANNEL, HOLD)
  assert.equal(findHolds(directory, CHANNEL, NOW)[0]?.by, undefined)
})

test('a hold in words', () => {
  const words = (more: Partial<Hold>) => describeHold({ ...HOLD, until: null, ...more }, NOW)
  assert.equal(words({}), 'for 1 h, until it is released, because “does not boot”')
  assert.match(
    words({ by: 'alice', until: '2026-12-24T12:00:00Z' }),
    /^for 1 h by alice, until 2026-12-24 \d\d:\d\d, because “does not boot”$/,
  )
})
