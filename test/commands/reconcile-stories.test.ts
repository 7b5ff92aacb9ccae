// What happens between Hydra and a channel in the course of time, each as a story that ends with a reconcile as its timer
// runs it. In the graphs e2(c2) is the eval of the commit c2; in what is said and asked, a commit has its name again.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { flakeOf } from '../helpers/hydra.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'

const PI = 'nixos-pi.x86_64-linux'
const LIST = 'GET git/matching-refs/heads/nixos-tested-'
/** whether c3 is in the history of the default branch */
const ON_MAIN = 'GET compare/c3...HEAD'
const ATTRIBUTE = `in job ‘${JOB}’:\nerror:\n       … while calling the 'head' builtin\n\n       error: attribute 'disko' missing\n`

/** A new build of a job. Default: good; `null` is still running. */
const build = (id: number, status: number | null = 0, job = JOB) => ({ id, job, status })

type Builds = Parameters<Stage['eval']>[1]

/** main: c1 - c2 - c3, with no eval and no channel yet. */
async function begin(t: TestContext) {
  const stage = await stageFor(t)
  const { repository, hydra, jobset } = stage
  stage.config.stateDirectory = join(stage.directory, 'state')
  const [c1 = '', c2 = '', c3 = ''] = await repository.history(3)
  const names = new Map([c1, c2, c3].map((sha, index) => [sha, `c${index + 1}`]))
  await repository.setBranch('main', c3)

  const named = (text: string) => {
    let said = text
    for (const [sha, name] of names) said = said.replaceAll(sha, name).replaceAll(sha.slice(0, 7), name)
    return said
  }
  return {
    stage,
    c1,
    c2,
    c3,
    /** a commit that main was moved to with force */
    async force(name: string, parents: string[]) {
      const sha = await repository.commit({ parents })
      names.set(sha, name)
      await repository.setBranch('main', sha)
      return sha
    },
    /** Without builds, nothing changed; with none of them, no job could be evaluated. */
    eval: (sha: string, builds?: Builds, error = '') =>
      hydra.eval({ jobset, flake: flakeOf(sha), error, ...(builds && { builds }) }),
    channel: (sha: string, branch = CHANNEL) => repository.setBranch(branch, sha),
    /** where the channel is now */
    at: async (branch = CHANNEL) => named((await repository.branch(branch)) ?? 'nowhere'),
    named,
    async reconcile() {
      stage.github.clearRequests()
      const { status, log } = await stage.command('hydra-channels', ['reconcile'])
      const asked = stage.github.requests.filter(request => !/installation|access_tokens/.test(request))
      return {
        status,
        says: named(log.trimEnd())
          .split('\n')
          .filter(text => !text.startsWith('asks ')),
        asks: asked.map(request => named(request).replace('/repos/alice/dotfiles/', '')),
      }
    },
  }
}

test('a hook that was lost is made good', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 good   e2(c3): build 2 good, its hook lost   channel at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.eval(it.c3, [build(2)])
  await it.channel(it.c1)
  assert.deepEqual(await it.reconcile(), {
    status: 0,
    says: [`alice/dotfiles ${CHANNEL}: fast-forwarded c1..c3 (2 commits)`, '1 fast-forwarded'],
    asks: [LIST, 'GET compare/c1...c3', ON_MAIN, `PATCH git/refs/heads/${CHANNEL}`],
  })
  assert.equal(await it.at(), 'c3')
})

test('a build that a new eval reuses moves its channel, though no hook ever comes', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 good, pi 2 good   e2(c3): build 1 reused, pi 3 fails   channels at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1), build(2, 0, PI)])
  await it.eval(it.c3, [1, build(3, 1, PI)])
  await it.channel(it.c1)
  await it.channel(it.c1, 'nixos-tested-pi')
  const { status, says } = await it.reconcile()
  assert.deepEqual(says, [
    `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c3 (2 commits)`,
    '1 already-there, 1 fast-forwarded',
  ])
  assert.deepEqual([status, await it.at(), await it.at('nixos-tested-pi')], [0, 'c3', 'c1'])
})

