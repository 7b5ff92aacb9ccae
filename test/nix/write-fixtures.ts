// npm run fixtures: writes fixtures/machines anew.
import { writeFixtures } from './machines.ts'
import { withoutNixpkgs } from './nix.ts'

if (withoutNixpkgs) {
  process.stderr.write(`${withoutNixpkgs}\n`)
  process.exitCode = 1
} else writeFixtures()
