// The owner's systemd unit that copies a store path to the binary cache: one for each path, whose instance is the whole
// path, as `%I` (systemd.unit(5)).
import { spawn } from 'node:child_process'
import type { CacheOptions } from './cache.ts'
import { codeOf, messageOf, OperatorError } from './errors.ts'
import { printableLines } from './log.ts'

/** systemd's own limit on the name of a unit. */
const MAX_UNIT_NAME = 255

/** What systemd says that is worth repeating; more of it is in the journal. */
const MAX_LINES = 20

/** As much of what a command says is kept, in characters: one that never stops would fill the memory. */
const MAX_OUTPUT = 1024 * 1024

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
  const { status, lines } = await run('systemctl', args, options)
  if (status === 0) return
  const journal = `see journalctl -u '${units[0]}'`
  if (status === 'timeout') {
    throw new OperatorError(
      `cannot copy to the cache: systemctl start did not end within ${options.config.timeoutSeconds} s (cache.timeoutSeconds)`,
      { hint: [...lines, `the copy may still be running: ${journal}`] },
    )
  }
  throw new OperatorError(`cannot copy to the cache: systemctl start ${ended(status)}`, {
    // of a unit that failed, systemctl itself says where to look
    hint: lines.some(line => line.includes('journalctl')) ? lines : [...lines, journal],
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
        { hint: 'a shorter name of the package or system helps: every “-” in it counts four' },
      )
    }
  }
  // without --path, %I is the whole path again, with the slash at its beginning
  const args = [`--template=${template}`, '--', ...paths]
  const { status, lines, stdout } = await run('systemd-escape', args, options)
  const units = stdout.split(/\s+/).filter(name => name !== '')
  if (status !== 0 || units.length !== paths.length) {
    throw new OperatorError(`cannot make unit names of ${template}: systemd-escape ${ended(status)}`, {
      hint: lines,
    })
  }
  return units
}

/** systemd.unit(5): what is not a letter, a digit, “:”, “_”, “.” or “/” becomes four characters, as in `\x2d`. */
function escapedLength(path: string): number {
  return path.length + 3 * (path.match(/[^A-Za-z0-9:_./]/g)?.length ?? 0)
}

type Status = number | 'timeout' | NodeJS.Signals

function ended(status: Status): string {
  return typeof status === 'number' ? `ended with status ${status}` : `was ended (${status})`
}

/** Runs a command of systemd, without a shell, within `cache.timeoutSeconds`. */
function run(
  command: string,
  args: readonly string[],
  { config, env }: CacheOptions,
): Promise<{ status: Status; stdout: string; lines: string[] }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...env, LC_ALL: 'C.UTF-8', SYSTEMD_COLORS: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
      // whatever it started may hold the pipes open
      child.stdout.destroy()
      child.stderr.destroy()
    }, config.timeoutSeconds * 1000)
    const stopWithUs = () => child.kill()
    process.once('exit', stopWithUs)

    let stdout = ''
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout = `${stdout}${chunk}`.slice(-MAX_OUTPUT)
      output = `${output}${chunk}`.slice(-MAX_OUTPUT)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-MAX_OUTPUT)
    })
    const settle = () => {
      clearTimeout(timer)
      process.removeListener('exit', stopWithUs)
    }
    child.on('error', error => {
      settle()
      const missing = codeOf(error) === 'ENOENT'
      reject(
        new OperatorError(
          `cannot copy to the cache: ${missing ? `there is no ${command} in PATH` : messageOf(error)}`,
          {
            hint: missing ? 'a cache unit needs systemd; cache.url alone needs none' : [],
            cause: error,
          },
        ),
      )
    })
    child.on('close', (code, signal) => {
      settle()
      const lines = printableLines(output).slice(-MAX_LINES)
      resolve({ status: timedOut ? 'timeout' : (code ?? signal ?? 1), stdout, lines })
    })
  })
}
