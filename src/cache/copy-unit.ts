// The owner's systemd unit that copies a store path to the binary cache: one for each path, whose instance is the whole
// path, as `%I` (systemd.unit(5)).

import { messageOf, OperatorError } from '../base/errors.ts'
import { journalCommand } from '../base/links.ts'
import { describeEnd, type ProgramRun, runProgram } from '../base/run-program.ts'
import type { CacheOptions } from './options.ts'

/** systemd's own limit on the name of a unit. */
const MAX_UNIT_NAME = 255

/** We repeat only the last lines of systemd's output: all of them are in the journal. */
const MAX_LINES = 20

/** What waits for no copy answers at once, or hangs. */
const ANSWER_SECONDS = 30

/**
 * Starts the unit of each path, and waits for their ends unless `more` says `--no-block`.
 *
 * @param template `copy-cache@.service`
 * @throws OperatorError with what systemd said
 */
export async function startUnits(
  template: string,
  paths: readonly string[],
  options: CacheOptions,
  more: readonly string[] = [],
): Promise<void> {
  const units = await unitsOf(paths, template, options)
  const args = ['--no-ask-password', ...more, 'start', '--', ...units]
  const { timeoutSeconds } = options.config
  const seconds = more.includes('--no-block') ? answerSeconds(options) : timeoutSeconds
  const { how, lines } = await run('systemctl', args, options, seconds)
  if (how === 0) return
  const journal = `see ${journalCommand(units[0] ?? '')}`
  if (how === 'timeout') {
    throw new OperatorError(
      `cannot copy to the cache: systemctl start did not end within ${seconds} s${seconds === timeoutSeconds ? ' (cache.timeoutSeconds)' : ''}`,
      { hint: [...lines, `the copy may still be running: ${journal}`] },
    )
  }
  throw new OperatorError(`cannot copy to the cache: systemctl start ${describeEnd(how)}`, {
    // systemctl may have said where to look, but not so that a shell takes it: the name has backslashes
    hint: [...lines, journal],
  })
}

/** `copy-cache@-nix-store-….service` for each path. */
async function unitsOf(paths: readonly string[], template: string, options: CacheOptions): Promise<string[]> {
  for (const path of paths) {
    // systemd-escape refuses all paths together, and does not say which it was
    const length = template.length + escapedLength(path)
    if (length > MAX_UNIT_NAME) {
      throw new OperatorError(
        `cannot copy ${path}: its unit would have a name of ${length} characters, and systemd takes ${MAX_UNIT_NAME}`,
        { hint: 'a shorter name of the package or system helps: every “-” counts as four characters' },
      )
    }
  }
  // without --path, %I is the whole path again, with the slash at its beginning
  const args = [`--template=${template}`, '--', ...paths]
  const { how, lines, stdout } = await run('systemd-escape', args, options, answerSeconds(options))
  const units = stdout.split(/\s+/).filter(name => name !== '')
  if (how !== 0 || units.length !== paths.length) {
    throw new OperatorError(`cannot make unit names of ${template}: systemd-escape ${describeEnd(how)}`, {
      hint: lines,
    })
  }
  return units
}

/** systemd.unit(5): what is not a letter, a digit, “:”, “_”, “.” or “/” becomes four characters, as in `\x2d`. */
function escapedLength(path: string): number {
  return path.length + 3 * (path.match(/[^A-Za-z0-9:_./]/g)?.length ?? 0)
}

/** How long systemd may take for what waits for no copy. */
export const answerSeconds = ({ config }: Pick<CacheOptions, 'config'>) =>
  Math.min(ANSWER_SECONDS, config.timeoutSeconds)

/** Runs a program of systemd. */
async function run(
  program: string,
  args: readonly string[],
  { env }: CacheOptions,
  seconds: number,
): Promise<Extract<ProgramRun, { kind: 'ended' }>> {
  const ran = await runProgram(program, args, { env, timeoutMs: seconds * 1000 })
  if (ran.kind === 'ended') return { ...ran, lines: ran.lines.slice(-MAX_LINES) }
  throw ran.why === 'missing'
    ? new OperatorError(`cannot copy to the cache: there is no ${program} in PATH`, {
        hint: 'a cache unit needs systemd; cache.url alone needs none',
      })
    : new OperatorError(`cannot copy to the cache: ${messageOf(ran.why)}`, { cause: ran.why })
}
