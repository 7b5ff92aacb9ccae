// The package (nix/package.nix): its `meta`, with nixpkgs' lib and without its packages; and the files that it is built of.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { DOCUMENTS, linksOf, ROOT, readDocument } from '../helpers/documents.ts'
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

test('its tests have the documents, and the files that these lead to', () => {
  const files = [...readFileSync(join(ROOT, 'nix/package.nix'), 'utf8').matchAll(/^ +\.\.\/(\S+)$/gm)].map(
    ([, path = '']) => path,
  )
  assert.ok(files.includes('src') && files.includes('test'))
  for (const file of files) assert.ok(existsSync(join(ROOT, file)), file)
  const has = (path: string) => files.some(file => path === file || path.startsWith(`${file}/`))
  for (const document of DOCUMENTS) {
    assert.ok(has(document), document)
    for (const link of linksOf(readDocument(document))) {
      const [path = ''] = link.split('#')
      if (path === '' || /^https?:|security\/advisories/.test(path)) continue
      const target = normalize(join(dirname(document), path))
      assert.ok(has(target), `${document} leads to ${target}`)
    }
  }
})
