// Runs a built command as Hydra or a shell would, and keeps its output for the search for secrets.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))

export type CommandName = 'hydra-hook' | 'channel-update' | 'get-flake-commit' | 'hydra-channels'

export interface Result {
  /** the exit status, or the signal that ended it */
  status: number | NodeJS.Signals
  /** both streams in the order in which they were written, as Hydra keeps them */
  log: string
  /** if the streams were kept apart */
  stdout: string
  stderr: string
}

export interface RunOptions {
  env?: Record<string, string | undefined>
  /** `together`: one file for both, as Hydra does; `apart`: a file for each; `inherited`: our own, and nothing is kept */
  streams?: 'together' | 'apart' | 'inherited'
  cwd?: string
  /** called once the process runs, to send it a signal */
  onStart?: (child: ChildProcess) => void
}

/** The environment of a command: what a service has, and nothing of the developer's. */
export function cleanEnvironment(more: Record<string, string | undefined> = {}): Record<string, string> {
  const env: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    ...more,
  }
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

export async function runCommand(
  name: CommandName,
  args: string[] = [],
  options: RunOptions = {},
): Promise<Result> {
  const { env, streams = 'together', cwd = '/', onStart } = options
  const directory = await mkdtemp(join(tmpdir(), 'hc-run-'))
  const paths = {
    log: join(directory, 'log'),
    stdout: join(directory, 'stdout'),
    stderr: join(directory, 'stderr'),
  }
  const [out, err] = streams === 'together' ? [paths.log, paths.log] : [paths.stdout, paths.stderr]
  const descriptors = streams === 'together' ? [openSync(out, 'a')] : [openSync(out, 'a'), openSync(err, 'a')]
  const [first, last] = streams === 'inherited' ? [1, 2] : [descriptors[0], descriptors.at(-1)]
  try {
    const child = spawn(process.execPath, [join(DIST, `${name}.cjs`), ...args], {
      cwd,
      env: cleanEnvironment(env),
      stdio: ['ignore', first, last],
    })
    const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve(code ?? (signal as NodeJS.Signals)))
    })
    onStart?.(child)
    const status = await ended
    const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '')
    const result = { status, log: read(paths.log), stdout: read(paths.stdout), stderr: read(paths.stderr) }
    keepLog(`${result.log}${result.stdout}${result.stderr}`)
    return result
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor)
    await rm(directory, { recursive: true })
  }
}

/** The folder for all output and all secrets of the run; undefined for a single file that is run by hand. */
const SUITE = process.env.HYDRA_CHANNELS_TEST_SUITE

export function keepLog(text: string): void {
  if (SUITE) writeFileSync(join(SUITE, `${randomUUID()}.log`), text)
}

export function keepSecrets(secrets: Iterable<string>): void {
  if (SUITE) appendFileSync(join(SUITE, 'secrets'), [...secrets].map(secret => `${secret}\n`).join(''))
}
