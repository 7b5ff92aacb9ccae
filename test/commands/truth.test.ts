// What the commands say where the first thought is wrong: whose trouble it is, what it waits for, and what was done already.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { flakeOf } from '../helpers/hydra.ts'
import { JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { evaluate, find, NAS, run, statusOf, twoHosts, WEB } from '../helpers/status.ts'

const UNIT = 'copy-cache@.service'
const reconcile = (stage: Stage) => stage.command('hydra-channels', ['reconcile'])

/** main: c1 - c2   channel at c1, candidate c2, outputs copied by a unit */
async function behind(t: TestContext): Promise<{ stage: Stage; c1: string; c2: string }> {
  const it = await twoHosts(t)
  await it.stage.repository.setBranches({ [WEB]: it.c2 })
  it.stage.config.cache = { unit: UNIT }
  return it
}

describe('what the last reconcile could not do is what status says', () => {
  test('while every copy fails, and no longer when it is mended', async t => {
    const { stage } = await behind(t)
    stage.systemd.ends('failed')
    assert.equal((await reconcile(stage)).status, 1)
    const { reason, message } = find(await statusOf(stage), NAS)
    assert.equal(reason, 'failed')
    assert.match(
      message ?? '',
      /^the last reconcile, (?:just now|\d+ min ago), could not move it to \w{7}: cannot copy to the cache: systemctl start ended with status 1; /,
    )
    assert.equal(find(await statusOf(stage), WEB).reason, 'up-to-date')

    stage.systemd.ends('ok')
    assert.equal((await reconcile(stage)).status, 0)
    assert.equal(find(await statusOf(stage), NAS).reason, 'up-to-date')
  })

  test('while another branch is in the way', async t => {
    const { stage, c1 } = await behind(t)
    await stage.repository.deleteBranch(NAS)
    await stage.repository.setBranches({ [`${NAS}/old`]: c1 })
    assert.equal((await reconcile(stage)).status, 1)
    const { reason, message } = find(await statusOf(stage), NAS)
    assert.equal(reason, 'failed')
    assert.match(message ?? '', new RegExp(`${NAS}/old`))
  })
})

test('a jobset that was never evaluated is no trouble, and no branch of it is called gone', async t => {
  const { stage, c1 } = await twoHosts(t)
  const jobset = { project: 'dotfiles', name: 'staging', flake: 'github:alice/dotfiles' }
  const id = await stage.hydra.jobset(jobset)
  const [rule = {}] = stage.config.channels
  stage.config.channels.push({ ...rule, jobset: 'staging', branch: 'staging-{host}' })
  await stage.repository.setBranches({ 'staging-nas': c1 })
  const first = await reconcile(stage)
  assert.equal(first.status, 0, first.log)
  assert.match(first.log, /^dotfiles:staging is not evaluated yet$/m)
  const { reason, message } = find(await statusOf(stage), 'staging-nas')
  assert.deepEqual([reason, message], ['not-evaluated', 'dotfiles:staging is not evaluated yet'])

  // until its first evaluation succeeds
  await stage.hydra.sql`
    update jobsets set errormsg = 'error: no flake.nix', errortime = 1, lastcheckedtime = 1 where id = ${id}`
  const second = await reconcile(stage)
  assert.equal(second.status, 0)
  assert.match(second.log, /^dotfiles:staging is not evaluated yet: error: no flake\.nix$/m)
})

test('a jobset that was renamed between the event and the hook: its name now', async t => {
  const { stage, c1 } = await twoHosts(t)
  const build = await stage.built(c1)
  const event = await stage.hydra.eventOf(build)
  await stage.hydra.sql`update jobsets set name = 'trunk' where id = ${stage.jobset}`
  await stage.hydra.sql`insert into jobsetrenames (project, from_, to_) values ('dotfiles', 'main', 'trunk')`
  const { status, log } = await stage.hook(event)
  assert.equal(status, 1)
  assert.match(log, /^the jobset dotfiles:main is called dotfiles:trunk now\nput trunk into the rule$/m)
})

test('a jobset that is evaluated one at a time waits for builds, and not for hydra-evaluator', async t => {
  const { stage, c2 } = await twoHosts(t)
  await stage.hydra.sql`update jobsets set enabled = 3 where id = ${stage.jobset}`
  await evaluate(stage, c2, { nas: 0, web: 0, pi: null })
  const [c3 = ''] = await stage.repository.history(1, c2)
  await stage.repository.setBranches({ main: c3, [NAS]: c2, [WEB]: c2 })
  const { message, url } = find(await statusOf(stage), NAS)
  assert.match(
    message ?? '',
    /; the jobset is evaluated one at a time, and waits for build (\d+) of nixos-pi\.x86_64-linux$/,
  )
  assert.equal(url, null)
})

describe('a repository that was renamed', () => {
  /** Evals of its old name; rule and jobset have the new one. */
  async function renamed(t: TestContext) {
    const it = await twoHosts(t)
    const { stage } = it
    stage.repository.rename('alice/nixos')
    for (const rule of stage.config.channels) Object.assign(rule, { repository: 'alice/nixos' })
    await stage.hydra.sql`update jobsets set flake = 'github:alice/nixos' where id = ${stage.jobset}`
    return it
  }

  test('is the same to reconcile, status and doctor, although the candidate’s eval has its old name', async t => {
    const { stage, c2 } = await renamed(t)
    assert.equal(find(await statusOf(stage), NAS).reason, 'behind')
    const { log } = await stage.command('hydra-channels', ['doctor'])
    assert.match(log, /^✓ jobs: channels\[0\]: 2 jobs of dotfiles:main/m)
    const { status, log: said } = await reconcile(stage)
    assert.equal(status, 0, said)
    assert.equal(await stage.repository.branch(NAS), c2)
  })

  test('is the same to the hook, also while the jobset follows its old name', async t => {
    const { stage, c2 } = await renamed(t)
    await stage.hydra.sql`update jobsets set flake = 'github:alice/dotfiles/main' where id = ${stage.jobset}`
    const result = await stage.hook(await stage.built(c2))
    assert.equal(result.status, 0, result.log)
    assert.equal(await stage.repository.branch(NAS), c2)
  })

  test('is another one as soon as somebody has taken its old name', async t => {
    const { stage, c1 } = await renamed(t)
    await stage.github.createRepository('alice/dotfiles')
    const { status, log } = await reconcile(stage)
    assert.equal(status, 1)
    assert.match(
      log,
      /^alice\/nixos nixos-tested-nas: cannot be moved: the flakeref of eval \d+ is of another repository/m,
    )
    assert.equal(await stage.repository.branch(NAS), c1)
    assert.equal(find(await statusOf(stage), NAS).reason, 'unusable-flakeref')
  })
})

test('rules with a wrong project are the trouble, and that is said once', async t => {
  const { stage } = await twoHosts(t)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [
    { ...rule, project: 'dotfile' },
    { ...rule, project: 'dotfile', branch: 'iso-{host}' },
  ]
  const WRONG = /Hydra has no jobset dotfile:main, which a rule names/g
  const { status, log } = await reconcile(stage)
  assert.equal(status, 1)
  assert.equal(log.match(WRONG)?.length, 1, log)
  const table = await stage.command('hydra-channels', ['status'])
  assert.equal(table.log.match(WRONG)?.length, 1, table.log)
  const json = await run(stage)
  assert.equal(json.stderr, '')
  for (const branch of [NAS, WEB]) assert.equal(find(JSON.parse(json.stdout), branch).reason, 'unknown')
})

test('a detached hook that cannot start its copies asks for a reconcile all the same', async t => {
  const { stage, c2 } = await twoHosts(t)
  const kickFile = join(stage.directory, 'kick', 'kick')
  mkdirSync(join(stage.directory, 'kick'))
  stage.config.hook = { mode: 'detached', kickFile }
  stage.config.cache = { unit: UNIT }
  stage.systemd.ends('unknown')
  const { status, log } = await stage.hook(await stage.built(c2))
  assert.equal(status, 1)
  assert.match(log, /^cannot copy to the cache: systemctl start ended with status 5$/m)
  assert.match(log, /^alice\/dotfiles nixos-tested-nas: asked for a reconcile; /m)
  assert.ok(existsSync(kickFile))
})

describe('without a cache to look at', () => {
  const copies = ({ systemd }: Stage) => systemd.calls().length
  const OUTPUTS = { out: '/nix/store/0000000000000000000000000000000a-nas' }

  /** An eval of a new commit in which nothing was built anew. */
  async function unchanged(stage: Stage, from: string) {
    const [next = ''] = await stage.repository.history(1, from)
    await stage.repository.setBranches({ main: next })
    await stage.hydra.eval({ jobset: stage.jobset, flake: flakeOf(next) })
    return next
  }

  async function copiedOnce(t: TestContext) {
    const stage = await stageFor(t)
    stage.config.stateDirectory = join(stage.directory, 'state')
    stage.config.cache = { unit: UNIT }
    const [c1 = ''] = await stage.repository.history(1)
    await stage.repository.setBranches({ main: c1 })
    await stage.hydra.eval({
      jobset: stage.jobset,
      flake: flakeOf(c1),
      builds: [{ job: JOB, outputs: OUTPUTS }],
    })
    assert.equal((await reconcile(stage)).status, 0)
    assert.equal(copies(stage), 1)
    return { stage, c1 }
  }

  test('the outputs of a build are copied once for a channel, however many evals have it', async t => {
    const { stage, c1 } = await copiedOnce(t)
    const c2 = await unchanged(stage, c1)
    const { status, log } = await reconcile(stage)
    assert.equal(status, 0, log)
    assert.match(log, /^alice\/dotfiles nixos-tested-nas: build \d+ was copied to the cache before$/m)
    assert.equal(await stage.repository.branch(NAS), c2)
    assert.equal(copies(stage), 1)
    assert.deepEqual(readdirSync(join(stage.directory, 'state', 'proven')), [
      'alice%2Fdotfiles%3Anixos-tested-nas.json',
    ])
  })

  test('a dry run writes nothing down', async t => {
    const { stage, c1 } = await copiedOnce(t)
    await stage.hydra.eval({
      jobset: stage.jobset,
      flake: flakeOf(c1),
      builds: [{ job: JOB, outputs: { out: '/nix/store/0000000000000000000000000000000c-nas' } }],
    })
    await unchanged(stage, c1)
    assert.equal((await stage.command('hydra-channels', ['reconcile', '--dry-run'])).status, 0)
    assert.equal((await reconcile(stage)).status, 0)
    assert.equal(copies(stage), 2)
  })

  for (const [what, change] of [
    [
      'another build',
      (stage: Stage, c1: string) =>
        stage.hydra.eval({
          jobset: stage.jobset,
          flake: flakeOf(c1),
          builds: [{ job: JOB, outputs: OUTPUTS }],
        }),
    ],
    [
      'another output',
      (stage: Stage) =>
        stage.hydra.sql`update buildoutputs set path = '/nix/store/0000000000000000000000000000000b-nas'`,
    ],
    [
      'another unit',
      (stage: Stage) => Object.assign(stage.config, { cache: { unit: 'copy-other@.service' } }),
    ],
    [
      'a torn file',
      (stage: Stage) =>
        writeFileSync(
          join(stage.directory, 'state/proven/alice%2Fdotfiles%3Anixos-tested-nas.json'),
          '{"unit":"copy',
        ),
    ],
  ] as const) {
    test(`${what} is copied`, async t => {
      const { stage, c1 } = await copiedOnce(t)
      await change(stage, c1)
      const c2 = await unchanged(stage, c1)
      assert.equal((await reconcile(stage)).status, 0)
      assert.equal(await stage.repository.branch(NAS), c2)
      assert.equal(copies(stage), 2)
    })
  }

  test('what cannot be written down is copied again, and is no trouble', async t => {
    const { stage, c1 } = await copiedOnce(t)
    // root could write into any folder
    const proven = join(stage.directory, 'state', 'proven')
    rmSync(proven, { recursive: true })
    writeFileSync(proven, '')
    const c2 = await unchanged(stage, c1)
    const { status, log } = await reconcile(stage)
    assert.equal(status, 0, log)
    assert.equal(await stage.repository.branch(NAS), c2)
    assert.equal(copies(stage), 2)
  })
})
