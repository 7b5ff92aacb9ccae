// The heart, against a GitHub whose branches and commits are git's. Each case draws its graph; the token is there before.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { advance, decide, type Move, type Seen } from '../../../src/channels/advance.ts'
import type { Verdict } from '../../../src/channels/verdict.ts'
import type { Survey } from '../../../src/status/survey.ts'
import { HOLD } from '../../helpers/channel-facts.ts'
import type { TestRepository } from '../../helpers/github/github.ts'
import { type Scene, sceneFor } from '../../helpers/scene.ts'

const COMPARE = 'GET /compare/refs/heads/channel...c3'
const LOOK = 'GET /git/ref/heads/channel'
const CREATE = 'POST /git/refs'
const MOVE = 'PATCH /git/refs/heads/channel'
const HAS = 'GET /commits/c3'
const CONFLICT = 'GET /git/matching-refs/heads/channel/'
const ALWAYS = { times: Number.POSITIVE_INFINITY }
const UNCLEAR = { message: 'Reference update failed' }
const NOWHERE = '0123456789012345678901234567890123456789'

interface Graph {
  scene: Scene
  repo: TestRepository
  repository: Survey
  c1: string
  c2: string
  c3: string
  c4: string
  /** a child of c1 that is on no branch */
  s1: string
  /** a commit without a common history */
  a1: string
  move(more?: Partial<Move>): Promise<Verdict>
  /** Scripts what happens between a look and the write that follows it. */
  meanwhile(method: 'POST' | 'PATCH', run: () => Promise<void>): void
}

// main: c1 - c2 - c3 - c4     also s1, a child of c1, and a1, a root; no channel yet; build proves c3
async function draw(t: TestContext): Promise<Graph> {
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
  const channel = { repository: 'alice/dotfiles', branch: 'channel' }
  return {
    ...{ scene, repo, repository, c1, c2, c3, c4, s1, a1 },
    move: more => advance({ channel, sha: c3, forge: repository, mode: 'move', ...more }),
    meanwhile: (method, run) => scene.github.fault({ kind: 'hook', method, path: '/git/refs', run }),
  }
}

describe('what was seen decides', () => {
  const sides = { aheadBy: 2, behindBy: 3, mergeBaseSha: 'm' }
  const table: [Seen, ReturnType<typeof decide>][] = [
    [{ tip: undefined }, { kind: 'create' }],
    [
      { tip: 't', relation: 'unrelated' },
      { kind: 'leave', verdict: { kind: 'diverged', tip: 't', sha: 's' } },
    ],
    [
      { tip: 't', relation: { status: 'identical', ...sides } },
      { kind: 'leave', verdict: { kind: 'already-there', sha: 's' } },
    ],
    [
      { tip: 't', relation: { status: 'behind', ...sides } },
      { kind: 'leave', verdict: { kind: 'already-contained', tip: 't', sha: 's', commits: 3 } },
    ],
    [
      { tip: 't', relation: { status: 'ahead', ...sides } },
      { kind: 'fast-forward', from: 't', commits: 2 },
    ],
    [
      { tip: 't', relation: { status: 'diverged', ...sides } },
      {
        kind: 'leave',
        verdict: {
          kind: 'diverged',
          tip: 't',
          sha: 's',
          parted: { mergeBase: 'm', aheadBy: 2, behindBy: 3 },
        },
      },
    ],
    // GraphQL does not say where they parted
    [
      { tip: 't', relation: { status: 'diverged', aheadBy: 2, behindBy: 3 } },
      { kind: 'leave', verdict: { kind: 'diverged', tip: 't', sha: 's' } },
    ],
  ]
  for (const [seen, decision] of table) {
    test(`${nameOfSeen(seen)}: ${decision.kind}`, () => {
      assert.deepEqual(decide(seen, 's'), decision)
    })
  }
})

function nameOfSeen(seen: Seen): string {
  if (seen.tip === undefined) return 'missing'
  if (seen.relation === 'unrelated') return 'unrelated'
  const { status, mergeBaseSha } = seen.relation
  return mergeBaseSha === undefined ? `${status}, nobody knows since where` : status
}

