// What settle makes of many channels at once: what is asked, in which turn, and that each gets its one verdict. The forge
// is in memory; where the database, the cache and the lock would answer, the test does.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { OperatorError } from '../../../src/base/errors.ts'
import { listTips, prefixesIn } from '../../../src/channels/branches.ts'
import type { Forge } from '../../../src/channels/forge.ts'
import { writeHold } from '../../../src/channels/holds.ts'
import type { PlannedChannel } from '../../../src/channels/plan.ts'
import { type SettleTools, settle } from '../../../src/channels/settle.ts'
import type { Verdict } from '../../../src/channels/verdict.ts'
import { MemoryGraph } from '../../helpers/github/memory-graph.ts'
import { openMemoryForge } from '../../helpers/memory-forge.ts'

const REPOSITORY = 'alice/dotfiles'
const sha = (digit: string) => digit.repeat(40)
const [C0, C1, C2, C3, S1] = [sha('0'), sha('1'), sha('2'), sha('3'), sha('a')]

// c0 - c1 - c2 - c3     main at c3; s1, a child of c0, is on no branch
function drawGraph(): MemoryGraph {
  const graph = new MemoryGraph()
  const chain: [string, string[]][] = [
    [C0, []],
    [C1, [C0]],
    [C2, [C1]],
    [C3, [C2]],
    [S1, [C0]],
  ]
  for (const [at, [commit, parents]] of chain.entries()) graph.add({ sha: commit, parents, date: at * 60 })
  return graph
}

/** By default the job has a good build of c2. */
function plannedOf(branch: string, more: Partial<PlannedChannel> = {}): PlannedChannel {
  const job = { project: 'dotfiles', jobset: 'main', job: branch }
  return {
    channel: { repository: REPOSITORY, branch },
    job,
    jobs: [job],
    presence: 'present',
    candidate: { sha: C2, build: 2, eval: 2, newest: undefined },
    prefix: 'nixos-tested-',
    tracked: { kind: 'default branch' },
    // settle decides by none of them
    facts: undefined as unknown as PlannedChannel['facts'],
    ...more,
  }
}

const candidateAt = (commit: string, build: number) => ({
  candidate: { sha: commit, build, eval: build, newest: undefined },
})

/** A fleet whose channels are at c0. */
function open(t: Pick<TestContext, 'after'>, branches: readonly string[]) {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'hc-settle-'))
  t.after(() => rmSync(stateDirectory, { recursive: true }))
  const graph = drawGraph()
  graph.setBranch('main', C3)
  for (const branch of branches) graph.setBranch(branch, C0)
  const asked: string[] = []
  const memory = openMemoryForge(graph)
  const fleet = {
    ...{ graph, asked, stateDirectory, moves: memory.moves },
    /** what the database says by now */
    planned: branches.map(branch => plannedOf(branch)),
    forge: watched(memory, asked),
    verdicts: [] as [string, Verdict][],
    hold: (branch: string) =>
      writeHold(
        stateDirectory,
        { repository: REPOSITORY, branch },
        { reason: 'no', since: '2026-11-24T12:00:00Z', until: null },
      ),
    kinds: () => Object.fromEntries(fleet.verdicts.map(([branch, { kind }]) => [branch, kind])),
    async run(more: Partial<SettleTools> = {}, listed = true) {
      const planned = fleet.planned
      const forge = () => fleet.forge
      await settle(
        planned,
        {
          mode: 'move',
          forge,
          tips: listed ? await listTips({ repository: forge }, prefixesIn(planned)) : undefined,
          planAgain: async () => fleet.planned,
          findOutputs: async () => new Map(),
          prove: undefined,
          checkLock: async () => {},
          stateDirectory,
          secondMs: 0,
          progress: () => {},
          ...more,
        },
        ({ channel }, verdict) => fleet.verdicts.push([channel.branch, verdict]),
      )
      return fleet.kinds()
    },
  }
  return fleet
}

type Fleet = ReturnType<typeof open>

