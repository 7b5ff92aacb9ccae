// The configuration file: JSON, strict, no secrets. docs/configuration.md has the table of keys.
import { accessSync, constants, readFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { httpUrl, seconds, span, text } from './base/config-fields.ts'
import { DEFAULT_CONFIG_FILE } from './base/defaults.ts'
import { codeOf, messageOf, UsageError } from './base/errors.ts'
import { jsonProblem } from './base/json-problem.ts'
import { suggestKeys } from './base/known-keys.ts'
import { explainIssues } from './base/schema.ts'
import { cacheSchema } from './cache/config.ts'
import { ruleSchema } from './channels/rule.ts'
import { githubSchema } from './github/config.ts'
import { databaseSchema } from './hydra/config.ts'
import { DEFAULT_KICK_FILE } from './state/kick.ts'

export const configSchema = z.strictObject(
  {
    github: z.prefault(githubSchema, {}),
    database: z.optional(databaseSchema),
    hydraUrl: z.optional(httpUrl),
    cache: z.optional(cacheSchema),
    hook: z.prefault(
      z.strictObject(
        {
          mode: z._default(z.enum(['inline', 'detached'], '"inline" or "detached"'), 'inline'),
          kickFile: z._default(text('the path of a file'), DEFAULT_KICK_FILE),
          deadlineSeconds: z._default(seconds, 7200),
        },
        'an object',
      ),
      {},
    ),
    reconcile: z.prefault(
      z.strictObject(
        {
          deadlineSeconds: z._default(seconds, 900),
          /** of the timer that starts it; only status says when the next one is due */
          interval: z.optional(span),
        },
        'an object',
      ),
      {},
    ),
    stateDirectory: z._default(text('the path of a folder'), '/var/lib/hydra-channels'),
    dryRun: z._default(z.boolean('true or false'), false),
    channels: z.array(ruleSchema, 'a list of rules'),
  },
  'an object',
)

export type Config = z.output<typeof configSchema>

/** The configuration if there is no file (`channel-update`, `get-flake-commit`). */
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
          ? 'name another file with --config or HYDRA_CHANNELS_CONFIG, or write this one (docs/configuration.md)'
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
  } catch {
    // the engine's own message quotes the file, and a secret may have strayed there
    throw new UsageError(`the configuration ${file} is not JSON: ${jsonProblem(content)}`)
  }
  const result = configSchema.safeParse(json, { reportInput: true })
  if (result.success) return result.data
  const [first = '', ...more] = explainIssues(result.error.issues, suggestKeys(configSchema))
  throw new UsageError(`the configuration ${file} cannot be used: ${first}`, { hint: more })
}

/**
 * The named file, which must exist; else the default file, if this user may read it.
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
