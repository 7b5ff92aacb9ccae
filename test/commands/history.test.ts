// `hydra-channels history`, as a person and a script meet it: what this program and people did to a branch, told by GitHub.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ChannelHistory } from '../../src/status/history.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { evaluate, loseDatabase, loseGitHub, NAS } from '../helpers/status.ts'

const APP = 'hydra-channels-test[bot]'
const short = (sha: string) => sha.slice(0, 7)

const run = (stage: Stage, ...args: string[]) =>
  stage.command('hydra-channels', ['history', ...args], { streams: 'apart' })

async function historyOf(stage: Stage, ...args: string[]): Promise<ChannelHistory> {
  const { status, stdout, stderr } = await run(stage, NAS, '--json', ...args)
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

/**
 *     main: c1 - c2 - c3     evals of all; reconcile made the channel at c1 and moved it to c3,
 *             \- d1          bob forced it to d1, and alice deleted it
 */
async function eventful(
  t: TestContext,
): Promise<{ stage: Stage; commits: Record<'c1' | 'c2' | 'c3' | 'd1', string> }> {
  const stage = await stageFor(t)
  const { repository } = stage
  stage.config.stateDirectory = join(stage.directory, 'state')
  stage.config.hydraUrl = 'https://hydra.example.org'
  const [c1 = '', c2 = '', c3 = ''] = await repository.history(3)
  const d1 = await repository.commit({ parents: [c1], message: 'by hand' })
  await repository.setBranches({ main: c3 })
  const reconcile = async () => {
    const { status, log } = await stage.command('hydra-channels', ['reconcile'])
    assert.equal(status, 0, log)
  }
  await evaluate(stage, c1, { nas: 0 })
  await reconcile()
  for (const sha of [c2, c3]) await evaluate(stage, sha, { nas: 0 })
  await reconcile()
  repository.person = 'bob'
  await repository.setBranch(NAS, d1)
  repository.person = 'alice'
  await repository.deleteBranch(NAS)
  return { stage, commits: { c1, c2, c3, d1 } }
}

test('of a branch that is gone: when, from where to where, by whom, and the eval and build behind it', async t => {
  const { stage, commits } = await eventful(t)
  const { c1, c3, d1 } = commits
  stage.github.clearRequests()
  const { status, stdout, stderr } = await run(stage, NAS)
  assert.deepEqual([status, stderr], [0, ''])
  const builds = await stage.hydra.sql<{ id: number; eval: number }[]>`
    select b.id, m.eval from builds b join jobsetevalmembers m on m.build = b.id order by b.id`
  const [first, , last] = builds
  const hydra = 'https://hydra.example.org/build'
  const [s1, s3, sd] = [c1, c3, d1].map(short)
  assert.equal(
    `\n${stdout.replace(/(just now|\d+ min ago) \([^)]*\)/g, 'WHEN').replaceAll(stage.github.apiUrl, 'https://github.com')}`,
    `
alice/dotfiles ${NAS}: 4 changes, newest first

WHEN: DELETED at ${sd}, by alice
    ${sd} “by hand” by Alice, no eval of it is known
WHEN: FORCED ${s3}...${sd} (1 commit, 2 commits lost), by bob
    ${sd} “by hand” by Alice, no eval of it is known https://github.com/alice/dotfiles/compare/${c3}...${d1}
WHEN: moved ${s1}..${s3} (2 commits), by ${APP}, our App
    ${s3} “commit 3” by Alice, eval ${last?.eval}, build ${last?.id} succeeded ${hydra}/${last?.id}
WHEN: created at ${s1}, by ${APP}, our App
    ${s1} “commit 1” by Alice, eval ${first?.eval}, build ${first?.id} succeeded ${hydra}/${first?.id}
`,
  )
  assert.deepEqual(
    stage.github.requests
      .map(each => each.replaceAll(c1, 'c1').replaceAll(c3, 'c3').replaceAll(d1, 'd1'))
      .sort(),
    [
      'GET /app',
      'GET /repos/alice/dotfiles/activity',
      'GET /repos/alice/dotfiles/compare/c1...c3',
      'GET /repos/alice/dotfiles/compare/c3...d1',
      'POST /graphql',
    ],
  )
})

test('the shape that docs/status.md promises', async t => {
  const { stage } = await eventful(t)
  const found = await historyOf(stage)
  assert.deepEqual(
    found.changes.map(({ kind, actor, own, gained, lost }) => [kind, actor, own, gained, lost]),
    [
      ['deleted', 'alice', false, null, null],
      ['forced', 'bob', false, 1, 2],
      ['moved', APP, true, 2, 0],
      ['created', APP, true, null, null],
    ],
  )
  for (const { at } of found.changes) assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const document = readFileSync(new URL('../../docs/status.md', import.meta.url), 'utf8')
  const example = JSON.parse(
    /```json\n(\{\n {2}"generatedAt"[^`]*?"changes".*?)```/s.exec(document)?.[1] ?? '{}',
  )
  assert.deepEqual(Object.keys(found).sort(), Object.keys(example).sort())
  assert.deepEqual(Object.keys(found.changes[0] ?? {}).sort(), Object.keys(example.changes[0]).sort())
})

test('--since, and how many changes are left out', async t => {
  const stage = await stageFor(t)
  const { repository } = stage
  const [c1 = '', c2 = ''] = await repository.history(2)
  await repository.setBranches({ main: c2, [NAS]: c1 })
  const [, created] = repository.activities
  assert.ok(created)
  const day = 86_400_000
  repository.activities.splice(1)
  for (let n = 40; n > 0; n--) {
    repository.activities.push({ ...created, id: 100 - n, from: c1, to: c2, at: Date.now() - n * day })
  }
  const newest = await historyOf(stage)
  assert.deepEqual(
    [newest.changes.length, newest.leftOut, newest.moreBefore, newest.since],
    [30, 10, false, null],
  )
  const week = await historyOf(stage, '--since', '1w')
  assert.deepEqual([week.changes.length, week.leftOut, week.moreBefore], [6, 0, false])
  assert.match(week.since ?? '', /Z$/)
  const all = await historyOf(stage, '--since', '2020-01-01')
  assert.equal(all.changes.length, 40)
  const { stdout } = await run(stage, NAS)
  assert.match(stdout, /\n10 older changes left out: --since says how far back to go\n$/)
  const none = await run(stage, NAS, '--since', '1h')
  assert.match(none.stdout, /: GitHub tells of no change since .*\n$/)
  for (const [since, why] of [
    ['3', 'it has a number without a unit'],
    ['2999-01-01', 'that is still to come'],
  ]) {
    const { status, stderr } = await run(stage, NAS, '--since', since ?? '')
    assert.equal(status, 2)
    assert.ok(stderr.startsWith(`--since “${since}” cannot be used: ${why}\nwrite `), stderr)
  }
})

test('a branch that never was there, and a name that no rule makes', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await stage.repository.history(1)
  await stage.repository.setBranches({ main: c1 })
  const { status, stdout } = await run(stage, NAS)
  assert.equal(status, 0)
  assert.equal(
    stdout,
    `alice/dotfiles ${NAS}: GitHub tells of no change: there was no such branch, or GitHub does not keep it for so long\n`,
  )
  assert.equal((await run(stage, 'main')).status, 2)
  assert.equal((await run(stage)).status, 2)
})

for (const [what, fault, expected] of [
  [
    '403',
    {
      status: 403,
      headers: { 'x-accepted-github-permissions': 'administration=read' },
      body: { message: 'Resource not accessible by integration' },
    },
    /^GitHub does not tell what happened to the branch: the App lacks the permission administration: read \(GET \S+\)\ngive the App administration: read .*\nthe App needs the permissions metadata: read and contents: read for it, /,
  ],
  [
    '404',
    { status: 404, body: { message: 'Not Found' } },
    /^GitHub does not tell what happened to the branch: GitHub shows no such repository to us .*\n.*\nthe App needs the permissions .* old GitHub Enterprise Server does not have it$/m,
  ],
] as const) {
  test(`${what}: which permission may be missing`, async t => {
    const { stage } = await eventful(t)
    const times = Number.POSITIVE_INFINITY
    stage.github.fault({ kind: 'status', path: '/repos/alice/dotfiles/activity', times, ...fault })
    const { status, stdout, stderr } = await run(stage, NAS, '--json')
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, expected)
  })
}

test('GitHub is away', async t => {
  const { stage } = await eventful(t)
  loseGitHub(stage)
  const { status, stdout, stderr } = await run(stage, NAS)
  assert.deepEqual([status, stdout], [1, ''])
  assert.match(stderr, /^GitHub could not be asked: /m)
})

test('the database is away: GitHub tells all the same', async t => {
  const { stage } = await eventful(t)
  loseDatabase(stage)
  const { status, stdout, stderr } = await run(stage, NAS, '--json')
  assert.equal(status, 0)
  assert.match(stderr, /database/)
  const { changes }: ChannelHistory = JSON.parse(stdout)
  assert.deepEqual(
    changes.map(({ kind, eval: evalId, build }) => [kind, evalId, build]),
    ['deleted', 'forced', 'moved', 'created'].map(kind => [kind, null, null]),
  )
})