/** A forge that tells what is asked of it: `on main c2`, `write a,b`. */
function watched(forge: Forge, asked: string[]): Forge {
  const note = (what: string) => asked.push(what)
  return {
    ...forge,
    compare(base, head) {
      if (base.startsWith('refs/')) note(`look ${base.slice('refs/heads/'.length)}`)
      if (head === 'HEAD' || head.startsWith('refs/')) note(`on ${head} ${base.slice(0, 1)}`)
      return forge.compare(base, head)
    },
    listBranches(prefix) {
      note(`list ${prefix}`)
      return forge.listBranches(prefix)
    },
    createBranch(branch, commit, sent) {
      note(`write ${branch}`)
      return forge.createBranch(branch, commit, sent)
    },
    fastForward(branch, commit, sent) {
      note(`write ${branch}`)
      return forge.fastForward(branch, commit, sent)
    },
    updateBranches(updates, sent) {
      note(`write ${updates.map(({ branch }) => branch).join()}`)
      return forge.updateBranches(updates, sent)
    },
    pause(seconds) {
      note('wait')
      return forge.pause(seconds)
    },
  }
}

const namesOf = (count: number) => Array.from({ length: count }, (_, n) => `nixos-tested-h${n}`)
const writes = (asked: readonly string[]) => asked.filter(each => each.startsWith('write '))
const [A = '', B = ''] = namesOf(2)

describe('nothing is proven of a channel that will not be written', () => {
  const cases: [string, Verdict['kind'], (fleet: Fleet) => void][] = [
    ['held', 'held', fleet => fleet.hold(A)],
    [
      'its candidate is not on the tracked branch',
      'not-on-branch',
      fleet => {
        fleet.planned = [plannedOf(A, candidateAt(S1, 9))]
      },
    ],
    [
      'the default branch',
      'failed',
      fleet => {
        fleet.graph.setBranch('trunk', C3)
        fleet.graph.head = A
        fleet.planned = [plannedOf(A, { tracked: { kind: 'name', name: 'trunk' } })]
      },
    ],
    ['further already', 'already-contained', fleet => fleet.graph.setBranch(A, C3)],
    [
      'its job is gone, and so is it',
      'job-gone',
      fleet => {
        fleet.graph.setBranch(A, undefined)
        fleet.planned = [plannedOf(A, { presence: 'gone' })]
      },
    ],
    [
      'its job is gone, and it is somebody else’s by now',
      'job-gone',
      fleet => {
        fleet.planned = [plannedOf(A, { presence: 'gone', ignored: true })]
      },
    ],
  ]
  for (const [what, kind, arrange] of cases) {
    test(what, async t => {
      const fleet = open(t, [A])
      arrange(fleet)
      const proven: number[] = []
      const kinds = await fleet.run({
        prove: async (_, build) => {
          proven.push(build)
          return 'seen'
        },
      })
      assert.deepEqual([kinds, proven, writes(fleet.asked)], [{ [A]: kind }, [], []])
    })
  }
})

