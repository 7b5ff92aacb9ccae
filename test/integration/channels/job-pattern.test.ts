// A regular expression that would take years, ended by node:vm after a second of real time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { channelOfJob, channelsOfJobs, ruleSchema } from '../../../src/channels/rule.ts'

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
    /takes too long on the jobs of p:j: it nests repetitions$/,
  )
})