describe('a channel', () => {
  // main: c1 - c2 - c3 - c4     no channel, build proves c3
  test('that is missing is created', async t => {
    const { scene, repo, c3, move } = await draw(t)
    assert.deepEqual(await move(), { kind: 'created', sha: c3 })
    assert.equal(await repo.branch('channel'), c3)
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE])
  })

  // main: c1 - c2 - c3 - c4     channel at c1, build proves c3
  test('that is behind is fast-forwarded', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    assert.deepEqual(await move(), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    assert.equal(await repo.branch('channel'), c3)
    assert.deepEqual(scene.github.records.at(-1)?.body, { sha: c3, force: false })
    assert.deepEqual(scene.requests(), [COMPARE, MOVE])
  })

  // main: c1 - c2 - c3 - c4     channel at c3, build proves c3
  test('that is there already stays', async t => {
    const { scene, repo, c3, move } = await draw(t)
    await repo.setBranch('channel', c3)
    assert.deepEqual(await move(), { kind: 'already-there', sha: c3 })
    assert.deepEqual(scene.requests(), [COMPARE])
  })

  // main: c1 - c2 - c3 - c4     channel at c4, build proves c3
  test('that is further already stays', async t => {
    const { scene, repo, c3, c4, move } = await draw(t)
    await repo.setBranch('channel', c4)
    assert.deepEqual(await move(), { kind: 'already-contained', tip: c4, sha: c3, commits: 1 })
    assert.equal(await repo.branch('channel'), c4)
    assert.deepEqual(scene.requests(), [COMPARE])
  })

  // main: c1 - c2 - c3 - c4     channel at s1, a child of c1, build proves c3
  test('that went another way stays', async t => {
    const { scene, repo, c1, c3, s1, move } = await draw(t)
    await repo.setBranch('channel', s1)
    const parted = { mergeBase: c1, aheadBy: 2, behindBy: 1 }
    assert.deepEqual(await move(), { kind: 'diverged', tip: s1, sha: c3, parted })
    assert.equal(await repo.branch('channel'), s1)
    assert.deepEqual(scene.requests(), [COMPARE])
  })

  // main: c1 - c2 - c3 - c4     channel at a1, a root of its own, build proves c3
  test('that has no common history stays', async t => {
    const { scene, repo, a1, c3, move } = await draw(t)
    await repo.setBranch('channel', a1)
    assert.deepEqual(await move(), { kind: 'diverged', tip: a1, sha: c3 })
    assert.equal(await repo.branch('channel'), a1)
    assert.deepEqual(scene.requests(), [COMPARE, LOOK])
  })

  // main: c1 - … - c400     channel at c1, build proves c400
  test('that is 399 commits behind costs as much as one that is one behind', async t => {
    const { scene, repo, c1, move } = await draw(t)
    const c400 = (await repo.history(399, c1)).at(-1) ?? ''
    scene.name({ c400 })
    await repo.setBranch('channel', c1)
    assert.deepEqual(await move({ sha: c400 }), { kind: 'fast-forwarded', from: c1, sha: c400, commits: 399 })
    assert.deepEqual(scene.requests(), ['GET /compare/refs/heads/channel...c400', MOVE])
  })

  test('twice at once is moved once, and does no harm', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const kinds = (await Promise.all([move(), move()])).map(({ kind }) => kind)
    assert.ok(kinds.every(kind => kind === 'fast-forwarded' || kind === 'already-there'))
    assert.equal(repo.moves.length, 1)
    assert.equal(await repo.branch('channel'), c3)
    // each writes once at most; the slower one may need another look
    const requests = scene.requests()
    assert.ok(requests.filter(request => request === MOVE).length <= 2)
    assert.ok(requests.filter(request => request === COMPARE).length <= 3)
    assert.ok(requests.every(request => request === MOVE || request === COMPARE))
  })
})

describe('a dry run', () => {
  test('of a missing channel', async t => {
    const { scene, repo, c3, move } = await draw(t)
    assert.deepEqual(await move({ mode: 'look' }), { kind: 'would-create', sha: c3 })
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, HAS, CONFLICT])
    assert.equal(await repo.branch('channel'), undefined)
  })

  test('of a channel that is behind', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const verdict = { kind: 'would-fast-forward', from: c1, sha: c3, commits: 2 }
    assert.deepEqual(await move({ mode: 'look' }), verdict)
    assert.deepEqual(scene.requests(), [COMPARE])
    assert.deepEqual(repo.moves, [])
  })

  test('of what stays anyway says so', async t => {
    const { repo, c3, s1, move } = await draw(t)
    await repo.setBranch('channel', c3)
    assert.deepEqual(await move({ mode: 'look' }), { kind: 'already-there', sha: c3 })
    await repo.setBranch('channel', s1)
    assert.equal((await move({ mode: 'look' })).kind, 'diverged')
  })

  test('finds out what the write would have found out', async t => {
    const { scene, repo, c1, move } = await draw(t)
    const unknown = await scene.trouble(move({ mode: 'look', sha: NOWHERE }))
    assert.equal(unknown[0], `GitHub has no commit ${NOWHERE} in this repository`)
    await repo.setBranch('channel/a', c1)
    const conflict = await scene.trouble(move({ mode: 'look' }))
    assert.equal(
      conflict[0],
      'the branch channel/a is in the way: git cannot have both channel/a and channel',
    )
  })
})

