// What reconcile finds in the place of the kick, and what it makes of it.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { kick, takeKick } from '../../../src/state/kick.ts'

function scene(t: TestContext): { file: string; configFile: string } {
  const directory = mkdtempSync(join(tmpdir(), 'hc-kick-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'the kick')
  const configFile = join(directory, 'config.json')
  writeFileSync(configFile, JSON.stringify({ hook: { kickFile: file } }))
  return { file, configFile }
}

const MAKE: Record<string, (file: string) => unknown> = {
  'what a hook makes': kick,
  'an empty folder': file => mkdirSync(file),
  'a link': file => symlinkSync('/nonexistent', file),
}

for (const [what, make] of Object.entries(MAKE)) {
  test(`${what} is a kick: a hook leaves it, and reconcile takes it once`, t => {
    const { file, configFile } = scene(t)
    make(file)
    kick(file)
    assert.deepEqual(takeKick(configFile), { kind: 'taken', file })
    assert.deepEqual(takeKick(configFile), { kind: 'none' })
  })
}

test('one that cannot be removed stays, with what to do about it', t => {
  const { file, configFile } = scene(t)
  mkdirSync(join(file, 'a'), { recursive: true })
  const taken = takeKick(configFile)
  assert.ok(taken.kind === 'stuck')
  const { message, hint } = taken.error
  assert.match(message, /^cannot remove \S+\/the kick \(hook\.kickFile\): ENOTEMPTY: /)
  assert.deepEqual(hint, [
    `while it is there, reconcile is started again and again: as root, rm -rf -- '${file}'`,
    'its folder must be writable for both hydra-notify and reconcile',
  ])
  assert.ok(existsSync(file))
})
