// `github` in the configuration.
import * as z from 'zod/mini'
import { seconds, text, url } from '../base/config-fields.ts'
import { UsageError } from '../base/errors.ts'
import { webUrlOf } from '../base/links.ts'
import { hostNamed } from '../base/repository-name.ts'

const DEFAULT_API_URL = 'https://api.github.com'

/** Compared with the host of a flakeref, which has no port either. */
const HOST = 'a host name without scheme, port and path'
const hostName = z.string(HOST).check(z.regex(/^(?:[\w.-]+|\[[\da-f:.]+\])$/i, HOST))

const HOSTS = `${HOST}, or a list of them`

export const githubSchema = z.strictObject(
  {
    appId: z.optional(
      z.pipe(
        z.union(
          // copied from a page, or read from a file, it may have blanks or a line break around it
          [
            z.string('a client id').check(z.trim(), z.minLength(1, 'a client id')),
            z.int('an App id').check(z.minimum(1, 'an App id')),
          ],
          'the client id (Iv23li…) or the App id of the GitHub App',
        ),
        z.transform(String),
      ),
    ),
    privateKeyFile: z.optional(text('the path of a PEM file')),
    apiUrl: z._default(url, DEFAULT_API_URL),
    host: z.optional(z.union([hostName, z.array(hostName).check(z.minLength(1, HOST))], HOSTS)),
    attemptTimeoutSeconds: z._default(seconds, 15),
    deadlineSeconds: z._default(seconds, 90),
  },
  'an object',
)

export type GitHubConfig = z.output<typeof githubSchema>

/**
 * An address of GitHub's API that was given beside the configuration; `name` is what it was given as.
 *
 * @throws UsageError
 */
export function parseApiUrl(value: string, name: string): string {
  const result = url.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  throw new UsageError(`${name} cannot be used: expected ${result.error.issues[0]?.message}`)
}

/**
 * The address of GitHub's API that was given beside the configuration: the option, else the environment's.
 *
 * @throws UsageError
 */
export function findApiUrl(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const given = flag ?? (env.GITHUB_API_URL || undefined)
  if (given === undefined) return undefined
  return parseApiUrl(given, flag === undefined ? 'GITHUB_API_URL' : '--api-url')
}

/** The hosts that flakerefs of the channels' repositories may have, in lower case: `github.com`, or an alias of ssh. */
export function expectedHosts({ apiUrl, host }: GitHubConfig): readonly string[] {
  if (host !== undefined) return [...new Set([host].flat().map(hostNamed))]
  return [new URL(webUrlFor({ apiUrl })).hostname]
}

/** Where the pages are that links lead to, whatever flakerefs call that host. */
export function webUrlFor({ apiUrl }: Pick<GitHubConfig, 'apiUrl'>): string {
  const { hostname, pathname } = new URL(apiUrl)
  const isServer = pathname.endsWith('/api/v3')
  // data residency: https://docs.github.com/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom
  const isGheCom = /^api\.[^.]+\.ghe\.com$/.test(hostname)
  // another address is a proxy before GitHub's own API
  return isServer || isGheCom ? webUrlOf(apiUrl) : 'https://github.com'
}
