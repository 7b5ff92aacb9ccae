// The documents of this repository, as tests read them: headings, links, tables and what is in code.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

/** Each with its path from the root. */
export const DOCUMENTS: readonly string[] = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'test/README.md'],
  ...readdirSync(join(ROOT, 'docs'))
    .filter(file => file.endsWith('.md'))
    .map(file => `docs/${file}`),
]

export const readDocument = (path: string) => readFileSync(join(ROOT, path), 'utf8')

export interface Block {
  /** `nix`, or '' */
  language: string
  text: string
}

/** What stands between fences, also in a list. */
export function blocksOf(document: string): Block[] {
  return [...document.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)].map(
    ([, indent = '', language = '', text = '']) => ({
      language,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  )
}

const withoutBlocks = (document: string) => document.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '')

/** What is in backticks, without blocks. A `|` in a table is written `\|`. */
export function codesOf(document: string): string[] {
  return [...withoutBlocks(document).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** As GitHub names headings in an address. */
export function anchorsOf(document: string): string[] {
  return [...withoutBlocks(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Where its links lead, pictures included. */
export function linksOf(document: string): string[] {
  return [...withoutBlocks(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** The cells of the rows of the first table below a heading. */
export function tableBelow(document: string, heading: string): string[][] {
  const start = document.indexOf(`\n${heading}\n`)
  if (start === -1) throw new Error(`there is no heading “${heading}”`)
  const [, , ...rows] = /^\|.*\n(?:\|.*\n)*/m.exec(document.slice(start))?.[0].trimEnd().split('\n') ?? []
  return rows.map(row =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map(cell => cell.trim()),
  )
}

/** `created` of a cell that is “`created`”. */
export const inCode = (cell: string | undefined) => /^`([^`]*)`$/.exec(cell ?? '')?.[1]
