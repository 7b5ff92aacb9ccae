// Promise 8: every write is decided anew. A write meets whatever can keep its answer from us, and something happens to the
// channel before there could be another one. No write is repeated: what is sent next, if anything, is what all that decides
// says by then, and the log says what was really there. In this process, where a second takes a millisecond; some cells
// once more as the built commands.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ALL, removeHold, writeHold } from '../../src/channels/holds.ts'
import { type Fault, writtenBranches } from '../helpers/github/github.ts'
import type { TestHydra } from '../helpers/hydra.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { verdictOf } from '../helpers/verdict.ts'
import { C0, C1, C2, C3, named, openRuns, type Ran, type RunScene, type Runs, runSceneFor } from './runs.ts'

type Caller = 'hook' | 'reconcile' | 'reconcile of many' | 'channel-update'

const WITH_HYDRA: readonly Caller[] = ['hook', 'reconcile', 'reconcile of many']

/** From eleven moves on they go together. */
const MANY = Array.from({ length: 10 }, (_, n) => `h${n}`)
const JOBS = [JOB, ...MANY.map(host => `nixos-${host}.x86_64-linux`)]
const OTHERS = MANY.map(host => `nixos-tested-${host}`)

/** A write, and three more while it is unknown whether one had its effect. */
const MAX_WRITES = 4

/** What comes back: a refusal, or nothing that would tell whether it had its effect, without it or with it. */
type Effect = 'refused' | 'lost without effect' | 'lost with effect'

interface Answer {
  what: string
  effect: Effect
  fault: Fault
  /** the token is new, so that GitHub may not know it yet */
  cold?: true
  /** those whose write can meet it; default: all */
  only?: readonly Caller[]
}

const status = (status: number, message: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status,
  body: { message },
  headers,
})
const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
const PAGE = '<html><body><h1>502 Bad Gateway</h1></body></html>'

const ANSWERS: readonly Answer[] = [
  { what: '403 with retry-after', effect: 'refused', fault: status(403, SECONDARY, { 'retry-after': '1' }) },
  // a minute, which channel-update would wait
  { what: '403 secondary limit', effect: 'refused', fault: status(403, SECONDARY), only: WITH_HYDRA },
  { what: '429', effect: 'refused', fault: status(429, 'Too Many Requests', { 'retry-after': '1' }) },
  { what: '401', effect: 'refused', fault: status(401, 'Bad credentials') },
  {
    what: '403 of a new token',
    effect: 'refused',
    fault: status(403, 'Resource not accessible by integration'),
    cold: true,
  },
  { what: '409', effect: 'refused', fault: status(409, 'Conflict') },
  {
    what: '422 of a commit that is not there yet',
    effect: 'refused',
    fault: status(422, 'Object does not exist'),
    only: ['hook', 'reconcile', 'channel-update'],
  },
  {
    what: '502',
    effect: 'lost without effect',
    fault: { kind: 'status', status: 502, body: PAGE },
  },
  { what: '500', effect: 'lost without effect', fault: status(500, 'Server Error') },
  { what: 'a lost connection', effect: 'lost without effect', fault: { kind: 'drop', when: 'before' } },
  { what: 'a lost answer', effect: 'lost with effect', fault: { kind: 'drop', when: 'after' } },
  {
    what: 'errors of GraphQL',
    effect: 'refused',
    fault: {
      kind: 'status',
      status: 200,
      body: { data: null, errors: [{ message: 'Something went wrong' }] },
    },
    only: ['reconcile of many'],
  },
  { what: 'an answer that is no JSON', effect: 'lost with effect', fault: { kind: 'garbage' } },
]

/** How a cell ends. */
interface End {
  /** one of these */
  kinds: readonly string[]
  at: string
  ended?: 'failed'
  /** that would move the channel, with the one that met the answer */
  writes: number
  /** `c1..c2 (1 commit)`, of one that is moved */
  range?: string
}

