// Status as a person, a script and node_exporter meet it: one fleet in which every reason is there once.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeStamp } from '../../src/state/last-reconcile.ts'
import { type ChannelStatus, type FleetStatus, REASONS } from '../../src/status/shape.ts'
import { RETIRE } from '../helpers/channel-facts.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'

const job = (host: string) => `nixos-${host}.x86_64-linux`
const channel = (host: string) => `nixos-tested-${host}`
const short = (sha: string) => sha.slice(0, 7)

interface Fleet {
  stage: Stage
  /** by the names in the graph */
  commits: Record<'c1' | 'c2' | 'c3' | 'c4' | 'd1' | 'x1', string>
  /** by eval and host */
  builds: Map<string, number>
}

/**
 *     main: c1 - c2 - c3 - c4     evals of x1 (main was there), c1, c2, c3, c4
 *             \- d1               pushed by hand
 *             \- x1               main was reset from it
 *
 * and beside main the jobsets stale, at c3 while main goes on, broken, whose evaluation fails, foreign, and pulled, which
 * follows a pull request.
 */
async function everyReason(t: TestContext): Promise<Fleet> {
  const stage = await stageFor(t)
  const { repository, hydra } = stage
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = await repository.history(4)
  const d1 = await repository.commit({ parents: [c1], message: 'by hand' })
  const x1 = await repository.commit({ parents: [c1], message: 'taken back' })
  const commits = { c1, c2, c3, c4, d1, x1 }
  const builds = new Map<string, number>()
  await hydra.sql`update jobsets set flake = 'github:alice/dotfiles/main' where id = ${stage.jobset}`

  const steady = ['held', 'withdrawn', 'diverged', 'protected', 'uncached', 'stuck', 'behind', 'newest']
  const states: Record<string, number | null> = { failed: 1, dependent: 2, aborted: 3, building: null }
  const pathOf = (sha: string, host: string) =>
    `/nix/store/${short(sha)}${host.padEnd(25, '0').slice(0, 25)}-nixos-system-${host}`
  const evaluate = async (sha: string, hosts: Record<string, number | null>, error?: string) => {
    const jobs = Object.keys(hosts).flatMap(host =>
      host === 'ambiguous' ? [job(host), 'nixos-ambiguous.aarch64-linux'] : [job(host)],
    )
    const evalId = await hydra.eval({
      jobset: stage.jobset,
      flake: `github:alice/dotfiles/${sha}?narHash=sha256-x`,
      builds: jobs.map(name => {
        const host = /^nixos-(.*?)\./.exec(name)?.[1] ?? ''
        const path = pathOf(sha, host)
        if (host !== 'uncached') stage.cache.paths.add(path)
        return { job: name, status: hosts[host] ?? null, outputs: { out: path } }
      }),
      ...(error === undefined ? {} : { error }),
    })
    const rows = await hydra.sql<{ job: string; build: number }[]>`
      select b.job, b.id as build from jobsetevalmembers m join builds b on b.id = m.build where m.eval = ${evalId}`
    for (const row of rows) builds.set(`${short(sha)} ${/^nixos-(.*?)\./.exec(row.job)?.[1]}`, row.build)
  }
  const good = (...hosts: string[]) => Object.fromEntries(hosts.map(host => [host, 0]))
  const all = good(...steady, 'away', ...Object.keys(states), 'ambiguous', 'removed', 'unevaluable')
  for (const sha of [x1, c1, c2, c3]) await evaluate(sha, all)
  await evaluate(
    c4,
    { ...good(...steady, 'ambiguous', 'away'), ...states },
    `in job ‘${job('unevaluable')}’:\nerror:\n … while evaluating\n error: attribute 'x' missing\n`,
  )

  const beside = async (name: string, flake: string, more: object = {}) => {
    const jobset = await hydra.jobset({ name, flake: 'github:alice/dotfiles/main', ...more })
    await hydra.eval({ jobset, flake, builds: [{ job: job(name) }] })
    return jobset
  }
  await beside('stale', `github:alice/dotfiles/${c3}`, { checkInterval: 0 })
  await beside('foreign', 'path:/home/alice/dotfiles')
  await beside('pulled', `github:alice/dotfiles/${c4}`, { flake: 'github:alice/dotfiles/pull/7/head' })
  const broken = await beside('broken', `github:alice/dotfiles/${c3}`)
  await hydra.sql`
    update jobsets set errortime = lastcheckedtime + 60, lastcheckedtime = lastcheckedtime + 60,
      errormsg = ${"error: while updating\nerror: cannot find flake 'flake:nixpkgs'"} where id = ${broken}`

  const tips = Object.fromEntries(
    [
      ...steady,
      ...Object.keys(states),
      'ambiguous',
      'removed',
      'unevaluable',
      'stale',
      'foreign',
      'pulled',
      'broken',
    ].map(host => [channel(host), c3]),
  )
  await repository.setBranches({
    main: c4,
    ...tips,
    [channel('held')]: c1,
    [channel('withdrawn')]: x1,
    [channel('diverged')]: d1,
    [channel('newest')]: c4,
    [channel('old')]: c2,
  })
  repository.protect(channel('protected'), 'Changes must be made through a pull request.')
  const other = await stage.github.createRepository('alice/other')
  await other.history(1)

  const [rule = {}] = stage.config.channels
  stage.config.channels = [
    { ...rule, job: 'nixos-(?<host>(?!away)[^/]*)\\.(?<system>.*)' },
    ...['stale', 'foreign', 'pulled', 'broken'].map(jobset => ({ ...rule, jobset })),
    { ...rule, job: 'nixos-(?<host>away)\\..*', repository: 'alice/other' },
  ]
  stage.config.hydraUrl = 'https://hydra.example.org'
  stage.config.cache = { url: stage.cache.url }
  stage.config.stateDirectory = join(stage.directory, 'state')
  const failures = {
    [`alice/dotfiles:${channel('stuck')}`]: { sha: c4, message: 'cannot copy to the cache: it is full' },
  }
  writeStamp(
    stage.config.stateDirectory as string,
    { ended: 'failed', counts: {}, failures },
    { line: assert.fail },
  )
  await stage.command('hydra-channels', [
    'hold',
    `alice/dotfiles:${channel('held')}`,
    '--reason',
    'does not boot',
  ])
  return { stage, commits, builds }
}

