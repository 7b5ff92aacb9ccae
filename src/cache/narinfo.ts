// Whether the cache has a store path: its narinfo, `<hash>.narinfo` below cache.url.
import { Semaphore } from 'async-mutex'
import { type Clock, systemClock } from '../base/clock.ts'
import { LATER, lineOfError, messageOf, OperatorError } from '../base/errors.ts'
import type { HttpResponse } from '../base/http.ts'
import { HttpError } from '../base/http-error.ts'
import type { Look, Output } from '../base/output.ts'
import type { CacheClient } from './client.ts'
import type { CacheConfig } from './config.ts'

/** After a copy, a cache may deny for a moment that it has the path, and it may have cached that answer: 31 s in all. */
const LOOK_WAITS_SECONDS = [1, 2, 4, 8, 16]
const LOOK_TIMEOUT_MS = 15_000

/** A narinfo has about 1 kB, and more if the path refers to hundreds of others. */
const MAX_NARINFO_BYTES = 256 * 1024

interface Problem {
  error: OperatorError
  /** whether another look may find it gone */
  passing: 'maybe' | 'no'
  /** `useless`: also what is there could not be seen */
  copying: 'worthwhile' | 'useless'
  /** whether the cache said that it does not have the path */
  denied: boolean
}

/** Why a store path cannot be seen in the cache; undefined if its narinfo is there. */
export async function findProblem(
  path: string,
  client: CacheClient,
  timeoutMs = LOOK_TIMEOUT_MS,
): Promise<Problem | undefined> {
  const hash = path.slice(path.lastIndexOf('/') + 1).slice(0, 32)
  const narinfo = `${client.url}/${hash}.narinfo`
  const missing = `the cache does not have ${path}: ${narinfo}`
  let answer: HttpResponse
  let text: string
  try {
    answer = await client.fetch(`${hash}.narinfo`, { timeoutMs, maxBytes: MAX_NARINFO_BYTES })
    text = await answer.text()
  } catch (error) {
    // the login could not be read
    if (error instanceof OperatorError) return { error, passing: 'no', copying: 'useless', denied: false }
    return problem(
      `cannot ask the cache for ${path}: ${messageOf(error)} (GET ${narinfo})`,
      error instanceof HttpError ? error.hint : [LATER],
      'maybe',
      false,
    )
  }
  const { status } = answer
  const refusal = client.explainRefusal(answer)
  if (refusal) {
    const error = new OperatorError(
      `the cache ${refusal.why}, so ${path} cannot be seen there: ${narinfo} answers ${status}`,
      { hint: refusal.hint },
    )
    const passing = status === 403 ? 'maybe' : 'no'
    return { error, passing, copying: refusal.copying, denied: false }
  }
  if (status !== 200) {
    const passing = [404, 408, 425, 429].includes(status) || status >= 500
    const hint = status === 404 ? 'does the copy unit upload to this cache?' : 'check cache.url'
    return problem(
      `${missing} answers ${status}`,
      hint,
      passing ? 'maybe' : 'no',
      [404, 410].includes(status),
    )
  }
  const storePath = fieldOf('StorePath', text)
  if (storePath === path) return undefined
  const other = storePath === undefined ? 'no narinfo' : `of ${storePath.slice(0, 300)}`
  const hint = 'check cache.url: is a binary cache of Nix there?'
  return problem(`${missing} is ${other}`, hint, 'no', storePath !== undefined)
}

function problem(
  message: string,
  hint: string | readonly string[],
  passing: Problem['passing'],
  denied: boolean,
): Problem {
  return { error: new OperatorError(message, { hint }), passing, copying: 'worthwhile', denied }
}

/** Of a line such as `StorePath: /nix/store/…`. */
export function fieldOf(key: string, text: string): string | undefined {
  const line = text.split('\n').find(each => each.startsWith(`${key}:`))
  return line?.slice(key.length + 1).trim()
}

/**
 * Asks for the path's narinfo until the cache has it, or answers that it never will.
 *
 * @param onWait called once, before the first wait
 */
export async function waitFor(
  path: string,
  client: CacheClient,
  { secondMs, onWait }: { secondMs: number; onWait: () => void },
): Promise<void> {
  let waits = 0
  for (const seconds of [...LOOK_WAITS_SECONDS, undefined]) {
    const found = await findProblem(path, client)
    if (!found) return
    if (seconds === undefined || found.passing === 'no') throw found.error
    if (waits++ === 0) onWait()
    await new Promise(resolve => setTimeout(resolve, seconds * secondMs))
  }
}

/** All looks together may take so long: who asks for a status waits for it. */
const LOOKS_TIMEOUT_MS = 10_000

/** Only looks: whether the outputs of a build are in the cache. The time is counted from the first look. `cache.parallel` at once. */
export function createLook(
  { parallel }: Pick<CacheConfig, 'parallel'>,
  client: CacheClient,
  clock: Clock = systemClock,
): (outputs: readonly Output[]) => Promise<Look> {
  const slots = new Semaphore(parallel)
  let endsAt: number | undefined
  return async outputs => {
    // not before: GitHub and the database may have taken longer than that
    endsAt ??= clock.elapsed() + LOOKS_TIMEOUT_MS
    const end = endsAt
    const paths = outputs.flatMap(({ path }) => path ?? [])
    const looks = await Promise.all(
      paths.map(path =>
        slots.runExclusive(async () => {
          const timeoutMs = Math.min(LOOK_TIMEOUT_MS, end - clock.elapsed())
          const found = timeoutMs > 0 ? await findProblem(path, client, timeoutMs) : undefined
          return clock.elapsed() < end ? (found ?? 'seen') : 'silent'
        }),
      ),
    )
    const problems = looks.filter(each => typeof each === 'object')
    // of several, what the cache is sure of
    const found = problems.find(({ denied }) => denied) ?? problems[0]
    if (found) {
      const { error, denied } = found
      return {
        kind: 'missing',
        why: lineOfError(error),
        ...(denied ? { absent: error.message } : { away: true }),
      }
    }
    return { kind: looks.includes('silent') ? 'silent' : 'seen' }
  }
}
