// The GitHub in memory against the other one, which asks git: the same commits, the same branches, the same requests through
// the real client, and the same answers.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Survey } from '../../src/status/survey.ts'
import { sceneFor } from '../helpers/scene.ts'
import { Graph, MemoryGitHub } from './memory-github.ts'

const DATE = 1_760_000_000
const BRANCHES = ['main', 'nixos-tested-a', 'nixos-tested-b', 'other']
const NOWHERE = 'f'.repeat(40)

/** Commits each with up to two parents of those before it; now and then a second root. */
const graphs = fc.array(
  fc.record({
    parents: fc.oneof(
      { weight: 5, arbitrary: fc.tuple(fc.nat(99)) },
      { weight: 3, arbitrary: fc.tuple(fc.nat(99), fc.nat(99)) },
      { weight: 1, arbitrary: fc.constant([] as number[]) },
    ),
  }),
  { minLength: 9, maxLength: 9 },
)

/** Commits of a random graph, on both sides, and main at the last one. */
async function bothSides(t: TestContext, seed: number) {
  const scene = await sceneFor(t)
  const [shape = []] = fc.sample(graphs, { seed, numRuns: 1 })
  const graph = new Graph()
  const shas: string[] = []
  for (const { parents: chosen } of shape) {
    const parents = [...new Set(chosen.flatMap(n => shas[n % shas.length] ?? []))]
    const date = DATE + shas.length * 60
    const sha = await scene.repo.commit({ parents, date })
    graph.add({ sha, parents, date })
    shas.push(sha)
  }
  const memory = new MemoryGitHub(graph, async () => {})
  const main = shas.at(-1) ?? ''
  await scene.repo.setBranch('main', main)
  memory.branches.set('main', main)
  return { scene, graph, memory, shas }
}

const SEED = Number(process.env.HYDRA_CHANNELS_TEST_SEED ?? Date.now() % 2 ** 31)

test('any two commits compare as git says', async t => {
  t.diagnostic(`HYDRA_CHANNELS_TEST_SEED=${SEED}`)
  const { scene, graph, memory, shas } = await bothSides(t, SEED)
  const [real, model] = [scene.open(), memory.open('a test')]
  const kinds = new Set<string>()
  await Promise.all(
    shas.flatMap(base =>
      shas.map(async head => {
        const [said, own] = await Promise.all([real.compare(base, head), model.compare(base, head)])
        kinds.add(typeof said === 'string' ? said : said.status)
        if (typeof said === 'string' || typeof own === 'string') return assert.deepEqual(own, said)
        // git may name another one where they met in several commits that do not descend from each other
        assert.ok(graph.isIn(said.mergeBaseSha, base) && graph.isIn(said.mergeBaseSha, head))
        assert.deepEqual({ ...own, mergeBaseSha: said.mergeBaseSha }, said)
      }),
    ),
  )
  assert.ok(['identical', 'ahead', 'behind'].every(kind => kinds.has(kind)))
  assert.equal(await model.compare(NOWHERE, shas[0] ?? ''), await real.compare(NOWHERE, shas[0] ?? ''))
})

test('a name stands for the same commit on both sides of a comparison', async t => {
  const { scene, memory, shas } = await bothSides(t, SEED)
  const [real, model] = [scene.open(), memory.open('a test')]
  const place = async (ref: string, sha: string) => {
    const [, kind, name = ''] = ref.split('/')
    if (kind === 'heads') await scene.repo.setBranch(name, sha)
    else if (kind === 'tags') await scene.repo.setTag(name, sha, name === 'heavy' ? 'annotated' : 'light')
    else await scene.repo.setPullRequest(Number(name), sha)
    if (kind === 'heads') memory.branches.set(name, sha)
    else memory.refs.set(ref, sha)
  }
  const refs = ['refs/heads/v1', 'refs/tags/v1', 'refs/tags/heavy', 'refs/pull/7/head']
  for (const [n, ref] of refs.entries()) await place(ref, shas[n * 2] ?? '')
  const names = ['HEAD', 'refs/heads/main', ...refs, 'refs/heads/missing', 'refs/pull/8/head', NOWHERE]
  for (const defaultBranch of ['main', 'v1', 'missing']) {
    scene.repo.defaultBranch = defaultBranch
    memory.defaultBranch = defaultBranch
    for (const name of names) {
      for (const [base, head] of [
        [name, shas[4] ?? ''],
        [shas[4] ?? '', name],
      ] as const) {
        const [said, own] = await Promise.all([real.compare(base, head), model.compare(base, head)])
        const plain = (each: typeof said) => (typeof each === 'string' ? each : { ...each, mergeBaseSha: '' })
        assert.deepEqual(plain(own), plain(said), `${base}...${head}`)
      }
    }
  }
})

