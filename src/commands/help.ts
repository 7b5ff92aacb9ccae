// `--help`, made of a command's table.
import { COMMON, type Option, type Options } from './arguments.ts'

const WIDTH = 98

/** What `--help` says of a command. */
export interface Described {
  /** `hydra-channels status` */
  name: string
  /** `[CHANNEL…]`; undefined: it takes none */
  operands?: string
  /** what it does, in lines of at most 98 characters */
  about: string
  options: Options
  /** what follows the options: the exit status, the environment, examples */
  more: string
}

export function renderHelp({ name, operands, about, options, more }: Described): string {
  return `${[usage(name, options, operands), about.trim(), optionList(options), more.trim()].join('\n\n')}\n`
}

/** `Usage: hydra-channels hold --reason TEXT [--until TIME] CHANNEL`, in as many lines as it takes. */
function usage(name: string, options: Options, operands: string | undefined): string {
  const first = `Usage: ${name}`
  const parts = Object.entries(options).map(([option, row]) => {
    const text = labelOf(option, row)
    return row.required ? text : `[${text}]`
  })
  return wrap([...parts, ...(operands === undefined ? [] : [operands])], first, first.length)
}

function optionList(options: Options): string {
  const rows = Object.entries({ ...options, ...COMMON }).map(([name, row]: [string, Option]) => ({
    label: `  ${row.short ? `-${row.short}, ` : ''}${labelOf(name, row)}`,
    about: row.about,
  }))
  const column = Math.max(...rows.map(({ label }) => label.length)) + 1
  return [
    'Options:',
    ...rows.map(({ label, about }) => wrap(about.split(' '), label.padEnd(column), column)),
  ].join('\n')
}

function labelOf(name: string, { value }: Option): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`
}

/** The words after `first`; further lines are indented by `indent`. */
function wrap(words: readonly string[], first: string, indent: number): string {
  const lines = [first]
  for (const word of words) {
    const line = lines.at(-1) ?? ''
    const isEmpty = line.trim() === '' || (lines.length === 1 && line === first)
    if (!isEmpty && line.length + 1 + word.length > WIDTH) lines.push(`${' '.repeat(indent)} ${word}`)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}
