// Every event that Hydra itself wrote, through the built command, on a database that has their builds.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createStage, type Stage } from '../helpers/stage.ts'

const EVENTS = fileURLToPath(new URL('../../fixtures/events/', import.meta.url))

interface Expected {
  status: number
  /** the last line of the log, with COMMIT for the commit of the eval */
  verdict: string
  /** the branch that is at the commit afterwards */
  branch?: string
  /** how many outputs are copied */
  copied?: number
}

const NOT_SUCCESSFUL = { status: 0, verdict: 'no successful build: nothing to do' }
const noRule = (job: string, copied = 1) => ({
  status: 0,
  verdict: `dotfiles:main:${job}: no rule matches it, so there is nothing to move`,
  copied,
})
const created = (branch: string) => ({
  status: 0,
  verdict: `alice/dotfiles ${branch}: created at COMMIT`,
  branch,
  copied: 1,
})

const TABLE: Record<string, Expected> = {
  'aggregate.json': created('tested-all-hosts'),
  'cached-success.json': created('nixos-tested-cachedok'),
  'cancelled.json': NOT_SUCCESSFUL,
  'depfailed.json': NOT_SUCCESSFUL,
  'failed-with-output.json': NOT_SUCCESSFUL,
  'failure-with-dependents.json': NOT_SUCCESSFUL,
  'failure.json': NOT_SUCCESSFUL,
  'git-https.json': created('git-tested-fsn0'),
  'legacy.json': {
    status: 1,
    verdict: 'alice/dotfiles tested-hello: a channel needs a flake jobset (jobset settings, Type: Flake)',
    copied: 1,
  },
  // the same build as cached-success.json: its branch is there by then
  'metrics-nan-inf-jsonxs.json': {
    ...created('nixos-tested-cachedok'),
    verdict: 'alice/dotfiles nixos-tested-cachedok: already there, at COMMIT',
  },
  'metrics-nan-inf.json': {
    ...created('nixos-tested-cachedok'),
    verdict: 'alice/dotfiles nixos-tested-cachedok: already there, at COMMIT',
  },
  'multi-outputs.json': noRule('package-multi.x86_64-linux', 3),
  'null-output-path-failed.json': NOT_SUCCESSFUL,
  'nullfields.json': created('nixos-tested-hkg0'),
  'products-metrics.json': noRule('iso.x86_64-linux'),
  'success.json': created('nixos-tested-fsn0'),
  'timeout.json': NOT_SUCCESSFUL,
  'unfinished.json': NOT_SUCCESSFUL,
  'unicode.json': noRule('package-uni.x86_64-linux'),
}

let stage: Stage
let sha: string

before(async () => {
  stage = await createStage()
  ;[sha = ''] = await stage.repository.history(1)
  await stage.repository.setBranch('main', sha)
  // the stage's own jobset is empty, and the events bring theirs
  await stage.hydra.sql`delete from jobsets`
  await stage.hydra.seedEvents({ sha })
  const rule = { project: 'dotfiles', repository: 'alice/dotfiles' }
  stage.config.channels = [
    { ...rule, jobset: 'main', job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)', branch: 'nixos-tested-{host}' },
    { ...rule, jobset: 'main', job: 'all-hosts', branch: 'tested-all-hosts' },
    { ...rule, jobset: 'git-https', job: 'nixos-(?<host>.*)\\..*', branch: 'git-tested-{host}' },
    { ...rule, jobset: 'legacy', job: 'hello\\..*', branch: 'tested-hello' },
  ]
  stage.config.cache = { unit: 'copy-cache@.service' }
})

after(() => stage.close())

test('the table has every event', () => {
  assert.deepEqual(readdirSync(EVENTS).sort(), Object.keys(TABLE).sort())
})

for (const [file, { status, verdict, branch, copied = 0 }] of Object.entries(TABLE)) {
  test(`${file}: exit ${status}, ${branch ?? 'no branch'}`, async () => {
    const before = await stage.repository.branches()
    const calls = stage.systemd.calls().length
    const result = await stage.hook(join(EVENTS, file))
    assert.equal(result.status, status, result.log)
    assert.equal(result.log.trimEnd().split('\n').at(-1), verdict.replace('COMMIT', sha.slice(0, 7)))
    assert.deepEqual(await stage.repository.branches(), branch ? { ...before, [branch]: sha } : before)
    const [call, ...more] = stage.systemd.calls().slice(calls)
    assert.equal((call ?? []).filter(word => word.startsWith('copy-cache@')).length, copied)
    assert.deepEqual(more, [])
  })
}
