// The forge of the engine's unit tests against the real client and the test GitHub, on a graph each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Forge } from '../../../src/channels/forge.ts'
import { MemoryGraph } from '../../helpers/github/memory-graph.ts'
import { openMemoryForge } from '../../helpers/memory-forge.ts'
import { sceneFor } from '../../helpers/scene.ts'
import { seedFor } from '../../helpers/seed.ts'

const NOWHERE = 'f'.repeat(40)
// from 1 on: to GitHub, 40 zeros are a branch that is not there
const COMMITS = Array.from({ length: 9 }, (_, n) => String(n + 1).repeat(40))

// 0 - 1 - 2 - 3 - 4      5 - 6 is a history of its own
//      \     /
//       7 - 8
const PARENTS: Record<number, number[]> = {
  0: [],
  1: [0],
  2: [1],
  3: [2, 8],
  4: [3],
  5: [],
  6: [5],
  7: [1],
  8: [7],
}
const ORDER = [0, 1, 7, 8, 2, 3, 4, 5, 6]

function drawGraph(): MemoryGraph {
  const graph = new MemoryGraph()
  for (const [at, n] of ORDER.entries()) {
    const parents = (PARENTS[n] ?? []).map(parent => COMMITS[parent] ?? '')
    graph.add({ sha: COMMITS[n] ?? '', parents, date: 1_760_000_000 + at * 60 })
  }
  graph.setBranch('main', COMMITS[4])
  return graph
}

const branch = fc.constantFrom('main', 'nixos-tested-a', 'nixos-tested-b', 'nixos-tested-b/c', 'other')
const commit = fc.constantFrom(...COMMITS, NOWHERE)
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('create' as const, 'fast-forward' as const), branch, commit }),
    fc.record({
      kind: fc.constant('together' as const),
      updates: fc.uniqueArray(fc.record({ branch, isThere: fc.boolean(), commit }), {
        minLength: 1,
        maxLength: 3,
        selector: update => update.branch,
      }),
    }),
  ),
  { minLength: 60, maxLength: 60 },
)

test('the forge in memory answers as the client and GitHub do', async t => {
  const graph = drawGraph()
  const { open, repo } = await sceneFor(t, { graph })
  const memory = openMemoryForge(drawGraph())
  const both: [Forge, Forge] = [open(), memory]
  const seen = new Set<string>()
  const agree = async (what: string, ask: (forge: Forge) => Promise<unknown>) => {
    const [said, own] = await Promise.all(both.map(ask))
    assert.deepEqual(own, said, what)
    return said
  }
  const [script = []] = fc.sample(steps, { seed: seedFor(t), numRuns: 1 })
  for (const step of script) {
    const tips = graph.branches()
    const said = await agree(JSON.stringify(step), async forge => {
      if ('commit' in step) {
        const { kind, branch, commit } = step
        return kind === 'create'
          ? forge.createBranch(branch, commit, 0)
          : forge.fastForward(branch, commit, 0)
      }
      const updates = step.updates.map(({ branch, isThere, commit }) => ({
        ...{ branch, to: commit, from: isThere ? tips.get(branch) : undefined },
      }))
      return (await forge.updateBranches(updates, 0)).kind
    })
    seen.add(`${step.kind} ${JSON.stringify(said)}`)
    const names = ['nixos-tested-a', 'nixos-tested-b', 'nixos-tested-b/c']
    await Promise.all([
      agree('the branches', forge => forge.listBranches('nixos-tested-')),
      ...names.map(name => agree(name, forge => forge.findBranch(name))),
      ...names.map(name => agree(`beside ${name}`, forge => forge.findConflictingBranch(name))),
    ])
  }
  const bases = [...COMMITS.slice(0, 6), 'HEAD', 'refs/heads/main', 'refs/heads/missing']
  for (const head of [...COMMITS, NOWHERE]) {
    const compare = async (base: string) => {
      const compared = await agree(`${base}...${head}`, forge => forge.compare(base, head))
      seen.add(typeof compared === 'string' ? compared : (compared as { status: string }).status)
    }
    await Promise.all([...bases.map(compare), agree(`${head} is there`, forge => forge.hasCommit(head))])
  }
  const { fullName, defaultBranch, archived } = (await both[0].facts()) ?? {}
  assert.deepEqual({ fullName, defaultBranch, archived }, await memory.facts())
  assert.deepEqual(
    memory.moves.map(({ branch, from, to }) => [`refs/heads/${branch}`, from, to]),
    repo.moves.map(({ ref, from, to }) => [ref, from, to]),
  )
  assert.ok(seen.size > 9, [...seen].join('\n'))
})
