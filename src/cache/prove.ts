// The binary cache: copies a build's outputs by the owner's systemd unit (copy-unit.ts), and looks for them there.
import { Semaphore } from 'async-mutex'
import { type Clock, systemClock } from '../base/clock.ts'
import { LATER, messageOf, OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { count, type Log } from '../base/log.ts'
import type { Output } from '../hydra/event.ts'
import type { CacheConfig } from './config.ts'

/** After a copy, a cache may deny for a moment that it has the path, and it may have cached that answer: 31 s in all. */
const LOOK_WAITS_SECONDS = [1, 2, 4, 8, 16]
const LOOK_TIMEOUT_MS = 15_000

export interface CacheOptions {
  config: CacheConfig
  http: Http
  /** `copy-and-look` for a build that may be missing; a dry run only looks */
  mode: 'copy-and-look' | 'look'
  env: Readonly<Record<string, string | undefined>>
  log: (line: string) => void
  /** a second of waiting; shorter in tests */
  secondMs: number
}

/** A run's own options, as the cache takes them: a run that only looks copies nothing. */
export function cacheOptionsFor(
  config: CacheConfig,
  run: Pick<CacheOptions, 'http' | 'env' | 'secondMs'> & { mode: 'move' | 'look'; log: Log },
): CacheOptions {
  const { http, env, secondMs, mode, log } = run
  return {
    config,
    http,
    env,
    secondMs,
    mode: mode === 'move' ? 'copy-and-look' : 'look',
    log: text => log.line(text),
  }
}

/** Whether there is anything to copy with, or to look at. */
export function isCacheConfigured(config: CacheConfig | undefined): config is CacheConfig {
  return config?.unit !== undefined || config?.url !== undefined
}

/**
 * Copies the outputs of a build to the cache, and looks for them there.
 *
 * @throws OperatorError where an output cannot be copied or is not seen; no channel may move then
 */
export async function copyOutputs(outputs: readonly Output[], options: CacheOptions): Promise<void> {
  const { config, log } = options
  const paths = pathsOf(outputs, log)
  if (options.mode === 'look') return lookOnly(paths, options)
  if (config.unit !== undefined) {
    await copyBy(config.unit, paths, options)
    log(`copied ${count(paths.length, 'output')} to the cache`)
  }
  if (config.url !== undefined) {
    const url = config.url
    const looks = await Promise.allSettled(paths.map(path => waitFor(path, url, options)))
    const failed = looks.find(look => look.status === 'rejected')
    if (failed) throw failed.reason
    log(`saw ${count(paths.length, 'output')} at ${url}`)
  }
}

/**
 * Proves the outputs of several builds: looks in the cache first where it can, and copies what is missing,
 * `cache.parallel` at once and each path once, however many channels want it. `of` says whose outputs they are, for the
 * log: `build 4123`.
 *
 * @returns whether anything had to be copied, which takes its time
 * @throws OperatorError as {@link copyOutputs}
 */
export function createProver(
  options: CacheOptions,
): (outputs: readonly Output[], of: string) => Promise<'copied' | 'seen'> {
  const { config, http, log } = options
  const { unit, url } = config
  const slots = new Semaphore(config.parallel)
  const proofs = new Map<string, Promise<'copied' | 'seen'>>()
  const proven = new Set<string>()

  async function prove(path: string): Promise<'copied' | 'seen'> {
    if (url !== undefined && !(await findProblem(path, url, http))) return 'seen'
    if (unit !== undefined) await copyBy(unit, [path], options)
    if (url !== undefined) await waitFor(path, url, options)
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

/** A dry run: what the cache has already, and what would be copied. */
async function lookOnly(paths: readonly string[], { config, http, log }: CacheOptions): Promise<void> {
  const { url, unit } = config
  const looks = await Promise.all(
    paths.map(async path => ({
      path,
      problem: url === undefined ? undefined : await findProblem(path, url, http),
    })),
  )
  for (const { path, problem } of looks) {
    if (url !== undefined && !problem) log(`the cache has ${path} (dry run)`)
    else if (unit !== undefined || !problem) log(`would copy ${path} to the cache (dry run)`)
    else throw new OperatorError(problem.message, { hint: problem.hint })
  }
}

/** All looks together may take so long: who asks for a status waits for it. */
const LOOKS_TIMEOUT_MS = 10_000

/**
 * Only looks: why the outputs of a build cannot be found at `cache.url`; undefined where they all are there, where there is
 * nothing to look at, and where the cache takes too long. `cache.parallel` at once.
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

/** As {@link copyOutputs}, but does not wait for the copies: reconcile proves them before a channel moves. */
export async function startCopies(outputs: readonly Output[], options: CacheOptions): Promise<void> {
  const { config, mode, log } = options
  if (config.unit === undefined) return
  const paths = pathsOf(outputs, log)
  if (mode === 'look') return log(`would copy ${count(paths.length, 'output')} to the cache (dry run)`)
  await copyBy(config.unit, paths, options, ['--no-block'])
  log(`started to copy ${count(paths.length, 'output')} to the cache`)
}

/** Loaded only where something is copied: node:child_process costs every process 6 ms. */
async function copyBy(...args: Parameters<typeof import('./copy-unit.ts').startUnits>): Promise<void> {
  const { startUnits } = await import('./copy-unit.ts')
  return startUnits(...args)
}

function pathsOf(outputs: readonly Output[], log: (line: string) => void): string[] {
  for (const { name, path } of outputs) {
    if (path === null) log(`skipped output ${name}: Hydra knows no path of it`)
  }
  const paths = outputs.flatMap(({ path }) => path ?? [])
  if (paths.length === 0) {
    throw new OperatorError(
      'no output of the build has a path: there is nothing that could be copied to the cache',
    )
  }
  for (const path of paths) {
    if (!isStorePath(path)) throw new OperatorError(`the output ${path} is no store path; it is not copied`)
  }
  return paths
}

/** `/nix/store/<32>-<name>`, in any store directory. */
function isStorePath(path: string): boolean {
  return /^(?:\/[A-Za-z0-9+._-]+)+\/[0-9a-z]{32}-[A-Za-z0-9+\-._?=]+$/.test(path) && !/\/\.{1,2}\//.test(path)
}

/** Asks for the path's narinfo until the cache has it, or says for good that it has not. */
async function waitFor(path: string, url: string, { http, secondMs }: CacheOptions): Promise<void> {
  for (const seconds of [...LOOK_WAITS_SECONDS, undefined]) {
    const problem = await findProblem(path, url, http)
    if (!problem) return
    if (seconds === undefined || problem.passing === 'no') {
      throw new OperatorError(problem.message, { hint: problem.hint })
    }
    await new Promise(resolve => setTimeout(resolve, seconds * secondMs))
  }
}

interface Problem {
  message: string
  hint: string
  /** whether another look may find it gone */
  passing: 'maybe' | 'no'
}

/** Why the cache does not have a store path; undefined where its narinfo is there. */
async function findProblem(
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
    const response = await http.fetch(narinfo, { timeoutMs })
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
  const storePath = /^StorePath: *(.*?)\s*$/m.exec(text)?.[1]
  if (storePath === path) return undefined
  const other = storePath === undefined ? 'no narinfo' : `of ${storePath.slice(0, 300)}`
  return {
    message: `${missing} is ${other}`,
    hint: 'check cache.url: is a binary cache of Nix there?',
    passing: 'no',
  }
}
