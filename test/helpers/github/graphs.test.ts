// The graph in memory against git: the same commits, the same refs, the same questions and the same answers.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { seedFor } from '../seed.ts'
import { GitGraph } from './git-graph.ts'
import { type Graph, RefConflict } from './graph.ts'
import { MemoryGraph } from './memory-graph.ts'

const START = 1_760_000_000
const NOWHERE = 'f'.repeat(40)

/** Commits each with up to three parents of those before it, now and then none; some are older than their parents. */
const shapes = fc.array(
  fc.record({
    parents: fc.oneof(
      { weight: 5, arbitrary: fc.tuple(fc.nat(99)) },
      { weight: 3, arbitrary: fc.tuple(fc.nat(99), fc.nat(99)) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)) },
      { weight: 1, arbitrary: fc.constant([] as number[]) },
    ),
    minutes: fc.constantFrom(1, 1, 1, 1, -30),
  }),
  { minLength: 14, maxLength: 14 },
)

/** A random graph on both sides. */
async function bothGraphs(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'hc-graphs-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const git = await GitGraph.open(join(directory, 'a.git'))
  git.head = 'main'
  const memory = new MemoryGraph()
  const [shape = []] = fc.sample(shapes, { seed: seedFor(t), numRuns: 1 })
  const shas: string[] = []
  let date = START
  for (const [n, { parents: chosen, minutes }] of shape.entries()) {
    date += minutes * 60
    const parents = [...new Set(chosen.flatMap(at => shas[at % shas.length] ?? []))]
    const [sha = ''] = await git.write([{ parents, message: `commit ${n}`, files: {}, date }])
    shas.push(memory.add({ sha, parents, date }, `commit ${n}`))
  }
  return { git, memory, shas, both: [git, memory] as const }
}

/** What both say. */
async function agree(ask: (graph: Graph) => Promise<unknown>, both: readonly [Graph, Graph], what: string) {
  const [said, own] = await Promise.all(both.map(ask))
  assert.deepEqual(own, said, what)
  return said
}

test('any two commits stand to each other as git says', async t => {
  const { git, memory, shas, both } = await bothGraphs(t)
  const all = await git.readCommits('all')
  const kinds = new Set<string>()
  for (const base of shas) {
    await Promise.all(
      shas.map(async head => {
        const [said, own] = await Promise.all(both.map(graph => graph.compare(base, head)))
        assert.ok(said && own)
        const what = `${base}...${head}`
        assert.deepEqual({ ...own, mergeBase: '' }, { ...said, mergeBase: '' }, what)
        // if they met in several commits that do not descend from each other, git may name another one
        assert.equal(own.mergeBase === undefined, said.mergeBase === undefined, what)
        if (own.mergeBase !== undefined) {
          assert.ok(all.isIn(own.mergeBase, base) && all.isIn(own.mergeBase, head), what)
          const newer = shas.filter(each => each !== own.mergeBase && all.isIn(own.mergeBase ?? '', each))
          assert.ok(!newer.some(each => all.isIn(each, base) && all.isIn(each, head)), what)
        }
        assert.deepEqual(all.sides(base, head), memory.commits.sides(base, head), what)
        assert.equal(all.isIn(base, head), said.behindBy === 0, what)
        kinds.add(`${said.ahead.length > 0}, ${said.behindBy > 0}, ${said.mergeBase !== undefined}`)
      }),
    )
  }
  assert.ok(kinds.size >= 4, [...kinds].join('; '))
  for (const sha of shas) {
    for (const count of [1, 5, 100]) {
      await agree(graph => graph.listHistory(sha, count), both, `the newest ${count} of ${sha}`)
    }
  }
  const plain = async (graph: Graph) =>
    (await graph.readFacts(shas)).map(({ sha, parents, committer, message }) => [
      ...[sha, parents, committer, message],
    ])
  await agree(plain, both, 'what they are')
})

