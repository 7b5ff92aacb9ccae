// Holds and ends, as files and as times.
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { findHold, holdFile, parseUntil, removeHold, writeHold } from '../../../src/channels/holds.ts'

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
  assert.equal(findHold(directory, CHANNEL), undefined)
  writeHold(directory, CHANNEL, HOLD)
  const file = holdFile(directory, CHANNEL)
  assert.equal(file, join(directory, 'holds', 'alice%2Fdotfiles%3Anixos%2Ftested-nas.json'))
  assert.equal(statSync(file).mode & 0o777, 0o644)
  assert.deepEqual(readdirSync(dirname(file)).length, 1)
  assert.deepEqual(findHold(directory, { ...CHANNEL, repository: 'alice/DOTFILES' }, NOW), HOLD)
  assert.equal(findHold(directory, CHANNEL, Date.parse(HOLD.until)), undefined)
  writeHold(directory, CHANNEL, { ...HOLD, until: null })
  assert.equal(findHold(directory, CHANNEL, NOW + 1e12)?.until, null)
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
    assert.throws(() => findHold(directory, CHANNEL, NOW), { message })
  }
  rmSync(file)
  rmSync(dirname(file), { recursive: true })
  writeFileSync(dirname(file), '')
  assert.throws(() => findHold(directory, CHANNEL, NOW), /^OperatorError: cannot read the hold .*: ENOTDIR/)
  assert.throws(() => writeHold(directory, CHANNEL, HOLD), /^OperatorError: cannot write the hold /)
  chmodSync(directory, 0o755)
})

test('a channel whose name is too long for a file has no hold, and cannot get one', t => {
  const directory = directoryFor(t)
  const long = { ...CHANNEL, branch: 'ü'.repeat(100) }
  assert.equal(findHold(directory, long), undefined)
  assert.throws(
    () => writeHold(directory, long, HOLD),
    /^OperatorError: cannot write the hold .*: ENAMETOOLONG/,
  )
})

const TIMES: [string, string | undefined][] = [
  ['90m', '2026-11-24T13:30:00.000Z'],
  ['12h', '2026-11-25T00:00:00.000Z'],
  ['3d', '2026-11-27T12:00:00.000Z'],
  ['2026-12-24T18:00:00+01:00', '2026-12-24T17:00:00.000Z'],
  ['2026-12-24T18:00:00Z', '2026-12-24T18:00:00.000Z'],
  ['2026-11-24T11:59:59Z', undefined],
  ['2026-12-24T18:00:00', undefined],
  ['2026-12-24', undefined],
  ['0m', undefined],
  ['3', undefined],
  ['3w', undefined],
  ['-3d', undefined],
  ['', undefined],
]

for (const [given, expected] of TIMES) {
  test(`until “${given}”: ${expected ?? 'refused'}`, () => {
    assert.equal(parseUntil(given, NOW)?.toISOString(), expected)
  })
}