describe('a commit that GitHub does not have', () => {
  const trouble = [
    `GitHub has no commit ${NOWHERE} in this repository`,
    'Hydra may have fetched it from another repository, or it was removed since: was it pushed there?',
  ]
  const compare = `GET /compare/refs/heads/channel...${NOWHERE}`

  // main: c1 - c2 - c3 - c4     channel at c1
  test('moves no channel', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    assert.deepEqual(await scene.trouble(move({ sha: NOWHERE })), trouble)
    assert.deepEqual(scene.requests(), [compare, LOOK, `GET /commits/${NOWHERE}`])
    assert.equal(await repo.branch('channel'), c1)
  })

  // main: c1 - c2 - c3 - c4     no channel
  test('makes no channel', async t => {
    const { scene, repo, move } = await draw(t)
    assert.deepEqual(await scene.trouble(move({ sha: NOWHERE })), trouble)
    assert.deepEqual(scene.requests(), [compare, LOOK, CREATE, compare, LOOK, CREATE])
    assert.equal(await repo.branch('channel'), undefined)
  })
})

// main: c1 - c2 - c3 - c4     channel at c1, or nowhere, build proves c3
describe('a commit that GitHub compares, and does not have when it writes', () => {
  const fault = { kind: 'status', status: 422 } as const
  for (const [method, message, write, looks] of [
    ['PATCH', 'Object does not exist', MOVE, [COMPARE]],
    ['POST', `No commit found for SHA: ${NOWHERE}`, CREATE, [COMPARE, LOOK]],
  ] as const) {
    async function drawAt(t: TestContext) {
      const graph = await draw(t)
      if (method === 'PATCH') await graph.repo.setBranch('channel', graph.c1)
      const meets = (times: number) =>
        graph.scene.github.fault({ ...fault, body: { message }, method, path: '/git/refs', times })
      return { ...graph, meets }
    }

    test(`is asked for once more, and everything is decided anew: ${message}`, async t => {
      const { scene, repo, c3, move, meets } = await drawAt(t)
      meets(1)
      let clearances = 0
      const clear = async () => {
        clearances++
        return undefined
      }
      await move({ clear })
      assert.equal(await repo.branch('channel'), c3)
      assert.deepEqual(scene.requests(), [...looks, write, ...looks, write])
      assert.equal(clearances, 2)
    })

    test(`is not written if the channel is held by then: ${message}`, async t => {
      const { scene, move, meets } = await drawAt(t)
      meets(1)
      let held: Verdict | undefined
      const clear = async () => {
        const verdict = held
        held = { kind: 'held', sha: NOWHERE, hold: HOLD }
        return verdict
      }
      assert.equal((await move({ clear })).kind, 'held')
      assert.deepEqual(scene.requests(), [...looks, write, ...looks])
    })

    test(`is an error the second time: ${message}`, async t => {
      const { scene, repo, move, meets } = await drawAt(t)
      const before = await repo.branch('channel')
      meets(2)
      const [said] = await scene.trouble(move())
      assert.equal(said, 'GitHub has no commit c3 in this repository')
      assert.equal(await repo.branch('channel'), before)
      assert.deepEqual(scene.requests(), [...looks, write, ...looks, write])
    })
  }
})