test('a commit that changes no derivation moves the channels of what is good', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 good   e2(c2), e3(c3): no new builds, no members   channel at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.eval(it.c2)
  await it.eval(it.c3)
  await it.channel(it.c1)
  const { status, says } = await it.reconcile()
  assert.equal(says[0], `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c3 (2 commits)`)
  assert.deepEqual([status, await it.at()], [0, 'c3'])
})

test('a build that is restarted and then fails leaves the older candidate', async t => {
  // main: c1 - c2 - c3   e1(c1), e2(c2): builds 1, 2 good   e3(c3): build 3 good, restarted, fails   channel at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.eval(it.c2, [build(2)])
  await it.eval(it.c3, [build(3)])
  await it.channel(it.c1)
  await it.stage.hydra.restart(3)
  assert.deepEqual((await it.reconcile()).says, [
    `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c2 (1 commit)`,
    '1 fast-forwarded',
  ])
  await it.stage.hydra.finish(3, 1)
  const after = await it.reconcile()
  assert.deepEqual(after, { status: 0, says: ['1 already-there'], asks: [LIST] })
  assert.equal(await it.at(), 'c2')
})

test('a channel stays where it is when its build is restarted and fails', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 good   e2(c3): build 2 good, restarted, fails   channel at c3
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.eval(it.c3, [build(2)])
  await it.channel(it.c3)
  await it.stage.hydra.restart(2)
  await it.stage.hydra.finish(2, 1)
  const { status, says, asks } = await it.reconcile()
  assert.deepEqual([status, says], [0, ['1 already-contained']])
  // whether the channel itself is on main
  assert.deepEqual(asks, [LIST, 'GET compare/c3...c1', ON_MAIN])
  assert.equal(await it.at(), 'c3')
})

test('an old build that finishes late takes no channel back, and neither does its hook', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 runs   e2(c3): build 2 good   channel at c3, and then build 1 is good
  const it = await begin(t)
  await it.eval(it.c1, [build(1, null)])
  await it.eval(it.c3, [build(2)])
  await it.channel(it.c3)
  await it.stage.hydra.finish(1)
  const hook = await it.stage.hook(1)
  assert.equal(hook.status, 0, hook.log)
  assert.match(it.named(hook.log), /\nalice\/dotfiles nixos-tested-nas: already there, at c3\n$/)
  assert.deepEqual(await it.reconcile(), { status: 0, says: ['1 already-there'], asks: [LIST] })
  assert.deepEqual(it.stage.repository.moves, [])
})

test('after main is reset, a channel stays ahead of a good build of the older commit', async t => {
  // main: c1, was c1 - c2 - c3   e1(c1), e2(c3): builds 1, 2 good   e3(c1): build 3 good   channels at c1, at c3
  for (const at of ['c1', 'c3'] as const) {
    const it = await begin(t)
    await it.eval(it.c1, [build(1)])
    await it.eval(it.c3, [build(2)])
    await it.stage.repository.setBranch('main', it.c1)
    await it.eval(it.c1, [build(3)])
    await it.channel(it[at])
    const { status, says } = await it.reconcile()
    const contained = [
      `alice/dotfiles ${CHANNEL}: already contained: it is at c3, 2 commits after c1`,
      `alice/dotfiles ${CHANNEL}: its commit c3 is not in the history of the default branch`,
      '1 already-contained',
    ]
    assert.deepEqual([status, says], [0, at === 'c1' ? ['1 already-there'] : contained])
    assert.equal(await it.at(), at)
  }
})

