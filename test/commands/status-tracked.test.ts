// Status beside the branch that a jobset follows: how far behind it, since when, and what Hydra has seen of it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { stageFor } from '../helpers/stage.ts'
import {
  channel,
  evaluate,
  find,
  findStatusAtOnce,
  job,
  NAS,
  statusOf,
  twoHosts,
  WEB,
} from '../helpers/status.ts'

describe('behindBranch is measured by the branch that the jobset follows', () => {
  // main: c1 - c2 - c3     next: c1 - n1 - n2 - n3     the channel is at c1, the eval of c1
  const FORMS: { flake: (c2: string) => string; follows: string; behind: number }[] = [
    { flake: () => 'github:alice/dotfiles', follows: 'main', behind: 2 },
    { flake: () => 'github:alice/dotfiles/next', follows: 'next', behind: 3 },
    {
      flake: () => 'git+https://github.com/alice/dotfiles?ref=refs/heads/next',
      follows: 'next',
      behind: 3,
    },
    { flake: () => 'git+ssh://git@github.com/alice/dotfiles.git?ref=next', follows: 'next', behind: 3 },
    { flake: () => 'github:alice/dotfiles/feature/x', follows: 'feature/x', behind: 1 },
    { flake: () => 'github:Alice/DotFiles/Next', follows: 'Next', behind: 2 },
    { flake: c2 => `github:alice/dotfiles/${c2}`, follows: 'c2', behind: 1 },
  ]
  for (const { flake, follows, behind } of FORMS) {
    test(`${flake('REV')}: ${follows}`, async t => {
      const stage = await stageFor(t)
      const { repository, hydra } = stage
      const [c1 = '', c2 = '', c3 = ''] = await repository.history(3)
      const [, , n3 = ''] = await repository.history(3, c1)
      const [x1 = ''] = await repository.history(1, c1)
      await repository.setBranches({ main: c3, next: n3, Next: c3, 'feature/x': x1, [NAS]: c1 })
      await evaluate(stage, c1, { nas: 0 })
      await hydra.sql`update jobsets set flake = ${flake(c2)} where id = ${stage.jobset}`
      const nas = find(await statusOf(stage), NAS)
      assert.equal(nas.behindBranch, behind, nas.message ?? '')
      assert.equal(nas.reason, 'not-evaluated')
      if (follows === 'c2')
        assert.match(
          nas.message ?? '',
          /^the jobset is pinned to [0-9a-f]{7}, which Hydra has not evaluated;/,
        )
      else {
        const message = new RegExp(
          `^Hydra has not evaluated ${behind} commits? of ${follows}, which it has had for `,
        )
        assert.match(nas.message ?? '', message)
        assert.equal(nas.reason, 'not-evaluated')
      }
    })
  }

  test('a branch that is not there', async t => {
    const { stage, c2 } = await twoHosts(t)
    await stage.hydra.sql`update jobsets set flake = 'github:alice/dotfiles/gone' where id = ${stage.jobset}`
    await stage.repository.setBranches({ [NAS]: c2 })
    const nas = find(await statusOf(stage), NAS)
    assert.deepEqual([nas.reason, nas.behindBranch], ['not-on-branch', null])
    assert.match(
      nas.message ?? '',
      /follows gone, and GitHub has no such branch or tag; correct the flake of the jobset/,
    )
  })

  for (const flake of ['github:bob/other/main', 'gitlab:alice/dotfiles']) {
    test(`a branch of another repository, ${flake}`, async t => {
      const { stage, c1, c2 } = await twoHosts(t)
      await stage.hydra.sql`update jobsets set flake = ${flake} where id = ${stage.jobset}`
      const nas = find(await statusOf(stage), NAS)
      assert.deepEqual(
        [nas.reason, nas.sha, nas.candidate?.sha, nas.behindBranch],
        ['unusable-flakeref', c1, c2, null],
      )
      assert.equal(
        nas.message,
        `dotfiles:main follows ${flake} now, which is not github.com/alice/dotfiles: correct the rule or the flake of the jobset, or name the branch in the rule (channels[].ref)`,
      )
    })
  }
})

const secondsAgo = (seconds: number) => Math.floor(Date.now() / 1000) - seconds