/** GitHub does not list the branches of alice/other. */
function loseOther({ github }: Stage): void {
  github.fault({
    kind: 'status',
    status: 403,
    headers: { 'retry-after': '9999' },
    body: { message: 'You have exceeded a secondary rate limit.' },
    path: '/repos/alice/other/git/matching-refs/',
  })
}

async function statusOf(stage: Stage, args: string[] = []): Promise<FleetStatus> {
  const result = await stage.command('hydra-channels', ['status', '--json', ...args], { streams: 'apart' })
  assert.equal(result.status, 0, result.stderr)
  return JSON.parse(result.stdout)
}

const byBranch = (status: FleetStatus) =>
  new Map(status.channels.map(each => [each.branch.replace('nixos-tested-', ''), each]))

test('every reason, as JSON', async t => {
  const fleet = await everyReason(t)
  const { stage, commits, builds } = fleet
  const { c1, c2, c3, c4, d1, x1 } = commits
  loseOther(stage)
  const status = await statusOf(stage)
  const channels = byBranch(status)
  const build = (sha: string, host: string) => builds.get(`${short(sha)} ${host}`)
  const url = (host: string) => `https://hydra.example.org/build/${build(c4, host)}`
  const force = (host: string, sha: string) =>
    `gh api -X PATCH repos/alice/dotfiles/git/refs/heads/${channel(host)} -f sha=${sha} -F force=true`

  const EXPECTED: Record<
    string,
    Partial<Omit<ChannelStatus, 'message'>> & { message: string | null | RegExp }
  > = {
    held: {
      reason: 'held',
      sha: c1,
      behindBranch: 3,
      behindCandidate: 3,
      message:
        /^held for \d+ min, until it is released, because “does not boot”: hydra-channels release alice\/dotfiles:\S+ lets it move again$/,
    },
    withdrawn: {
      reason: 'withdrawn',
      sha: x1,
      behindBranch: 3,
      url: `https://github.com/alice/dotfiles/compare/${x1}...${c4}`,
      message: new RegExp(
        `^its commit ${short(x1)} was taken back: .*; to give up what only the channel has: ${force('withdrawn', c4)}$`,
      ),
    },
    diverged: {
      reason: 'diverged',
      sha: d1,
      behindBranch: 3,
      behindCandidate: 3,
      message: `it is at ${short(d1)} and not in the history of ${short(c4)}: 1 commit only in the channel, 3 commits only in ${short(c4)}; to give up what only the channel has: ${force('diverged', c4)}`,
    },
    ambiguous: {
      reason: 'ambiguous',
      job: null,
      candidate: null,
      message: /^ambiguous: 2 jobs lead to .*put \{system\}/,
    },
    protected: { reason: 'no-permission', message: /^a rule of the repository does not let the App push/ },
    removed: {
      reason: 'job-gone',
      message: `the job ${job('removed')} is not in the newest eval of dotfiles:main: was it removed from the flake? If so, ${RETIRE}`,
    },
    old: {
      reason: 'abandoned',
      sha: c2,
      project: null,
      jobset: null,
      job: null,
      candidate: null,
      message: `no job leads to it now, so it stays where it is, and so do hosts that follow it; ${RETIRE}`,
    },
    unevaluable: {
      reason: 'evaluation-failed',
      behindCandidate: 0,
      behindBranch: 1,
      message: /^eval \d+ could not evaluate it: error: attribute 'x' missing$/,
    },
    broken: {
      reason: 'evaluation-failed',
      url: 'https://hydra.example.org/jobset/dotfiles/broken',
      message:
        /^the evaluation of dotfiles:broken fails, last at \d{4}-.*Z: error: cannot find flake 'flake:nixpkgs'; see journalctl -u hydra-evaluator$/,
    },
    stale: {
      reason: 'not-evaluated',
      behindBranch: 1,
      url: 'https://hydra.example.org/jobset/dotfiles/stale',
      message:
        /^Hydra has not evaluated 1 commit of main, which it has had since 2023-.*Z; the jobset has no check interval, so only a webhook or a person starts an evaluation; it was last checked at /,
    },
    foreign: {
      reason: 'unusable-flakeref',
      candidate: null,
      message: /^the flakeref of eval \d+ cannot be used: path:/,
    },
    pulled: {
      reason: 'not-on-branch',
      sha: c3,
      message:
        /^the jobset follows pull request 7, and its commits are on no branch; let the jobset follow a branch, /,
    },
    failed: {
      reason: 'build-failed',
      url: url('failed'),
      message: `build ${build(c4, 'failed')} failed; the channel moves with the next good build`,
    },
    dependent: { reason: 'dependency-failed', url: url('dependent'), message: /because a dependency failed/ },
    aborted: { reason: 'build-aborted', url: url('aborted'), message: /was aborted; restart it in Hydra$/ },
    uncached: {
      reason: 'not-cached',
      behindCandidate: 1,
      message: /^the cache does not have \/nix\/store\/.* answers 404;/,
    },
    stuck: {
      reason: 'failed',
      behindCandidate: 1,
      message: new RegExp(
        `^the last reconcile, at 20\\S+Z, could not move it to ${short(c4)}: cannot copy to the cache: it is full$`,
      ),
    },
    building: {
      reason: 'building',
      url: url('building'),
      message: new RegExp(`^build ${build(c4, 'building')} is queued or running since \\d{4}-.*Z$`),
    },
    behind: {
      reason: 'behind',
      sha: c3,
      behindBranch: 1,
      behindCandidate: 1,
      url: null,
      hold: null,
      message: `the next reconcile moves it to ${short(c4)}`,
    },
    newest: {
      reason: 'up-to-date',
      sha: c4,
      behindBranch: 0,
      behindCandidate: 0,
      since: null,
      message: null,
      url: null,
    },
    away: {
      reason: 'unknown',
      sha: null,
      repository: 'alice/other',
      message: /^GitHub's rate limit is reached/,
    },
  }
  assert.deepEqual([...channels.keys()].sort(), Object.keys(EXPECTED).sort())
  for (const [host, { message, ...expected }] of Object.entries(EXPECTED)) {
    const found: ChannelStatus | undefined = channels.get(host)
    assert.ok(found)
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(found[key as keyof ChannelStatus], value, `${host}: ${key}: ${found.message}`)
    }
    if (message instanceof RegExp) assert.match(found.message ?? '', message)
    else assert.equal(found.message, message)
  }
  assert.deepEqual(new Set(status.channels.map(({ reason }) => reason)), new Set(REASONS))

  const behind = channels.get('behind')
  const [e4] = await stage.hydra.sql<{ timestamp: number; id: number }[]>`
    select timestamp, id from jobsetevals where jobset_id = ${stage.jobset} order by id desc limit 1`
  assert.equal(behind?.since, new Date((e4?.timestamp ?? 0) * 1000).toISOString())
  assert.deepEqual(behind?.candidate, { sha: c4, eval: e4?.id, build: build(c4, 'behind') })
  assert.match(behind?.committedAt ?? '', /^2023-11-14T\d\d:\d\d:\d\dZ$/)
  // the shape that README.md promises
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const example = JSON.parse(/```json\n(\{\n {2}"generatedAt".*?)```/s.exec(readme)?.[1] ?? '{}')
  assert.deepEqual(Object.keys(status), Object.keys(example))
  assert.deepEqual(Object.keys(behind ?? {}).sort(), Object.keys(example.channels[0]).sort())
})

