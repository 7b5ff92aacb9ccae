// What all commands have in common: arguments, --help and --version, errors, signals and the exit status.
import packageJson from '../../package.json' with { type: 'json' }
import { OperatorError, UsageError } from '../base/errors.ts'
import { createLog, type Log, printable } from '../base/log.ts'
import { onEnd } from '../base/signals.ts'
import { type Options, parseArguments, type Types, type Values } from './arguments.ts'
import type { Described } from './help.ts'

export interface Command<O extends Options = Options> extends Described {
  options: O
  /** what is written to standard output; `get-flake-commit` keeps that for the commit alone */
  logTo: 'stdout' | 'stderr'
  run(invocation: Invocation<O>): Promise<'ok' | 'failed'>
}

export interface Invocation<O extends Types> {
  values: Values<O>
  positionals: string[]
  env: Readonly<Record<string, string | undefined>>
  log: Log
  /** writes to standard output what is safe already: a table with colours, JSON */
  print: (text: string) => void
  /** says an error with what to do about it, and goes on */
  report: (error: unknown) => void
  /** on a terminal, how far a long run is: one line, which the next one replaces */
  progress: (text: string) => void
}

/** Runs a command to its end and leaves the process: 0 expected, 1 trouble, 2 unusable arguments or configuration. */
export async function main<O extends Options>(
  command: Command<O>,
  args: readonly string[] = process.argv.slice(2),
): Promise<void> {
  const progress = createProgress()
  const write = (name: StreamName, text: string) => {
    progress.clear()
    open(name).write(text)
  }
  const err = createLog(text => write('stderr', text))
  const out = command.logTo === 'stderr' ? err : createLog(text => write('stdout', text))
  const log: Log = out
  const end = (status: number) => {
    out.end()
    err.end()
    return leave(status)
  }
  const print = (text: string) => write('stdout', text)
  const report = (error: unknown) => {
    for (const line of describeError(error)) err.line(line)
  }
  try {
    const { values, positionals } = await parseArguments(command.name, command.options, args)
    if (values.help) print((await import('./help.ts')).renderHelp(command))
    else if (values.version) print(`${command.name} ${packageJson.version}\n`)
    else {
      const ended = await command.run({
        values,
        positionals,
        env: process.env,
        log,
        report,
        print,
        progress: progress.show,
      })
      progress.clear()
      await end(ended === 'ok' ? 0 : 1)
    }
  } catch (error) {
    report(error)
    await end(error instanceof UsageError ? 2 : 1)
  }
}

type StreamName = 'stdout' | 'stderr'

const opened = new Map<StreamName, NodeJS.WriteStream>()

/** Node makes a stream when it is asked for, which takes 3 ms: most runs have nothing to say on standard error. */
function open(name: StreamName): NodeJS.WriteStream {
  let stream = opened.get(name)
  if (!stream) {
    stream = process[name]
    // a reader that went away (`| head`) is no reason for a stack
    stream.on('error', () => {})
    opened.set(name, stream)
  }
  return stream
}

/** What was written may still be on its way into a pipe, whose reader takes its time. */
async function leave(status: number): Promise<never> {
  const drained = [...opened.values()].map(
    stream => new Promise<void>(resolve => stream.write('', () => resolve())),
  )
  await Promise.all(drained)
  process.exit(status)
}

/** Does nothing without a terminal: in a log each of its lines would stay. */
function createProgress(): { show(text: string): void; clear(): void } {
  let shown = false
  let ignoreSignals = () => {}
  const clear = () => {
    if (!shown) return
    ignoreSignals()
    open('stderr').write('\r\u001b[K')
    shown = false
  }
  return {
    show(text) {
      const terminal = open('stderr')
      if (!terminal.isTTY) return
      clear()
      terminal.write(printable(text).slice(0, (terminal.columns ?? 80) - 1))
      shown = true
      ignoreSignals = onEnd(clear)
    },
    clear,
  }
}

/** The configuration's file, if the option or the environment names one. */
export function configFile(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return flag ?? (env.HYDRA_CHANNELS_CONFIG || undefined)
}

/** For the operator: message and hint. For everybody else, a bug or an outage: message, causes and stack. */
function describeError(error: unknown): string[] {
  if (error instanceof OperatorError) return [error.message, ...error.hint]
  const lines = ['unexpected error, please report it:']
  for (let at: unknown = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    const text = at instanceof Error ? (at.stack ?? at.message) : String(at)
    lines.push(
      ...text.split('\n').map((line, index) => (index === 0 && at !== error ? `caused by ${line}` : line)),
    )
  }
  return lines
}
