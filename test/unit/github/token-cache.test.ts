// Tokens between processes: whose, how long, and what is not believed.
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { AppCredentials } from '../../../src/github/credentials.ts'
import { type Access, findCacheDirectory, openTokenCache } from '../../../src/github/token-cache.ts'

const APP: AppCredentials = { kind: 'app', appId: 'Iv1', privateKey: 'a key', source: 'flags' }
const KEY = { apiUrl: 'https://api.github.com', repository: 'alice/dotfiles' }

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hc-tokens-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

function access(more: Partial<Access> = {}): Access {
  return {
    token: 'ghs_secret',
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    fullName: 'alice/dotfiles',
    defaultBranch: 'main',
    archived: false,
    nodeId: 'R_1',
    permissions: { contents: 'write' },
    ...more,
  }
}

test('a token is found by the next process, in a file that is ours alone and says nothing by its name', t => {
  const directory = directoryFor(t)
  const kept = access()
  openTokenCache(directory, APP, KEY).store(kept)
  assert.deepEqual(openTokenCache(directory, { ...APP, source: 'configuration' }, KEY).find(), kept)
  const [name = '', ...others] = readdirSync(directory)
  assert.match(name, /^hydra-channels-token-[0-9a-f]{32}\.json$/)
  assert.deepEqual(others, [])
  assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600)
})

test('a newer token takes the place of the older one', t => {
  const directory = directoryFor(t)
  const cache = openTokenCache(directory, APP, KEY)
  cache.store(access())
  cache.store(access({ token: 'ghs_newer' }))
  assert.equal(cache.find()?.token, 'ghs_newer')
  assert.equal(readdirSync(directory).length, 1)
  cache.drop()
  assert.equal(cache.find(), undefined)
  assert.deepEqual(readdirSync(directory), [])
  cache.drop()
})

test('every App, key, API and repository has a file of its own', t => {
  const directory = directoryFor(t)
  const others: [AppCredentials, typeof KEY][] = [
    [{ ...APP, appId: 'Iv2' }, KEY],
    [{ ...APP, privateKey: 'another key' }, KEY],
    [APP, { ...KEY, apiUrl: 'https://ghe.example.org/api/v3' }],
    [APP, { ...KEY, repository: 'alice/other' }],
  ]
  openTokenCache(directory, APP, KEY).store(access())
  for (const [app, key] of others) {
    assert.equal(openTokenCache(directory, app, key).find(), undefined)
    openTokenCache(directory, app, key).store(access())
  }
  assert.equal(readdirSync(directory).length, others.length + 1)
  assert.ok(openTokenCache(directory, APP, { ...KEY, repository: 'Alice/Dotfiles' }).find())
})

for (const [left, found] of [
  [3600, true],
  [5 * 60 + 5, true],
  [5 * 60, false],
  [0, false],
  [-3600, false],
] as const) {
  test(`a token that is valid for ${left} s more is ${found ? 'used' : 'not used'}`, t => {
    const cache = openTokenCache(directoryFor(t), APP, KEY)
    cache.store(access({ expiresAt: new Date(Date.now() + left * 1000).toISOString() }))
    assert.equal(cache.find() !== undefined, found)
  })
}

test('without a directory nothing is kept', () => {
  const cache = openTokenCache(undefined, APP, KEY)
  cache.store(access())
  assert.equal(cache.find(), undefined)
  cache.drop()
})

const { token: _, ...withoutToken } = access()
for (const [what, content] of [
  ['empty', ''],
  ['half', JSON.stringify(access()).slice(0, 40)],
  ['of another shape', '[]'],
  ['null', 'null'],
  ['without a token', JSON.stringify(withoutToken)],
  ['with an empty token', JSON.stringify(access({ token: '' }))],
  ['with a time that is none', JSON.stringify(access({ expiresAt: 'soon' }))],
] as const) {
  test(`a file that is ${what} is ignored, and then replaced`, t => {
    const directory = directoryFor(t)
    const cache = openTokenCache(directory, APP, KEY)
    cache.store(access())
    const [name = ''] = readdirSync(directory)
    writeFileSync(join(directory, name), content, { mode: 0o600 })
    assert.equal(cache.find(), undefined)
    cache.store(access({ token: 'ghs_next' }))
    assert.equal(cache.find()?.token, 'ghs_next')
  })
}

for (const mode of [0o640, 0o604, 0o660, 0o644]) {
  test(`a file that others may read or write (${mode.toString(8)}) is ignored`, t => {
    const directory = directoryFor(t)
    const cache = openTokenCache(directory, APP, KEY)
    cache.store(access())
    chmodSync(join(directory, readdirSync(directory)[0] ?? ''), mode)
    assert.equal(cache.find(), undefined)
    cache.store(access())
    assert.ok(cache.find())
  })
}

test("another user's file is ignored", { skip: process.geteuid?.() !== 0 && 'only root can make one' }, t => {
  const directory = directoryFor(t)
  const cache = openTokenCache(directory, APP, KEY)
  cache.store(access())
  chownSync(join(directory, readdirSync(directory)[0] ?? ''), 12345, 12345)
  assert.equal(cache.find(), undefined)
})

test('whatever stands where the token should be kept, no channel is held up by it', t => {
  const directory = directoryFor(t)
  const cache = openTokenCache(directory, APP, KEY)
  cache.store(access())
  const file = join(directory, readdirSync(directory)[0] ?? '')
  rmSync(file)
  mkdirSync(file)
  assert.equal(cache.find(), undefined)
  cache.store(access())
  cache.drop()
  assert.deepEqual(readdirSync(directory), [file.slice(directory.length + 1)])

  const gone = openTokenCache(join(directory, 'gone'), APP, KEY)
  gone.store(access())
  gone.drop()
  assert.equal(gone.find(), undefined)
})

test('what a killed process left behind is not in the way for long', t => {
  const directory = directoryFor(t)
  const cache = openTokenCache(directory, APP, KEY)
  cache.store(access())
  const file = join(directory, readdirSync(directory)[0] ?? '')
  // not written through: it may be a link to something else
  writeFileSync(join(directory, 'precious'), 'precious')
  symlinkSync(join(directory, 'precious'), `${file}.${process.pid}`)
  cache.store(access({ token: 'ghs_second' }))
  cache.store(access({ token: 'ghs_third' }))
  assert.equal(cache.find()?.token, 'ghs_third')
  assert.equal(readFileSync(join(directory, 'precious'), 'utf8'), 'precious')
})

test('the directory is the first of RUNTIME_DIRECTORY, else XDG_RUNTIME_DIR, where it exists', t => {
  const one = directoryFor(t)
  const two = directoryFor(t)
  const missing = join(one, 'missing')
  const file = join(one, 'file')
  writeFileSync(file, '')
  const table: [Record<string, string>, string | undefined][] = [
    [{}, undefined],
    [{ RUNTIME_DIRECTORY: one }, one],
    [{ RUNTIME_DIRECTORY: `${one}:${two}` }, one],
    [{ RUNTIME_DIRECTORY: one, XDG_RUNTIME_DIR: two }, one],
    [{ RUNTIME_DIRECTORY: missing, XDG_RUNTIME_DIR: two }, two],
    [{ RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: two }, two],
    [{ RUNTIME_DIRECTORY: 'relative', XDG_RUNTIME_DIR: two }, two],
    [{ XDG_RUNTIME_DIR: missing }, undefined],
    [{ XDG_RUNTIME_DIR: file }, undefined],
  ]
  for (const [env, directory] of table) assert.equal(findCacheDirectory(env), directory)
})
