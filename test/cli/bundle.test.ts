// hydra-hook in its two parts: with the code cache that was built, with none, and with one that is of no use.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { compileBundle } from '../../src/cli/bundle.ts'
import { cleanEnvironment } from '../helpers/command.ts'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))
const NAME = 'hydra-hook-command.cjs'
const [CACHE = ''] = readdirSync(DIST).filter(name => name.endsWith('.cache'))

function copy(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hc-bundle-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const name of ['hydra-hook.cjs', NAME, CACHE]) copyFileSync(join(DIST, name), join(directory, name))
  return directory
}

function version(directory: string): string {
  const command = join(directory, 'hydra-hook.cjs')
  const { stdout, stderr } = spawnSync(process.execPath, [command, '--version'], {
    env: cleanEnvironment(),
    encoding: 'utf8',
  })
  return stdout + stderr
}

test('this Node takes the code cache that was built, and it holds functions that only a move uses', t => {
  const file = join(DIST, NAME)
  const compile = (codeCache?: Buffer) => {
    // a file name of its own, or V8 would find the script of another call
    const script = compileBundle(
      `${file}?${codeCache ? 'cached' : 'bare'}`,
      readFileSync(file, 'latin1'),
      codeCache,
    )
    return script.createCodeCache().length
  }
  const cached = compile(readFileSync(join(DIST, CACHE)))
  assert.ok(cached > 4 * compile(), 'a cache that was refused leaves what is compiled at first')
  t.diagnostic(`${cached} bytes`)
})

for (const [name, change] of [
  ['no code cache', (file: string) => rmSync(file)],
  ['an empty one', (file: string) => writeFileSync(file, '')],
  ['one of another source', (file: string) => writeFileSync(file, new Script('1').createCachedData())],
  ['half of it', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 100_000))],
] as const) {
  test(`${name}: the hook runs without`, t => {
    const directory = copy(t)
    change(join(directory, CACHE))
    assert.match(version(directory), /^hydra-hook \d+\.\d+\.\d+\n$/)
  })
}

test('the code cache is of this very bundle: V8 itself asks only how long the source is', t => {
  const digest = createHash('sha256')
    .update(readFileSync(join(DIST, NAME)))
    .digest('hex')
  assert.equal(CACHE, `hydra-hook-command.${digest.slice(0, 16)}.cache`)
  assert.ok(readFileSync(join(DIST, 'hydra-hook.cjs'), 'utf8').includes(CACHE))
  t.diagnostic(CACHE)
})

test('a bundle that is missing is an error that names it', t => {
  const directory = copy(t)
  rmSync(join(directory, NAME))
  assert.match(version(directory), /ENOENT.*hydra-hook-command\.cjs/)
})

test('no bundle has a character that would double its size in memory and the time to read it', () => {
  const bundles = readdirSync(DIST).filter(name => name.endsWith('.cjs'))
  assert.equal(bundles.length, 5)
  for (const name of bundles) {
    assert.equal(/[^\0-\x7f]/.exec(readFileSync(join(DIST, name), 'utf8'))?.[0], undefined, name)
  }
})