test('every reason with dryRun: what moves a channel, moves it without dryRun', async t => {
  const { stage } = await everyReason(t)
  loseOther(stage)
  const before = byBranch(await statusOf(stage))
  stage.config.dryRun = true
  loseOther(stage)
  const status = await statusOf(stage)
  assert.equal(status.dryRun, true)
  let promises = 0
  for (const [host, { message }] of byBranch(status)) {
    const words = message ?? ''
    // GitHub's answer says when to ask again
    if (host !== 'away')
      assert.equal(words.replaceAll('without dryRun, ', ''), before.get(host)?.message ?? '')
    for (const clause of words.split(/; |: /)) {
      if (!/\bmoves\b|\bmove again\b/.test(clause)) continue
      promises++
      assert.match(clause, /^(?:until then )?without dryRun, /)
    }
  }
  assert.ok(promises >= 4, `${promises} promises`)
})

test('every reason, as a table and as metrics', async t => {
  const { stage, commits } = await everyReason(t)
  loseOther(stage)
  const table = await stage.command('hydra-channels', ['status'])
  assert.equal(table.status, 0)
  const rows = table.log.split('\n')
  assert.match(rows[0] ?? '', /^CHANNEL +AT +BEHIND +SINCE +REASON$/)
  assert.match(rows[1] ?? '', /^alice\/other:nixos-tested-away .*unknown$/)
  assert.match(table.log, new RegExp(`nixos-tested-behind +${short(commits.c3)} .* behind$`, 'm'))
  assert.match(table.log, /^21 channels: .*; the last reconcile ended 0 min ago$/m)
  for (const reason of REASONS) assert.ok(table.log.includes(reason), reason)

  loseOther(stage)
  const file = join(stage.directory, 'hydra-channels.prom')
  writeFileSync(file, 'old', { mode: 0o600 })
  const metrics = await stage.command('hydra-channels', ['status', '--metrics', file], { streams: 'apart' })
  assert.equal(metrics.status, 0, metrics.stderr)
  assert.equal(metrics.stdout, '')
  assert.match(metrics.stderr, /: 21 channels, 16 in trouble$/m)
  assert.equal(statSync(file).mode & 0o777, 0o644)
  const text = readFileSync(file, 'utf8')
  for (const reason of REASONS)
    assert.match(text, new RegExp(`^hydra_channels_reason\\{.*reason="${reason}"\\} 1$`, 'm'))
  assert.match(
    text,
    /^hydra_channels_commits_behind\{repository="alice\/dotfiles",branch="nixos-tested-held"\} 3$/m,
  )
  const nowhere = await stage.command('hydra-channels', ['status', '--metrics', '/nonexistent/file'])
  assert.equal(nowhere.status, 1)
  assert.match(nowhere.log, /^cannot write the metrics \/nonexistent\/file: ENOENT/m)
})
