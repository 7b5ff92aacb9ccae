// The scripts of nix/host.nix, as far as they can be judged without a host: machine/host.test.ts runs them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NIX_DIRECTORY } from './nix.ts'

const withoutShellcheck =
  spawnSync('shellcheck', ['--version']).error === undefined ? false : 'shellcheck is not installed'

for (const script of ['host.sh', 'host-metrics.sh']) {
  // as host.nix puts them together
  const input = ['host-reboot.sh', script]
    .map(name => readFileSync(join(NIX_DIRECTORY, name), 'utf8'))
    .join('')

  test(`${script}: bash can read it`, () => {
    const { status, stderr } = spawnSync('bash', ['-n'], { input, encoding: 'utf8' })
    assert.deepEqual([status, stderr], [0, ''])
  })

  test(`${script}: shellcheck has nothing to say`, { skip: withoutShellcheck }, () => {
    const { stdout } = spawnSync('shellcheck', ['--shell=bash', '-'], { input, encoding: 'utf8' })
    assert.equal(stdout, '')
  })
}
