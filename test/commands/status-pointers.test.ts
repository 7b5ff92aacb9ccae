// The pointers of `status --page`, by the built command. What is in them is in unit/status/pointer.test.ts, which are written in
// unit/status/publish-pointers.test.ts.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Stage } from '../helpers/stage.ts'
import { loseDatabase, loseGitHub, NAS, twoHosts } from '../helpers/status.ts'

async function publish(stage: Stage, folder: string): Promise<string> {
  const { status, stderr } = await stage.command('hydra-channels', ['status', '--page', folder], {
    streams: 'apart',
  })
  assert.equal(status, 0, stderr)
  return stderr
}

/** The page's folder, and what Hydra has of each commit for nas: a system, which the cache has. */
async function systems(stage: Stage): Promise<{ folder: string; paths: string[] }> {
  const folder = join(stage.directory, 'page')
  mkdirSync(folder)
  stage.config.cache = { url: stage.cache.url }
  const { sql } = stage.hydra
  await sql`
    update buildoutputs set path = '/nix/store/' || lpad(build::text, 32, '0') || '-nixos-system-nas-' || build
    where name = 'out'`
  const rows = await sql<{ path: string }[]>`
    select o.path from buildoutputs o join builds b on b.id = o.build
    where b.job like 'nixos-nas.%' order by b.id`
  const paths = rows.map(({ path }) => path)
  for (const path of paths) stage.cache.paths.add(path)
  return { folder, paths }
}

const fileIn = (folder: string) => join(folder, `channels/alice/dotfiles/${NAS}.json`)
const read = (folder: string) => JSON.parse(readFileSync(fileIn(folder), 'utf8'))

// main: c1 - c2     evals of both, nas and web at c1
test('each channel has a pointer of the commit that it is at, also if it is rolled back', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  const { folder, paths } = await systems(stage)
  const said = await publish(stage, folder)
  assert.match(said, new RegExp(`^wrote ${folder}/channels: 2 pointers, 1 with a store path$`, 'm'))
  const first = read(folder)
  assert.deepEqual([first.sha, first.storePath, first.why], [c1, paths[0], null])
  assert.equal(statSync(fileIn(folder)).mode & 0o777, 0o644)

  await stage.repository.setBranches({ [NAS]: c2 })
  await publish(stage, folder)
  const second = read(folder)
  assert.deepEqual([second.sha, second.storePath], [c2, paths[1]])
  assert.ok(second.serial > first.serial)

  await stage.repository.setBranches({ [NAS]: c1 })
  await publish(stage, folder)
  const third = read(folder)
  assert.equal(third.storePath, paths[0])
  assert.ok(third.serial > second.serial)
})

for (const [what, lose] of Object.entries({ GitHub: loseGitHub, Hydra: loseDatabase })) {
  test(`where ${what} is away, the pointers stay`, async t => {
    const { stage } = await twoHosts(t)
    const { folder } = await systems(stage)
    await publish(stage, folder)
    const before = readFileSync(fileIn(folder), 'utf8')
    lose(stage)
    await publish(stage, folder)
    assert.equal(readFileSync(fileIn(folder), 'utf8'), before)
  })
}

test('without cache.url there are none', async t => {
  const { stage } = await twoHosts(t)
  const { folder } = await systems(stage)
  delete stage.config.cache
  await publish(stage, folder)
  assert.ok(!existsSync(join(folder, 'channels')))
})
