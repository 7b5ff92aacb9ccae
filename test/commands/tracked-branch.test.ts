// Promise 1: at the moment of a move, the candidate is in the history of the tracked branch as GitHub has it at that moment.
// Each story is told to the hook, to reconcile and to status: the built commands on Hydra's schema and a GitHub over git.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Result } from '../helpers/command.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { find, statusOf } from '../helpers/status.ts'
import { verdictOf } from '../helpers/verdict.ts'

/** c1 - c2 - c3   c1 - s2 */
type Name = 'c1' | 'c2' | 'c3' | 's2'
type Commits = Record<Name, string>

interface Scene {
  stage: Stage
  commits: Commits
}

interface Story {
  what: string
  /** beside the channel, which is at c1 */
  branches: Record<string, Name>
  tags?: Record<string, readonly [Name, 'light' | 'annotated']>
  /** the head of pull request 7 */
  pull?: Name
  /** of the jobset, with `{c2}` for a commit; default: `github:alice/dotfiles` */
  flake?: string
  /** `channels[].ref` */
  ref?: string
  candidate: Name
  /** the commit of a newer eval, in which the job fails */
  newest?: Name
  /** what happens between a first run and those that are looked at */
  before?: (scene: Scene) => Promise<unknown> | unknown
  /** before each command */
  arm?: (scene: Scene) => void
  /** how often GitHub is asked at least what the default branch is to the candidate */
  asked?: number
  kind: string | readonly string[]
  reason: string | readonly string[]
  /** what the hook, reconcile and status each say beside the kind */
  says?: RegExp
}

const MOVES = { kind: 'fast-forwarded', reason: 'up-to-date' }
const NOT_ON_BRANCH = { kind: 'not-on-branch', reason: 'not-on-branch' }

const PULL_REQUESTS = [
  'github:alice/dotfiles/pull/7/head',
  'github:alice/dotfiles?ref=pull/7/head',
  'git+https://github.com/alice/dotfiles?ref=refs/pull/7/head',
]

