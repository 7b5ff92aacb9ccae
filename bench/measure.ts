// One process from its start to its end, as its parent sees it.
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Command {
  command: string
  args: string[]
  env: Record<string, string>
}

/** @throws Error with all output of the process, if it did not end well */
export async function time({ command, args, env }: Command, directory: string): Promise<number> {
  const log = join(directory, 'log')
  const descriptor = openSync(log, 'w')
  try {
    const began = performance.now()
    const child = spawn(command, args, { cwd: '/', env, stdio: ['ignore', descriptor, descriptor] })
    const status = await new Promise<number | string | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve(code ?? signal))
    })
    const ms = performance.now() - began
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}\n${readFileSync(log, 'utf8')}`)
    return ms
  } finally {
    closeSync(descriptor)
  }
}

/** The processes that a command consists of, itself among them; undefined if there is no strace. */
export async function countProcesses(
  { command, args, env }: Command,
  directory: string,
): Promise<number | undefined> {
  const trace = join(directory, 'trace')
  const strace = ['-f', '-qq', '-o', trace, '-e', 'trace=clone,clone3,fork,vfork', command, ...args]
  try {
    await time({ command: 'strace', args: strace, env }, directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const started = readFileSync(trace, 'utf8').match(/ (clone3?|v?fork)\((?!.*CLONE_THREAD)/g)
  return 1 + (started?.length ?? 0)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2
}
