// Proves that outputs are in the cache: looks for them there, and copies what is missing.

import { Semaphore } from 'async-mutex'
import { askOnlyOnce } from '../base/ask-once.ts'
import type { Output } from '../base/output.ts'
import { copyBy, lookOnly, pathsOf, speakFor } from './copy.ts'
import { findProblem, waitFor } from './narinfo.ts'
import type { CacheOptions } from './options.ts'

/**
 * Proves the outputs of several builds: looks in the cache first if it can, and copies what is missing,
 * `cache.parallel` at once and each path once, however many channels want it. `of` says whose outputs they are, for the
 * log: `alice/dotfiles nixos-tested-nas`.
 *
 * @returns whether anything had to be copied, which takes its time
 * @throws OperatorError if an output cannot be copied or is not seen
 */
export function createProver(
  options: CacheOptions,
): (outputs: readonly Output[], of: string) => Promise<'copied' | 'seen'> {
  const { config, client, secondMs } = options
  const { unit } = config
  const slots = new Semaphore(config.parallel)
  const looks = new Map<string, Promise<'there' | 'missing'>>()
  const copies = new Map<string, Promise<void>>()
  const proven = new Set<string>()

  async function look(path: string): Promise<'there' | 'missing'> {
    const problem = client && (await findProblem(path, client))
    if (problem?.copying === 'useless') throw problem.error
    return client && !problem ? 'there' : 'missing'
  }

  async function copy(path: string, say: { copying: () => void; waiting: () => void }): Promise<void> {
    if (unit !== undefined) {
      say.copying()
      await copyBy(unit, [path], options)
    }
    if (client) await waitFor(path, client, { secondMs, onWait: say.waiting })
  }

  return async (outputs, of) => {
    const say = speakFor(of, options)
    const paths = pathsOf(outputs, say.line)
    if (options.mode === 'look') {
      await lookOnly(paths, of, options)
      return 'seen'
    }
    const found = await allOf(paths, path => {
      // what was proven before this call costs it no time
      if (proven.has(path)) return 'there'
      return askOnlyOnce(looks, path, () => slots.runExclusive(() => look(path)))
    })
    const missing = paths.filter((_, index) => found[index] === 'missing')
    if (missing.length === 0 && client) say.saw(paths.length, client)
    // not those that are on their way for another channel
    let unsaid = missing.filter(path => !copies.has(path)).length
    const copying = () => {
      if (unsaid > 0) say.copying(unsaid)
      unsaid = 0
    }
    await allOf(missing, path =>
      askOnlyOnce(copies, path, () =>
        slots.runExclusive(() => copy(path, { copying, waiting: () => say.waiting(path) })),
      ),
    )
    for (const path of paths) proven.add(path)
    return missing.length > 0 && unit !== undefined ? 'copied' : 'seen'
  }
}

/** Waits for all of them, also if one of them fails. */
async function allOf<T>(
  paths: readonly string[],
  work: (path: string) => T | Promise<T>,
): Promise<readonly T[]> {
  const ended = await Promise.allSettled(paths.map(work))
  return ended.map(each => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}
