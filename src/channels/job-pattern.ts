// The regular expression of a rule, on the names of jobs. Everybody who may push to the flake names jobs, and
// `(?:[a-z]+-?)+` needs twice the time for every letter more. Only node:vm can end a regular expression that runs.
import { createContext, Script } from 'node:vm'
import { codeOf } from '../base/errors.ts'

/** Longer names match no rule. */
export const MAX_JOB_LENGTH = 255

/** The time that a rule may take. A name takes microseconds, but a rule that nests repetitions may never end. */
const MAX_MATCH_MS = 1_000

/** Two repetitions beside each other, on the longest name. */
const MAX_MATCH_MS_OF_NAME = 0.2

/** Made when it is used: most hooks start for a build that failed. */
let engine: { sandbox: { pattern?: RegExp; names?: readonly string[] }; execAll: Script } | undefined

/** `job` of a rule matches the whole name. */
export function wholeName(job: string): RegExp {
  return new RegExp(`^(?:${job})$`)
}

/** Milliseconds of a processor that this process has had. */
function usedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * If the pattern takes too long, the error has the code `ERR_SCRIPT_EXECUTION_TIMEOUT`. A machine that builds is busy: a
 * match that had no processor in its time is no fault of the pattern, and is tried again.
 */
export function execOnAll(
  pattern: RegExp,
  names: readonly string[],
  { maxMs = MAX_MATCH_MS, used = usedMs } = {},
): (RegExpExecArray | null)[] {
  engine ??= {
    sandbox: createContext(Object.create(null)),
    execAll: new Script('names.map(name => pattern.exec(name))'),
  }
  const { sandbox, execAll } = engine
  Object.assign(sandbox, { pattern, names })
  const timeout = maxMs + Math.ceil(names.length * MAX_MATCH_MS_OF_NAME)
  const enough = used() + timeout / 2
  for (;;) {
    try {
      return execAll.runInContext(sandbox, { timeout })
    } catch (error) {
      if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT' || used() >= enough) throw error
    }
  }
}