describe('what Hydra has still to evaluate', () => {
  // main: c1 ------- m1     a merge of a minute ago, of what was made two days ago
  //         \- f1 -/
  test('a fresh merge of old commits is no reason to worry', async t => {
    const stage = await stageFor(t)
    const { repository } = stage
    const c1 = await repository.commit({ date: secondsAgo(3 * 86_400) })
    const f1 = await repository.commit({ parents: [c1], date: secondsAgo(2 * 86_400) })
    const m1 = await repository.commit({ parents: [c1, f1], date: secondsAgo(60) })
    await evaluate(stage, c1, { nas: 0 })
    await repository.setBranches({ main: m1, [NAS]: c1 })
    const nas = find(await statusOf(stage), NAS)
    assert.deepEqual(
      [nas.reason, nas.message, nas.behindBranch, nas.behindCandidate],
      ['behind', 'Hydra has still to evaluate 2 commits of main', 2, 0],
    )
  })

  // main: c1 ------- m1 - c2     the merge is of an hour ago, c2 of a minute ago
  //         \- f1 -/
  test('a merge of an hour ago is one, and the message says when it came', async t => {
    const stage = await stageFor(t)
    const { repository } = stage
    const c1 = await repository.commit({ date: secondsAgo(3 * 86_400) })
    const f1 = await repository.commit({ parents: [c1], date: secondsAgo(2 * 86_400) })
    const merged = secondsAgo(3600)
    const m1 = await repository.commit({ parents: [c1, f1], date: merged })
    const c2 = await repository.commit({ parents: [m1], date: secondsAgo(60) })
    await evaluate(stage, c1, { nas: 0 })
    await repository.setBranches({ main: c2, [NAS]: c1 })
    const nas = find(await statusOf(stage), NAS)
    assert.equal(nas.reason, 'not-evaluated')
    assert.ok(
      nas.message?.startsWith(`Hydra has not evaluated 3 commits of main, which it has had for 1 h; `),
      nas.message ?? '',
    )
  })

  // main: c1 - c2, reset to c1; evals of both, and nas is at c2's candidate
  test('main was reset, and Hydra has not looked at it: what was taken back is not known yet', async t => {
    const { stage, c1, c2 } = await twoHosts(t)
    await stage.repository.setBranches({ main: c1, [NAS]: c2, [WEB]: c1 })
    const status = await statusOf(stage)
    const nas = find(status, NAS)
    assert.deepEqual([nas.reason, nas.sha, nas.behindBranch], ['not-on-branch', c2, 0])
    assert.ok(nas.message?.startsWith(`the commit ${c2} of eval `), nas.message ?? '')

    // without a good build there is no candidate that could be on a branch
    await stage.hydra.sql`update builds set finished = 0, buildstatus = null`
    const building = await statusOf(stage)
    const unbuilt = find(building, NAS)
    assert.deepEqual([unbuilt.reason, unbuilt.sha, unbuilt.behindBranch], ['not-evaluated', c2, 0])
    assert.ok(
      unbuilt.message?.startsWith(
        `main was reset to ${c1.slice(0, 7)}, which is older than the newest eval's commit, and Hydra has not evaluated that; `,
      ),
      unbuilt.message ?? '',
    )
    // who is at the newest commit of main has nothing to wait for
    const web = find(building, WEB)
    assert.deepEqual([web.reason, web.since], ['up-to-date', null])
  })

  // main: c1 - c2     evals of c1, c2 and of a commit that was pushed away since, which GitHub does not have any more
  for (const [what, status] of [
    ['good', 0],
    ['bad', 1],
  ] as const) {
    test(`GitHub does not know the newest eval's commit, and its build is ${what}: main's commit is up to date`, async t => {
      const { stage, c1, c2 } = await twoHosts(t)
      await evaluate(stage, 'e'.repeat(40), { nas: status, web: status })
      await stage.repository.setBranches({ main: c2, [NAS]: c2, [WEB]: c1 })
      const nas = find(await statusOf(stage), NAS)
      assert.deepEqual([nas.reason, nas.sha, nas.behindBranch], ['up-to-date', c2, 0], nas.message ?? '')
    })
  }
})

describe('what is not in the cache', () => {
  // main: c1 - c2 - c3     evals of all, no output is in the cache; the build of c3 failed
  test('matters only where the channel could move to it', async t => {
    const stage = await stageFor(t)
    const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
    const d1 = await stage.repository.commit({ parents: [c1], message: 'by hand' })
    const hosts = ['behind', 'there', 'further', 'beside']
    for (const sha of [c1, c2]) await evaluate(stage, sha, Object.fromEntries(hosts.map(host => [host, 0])))
    await stage.repository.setBranches({
      main: c3,
      [channel('behind')]: c1,
      [channel('there')]: c2,
      [channel('further')]: c3,
      [channel('beside')]: d1,
    })
    await stage.hydra.sql`update jobsets set lastcheckedtime = ${secondsAgo(0)} where id = ${stage.jobset}`
    await stage.hydra.sql`insert into buildoutputs (build, name, path)
      select id, 'out', '/nix/store/' || lpad(id::text, 32, '0') || '-nixos-system' from builds
      on conflict (build, name) do update set path = excluded.path`
    stage.config.cache = { url: stage.cache.url }
    const { status } = await findStatusAtOnce(stage)
    // Hydra has not looked at c3 for long, which comes before; and until then the one that could move has to be copied
    const behind = find(status, channel('behind'))
    assert.match(behind.message ?? '', /; until then the cache does not have \/nix\/store\/.* answers 404; /)
    for (const host of ['there', 'further', 'beside']) {
      assert.doesNotMatch(find(status, channel(host)).message ?? '', /cache/)
    }
    assert.equal(stage.cache.requests.length, 1, stage.cache.requests.join('\n'))
  })
})

