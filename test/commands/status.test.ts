// Status as a person, a script and node_exporter meet it: one fleet in which every reason is there once.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ChannelStatus, type FleetStatus, REASONS } from '../../src/status/shape.ts'
import { RETIRE } from '../helpers/channel-facts.ts'
import { channel, everyReason, job, short } from '../helpers/every-reason.ts'
import type { Stage } from '../helpers/stage.ts'

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
        /^held for \d+ min by \S+, until it is released, because “does not boot”: hydra-channels release alice\/dotfiles:\S+ lets it move again$/,
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
        /^the evaluation of dotfiles:broken fails, last \d+ \w+ ago: error: cannot find flake 'flake:nixpkgs'; see journalctl -u hydra-evaluator$/,
    },
    stale: {
      reason: 'not-evaluated',
      behindBranch: 1,
      url: 'https://hydra.example.org/jobset/dotfiles/stale',
      message:
        /^Hydra has not evaluated 1 commit of main, which it has had for \d+ years?; the jobset has no check interval, so only a webhook or a person starts an evaluation; it was last checked /,
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
      message: new RegExp(
        `^failing for \\d+ \\w+, since commit ${short(c4)} “commit 4” by Alice; build ${build(c4, 'failed')} failed; the channel moves with the next good build$`,
      ),
    },
    timeout: { reason: 'build-timed-out', url: url('timeout'), message: /; build \d+ timed out; / },
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
        `^the last reconcile, (?:just now|\\d+ min ago), could not move it to ${short(c4)}: cannot copy to the cache: it is full$`,
      ),
    },
    building: {
      reason: 'building',
      url: url('building'),
      message: new RegExp(`^build ${build(c4, 'building')} has been queued or running for \\d+ \\w+$`),
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

  const failing = channels.get('failed')?.failing
  assert.deepEqual(
    [failing?.build, failing?.sha, failing?.lastGoodBuild],
    [build(c4, 'failed'), c4, build(c3, 'failed')],
  )
  assert.equal(channels.get('aborted')?.failing?.build, null)
  assert.equal(channels.get('newest')?.failing, null)

  const behind = channels.get('behind')
  const [e4] = await stage.hydra.sql<{ timestamp: number; id: number }[]>`
    select timestamp, id from jobsetevals where jobset_id = ${stage.jobset} order by id desc limit 1`
  assert.equal(behind?.since, new Date((e4?.timestamp ?? 0) * 1000).toISOString())
  assert.deepEqual(behind?.candidate, { sha: c4, eval: e4?.id, build: build(c4, 'behind') })
  assert.match(behind?.committedAt ?? '', /^2023-11-14T\d\d:\d\d:\d\dZ$/)
  // the shape that docs/status.md promises
  const document = readFileSync(new URL('../../docs/status.md', import.meta.url), 'utf8')
  const example = JSON.parse(/```json\n(\{\n {2}"generatedAt".*?)```/s.exec(document)?.[1] ?? '{}')
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
  assert.match(table.log, /^22 channels: .*; the last reconcile ended (?:just now|\d+ min ago)$/m)
  for (const reason of REASONS) assert.ok(table.log.includes(reason), reason)

  loseOther(stage)
  const file = join(stage.directory, 'hydra-channels.prom')
  writeFileSync(file, 'old', { mode: 0o600 })
  const metrics = await stage.command('hydra-channels', ['status', '--metrics', file], { streams: 'apart' })
  assert.equal(metrics.status, 0, metrics.stderr)
  assert.equal(metrics.stdout, '')
  assert.match(metrics.stderr, /: 22 channels, 17 in trouble$/m)
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
