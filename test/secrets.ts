// Runs after all other tests (run.ts): no token, key, JWT or password of the whole suite is in anything that any command
// said, and nothing that was said has a control character in it.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const suite = process.env.HYDRA_CHANNELS_TEST_SUITE ?? ''

const logs = readdirSync(suite).filter(file => file.endsWith('.log'))
const read = (file: string) => readFileSync(join(suite, file), 'utf8')

const secrets = existsSync(join(suite, 'secrets'))
  ? new Set(
      read('secrets')
        .split('\n')
        .filter(line => line.length >= 8 && !line.startsWith('-----')),
    )
  : new Set<string>()

// a run of some files only may have none
if (process.env.HYDRA_CHANNELS_TEST_WHOLE) {
  test('there are logs and secrets to look at', () => {
    assert.ok(logs.length > 50, `${logs.length} logs`)
    assert.ok(secrets.size > 100, `${secrets.size} secrets`)
  })
}

test(`no command of the suite said a secret (${secrets.size} secrets, ${logs.length} logs)`, () => {
  for (const file of logs) {
    const log = read(file)
    for (const secret of secrets)
      assert.ok(!log.includes(secret), `a secret is in this log:\n${log.replaceAll(secret, '«secret»')}`)
    assert.doesNotMatch(log, /-----BEGIN|ghs_|gh[pous]_[A-Za-z0-9]/)
  }
})

test('no command of the suite wrote a control character, but for the ends of its lines', () => {
  for (const file of logs) {
    assert.doesNotMatch(
      read(file),
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/,
    )
  }
})
