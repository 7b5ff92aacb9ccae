// Whatever another user has put in a place that is to be empty goes, and nothing else.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { removeTree } from '../../../src/base/remove-tree.ts'

interface Place {
  path: string
  /** beside it, with a file in it, which must stay */
  kept: string
}

function placeFor(t: TestContext): Place {
  const directory = mkdtempSync(join(tmpdir(), 'hc-tree-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const kept = join(directory, 'kept')
  mkdirSync(kept)
  writeFileSync(join(kept, 'file'), '')
  return { path: join(directory, 'place'), kept }
}

const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined

const KINDS: Record<string, (place: Place) => unknown> = {
  'a file': ({ path }) => writeFileSync(path, 'x'),
  'a file that nobody may read': ({ path }) => writeFileSync(path, 'x', { mode: 0 }),
  'an empty folder': ({ path }) => mkdirSync(path),
  'a tree': ({ path }) => {
    mkdirSync(join(path, 'a/b'), { recursive: true })
    mkdirSync(join(path, 'c'))
    for (const name of ['x', 'a/x', 'a/b/x', 'a/b/.y']) writeFileSync(join(path, name), '')
  },
  'a folder of hundred names': ({ path }) => {
    mkdirSync(path)
    for (let n = 0; n < 100; n++) writeFileSync(join(path, `${n}`), '')
  },
  'a name that is not UTF-8': ({ path }) => {
    mkdirSync(path)
    writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0xfe])]), '')
  },
  'a link to a folder': ({ path, kept }) => symlinkSync(kept, path),
  'a link to a file': ({ path, kept }) => symlinkSync(join(kept, 'file'), path),
  'a link that leads nowhere': ({ path }) => symlinkSync('/nonexistent', path),
  'a link to itself': ({ path }) => symlinkSync(path, path),
  'links in a folder': ({ path, kept }) => {
    mkdirSync(path)
    symlinkSync(kept, join(path, 'folder'))
    symlinkSync(join(kept, 'file'), join(path, 'file'))
    symlinkSync('..', join(path, 'above'))
  },
  'a pipe': ({ path }) => execFileSync('mkfifo', [path]),
  'a socket': async ({ path }) => {
    // Node removes the socket of a server that it closes, and not one that was renamed
    const server = createServer()
    await new Promise<void>(resolve => server.listen(`${path}.new`, resolve))
    execFileSync('mv', [`${path}.new`, path])
    await new Promise(resolve => server.close(resolve))
  },
}

for (const [what, make] of Object.entries(KINDS)) {
  test(`removes ${what}`, async t => {
    const place = placeFor(t)
    await make(place)
    assert.ok(isThere(place.path))
    assert.equal(removeTree(place.path), 'removed')
    assert.equal(isThere(place.path), false)
    assert.deepEqual(readdirSync(place.kept), ['file'])
  })
}

test('says that there is nothing', t => {
  const { path, kept } = placeFor(t)
  assert.equal(removeTree(path), 'none')
  assert.equal(removeTree(join(path, 'deeper')), 'none')
  assert.equal(removeTree(join(kept, 'file', 'deeper')), 'none')
})

test('gives up on a tree that is too large, and names the folder', t => {
  const { path } = placeFor(t)
  const full = join(path, 'a', 'full')
  mkdirSync(full, { recursive: true })
  for (let n = 0; n < 10_000; n++) writeFileSync(join(full, `${n}`), '')
  assert.throws(() => removeTree(path), { message: `there are more than 10000 files in ${full}` })
  assert.equal(readdirSync(full).length, 10_000)
})

test('gives up on a tree that is too deep', t => {
  const { path } = placeFor(t)
  const deep = join(path, ...Array.from({ length: 100 }, () => 'a'))
  mkdirSync(deep, { recursive: true })
  assert.throws(() => removeTree(path), { message: `there are more than 100 folders above ${deep}` })
  rmSync(deep, { recursive: true })
  assert.equal(removeTree(path), 'removed')
})