describe('a repository', () => {
  test('that is empty', async t => {
    const { scene, repo, move } = await draw(t)
    await repo.deleteBranch('main')
    assert.deepEqual(await scene.trouble(move()), [
      'the repository is empty (GET API/repos/alice/dotfiles/git/ref/heads%2Fchannel)',
      'push a first commit to it',
    ])
    assert.deepEqual(scene.requests(), [COMPARE, LOOK])
  })

  test('that is archived', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    repo.archived = true
    assert.deepEqual(await scene.trouble(move()), [
      'the repository is archived, so it is read-only (PATCH API/repos/alice/dotfiles/git/refs/heads%2Fchannel)',
      'unarchive it in its settings, or remove its rule',
    ])
    assert.deepEqual(scene.requests(), [COMPARE, MOVE])
    assert.equal(await repo.branch('channel'), c1)
  })

  for (const kind of ['created', 'fast-forwarded'] as const) {
    test(`whose rules forbid a channel to be ${kind}`, async t => {
      const { scene, repo, c1, move } = await draw(t)
      if (kind === 'fast-forwarded') await repo.setBranch('channel', c1)
      const before = await repo.branches()
      repo.protect('chan*', 'Repository rule violations found\n\nCannot update this protected ref.\n\n')
      const [message, ...hints] = await scene.trouble(move())
      assert.match(
        message ?? '',
        /^a rule of the repository forbids it: Repository rule violations found Cannot update this protected ref\. \((POST|PATCH) API\S+\)$/,
      )
      assert.deepEqual(hints, [
        'let the App bypass the ruleset or branch protection, or let the rule leave this branch out',
      ])
      assert.deepEqual(scene.requests(), kind === 'created' ? [COMPARE, LOOK, CREATE] : [COMPARE, MOVE])
      assert.deepEqual(await repo.branches(), before)
    })
  }

  test('that refuses for ever without a reason is given up after four looks', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    repo.protect('channel', 'Reference update failed')
    assert.deepEqual(await scene.trouble(move()), [
      'GitHub refused 4 times, although the channel could move each time we looked: Reference update failed',
      'a ruleset or branch protection may forbid it: see the settings of the repository',
    ])
    assert.deepEqual(scene.requests(), Array.from({ length: 4 }, () => [COMPARE, MOVE]).flat())
    assert.equal(await repo.branch('channel'), c1)
  })
})

describe('a branch is in the way', () => {
  const HINT =
    'choose another name for the channel (branch in its rule): hosts may follow the branch that is in the way'

  // main: c1 - c2 - c3 - c4     channel/a and channel/b at c1, build proves c3
  test('as a folder', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel/a', c1)
    await repo.setBranch('channel/b', c1)
    assert.deepEqual(await scene.trouble(move()), [
      'the branch channel/a is in the way: git cannot have both channel/a and channel',
      HINT,
    ])
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE, CONFLICT])
  })

  // main: c1 - c2 - c3 - c4     channel/a at c1, build proves c3 for channel/a/b
  test('as a file', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel/a', c1)
    const channel = { repository: 'alice/dotfiles', branch: 'channel/a/b' }
    assert.deepEqual(await scene.trouble(move({ channel })), [
      'the branch channel/a is in the way: git cannot have both channel/a and channel/a/b',
      HINT,
    ])
    assert.deepEqual(scene.requests().slice(2), [CREATE, LOOK, `${LOOK}/a`])
    assert.deepEqual(Object.keys(await repo.branches()), ['channel/a', 'main'])
  })

  // main: c1 - c2 - c3 - c4     channels-a and other/channel at c1, build proves c3
  test('is not one whose name only begins or ends alike', async t => {
    const { repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channels-a', c1)
    await repo.setBranch('other/channel', c1)
    assert.deepEqual(await move(), { kind: 'created', sha: c3 })
  })
})

