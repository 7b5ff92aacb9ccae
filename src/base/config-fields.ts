// What several keys of the configuration have in common. Each says what it expects as the end of a sentence.
import * as z from 'zod/mini'

/** A timer takes at most 2^31 ms; a week is more than anybody waits. */
const MAX_SECONDS = 7 * 24 * 3600

export const text = (expected: string) => z.string(expected).check(z.minLength(1, expected))

export const seconds = z
  .number('a number of seconds')
  .check(z.positive('more than 0 seconds'), z.maximum(MAX_SECONDS, `at most ${MAX_SECONDS} seconds`))

const PORT = 'a port from 1 to 65535'
export const port = z.int(PORT).check(z.minimum(1, PORT), z.maximum(65535, PORT))

export const url = z.pipe(
  z.string('a URL').check(
    z.refine(value => URL.canParse(value), { error: 'a URL', abort: true }),
    // a password with a slash in it is a path to the parser, and would be shown with the URL
    z.refine(value => !value.includes('@'), 'a URL without user information'),
    z.refine(isSecure, 'an https URL (http only on this machine, as in http://127.0.0.1:8080)'),
    z.refine(value => !/[?#]/.test(value), 'a URL without “?” and “#”'),
  ),
  // paths are put behind it, so without the blanks that a URL may have around it
  z.transform(value => withoutSlashes(new URL(value).href)),
)

function withoutSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}

/** Everything that is not this machine must be reached over TLS. */
function isSecure(value: string): boolean {
  const { protocol, hostname } = new URL(value)
  if (protocol === 'https:') return true
  return (
    protocol === 'http:' &&
    (/^127(\.\d+){3}$/.test(hostname) || hostname === 'localhost' || hostname === '[::1]')
  )
}
