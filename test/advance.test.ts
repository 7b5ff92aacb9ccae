// The heart, against a GitHub whose branches and commits are git's. Each case draws its graph; the token is there before.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { advance, decide, type Move, type Seen } from '../src/advance.ts'
import type { Candidate } from '../src/candidate.ts'
import type { GitHubRepository } from '../src/github/repository.ts'
import { checkWritable, findWithdrawal } from '../src/guard.ts'
import type { Outcome } from '../src/outcome.ts'
import type { TestRepository } from './helpers/github.ts'
import { type Scene, sceneFor } from './helpers/scene.ts'

const COMPARE = 'GET /compare/refs/heads/channel...c3'
const LOOK = 'GET /git/ref/heads/channel'
const CREATE = 'POST /git/refs'
const MOVE = 'PATCH /git/refs/heads/channel'
const HAS = 'GET /commits/c3'
const CONFLICT = 'GET /git/matching-refs/heads/channel/'
const ALWAYS = { times: Number.POSITIVE_INFINITY }
const NOWHERE = '0123456789012345678901234567890123456789'

interface Graph {
  scene: Scene
  repo: TestRepository
  repository: GitHubRepository
  c1: string
  c2: string
  c3: string
  c4: string
  /** a child of c1 that is on no branch */
  s1: string
  /** a commit without a common history */
  a1: string
  move(more?: Partial<Move>): Promise<Outcome>
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
    move: more => advance({ channel, sha: c3, repository, mode: 'move', ...more }),
    meanwhile: (method, run) => scene.github.fault({ kind: 'hook', method, path: '/git/refs', run }),
  }
}

describe('what was seen decides', () => {
  const sides = { tip: 't', aheadBy: 2, behindBy: 3, mergeBase: 'm' }
  const table: [Seen, ReturnType<typeof decide>][] = [
    [{ kind: 'missing' }, { kind: 'create' }],
    [
      { kind: 'unrelated', tip: 't' },
      { kind: 'leave', outcome: { kind: 'diverged', tip: 't', sha: 's' } },
    ],
    [
      { kind: 'compared', status: 'identical', ...sides },
      { kind: 'leave', outcome: { kind: 'already-there', sha: 's' } },
    ],
    [
      { kind: 'compared', status: 'behind', ...sides },
      { kind: 'leave', outcome: { kind: 'already-contained', tip: 't', sha: 's', commits: 3 } },
    ],
    [
      { kind: 'compared', status: 'ahead', ...sides },
      { kind: 'fast-forward', from: 't', commits: 2 },
    ],
    [
      { kind: 'compared', status: 'diverged', ...sides },
      {
        kind: 'leave',
        outcome: {
          kind: 'diverged',
          tip: 't',
          sha: 's',
          parted: { mergeBase: 'm', aheadBy: 2, behindBy: 3 },
        },
      },
    ],
  ]
  for (const [seen, decision] of table) {
    test(`${seen.kind}${seen.kind === 'compared' ? ` ${seen.status}` : ''}: ${decision.kind}`, () => {
      assert.deepEqual(decide(seen, 's'), decision)
    })
  }
})

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
    assert.ok(scene.requests().length <= 4)
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
    const outcome = { kind: 'would-fast-forward', from: c1, sha: c3, commits: 2 }
    assert.deepEqual(await move({ mode: 'look' }), outcome)
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
    'was it pushed there? Hydra may have fetched it from somewhere else, or it was removed since',
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
    assert.deepEqual(scene.requests(), [compare, LOOK, CREATE])
    assert.equal(await repo.branch('channel'), undefined)
  })
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
      'unarchive it in its settings, or take its rule out of the configuration',
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
      'GitHub refused 4 times, though each new look said that the channel can move: Reference update failed',
      'a ruleset or branch protection may forbid it: see the settings of the repository',
    ])
    assert.deepEqual(scene.requests(), Array.from({ length: 4 }, () => [COMPARE, MOVE]).flat())
    assert.equal(await repo.branch('channel'), c1)
  })

  test('whose default branch is the channel', async t => {
    const { scene, repo, repository } = await draw(t)
    repo.defaultBranch = 'channel'
    const channel = { repository: 'alice/dotfiles', branch: 'main' }
    assert.deepEqual(await scene.trouble(checkWritable(repository, channel)), [
      'main is the default branch of the repository, and no channel',
      'give the channel another name in the rule (branch)',
    ])
    const newcomer = { ...channel, branch: 'channel' }
    assert.equal(
      (await scene.trouble(checkWritable(scene.open(), newcomer)))[0]?.startsWith('channel is'),
      true,
    )
  })
})