const requests = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('create', 'fast-forward', 'compare') as fc.Arbitrary<
        'create' | 'fast-forward' | 'compare'
      >,
      branch: fc.constantFrom(...BRANCHES),
      commit: fc.nat(9),
    }),
    fc.record({
      kind: fc.constant('together' as const),
      updates: fc.uniqueArray(
        fc.record({ branch: fc.constantFrom(...BRANCHES), from: fc.boolean(), commit: fc.nat(8) }),
        { minLength: 1, maxLength: 3, selector: ({ branch }) => branch },
      ),
    }),
  ),
  { minLength: 30, maxLength: 30 },
)

test('writes are taken and refused alike, one by one and many at once', async t => {
  const { scene, memory, shas } = await bothSides(t, SEED)
  const [real, model] = [scene.open(), memory.open('a test')]
  const [script = []] = fc.sample(requests, { seed: SEED, numRuns: 1 })
  const seen = new Set<string>()
  for (const request of script) {
    const ask = async (repository: Survey): Promise<unknown> => {
      if (request.kind === 'together') {
        const result = await repository.updateBranches(
          request.updates.map(({ branch, from, commit }) => ({
            branch,
            from: from ? memory.branches.get(branch) : undefined,
            to: shas[commit] ?? '',
          })),
          0,
        )
        return result.kind
      }
      const sha = shas[request.commit] ?? NOWHERE
      if (request.kind === 'create') return repository.createBranch(request.branch, sha, 0)
      if (request.kind === 'fast-forward') return repository.fastForward(request.branch, sha, 0)
      const compared = await repository.compare(`refs/heads/${request.branch}`, sha)
      return typeof compared === 'object' ? compared.status : compared
    }
    // the real one first: what a branch is at is read off the other
    const said = await ask(real)
    seen.add(`${request.kind} ${JSON.stringify(said)}`)
    assert.deepEqual(await ask(model), said, JSON.stringify(request))
    assert.deepEqual(await model.listBranches('nixos-tested-'), await real.listBranches('nixos-tested-'))
    assert.equal(await model.findBranch('other'), await real.findBranch('other'))
  }
  assert.deepEqual(
    memory.moves.map(({ branch, from, to }) => ({ ref: `refs/heads/${branch}`, from, to })),
    scene.repo.moves.map(({ ref, from, to }) => ({ ref, from, to })),
  )
  assert.ok(seen.size > 4, [...seen].join('\n'))
})

test('status is told the same by both', async t => {
  const { scene, memory, shas } = await bothSides(t, SEED)
  const [real, model] = [scene.open(), memory.open('a test')]
  for (const [at, branch] of BRANCHES.slice(1).entries()) {
    const sha = shas[at * 2] ?? ''
    await scene.repo.setBranch(branch, sha)
    memory.branches.set(branch, sha)
  }
  const asked = [...BRANCHES, 'missing'].map(branch => ({ branch, heads: shas }))
  const [said, own] = [await real.findStandings(asked), await model.findStandings(asked)]
  assert.deepEqual([own.errors, said.errors], [[], []])
  const plain = ({ standings }: typeof said) =>
    [...standings].map(([branch, { sha, committedAt, sides }]) => {
      // GitHub's first commit is the first of a walk, and not always the oldest
      const each = [...sides].map(([head, { status, aheadBy, behindBy }]) => [
        head,
        status,
        aheadBy,
        behindBy,
      ])
      return [branch, sha, committedAt, each]
    })
  assert.deepEqual(plain(own), plain(said))

  const [history, ours] = [
    await real.findTrackedBranch('refs/heads/main'),
    await model.findTrackedBranch('refs/heads/main'),
  ]
  assert.deepEqual(ours, history)
  assert.equal(await model.findTrackedBranch('refs/heads/missing'), undefined)
  assert.equal(await real.findTrackedBranch('refs/heads/missing'), undefined)
})
