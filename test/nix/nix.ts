// Asks Nix, where it is installed: nothing here needs its daemon or a store.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const NIX_DIRECTORY = fileURLToPath(new URL('../../nix/', import.meta.url))

const isInstalled = (command: string) =>
  (process.env.PATH ?? '').split(delimiter).some(directory => existsSync(join(directory, command)))

/** Why a test cannot run; false if it can. */
export const withoutNix = isInstalled('nix-instantiate') ? false : 'nix-instantiate is not installed'
export const withoutSystemdAnalyze =
  withoutNix || (isInstalled('systemd-analyze') ? false : 'systemd-analyze is not installed')

/** nixpkgs' own lib, which is not in this repository. */
export const NIXPKGS_LIB = process.env.HYDRA_CHANNELS_NIXPKGS_LIB
export const withoutNixpkgs =
  withoutNix || (NIXPKGS_LIB ? false : 'HYDRA_CHANNELS_NIXPKGS_LIB does not name the lib of a nixpkgs')

/** The value of an expression, with `render` and `nix` (the folder) in scope. */
export function evaluate<T>(expression: string, args: Record<string, string> = {}): T {
  const file = `let nix = ${NIX_DIRECTORY.replace(/\/$/, '')}; render = import (nix + "/render.nix"); in ${expression}`
  const named = Object.entries(args).flatMap(([name, value]) => ['--argstr', name, value])
  const options = ['--eval', '--strict', '--json', '--store', 'dummy://']
  const json = execFileSync('nix-instantiate', [...options, ...named, '--expr', file], {
    encoding: 'utf8',
    env: { ...process.env, NIX_PATH: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return JSON.parse(json) as T
}

/** A value as a Nix expression. */
export const nix = (value: unknown): string =>
  `(builtins.fromJSON ${JSON.stringify(JSON.stringify(value)).replaceAll('${', '\\${')})`
