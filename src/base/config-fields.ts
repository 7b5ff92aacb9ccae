// What several keys of the configuration have in common. Each says what it expects as the end of a sentence.
import * as z from 'zod/mini'
import { parseSpan } from './time.ts'

/** A timer takes at most 2^31 ms; a week is more than anybody waits. */
const MAX_SECONDS = 7 * 24 * 3600

export const text = (expected: string) => z.string(expected).check(z.minLength(1, expected))

export const seconds = z
  .number('a number of seconds')
  .check(z.positive('more than 0 seconds'), z.maximum(MAX_SECONDS, `at most ${MAX_SECONDS} seconds`))

function spanOf(text: string): number {
  const parsed = parseSpan(text)
  return parsed.kind === 'span' ? parsed.ms : 0
}

/** `15min`, `1h`: a timer's interval, as systemd.time(7) has it; in milliseconds */
export const span = z.pipe(
  z
    .string('a span such as 15min')
    .check(z.refine(value => spanOf(value) > 0, 'a span such as 15min, 1h or 1h30m')),
  z.transform(spanOf),
)

const PORT = 'a port from 1 to 65535'
export const port = z.int(PORT).check(z.minimum(1, PORT), z.maximum(65535, PORT))

/** @param isAllowed of a URL that can be read */
function urlThat(isAllowed: (url: URL) => boolean, expected: string) {
  return z.pipe(
    z.string('a URL').check(
      z.refine(value => URL.canParse(value), { error: 'a URL', abort: true }),
      // a password with a slash in it is a path to the parser, and would be shown with the URL
      z.refine(value => !value.includes('@'), 'a URL without user information'),
      z.refine(value => isAllowed(new URL(value)), expected),
      z.refine(value => !/[?#]/.test(value), 'a URL without “?” and “#”'),
    ),
    // paths are put behind it, so without the blanks that a URL may have around it
    z.transform(value => withoutSlashes(new URL(value).href)),
  )
}

/** What a promise depends on, or what a secret is sent to. */
export const url = urlThat(isSecure, 'an https URL (http only on this machine, as in http://127.0.0.1:8080)')

/** What is only linked to, or where somebody has said that http will do. */
export const httpUrl = urlThat(({ protocol }) => /^https?:$/.test(protocol), 'an http or https URL')

function withoutSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}

/** Everything that is not this machine must be reached over TLS. */
export function isSecure({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname))
}

function isThisMachine(hostname: string): boolean {
  return /^127(\.\d+){3}$/.test(hostname) || hostname === 'localhost' || hostname === '[::1]'
}