describe('since', () => {
  /** Of a commit, as the repository's helper dates it: the n-th is made in the n-th minute. */
  const madeAt = (n: number) => new Date((1_700_000_000 + n * 60) * 1000).toISOString()

  // main: c1 - c2     c1 is built; c2 changes nothing, so its eval has no builds of its own
  for (const at of ['c1', 'c2'] as const) {
    test(`a newest eval without builds, and the channel is at ${at}`, async t => {
      const stage = await stageFor(t)
      const [c1 = '', c2 = ''] = await stage.repository.history(2)
      await evaluate(stage, c1, { nas: 0 })
      const timestamp = 1_770_000_000
      const id = await stage.hydra.eval({
        jobset: stage.jobset,
        flake: `github:alice/dotfiles/${c2}`,
        timestamp,
      })
      await stage.repository.setBranches({ main: c2, [NAS]: at === 'c1' ? c1 : c2 })
      const nas = find(await statusOf(stage), NAS)
      const [row] = await stage.hydra.sql<{ id: number }[]>`select id from builds`
      assert.deepEqual(nas.candidate, { sha: c2, eval: id, build: row?.id })
      assert.deepEqual(
        [nas.reason, nas.behindCandidate, nas.behindBranch, nas.since],
        at === 'c1' ? ['behind', 1, 1, new Date(timestamp * 1000).toISOString()] : ['up-to-date', 0, 0, null],
      )
    })
  }

  // main: c1, a year ago
  test('a quiet repository is up to date, and not stale', async t => {
    const stage = await stageFor(t)
    const date = Math.floor(Date.now() / 1000) - 366 * 86_400
    const c1 = await stage.repository.commit({ date })
    const flake = `github:alice/dotfiles/${c1}`
    const builds = [{ job: job('nas'), timestamp: date + 60 }]
    await stage.hydra.eval({ jobset: stage.jobset, flake, builds, timestamp: date + 60 })
    await stage.repository.setBranches({ main: c1, [NAS]: c1 })
    const nas = find(await statusOf(stage), NAS)
    assert.deepEqual(
      [nas.reason, nas.since, nas.behindBranch, nas.behindCandidate, nas.message],
      ['up-to-date', null, 0, 0, null],
    )
    assert.equal(Date.parse(nas.committedAt ?? ''), date * 1000)
  })

  // main: c1 - c2 - c3 - c4     evals of c1 and c4, the channel is at c2
  test('a commit that Hydra skipped: since the first commit after it', async t => {
    const stage = await stageFor(t)
    const [c1 = '', c2 = '', , c4 = ''] = await stage.repository.history(4)
    for (const sha of [c1, c4]) await evaluate(stage, sha, { nas: 0 })
    await stage.repository.setBranches({ main: c4, [NAS]: c2 })
    const nas = find(await statusOf(stage), NAS)
    assert.deepEqual([nas.reason, nas.behindBranch, nas.since], ['behind', 2, madeAt(3)])
  })

  // main: c1 - c2 - c3     the evals of c1, c2, c1 (main was reset), c2, c3; the channel is at c1
  test('a commit that came back: since the first eval after its newest', async t => {
    const stage = await stageFor(t)
    const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
    for (const sha of [c1, c2, c1]) await evaluate(stage, sha, { nas: 0 })
    const after = await evaluate(stage, c2, { nas: 0 })
    await evaluate(stage, c3, { nas: 0 })
    await stage.repository.setBranches({ main: c3, [NAS]: c1 })
    const nas = find(await statusOf(stage), NAS)
    const [row] = await stage.hydra.sql<{ timestamp: number }[]>`
      select timestamp from jobsetevals where id = ${after}`
    assert.deepEqual(
      [nas.reason, nas.behindBranch, nas.since],
      ['behind', 2, new Date((row?.timestamp ?? 0) * 1000).toISOString()],
    )
  })
})
