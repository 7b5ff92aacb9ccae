// Runs a program of this machine, without a shell. node:child_process takes 6 ms to load, so import this file
// when there is something to run.
import { type ChildProcess, spawn } from 'node:child_process'
import { codeOf } from './errors.ts'
import { printableLines } from './log.ts'
import { endsUsToo, onEnd } from './signals.ts'

/** We keep the last part of what a program writes: one that never stops would fill the memory. */
const MAX_OUTPUT_BYTES = 1024 * 1024

/** A signal that was sent to a program and to this process has arrived at both by then. */
const SIGNAL_MS = 200

export interface ProgramOptions {
  env: Readonly<Record<string, string | undefined>>
  /** The program is killed after this time. */
  timeoutMs: number
}

/** How a program ended: its exit status, the signal that ended it, or `timeout`. */
export type ProgramEnd = number | NodeJS.Signals | 'timeout'

export type ProgramRun =
  | {
      kind: 'ended'
      how: ProgramEnd
      stdout: string
      /** both streams, in the order in which they were written; safe for the log */
      lines: string[]
    }
  /** `missing`: there is no such program in PATH */
  | { kind: 'not-started'; why: 'missing' | Error }

/** All programs that run now. They end when this process ends. */
const running = new Set<ChildProcess>()
const endAll = () => {
  for (const child of running) child.kill()
}
process.on('exit', endAll)
let ignoreSignals = () => {}

export function runProgram(
  program: string,
  args: readonly string[],
  { env, timeoutMs }: ProgramOptions,
): Promise<ProgramRun> {
  return new Promise(resolve => {
    const child = spawn(program, args, {
      // we read what it writes, whatever the language of the machine is
      env: { ...env, LC_ALL: 'C.UTF-8', SYSTEMD_COLORS: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (running.size === 0) ignoreSignals = onEnd(endAll)
    running.add(child)
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
      // a program that it started may still hold the pipes open
      child.stdout.destroy()
      child.stderr.destroy()
    }, timeoutMs)
    const settle = (run: ProgramRun) => {
      clearTimeout(timer)
      running.delete(child)
      if (running.size === 0) ignoreSignals()
      resolve(run)
    }

    const stdout = keepLast(MAX_OUTPUT_BYTES)
    const output = keepLast(MAX_OUTPUT_BYTES)
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.add(chunk)
      output.add(chunk)
    })
    child.stderr.on('data', output.add)
    child.on('error', error =>
      settle({ kind: 'not-started', why: codeOf(error) === 'ENOENT' ? 'missing' : error }),
    )
    child.on('close', (code, signal) => {
      const how = timedOut ? 'timeout' : (code ?? signal ?? 1)
      const end = () =>
        settle({ kind: 'ended', how, stdout: stdout.text(), lines: printableLines(output.text()) })
      // Ctrl-C and a stop of the unit are for this process too, which may hear of its child first
      if (endsUsToo(signal)) setTimeout(end, SIGNAL_MS)
      else end()
    })
  })
}

/** `ended with status 3`, `was ended (SIGKILL)` */
export function describeEnd(how: ProgramEnd): string {
  if (how === 'timeout') return 'did not end in time'
  return typeof how === 'number' ? `ended with status ${how}` : `was ended (${how})`
}

function keepLast(maxBytes: number): { add(chunk: Buffer): void; text(): string } {
  let chunks: Buffer[] = []
  let size = 0
  return {
    add(chunk) {
      chunks.push(chunk)
      size += chunk.length
      // only now and then, so that a long output costs no more than linear time
      if (size < 2 * maxBytes) return
      chunks = [Buffer.concat(chunks).subarray(-maxBytes)]
      size = maxBytes
    },
    text: () => Buffer.concat(chunks).subarray(-maxBytes).toString(),
  }
}
