// A terminal without a screen: a command runs in it, and what it shows is kept, as lines or as a page for a browser.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CommandName, cleanEnvironment } from './command.ts'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))

/** Why nothing can be shown in a terminal; false if it can. */
export const withoutTerminal = (process.env.PATH ?? '')
  .split(':')
  .some(folder => existsSync(join(folder, 'script')))
  ? false
  : 'script (of util-linux) is not installed'

/** Runs a built command in a terminal that is so many columns wide. */
export function runInTerminal(
  name: CommandName,
  args: readonly string[],
  { columns, env }: { columns: number; env: Record<string, string | undefined> },
): Promise<string> {
  const words = [process.execPath, join(DIST, `${name}.cjs`), ...args].map(word => `'${word}'`)
  const command = `stty cols ${columns} rows 60; exec ${words.join(' ')}`
  return new Promise((resolve, reject) => {
    const options = {
      env: cleanEnvironment({ TERM: 'xterm-256color', SHELL: '/bin/sh', TZ: 'UTC', ...env }),
    }
    const child = execFile('script', ['--quiet', '--return', '--command', command, '/dev/null'], options)
    let output = ''
    child.stdout?.on('data', chunk => {
      output += chunk
    })
    child.stdin?.end()
    child.once('error', reject)
    child.once('close', code =>
      code === 0 ? resolve(output) : reject(new Error(`${name} ended with ${code}: ${output}`)),
    )
  })
}

/** What stands on the screen in the end: a line that is written over is not there any more. Colours stay. */
export function linesOnScreen(output: string): string[] {
  return output
    .split(/\r?\n/)
    .map(line => line.slice(line.lastIndexOf('\r') + 1).replaceAll('\u001b[K', ''))
    .join('\n')
    .trimEnd()
    .split('\n')
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const COLOURS: Record<string, string> = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341' }

/** A page with the lines, below the command that was typed. */
export function renderScreen(typed: string, lines: readonly string[]): string {
  const html = lines.map(line =>
    escaped(line)
      .replace(/\u001b\[(3[123])m/g, (_, colour) => `<span style="color:${COLOURS[colour]}">`)
      .replaceAll('\u001b[39m', '</span>'),
  )
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: #161b22 }
    pre { display: inline-block; margin: 0; padding: 16px 20px; color: #d6dde6;
      font: 14px/1.35 "DejaVu Sans Mono", monospace }
  </style><pre><b>$ ${escaped(typed)}</b>\n${html.join('\n')}</pre>`
}