describe('immediately before each write, clearance', () => {
  const WITHDRAWN: Verdict = {
    kind: 'withdrawn',
    sha: '3',
    eval: 1,
    newest: { eval: 2, sha: '4' },
    tracked: { kind: 'default branch' },
  }

  test('that is refused stops it', async t => {
    const { scene, repo, c1, move } = await draw(t)
    for (const channel of [undefined, c1]) {
      if (channel) await repo.setBranch('channel', channel)
      assert.deepEqual(await move({ clear: async () => WITHDRAWN }), WITHDRAWN)
    }
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, COMPARE])
    assert.equal(await repo.branch('channel'), c1)
  })

  test('that fails stops it', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const clear = async () => {
      throw new Error('not in the cache')
    }
    await assert.rejects(move({ clear }), { message: 'not in the cache' })
    assert.deepEqual(scene.requests(), [COMPARE])
    assert.equal(await repo.branch('channel'), c1)
  })

  // main: c1 - c2 - c3 - c4     channel at c1; the first write is …
  for (const [what, fault] of [
    ['refused', { kind: 'hook' }],
    ['refused (409)', { kind: 'status', status: 409 }],
    ['refused without a reason', { kind: 'status', status: 422, body: UNCLEAR }],
    ['lost', { kind: 'drop', when: 'before' }],
    ['answered 502', { kind: 'status', status: 502 }],
    ['limited', { kind: 'status', status: 429, headers: { 'retry-after': '1' } }],
  ] as const) {
    test(`is asked for again after a write that is ${what}`, async t => {
      const { scene, repo, c1, c3, move } = await draw(t)
      await repo.setBranch('channel', c1)
      const steps: string[] = []
      const run = () => repo.deleteBranch('channel')
      scene.github.fault({ ...(fault.kind === 'hook' ? { ...fault, run } : fault), method: 'PATCH' })
      const clear = async () => {
        steps.push(`clear ${scene.github.requests.length}`)
        return undefined
      }
      const onWait = () => void steps.push('wait')
      const { kind } = await move({ clear, onWait })
      // between clearance and the write there is no other request
      const [first, again] = fault.kind === 'hook' ? ['clear 1', 'clear 4'] : ['clear 1', 'clear 3']
      assert.deepEqual(steps, [first, 'wait', again])
      assert.equal(kind, fault.kind === 'hook' ? 'created' : 'fast-forwarded')
      assert.equal(await repo.branch('channel'), c3)
      const second = fault.kind === 'hook' ? [COMPARE, LOOK, CREATE] : [COMPARE, MOVE]
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, ...second])
    })

    test(`that is refused after a write that is ${what} stops it`, async t => {
      const { scene, repo, c1, move } = await draw(t)
      await repo.setBranch('channel', c1)
      const run = () => repo.deleteBranch('channel')
      scene.github.fault({ ...(fault.kind === 'hook' ? { ...fault, run } : fault), method: 'PATCH' })
      let asked = 0
      const held: Verdict = { kind: 'held', sha: '3', hold: HOLD }
      assert.deepEqual(await move({ clear: async () => (asked++ === 0 ? undefined : held) }), held)
      assert.equal(asked, 2)
      assert.equal(await repo.branch('channel'), fault.kind === 'hook' ? undefined : c1)
      const again = fault.kind === 'hook' ? [COMPARE, LOOK] : [COMPARE]
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, ...again])
    })
  }

  test('is not needed by what stays, and a dry run needs it', async t => {
    const { repo, c1, c3, move } = await draw(t)
    let asked = 0
    const clear = async () => {
      asked++
      return undefined
    }
    await repo.setBranch('channel', c3)
    await move({ clear })
    assert.equal(asked, 0)
    await repo.setBranch('channel', c1)
    assert.equal((await move({ clear, mode: 'look' })).kind, 'would-fast-forward')
    assert.equal(asked, 1)
    assert.deepEqual(await move({ clear: async () => WITHDRAWN, mode: 'look' }), WITHDRAWN)
    assert.deepEqual(repo.moves, [])
  })

  test('is not needed where the next look finds the channel there', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    let asked = 0
    scene.github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    const clear = async () => {
      asked++
      return undefined
    }
    assert.equal((await move({ clear })).kind, 'fast-forwarded')
    assert.equal(asked, 1)
    assert.equal(await repo.branch('channel'), c3)
  })
})

