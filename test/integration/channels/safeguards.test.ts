// Whether a commit is in the history of the tracked branch, asked of a GitHub whose ancestry is git's.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Candidate } from '../../../src/channels/candidate.ts'
import { judgeOnTracked, standOnTracked } from '../../../src/channels/safeguards.ts'
import type { TrackedRef } from '../../../src/hydra/flakeref.ts'
import { sceneFor } from '../../helpers/scene.ts'

const NOWHERE = '0123456789012345678901234567890123456789'
const NOT_FOUND = { kind: 'status', status: 404, body: { message: 'Not Found' } } as const
const DEFAULT: TrackedRef = { kind: 'default branch' }
const named = (name: string): TrackedRef => ({ kind: 'name', name })

// main: c1 - c2 - c3 - c4     also s1, a child of c1, and a1, a root
async function draw(t: TestContext) {
  const scene = await sceneFor(t)
  const { repo } = scene
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = await repo.history(4)
  const s1 = await repo.commit({ parents: [c1], files: { s: 's' } })
  const a1 = await repo.commit({ files: { a: 'a' } })
  scene.name({ c1, c2, c3, c4, s1, a1 })
  await repo.setBranch('main', c4)
  const repository = scene.open()
  await repository.facts()
  scene.requests()
  let waits = 0
  return {
    ...{ scene, repo, c1, c2, c3, c4, s1, a1 },
    waits: () => waits,
    ask: (sha: string, tracked: TrackedRef = DEFAULT) =>
      standOnTracked(repository, sha, tracked, () => {
        waits++
      }),
  }
}

test('a commit is on the branch if it is in its history, and a “no” is asked once more', async t => {
  const { scene, repo, ask, waits, c2, c3, c4, s1, a1 } = await draw(t)
  assert.equal(await ask(c4), 'on')
  assert.equal(await ask(c2), 'on')
  assert.deepEqual(scene.requests(), ['GET /compare/c4...HEAD', 'GET /compare/c2...HEAD'])
  assert.equal(waits(), 0)
  for (const sha of [s1, a1]) assert.equal(await ask(sha), 'off')
  // main was reset after c3 had been built
  await repo.setBranch('main', c2)
  assert.equal(await ask(c3), 'off')
  assert.equal(waits(), 3)
  assert.equal(scene.requests().length, 6)
})

test('a read that lags behind a push is no “no”', async t => {
  const { scene, ask, c3 } = await draw(t)
  scene.github.fault({ ...NOT_FOUND, path: '/compare/' })
  scene.github.fault({ ...NOT_FOUND, status: 422, body: { message: 'No commit found' }, path: '/commits/' })
  const [message] = await scene.trouble(ask(c3))
  assert.equal(message, 'GitHub has no commit c3 in this repository')
  scene.github.fault({ ...NOT_FOUND, path: '/compare/' })
  assert.equal(await ask(c3), 'on')
})

test('a name is a branch before it is a tag', async t => {
  const { scene, repo, ask, c1, c3, c4 } = await draw(t)
  await repo.setTag('v1', c3)
  assert.equal(await ask(c1, named('v1')), 'on')
  assert.deepEqual(scene.requests(), [
    'GET /compare/c1...refs/heads/v1',
    'GET /commits/c1',
    'GET /compare/c1...refs/tags/v1',
  ])
  assert.equal(await ask(c4, named('v1')), 'off')
  await repo.setBranch('v1', c4)
  assert.equal(await ask(c4, named('v1')), 'on')
})

test('what GitHub does not have is missing, and a pull request is asked for nothing', async t => {
  const { scene, ask, c1, waits } = await draw(t)
  assert.equal(await ask(c1, named('gone')), 'missing')
  assert.equal(waits(), 1)
  scene.requests()
  assert.equal(await ask(c1, { kind: 'pull request', number: '7' }), 'missing')
  assert.equal(await ask(c1, { kind: 'other repository' }), 'missing')
  assert.deepEqual([scene.requests(), waits()], [[], 1])
})

test('a commit that GitHub does not have is an error, and so is an outage', async t => {
  const { scene, ask, c1 } = await draw(t)
  const [message] = await scene.trouble(ask(NOWHERE))
  assert.equal(message, `GitHub has no commit ${NOWHERE} in this repository`)
  scene.github.fault({ kind: 'status', status: 500, times: Number.POSITIVE_INFINITY })
  const [outage] = await scene.trouble(ask(c1))
  assert.match(outage ?? '', /^GitHub answered 500/)
})

test('the verdict on a candidate that may not be promoted', () => {
  const candidate = (newest?: string): Candidate => ({
    sha: NOWHERE,
    build: 7,
    eval: 1,
    newest: newest === undefined ? undefined : { eval: 2, sha: newest },
  })
  const kindOf = (...args: Parameters<typeof judgeOnTracked>) => judgeOnTracked(...args)?.kind
  assert.equal(kindOf(candidate('1'.repeat(40)), DEFAULT, 'on'), undefined)
  assert.equal(kindOf(candidate('1'.repeat(40)), DEFAULT, 'off'), 'withdrawn')
  assert.equal(kindOf(candidate(NOWHERE), DEFAULT, 'off'), 'not-on-branch')
  assert.equal(kindOf(candidate(), DEFAULT, 'off'), 'not-on-branch')
  assert.equal(kindOf(candidate('1'.repeat(40)), named('gone'), 'missing'), 'not-on-branch')
  assert.equal(kindOf(candidate(), { kind: 'other repository' }, 'missing'), 'failed')
})