const STORIES: readonly Story[] = [
  // main: c1 - c2
  { what: 'the default branch', branches: { main: 'c2' }, candidate: 'c2', ...MOVES },
  // main: c1 - c2 - c3     of c3 there is no eval yet
  {
    what: 'the default branch, which has moved on',
    branches: { main: 'c3' },
    candidate: 'c2',
    ...MOVES,
    reason: 'not-evaluated',
  },
  // main: c1     the candidate c2 was taken back, and Hydra has not looked since
  {
    what: 'the default branch, reset',
    branches: { main: 'c1' },
    candidate: 'c2',
    // a "no" may be old
    asked: 2,
    ...NOT_ON_BRANCH,
  },
  // main: c1 - s2     instead of c2
  { what: 'the default branch, rewritten', branches: { main: 's2' }, candidate: 'c2', ...NOT_ON_BRANCH },
  // main: c1 - s2     and Hydra has looked: the job fails in s2
  {
    what: 'the default branch, rewritten and evaluated again',
    branches: { main: 's2' },
    candidate: 'c2',
    newest: 's2',
    kind: 'withdrawn',
    reason: 'withdrawn',
  },
  // main: c1 - c2     was at s2 for a while, of which the newest eval is
  {
    what: 'the default branch, rewritten and back again',
    branches: { main: 'c2' },
    candidate: 'c2',
    newest: 's2',
    ...MOVES,
  },
  // main: c1     s2 is in a fork, which GitHub shows in each repository of the network
  { what: 'a commit that only a fork has', branches: { main: 'c1' }, candidate: 's2', ...NOT_ON_BRANCH },

  // main: c1     stable: c1 - s2
  ...[
    'github:alice/dotfiles/stable',
    'git+ssh://git@github.com/alice/dotfiles.git?ref=refs/heads/stable',
  ].map(flake => ({
    what: `another branch, ${flake}`,
    branches: { main: 'c1', stable: 's2' } as const,
    flake,
    candidate: 's2' as const,
    ...MOVES,
  })),
  // main: c1     release/25.11: c1 - s2
  {
    what: 'another branch, with a slash in its name',
    branches: { main: 'c1', 'release/25.11': 's2' },
    flake: 'github:alice/dotfiles/release/25.11',
    candidate: 's2',
    ...MOVES,
  },
  // main: c1 - c2     stable: c1 - s2
  {
    what: 'a commit that main has, and the other branch has not',
    branches: { main: 'c2', stable: 's2' },
    flake: 'github:alice/dotfiles/stable',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
    says: /stable/,
  },

  // main: c1     the tag v1: c1 - c2
  ...(
    [
      ['light', 'github:alice/dotfiles/v1'],
      ['annotated', 'github:alice/dotfiles/v1'],
      ['annotated', 'git+https://github.com/alice/dotfiles?ref=refs/tags/v1'],
    ] as const
  ).map(([how, flake]) => ({
    what: `a tag (${how}), ${flake}`,
    branches: { main: 'c1' } as const,
    tags: { v1: ['c2', how] } as const,
    flake,
    candidate: 'c2' as const,
    ...MOVES,
  })),
  // main: c1 - c2     the tag v1: c1 - s2
  {
    what: 'a commit that main has, and the tag has not',
    branches: { main: 'c2' },
    tags: { v1: ['s2', 'light'] },
    flake: 'github:alice/dotfiles/v1',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
    says: /v1/,
  },
  // the branch v1: c1 - c2     the tag v1: c1 - s2
  {
    what: 'a branch and a tag of one name, of which the branch has the commit',
    branches: { main: 'c1', v1: 'c2' },
    tags: { v1: ['s2', 'light'] },
    flake: 'github:alice/dotfiles/v1',
    candidate: 'c2',
    ...MOVES,
  },
  {
    what: 'a branch and a tag of one name, of which the tag has the commit',
    branches: { main: 'c1', v1: 's2' },
    tags: { v1: ['c2', 'annotated'] },
    flake: 'github:alice/dotfiles/v1',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
  },
  {
    what: 'a branch and a tag of one name, of which the tag is meant',
    branches: { main: 'c1', v1: 's2' },
    tags: { v1: ['c2', 'annotated'] },
    flake: 'git+https://github.com/alice/dotfiles?ref=refs/tags/v1',
    candidate: 'c2',
    ...MOVES,
  },

  // main: c1     pinned to c2
  ...['github:alice/dotfiles/{c2}', 'git+https://github.com/alice/dotfiles?rev={c2}'].map(flake => ({
    what: `pinned, ${flake}`,
    branches: { main: 'c1' } as const,
    flake,
    candidate: 'c2' as const,
    ...MOVES,
  })),
  // main: c1 - c2     pinned to s2 since the eval
  {
    what: 'pinned to another commit since',
    branches: { main: 'c2' },
    flake: 'github:alice/dotfiles/{s2}',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
  },
  // main: c1     pinned to c3 since the eval of c2
  {
    what: 'pinned to a later commit since',
    branches: { main: 'c1' },
    flake: 'github:alice/dotfiles/{c3}',
    candidate: 'c2',
    ...MOVES,
    reason: ['behind', 'not-evaluated'],
  },

  // main: c1     pull request 7: c1 - s2
  ...PULL_REQUESTS.map(flake => ({
    what: `a pull request, ${flake}`,
    branches: { main: 'c1' } as const,
    pull: 's2' as const,
    flake,
    candidate: 's2' as const,
    ...NOT_ON_BRANCH,
    says: /\bpull\b.*\b7\b/,
  })),
  // main: c1 - c2
  {
    what: 'a ref that GitHub does not have',
    branches: { main: 'c2' },
    flake: 'github:alice/dotfiles/gone',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
    says: /gone/,
  },

  // main: c1 - c2, called trunk by now     another branch is called main: c1
  {
    what: 'the default branch under another name than the token came with',
    branches: { main: 'c2' },
    candidate: 'c2',
    async before({ stage: { repository }, commits }) {
      await repository.renameDefaultBranch('trunk')
      await repository.setBranch('main', commits.c1)
    },
    ...MOVES,
  },
  // main: c1 - c2     trunk, the default branch by now: c1
  {
    what: 'another default branch than the token came with',
    branches: { main: 'c2', trunk: 'c1' },
    candidate: 'c2',
    before({ stage: { repository } }) {
      repository.defaultBranch = 'trunk'
    },
    ...NOT_ON_BRANCH,
  },

  // main: c1 - c2     and the first read still says c1
  {
    what: 'a read that lags behind',
    branches: { main: 'c2' },
    candidate: 'c2',
    arm({ stage: { github, repository }, commits: { c1, c2 } }) {
      const compare = { kind: 'hook', method: 'GET', path: `/compare/${c2}...HEAD` } as const
      github.fault({ ...compare, run: () => repository.setBranch('main', c1) })
      github.fault({ ...compare, when: 'before the answer', run: () => repository.setBranch('main', c2) })
    },
    asked: 2,
    ...MOVES,
  },

  // main: c1 - c2     or main: c1, and c2 is elsewhere
  ...(
    [
      ['a pin', { flake: 'github:alice/dotfiles/{c2}' }],
      ['a tag', { flake: 'github:alice/dotfiles/v1', tags: { v1: ['c2', 'annotated'] } }],
      ['another branch', { flake: 'github:alice/dotfiles/stable' }],
      ['a pull request', { flake: 'github:alice/dotfiles/pull/7/head', pull: 'c2' }],
      ['an indirect flakeref', { flake: 'flake:dotfiles' }],
    ] as const
  ).flatMap(([what, more]) =>
    (
      [
        ['c2', MOVES],
        ['c1', NOT_ON_BRANCH],
      ] as const
    ).map(([main, ends]) => ({
      what: `channels[].ref over ${what}, ${main === 'c2' ? 'with' : 'without'} the commit`,
      branches: { main, stable: 'c2' } as const,
      ref: 'main',
      candidate: 'c2' as const,
      ...more,
      ...ends,
    })),
  ),
  // main: c1 - c2     stable: c1 - s2
  {
    what: 'channels[].ref that is not the default branch',
    branches: { main: 'c2', stable: 's2' },
    ref: 'stable',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
    says: /stable/,
  },
  {
    what: 'channels[].ref that GitHub does not have',
    branches: { main: 'c2' },
    ref: 'gone',
    candidate: 'c2',
    ...NOT_ON_BRANCH,
    says: /gone/,
  },
  // main: c1 - c2
  ...['flake:dotfiles', 'dotfiles'].map(flake => ({
    what: `an indirect flakeref, ${flake}`,
    branches: { main: 'c2' } as const,
    flake,
    candidate: 'c2' as const,
    kind: ['not-on-branch', 'failed'],
    reason: ['not-on-branch', 'unusable-flakeref', 'unknown'],
    says: /channels\[\]\.ref/,
  })),
]

