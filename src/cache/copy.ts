// Copies a build's outputs to the cache by the owner's systemd unit (copy-unit.ts), and looks for them there.
import { Semaphore } from 'async-mutex'
import { OperatorError } from '../base/errors.ts'
import { count, listSome } from '../base/log.ts'
import type { Output } from '../base/output.ts'
import { findProblem, waitFor } from './narinfo.ts'
import type { CacheOptions } from './options.ts'

/**
 * Copies the outputs of a build to the cache, and looks for them there.
 *
 * @throws OperatorError if an output cannot be copied or is not seen; no channel may move then
 */
export async function copyOutputs(outputs: readonly Output[], options: CacheOptions): Promise<void> {
  const { config, client, log, secondMs } = options
  const paths = pathsOf(outputs, log)
  if (options.mode === 'look') return lookOnly(paths, options)
  if (config.unit !== undefined) {
    await copyBy(config.unit, paths, options)
    log(`copied ${count(paths.length, 'output')} to the cache`)
  }
  if (client) {
    const slots = new Semaphore(config.parallel)
    const looks = await Promise.allSettled(
      paths.map(path => slots.runExclusive(() => waitFor(path, client, secondMs))),
    )
    const failed = looks.find(look => look.status === 'rejected')
    if (failed) throw failed.reason
    log(`saw ${count(paths.length, 'output')} at ${client.url}`)
  }
}

/** As {@link copyOutputs}, but does not wait for the copies: reconcile proves them before a channel moves. */
export async function startCopies(outputs: readonly Output[], options: CacheOptions): Promise<void> {
  const { config, mode, log } = options
  if (config.unit === undefined) return
  const paths = pathsOf(outputs, log)
  if (mode === 'look') return log(`would copy ${count(paths.length, 'output')} to the cache (dry run)`)
  await copyBy(config.unit, paths, options, ['--no-block'])
  log(`started to copy ${count(paths.length, 'output')} to the cache`)
}

/** A dry run: what the cache has already, and what would be copied. */
export async function lookOnly(
  paths: readonly string[],
  { config, client, log }: CacheOptions,
): Promise<void> {
  const { unit } = config
  const looks = await Promise.all(
    paths.map(async path => ({
      path,
      problem: client && (await findProblem(path, client)),
    })),
  )
  for (const { path, problem } of looks) {
    if (client && !problem) log(`the cache has ${path} (dry run)`)
    else if (!problem || (unit !== undefined && problem.copying === 'worthwhile'))
      log(`would copy ${path} to the cache (dry run)`)
    else throw problem.error
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
