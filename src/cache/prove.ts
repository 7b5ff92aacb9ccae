// Proves that outputs are in the cache: looks for them there, and copies what is missing.
import { Semaphore } from 'async-mutex'
import { count } from '../base/log.ts'
import type { Output } from '../base/output.ts'
import { copyBy, lookOnly, pathsOf } from './copy.ts'
import { findProblem, waitFor } from './narinfo.ts'
import type { CacheOptions } from './options.ts'

/**
 * Proves the outputs of several builds: looks in the cache first if it can, and copies what is missing,
 * `cache.parallel` at once and each path once, however many channels want it. `of` says whose outputs they are, for the
 * log: `build 4123`.
 *
 * @returns whether anything had to be copied, which takes its time
 * @throws OperatorError if an output cannot be copied or is not seen
 */
export function createProver(
  options: CacheOptions,
): (outputs: readonly Output[], of: string) => Promise<'copied' | 'seen'> {
  const { config, client, log, secondMs } = options
  const { unit } = config
  const slots = new Semaphore(config.parallel)
  const proofs = new Map<string, Promise<'copied' | 'seen'>>()
  const proven = new Set<string>()

  async function prove(path: string): Promise<'copied' | 'seen'> {
    if (client) {
      const problem = await findProblem(path, client)
      if (!problem) return 'seen'
      if (problem.copying === 'useless') throw problem.error
    }
    if (unit !== undefined) await copyBy(unit, [path], options)
    if (client) await waitFor(path, client, secondMs)
    return unit === undefined ? 'seen' : 'copied'
  }

  return async (outputs, of) => {
    const paths = pathsOf(outputs, log)
    if (options.mode === 'look') {
      await lookOnly(paths, options)
      return 'seen'
    }
    const looks = await Promise.allSettled(
      paths.map(path => {
        // what was proven before this call costs it no time
        if (proven.has(path)) return 'seen'
        const proof = proofs.get(path) ?? slots.runExclusive(() => prove(path))
        proofs.set(path, proof)
        return proof
      }),
    )
    for (const [index, path] of paths.entries()) if (looks[index]?.status === 'fulfilled') proven.add(path)
    const failed = looks.find(look => look.status === 'rejected')
    if (failed) throw failed.reason
    const copied = looks.filter(look => look.status === 'fulfilled' && look.value === 'copied').length
    log(`${of}: copied ${count(copied, 'output')} to the cache, saw ${paths.length - copied} there`)
    return copied > 0 ? 'copied' : 'seen'
  }
}