describe('what was seen before', () => {
  // main: c1 - c2 - c3 - c4     channel at c1, build proves c3
  test('spares the look', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const seen: Seen = { tip: c1, relation: { status: 'ahead', aheadBy: 2, behindBy: 0 } }
    assert.deepEqual(await move({ seen }), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    assert.deepEqual(scene.requests(), [MOVE])
  })

  // main: c1 - c2 - c3 - c4     channel at c1, seen at none
  test('and is not true any more costs a write, and is looked at again', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const moved = await move({ seen: { tip: undefined } })
    assert.deepEqual(moved, { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    assert.deepEqual(scene.requests(), [CREATE, COMPARE, MOVE])
  })
})

describe('between the look and the write the channel', () => {
  // main: c1 - c2 - c3 - c4     no channel, then one at …; build proves c3
  for (const [at, expected, final] of [
    ['c1', { kind: 'fast-forwarded', from: 'c1', sha: 'c3', commits: 2 }, 'c3'],
    ['c3', { kind: 'already-there', sha: 'c3' }, 'c3'],
    ['c4', { kind: 'already-contained', tip: 'c4', sha: 'c3', commits: 1 }, 'c4'],
    [
      's1',
      { kind: 'diverged', tip: 's1', sha: 'c3', parted: { mergeBase: 'c1', aheadBy: 2, behindBy: 1 } },
      's1',
    ],
  ] as const) {
    test(`is created at ${at}: ${expected.kind}`, async t => {
      const graph = await draw(t)
      const { scene, repo, move, meanwhile } = graph
      meanwhile('POST', () => repo.setBranch('channel', graph[at]))
      assert.deepEqual(renamed(graph, await move()), expected)
      assert.equal(await repo.branch('channel'), graph[final])
      const moved = expected.kind === 'fast-forwarded' ? [MOVE] : []
      // what is in the way is clear, so it is not looked for
      assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE, COMPARE, ...moved])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1, then …; build proves c3
  for (const [at, expected, final, requests] of [
    // c3 is after c2, too, so that GitHub takes it
    ['c2', { kind: 'fast-forwarded', from: 'c1', sha: 'c3', commits: 2 }, 'c3', []],
    ['c3', { kind: 'fast-forwarded', from: 'c1', sha: 'c3', commits: 2 }, 'c3', []],
    ['c4', { kind: 'already-contained', tip: 'c4', sha: 'c3', commits: 1 }, 'c4', [COMPARE]],
    [
      's1',
      { kind: 'diverged', tip: 's1', sha: 'c3', parted: { mergeBase: 'c1', aheadBy: 2, behindBy: 1 } },
      's1',
      [COMPARE],
    ],
    ['a1', { kind: 'diverged', tip: 'a1', sha: 'c3' }, 'a1', [COMPARE, LOOK]],
  ] as const) {
    test(`moves to ${at}: ${expected.kind}`, async t => {
      const graph = await draw(t)
      const { scene, repo, c1, move, meanwhile } = graph
      await repo.setBranch('channel', c1)
      meanwhile('PATCH', () => repo.setBranch('channel', graph[at]))
      assert.deepEqual(renamed(graph, await move()), expected)
      assert.equal(await repo.branch('channel'), graph[final])
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, ...requests])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1, then none; build proves c3
  test('is deleted: created', async t => {
    const { scene, repo, c1, c3, move, meanwhile } = await draw(t)
    await repo.setBranch('channel', c1)
    meanwhile('PATCH', () => repo.deleteBranch('channel'))
    assert.deepEqual(await move(), { kind: 'created', sha: c3 })
    assert.equal(await repo.branch('channel'), c3)
    assert.deepEqual(scene.requests(), [COMPARE, MOVE, COMPARE, LOOK, CREATE])
  })

  // main: c1 - c2 - c3 - c4     channel at c1, deleted and made again all the time
  test('comes and goes for ever: given up', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const hook = { kind: 'hook', path: '/git/refs', ...ALWAYS } as const
    scene.github.fault({ ...hook, method: 'PATCH', run: () => repo.deleteBranch('channel') })
    scene.github.fault({ ...hook, method: 'POST', run: () => repo.setBranch('channel', c1) })
    assert.deepEqual(
      (await scene.trouble(move()))[0],
      'GitHub refused 4 times, although the channel could move each time we looked: Reference already exists',
    )
    assert.equal(scene.requests().length, 10)
  })
})

describe('an answer that is lost', () => {
  // main: c1 - c2 - c3 - c4     no channel, build proves c3
  for (const [what, fault, effect] of [
    ['before the POST took effect', { kind: 'drop', when: 'before' }, 'none'],
    ['after the POST took effect', { kind: 'drop', when: 'after' }, 'created'],
    ['in the middle of the answer to the POST', { kind: 'truncate' }, 'created'],
    ['as garbage, after the POST took effect', { kind: 'garbage' }, 'created'],
    ['as a page, after the POST took effect', { kind: 'html' }, 'created'],
    ['as 502, before the POST took effect', { kind: 'status', status: 502 }, 'none'],
  ] as const) {
    test(`${what}: created`, async t => {
      const { scene, repo, c3, move } = await draw(t)
      scene.github.fault({ ...fault, method: 'POST' })
      const answerLost = effect === 'created' && { answerLost: true }
      assert.deepEqual(await move(), { kind: 'created', sha: c3, ...answerLost })
      assert.equal(await repo.branch('channel'), c3)
      assert.equal(repo.moves.length, 1)
      const again = effect === 'created' ? [COMPARE] : [COMPARE, LOOK, CREATE]
      assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE, ...again])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1, build proves c3
  for (const [what, fault, effect] of [
    ['before the PATCH took effect', { kind: 'drop', when: 'before' }, 'none'],
    ['after the PATCH took effect', { kind: 'drop', when: 'after' }, 'moved'],
    ['in the middle of the answer to the PATCH', { kind: 'truncate' }, 'moved'],
    ['as garbage, after the PATCH took effect', { kind: 'garbage' }, 'moved'],
    ['as a page, after the PATCH took effect', { kind: 'html' }, 'moved'],
    ['as 502, before the PATCH took effect', { kind: 'status', status: 502 }, 'none'],
  ] as const) {
    test(`${what}: fast-forwarded`, async t => {
      const { scene, repo, c1, c3, move } = await draw(t)
      await repo.setBranch('channel', c1)
      scene.github.fault({ ...fault, method: 'PATCH' })
      const answerLost = effect === 'moved' && { answerLost: true }
      const moved = { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2, ...answerLost }
      assert.deepEqual(await move(), moved)
      assert.equal(await repo.branch('channel'), c3)
      assert.equal(repo.moves.length, 1)
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, COMPARE, ...(effect === 'moved' ? [] : [MOVE])])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1; the PATCH to c3 works unheard, and somebody moves on to c4
  test('and somebody moves on: already contained', async t => {
    const { scene, repo, c1, c3, c4, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    const moved = await move({ onWait: () => void repo.setBranch('channel', c4) })
    assert.deepEqual(moved, { kind: 'already-contained', tip: c4, sha: c3, commits: 1 })
    assert.deepEqual(scene.requests(), [COMPARE, MOVE, COMPARE])
  })

  // main: c1 - c2 - c3 - c4     channel at c1; the PATCH is lost before its effect, and somebody goes to …
  for (const [at, verdict, again] of [
    // who of the two put it there is not known
    ['c3', { kind: 'fast-forwarded', from: 'c1', sha: 'c3', commits: 2, answerLost: true }, [COMPARE]],
    ['c2', { kind: 'fast-forwarded', from: 'c2', sha: 'c3', commits: 1 }, [COMPARE, MOVE]],
    [
      's1',
      { kind: 'diverged', tip: 's1', sha: 'c3', parted: { mergeBase: 'c1', aheadBy: 2, behindBy: 1 } },
      [COMPARE],
    ],
    ['a1', { kind: 'diverged', tip: 'a1', sha: 'c3' }, [COMPARE, LOOK]],
  ] as const) {
    test(`and somebody goes to ${at}: ${verdict.kind}`, async t => {
      const graph = await draw(t)
      const { scene, repo, c1, move } = graph
      await repo.setBranch('channel', c1)
      const method = 'PATCH'
      scene.github.fault({ kind: 'hook', method, run: () => repo.setBranch('channel', graph[at]) })
      scene.github.fault({ kind: 'drop', when: 'before', method })
      assert.deepEqual(renamed(graph, await move()), verdict)
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, ...again])
    })
  }

  test('for good is no verdict but an error, and the channel is where it was', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ kind: 'drop', when: 'before', method: 'PATCH', ...ALWAYS })
    const [message] = await scene.trouble(move())
    assert.match(
      message ?? '',
      /^GitHub could not be asked: the connection was closed before an answer \(PATCH /,
    )
    const four = Array.from({ length: 4 }, () => [COMPARE, MOVE]).flat()
    assert.deepEqual(scene.requests(), [...four, COMPARE])
    assert.equal(await repo.branch('channel'), c1)
  })

  // main: c1 - c2 - c3 - c4     channel at c1; nothing is answered any more after the PATCH
  test('and nobody can look whether it moved: the error says so', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    scene.github.fault({ kind: 'status', status: 500, method: 'GET', skip: 1, ...ALWAYS })
    const [message, ...hints] = await scene.trouble(move())
    assert.match(
      message ?? '',
      /^GitHub could not be asked: the connection was closed before an answer \(PATCH /,
    )
    assert.deepEqual(hints, [
      'the next run tries again',
      'GitHub may have carried out the write all the same: the next run looks',
    ])
    // a look is a read, which is sent again
    assert.deepEqual(scene.requests(), [COMPARE, MOVE, COMPARE, COMPARE, COMPARE, COMPARE])
    assert.equal(await repo.branch('channel'), c3)
  })
})

describe('a limit', () => {
  const limited = (seconds: number) =>
    ({ kind: 'status', status: 429, headers: { 'retry-after': String(seconds) } }) as const

  test('is waited for, and then everything is looked at again', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ ...limited(1), method: 'PATCH', times: 5 })
    assert.deepEqual(await move(), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    // a limit may come more often than an answer may be lost
    assert.deepEqual(scene.requests(), Array.from({ length: 6 }, () => [COMPARE, MOVE]).flat())
  })

  test('that is longer than the time left is said, and not waited for', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ ...limited(86_400), method: 'PATCH', ...ALWAYS })
    assert.equal(
      (await scene.trouble(move({ forge: scene.open({ secondMs: 1000 }) })))[0],
      "GitHub's rate limit is reached (Too Many Requests): it asks to wait 86400 s, longer than the time left",
    )
    assert.deepEqual(scene.requests().slice(2), [COMPARE, MOVE])
    assert.equal(await repo.branch('channel'), c1)
  })
})