test('a name stands for the same commit', async t => {
  const { git, memory, shas, both } = await bothGraphs(t)
  const [c0 = '', c1 = '', c2 = '', c3 = '', c4 = ''] = shas
  const refs = {
    'refs/heads/main': c0,
    'refs/heads/v1': c1,
    'refs/tags/v1': c2,
    'refs/pull/7/head': c3,
    'refs/heads/a/b': c4,
  }
  for (const graph of both) {
    await graph.setRefs(refs)
    await graph.annotate('heavy', c4)
  }
  const names = [
    'HEAD',
    'main',
    'v1',
    'heads/v1',
    'tags/v1',
    'heavy',
    'refs/tags/heavy',
    'a/b',
    'pull/7/head',
  ]
  const others = ['missing', 'main~1', 'main@{1}', '@', '', NOWHERE, c1, ...Object.keys(refs)]
  for (const head of ['main', 'v1', 'missing']) {
    git.head = head
    memory.head = head
    const said = await agree(graph => graph.findCommits([...names, ...others]), both, `HEAD is ${head}`)
    assert.deepEqual((said as string[]).slice(0, 3), [
      { main: c0, v1: c1, missing: undefined }[head],
      ...[c0, c2],
    ])
  }
  const listed = (graph: Graph) => graph.listRefs().then(all => all.map(({ ref, type }) => [ref, type]))
  await agree(listed, both, 'the refs')
  await agree(graph => graph.setRefs({ 'refs/heads/v1': undefined }), both, 'deleted')
  await agree(listed, both, 'the refs')
})

test('names of refs', async t => {
  const { both } = await bothGraphs(t)
  const parts = ['a', 'a.b', 'ä', '-', '@', 'a.lock', '.a', 'a.', 'a..b', 'a b', 'a~', 'a^', 'a:', 'a?', 'a*']
  const more = ['a[', 'a\\', 'a@{b', 'a\u0001', 'a\u007f', 'a.lock.', 'a.lockb', '']
  for (const part of [...parts, ...more]) {
    for (const ref of [`refs/heads/${part}`, `refs/heads/${part}/c`, `refs/heads/c/${part}`]) {
      await agree(graph => graph.isRefName(ref), both, ref)
    }
  }
})

const updates = fc.array(
  fc.uniqueArray(
    fc.record({
      branch: fc.constantFrom('main', 'a', 'a/b', 'c'),
      from: fc.constantFrom('where it is', 'where it is', 'where it is', 'nowhere', 'elsewhere'),
      commit: fc.nat(13),
    }),
    { minLength: 1, maxLength: 3, selector: ({ branch }) => branch },
  ),
  { minLength: 40, maxLength: 40 },
)

test('updates are taken and refused alike, all or none', async t => {
  const { memory, shas, both } = await bothGraphs(t)
  const [script = []] = fc.sample(updates, { seed: seedFor(t), numRuns: 1 })
  const seen = new Set<unknown>()
  for (const step of script) {
    const wanted = step.map(({ branch, from, commit }) => ({
      ref: `refs/heads/${branch}`,
      from: { 'where it is': memory.branch(branch), nowhere: undefined, elsewhere: shas[0] }[from],
      to: shas[commit] ?? '',
    }))
    const update = (graph: Graph) =>
      graph.updateRefs(wanted).then(
        () => 'updated',
        error => (error instanceof RefConflict ? 'refused' : error),
      )
    seen.add(await agree(update, both, JSON.stringify(wanted)))
    await agree(graph => graph.listRefs(), both, 'the refs')
    // now and then one goes, so that others can come
    const [first] = wanted
    if (first && memory.refs.get(first.ref) !== undefined && step.length === 3) {
      await agree(graph => graph.setRefs({ [first.ref]: undefined }), both, `${first.ref} deleted`)
    }
  }
  assert.deepEqual([...seen].sort(), ['refused', 'updated'])
})

test('reads may lag behind writes, and what is read for a write does not', async t => {
  const { memory, shas } = await bothGraphs(t)
  const [c0 = '', c1 = ''] = shas
  memory.setBranch('main', c0)
  memory.lag(2)
  memory.setBranch('main', c1)
  const shasOf = async (why?: 'for a write') => (await memory.listRefs(why)).map(({ sha }) => sha)
  assert.deepEqual(
    [await shasOf('for a write'), await shasOf(), await memory.findCommits(['main']), await shasOf()],
    [[c1], [c0], [c0], [c1]],
  )
})
