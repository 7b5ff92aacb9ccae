// The package's `meta` (nix/package.nix), with nixpkgs' lib and without its packages.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { evaluate, NIXPKGS_LIB, withoutNixpkgs } from './nix.ts'

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)

test('meta has what nixpkgs asks of a package', { skip: withoutNixpkgs }, () => {
  const { homepage, ...meta } = evaluate<Record<string, unknown>>(`
    let
      lib = import ${NIXPKGS_LIB};
      package = import (nix + "/package.nix");
      isMaintainer = one: builtins.deepSeq
        (lib.evalModules { modules = [ (${NIXPKGS_LIB} + "/tests/maintainer-module.nix") one ]; }).config true;
      # of what the package is built with, meta needs only these two
      meta = (package (builtins.mapAttrs (_: _: null) (builtins.functionArgs package) // {
        inherit lib;
        buildNpmPackage = arguments: arguments;
      })).meta;
    in {
      inherit (meta) description homepage changelog mainProgram;
      license = meta.license.spdxId;
      runsOn = builtins.elem "aarch64-linux" meta.platforms && builtins.elem "x86_64-linux" meta.platforms;
      maintainers = map isMaintainer meta.maintainers;
    }`)
  assert.match(String(homepage), /^https:\/\/github\.com\/[^/]+\/hydra-channels$/)
  assert.deepEqual(meta, {
    description,
    changelog: `${homepage}/blob/v${version}/CHANGELOG.md`,
    mainProgram: 'hydra-channels',
    license: 'MIT',
    runsOn: true,
    maintainers: [true],
  })
})
