// A regular expression that would take years, ended by node:vm after a second of a processor's time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { execOnAll } from '../../../src/channels/job-pattern.ts'
import { planFleet } from '../../../src/channels/plan.ts'
import { channelOfJob, channelsOfJobs, ruleSchema } from '../../../src/channels/rule.ts'
import { foundJobset } from '../../helpers/found-jobset.ts'

test('a rule that nests repetitions takes a second, and no more, on a name that is made for it', () => {
  const job = 'nixos-(?<host>(?:[a-z0-9]+-?)+)\\.x86_64-linux'
  const rule = ruleSchema.parse({
    project: 'p',
    jobset: 'j',
    job,
    repository: 'a/b',
    branch: 'tested-{host}',
  })
  assert.deepEqual(channelOfJob(rule, 'nixos-nas.x86_64-linux'), { kind: 'channel', branch: 'tested-nas' })
  const name = `nixos-${'a'.repeat(200)}.aarch64-linux`
  assert.throws(
    () => channelOfJob(rule, name),
    /takes too long on nixos-a+\.aarch64-linux: it nests repetitions$/,
  )
  assert.throws(
    () => channelsOfJobs(rule, ['nixos-nas.x86_64-linux', name]),
    /takes too long on the 2 jobs of p:j: it nests repetitions$/,
  )
})

test('a match that had no processor in its time is tried again, and one that had it is not', () => {
  const slowOnce = () => {
    let times = 0
    const exec = () => {
      times++
      while (times === 1);
      return null
    }
    return Object.assign(/./, { exec })
  }
  assert.deepEqual(execOnAll(slowOnce(), ['nixos-nas'], { maxMs: 10, used: () => 0 }), [null])
  let used = 0
  const busy = () => {
    used += 10
    return used
  }
  assert.throws(() => execOnAll(slowOnce(), ['nixos-nas'], { maxMs: 10, used: busy }), {
    code: 'ERR_SCRIPT_EXECUTION_TIMEOUT',
  })
})

test('a hundred thousand names, each as slow as a plain rule can be, are no rule that nests repetitions', () => {
  const rule = ruleSchema.parse({
    ...{ project: 'p', jobset: 'j', job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)', repository: 'a/b' },
    branch: 'tested-{host}',
  })
  // each dot is tried, and a line break is no part of `.`
  const names = Array.from({ length: 100_000 }, (_, n) => `nixos-${n}${'.a'.repeat(100)}\n`)
  assert.deepEqual(channelsOfJobs(rule, names), [])
})

test('a rule that takes too long leaves the others alone', () => {
  const rule = (job: string, branch: string) =>
    ruleSchema.parse({ project: 'dotfiles', jobset: 'main', job, repository: 'alice/dotfiles', branch })
  const rules = [
    rule('nixos-(?:[a-z]+-?)+', 'slow'),
    rule('nixos-(?<host>[^/]*)\\.x86_64-linux', 'tested-{host}'),
  ]
  const jobs = ['nixos-nas.x86_64-linux', `nixos-${'a'.repeat(60)}!`].map(job => ({
    job,
    newest: { build: 7, finished: true, status: 0 },
    candidate: undefined,
  }))
  const found = foundJobset({ jobs })
  const { channels, problems } = planFleet(
    rules,
    [{ project: 'dotfiles', jobset: 'main', found }],
    ['github.com'],
  )
  assert.deepEqual(
    channels.map(({ channel }) => channel.branch),
    ['tested-nas'],
  )
  assert.deepEqual(
    problems.map(({ error }) => error.message),
    ['the rule “nixos-(?:[a-z]+-?)+” takes too long on the 2 jobs of dotfiles:main: it nests repetitions'],
  )
})
