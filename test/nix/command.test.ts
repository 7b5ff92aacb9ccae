// nix/command.nix: what the shell's `hydra-channels` runs, and what it lets a group do. With a systemd-run and a program
// that say what they were called with.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { evaluate, NIXPKGS_LIB, nix, withoutNixpkgs } from './nix.ts'

const skip = withoutNixpkgs

function scripts(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'hc-command-'))
  t.after(() => rmSync(directory, { recursive: true }))
  mkdirSync(join(directory, 'bin'))
  for (const name of ['systemd-run', 'hydra-channels']) {
    const script = `#!/bin/sh\necho ${name}\nfor a; do printf '%s\\n' "$a"; done\n`
    writeFileSync(join(directory, 'bin', name), script, { mode: 0o755 })
  }
  const texts = evaluate<{ command: string; forGroup: string }>(`
    builtins.mapAttrs (_: script: script.text) (import (nix + "/command.nix") {
      lib = import ${NIXPKGS_LIB};
      writeShellScript = name: text: { inherit text; outPath = "/" + name; };
      writeShellScriptBin = _: text: { inherit text; };
      systemd = { type = "derivation"; outPath = ${nix(directory)}; };
      package = { type = "derivation"; outPath = ${nix(directory)}; };
      user = "hydra-channels";
      openCliTo = "wheel";
      loadCredential = "github-app-key:/run/my keys/app";
      serviceConfig = {
        LoadCredential = "github-app-key:/run/my keys/app";
        PrivateTmp = true;
        StateDirectory = [ "hydra-channels" ];
        SystemCallFilter = [ "@system-service" "~@privileged" ];
      };
    })`)
  const run = (text: string, args: string[]) => {
    const { status, stdout, stderr } = spawnSync('bash', ['-c', text, 'hydra-channels', ...args], {
      encoding: 'utf8',
    })
    return { status, stderr, lines: stdout.trimEnd().split('\n') }
  }
  return {
    program: join(directory, 'bin', 'hydra-channels'),
    command: (...args: string[]) => run(texts.command, args),
    forGroup: (...args: string[]) => run(texts.forGroup, args),
  }
}

test('a group’s command runs in a unit, as our user, whatever is in its arguments', { skip }, t => {
  const { forGroup, program } = scripts(t)
  const args = ['hold', 'nixos-tested-nas', '--reason', 'costs $5; `id` "quoted"\n%h']
  const { status, lines } = forGroup(...args)
  assert.equal(status, 0)
  assert.equal(lines[0], 'systemd-run')
  for (const option of [
    '--expand-environment=no',
    '--uid=hydra-channels',
    '--gid=hydra-channels',
    '--setenv=PATH=/run/current-system/sw/bin',
    '--property=LoadCredential=github-app-key:/run/my keys/app',
    '--property=PrivateTmp=true',
    '--property=SystemCallFilter=@system-service',
    '--property=SystemCallFilter=~@privileged',
  ]) {
    assert.ok(lines.includes(option), option)
  }
  assert.deepEqual(lines.slice(lines.indexOf('--')), ['--', program, ...args.join('\n').split('\n')])
})

test('a group chooses no configuration and no file', { skip }, t => {
  const { forGroup } = scripts(t)
  for (const args of [
    ['status', '--config', '/tmp/mine.json'],
    ['status', '--config=/tmp/mine.json'],
    ['status', '--metrics', '/var/lib/hydra-channels/x'],
    ['reconcile', 'nixos-tested-nas', '--config=x'],
    ['create-app', '--output', '/tmp'],
    ['--config', 'x', 'status'],
    [],
  ]) {
    const { status, stderr, lines } = forGroup(...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(stderr, /^hydra-channels: /)
    assert.deepEqual(lines, [''])
  }
})

const notRoot = process.getuid?.() === 0 ? skip : skip || 'needs root'

test('root: a unit for what needs the key, the program itself for all else', { skip: notRoot }, t => {
  const { command } = scripts(t)
  assert.equal(command('status').lines[0], 'systemd-run')
  for (const args of [['create-app', '--manual'], ['--help'], ['status', '--config', 'x.json'], []]) {
    assert.deepEqual(command(...args).lines, ['hydra-channels', ...args])
  }
})

test('root’s doctor runs as root, and leaves our folders to our user', { skip: notRoot }, t => {
  const { lines } = scripts(t).command('doctor')
  assert.ok(lines.includes('--uid=root'))
  assert.deepEqual(
    lines.filter(line => line.startsWith('--property')),
    ['--property=LoadCredential=github-app-key:/run/my keys/app'],
  )
})
