// The man page of a command, made of the texts and the table that --help is made of. The pages are in man's macros, as
// man-pages(7) describes them. groff and mandoc both read them.
import packageJson from '../../package.json' with { type: 'json' }
import type { Listed } from './all-commands.ts'
import { COMMON, type Option } from './arguments.ts'

/** `hydra-channels-status`, as git has it: `man hydra-channels status` finds it, too. */
export function pageName(command: string): string {
  return command.replaceAll(' ', '-')
}

/** @param others the names of the commands to refer to: `hydra-channels status` */
export function renderManPage(command: Listed, others: readonly string[]): string {
  const name = pageName(command.name)
  const { notes, sections } = partsOf(command.more)
  const lines = [
    `.\\" Made when the package is built, of the tables of src/commands.`,
    // no date: two builds of a release are identical
    `.TH ${[name.toUpperCase(), '1', '', `${packageJson.name} ${packageJson.version}`].map(argument).join(' ')}`,
    // a hyphen at the end of a line would look like a part of the name
    '.nh',
    '.ad l',
    '.SH NAME',
    `${roff(name)} \\- ${roff(command.summary)}`,
    '.SH SYNOPSIS',
    synopsis(command),
    ...renderSection({ title: 'Description', blocks: blocksOf(command.about) }),
    '.SH OPTIONS',
    ...Object.entries({ ...command.options, ...COMMON }).flatMap(([option, row]: [string, Option]) => [
      '.TP',
      optionLabel(option, row),
      roff(row.about),
    ]),
    ...(notes.length > 0 ? renderSection({ title: 'Notes', blocks: notes }) : []),
    ...sections.flatMap(renderSection),
    '.SH SEE ALSO',
    others.map(other => `${bold(pageName(other))}(1)`).join(',\n'),
  ]
  return `${lines.join('\n')}\n`
}

/** As it is shown: not as an escape, a macro or another kind of dash or quote. */
export function roff(text: string): string {
  return text
    .replaceAll('\\', '\\(rs')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll(
      /[^\0-\x7f]/gu,
      letter => `\\[u${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(/^\./gm, '\\&.')
}

/** Of a macro. */
function argument(text: string): string {
  return `"${roff(text).replaceAll('"', '\\(dq')}"`
}

const bold = (text: string) => `\\fB${roff(text)}\\fR`
const italic = (text: string) => `\\fI${roff(text)}\\fR`

function synopsis({ name, options, operands }: Listed): string {
  const parts = Object.entries(options).map(([option, row]) => {
    const label = [bold(`--${option}`), ...(row.value === undefined ? [] : [italic(row.value)])].join('\\ ')
    return row.required ? label : `[${label}]`
  })
  const words = (operands ?? '')
    .split(/([A-Z]+)/)
    .map(part => (/^[A-Z]/.test(part) ? italic(part) : roff(part)))
  return [bold(name), ...parts, words.join('')].join('\n').trimEnd()
}

function optionLabel(name: string, { short, value }: Option): string {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`].map(bold).join(', ')
  return value === undefined ? names : `${names} ${italic(value)}`
}

type Block =
  | { kind: 'paragraph'; text: string }
  | { kind: 'list'; items: Item[] }
  | { kind: 'verbatim'; text: string }

interface Item {
  label: string
  about: string
}

/** The texts of --help: paragraphs that begin at the left, lists and examples that are indented by two. */
function blocksOf(text: string): Block[] {
  const blocks: string[] = []
  let before = ''
  for (const line of text.split('\n')) {
    const goesOn = before !== '' && line !== '' && before.startsWith('  ') === line.startsWith('  ')
    if (goesOn) blocks[blocks.length - 1] += `\n${line}`
    else if (line !== '') blocks.push(line)
    before = line
  }
  return blocks.map(block => {
    if (!block.startsWith('  ')) return { kind: 'paragraph', text: block.replaceAll('\n', ' ') }
    const items = itemsOf(block)
    return items ? { kind: 'list', items } : { kind: 'verbatim', text: block.replaceAll(/^ {2}/gm, '') }
  })
}

/** `  held    somebody keeps it`, its further lines below the text; undefined: nothing is explained there. */
function itemsOf(block: string): Item[] | undefined {
  const rows = block.split('\n').map(line => ({ line, ...itemOf(line) }))
  if (rows.every(({ about }) => about === '')) return undefined
  const items: Item[] = []
  for (const { line, label, about } of rows) {
    const last = items.at(-1)
    // a label may take several lines
    if (label !== '' && last?.about === '' && last.label.endsWith(',')) {
      last.label += ` ${label}`
      last.about = about
    } else if (label !== '') items.push({ label, about })
    else if (last) last.about = `${last.about} ${line.trim()}`.trim()
  }
  return items
}

/** `  held    somebody keeps it`; a line that goes on is further to the right, and has no label. */
function itemOf(line: string): Item {
  const text = line.slice(2)
  if (text.startsWith(' ')) return { label: '', about: '' }
  const end = text.indexOf('  ')
  return end < 0 ? { label: text, about: '' } : { label: text.slice(0, end), about: text.slice(end).trim() }
}

function renderSection({ title, blocks }: Section): string[] {
  const lines = blocks.flatMap(renderBlock)
  // the heading has begun a paragraph
  return [`.SH ${argument(title.toUpperCase())}`, ...lines.slice(lines[0] === '.PP' ? 1 : 0)]
}

function renderBlock(block: Block): string[] {
  if (block.kind === 'paragraph') return ['.PP', roff(block.text)]
  if (block.kind === 'verbatim') return ['.PP', '.nf', '.RS', roff(block.text), '.RE', '.fi']
  return block.items.flatMap(({ label, about }) =>
    about === '' ? ['.PP', bold(label)] : ['.TP', bold(label), roff(about)],
  )
}

interface Section {
  title: string
  blocks: Block[]
}

/** `Exit status: 0 done` and `Environment:` with a list are sections of their own, and the rest is notes. */
function partsOf(more: string): { notes: Block[]; sections: Section[] } {
  const notes: Block[] = []
  const sections: Section[] = []
  const blocks = blocksOf(more)
  for (const [index, block] of blocks.entries()) {
    const text = block.kind === 'paragraph' ? block.text : ''
    const colon = text.indexOf(':')
    const [title, rest] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1).trim()]
    if (title === 'Exit status' || (title !== '' && rest === ''))
      sections.push({ title, blocks: rest === '' ? [] : [{ kind: 'paragraph', text: rest }] })
    else if (block.kind !== 'paragraph' && index > 0) sections.at(-1)?.blocks.push(block)
    else notes.push(block)
  }
  return { notes, sections }
}