describe('a branch is in the way', () => {
  const HINT = 'delete or rename that branch, or choose another name'

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

describe('before the first write', () => {
  test('an objection stops it, and nothing is proven', async t => {
    const { scene, repo, c1, c3, c4, move } = await draw(t)
    const withdrawn: Outcome = { kind: 'withdrawn', sha: c3, eval: 1, newest: { eval: 2, sha: c4 } }
    const prove = () => assert.fail('proven')
    for (const channel of [undefined, c1]) {
      if (channel) await repo.setBranch('channel', channel)
      assert.deepEqual(await move({ findObjection: async () => withdrawn, prove }), withdrawn)
    }
    assert.deepEqual(scene.requests(), [COMPARE, LOOK, COMPARE])
    assert.equal(await repo.branch('channel'), c1)
  })

  test('the proof comes after the objections, once, and a failed one stops it', async t => {
    const { scene, repo, c1, c2, move, meanwhile } = await draw(t)
    await repo.setBranch('channel', c1)
    const steps: string[] = []
    const findObjection = async () => {
      steps.push('objection')
      return undefined
    }
    const failing = async () => {
      steps.push('proof')
      throw new Error('not in the cache')
    }
    await assert.rejects(move({ findObjection, prove: failing }), { message: 'not in the cache' })
    assert.deepEqual(steps, ['objection', 'proof'])
    assert.deepEqual(scene.requests(), [COMPARE])
    assert.equal(await repo.branch('channel'), c1)

    steps.length = 0
    meanwhile('PATCH', () => repo.deleteBranch('channel'))
    const prove = async () => void steps.push('proof')
    assert.equal((await move({ findObjection, prove })).kind, 'created')
    assert.deepEqual(steps, ['objection', 'proof'])
    assert.notEqual(await repo.branch('channel'), c2)
  })

  test('what stays needs neither, and a dry run both', async t => {
    const { repo, c1, c3, move } = await draw(t)
    const steps: string[] = []
    const findObjection = async () => {
      steps.push('objection')
      return undefined
    }
    const prove = async () => void steps.push('proof')
    await repo.setBranch('channel', c3)
    await move({ findObjection, prove })
    assert.deepEqual(steps, [])
    await repo.setBranch('channel', c1)
    await move({ findObjection, prove, mode: 'look' })
    assert.deepEqual(steps, ['objection', 'proof'])
  })
})

describe('a commit that was taken back', () => {
  const candidate = (sha: string, newest?: string): Candidate => ({
    sha,
    build: 7,
    eval: 1,
    newest: newest === undefined ? undefined : { eval: 2, sha: newest },
  })

  // main: c1 - c2 - c3 - c4     build proves s1, a child of c1; newest eval c4
  test('is withdrawn, and moves nothing', async t => {
    const { scene, repo, repository, c1, c4, s1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    const findObjection = () => findWithdrawal(repository, candidate(s1, c4))
    assert.deepEqual(await move({ sha: s1, findObjection }), {
      kind: 'withdrawn',
      sha: s1,
      eval: 1,
      newest: { eval: 2, sha: c4 },
    })
    assert.deepEqual(scene.requests(), ['GET /compare/refs/heads/channel...s1', 'GET /compare/s1...c4'])
    assert.equal(await repo.branch('channel'), c1)
  })

  test('is told by how the two commits stand to each other', async t => {
    const { scene, repository, c2, c3, c4, s1, a1 } = await draw(t)
    const ask = async (sha: string, newest?: string) =>
      (await findWithdrawal(repository, candidate(sha, newest)))?.kind
    assert.equal(await ask(c3), undefined)
    assert.equal(await ask(c3, c3), undefined)
    assert.deepEqual(scene.requests(), [])
    assert.equal(await ask(c3, c4), undefined)
    assert.equal(await ask(c2, c4), undefined)
    // main was reset to c2 after c3 had been built
    assert.equal(await ask(c3, c2), 'withdrawn')
    assert.equal(await ask(s1, c4), 'withdrawn')
    assert.equal(await ask(a1, c4), 'withdrawn')
    assert.equal(scene.requests().length, 5)
  })

  test('is asked for once, however many channels want to know', async t => {
    const { scene, repository, c3, c4 } = await draw(t)
    const ask = () => findWithdrawal(repository, candidate(c3, c4))
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [undefined, undefined, undefined])
    assert.equal(await ask(), undefined)
    assert.deepEqual(scene.requests(), ['GET /compare/c3...c4'])
  })

  test('is no matter of guessing where GitHub knows one of the two not', async t => {
    const { scene, repository, c3, c4 } = await draw(t)
    const ask = (sha: string, newest: string) => findWithdrawal(repository, candidate(sha, newest))
    for (const [sha, newest] of [
      [NOWHERE, c4],
      [c3, NOWHERE],
    ] as const) {
      const [message] = await scene.trouble(ask(sha, newest))
      assert.equal(message, `GitHub has no commit ${NOWHERE} in this repository`)
    }
    scene.github.fault({ kind: 'status', status: 500, ...ALWAYS })
    await scene.trouble(ask(c3, c4))
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
      'GitHub refused 4 times, though each new look said that the channel can move: Reference already exists',
    )
    assert.equal(scene.requests().length, 10)
  })
})

describe('an answer that is lost', () => {
  // main: c1 - c2 - c3 - c4     no channel, build proves c3
  for (const [what, fault, outcome, requests] of [
    ['before the POST took effect', { kind: 'drop', when: 'before' }, 'created', [CREATE]],
    ['after the POST took effect', { kind: 'drop', when: 'after' }, 'already-there', [CREATE, COMPARE]],
    ['in the middle of the answer to the POST', { kind: 'truncate' }, 'already-there', [CREATE, COMPARE]],
    ['as garbage, after the POST took effect', { kind: 'garbage' }, 'already-there', [CREATE, COMPARE]],
    ['as a page, after the POST took effect', { kind: 'html' }, 'already-there', [CREATE, COMPARE]],
    ['as 502, before the POST took effect', { kind: 'status', status: 502 }, 'created', [CREATE]],
  ] as const) {
    test(`${what}: ${outcome}`, async t => {
      const { scene, repo, c3, move } = await draw(t)
      scene.github.fault({ ...fault, method: 'POST' })
      assert.deepEqual(await move(), { kind: outcome, sha: c3 })
      assert.equal(await repo.branch('channel'), c3)
      assert.deepEqual(scene.requests(), [COMPARE, LOOK, CREATE, ...requests])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1, build proves c3
  for (const [what, fault] of [
    ['before the PATCH took effect', { kind: 'drop', when: 'before' }],
    ['after the PATCH took effect', { kind: 'drop', when: 'after' }],
    ['in the middle of the answer to the PATCH', { kind: 'truncate' }],
    ['as garbage, after the PATCH took effect', { kind: 'garbage' }],
    ['as a page, after the PATCH took effect', { kind: 'html' }],
    ['as 502, before the PATCH took effect', { kind: 'status', status: 502 }],
  ] as const) {
    test(`${what}: fast-forwarded`, async t => {
      const { scene, repo, c1, c3, move } = await draw(t)
      await repo.setBranch('channel', c1)
      scene.github.fault({ ...fault, method: 'PATCH' })
      assert.deepEqual(await move(), { kind: 'fast-forwarded', from: c1, sha: c3, commits: 2 })
      assert.equal(await repo.branch('channel'), c3)
      assert.equal(repo.moves.length, 1)
      assert.deepEqual(scene.requests(), [COMPARE, MOVE, MOVE])
    })
  }

  // main: c1 - c2 - c3 - c4     channel at c1; the PATCH to c3 works unheard, and somebody moves on to c4
  test('and somebody moves on: already contained', async t => {
    const { scene, repo, c1, c3, c4, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    scene.github.fault({ kind: 'hook', method: 'PATCH', run: () => repo.setBranch('channel', c4) })
    assert.deepEqual(await move(), { kind: 'already-contained', tip: c4, sha: c3, commits: 1 })
    assert.deepEqual(scene.requests(), [COMPARE, MOVE, MOVE, COMPARE])
  })

  test('for good is no outcome but an error, and the channel is where it was', async t => {
    const { scene, repo, c1, move } = await draw(t)
    await repo.setBranch('channel', c1)
    scene.github.fault({ kind: 'drop', when: 'before', method: 'PATCH', ...ALWAYS })
    const [message] = await scene.trouble(move())
    assert.match(
      message ?? '',
      /^GitHub could not be asked: the connection was closed before an answer \(PATCH /,
    )
    assert.deepEqual(scene.requests(), [COMPARE, MOVE, MOVE, MOVE, MOVE])
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
    const outcome = await move({ sha: goal })
    assert.deepEqual(outcome, { kind: 'fast-forwarded', from: line[6], sha: goal, commits: 3 })
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
  assert.deepEqual(await scene.trouble(advance({ channel, sha: c3, repository, mode: 'move' })), [
    'GitHub did not answer in the time that was left (github.deadlineSeconds)',
    'the next run tries again',
  ])
  assert.deepEqual(scene.requests(), [COMPARE, MOVE])
})

/** The outcome with the commits called as in the graph. */
function renamed(graph: Graph, outcome: Outcome): unknown {
  const { c1, c2, c3, c4, s1, a1 } = graph
  return Object.entries({ c1, c2, c3, c4, s1, a1 }).reduce(
    (value, [name, sha]) => JSON.parse(JSON.stringify(value).replaceAll(sha, name)),
    outcome as unknown,
  )
}