async function sceneFor(t: TestContext, story: Pick<Story, 'branches' | 'tags' | 'pull'>): Promise<Scene> {
  const stage = await stageFor(t)
  const { repository } = stage
  const [c1 = '', c2 = '', c3 = ''] = await repository.history(3)
  const commits: Commits = { c1, c2, c3, s2: await repository.commit({ parents: [c1] }) }
  const branches = Object.entries(story.branches).map(([branch, name]) => [branch, commits[name]])
  await repository.setBranches({ [CHANNEL]: c1, ...Object.fromEntries(branches) })
  for (const [tag, [name, how]] of Object.entries(story.tags ?? {})) {
    await repository.setTag(tag, commits[name], how)
  }
  if (story.pull) await repository.setPullRequest(7, commits[story.pull])
  return { stage, commits }
}

const setFlake = ({ hydra, jobset }: Stage, flake: string) =>
  hydra.sql`update jobsets set flake = ${flake} where id = ${jobset}`

/** How many writes GitHub was sent. */
const writesOf = ({ github }: Stage) =>
  github.requests.filter(request => /^(POST|PATCH) .*\/(git\/refs|graphql)/.test(request)).length

/** How often GitHub was asked what the default branch is to a commit. */
const askedAbout = (sha: string, { github }: Stage) =>
  github.requests.filter(request => request.endsWith(`/compare/${sha}...HEAD`)).length

const listOf = (one: string | readonly string[]) => (typeof one === 'string' ? [one] : one)

describe('what a jobset follows', { concurrency: 4 }, () => {
  for (const story of STORIES) {
    test(story.what, async t => {
      const scene = await sceneFor(t, story)
      const { stage, commits } = scene
      const { github, repository } = stage
      const flake = (story.flake ?? 'github:alice/dotfiles').replace(
        /\{(\w+)\}/g,
        (_, name: Name) => commits[name],
      )
      await setFlake(stage, flake)
      const [rule] = stage.config.channels
      if (rule && story.ref) rule.ref = story.ref
      const sha = commits[story.candidate]
      const build = await stage.built(sha)
      if (story.newest) await stage.built(commits[story.newest], { status: 1 })
      if (story.before) {
        // a token is kept from here on
        await repository.setBranch(CHANNEL, sha)
        assert.equal((await stage.hook(build)).status, 0)
        await story.before(scene)
      }

      const moves = story.kind === 'fast-forwarded'
      const commands: Record<string, () => Promise<Result>> = {
        hook: () => stage.hook(build),
        reconcile: () => stage.command('hydra-channels', ['reconcile']),
      }
      for (const [command, run] of Object.entries(commands)) {
        await repository.setBranch(CHANNEL, commits.c1)
        story.arm?.(scene)
        github.clearRequests()
        const { status, log } = await run()
        const { kind } = verdictOf(log)
        assert.ok(listOf(story.kind).includes(kind), `${command} says ${kind}:\n${log}`)
        assert.equal(status, moves ? 0 : 1, log)
        assert.equal(await repository.branch(CHANNEL), moves ? sha : commits.c1, log)
        assert.equal(writesOf(stage), moves ? 1 : 0, github.requests.join('\n'))
        assert.ok(askedAbout(sha, stage) >= (story.asked ?? 0), github.requests.join('\n'))
        if (story.says) assert.match(log, story.says)
      }
      const { reason, message } = find(await statusOf(stage), CHANNEL)
      assert.ok(listOf(story.reason).includes(reason), `status says ${reason}: ${message}`)
      if (story.says) assert.match(message ?? '', story.says)
    })
  }
})