interface Cell {
  hydra: TestHydra
  stateDirectory: string
  /** of c2 */
  build: number
  /** What other people do to a branch: `c0`; undefined deletes it. */
  put(branch: string, commit: CommitName | undefined): Promise<void>
}

type CommitName = 'c0' | 'c1' | 'c2' | 'c3'

interface Happening {
  what: string
  /** what happens while the write is under way, after its effect if it has one */
  play(cell: Cell): Promise<unknown> | unknown
  undo?(cell: Cell): Promise<unknown> | unknown
  ends: Record<Effect, End>
  /** a happening that does not concern the others */
  only?: readonly Caller[]
  /** the other channels, if many move at once */
  others?: 'stay'
}

const alike = (end: End): Record<Effect, End> => ({
  refused: end,
  'lost without effect': end,
  'lost with effect': end,
})
const MOVED: End = { kinds: ['fast-forwarded'], at: 'c2', writes: 2, range: 'c1..c2 (1 commit)' }
/** its answer was lost, and the next look finds it there */
const FOUND: End = { ...MOVED, writes: 1 }
const CHANNEL_OF_HOLD = { repository: 'alice/dotfiles', branch: CHANNEL }

const hold = ({ stateDirectory }: Cell) =>
  writeHold(stateDirectory, CHANNEL_OF_HOLD, {
    reason: 'does not boot',
    since: '2026-11-24T12:00:00Z',
    until: null,
  })
const release = ({ stateDirectory }: Cell) => removeHold(stateDirectory, CHANNEL_OF_HOLD)
const holdAll = ({ stateDirectory }: Cell) =>
  writeHold(stateDirectory, ALL, {
    reason: 'moving',
    since: '2026-11-24T12:00:00Z',
    until: null,
    by: 'alice',
  })
const releaseAll = ({ stateDirectory }: Cell) => removeHold(stateDirectory, ALL)
const put = (branch: string, commit?: CommitName) => (cell: Cell) => cell.put(branch, commit)