test('a good build of a commit that was taken back moves nothing', async t => {
  // main: c1, was c1 - c2 - c3   e1(c1), e2(c3): builds 1, 2 good   e3(c1): build 3 fails   channel at c1, or nowhere
  for (const at of ['c1', 'nowhere'] as const) {
    const it = await begin(t)
    await it.eval(it.c1, [build(1)])
    const taken = await it.eval(it.c3, [build(2)])
    await it.stage.repository.setBranch('main', it.c1)
    const newest = await it.eval(it.c1, [build(3, 1)])
    if (at === 'c1') await it.channel(it.c1)
    const { status, says, asks } = await it.reconcile()
    assert.deepEqual(says, [
      `alice/dotfiles ${CHANNEL}: withdrawn, not moved: c3 is not in the history of the default branch`,
      `alice/dotfiles ${CHANNEL}: the commit c3 of eval ${taken} was taken back: it is not in the history of the default branch, and the newest eval ${newest} is of c1`,
      `alice/dotfiles ${CHANNEL}: the next good build of a commit in the history of the default branch moves the channel`,
      '1 withdrawn',
    ])
    // a “no” is asked once more
    assert.deepEqual(asks, [LIST, ...(at === 'c1' ? ['GET compare/c1...c3'] : []), ON_MAIN, ON_MAIN])
    assert.deepEqual([status, await it.at()], [1, at])
  }
})

test('a channel that is at a commit that was taken back stays there, and asks for nothing', async t => {
  // main: c1, was c1 - c2 - c3   e1(c1), e2(c3): builds 1, 2 good   e3(c1): build 3 fails   channel at c3
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.eval(it.c3, [build(2)])
  await it.stage.repository.setBranch('main', it.c1)
  await it.eval(it.c1, [build(3, 1)])
  await it.channel(it.c3)
  assert.deepEqual(await it.reconcile(), { status: 0, says: ['1 already-there'], asks: [LIST] })
  assert.deepEqual(it.stage.repository.moves, [])
})

test('after main is reset, the next good build on the new history moves the channel', async t => {
  // main: c1 - d2, was c1 - c2 - c3   e1(c3): build 1 good   e2(d2): build 2 good   channel at c1
  const it = await begin(t)
  await it.eval(it.c3, [build(1)])
  await it.channel(it.c1)
  const d2 = await it.force('d2', [it.c1])
  await it.eval(d2, [build(2, null)])
  const taken = await it.reconcile()
  assert.deepEqual([taken.status, taken.says.at(-1), await it.at()], [1, '1 withdrawn', 'c1'])
  await it.stage.hydra.finish(2)
  assert.deepEqual([(await it.reconcile()).status, await it.at()], [0, 'd2'])
})

test('a jobset whose flake is another repository by now moves nothing', async t => {
  // main: c1 - c2 - c3   e1(c2): build 1 good   e2 of alice/other: build 2 good, or it fails   channel at c1
  for (const status of [0, 1]) {
    const it = await begin(t)
    await it.eval(it.c2, [build(1)])
    await it.stage.hydra.sql`update jobsets set flake = 'github:alice/other' where id = ${it.stage.jobset}`
    const flake = flakeOf(it.c3, { repo: 'other' })
    const newest = await it.stage.hydra.eval({
      jobset: it.stage.jobset,
      flake,
      builds: [build(2, status)],
    })
    await it.channel(it.c1)
    const result = await it.reconcile()
    const which = status === 0 ? `eval ${newest}` : `eval ${newest}, the newest of dotfiles:main,`
    assert.deepEqual(result, {
      status: 1,
      says: [
        `alice/dotfiles ${CHANNEL}: cannot be moved: the flakeref of ${which} is of another repository: ${it.named(flake)} is not github.com/alice/dotfiles`,
        `alice/dotfiles ${CHANNEL}: correct the rule (repository, github.host), or the flake of the jobset`,
        '1 failed',
      ],
      asks: [LIST, 'GET /repos/alice/other'],
    })
    assert.equal(await it.at(), 'c1')
  }
})

test('a job that was removed and is back moves its channel by its new build', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1, pi 2 good   e2(c2): pi reused   e3(c3): build 3 runs, then is good   nas at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1), build(2, 0, PI)])
  await it.eval(it.c2, [2])
  await it.channel(it.c1)
  await it.channel(it.c2, 'nixos-tested-pi')
  assert.deepEqual((await it.reconcile()).says, ['2 already-there'])
  await it.eval(it.c3, [build(3, null), 2])
  assert.match((await it.reconcile()).says.join('\n'), /pi: fast-forwarded c2\.\.c3/)
  assert.equal(await it.at(), 'c1')
  await it.stage.hydra.finish(3)
  const back = await it.reconcile()
  assert.deepEqual(back.says, [
    `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c3 (2 commits)`,
    '1 already-there, 1 fast-forwarded',
  ])
  assert.deepEqual([back.status, await it.at()], [0, 'c3'])
})

