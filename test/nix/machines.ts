// What NixOS would write for the machines of machines.nix: as Nix evaluates it, and as fixtures/machines keeps it for
// those who have no nixpkgs. One file for each machine, of sections `-- path --`, or `-- path -> target --` for a link.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { evaluate, NIX_DIRECTORY, NIXPKGS_LIB } from './nix.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/machines/', import.meta.url))
const SOURCES_FILE = join(FIXTURES, 'sources.sha256')
const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Text by path, `etc/hydra/hydra.conf`; of a link, whose path is `a -> b`, the empty text. */
export type Files = Record<string, string>

export const MACHINES = ['detached', 'inline', 'hydra-dev', 'elsewhere', 'host'] as const
export type MachineName = (typeof MACHINES)[number]

export const WRITE_THEM = 'HYDRA_CHANNELS_NIXPKGS_LIB=/path/to/nixpkgs/lib npm run fixtures'

/** Needs nixpkgs' lib. */
export function evaluateMachines(): Record<string, Files> {
  const machines = evaluate<Record<string, Files>>(`
    let tests = nix + "/../test/nix"; in
    builtins.mapAttrs (name: modules: import (tests + "/files.nix") {
      nixpkgsLib = ${NIXPKGS_LIB};
      modules = [ (nix + (if name == "host" then "/host.nix" else "/module.nix")) ] ++ modules;
    }) (import (tests + "/machines.nix"))`)
  for (const files of Object.values(machines)) {
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith('.json')) files[path] = `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`
    }
  }
  return machines
}

export const fixtureOf = (name: string) => readFileSync(join(FIXTURES, `${name}.txt`), 'utf8')

export function parseFiles(text: string): Files {
  const [, ...parts] = text.split(/^-- (.+) --\n/m)
  const files: Files = {}
  for (let n = 0; n + 1 < parts.length; n += 2) files[parts[n] as string] = parts[n + 1] as string
  return files
}

export function formatFiles(files: Files): string {
  const paths = Object.keys(files).sort()
  return paths.map(path => `-- ${path} --\n${(files[path] ?? '').replace(/\n*$/, '\n')}`).join('')
}

/** Of all that the evaluation reads, but for nixpkgs. */
export function hashSources(): string {
  const hash = createHash('sha256')
  const sources = [NIX_DIRECTORY, HERE].flatMap(folder =>
    readdirSync(folder)
      .filter(name => /\.(?:nix|sql|rules|sh)$/.test(name) && !NOT_READ.has(name))
      .sort()
      .map(name => join(folder, name)),
  )
  for (const file of sources) hash.update(readFileSync(file)).update('\0')
  return `${hash.digest('hex')}\n`
}

const NOT_READ = new Set(['vm-test.nix', 'vm-seed.sql', 'package.nix', 'npm-sources.nix', 'auto-upgrade.nix'])

export const recordedSources = () => readFileSync(SOURCES_FILE, 'utf8')

export function writeFixtures(): void {
  for (const [name, files] of Object.entries(evaluateMachines())) {
    writeFileSync(join(FIXTURES, `${name}.txt`), formatFiles(files))
  }
  writeFileSync(SOURCES_FILE, hashSources())
}
