// Whether the cache has a store path: its narinfo, `<hash>.narinfo` below cache.url.
import { Semaphore } from 'async-mutex'
import { type Clock, systemClock } from '../base/clock.ts'
import { LATER, messageOf, OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import type { Output } from '../base/output.ts'
import type { CacheConfig } from './config.ts'
import type { CacheOptions } from './options.ts'

/** After a copy, a cache may deny for a moment that it has the path, and it may have cached that answer: 31 s in all. */
const LOOK_WAITS_SECONDS = [1, 2, 4, 8, 16]
const LOOK_TIMEOUT_MS = 15_000

/** A narinfo has about 1 kB, and more if the path refers to hundreds of others. */
const MAX_NARINFO_BYTES = 256 * 1024

interface Problem {
  message: string
  hint: string
  /** whether another look may find it gone */
  passing: 'maybe' | 'no'
}

/** Why the cache does not have a store path; undefined if its narinfo is there. */
export async function findProblem(
  path: string,
  url: string,
  http: Http,
  timeoutMs = LOOK_TIMEOUT_MS,
): Promise<Problem | undefined> {
  const hash = path.slice(path.lastIndexOf('/') + 1).slice(0, 32)
  const narinfo = `${url}/${hash}.narinfo`
  const missing = `the cache does not have ${path}: ${narinfo}`
  let status: number
  let text: string
  try {
    const response = await http.fetch(narinfo, { timeoutMs, maxBytes: MAX_NARINFO_BYTES })
    status = response.status
    text = await response.text()
  } catch (error) {
    return {
      message: `cannot ask the cache for ${path}: ${messageOf(error)} (GET ${narinfo})`,
      hint: LATER,
      passing: 'maybe',
    }
  }
  if (status !== 200) {
    const passing = [403, 404, 408, 425, 429].includes(status) || status >= 500
    const hint = status === 404 ? 'does the copy unit upload to this cache?' : 'check cache.url'
    return { message: `${missing} answers ${status}`, hint, passing: passing ? 'maybe' : 'no' }
  }
  const storePath = fieldOf('StorePath', text)
  if (storePath === path) return undefined
  const other = storePath === undefined ? 'no narinfo' : `of ${storePath.slice(0, 300)}`
  return {
    message: `${missing} is ${other}`,
    hint: 'check cache.url: is a binary cache of Nix there?',
    passing: 'no',
  }
}

/** Of a line such as `StorePath: /nix/store/…`. */
export function fieldOf(key: string, text: string): string | undefined {
  const line = text.split('\n').find(each => each.startsWith(`${key}:`))
  return line?.slice(key.length + 1).trim()
}

/** Asks for the path's narinfo until the cache has it, or answers that it never will. */
export async function waitFor(path: string, url: string, { http, secondMs }: CacheOptions): Promise<void> {
  for (const seconds of [...LOOK_WAITS_SECONDS, undefined]) {
    const problem = await findProblem(path, url, http)
    if (!problem) return
    if (seconds === undefined || problem.passing === 'no') {
      throw new OperatorError(problem.message, { hint: problem.hint })
    }
    await new Promise(resolve => setTimeout(resolve, seconds * secondMs))
  }
}

/** All looks together may take so long: who asks for a status waits for it. */
const LOOKS_TIMEOUT_MS = 10_000

/**
 * Only looks: why the outputs of a build cannot be found at `cache.url`; undefined if they all are there, if there is
 * nothing to look at, or if the cache takes too long. `cache.parallel` at once.
 */
export function createLook(
  { url, parallel }: CacheConfig,
  http: Http,
  clock: Clock = systemClock,
): (outputs: readonly Output[]) => Promise<string | undefined> {
  const slots = new Semaphore(parallel)
  const endsAt = clock.elapsed() + LOOKS_TIMEOUT_MS
  return async outputs => {
    if (url === undefined) return undefined
    const paths = outputs.flatMap(({ path }) => path ?? [])
    const problems = await Promise.all(
      paths.map(path =>
        slots.runExclusive(async () => {
          const timeoutMs = Math.min(LOOK_TIMEOUT_MS, endsAt - clock.elapsed())
          const problem = timeoutMs > 0 ? await findProblem(path, url, http, timeoutMs) : undefined
          return clock.elapsed() < endsAt ? problem : undefined
        }),
      ),
    )
    const problem = problems.find(each => each !== undefined)
    return problem && `${problem.message}; ${problem.hint}`
  }
}
