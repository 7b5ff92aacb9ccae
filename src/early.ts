// Where a hook's first request will go, from a look that checks nothing and costs next to nothing. The connection that is
// begun for it is all that depends on it: the event and the configuration are read again, and checked, by the hook itself.
import { readFileSync, statSync } from 'node:fs'
import type { Config } from './config.ts'
import { DEFAULT_API_URL, DEFAULT_CONFIG_FILE } from './defaults.ts'
import type { BuildFinished } from './hydra/event.ts'
import { execOnAll, MAX_JOB_LENGTH, wholeName } from './match.ts'

/** As they come: any part may be missing, or another thing. */
type Raw<T> = { [Key in keyof T]?: T[Key] extends object ? Raw<T[Key]> : T[Key] }

/** The API's URL, where this build will move a channel and nothing is to be copied before; undefined where it is not sure. */
export function foreseeApiUrl(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  try {
    const event: Raw<BuildFinished> = readJson(env.HYDRA_JSON ?? '')
    if (event.event !== 'buildFinished' || !event.finished || event.buildStatus !== 0) return undefined
    const file = configFile(args, env)
    if (file === undefined) return undefined
    const { github, cache, hook, channels = [] }: Raw<Config> = readJson(file)
    if (cache?.unit !== undefined || cache?.url !== undefined || hook?.mode === 'detached') return undefined
    const { project, jobset, job = '' } = event
    const rules = channels.filter(rule => rule?.project === project && rule?.jobset === jobset)
    if (job.length > MAX_JOB_LENGTH || !rules.some(rule => matches(rule?.job ?? '', job))) return undefined
    const url = github?.apiUrl ?? DEFAULT_API_URL
    return URL.canParse(url) ? url : undefined
  } catch {
    // whoever checks it says what is wrong
    return undefined
  }
}

/** What comes through a pipe can be read only once, and not here. */
function readJson<T>(file: string): T {
  if (!statSync(file).isFile()) throw new Error(`${file} is no file`)
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Undefined for arguments that are not understood here. */
function configFile(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (args.length === 0) return env.HYDRA_CHANNELS_CONFIG || DEFAULT_CONFIG_FILE
  return args.length === 2 && args[0] === '--config' ? args[1] : undefined
}

const matches = (rule: string, job: string) => execOnAll(wholeName(rule), [job])[0] !== null
