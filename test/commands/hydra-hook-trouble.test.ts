// The hook if the database or a rule is in trouble: its messages, and that it ends.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CHANNEL, JOB, stageFor } from '../helpers/stage.ts'

describe('the role of the hook may not read a table', () => {
  for (const table of ['builds', 'jobsetevals', 'jobsetevalmembers', 'jobsets', 'buildoutputs']) {
    test(`${table}: said with what to do, and nothing is moved`, async t => {
      const stage = await stageFor(t)
      // outputs are looked up if there is a cache to prove them in
      stage.config.cache = { unit: 'copy-cache@.service' }
      const c1 = await stage.repository.commit()
      await stage.repository.setBranch('main', c1)
      const build = await stage.built(c1)
      await stage.hydra.sql`revoke select on ${stage.hydra.sql(table)} from hydra`
      const { status, log } = await stage.hook(build)
      assert.equal(status, 1, log)
      assert.match(
        log,
        new RegExp(
          `^cannot ask Hydra's database at .*: [^\n]*\\b${table}\\b[^\n]* \\(42501\\)\nthe role lacks SELECT on this table: grant it$`,
          'm',
        ),
      )
      assert.doesNotMatch(log, /uncaught|unexpected error|node:internal/i)
      assert.equal(await stage.repository.branch(CHANNEL), undefined)
    })
  }
})

test('a rule that takes too long on another job of the jobset is said, and is no unexpected error', async t => {
  // main: c1     an eval with nas and with a job on which the repetitions take for ever
  const stage = await stageFor(t)
  const c1 = await stage.repository.commit()
  await stage.repository.setBranch('main', c1)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [{ ...rule, job: 'nixos-(?:[a-z]+-?)+(?:\\.x86_64-linux)?', branch: CHANNEL }]
  await stage.eval(c1, [{ job: JOB }, { job: `nixos-${'a'.repeat(60)}!` }])
  const [row] = await stage.hydra.sql<{ id: number }[]>`select id from builds where job = ${JOB}`
  const { status, log } = await stage.hook(row?.id ?? 0)
  assert.equal(status, 1, log)
  assert.match(
    log,
    /the rule “nixos-.*” takes too long on the 2 jobs of dotfiles:main: it nests repetitions$/m,
  )
  assert.doesNotMatch(log, /unexpected error|node:internal/)
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})
