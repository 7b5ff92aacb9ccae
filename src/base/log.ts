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

/** The lines of another program's output, for the log: without blank ones, and none of them raw. */
export function printableLines(output: string): string[] {
  return output
    .split(/\r?\n/)
    .map(line => printable(line.trimEnd()))
    .filter(line => line !== '')
}

/** `1 output`, `2 outputs`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** The first seven digits, as git and GitHub abbreviate. */
export function short(sha: string): string {
  return sha.slice(0, 7)
}

export interface Log {
  /** One line; what may be in it of other people's is escaped here, once, for everybody. */
  line(text: string): void
}

export function createLog(write: (text: string) => void): Log {
  return { line: text => write(`${printable(text)}\n`) }
}
