// get-flake-commit prints a commit and nothing else on standard output.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../helpers/command.ts'
import { createHydra, flakeOf, type TestHydra } from '../helpers/hydra.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

let hydra: TestHydra
let jobset: number

before(async () => {
  hydra = await createHydra()
  jobset = await hydra.jobset({ project: 'dotfiles', name: 'main' })
  await hydra.eval({ jobset, flake: flakeOf(A), builds: [{ id: 1, job: 'one' }] })
  await hydra.eval({ jobset, flake: flakeOf(B), builds: [1, { id: 2, job: 'two' }] })
  const legacy = await hydra.jobset({ project: 'dotfiles', name: 'legacy', type: 0 })
  await hydra.eval({ jobset: legacy, flake: null, builds: [{ id: 3, job: 'hello' }] })
  const forge = await hydra.jobset({ project: 'dotfiles', name: 'forge' })
  await hydra.eval({
    jobset: forge,
    flake: `gitlab:group%2Fsub/r/${A}?narHash=x`,
    builds: [{ id: 4, job: 'one' }],
  })
  await hydra.eval({
    jobset: forge,
    flake: 'git+ssh://git@github.com/a/b',
    builds: [{ id: 5, job: 'dirty' }],
  })
})

after(() => hydra.close())

const commit = (args: string[], env: Record<string, string> = {}) =>
  runCommand('get-flake-commit', args, { streams: 'apart', env: { HYDRA_DATABASE_URL: hydra.url, ...env } })

test('prints the commit of the newest eval that contains the build', async () => {
  for (const [build, sha] of [
    ['1', B],
    ['2', B],
    ['4', A],
  ] as const) {
    assert.deepEqual(await commit([build]), { status: 0, log: '', stdout: `${sha}\n`, stderr: '' })
  }
})

test('reads the build from HYDRA_JSON, and the database from HYDRA_DBI', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'hc-event-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = await hydra.writeEvent(2, directory)
  const env = { HYDRA_JSON: file, HYDRA_DATABASE_URL: '', HYDRA_DBI: hydra.dbi }
  assert.deepEqual(await commit([], env), { status: 0, log: '', stdout: `${B}\n`, stderr: '' })
})

const TABLE: [string, string[], 1 | 2, string][] = [
  ['an unknown build', ['77'], 1, "Hydra's database has no build 77"],
  [
    'a build of a legacy jobset',
    ['3'],
    1,
    'build 3 of dotfiles:legacy:hello has no flake commit: its jobset is no flake',
  ],
  [
    'a dirty tree',
    ['5'],
    1,
    'build 5 of dotfiles:forge:dirty has no flake commit: the flakeref of eval 5 is git+ssh://github.com/a/b: it has no rev: a working tree with uncommitted changes was evaluated',
  ],
  ['no number', ['x'], 2, 'BUILD “x” cannot be used: the id of a build is a number'],
  [
    'a number that is no id',
    ['99999999999'],
    2,
    'BUILD “99999999999” cannot be used: the id of a build is a number',
  ],
  ['two builds', ['1', '2'], 2, 'expected one BUILD, but got 2 arguments'],
  ['neither build nor event', [], 2, 'HYDRA_JSON is not set: there is no event to read'],
]

for (const [what, args, status, message] of TABLE) {
  test(`${what}: exit ${status}`, async () => {
    const result = await commit(args)
    assert.equal(result.stderr.split('\n')[0], message)
    assert.equal(result.stdout, '')
    assert.equal(result.status, status)
  })
}
