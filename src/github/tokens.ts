// The installation token of one repository: kept between processes, made when it is needed, renewed when GitHub refuses it.
import { systemClock } from '../base/clock.ts'
import type { AppCredentials } from './credentials.ts'
import type { RequestOptions } from './request.ts'
import { type Access, openTokenCache } from './token-cache.ts'

/** GitHub may refuse a token for some seconds after it was made. */
const FRESH_TOKEN_MS = 10_000

export interface TokenOptions extends RequestOptions {
  /** `alice/dotfiles` */
  repository: string
  /** where installation tokens are kept; undefined keeps none */
  cacheDirectory: string | undefined
}

export interface InstallationTokens {
  access(): Promise<Access>
  /** Makes another token in place of a refused one; false if the refused one is only seconds old. */
  renew(refused: Access): boolean
  isFresh(): boolean
}

/** Makes at most one token at a time, however many requests find that the old one is refused. */
export function openTokens(credentials: AppCredentials, options: TokenOptions): InstallationTokens {
  const cache = openTokenCache(options.cacheDirectory, credentials, options)
  let current: Promise<Access> | undefined
  let origin: 'cached' | 'new' = 'cached'
  /** undefined while one is being made */
  let newest: { token: string; madeAt: number } | undefined

  async function mint(): Promise<Access> {
    const { mintToken } = await import('./app.ts')
    const access = await mintToken(credentials, options.repository, options)
    newest = { token: access.token, madeAt: systemClock.elapsed() }
    cache.store(access)
    return access
  }

  function startMinting(): Promise<Access> {
    origin = 'new'
    newest = undefined
    const minting = mint()
    // its user handles the failure, but after another failure there may be no user
    minting.catch(() => {})
    return minting
  }

  const isFresh = () => newest !== undefined && systemClock.elapsed() - newest.madeAt < FRESH_TOKEN_MS

  return {
    access() {
      if (!current) {
        const cached = cache.find()
        current = cached ? Promise.resolve(cached) : startMinting()
      }
      return current
    },
    renew(refused) {
      const renewed = origin === 'new' && refused.token !== newest?.token
      if (!renewed) {
        if (origin === 'new' && isFresh()) return false
        cache.drop()
        current = startMinting()
      }
      return true
    },
    isFresh,
  }
}
