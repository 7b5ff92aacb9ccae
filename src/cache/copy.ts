// Copies a build's outputs to the cache by the owner's systemd unit (copy-unit.ts), and looks for them there.
import { Semaphore } from 'async-mutex'
import { OperatorError } from '../base/errors.ts'
import { count, listSome } from '../base/log.ts'
import type { Output } from '../base/output.ts'
import type { CacheClient } from './client.ts'
import { findProblem, waitFor } from './narinfo.ts'
import type { CacheOptions } from './options.ts'

/**
 * Copies the outputs of a build to the cache, and looks for them there.
 *
 * @param of whose they are, with which each line begins: `dotfiles:main:nixos-nas.x86_64-linux`
 * @throws OperatorError if an output cannot be copied or is not seen; no channel may move then
 */
export async function copyOutputs(
  outputs: readonly Output[],
  of: string,
  options: CacheOptions,
): Promise<void> {
  const { config, client, secondMs } = options
  const say = speakFor(of, options)
  const paths = pathsOf(outputs, say.line)
  if (options.mode === 'look') return lookOnly(paths, of, options)
  if (config.unit !== undefined) {
    say.copying(paths.length)
    await copyBy(config.unit, paths, options)
  }
  if (client) {
    const slots = new Semaphore(config.parallel)
    const looks = await Promise.allSettled(
      paths.map(path =>
        slots.runExclusive(() => waitFor(path, client, { secondMs, onWait: () => say.waiting(path) })),
      ),
    )
    const failed = looks.find(look => look.status === 'rejected')
    if (failed) throw failed.reason
    say.saw(paths.length, client)
  }
}

/** As {@link copyOutputs}, but does not wait for the copies: reconcile proves them before a channel moves. */
export async function startCopies(
  outputs: readonly Output[],
  of: string,
  options: CacheOptions,
): Promise<void> {
  const { config, mode } = options
  if (config.unit === undefined) return
  const { line } = speakFor(of, options)
  const paths = pathsOf(outputs, line)
  if (mode === 'look') return line(`would copy ${count(paths.length, 'output')} to the cache (dry run)`)
  await copyBy(config.unit, paths, options, ['--no-block'])
  line(`started to copy ${count(paths.length, 'output')} to the cache`)
}

/** A dry run: what the cache has already, and what would be copied. */
export async function lookOnly(paths: readonly string[], of: string, options: CacheOptions): Promise<void> {
  const { client, config } = options
  const { line } = speakFor(of, options)
  const looks = await Promise.all(
    paths.map(async path => ({
      path,
      problem: client && (await findProblem(path, client)),
    })),
  )
  for (const { path, problem } of looks) {
    if (client && !problem) line(`the cache has ${path} (dry run)`)
    else if (!problem || (config.unit !== undefined && problem.copying === 'worthwhile'))
      line(`would copy ${path} to the cache (dry run)`)
    else throw problem.error
  }
}

/** Log lines about some outputs. What may take long is logged before it begins; the next line says how it ended. */
export function speakFor(of: string, { log }: Pick<CacheOptions, 'log'>) {
  const line = (text: string) => log(`${of}: ${text}`)
  let isWaiting = false
  return {
    line,
    copying: (outputs: number) => line(`copying ${count(outputs, 'output')} to the cache …`),
    waiting(path: string) {
      // the others are waited for at the same time
      if (!isWaiting) line(`waiting for the cache to show ${path} …`)
      isWaiting = true
    },
    saw: (outputs: number, { url }: CacheClient) => line(`saw ${count(outputs, 'output')} at ${url}`),
  }
}

/** Loaded only if something is copied: node:child_process takes 6 ms to load. */
export async function copyBy(...args: Parameters<typeof import('./copy-unit.ts').startUnits>): Promise<void> {
  const { startUnits } = await import('./copy-unit.ts')
  return startUnits(...args)
}

export function pathsOf(outputs: readonly Output[], log: (line: string) => void): string[] {
  const unknown = outputs.filter(({ path }) => path === null).map(({ name }) => name)
  if (unknown.length > 0) {
    log(`skipped output ${listSome(unknown)}: Hydra knows no path of ${unknown.length === 1 ? 'it' : 'them'}`)
  }
  const paths = outputs.flatMap(({ path }) => path ?? [])
  if (paths.length === 0) {
    throw new OperatorError('no output of the build has a path: nothing can be copied to the cache')
  }
  for (const path of paths) {
    if (!isStorePath(path))
      throw new OperatorError(`the output ${path} is no store path, so it is not copied`)
  }
  return paths
}

/** `/nix/store/<32>-<name>`, in any store directory. */
function isStorePath(path: string): boolean {
  const [root, ...folders] = path.split('/')
  const name = folders.pop() ?? ''
  return (
    root === '' &&
    folders.length > 0 &&
    folders.every(folder => /^[A-Za-z0-9+._-]+$/.test(folder) && folder !== '.' && folder !== '..') &&
    /^[0-9a-z]{32}-[A-Za-z0-9+\-._?=]+$/.test(name)
  )
}
