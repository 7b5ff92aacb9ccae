// What the random histories and the matrix have found, each as the smallest story that shows it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flakeOf } from '../helpers/hydra.ts'
import { sceneFor } from '../helpers/scene.ts'
import { CHANNEL, JOB, stageFor } from '../helpers/stage.ts'

test('a merge that was just pushed is no commit that Hydra has left lying for half an hour', async t => {
  // main: c1 - m2(c1 s1)   an hour ago at m1(c1 s0), of which the newest eval is, whose build is not finished   channel at m1
  const stage = await stageFor(t)
  const { repository, hydra, jobset } = stage
  const seconds = Math.floor(Date.now() / 1000)
  const hourAgo = seconds - 3600
  const c1 = await repository.commit({ date: hourAgo - 60 })
  const s0 = await repository.commit({ parents: [c1], date: hourAgo })
  const m1 = await repository.commit({ parents: [c1, s0], date: hourAgo })
  const s1 = await repository.commit({ parents: [c1], date: seconds })
  const m2 = await repository.commit({ parents: [c1, s1], date: seconds })
  await hydra.eval({ jobset, flake: flakeOf(m1), timestamp: hourAgo, builds: [{ job: JOB, status: null }] })
  await repository.setBranches({ main: m2, [CHANNEL]: m1 })
  const { stdout } = await stage.command('hydra-channels', ['status', '--json'], { streams: 'apart' })
  const [channel] = JSON.parse(stdout).channels
  assert.equal(channel.reason, 'building', channel.message)
})

test('an old build of a job that was removed creates no channel, by its hook as by reconcile', async t => {
  // main: c1 - c2   e1(c1): build 1 good   e2(c2): the job was removed   channel nowhere
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranch('main', c2)
  const build = await stage.built(c1)
  await stage.eval(c2, [{ job: 'nixos-pi.x86_64-linux' }])
  const reconciled = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(await stage.repository.branch(CHANNEL), undefined, reconciled.log)
  const hooked = await stage.hook(build)
  assert.equal(await stage.repository.branch(CHANNEL), undefined, hooked.log)
})

test('a refusal to make a token is not about workflows in a commit', async t => {
  const { github, repo, open, trouble } = await sceneFor(t)
  const [c1 = ''] = await repo.history(1)
  const body = { message: 'Resource not accessible by integration' }
  github.fault({ kind: 'status', status: 403, body, path: 'access_tokens', times: Number.POSITIVE_INFINITY })
  const [message] = await trouble(open().compare('refs/heads/main', c1))
  assert.doesNotMatch(message ?? '', /workflows/)
})
