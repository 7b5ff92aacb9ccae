// What a run gives the cache: its configuration, the way to ask, and where to say what happened.
import type { Http } from '../base/http.ts'
import type { Log } from '../base/log.ts'
import { type CacheClient, openCacheClient } from './client.ts'
import type { CacheConfig } from './config.ts'

export interface CacheOptions {
  config: CacheConfig
  /** undefined if there is no `cache.url`: nobody can look */
  client: CacheClient | undefined
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
  run: Pick<CacheOptions, 'env' | 'secondMs'> & { http: Http; mode: 'move' | 'look'; log: Log },
): CacheOptions {
  const { env, secondMs, mode, log } = run
  return {
    config,
    client: findCacheClient(config, run),
    env,
    secondMs,
    mode: mode === 'move' ? 'copy-and-look' : 'look',
    log: text => log.line(text),
  }
}

/** Undefined without `cache.url`. */
export function findCacheClient(
  { url, netrcFile }: CacheConfig,
  using: { http: Http; env: CacheOptions['env'] },
): CacheClient | undefined {
  return url === undefined ? undefined : openCacheClient({ url, netrcFile }, using)
}

/** The unit that copies, if nobody can look in the cache for what it has copied. */
export function blindUnit({ config, mode }: CacheOptions): string | undefined {
  return mode === 'look' || config.url !== undefined ? undefined : config.unit
}
