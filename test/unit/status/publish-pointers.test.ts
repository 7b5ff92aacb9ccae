// Which pointers are written, and what is asked for them: a fleet as it was found, with stand-ins for Hydra, GitHub and the cache.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import type { Look, Output } from '../../../src/base/output.ts'
import type { Database } from '../../../src/hydra/database.ts'
import type { FoundFleet } from '../../../src/status/find-facts.ts'
import type { Pointer } from '../../../src/status/pointer.ts'
import { type Published, publishPointers } from '../../../src/status/publish-pointers.ts'
import type { Surveys } from '../../../src/status/survey.ts'
import { AROUND, C3, C4, factsOf, NAS, NOW, type Spec } from '../../helpers/channel-facts.ts'

const pathOf = (sha: string) => `/nix/store/${sha.slice(0, 32)}-nixos-system-nas-26.05`
const AWAY = new OperatorError("cannot ask Hydra's database")
const AT = 'channels/alice/dotfiles'

interface Scene {
  channels: Spec[]
  databaseAway?: OperatorError
  /** the commits that Hydra has a good build of */
  built?: string[]
  /** whose commits these are */
  flakeOf?: (sha: string) => string
  /** when it is asked for outputs */
  hydra?: 'away'
  look?: Look
  /** of branches that are not in the fleet; undefined: gone */
  branches?: Record<string, string | undefined | OperatorError>
  only?: string[]
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hc-pointers-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function publish(
  folder: string,
  { channels, databaseAway, look = { kind: 'seen' }, only = [], branches = {}, ...hydra }: Scene,
): Promise<{ published: Published; asked: string[] }> {
  const asked: string[] = []
  const database: Database = {
    async look(queries) {
      if (hydra.hydra === 'away') throw AWAY
      const sql = async (_: TemplateStringsArray, ...values: unknown[]) => {
        const pairs = JSON.parse(values.find(value => typeof value === 'string') as string) as string[][]
        return pairs
          .filter(([, sha = '']) => (hydra.built ?? [C3, C4]).includes(sha))
          .map(([job, sha = '']) => ({
            ...{ job, sha, eval: Number(sha[0]), build: 10 * Number(sha[0]) },
            flake: (hydra.flakeOf ?? (each => `github:alice/dotfiles/${each}`))(sha),
            ...{ name: 'out', path: pathOf(sha) },
          }))
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
    ...{ hosts: ['github.com'], database, only, now: NOW },
    report: error => void asked.push(`reported: ${(error as Error).message}`),
    async look(outputs: readonly Output[]) {
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

test('of some channels alone, the others are left alone', async t => {
  const folder = folderFor(t)
  await publish(folder, { channels: [{}, { branch: 'nixos-tested-web' }] })
  const { asked } = await publish(folder, { channels: [{}], only: [NAS] })
  assert.deepEqual(asked, [])
})

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

test('a folder that is not there is not made', async t => {
  const folder = join(folderFor(t), 'missing')
  await assert.rejects(publish(folder, NAS_AT_C3), /ENOENT/)
})