test('two systems of one host are ambiguous, until {system} is in the branch', async t => {
  // main: c1 - c2 - c3   e1(c3): build 1 (x86_64) and build 2 (aarch64) of one host good   no channel
  const it = await begin(t)
  await it.eval(it.c3, [build(1), build(2, 0, 'nixos-nas.aarch64-linux')])
  assert.deepEqual(await it.reconcile(), {
    status: 1,
    says: [
      `alice/dotfiles ${CHANNEL}: cannot be moved: ambiguous: 2 jobs lead to this channel: dotfiles:main:nixos-nas.aarch64-linux, dotfiles:main:${JOB}`,
      `alice/dotfiles ${CHANNEL}: a channel follows one job: put {system} (or another group) into the branch, make job narrower, or let one aggregate job stand for all of them`,
      `alice/dotfiles ${CHANNEL}: if that gives the branch another name, the old one stays where it is, and so do the hosts that follow it: let them follow the new one`,
      '1 ambiguous',
    ],
    asks: [LIST],
  })
  assert.equal(await it.at(), 'nowhere')

  const [rule = {}] = it.stage.config.channels
  rule.branch = 'nixos-tested-{host}-{system}'
  const { status, says } = await it.reconcile()
  assert.deepEqual([status, says.at(-1)], [0, '2 created'])
  assert.equal(await it.at(`${CHANNEL}-x86_64-linux`), 'c3')
  assert.equal(await it.at(`${CHANNEL}-aarch64-linux`), 'c3')
})

test('a channel of the whole fleet follows an aggregate job, and waits for the last host', async t => {
  // main: c1 - c2 - c3   e1(c1): fleet good   e2(c2): pi fails, and so fleet   e3(c3): all good   channel at c1
  const it = await begin(t)
  it.stage.config.channels = [
    {
      project: 'dotfiles',
      jobset: 'main',
      job: 'fleet',
      repository: 'alice/dotfiles',
      branch: 'nixos-tested',
    },
  ]
  await it.eval(it.c1, [build(1), build(2, 0, PI), build(3, 0, 'fleet')])
  await it.eval(it.c2, [build(4), build(5, 1, PI), build(6, 2, 'fleet')])
  await it.channel(it.c1, 'nixos-tested')
  assert.deepEqual((await it.reconcile()).says, ['1 already-there'])
  await it.eval(it.c3, [4, build(7, 0, PI), build(8, 0, 'fleet')])
  assert.equal((await it.reconcile()).status, 0)
  assert.deepEqual(await it.stage.repository.branches(), { main: it.c3, 'nixos-tested': it.c3 })
})

test('an evaluation that fails as a whole leaves each channel to its candidate', async t => {
  // main: c1 - c2 - c3   e1(c2): build 1 good   of c3 there is no eval, only an error in the jobset   channel at c1
  const it = await begin(t)
  await it.eval(it.c2, [build(1)])
  const failure = {
    errormsg: 'process ended prematurely',
    errortime: 1_770_000_000,
    lastcheckedtime: 1_770_000_000,
  }
  await it.stage.hydra.sql`update jobsets set ${it.stage.hydra.sql(failure)} where id = ${it.stage.jobset}`
  await it.channel(it.c1)
  assert.equal((await it.reconcile()).says[0], `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c2 (1 commit)`)
  assert.deepEqual(await it.reconcile(), { status: 0, says: ['1 already-there'], asks: [LIST] })
  assert.equal(await it.at(), 'c2')
})