test('a channel that is missing is not created at a commit that is not on the branch', async t => {
  // main: c1     the candidate: c2     channel nowhere
  const { stage, commits } = await sceneFor(t, { branches: { main: 'c1' } })
  await stage.repository.deleteBranch(CHANNEL)
  const build = await stage.built(commits.c2)
  for (const run of [() => stage.hook(build), () => stage.command('hydra-channels', ['reconcile'])]) {
    const { status, log } = await run()
    assert.deepEqual([status, verdictOf(log).kind], [1, 'not-on-branch'], log)
  }
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
  assert.equal(writesOf(stage), 0)
})

test('a channel further than its candidate that is not on the branch itself: the log says so', async t => {
  // main: c1 - s2     reset from c2, at which the channel is     the candidate: c1
  const { stage, commits } = await sceneFor(t, { branches: { main: 's2' } })
  await stage.repository.setBranch(CHANNEL, commits.c2)
  const build = await stage.built(commits.c1)
  const outside = await stage.hook(build)
  await stage.repository.setBranch('main', commits.c3)
  const inside = await stage.hook(build)
  for (const { status, log } of [outside, inside]) {
    assert.deepEqual([status, verdictOf(log).kind], [0, 'already-contained'], log)
  }
  assert.match(outside.log, /\bnot (on|in)\b/)
  assert.doesNotMatch(inside.log, /\bnot (on|in)\b/)
  assert.equal(writesOf(stage), 0)
})

test('a dry run says it too', async t => {
  // main: c1     the candidate: c2
  const { stage, commits } = await sceneFor(t, { branches: { main: 'c1' } })
  await stage.built(commits.c2)
  const { status, log } = await stage.command('hydra-channels', ['reconcile', '--dry-run'])
  assert.deepEqual([status, verdictOf(log).kind], [1, 'not-on-branch'], log)
})

const HOSTS = Array.from({ length: 12 }, (_, n) => `h${n}`)

test('many channels share the question, and nobody asks it of a channel that stays', async t => {
  // main: c1 - c2     twelve channels at c1, with c2 as their candidate
  const { stage, commits } = await sceneFor(t, { branches: { main: 'c2' } })
  const { github, repository } = stage
  const channels = HOSTS.map(host => [`nixos-tested-${host}`, commits.c1])
  await repository.setBranches(Object.fromEntries(channels))
  const jobs = HOSTS.map(host => ({ job: JOB.replace('nas', host) }))
  await stage.eval(commits.c2, jobs)
  const asked = () => askedAbout(commits.c2, stage)
  const first = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(first.status, 0, first.log)
  const branches = await repository.branches()
  assert.ok(
    channels.every(([channel = '']) => branches[channel] === commits.c2),
    first.log,
  )
  // before the uploads, and before the write
  assert.ok(asked() >= 1 && asked() <= 2, github.requests.join('\n'))

  github.clearRequests()
  const second = await stage.command('hydra-channels', ['reconcile'])
  assert.deepEqual([second.status, asked()], [0, 0], github.requests.join('\n'))

  // main: c1     none moves, and there are twelve lines of it
  await repository.setBranches({ main: commits.c1, ...Object.fromEntries(channels) })
  github.clearRequests()
  const third = await stage.command('hydra-channels', ['reconcile'])
  assert.deepEqual([third.status, writesOf(stage)], [1, 0], third.log)
  for (const [channel = ''] of channels) assert.equal(verdictOf(third.log, channel).kind, 'not-on-branch')
})
