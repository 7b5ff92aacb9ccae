// Regular expressions of the program that see text from outside: none may need the square of its length. Also a script that
// is written to slow us down is looked at once (redos-detector; what it cannot decide is listed here, with the reason).
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'acorn'
import { transformSync } from 'esbuild'
import { isSafe } from 'redos-detector'

const SRC = join(import.meta.dirname, '../../src')

/** Linear all the same, or only ever on a text of the operator's own. */
const EXCEPTIONS: Record<string, string> = {
  '/\\{([^{}]*)\\}/': 'the next brace ends each attempt; the branch of a rule',
  '/^postgres(?:ql)?:\\/\\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?(\\[[^\\]]*\\]|[^:/?#@]*)(?::(\\d*))?(?:\\/([^?#@]*))?(?:\\?([^#]*))?$/':
    'begins once; the URL of Hydra’s database, from the environment',
  '/-----BEGIN|LS0tLS1CRUdJTi|MII[\\w+/\\s\\\\]{60}/':
    'looks at 60 characters after each MII; a path in the configuration',
}

function patternsOf(file: string): RegExp[] {
  const { code } = transformSync(readFileSync(file, 'utf8'), { loader: 'ts', target: 'esnext' })
  const found: RegExp[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { regex } = node as { regex?: { pattern: string; flags: string } }
    if (regex) found.push(new RegExp(regex.pattern, regex.flags))
    for (const child of Object.values(node)) visit(child)
  }
  visit(parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true }))
  return found
}

const isLinear = (pattern: RegExp) => isSafe(pattern, { maxScore: 300 }).safe

test('no pattern needs more than linear time', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  const patterns = new Set(files.flatMap(file => patternsOf(join(SRC, file)).map(String)))
  assert.ok(patterns.size > 50, `${patterns.size} patterns`)
  for (const exception of Object.keys(EXCEPTIONS)) assert.ok(patterns.has(exception), `gone: ${exception}`)
  const slow = files.flatMap(file =>
    patternsOf(join(SRC, file))
      .filter(pattern => !(String(pattern) in EXCEPTIONS) && !isLinear(pattern))
      .map(pattern => `${file}: ${pattern}`),
  )
  assert.deepEqual(slow, [])
})

test('the ones that were slow are seen to be', () => {
  const slow = [
    /(:\/\/)[^\s'"]*@/g,
    /^StorePath: *(.*?)\s*$/m,
    /<[^>]*>/g,
    /<(head|style|script)\b.*?<\/\1>/gis,
    /\/+$/,
  ]
  assert.deepEqual(slow.filter(isLinear), [])
})
