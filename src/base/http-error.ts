// What http.ts throws, for those who tell people about it: it does not load what sends requests.
import { codeOf, LATER } from './errors.ts'

/** No whole answer came: the name of the host, the connection, TLS, the time or the body failed. */
export class HttpError extends Error {
  override name = 'HttpError'
  /** `useless`: asking again would end in the same way */
  readonly retry: 'worthwhile' | 'useless'
  /** what to do about it */
  readonly hint: readonly string[]

  constructor(message: string, { retry = 'worthwhile', hint, ...options }: HttpErrorOptions = {}) {
    super(message, options)
    this.retry = retry
    this.hint = [hint ?? LATER]
  }
}

interface HttpErrorOptions extends ErrorOptions {
  retry?: 'worthwhile' | 'useless'
  hint?: string | undefined
}

export class TooLargeError extends HttpError {
  override name = 'TooLargeError'

  constructor(maxBytes: number) {
    const limit = maxBytes < 1024 * 1024 ? `${maxBytes / 1024} kB` : `${maxBytes / 1024 / 1024} MB`
    super(`the answer is larger than ${limit}`, { retry: 'useless' })
  }
}

/** Whether it passes by itself: a certificate is no better a second later. */
export function prospectOf(error: Error): Pick<HttpErrorOptions, 'retry' | 'hint'> {
  const code = codeOf(error) ?? ''
  if (!/CERT|SIGNATURE|TLS/.test(code)) return {}
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    return {
      retry: 'useless',
      hint: "is this machine's clock right? Otherwise the server needs another certificate",
    }
  }
  if (/SELF_SIGNED|ISSUER|LEAF_SIGNATURE/.test(code)) {
    return {
      retry: 'useless',
      hint: 'has a proxy on the way, or the server, a CA of its own? NixOS: security.pki.certificateFiles; elsewhere NODE_EXTRA_CA_CERTS names the file with its certificate',
    }
  }
  return { retry: 'useless' }
}

/** An answer of the proxy of `https_proxy` to CONNECT, which was not 200. */
export function refusalOfProxy(status: number, text = ''): HttpError {
  const why = `the proxy of https_proxy refuses: ${status} ${text}`.trim()
  if (status >= 500) return new HttpError(why)
  const hint =
    status === 407
      ? 'it wants a login: https_proxy=http://NAME:PASSWORD@HOST:PORT'
      : 'let it allow that host, or name the host in no_proxy'
  return new HttpError(why, { retry: 'useless', hint })
}