test('a channel moves as soon as it is proven, and waits for no other upload', async t => {
  const fleet = open(t, [A, B])
  fleet.planned = [plannedOf(A), plannedOf(B, candidateAt(C3, 3))]
  let end = () => {}
  const uploaded = new Promise<void>(resolve => {
    end = resolve
  })
  const running = fleet.run({
    async prove(_, build) {
      if (build !== 2) return 'seen'
      await uploaded
      return 'copied'
    },
  })
  while (fleet.verdicts.length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(fleet.kinds(), { [B]: 'fast-forwarded' })
  end()
  assert.deepEqual(await running, { [B]: 'fast-forwarded', [A]: 'fast-forwarded' })
})

describe('what changes during an upload counts', () => {
  /** One channel whose upload something happens in. */
  async function upload(t: TestContext, happen: (fleet: Fleet, uploads: number) => void) {
    const fleet = open(t, [A])
    const proven: number[] = []
    await fleet.run({
      async prove(_, build) {
        proven.push(build)
        happen(fleet, proven.length)
        return 'copied'
      },
    })
    return { ...fleet, proven, at: fleet.graph.branch(A) }
  }

  test('another candidate is proven in its place', async t => {
    const ran = await upload(t, fleet => {
      fleet.planned = [plannedOf(A, candidateAt(C3, 3))]
    })
    assert.deepEqual([ran.kinds(), ran.proven, ran.at], [{ [A]: 'fast-forwarded' }, [2, 3], C3])
  })

  test('another build of the same commit is, too', async t => {
    const ran = await upload(t, fleet => {
      fleet.planned = [plannedOf(A, candidateAt(C2, 7))]
    })
    assert.deepEqual([ran.kinds(), ran.proven, ran.at], [{ [A]: 'fast-forwarded' }, [2, 7], C2])
  })

  test('a candidate that changes each time ends', async t => {
    const ran = await upload(t, (fleet, uploads) => {
      fleet.planned = [plannedOf(A, candidateAt(C2, 10 + uploads))]
    })
    assert.deepEqual([ran.kinds(), ran.proven.length, ran.at], [{ [A]: 'candidate-changed' }, 4, C0])
  })

  test('a job that has no good build any more moves nothing', async t => {
    const ran = await upload(t, fleet => {
      fleet.planned = [plannedOf(A, { candidate: undefined })]
    })
    assert.deepEqual([ran.kinds(), ran.at], [{ [A]: 'no-good-build' }, C0])
  })

  test('a channel that no rule makes any more is left', async t => {
    const ran = await upload(t, fleet => {
      fleet.planned = []
    })
    assert.deepEqual([ran.kinds(), ran.at], [{ [A]: 'candidate-changed' }, C0])
  })

  test('a channel that is ignored, and whose job goes, is left', async t => {
    const ran = await upload(t, fleet => {
      fleet.planned = [plannedOf(A, { ...candidateAt(C2, 2), presence: 'gone', ignored: true })]
    })
    assert.deepEqual([ran.kinds(), ran.at], [{ [A]: 'job-gone' }, C0])
  })

  test('a hold is obeyed', async t => {
    const ran = await upload(t, fleet => fleet.hold(A))
    assert.deepEqual([ran.kinds(), ran.at], [{ [A]: 'held' }, C0])
  })

  test('a reset of the tracked branch is seen', async t => {
    const ran = await upload(t, fleet => fleet.graph.setBranch('main', C1))
    assert.deepEqual([ran.kinds(), ran.at], [{ [A]: 'not-on-branch' }, C0])
  })
})

describe('the last moment before a write', () => {
  test('a hold that is placed then is obeyed', async t => {
    const fleet = open(t, [A])
    await fleet.run({ checkLock: async () => fleet.hold(A) })
    assert.deepEqual([fleet.kinds(), writes(fleet.asked)], [{ [A]: 'held' }, []])
  })

  for (const many of [1, 12]) {
    const all = namesOf(many)
    const failed = Object.fromEntries(all.map(branch => [branch, 'failed']))
    const lost = async () => {
      throw new OperatorError('the lock was lost')
    }
    test(`without the lock nothing is written (${many})`, async t => {
      const fleet = open(t, all)
      assert.deepEqual([await fleet.run({ checkLock: lost }), writes(fleet.asked)], [failed, []])
    })
    test(`without the database nothing is written (${many})`, async t => {
      const fleet = open(t, all)
      assert.deepEqual([await fleet.run({ planAgain: lost }), writes(fleet.asked)], [failed, []])
    })
  }

  test('of many, those that are held then stay, and the others go', async t => {
    const all = namesOf(12)
    const fleet = open(t, all)
    const kinds = await fleet.run({ checkLock: async () => fleet.hold(A) })
    assert.deepEqual(kinds, Object.fromEntries(all.map(b => [b, b === A ? 'held' : 'fast-forwarded'])))
    assert.deepEqual(writes(fleet.asked), [`write ${all.slice(1).join()}`])
  })
})

test('one wave of writes asks once where the tracked branch is, and an upload ends the wave', async t => {
  const all = namesOf(200)
  const fleet = open(t, all)
  await fleet.run()
  // all are judged and written without a wait; the second hundred waited for its second
  assert.deepEqual(fleet.asked, [
    'list nixos-tested-',
    'on HEAD 2',
    `write ${all.slice(0, 100).join()}`,
    'on HEAD 2',
    `write ${all.slice(100).join()}`,
  ])

  const uploading = open(t, [A])
  await uploading.run({ prove: async () => 'copied' })
  assert.deepEqual(uploading.asked, [
    'list nixos-tested-',
    'on HEAD 2',
    `look ${A}`,
    'on HEAD 2',
    `write ${A}`,
  ])
})

test('if a new eval changes the candidates of many, they share one list of branches', async t => {
  const all = namesOf(12)
  const fleet = open(t, all)
  const running = fleet.run()
  fleet.planned = fleet.planned.map(each => ({ ...each, ...candidateAt(C3, 3) }))
  const kinds = await running
  assert.deepEqual(kinds, Object.fromEntries(all.map(branch => [branch, 'fast-forwarded'])))
  assert.deepEqual(fleet.asked, [
    'list nixos-tested-',
    'on HEAD 2',
    'list nixos-tested-',
    'on HEAD 3',
    `write ${all.join()}`,
  ])
})

test('a batch whose answer is lost is looked at, and not sent again', async t => {
  const all = namesOf(12)
  const fleet = open(t, all)
  const { updateBranches } = fleet.forge
  const error = new OperatorError('no answer')
  fleet.forge = {
    ...fleet.forge,
    async updateBranches(updates, sent) {
      await updateBranches(updates, sent)
      return { kind: 'not-answered', error, waitSeconds: 1, mayBeWritten: true, retry: 'worthwhile' }
    },
  }
  await fleet.run()
  assert.deepEqual(
    fleet.verdicts.map(([, verdict]) => verdict),
    all.map(() => ({ kind: 'fast-forwarded', from: C0, sha: C2, commits: 2, answerLost: true })),
  )
  assert.equal(writes(fleet.asked).length, 1)
})

test('a batch that is refused is halved until the bad one is alone', async t => {
  const all = namesOf(16)
  const fleet = open(t, all)
  const { updateBranches, fastForward } = fleet.forge
  const isBad = (branch: string) => branch === 'nixos-tested-h5'
  fleet.forge = {
    ...fleet.forge,
    updateBranches: async (updates, sent) =>
      updates.some(({ branch }) => isBad(branch))
        ? { kind: 'refused', error: new Error('GH013') }
        : updateBranches(updates, sent),
    async fastForward(branch, commit, sent) {
      if (isBad(branch)) throw new OperatorError('a rule forbids it')
      return fastForward(branch, commit, sent)
    },
  }
  const kinds = await fleet.run()
  assert.deepEqual(kinds, Object.fromEntries(all.map(b => [b, isBad(b) ? 'failed' : 'fast-forwarded'])))
})

/** What a channel is when the run begins, and what may happen to it meanwhile. */
const states = fc.record({
  tip: fc.constantFrom(undefined, C0, C1, C2, C3, S1),
  candidate: fc.constantFrom(C1, C2, C2, C2, S1, 'none', 'unusable'),
  build: fc.integer({ min: 1, max: 3 }),
  held: fc.constantFrom(false, false, false, true),
  presence: fc.constantFrom('present' as const, 'present' as const, 'gone' as const),
  ambiguous: fc.constantFrom(false, false, false, true),
})
const happenings = fc.constantFrom('nothing', 'nothing', 'hold', 'change', 'roll back', 'leave', 'reset')
const writeEnds = fc.constantFrom(
  'written',
  'written',
  'written',
  'refused',
  'not answered',
  'lost',
  'failed',
)
const proofs = fc.constantFrom('seen' as const, 'seen' as const, 'copied' as const, 'missing' as const)

test('each channel gets one verdict, and only what a verdict says has moved', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(states, { minLength: 1, maxLength: 24 }),
      fc.infiniteStream(happenings),
      fc.infiniteStream(writeEnds),
      fc.infiniteStream(proofs),
      fc.boolean(),
      async (channels, happens, ends, proves, listed) => {
        const all = namesOf(channels.length)
        const fleet = open(t, all)
        const { graph } = fleet
        fleet.planned = channels.map(({ tip, candidate, build, held, presence, ambiguous }, n) => {
          const branch = all[n] ?? ''
          graph.setBranch(branch, tip)
          if (held) fleet.hold(branch)
          const planned = plannedOf(branch, { presence })
          if (ambiguous) planned.jobs.push(planned.job)
          if (candidate === 'none') return { ...planned, candidate: undefined }
          if (candidate === 'unusable') return { ...planned, candidate: new OperatorError('no flakeref') }
          return { ...planned, ...candidateAt(candidate, build) }
        })
        const held = new Set(all.filter((_, n) => channels[n]?.held))
        /** where each channel was before somebody else moved it: a write may still name that */
        const rolledBack = new Map<string, string>()
        const next = <T>(stream: Iterator<T>): T => stream.next().value as T
        const rollBack = (branch: string) => {
          const tip = graph.branch(branch)
          if (tip === undefined) return
          rolledBack.set(branch, tip)
          graph.setBranch(branch, C0)
        }
        const happen = () => {
          const branch = all[Math.floor(all.length / 2)] ?? ''
          switch (next(happens)) {
            case 'hold':
              held.add(branch)
              return fleet.hold(branch)
            case 'change':
              fleet.planned = fleet.planned.map(each =>
                each.channel.branch === branch ? { ...each, ...candidateAt(C3, 30) } : each,
              )
              return
            case 'leave':
              fleet.planned = fleet.planned.filter(each => each.channel.branch !== branch)
              return
            case 'roll back':
              return rollBack(branch)
            case 'reset':
              return void graph.setBranch('main', C2)
          }
        }
        const memory = fleet.forge
        /** Carries a write out, or not, and answers or not. A hold that was there when it was sent is a broken promise. */
        const send = async <T>(branches: string[], write: () => Promise<T>) => {
          for (const branch of branches) assert.ok(!held.has(branch), `${branch} is held`)
          const end = next(ends)
          const isCarriedOut = end === 'written' || end === 'lost'
          const said = isCarriedOut ? await write() : undefined
          happen()
          if (end === 'failed') throw new OperatorError('failed')
          if (end === 'written' && said) return said
          const error = new OperatorError('no answer')
          const lost = { kind: 'not-answered', error, waitSeconds: 1 } as const
          if (end === 'lost') return { ...lost, mayBeWritten: true, retry: 'worthwhile' } as const
          return { ...lost, mayBeWritten: false, retry: 'useless' } as const
        }
        fleet.forge = {
          ...memory,
          createBranch: (branch, commit, sent) =>
            send([branch], () => memory.createBranch(branch, commit, sent)),
          fastForward: (branch, commit, sent) =>
            send([branch], () => memory.fastForward(branch, commit, sent)),
          updateBranches: async (updates, sent) => {
            const branches = updates.map(({ branch }) => branch)
            const said = await send(branches, () => memory.updateBranches(updates, sent))
            return said.kind === 'not-answered' && said.retry === 'useless'
              ? { kind: 'refused', error: said.error }
              : said
          },
        }
        await fleet.run(
          {
            async prove() {
              const proof = next(proves)
              if (proof === 'missing') throw new OperatorError('not in the cache')
              if (proof === 'copied') happen()
              return proof
            },
          },
          listed,
        )

        assert.deepEqual(fleet.verdicts.map(([branch]) => branch).sort(), [...all].sort())
        for (const [branch, verdict] of fleet.verdicts) {
          const moves = fleet.moves.filter(move => move.branch === branch)
          if (verdict.kind === 'created' || verdict.kind === 'fast-forwarded') {
            const last = moves.at(-1)
            assert.equal(last?.to, verdict.sha)
            const from = verdict.kind === 'created' ? undefined : verdict.from
            // a look counts for a few seconds, and GitHub does not tell where a write found the channel
            if (from !== rolledBack.get(branch) || from === undefined) assert.equal(last?.from, from)
          }
          for (const { to } of moves) assert.notEqual(to, S1, 'never on a branch')
          const { ambiguous, presence } = channels[all.indexOf(branch)] ?? {}
          if (ambiguous) assert.deepEqual(moves, [])
          if (presence === 'gone') assert.ok(!moves.some(move => move.from === undefined))
        }
      },
    ),
    { numRuns: 300 },
  )
})
