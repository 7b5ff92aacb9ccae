// The configuration file: JSON, strict, no secrets. README.md has the table of keys.
import { accessSync, constants, readFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { DEFAULT_API_URL, DEFAULT_CONFIG_FILE } from './base/defaults.ts'
import { codeOf, messageOf, UsageError } from './base/errors.ts'
import { explainIssues } from './base/schema.ts'
import { ruleSchema } from './channels/rule.ts'

export const DEFAULT_KICK_FILE = '/run/hydra-channels-kick/kick'

/** A timer takes at most 2^31 ms; a week is more than anybody waits. */
const MAX_SECONDS = 7 * 24 * 3600

const text = (expected: string) => z.string(expected).check(z.minLength(1, expected))

const seconds = z
  .number('a number of seconds')
  .check(z.positive('more than 0 seconds'), z.maximum(MAX_SECONDS, `at most ${MAX_SECONDS} seconds`))

const PORT = 'a port from 1 to 65535'
const port = z.int(PORT).check(z.minimum(1, PORT), z.maximum(65535, PORT))

/** Compared with the host of a flakeref, which has no port either. */
const HOST = 'a host name without scheme, port and path'
const hostName = z.string(HOST).check(z.regex(/^(?:[\w.-]+|\[[\da-f:.]+\])$/i, HOST))

const url = z.pipe(
  z.string('a URL').check(
    z.refine(value => URL.canParse(value), { error: 'a URL', abort: true }),
    // a password with a slash in it is a path to the parser, and would be shown with the URL
    z.refine(value => !value.includes('@'), 'a URL without user information'),
    z.refine(isSecure, 'an https URL (http only on this machine, as in http://127.0.0.1:8080)'),
    z.refine(value => !/[?#]/.test(value), 'a URL without “?” and “#”'),
  ),
  // paths are put behind it, so without the blanks that a URL may have around it
  z.transform(value => new URL(value).href.replace(/\/+$/, '')),
)

const cacheUnit = z
  .string('a template unit such as copy-cache@.service')
  .check(z.regex(/^[A-Za-z0-9:_.\\-]+@\.service$/, 'a template unit such as copy-cache@.service'))

const githubSchema = z.strictObject(
  {
    appId: z.optional(
      z.pipe(
        z.union(
          [text('a client id'), z.int('an App id').check(z.minimum(1, 'an App id'))],
          'the client id (Iv23li…) or the App id of the GitHub App',
        ),
        z.transform(String),
      ),
    ),
    privateKeyFile: z.optional(text('the path of a PEM file')),
    apiUrl: z._default(url, DEFAULT_API_URL),
    host: z.optional(hostName),
    attemptTimeoutSeconds: z._default(seconds, 15),
    deadlineSeconds: z._default(seconds, 90),
  },
  'an object',
)

const configSchema = z.strictObject(
  {
    github: z.prefault(githubSchema, {}),
    database: z.optional(
      z.strictObject(
        {
          host: z._default(text('a host name, or the folder of a socket'), '/run/postgresql'),
          port: z._default(port, 5432),
          user: z._default(text('a database role'), 'hydra'),
          database: z._default(text('the name of a database'), 'hydra'),
        },
        'an object',
      ),
    ),
    hydraUrl: z.optional(url),
    cache: z.optional(
      z.strictObject(
        {
          unit: z.optional(cacheUnit),
          timeoutSeconds: z._default(seconds, 3600),
          parallel: z._default(z.int('a whole number').check(z.minimum(1, 'at least 1')), 4),
          url: z.optional(url),
        },
        'an object',
      ),
    ),
    hook: z.prefault(
      z.strictObject(
        {
          mode: z._default(z.enum(['inline', 'detached'], '"inline" or "detached"'), 'inline'),
          kickFile: z._default(text('the path of a file'), DEFAULT_KICK_FILE),
        },
        'an object',
      ),
      {},
    ),
    reconcile: z.prefault(z.strictObject({ deadlineSeconds: z._default(seconds, 900) }, 'an object'), {}),
    stateDirectory: z._default(text('the path of a folder'), '/var/lib/hydra-channels'),
    channels: z.array(ruleSchema, 'a list of rules'),
  },
  'an object',
)

export type Config = z.output<typeof configSchema>
export type GitHubConfig = Config['github']
export type CacheConfig = NonNullable<Config['cache']>

/** What holds where there is no configuration file (`channel-update`, `get-flake-commit`). */
export const NO_CONFIG: Config = configSchema.parse({ channels: [] })

/**
 * Reads and checks a configuration file.
 *
 * @throws UsageError that names the file, the key, what it holds and what was expected
 */
export function readConfig(file: string): Config {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${file}: ${messageOf(error)}`, {
      hint:
        codeOf(error) === 'ENOENT'
          ? 'name another file with --config or HYDRA_CHANNELS_CONFIG, or write this one (README: Configuration)'
          : [],
      cause: error,
    })
  }
  return parseConfig(content, file)
}

/** As {@link readConfig}, of a file that has been read; `file` is for messages. */
export function parseConfig(content: string, file: string): Config {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch (error) {
    throw new UsageError(`the configuration ${file} is not JSON: ${withoutExcerpt(messageOf(error))}`)
  }
  const result = configSchema.safeParse(json, { reportInput: true })
  if (result.success) return result.data
  const [first = '', ...more] = explainIssues(result.error.issues)
  throw new UsageError(`the configuration ${file} cannot be used: ${first}`, { hint: more })
}

/**
 * The file that was named, which must be there; else the default one, where this user may read it.
 *
 * @throws UsageError as {@link readConfig}
 */
export function findConfig(named: string | undefined): Config {
  if (named !== undefined) return readConfig(named)
  try {
    accessSync(DEFAULT_CONFIG_FILE, constants.R_OK)
  } catch {
    return NO_CONFIG
  }
  return readConfig(DEFAULT_CONFIG_FILE)
}

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

/** The host that flakerefs of the channels' repositories must have. */
export function expectedHost({ apiUrl, host }: GitHubConfig): string {
  if (host !== undefined) return host.toLowerCase()
  const url = new URL(apiUrl)
  return url.pathname.endsWith('/api/v3') ? url.hostname : 'github.com'
}

/** A secret has no place in the configuration, and one that strayed there is not quoted in a log. */
function withoutExcerpt(message: string): string {
  // `Unexpected token 'g', ..."token": geheim, "de"... is not valid JSON`
  const kept = message.replace(/(?:, )?(?:\.\.\.)?".*"(?:\.\.\.)? is not valid JSON$/s, '')
  return kept.replace(/ in JSON/, '') || 'it holds no value'
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
