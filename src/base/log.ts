// The log is the interface: Hydra shows it as plain text to anyone, so nothing in it may be raw that other people
// wrote. Job names, descriptions, flakerefs and answers from the network all pass through `printable`.

/**
 * C0 (with line breaks), DEL, C1, the line and paragraph separators, and the bidirectional controls, which can
 * make a line read as another one (https://trojansource.codes).
 */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** `text` on one line, with every control character written as JSON would: `\u001b`. */
export function printable(text: string): string {
  return text.replace(CONTROLS, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The lines of another program's output, for the log: without blank ones, and none of them raw or long. */
export function printableLines(output: string): string[] {
  return output
    .split(/\r?\n/)
    .map(line => lineOf(line.trimEnd()))
    .filter(line => line !== '')
}

/** `1 output`, `2 outputs`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** So many names are a line that somebody still reads. */
const MAX_NAMES = 10

/** `a, b, c and 9 more` */
export function listSome(names: readonly string[], max = MAX_NAMES): string {
  if (names.length <= max + 1) return names.join(', ')
  return `${names.slice(0, max).join(', ')} and ${names.length - max} more`
}

/** The beginning of a text that may be of any length. */
export function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}…` : text
}

/** The first seven digits, as git and GitHub abbreviate. */
export function short(sha: string): string {
  return sha.slice(0, 7)
}

export interface Log {
  /** One line; what may be in it of other people's is escaped here, once, for everybody. */
  line(text: string): void
}

/** Of what other people wrote, a line shows the beginning. */
const MAX_LINE = 8_000

/** A run that has more to say than this shows its beginning and its last lines, which have the verdict. */
const MAX_LOG = 2_000_000
const LAST_LINES = 50

/** `text` as a line of the log. */
export function lineOf(text: string): string {
  const line = printable(text.slice(0, MAX_LINE))
  if (text.length <= MAX_LINE && line.length <= MAX_LINE) return line
  return `${line.slice(0, MAX_LINE)}… (cut: ${text.length} characters)`
}

/** `end` writes what is left, and how much was left out. */
export function createLog(write: (text: string) => void): Log & { end(): void } {
  let room = MAX_LOG
  let omitted = 0
  let last: string[] = []
  return {
    line(text) {
      const line = `${lineOf(text)}\n`
      if (room > 0) {
        room -= line.length
        write(line)
        if (room <= 0)
          write(`… (the log is full: the last ${LAST_LINES} of the other lines follow at the end)\n`)
        return
      }
      last.push(line)
      if (last.length <= 2 * LAST_LINES) return
      omitted += last.length - LAST_LINES
      last = last.slice(-LAST_LINES)
    },
    end() {
      omitted += Math.max(0, last.length - LAST_LINES)
      last = last.slice(-LAST_LINES)
      if (omitted > 0) write(`… (${count(omitted, 'line')} left out)\n`)
      for (const line of last) write(line)
      last = []
      omitted = 0
    },
  }
}
