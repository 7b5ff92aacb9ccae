// The built commands with PgBouncer between them and PostgreSQL.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Check } from '../../src/doctor/doctor.ts'
import { startPgBouncer, type Way, withoutPgBouncer } from '../helpers/pgbouncer.ts'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'
import { find, statusOf } from '../helpers/status.ts'
import { verdictOf } from '../helpers/verdict.ts'

async function stageBehind(t: TestContext, way: Way): Promise<Stage> {
  const stage = await stageFor(t)
  const bouncer = await startPgBouncer(stage.hydra)
  // before the database goes
  const { close } = stage
  stage.close = async () => {
    await bouncer.close()
    await close()
  }
  stage.config.database = bouncer.connectionOf(way)
  return stage
}

async function examine(stage: Stage): Promise<Map<string, Check>> {
  const { stdout } = await stage.command('hydra-channels', ['doctor', '--json'], { streams: 'apart' })
  return new Map((JSON.parse(stdout).checks as Check[]).map(check => [check.name, check]))
}

describe('behind PgBouncer', { skip: withoutPgBouncer }, () => {
  for (const way of ['session', 'transaction'] as const) {
    // main: c1 - c2 - c3     channel at c1
    test(`${way}: each command does what it does without`, async t => {
      const stage = await stageBehind(t, way)
      const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
      await stage.repository.setBranches({ main: c3, [CHANNEL]: c1 })
      const build = await stage.built(c2)
      const hook = await stage.hook(build)
      assert.deepEqual([hook.status, verdictOf(hook.log).kind], [0, 'fast-forwarded'], hook.log)
      const commit = await stage.command('get-flake-commit', [String(build)])
      assert.deepEqual([commit.status, commit.log], [0, `${c2}\n`])
      await stage.built(c3)
      const reconcile = await stage.command('hydra-channels', ['reconcile'])
      assert.deepEqual(
        [reconcile.status, verdictOf(reconcile.log).kind],
        [0, 'fast-forwarded'],
        reconcile.log,
      )
      assert.equal(find(await statusOf(stage), CHANNEL).reason, 'up-to-date')

      const checks = await examine(stage)
      for (const name of ['database', 'read-only', 'users', 'tables', 'jobsets']) {
        assert.equal(checks.get(name)?.result, 'ok', checks.get(name)?.message)
      }
      const { result, message } = checks.get('lock') ?? {}
      assert.deepEqual([result, message?.includes('PgBouncer')], ['note', true], message)
    })
  }
})
