// Which pointers are written, and what is asked for them: a fleet as it was found, with stand-ins for Hydra, GitHub and the cache.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import type { Look, Output } from '../../../src/base/output.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'
import type { Database } from '../../../src/hydra/database.ts'
import type { FoundFleet } from '../../../src/status/find-facts.ts'
import type { Pointer } from '../../../src/status/pointer.ts'
import {
  type PointerFiles,
  type Published,
  publishPointers,
  readPointers,
} from '../../../src/status/publish-pointers.ts'
import type { Surveys } from '../../../src/status/survey.ts'
import { AROUND, C3, C4, factsOf, NOW, type Spec } from '../../helpers/channel-facts.ts'

const pathOf = (sha: string) => `/nix/store/${sha.slice(0, 32)}-nixos-system-nas-26.05`
const AWAY = new OperatorError("cannot ask Hydra's database")
const RULE = ruleSchema.parse({
  ...{ project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' },
  ...{ job: 'nixos-(?<host>[^.]*)\\..*', branch: 'nixos-tested-{host}' },
})
const AT = 'channels/alice/dotfiles'

interface Scene {
  channels: Spec[]
  databaseAway?: OperatorError
  /** the commits that Hydra has a good build of, and those that its newest evals are of; all */
  built?: string[]
  evaluated?: string[]
  /** whose commits these are */
  flakeOf?: (sha: string) => string
  /** when it is asked for outputs */
  hydra?: 'away'
  look?: Look
  /** of branches that are not in the fleet; undefined: gone */
  branches?: Record<string, string | undefined | OperatorError>
  /** without a cache to look into */
  cacheless?: boolean
  /** read before others wrote */
  there?: PointerFiles
  /** whether a rule leads to its repository */
  unruled?: boolean
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hc-pointers-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function publish(
  folder: string,
  {
    channels,
    databaseAway,
    look = { kind: 'seen' },
    branches = {},
    there = readPointers(folder),
    ...hydra
  }: Scene,
): Promise<{ published: Published; asked: string[] }> {
  const asked: string[] = []
  const database: Database = {
    async look(queries) {
      if (hydra.hydra === 'away') throw AWAY
      const sql = async (_: TemplateStringsArray, ...values: unknown[]) => {
        const asked = JSON.parse(values.find(value => typeof value === 'string') as string) as string[][]
        const pairs = new Map(asked.map(pair => [pair.join(' '), pair]))
        return [...pairs.values()]
          .filter(([, sha = '']) => hydra.evaluated?.includes(sha) ?? true)
          .map(([job, sha = '']) => {
            const isBuilt = (hydra.built ?? [C3, C4]).includes(sha)
            return {
              ...{
                job,
                sha,
                eval: isBuilt ? Number(sha[0]) : null,
                build: isBuilt ? 10 * Number(sha[0]) : null,
              },
              flake: (hydra.flakeOf ?? (each => `github:alice/dotfiles/${each}`))(sha),
              ...{ name: 'out', path: pathOf(sha) },
            }
          })
      }
      return queries(sql as never)
    },
    close: async () => {},
  }
  const github = {
    repository: (name: string) => ({
      async findBranch(branch: string) {
        asked.push(`${name} ${branch}`)
        const tip = branches[branch]
        if (tip instanceof OperatorError) throw tip
        return tip
      },
    }),
  } as unknown as Surveys
  const fleet: FoundFleet = {
    github,
    lastReconcile: undefined,
    databaseAway,
    around: AROUND,
    channels: channels.map(spec => ({
      facts: factsOf(spec),
      ...{ committedAt: undefined, since: undefined, compareFrom: undefined, candidateOnTracked: undefined },
    })),
  }
  const published = await publishPointers(fleet, folder, {
    ...{ hosts: ['github.com'], database, now: NOW, there, rules: hydra.unruled ? [] : [RULE] },
    report: error => void asked.push(`reported: ${(error as Error).message}`),
    look: hydra.cacheless
      ? undefined
      : async (outputs: readonly Output[]) => {
          asked.push(...outputs.map(({ path }) => `cache ${path}`))
          return look
        },
  })
  return { published, asked }
}

const read = (folder: string, branch = 'nixos-tested-nas'): Pointer =>
  JSON.parse(readFileSync(join(folder, AT, `${branch}.json`), 'utf8'))
const NAS_AT_C3: Scene = { channels: [{ tip: C3 }] }

test('a new pointer is looked for once, written for everybody, and then only read', async t => {
  const folder = folderFor(t)
  const first = await publish(folder, NAS_AT_C3)
  assert.deepEqual(first, { published: { pointers: 1, withPath: 1 }, asked: [`cache ${pathOf(C3)}`] })
  const pointer = read(folder)
  assert.deepEqual([pointer.sha, pointer.eval, pointer.build, pointer.storePath], [C3, 3, 30, pathOf(C3)])
  assert.equal(pointer.serial, NOW.getTime() / 1000)
  const file = join(folder, AT, 'nixos-tested-nas.json')
  assert.equal(statSync(file).mode & 0o777, 0o644)
  assert.deepEqual(readdirSync(join(folder, AT)), ['nixos-tested-nas.json'])
  const { ino } = statSync(file)
  const again = await publish(folder, NAS_AT_C3)
  assert.deepEqual(again, { published: { pointers: 1, withPath: 1 }, asked: [] })
  assert.equal(statSync(file).ino, ino)
})

test('rolled back by hand and held: the older build, with a newer serial', async t => {
  const folder = folderFor(t)
  await publish(folder, { channels: [{}] })
  const hold = { reason: 'kernel', since: NOW.toISOString(), until: null }
  await publish(folder, { channels: [{ tip: C3, hold }] })
  const { storePath, serial } = read(folder)
  assert.deepEqual([storePath, serial], [pathOf(C3), NOW.getTime() / 1000 + 1])
})

for (const [what, more] of Object.entries<Partial<Scene>>({
  'Hydra is away': { channels: [{ plan: 'none', away: AWAY }], databaseAway: AWAY },
  'Hydra is away when it is asked for outputs': { channels: [{}], hydra: 'away' },
  'GitHub is away': { channels: [{ away: new OperatorError('cannot ask GitHub') }] },
  'none of the newest evals is of its commit any more': { evaluated: [] },
  'the rule is in trouble': { channels: [{ plan: 'none', ruleTrouble: new OperatorError('no jobset') }] },
  'the cache is silent': { channels: [{}], look: { kind: 'silent' } },
  'the cache cannot be asked': { channels: [{}], look: { kind: 'missing', why: 'refused', away: true } },
})) {
  test(`the pointer stays if ${what}`, async t => {
    const folder = folderFor(t)
    await publish(folder, NAS_AT_C3)
    const before = read(folder)
    const { published } = await publish(folder, { ...NAS_AT_C3, ...more })
    assert.deepEqual(read(folder), before)
    assert.deepEqual(published, { pointers: 1, withPath: 1 })
  })
}

for (const [what, { why, ...more }] of Object.entries<Partial<Scene> & { why: RegExp }>({
  'its commit has no good build': { built: [], why: /^Hydra has no good build of nixos-nas/ },
  'its commit is another repository’s': {
    flakeOf: sha => `github:mallory/dotfiles/${sha}`,
    why: /^Hydra has no good build/,
  },
  'the branch is gone': { channels: [{ tip: undefined }], why: /^there is no such branch$/ },
  'no job leads to it': { channels: [{ plan: 'none' }], why: /^no job leads to this channel$/ },
  'two jobs lead to it': { channels: [{ jobs: 2 }], why: /^several jobs/ },
  'the cache does not have it': { channels: [{}], look: { kind: 'missing', why: 'a 404' }, why: /^a 404$/ },
})) {
  test(`hosts stay as they are if ${what}`, async t => {
    const folder = folderFor(t)
    await publish(folder, NAS_AT_C3)
    const { serial } = read(folder)
    await publish(folder, { ...NAS_AT_C3, ...more })
    const pointer = read(folder)
    assert.deepEqual([pointer.storePath, pointer.serial], [null, serial + 1])
    assert.match(pointer.why ?? '', why)
  })
}

test('a channel that is none any more has a pointer that says so, unless GitHub cannot be asked', async t => {
  const folder = folderFor(t)
  const fleet: Scene = {
    channels: ['nas', 'gone', 'left', 'unknown'].map(name => ({ branch: `nixos-tested-${name}` })),
  }
  await publish(folder, fleet)
  const branches = { 'nixos-tested-left': C4, 'nixos-tested-unknown': AWAY }
  const later: Scene = { channels: [{}], branches }
  const { asked } = await publish(folder, later)
  assert.deepEqual(
    asked.sort(),
    ['gone', 'left', 'unknown'].map(name => `alice/dotfiles nixos-tested-${name}`),
  )
  assert.equal(read(folder, 'nixos-tested-gone').why, 'there is no such branch')
  assert.equal(read(folder, 'nixos-tested-left').why, 'no job leads to this channel')
  for (const name of ['unknown', 'nas']) {
    assert.equal(read(folder, `nixos-tested-${name}`).storePath, pathOf(C4))
  }
  // once said, it is not asked for again
  assert.deepEqual((await publish(folder, later)).asked, ['alice/dotfiles nixos-tested-unknown'])
})

test('where no rule leads to the repository any more, nobody is asked', async t => {
  const folder = folderFor(t)
  await publish(folder, NAS_AT_C3)
  const { asked } = await publish(folder, { channels: [], unruled: true })
  assert.deepEqual(asked, [])
  const { sha, storePath, why } = read(folder)
  assert.deepEqual([sha, storePath, why], [C3, null, 'no job leads to this channel'])
})

test('without cache.url, pointers that are there name no path any more', async t => {
  const folder = folderFor(t)
  await publish(folder, NAS_AT_C3)
  await publish(folder, { ...NAS_AT_C3, cacheless: true })
  const { sha, storePath, why, serial } = read(folder)
  assert.deepEqual([sha, storePath, why], [C3, null, 'the configuration of hydra-channels has no cache.url'])
  assert.equal(serial, NOW.getTime() / 1000 + 1)
})

for (const [what, first] of [
  ['that was not there', undefined],
  ['that was there', C3],
] as const) {
  test(`a pointer ${what} and that another writer has changed since this look began stays`, async t => {
    const folder = folderFor(t)
    if (first) await publish(folder, { channels: [{ tip: first }] })
    const there = readPointers(folder)
    await publish(folder, { channels: [{ tip: C4 }] })
    const newer = read(folder)
    const { published } = await publish(folder, { channels: [{ tip: undefined }], there })
    assert.deepEqual(read(folder), newer)
    assert.deepEqual(published, { pointers: 1, withPath: 1 })
  })
}

test('a pointer that cannot be read is written anew; what is no pointer is left alone', async t => {
  const folder = folderFor(t)
  mkdirSync(join(folder, AT), { recursive: true })
  writeFileSync(join(folder, AT, 'nixos-tested-nas.json'), '{"version":1,"ser')
  writeFileSync(join(folder, AT, 'notes.txt'), 'mine')
  writeFileSync(join(folder, AT, '%.json'), '{}')
  await publish(folder, NAS_AT_C3)
  assert.equal(read(folder).storePath, pathOf(C3))
  assert.equal(readdirSync(join(folder, AT)).length, 3)
})

test('one pointer that cannot be written is said, and is no trouble of the others', async t => {
  const folder = folderFor(t)
  mkdirSync(join(folder, AT, 'nixos-tested-nas.json'), { recursive: true })
  await assert.rejects(publish(folder, { channels: [{}, { branch: 'nixos-tested-web' }] }), {
    message: new RegExp(`^cannot write 1 pointer below ${folder}/channels: `),
  })
  assert.equal(read(folder, 'nixos-tested-web').storePath, pathOf(C4))
})

test('of a branch whose name is too long for a file there is no pointer, and that is said', async t => {
  const folder = folderFor(t)
  const branch = `nixos-tested-${'ä'.repeat(50)}`
  const { published, asked } = await publish(folder, { channels: [{ branch }, {}] })
  assert.deepEqual(published, { pointers: 1, withPath: 1 })
  assert.deepEqual(asked, [
    `reported: alice/dotfiles ${branch}: no pointer: the branch's name is too long for that of a file`,
    `cache ${pathOf(C4)}`,
  ])
})

test('a folder that is not there is not made', async t => {
  const folder = join(folderFor(t), 'missing')
  await assert.rejects(publish(folder, NAS_AT_C3), /ENOENT/)
})
