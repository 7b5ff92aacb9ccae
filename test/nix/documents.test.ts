// The snippets of Nix in the documents: all of them parse, and what they set of our modules can be evaluated and contradicts
// nothing. The table of the module's options is complete.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { blocksOf, DOCUMENTS, inCode, readDocument, tableBelow } from '../helpers/documents.ts'
import { evaluate, NIXPKGS_LIB, nix, withoutNix, withoutNixpkgs } from './nix.ts'

interface Snippet {
  path: string
  at: number
  /** a module */
  module: string
}

/** A block may be the lines of a module, without its braces. */
const SNIPPETS: readonly Snippet[] = DOCUMENTS.flatMap(path =>
  blocksOf(readDocument(path))
    .filter(({ language }) => language === 'nix')
    .map(({ text }, at) => ({
      path,
      at: at + 1,
      module: `{ config, pkgs, inputs, ... }: ${/^\{/.test(text) ? text : `{\n${text}\n}`}`,
    })),
)

const has = (what: string) => SNIPPETS.filter(({ module }) => module.includes(what))

describe('snippets', () => {
  for (const { path, at, module } of SNIPPETS) {
    test(`${path}, ${at}: it parses`, { skip: withoutNix }, () => {
      execFileSync('nix-instantiate', ['--parse', '-'], { input: module, stdio: ['pipe', 'ignore', 'pipe'] })
    })
  }

  /** With nixpkgs' lib, stand-ins for NixOS, and what a snippet takes for granted. */
  function evaluated<T>(
    files: readonly string[],
    { module }: Snippet,
    around: object,
    expression: string,
  ): T {
    const ours = files.map(file => `(nix + "/${file}")`).join(' ')
    // our own modules are in the list
    const body = module.replaceAll(/^ *imports = \[[^\]]*\];$/gm, '')
    return evaluate<T>(`
      let
        snippet = args: (${body}) (args // {
          inputs = { };
          pkgs = args.pkgs // { nix = "/nix"; util-linux = "/util-linux"; jq = "/jq"; };
          config = args.config // { sops.secrets.github-app-key.path = "/run/secrets/github-app-key"; };
        });
        c = import (nix + "/../test/nix/evaluate.nix") {
          nixpkgsLib = ${NIXPKGS_LIB};
          modules = [ ${ours} ({ config, pkgs, ... }@args: snippet args) ${nix(around)} ];
        };
      in ${expression}`)
  }

  const FAILED = 'failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);'

  const COPY_UNIT = {
    services: { hydra: { enable: true } },
    systemd: { services: { 'copy-cache-example@': {} } },
  }
  const RULE = {
    project: 'dotfiles',
    jobset: 'main',
    job: 'nas',
    repository: 'alice/dotfiles',
    branch: 'nas',
  }
  /** What a snippet leaves out that is only about a part. */
  const THE_REST = {
    enable: true,
    privateKeyFile: '/run/secrets/github-app-key',
    settings: { github: { appId: 1 }, cache: { unit: 'copy-cache-example@.service' }, channels: [RULE] },
  }
  const machines = has('services.hydra-channels = {')
  const isWhole = ({ module }: Snippet) => module.includes('enable = true')
  assert.ok(machines.filter(isWhole).length >= 3)
  for (const snippet of machines) {
    test(`${snippet.path}, ${snippet.at}: Hydra's machine`, { skip: withoutNixpkgs }, () => {
      const rest = isWhole(snippet) ? {} : { 'hydra-channels': THE_REST }
      const { failed, config } = evaluated<{ failed: string[]; config: unknown }>(
        ['module.nix'],
        snippet,
        { ...COPY_UNIT, services: { ...COPY_UNIT.services, ...rest } },
        `{ ${FAILED} config = render.config c.services.hydra-channels.settings; }`,
      )
      assert.deepEqual(failed, [])
      const { channels, cache } = parseConfig(JSON.stringify(config), snippet.path)
      assert.deepEqual([channels.length, cache?.unit], [1, 'copy-cache-example@.service'])
    })
  }

  const hosts = has('services.hydra-channels-host = {')
  assert.ok(hosts.length >= 3)
  for (const snippet of hosts) {
    test(`${snippet.path}, ${snippet.at}: a host`, { skip: withoutNixpkgs }, () => {
      const { failed } = evaluated<{ failed: string[] }>(['host.nix'], snippet, {}, `{ ${FAILED} }`)
      assert.deepEqual(failed, [])
    })
  }
})

for (const [path, heading, file, name] of [
  ['docs/configuration.md', '## The options of the NixOS module', 'module.nix', 'hydra-channels'],
  ['docs/hosts.md', '## The options', 'host.nix', 'hydra-channels-host'],
] as const) {
  test(`${path} has every option of the module and no other`, { skip: withoutNixpkgs }, () => {
    const options = evaluate<string[]>(`
      let
        lib = import ${NIXPKGS_LIB};
        # what options need of their surroundings
        config = { services.hydra-channels-host = { }; networking.hostName = "nas"; system.autoUpgrade = { }; };
        module = import (nix + "/${file}") { inherit lib config; pkgs.formats.json = _: { type = null; }; };
        namesOf = prefix: options: lib.concatLists (lib.mapAttrsToList (name: option:
          if option._type or "" == "option" then [ (prefix + name) ] else namesOf (prefix + name + ".") option
        ) options);
      in namesOf "" module.options.services.${name}`)
    const rows = tableBelow(readDocument(path), heading)
    assert.deepEqual(rows.map(([option]) => inCode(option)).sort(), options.sort())
  })
}