describe('a read that lags behind', () => {
  const NOT_FOUND = { kind: 'status', status: 404, body: { message: 'Not Found' } } as const

  // main: c1 - c2 - c3 - c4     channel at c1, not seen by the compare
  test('the compare misses the channel: looked at again', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ ...NOT_FOUND, path: '/compare/' })
    assert.deepEqual(await move(), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, HAS, COMPARE, MOVE])
    assert.equal(await repo.branch('channel'), c3)
  })

  // main: c1 - c2 - c3 - c4     channel at c1, not seen at all
  test('both reads miss the channel: the write finds it', async t => {
    const { scene, repo, c1, c3, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ ...NOT_FOUND, path: '/compare/' })
    scene.github.fault({ ...NOT_FOUND, path: '/git/ref/' })
    assert.deepEqual(await move(), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE, COMPARE, MOVE])
    assert.equal(await repo.branch('channel'), c3)
  })

  // main: c1 - c2 - c3 - c4     channel at a1, deleted between the two reads
  test('the channel without a common history goes away: created', async t => {
    const { scene, repo, a1, c3, move } = await draw(t)
    await repo.setBranch('channel', a1)
    scene.github.fault({ kind: 'hook', path: '/git/ref/', run: () => repo.deleteBranch('channel') })
    assert.deepEqual(await move(), { kind: 'created', sha: c3 })
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, COMPARE, LOOK, CREATE])
  })

  // main: c1 - … - c10     channel at c1, and before each of six writes somebody moves it on by one
  test('that others win is no refusal: it goes on for as long as they move the channel', async t => {
    const { scene, repo, c1, c4, move } = await draw(t)
    const line = [c1, ...(await repo.history(9, c1))]
    const goal = line.at(-1) ?? c4
    await repo.setBranch('channel', c1)
    let won = 0
    const write = { method: 'PATCH', path: '/git/refs/', times: 6 } as const
    scene.github.fault({
      ...write,
      kind: 'hook',
      run: () => repo.setBranch('channel', line[++won] ?? c1),
    })
    scene.github.fault({
      ...write,
      kind: 'status',
      status: 422,
      body: { message: 'Reference update failed' },
    })
    const verdict = await move({ sha: goal })
    assert.deepEqual(verdict, { kind: 'fast-forwarded', from: line[6], sha: goal, commits: 3 })
    assert.equal(await repo.branch('channel'), goal)
    assert.equal(scene.requests().length, 14)
  })

  test('for ever is given up after four looks', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ ...NOT_FOUND, path: '/compare/', ...ALWAYS })
    assert.equal(
      (await scene.trouble(move()))[0],
      'GitHub contradicts itself: the branch and the commit are there, but it cannot compare them',
    )
    assert.equal(scene.requests().length, 12)
  })

  for (const method of ['POST', 'PATCH'] as const) {
    test(`409 once, to the ${method}: looked at again`, async t => {
      const { scene, repo, c1, c3, move } = await draw(t)
      if (method === 'PATCH') await repo.setBranch('channel', c1)
      scene.github.fault({ kind: 'status', status: 409, method })
      assert.equal((await move()).kind, method === 'POST' ? 'created' : 'fast-forwarded')
      assert.equal(await repo.branch('channel'), c3)
      const round = method === 'POST' ? [COMPARE, LOOK, CREATE] : [COMPARE, MOVE]
      assert.deepEqual(scene.requests(), [...round, ...round])
    })
  }
})

test('a look that would come after the deadline is not waited for', async t => {
  const { scene, repo, c1, c3 } = await draw(t)
  await repo.setBranch('channel', c1)
  repo.protect('channel', 'Reference update failed')
  const repository = scene.open({ credentials: scene.person, secondMs: 100_000 })
  const channel = { repository: 'alice/dotfiles', branch: 'channel' }
  assert.deepEqual(await scene.trouble(advance({ channel, sha: c3, forge: repository, mode: 'move' })), [
    'GitHub did not answer in the time that was left (github.deadlineSeconds)',
    'the next run tries again',
  ])
  assert.deepEqual(scene.requests(), [COMPARE, MOVE])
})

/** The verdict with the commits called as in the graph. */
function renamed(graph: Graph, verdict: Verdict): unknown {
  const { c1, c2, c3, c4, s1, a1 } = graph
  return Object.entries({ c1, c2, c3, c4, s1, a1 }).reduce(
    (value, [name, sha]) => JSON.parse(JSON.stringify(value).replaceAll(sha, name)),
    verdict as unknown,
  )
}