// c0 - c1 - c2 - c3     main at c3     channel at c1     e1(c1), e2(c2): good builds, so that c2 is the candidate
const HAPPENINGS: readonly Happening[] = [
  {
    what: 'nothing',
    play() {},
    ends: { refused: MOVED, 'lost without effect': MOVED, 'lost with effect': FOUND },
  },
  {
    what: 'a hold',
    play: hold,
    undo: release,
    ends: { ...alike({ kinds: ['held'], at: 'c1', writes: 1 }), 'lost with effect': FOUND },
  },
  {
    what: 'a hold of all channels',
    play: holdAll,
    undo: releaseAll,
    ends: {
      ...alike({ kinds: ['held'], at: 'c1', writes: 1 }),
      'lost with effect': FOUND,
    },
    others: 'stay',
  },
  {
    // channel held at c0
    what: 'a hold and a roll-back',
    async play(cell) {
      hold(cell)
      await cell.put(CHANNEL, 'c0')
    },
    undo: release,
    ends: alike({ kinds: ['held'], at: 'c0', writes: 1 }),
  },
  {
    // channel at c0
    what: 'a roll-back',
    play: put(CHANNEL, 'c0'),
    ends: alike({ ...MOVED, range: 'c0..c2 (2 commits)' }),
  },
  {
    // e2's build is built again, so that c1 is the candidate
    what: 'a restart of the build',
    play: ({ hydra, build }) => hydra.restart(build),
    undo: ({ hydra, build }) => hydra.finish(build),
    ends: {
      ...alike({ kinds: ['already-there', 'candidate-changed'], at: 'c1', writes: 1 }),
      'lost with effect': { ...FOUND, kinds: ['fast-forwarded', 'already-contained', 'candidate-changed'] },
    },
    only: WITH_HYDRA,
  },
  {
    // main at c1
    what: 'a reset of main',
    play: put('main', 'c1'),
    ends: {
      ...alike({ kinds: ['not-on-branch'], at: 'c1', ended: 'failed', writes: 1 }),
      'lost with effect': FOUND,
    },
    only: WITH_HYDRA,
    others: 'stay',
  },
  {
    // channel at c2
    what: 'a move by somebody else',
    play: put(CHANNEL, 'c2'),
    ends: {
      refused: { kinds: ['already-there'], at: 'c2', writes: 1 },
      // no answer tells whose move it was
      'lost without effect': { ...FOUND, kinds: ['already-there', 'fast-forwarded'] },
      'lost with effect': FOUND,
    },
  },
  {
    // channel at c3
    what: 'a move beyond it',
    play: put(CHANNEL, 'c3'),
    ends: alike({ kinds: ['already-contained'], at: 'c3', writes: 1 }),
  },
  {
    what: 'a deletion',
    play: put(CHANNEL),
    ends: alike({ kinds: ['created'], at: 'c2', writes: 2 }),
  },
  {
    what: 'the loss of the lock',
    play: ({ hydra }) => hydra.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${hydra.database} and application_name like 'hydra-channels reconcile%'`,
    ends: {
      ...alike({ kinds: ['failed'], at: 'c1', ended: 'failed', writes: 1 }),
      'lost with effect': FOUND,
    },
    only: ['reconcile', 'reconcile of many'],
    others: 'stay',
  },
]

/** main at c3     the channel nowhere     e1(c1), e2(c2): good builds */
const CREATIONS: readonly Happening[] = [
  {
    what: 'nothing',
    play() {},
    ends: {
      ...alike({ kinds: ['created'], at: 'c2', writes: 2 }),
      'lost with effect': { kinds: ['created'], at: 'c2', writes: 1 },
    },
  },
  {
    what: 'a hold',
    play: hold,
    undo: release,
    ends: {
      ...alike({ kinds: ['held'], at: 'missing', writes: 1 }),
      'lost with effect': { kinds: ['created'], at: 'c2', writes: 1 },
    },
  },
  { what: 'somebody who puts it at c1', play: put(CHANNEL, 'c1'), ends: alike(MOVED) },
]

const ONE = { method: 'PATCH', path: /\/git\/refs\/heads/ } as const
const TOGETHER = { method: 'POST', path: /\/graphql$/ } as const
const CREATE = { method: 'POST', path: /\/git\/refs$/ } as const

const commandOf = (caller: Caller) => (caller === 'reconcile of many' ? 'reconcile' : caller)
const channelsOf = (caller: Caller) => (caller === 'reconcile of many' ? [CHANNEL, ...OTHERS] : [CHANNEL])
const writeOf = (caller: Caller) => (caller === 'reconcile of many' ? TOGETHER : ONE)

/** What a write meets, and what happens meanwhile. */
function faultsOf(
  { effect, fault }: Answer,
  write: typeof ONE | typeof TOGETHER | typeof CREATE,
  run: () => Promise<unknown> | unknown,
): Fault[] {
  const when = effect === 'lost with effect' ? 'before the answer' : 'on arrival'
  return [
    { ...write, kind: 'hook', when, run: async () => void (await run()) },
    { ...fault, ...write },
  ]
}

type Scene = Pick<Runs, 'run' | 'github' | 'directory'> & Pick<RunScene, 'hydra' | 'configured'>

interface CellRan extends Omit<Ran, 'reasons' | 'tookMs'> {
  /** where the channels are: `c2` */
  tips: Record<string, string>
}

/** @param create whether the channel is nowhere when it begins */
async function runCell(
  { github: { graph }, hydra, directory, run, configured }: Scene,
  {
    caller,
    answer,
    happening,
    create,
  }: { caller: Caller; answer: Answer; happening: Happening; create?: true },
): Promise<CellRan> {
  const cell: Cell = {
    hydra,
    stateDirectory: join(directory, 'state'),
    build: 2,
    async put(branch, commit) {
      graph.setBranch(branch, commit && { c0: C0, c1: C1, c2: C2, c3: C3 }[commit])
    },
  }
  const channels = create ? [] : channelsOf(caller).map(branch => [branch, C1])
  try {
    const ran = await run(commandOf(caller), {
      connection: configured(),
      branches: { main: C3, ...Object.fromEntries(channels) },
      faults: faultsOf(answer, create ? CREATE : writeOf(caller), () => happening.play(cell)),
      ...(answer.cold && { cold: true }),
    })
    const tips = Object.fromEntries([...graph.branches()].map(([branch, sha]) => [branch, named(sha)]))
    return { ...ran, log: ran.log.map(named), said: ran.said.map(named), tips }
  } finally {
    await happening.undo?.(cell)
  }
}

/** What is wrong with how a cell ended: nothing. */
function judge(caller: Caller, { effect }: Answer, happening: Happening, ran: CellRan): string[] {
  const problems: string[] = []
  const end = happening.ends[effect]
  const expect = (name: string, is: unknown, expected: unknown) => {
    const [left, right] = [JSON.stringify(is), JSON.stringify(expected)]
    if (left !== right) problems.push(`${name}: ${left}, expected ${right}`)
  }
  const log = [...ran.log, ...ran.said].filter(line => !line.startsWith('{'))
  const { kind, said } = verdictOf(log.join('\n'))
  if (!end.kinds.includes(kind)) expect('the verdict', kind, end.kinds.join(' or '))
  const range = /c\d\.\.c\d \(\d+ commits?\)/.exec(said)?.[0]
  if (kind === 'fast-forwarded') expect('the range', range, end.range)
  if (kind === 'fast-forwarded' || kind === 'created') {
    const isLost = said.includes("(GitHub's answer was lost)")
    expect('whether an answer was lost', isLost, effect !== 'refused' && end.writes === 1)
    // what the log calls moved was moved, and from there
    const move = `${CHANNEL}: ${kind === 'created' ? 'missing..c2' : range?.slice(0, 'c1..c2'.length)}`
    if (!isLost)
      expect(
        'the last move',
        ran.moves.findLast(each => each.startsWith(`${CHANNEL}: `)),
        move,
      )
  }
  expect('the end', ran.ended, end.ended ?? 'ok')
  expect('the channel', ran.at, end.at)
  const writes = ran.writes.filter(branches => branches.includes(CHANNEL))
  expect('writes', writes.length, end.writes)
  if (writes.length > 1) expect('what was not looked at between two writes', missingLooks(caller, ran), [])
  if (caller === 'reconcile of many') {
    const at = happening.others === 'stay' && effect !== 'lost with effect' ? 'c1' : 'c2'
    const others = OTHERS.filter(branch => ran.tips[branch] !== at)
    expect('other channels that are elsewhere', others, [])
  }
  if (problems.length === 0) return []
  return [[`${happening.what}: ${problems.join('; ')}`, ...log, ...ran.requests].join('\n    ')]
}

function missingLooks(caller: Caller, { requests }: CellRan): string[] {
  const isWrite = (request: string) => /^(POST|PATCH) .*\/(git\/refs|graphql)/.test(request)
  const [first, second] = requests.flatMap((request, at) => (isWrite(request) ? [at] : []))
  const between = requests.slice(first, second)
  const tip = new RegExp(`^GET .*(/compare/refs/heads/${CHANNEL}\\.\\.\\.c2|/git/(matching-refs|ref)/heads/)`)
  const looks = {
    'the tip': tip,
    ...(caller !== 'channel-update' && { 'the tracked branch': /^GET .*\/compare\/c2\.\.\.HEAD$/ }),
  }
  return Object.entries(looks).flatMap(([what, look]) =>
    between.some(request => look.test(request)) ? [] : [what],
  )
}

const isOf =
  (caller: Caller) =>
  ({ only }: Pick<Answer, 'only'>) =>
    !only || only.includes(caller)
const happeningsOf = (caller: Caller) => HAPPENINGS.filter(isOf(caller))

async function testAnswers(
  t: TestContext,
  caller: Caller,
  play: (answer: Answer) => Promise<string[]>,
): Promise<void> {
  for (const answer of ANSWERS.filter(isOf(caller))) {
    await t.test(answer.what, async () => assert.deepEqual(await play(answer), []))
  }
}

describe('in this process', { concurrency: true }, () => {
  for (const caller of WITH_HYDRA) {
    test(`${caller}: a write meets`, async t => {
      const scene = await runSceneFor(t, caller === 'reconcile of many' ? JOBS : [JOB])
      await testAnswers(t, caller, async answer => {
        const problems: string[] = []
        for (const happening of happeningsOf(caller)) {
          const ran = await runCell(scene, { caller, answer, happening })
          problems.push(...judge(caller, answer, happening, ran))
        }
        return problems
      })
    })
  }

  for (const caller of ['hook', 'reconcile'] as const) {
    test(`${caller}: a write that creates the channel meets`, async t => {
      const scene = await runSceneFor(t, [JOB])
      await testAnswers(t, caller, async answer => {
        const problems: string[] = []
        for (const happening of CREATIONS) {
          const ran = await runCell(scene, { caller, answer, happening, create: true })
          problems.push(...judge(caller, answer, happening, ran))
        }
        return problems
      })
    })
  }

  test('channel-update: a write meets', async t => {
    const shared = await runSceneFor(t, [JOB])
    const caller = 'channel-update'
    const play = async (answer: Answer, happening: Happening) => {
      const scene = { ...shared, ...(await openRuns(t, shared.hydra)) }
      return judge(caller, answer, happening, await runCell(scene, { caller, answer, happening }))
    }
    // its seconds are real, so all cells pass them at once
    const played = new Map(
      ANSWERS.filter(isOf(caller)).map(answer => [
        answer,
        Promise.all(happeningsOf(caller).map(happening => play(answer, happening))),
      ]),
    )
    await testAnswers(t, caller, async answer => (await played.get(answer))?.flat() ?? [])
  })
})

const UNKNOWN = ANSWERS.filter(({ effect }) => effect === 'lost without effect')

for (const caller of WITH_HYDRA) {
  test(`${caller}: GitHub that never answers a write`, async t => {
    // channel at c1, and stays
    const scene = await runSceneFor(t, caller === 'reconcile of many' ? JOBS : [JOB])
    for (const { what, fault } of UNKNOWN) {
      const ran = await scene.run(commandOf(caller), {
        connection: scene.configured(),
        faults: [{ ...fault, ...writeOf(caller), times: Number.POSITIVE_INFINITY }],
      })
      assert.equal(verdictOf([...ran.log, ...ran.said].join('\n')).kind, 'failed', what)
      assert.deepEqual([ran.ended, ran.at], ['failed', 'c1'], what)
      assert.equal(ran.writes.filter(branches => branches.includes(CHANNEL)).length, MAX_WRITES, what)
      assert.match(ran.requests.at(-1) ?? '', /^GET /, `${what}: the last one is a look`)
    }
  })

  test(`${caller}: GitHub that answers no write, of which the last one has its effect`, async t => {
    // channel at c1, then c2
    const scene = await runSceneFor(t, caller === 'reconcile of many' ? JOBS : [JOB])
    for (const { what, fault } of UNKNOWN) {
      const write = writeOf(caller)
      const ran = await scene.run(commandOf(caller), {
        connection: scene.configured(),
        faults: [
          { ...fault, ...write, times: MAX_WRITES - 1 },
          { kind: 'drop', when: 'after', ...write },
        ],
      })
      const { kind, said } = verdictOf([...ran.log, ...ran.said].join('\n'))
      assert.equal(kind, 'fast-forwarded', `${what}: ${[...ran.log, ...ran.said].join('\n')}`)
      assert.match(said, /\(GitHub's answer was lost\)$/)
      assert.deepEqual([ran.ended, ran.at], ['ok', 'c2'], what)
      assert.equal(ran.writes.filter(branches => branches.includes(CHANNEL)).length, MAX_WRITES, what)
    }
  })
}

/** Of the cells above, a few through the built commands, on a GitHub that asks git. */
const THROUGH_THE_COMMAND: readonly [Caller, answer: string, happening: string][] = [
  ['hook', '403 with retry-after', 'a hold and a roll-back'],
  ['hook', 'a lost answer', 'nothing'],
  ['hook', '502', 'a restart of the build'],
  ['reconcile', '502', 'a reset of main'],
  ['reconcile of many', 'a lost answer', 'a hold and a roll-back'],
  ['channel-update', '429', 'a hold and a roll-back'],
  ['channel-update', 'a lost connection', 'a roll-back'],
]

describe('through the built commands', { concurrency: true }, () => {
  for (const [caller, what, meanwhile] of THROUGH_THE_COMMAND) {
    test(`${caller}: a write meets ${what}, and meanwhile ${meanwhile}`, async t => {
      const answer = ANSWERS.find(each => each.what === what)
      const happening = HAPPENINGS.find(each => each.what === meanwhile)
      assert.ok(answer && happening)
      const ran = await runBuilt(await stageFor(t), caller, answer, happening)
      assert.deepEqual(judge(caller, answer, happening, ran), [])
    })
  }
})

async function runBuilt(
  stage: Stage,
  caller: Caller,
  answer: Answer,
  happening: Happening,
): Promise<CellRan> {
  const { github, repository, hydra, config } = stage
  const commits = await repository.history(4)
  const [, c1 = '', c2 = '', c3 = ''] = commits
  const name = (text: string) =>
    commits.reduce((all, sha, n) => all.replaceAll(sha, `c${n}`).replaceAll(sha.slice(0, 7), `c${n}`), text)
  const channels = channelsOf(caller)
  await repository.setBranches({ main: c3, ...Object.fromEntries(channels.map(branch => [branch, c1])) })
  const jobs = caller === 'reconcile of many' ? JOBS : [JOB]
  for (const [n, sha] of [c1, c2].entries()) {
    await stage.eval(
      sha,
      jobs.map((job, index) => ({ job, id: 2 * index + n + 1 })),
    )
  }
  const cell: Cell = {
    hydra,
    stateDirectory: String(config.stateDirectory),
    build: 2,
    async put(branch, commit) {
      const sha = commit && commits[Number(commit.slice(1))]
      await (sha ? repository.setBranch(branch, sha) : repository.deleteBranch(branch))
    },
  }
  for (const fault of faultsOf(answer, writeOf(caller), () => happening.play(cell))) github.fault(fault)
  const { status, log } =
    caller === 'hook'
      ? await stage.hook(cell.build)
      : caller === 'channel-update'
        ? await stage.command('channel-update', ['alice', 'dotfiles', CHANNEL, c2])
        : await stage.command('hydra-channels', ['reconcile'])
  const tips = Object.fromEntries(
    Object.entries(await repository.branches()).map(([branch, sha]) => [branch, name(sha)]),
  )
  return {
    ended: status === 0 ? 'ok' : 'failed',
    said: [],
    log: name(log).split('\n'),
    at: tips[CHANNEL] ?? 'missing',
    tips,
    moves: repository.moves.map(
      ({ ref, from, to }) =>
        `${ref.slice('refs/heads/'.length)}: ${from ? name(from) : 'missing'}..${name(to)}`,
    ),
    requests: github.requests.map(name),
    writes: github.records.map(writtenBranches).filter(branches => branches.length > 0),
  }
}
