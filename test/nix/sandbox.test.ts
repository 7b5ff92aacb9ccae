// nix/sandbox.nix, as systemd itself judges it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluate, withoutSystemdAnalyze } from './nix.ts'

test('systemd-analyze security finds an exposure below 2.0', { skip: withoutSystemdAnalyze }, t => {
  const sandbox = evaluate<Record<string, string | boolean | string[]>>('import (nix + "/sandbox.nix")')
  const lines = Object.entries(sandbox).flatMap(([name, value]) =>
    [value].flat().map(each => `${name}=${each}`),
  )
  const directory = mkdtempSync(join(tmpdir(), 'hc-unit-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const unit = join(directory, 'reconcile.service')
  const content = [
    '[Service]',
    'ExecStart=/bin/true',
    'User=hydra-channels',
    'Group=hydra-channels',
    ...lines,
  ]
  writeFileSync(unit, `${content.join('\n')}\n`)
  const judged = execFileSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' })
  const exposure = Number(/Overall exposure level for \S+ (\d+\.\d+)/.exec(judged)?.[1])
  assert.ok(exposure < 2, judged)
})

test('V8 may write what it executes', { skip: withoutSystemdAnalyze }, () => {
  assert.equal(evaluate('(import (nix + "/sandbox.nix")) ? MemoryDenyWriteExecute'), false)
})
