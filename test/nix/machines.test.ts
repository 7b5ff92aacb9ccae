// fixtures/machines is what NixOS would write of nix/module.nix: compared with the evaluation where nixpkgs' lib is there,
// and everywhere with the Nix files that it was made of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  evaluateMachines,
  fixtureOf,
  formatFiles,
  hashSources,
  MACHINES,
  parseFiles,
  recordedSources,
  WRITE_THEM,
} from './machines.ts'
import { withoutNixpkgs } from './nix.ts'

test('the fixtures are what the module evaluates to', { skip: withoutNixpkgs }, () => {
  const machines = evaluateMachines()
  assert.deepEqual(Object.keys(machines).sort(), [...MACHINES].sort())
  for (const [name, files] of Object.entries(machines)) {
    assert.equal(fixtureOf(name), formatFiles(files), `fixtures/machines/${name}.txt is old: ${WRITE_THEM}`)
  }
})

test('the fixtures are younger than each Nix file that they are made of', () => {
  assert.equal(recordedSources(), hashSources(), `a file in nix or test/nix has changed: ${WRITE_THEM}`)
})

test('what is written is what is read', () => {
  for (const name of MACHINES) assert.equal(formatFiles(parseFiles(fixtureOf(name))), fixtureOf(name))
})
