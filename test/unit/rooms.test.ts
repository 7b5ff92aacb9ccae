// The house: which room may know which, and that no file needs itself. docs/architecture.md says what the rooms are for.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const SRC = join(import.meta.dirname, '../../src')

/** What each room may import besides itself; a file stands for that file alone. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  hydra: ['base'],
  state: ['base'],
  channels: ['hydra', 'base'],
  status: ['channels', 'hydra', 'state', 'base'],
  // they have what the rooms above define, and know no more of them
  github: ['channels/forge.ts', 'channels/relation.ts', 'status/survey.ts', 'base'],
  cache: ['base'],
  // the stories
  'hook.ts': ['channels', 'cache', 'hydra', 'state', 'base', 'run-options.ts', 'github/config.ts'],
  'reconcile.ts': ['channels', 'cache', 'hydra', 'state', 'base', 'run-options.ts', 'github/config.ts'],
  'run-options.ts': ['channels', 'base', 'config.ts'],
  'config.ts': [
    ...['cache/config.ts', 'channels/rule.ts', 'github/config.ts', 'hydra/config.ts', 'state/kick.ts'],
    'base',
  ],
}

/** They put all of it together. */
const MAY_IMPORT_ALL = ['commands', 'doctor', 'setup']

const MAX_LOOSE_FILES = 4

/** `channels/settle.ts` and what it imports. */
function readImports(): Map<string, string[]> {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    file => file.endsWith('.ts') && !file.endsWith('.d.ts'),
  )
  return new Map(
    files.map(file => {
      const text = readFileSync(join(SRC, file), 'utf8')
      const imported = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)]
      const paths = imported.map(([, path = '']) => relative(SRC, join(SRC, dirname(file), path)))
      return [file, paths]
    }),
  )
}

const roomOf = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file)

/** `channels/plan.ts imports config.ts` for each import that its room may not have. */
function findWrongImports(imports: ReadonlyMap<string, readonly string[]>): string[] {
  return [...imports].flatMap(([file, imported]) => {
    const room = roomOf(file)
    if (MAY_IMPORT_ALL.includes(room)) return []
    const allowed = [room, ...(MAY_IMPORT[room] ?? [])]
    return imported
      .filter(other => !allowed.includes(other) && !allowed.includes(roomOf(other)))
      .map(other => `${file} imports ${other}`)
  })
}

/** `a.ts → b.ts → a.ts`, the first that is found from each file. */
function findCircles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (path.includes(file) || done.has(file)) return
    for (const other of imports.get(file) ?? []) visit(other, [...path, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return circles
}

test('every room is known, and few files are in none', () => {
  const rooms = new Set([...readImports().keys()].map(roomOf))
  const known = [...Object.keys(MAY_IMPORT), ...MAY_IMPORT_ALL]
  assert.deepEqual([...rooms].sort(), known.sort())
  const loose = [...rooms].filter(room => room.endsWith('.ts'))
  assert.ok(loose.length <= MAX_LOOSE_FILES, loose.join(', '))
})

test('imports go in one direction', () => {
  assert.deepEqual(findWrongImports(readImports()), [])
})

test('no file imports itself, however far around', () => {
  assert.deepEqual(findCircles(readImports()), [])
})

test('a wrong import and a circle are found', () => {
  const imports = new Map([
    ['channels/a.ts', ['channels/b.ts', 'github/refs.ts']],
    ['channels/b.ts', ['base/log.ts', 'channels/c.ts']],
    ['channels/c.ts', ['channels/a.ts']],
    ['base/log.ts', ['config.ts']],
    ['github/refs.ts', ['channels/forge.ts', 'channels/settle.ts']],
    ['commands/status.ts', ['github/refs.ts', 'config.ts']],
  ])
  assert.deepEqual(findWrongImports(imports), [
    'channels/a.ts imports github/refs.ts',
    'base/log.ts imports config.ts',
    'github/refs.ts imports channels/settle.ts',
  ])
  assert.deepEqual(findCircles(imports), ['channels/a.ts → channels/b.ts → channels/c.ts → channels/a.ts'])
})
