// How often status asks GitHub, for fleets of many channels.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { channel, evaluate, findStatusAtOnce, requestsOf, statusOf } from '../helpers/status.ts'

/** Of one look that writes the metrics, the page and the JSON; a token is kept from the run before. */
async function requestsOfAll(stage: Stage): Promise<string[]> {
  stage.github.clearRequests()
  const metrics = join(stage.directory, 'metrics.prom')
  await statusOf(stage, '--metrics', metrics, '--page', stage.directory)
  return [...stage.github.requests]
}

// main: c1 - c2 - c3     evals of c1 and c2, all channels are at c1
test('120 channels, and a token that has to be made first: eight requests at most', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
  const hosts = Array.from({ length: 120 }, (_, at) => `h${String(at).padStart(3, '0')}`)
  const good = Object.fromEntries(hosts.map(host => [host, 0]))
  for (const sha of [c1, c2]) await evaluate(stage, sha, good)
  await stage.repository.setBranches({
    main: c3,
    ...Object.fromEntries(hosts.map(host => [channel(host), c1])),
  })
  const { channels } = await statusOf(stage)
  assert.equal(channels.length, 120)
  for (const { reason, behindBranch, behindCandidate } of channels) {
    assert.deepEqual([reason, behindBranch, behindCandidate], ['not-evaluated', 2, 1])
  }
  const requests = requestsOf(stage, { c2, c3 })
  assert.deepEqual(requests, [
    'GET /repos/alice/dotfiles/compare/c2...refs/heads/main',
    'GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-',
    'GET /repos/alice/dotfiles/installation',
    'POST /app/installations/ID/access_tokens',
    // main, and two hundreds of channels
    'POST /graphql',
    'POST /graphql',
    'POST /graphql',
  ])
  // what people call the commits; the App and its token are known
  assert.equal((await requestsOfAll(stage)).length, requests.length - 2 + 1)
})

/**
 *     main: c0 - c1 - … - c31     an eval of each; the jobs of two hosts are good up to c1, of two up to c2, …
 *
 * so that 60 channels have 30 candidates, none of which is of the newest eval.
 */
async function thirtyCandidates(t: TestContext, lag: 0 | 1) {
  const stage = await stageFor(t)
  const commits = await stage.repository.history(32)
  const hosts = Array.from({ length: 60 }, (_, at) => ({ host: `h${at}`, last: 1 + (at % 30) }))
  for (const [at, sha] of commits.entries()) {
    await evaluate(stage, sha, Object.fromEntries(hosts.map(({ host, last }) => [host, at > last ? 1 : 0])))
  }
  const tips = hosts.map(({ host, last }) => [channel(host), commits[last - lag] ?? ''])
  await stage.repository.setBranches({ main: commits.at(-1) ?? '', ...Object.fromEntries(tips) })
  const { channels } = await statusOf(stage)
  assert.equal(channels.length, 60)
  for (const { reason, behindCandidate, message } of channels) {
    assert.deepEqual([reason, behindCandidate], ['build-failed', lag], message ?? '')
  }
  const requests = [...stage.github.requests]
  // without a token, and with what the page's other commits are called, which is asked last
  assert.equal((await requestsOfAll(stage)).length, requests.length - 2 + 1)
  return requests
}

test('60 channels at thirty candidates: eight requests at most', async t => {
  const requests = await thirtyCandidates(t, 0)
  assert.ok(requests.length <= 8, `${requests.length}: ${requests.join('\n')}`)
})

test('60 channels one commit behind thirty candidates: 25 requests at most', async t => {
  const requests = await thirtyCandidates(t, 1)
  assert.ok(requests.length <= 25, `${requests.length}: ${requests.join('\n')}`)
})

// thirty jobsets, each with a channel of its own and all on main: c1 - c2, of which they have seen c1
test('30 jobsets that follow one branch: it is asked for once', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  const [rule = {}] = stage.config.channels
  const names = Array.from({ length: 30 }, (_, at) => `j${at}`)
  for (const name of names) {
    const jobset = await stage.hydra.jobset({ name, flake: 'github:alice/dotfiles/main' })
    await evaluate(stage, c1, { [name]: 0 }, jobset)
  }
  stage.config.channels = names.map(jobset => ({ ...rule, jobset }))
  await stage.repository.setBranches({
    main: c2,
    ...Object.fromEntries(names.map(name => [channel(name), c1])),
  })
  const { status } = await findStatusAtOnce(stage)
  assert.equal(status.channels.length, 30)
  for (const { reason, behindBranch } of status.channels) {
    assert.deepEqual([reason, behindBranch], ['not-evaluated', 1])
  }
  const asked = (part: string) => stage.github.requests.filter(request => request.includes(part)).length
  // main, and the channels
  assert.deepEqual([asked('/graphql'), asked('/compare/'), asked('/git/matching-refs/')], [2, 1, 1])
})

/**
 *     main: c0 - c1 - … - c14     an eval of each; the jobs of a host are good up to c1, c2 … or c12, and failed once after it
 *
 * so that there are twelve tips, a commit behind twelve candidates, and twelve commits with which a failure began.
 */
for (const hosts of [10, 100, 1000]) {
  test(`${hosts} channels at twelve commits, all failing since some commit: 25 requests at most`, async t => {
    const stage = await stageFor(t)
    // the number of requests is of interest here, and not how long a busy machine takes for them
    Object.assign(stage.config.github, { attemptTimeoutSeconds: 300, deadlineSeconds: 600 })
    const commits = await stage.repository.history(15)
    const names = Array.from({ length: hosts }, (_, at) => ({ host: `h${at}`, last: 1 + (at % 12) }))
    for (const [at, sha] of commits.entries()) {
      await evaluate(stage, sha, Object.fromEntries(names.map(({ host, last }) => [host, at > last ? 1 : 0])))
    }
    const tips = names.map(({ host, last }) => [channel(host), commits[last - 1] ?? ''])
    await stage.repository.setBranches({ main: commits.at(-1) ?? '', ...Object.fromEntries(tips) })
    const { status } = await findStatusAtOnce(stage)
    assert.equal(status.channels.length, hosts)
    for (const { reason, failing, branch } of status.channels) {
      const last = 1 + (Number(branch.replace(/\D+/, '')) % 12)
      assert.deepEqual(
        [reason, failing?.sha, failing?.subject],
        ['build-failed', commits[last + 1], `commit ${last + 2}`],
      )
    }
    const { requests } = stage.github
    t.diagnostic(`${hosts} channels: ${requests.length} requests`)
    assert.ok(requests.length <= 25, `${requests.length}: ${requests.join('\n')}`)
    const asked = requests.length
    const all = await requestsOfAll(stage)
    t.diagnostic(`with metrics and page: ${all.length} requests`)
    // here each run needs a token of its own; the page asks what its commits are called
    assert.equal(all.length, asked + 1)
  })
}