test('when no job can be evaluated, older good builds still move their channels', async t => {
  // main: c1 - c2 - c3   e1(c1), e2(c2): builds good   e3(c3): new, without any member   channels at c1
  for (const error of [ATTRIBUTE, "at top-level:\nerror: attribute 'hosts' missing\n"]) {
    const it = await begin(t)
    await it.eval(it.c1, [build(1)])
    await it.eval(it.c2, [build(2)])
    await it.eval(it.c3, [], error)
    await it.channel(it.c1)
    const { status, says } = await it.reconcile()
    assert.equal(says[0], `alice/dotfiles ${CHANNEL}: fast-forwarded c1..c2 (1 commit)`)
    assert.deepEqual([status, await it.at()], [0, 'c2'])
  }
})

test('a job that fails to evaluate holds up no other, and gets the good build that it had', async t => {
  // main: c1 - c2 - c3   e1(c2): nas 1, pi 2 good   e2(c3): pi 3 good, nas: error   channels at c1, and nas nowhere
  for (const at of ['c1', 'nowhere'] as const) {
    const it = await begin(t)
    await it.eval(it.c2, [build(1), build(2, 0, PI)])
    await it.eval(it.c3, [build(3, 0, PI)], ATTRIBUTE)
    if (at === 'c1') await it.channel(it.c1)
    await it.channel(it.c1, 'nixos-tested-pi')
    const { status, says } = await it.reconcile()
    assert.equal(status, 0, says.join('\n'))
    assert.deepEqual([await it.at(), await it.at('nixos-tested-pi')], ['c2', 'c3'])
  }
})

test('while the evaluator is stopped, there is nothing to do', async t => {
  // main: c1 - c2 - c3   e1(c1): build 1 good   and nothing was evaluated since   channel at c1
  const it = await begin(t)
  await it.eval(it.c1, [build(1)])
  await it.stage.hydra.sql`update jobsets set enabled = 0 where id = ${it.stage.jobset}`
  await it.channel(it.c1)
  assert.deepEqual(await it.reconcile(), { status: 0, says: ['1 already-there'], asks: [LIST] })
  assert.deepEqual(it.stage.repository.moves, [])
})

test('a channel that the new history of main does not have stays, and the way out is said', async t => {
  // main: c1 - d2, was c1 - c2 - c3   e1(c3): build 1 good   e2(d2): build 2 good   channel at c3
  const it = await begin(t)
  await it.eval(it.c3, [build(1)])
  await it.channel(it.c3)
  const d2 = await it.force('d2', [it.c1])
  await it.eval(d2, [build(2)])
  assert.deepEqual(await it.reconcile(), {
    status: 1,
    says: [
      `alice/dotfiles ${CHANNEL}: diverged, not moved: it is at c3, the candidate is d2`,
      `alice/dotfiles ${CHANNEL}: it is at c3`,
      `alice/dotfiles ${CHANNEL}: the candidate is d2`,
      `alice/dotfiles ${CHANNEL}: they parted at c1: 2 commits only in the channel, 1 commit only in the candidate`,
      `alice/dotfiles ${CHANNEL}: see https://github.com/alice/dotfiles/compare/c3...d2`,
      `alice/dotfiles ${CHANNEL}: to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/${CHANNEL} -f sha=d2 -F force=true`,
      '1 diverged',
    ],
    asks: [LIST, 'GET compare/c3...d2'],
  })
  assert.equal(await it.at(), 'c3')
})

test('a history that was rewritten from its first commit on is said to have nothing in common', async t => {
  // main: r1, was c1 - c2 - c3   e1(c3): build 1 good   e2(r1): build 2 good   channel at c3
  const it = await begin(t)
  await it.eval(it.c3, [build(1)])
  await it.channel(it.c3)
  await it.eval(await it.force('r1', []), [build(2)])
  const { status, says } = await it.reconcile()
  assert.deepEqual(
    [says[3], says.at(-1)],
    [`alice/dotfiles ${CHANNEL}: they have no common history`, '1 diverged'],
  )
  assert.ok(
    says[5]?.endsWith(
      `gh api -X PATCH repos/alice/dotfiles/git/refs/heads/${CHANNEL} -f sha=r1 -F force=true`,
    ),
  )
  assert.deepEqual([status, await it.at()], [1, 'c3'])
})
