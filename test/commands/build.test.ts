// What `npm run build` makes: the same files every time and everywhere, with the licences of what is in them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import packageJson from '../../package.json' with { type: 'json' }
import packageLock from '../../package-lock.json' with { type: 'json' }
import { renderShare } from '../../src/commands/share.ts'
import { runCommand } from '../helpers/command.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DIST = join(ROOT, 'dist')
const LICENCES = 'THIRD-PARTY-LICENSES'
const COMMANDS = ['channel-update.cjs', 'get-flake-commit.cjs', 'hydra-channels.cjs', 'hydra-hook.cjs']

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hc-build-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function build(checkout: string, outdir: string): Map<string, string> {
  const args = ['--import', import.meta.resolve('tsx'), join(checkout, 'build.ts'), outdir]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: checkout, encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  return read(outdir)
}

function read(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => relative(folder, join(entry.parentPath, entry.name)))
      .sort()
      .map(name => [name, readFileSync(join(folder, name), 'latin1')]),
  )
}

/** `zod` of `zod 4.6.7 (MIT)` */
function bundledPackages(): string[] {
  const sections = readFileSync(join(DIST, LICENCES), 'utf8').split(/^-{80}\n\n/m)
  return sections.slice(1).map(section => section.slice(0, section.indexOf(' ')))
}

test('two builds are identical, also in another folder', async t => {
  const folder = temporaryFolder(t)
  const checkout = join(folder, 'another', 'checkout')
  mkdirSync(checkout, { recursive: true })
  for (const name of ['build.ts', 'src', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true })
  }
  const packages: Record<string, object> = packageLock.packages
  for (const [path, { dev }] of Object.entries<{ dev?: boolean }>(packages)) {
    if (path !== '' && !dev) cpSync(join(ROOT, path), join(checkout, path), { recursive: true })
  }
  // the compiler, which is none of the packages that are bundled
  symlinkSync(join(ROOT, 'node_modules', 'esbuild'), join(checkout, 'node_modules', 'esbuild'))
  const here = build(ROOT, join(folder, 'here'))
  const there = build(checkout, join(folder, 'there'))
  const share = [...(await renderShare()).keys()].map(name => join('share', name))
  assert.deepEqual([...here.keys()], [LICENCES, ...COMMANDS, ...share].sort())
  for (const [name, content] of here) {
    assert.ok(there.get(name) === content, `${name} differs`)
    assert.ok(!content.includes(ROOT), `${name} names the folder that it was built in`)
  }
})

test('the licences of all packages that are in the commands lie beside them', () => {
  const text = readFileSync(join(DIST, LICENCES), 'utf8')
  const packages = bundledPackages()
  assert.deepEqual(packages, [...packages].sort())
  for (const name of Object.keys(packageJson.dependencies)) assert.ok(packages.includes(name), name)
  // one with a file for it, one whose licence is in its README, and one that has neither
  assert.match(text, /^zod \d.*\(MIT\)\n\nMIT License\n\nCopyright \(c\) \d+ Colin/m)
  assert.match(text, /^pgpass \d.*\(MIT\)\n\nCopyright \(c\) .*\n\nPermission is hereby granted/m)
  assert.match(text, /^postgres \d.*\(Unlicense\)\n\nThe package has no text .* author: Rasmus Porsager/m)
})

test('no command has a character that would double its size in memory and the time to read it', () => {
  for (const name of COMMANDS) {
    assert.equal(/[^\0-\x7f]/.exec(readFileSync(join(DIST, name), 'utf8'))?.[0], undefined, name)
  }
})

test('the event of a failed build ends before anything but its schema is loaded', async t => {
  const folder = temporaryFolder(t)
  const recorder = join(folder, 'recorder.cjs')
  const list = join(folder, 'loaded')
  writeFileSync(
    recorder,
    `const Module = require('node:module')
     const { appendFileSync } = require('node:fs')
     const load = Module._load
     Module._load = (name, ...more) => {
       appendFileSync(${JSON.stringify(list)}, name + '\\n')
       return load(name, ...more)
     }`,
  )
  const event = join(ROOT, 'fixtures', 'events', 'failure.json')
  const env = { HYDRA_JSON: event, NODE_OPTIONS: `--require ${recorder}` }
  const { status, log } = await runCommand('hydra-hook', [], { env })
  assert.equal(status, 0, log)
  const loaded = readFileSync(list, 'utf8').split('\n')
  assert.deepEqual([...new Set(loaded.filter(name => !/^\/|^$/.test(name)))].sort(), ['node:fs', 'node:util'])
})
