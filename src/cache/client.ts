// How the cache is asked: by its URL, with the login that cache.netrcFile has for its host.

import { findCredentialFile, refuseMissing, refuseSecret } from '../base/credential-file.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import type { Http, HttpRequest, HttpResponse } from '../base/http.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { findLogin, type Login } from './netrc.ts'

const KEY = 'cache.netrcFile'
const LOGIN_ITSELF = { what: 'a login', pattern: /\b(?:machine|default|login|password)\s/i }
const S3 =
  'S3 answers so for what it does not have, too, if the bucket may not be listed: does the copy unit upload to this cache?'
const MISSING = { what: 'netrc file of the cache', put: 'put the file with the login there' }

export interface CacheClient {
  /** `https://cache.example.org` */
  url: string
  /**
   * Asks for `nix-cache-info` or `<hash>.narinfo`.
   *
   * @throws UsageError if the login cannot be read; HttpError if no whole answer came
   */
  fetch(name: string, request: Pick<HttpRequest, 'timeoutMs' | 'maxBytes'>): Promise<HttpResponse>
  /**
   * What an answer says of the login, as the end of “the cache …”. Undefined if it is about something else. It says nothing
   * of what the cache has.
   */
  explainRefusal(answer: Pick<HttpResponse, 'status' | 'url'>): Refusal | undefined
  /**
   * The file with the login, whether it has one for this cache, and the line that would be one; undefined without
   * `cache.netrcFile`.
   *
   * @throws UsageError if it cannot be read
   */
  readLogin(): { file: string; found: boolean; line: string } | undefined
}

export interface Refusal {
  /** `wants a login` */
  why: string
  hint: string[]
  /** whether a copy may help: S3 answers 403 also for what it does not have */
  copying: 'worthwhile' | 'useless'
}

/** The file is read when the first request is sent: a detached hook sends none, and has no such file. */
export function openCacheClient(
  { url, netrcFile }: { url: string; netrcFile?: string | undefined },
  { http, env }: { http: Http; env: Readonly<Record<string, string | undefined>> },
): CacheClient {
  const { hostname, origin } = new URL(url)
  // the name of an IPv6 address has no brackets there
  const host = hostname.replace(/^\[|\]$/g, '')
  const entry = `machine ${host} login NAME password PASSWORD`
  let known: { file: string; login: Login | undefined } | undefined
  const read = () => {
    if (netrcFile !== undefined) known ??= readNetrc(netrcFile, host, env)
    return known
  }

  const whyRefused = (answered: string): { why: string; hint: string } => {
    if (answered !== origin) {
      return {
        why: `redirects to ${answered}, which wants a login`,
        hint: 'the login is sent to the host of cache.url alone: if the cache is there, correct cache.url',
      }
    }
    const { file, login } = read() ?? {}
    if (file === undefined) {
      return { why: 'wants a login', hint: `name a netrc file in ${KEY} that has the line: ${entry}` }
    }
    return login
      ? { why: `refuses the login in ${file} (${KEY})`, hint: `correct the entry of ${host} there` }
      : { why: `wants a login, and ${file} (${KEY}) has none for ${host}`, hint: `add the line: ${entry}` }
  }

  return {
    url,
    async fetch(name, request) {
      const login = read()?.login
      // a redirect to another host goes on without it (base/http.ts)
      return http.fetch(`${url}/${name}`, { ...request, ...(login && { headers: authorization(login) }) })
    },
    explainRefusal({ status, url: answeredBy }) {
      if (status !== 401 && status !== 403) return undefined
      const { why, hint } = whyRefused(new URL(answeredBy).origin)
      return status === 401
        ? { why, hint: [hint], copying: 'useless' }
        : { why, hint: [hint, S3], copying: 'worthwhile' }
    },
    readLogin() {
      const found = read()
      return found && { file: found.file, found: found.login !== undefined, line: entry }
    },
  }
}

/** https://www.rfc-editor.org/rfc/rfc7617 */
function authorization({ login, password }: Login): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}` }
}

function readNetrc(
  netrcFile: string,
  host: string,
  env: Readonly<Record<string, string | undefined>>,
): { file: string; login: Login | undefined } {
  refuseSecret(netrcFile, KEY, LOGIN_ITSELF)
  const file = findCredentialFile(netrcFile, { what: 'the netrc file of the cache', key: KEY }, env)
  let content: string
  try {
    content = readSmallFile(file, { links: 'follow' })
  } catch (error) {
    throw new UsageError(`cannot read the cache's login in ${file} (${KEY}): ${messageOf(error)}`, {
      hint: 'let the user read it whom this runs as, or let systemd hand it over (LoadCredential=)',
      cause: error,
    })
  }
  refuseMissing(content, MISSING)
  const found = findLogin(content, host)
  if (found.kind === 'invalid') {
    throw new UsageError(`${file} (${KEY}) is no netrc file: line ${found.line}: ${found.why}`)
  }
  return { file, login: found.kind === 'login' ? found.login : undefined }
}
