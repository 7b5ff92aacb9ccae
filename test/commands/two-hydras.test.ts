// Two Hydras with channels in one repository, each with its own database and configuration. Neither speaks of the branches
// that belong to the other.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createHydra, flakeOf, type TestHydra } from '../helpers/hydra.ts'
import { type Stage, stageFor, type TestConfig } from '../helpers/stage.ts'
import { branchesOf, find, job, NAS, statusOf, WEB } from '../helpers/status.ts'

interface Side {
  hydra: TestHydra
  /** the id of its jobset dotfiles:main */
  jobset: number
  config: TestConfig
}

/**
 *     main: c1 - c2     the one Hydra has built nas of both, the other web
 */
async function twoHydras(t: TestContext) {
  const stage = await stageFor(t)
  const hydra = await createHydra()
  t.after(() => hydra.close())
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranch('main', c2)
  const one: Side = { hydra: stage.hydra, jobset: stage.jobset, config: stage.config }
  const other: Side = {
    hydra,
    jobset: await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' }),
    config: {
      ...structuredClone(stage.config),
      database: hydra.config,
      stateDirectory: join(stage.directory, 'state-of-the-other'),
    },
  }
  for (const sha of [c1, c2]) {
    await evaluate(one, sha, ['nas'])
    await evaluate(other, sha, ['web'])
  }
  return { stage, c1, c2, one, other }
}

const evaluate = ({ hydra, jobset }: Side, sha: string, hosts: string[]) =>
  hydra.eval({ jobset, flake: flakeOf(sha), builds: hosts.map(host => ({ job: job(host) })) })

function ignore({ config }: Side, ...branches: string[]): void {
  config.channels = config.channels.map(rule => ({ ...rule, ignore: branches }))
}

/** The stage with the configuration of one side. */
function of(stage: Stage, { config }: Side): Stage {
  stage.config = config
  return stage
}

const reconcile = (stage: Stage) => stage.command('hydra-channels', ['reconcile'])

test('each has channels of its own, and says nothing of the branches that it ignores', async t => {
  const { stage, c2, one, other } = await twoHydras(t)
  ignore(one, WEB)
  ignore(other, 'nixos-tested-n*')
  for (const side of [one, other, one, other]) {
    const { status, log } = await reconcile(of(stage, side))
    assert.equal(status, 0, log)
    assert.doesNotMatch(log, /gone|abandoned/)
    assert.doesNotMatch(log, new RegExp(side === one ? WEB : NAS))
  }
  assert.deepEqual(await stage.repository.branches(), { main: c2, [NAS]: c2, [WEB]: c2 })
  for (const [side, own] of [
    [one, NAS],
    [other, WEB],
  ] as const) {
    const fleet = await statusOf(of(stage, side))
    assert.deepEqual(
      fleet.channels.map(({ branch, reason }) => [branch, reason]),
      [[own, 'up-to-date']],
    )
  }
})

// web moves from the other Hydra to this one, and nas the other way, while both ignore what the other has
test('a branch that is ignored is a channel as long as it has a job, and no longer', async t => {
  const { stage, c1, c2, one, other } = await twoHydras(t)
  ignore(one, WEB)
  await stage.repository.setBranches({ [NAS]: c1, [WEB]: c1 })
  await evaluate(one, c2, ['nas', 'web'])
  assert.equal((await reconcile(of(stage, one))).status, 0)
  assert.deepEqual(await stage.repository.branches(), { main: c2, [NAS]: c2, [WEB]: c2 })
  const both = await statusOf(of(stage, one))
  assert.deepEqual(branchesOf(both), [NAS, WEB])
  assert.equal(find(both, WEB).reason, 'up-to-date')

  // the other Hydra leaves it to this one, and builds nas from now on
  await evaluate(other, c2, ['nas'])
  ignore(other, WEB)
  await evaluate(one, c2, ['web'])
  ignore(one, NAS)
  await stage.repository.setBranches({ [NAS]: c1, [WEB]: c1 })
  for (const [side, own, its] of [
    [one, WEB, NAS],
    [other, NAS, WEB],
  ] as const) {
    const { status, log } = await reconcile(of(stage, side))
    assert.equal(status, 0, log)
    assert.doesNotMatch(log, new RegExp(its))
    assert.deepEqual(branchesOf(await statusOf(of(stage, side))), [own])
  }
})

test('a build that finishes when its job is gone does not move a branch that is ignored', async t => {
  const { stage, c1, c2, one } = await twoHydras(t)
  const late = await stage.built(c2, { job: job('web') })
  await evaluate(one, c2, ['nas'])
  await stage.repository.setBranch(WEB, c1)
  ignore(one, WEB)
  const { status, log } = await of(stage, one).hook(late)
  assert.equal(status, 0, log)
  assert.match(log, /nixos-tested-web: not moved: \S+ is not in the newest eval, and channels\[\]\.ignore/)
  assert.equal(await stage.repository.branch(WEB), c1)
})

// web has gone to the other Hydra, and this one remembers a build of it that is newer than what the branch is at
test('an eval that fails as a whole does not move a branch that is ignored', async t => {
  const { stage, c1, c2, one } = await twoHydras(t)
  await stage.built(c2, { job: job('web') })
  ignore(one, WEB)
  await stage.repository.setBranch(WEB, c1)
  await one.hydra.eval({
    jobset: one.jobset,
    flake: flakeOf(c2),
    builds: [],
    error: 'at top-level:\nerror: no\n',
  })
  const { log } = await reconcile(of(stage, one))
  assert.doesNotMatch(log, new RegExp(WEB))
  assert.equal(await stage.repository.branch(WEB), c1)
  assert.deepEqual(branchesOf(await statusOf(of(stage, one))), [NAS])
})

// each Hydra has nixos-tested-{host}, and then the one has channels/{host}
test('a template that changes is no matter of the other Hydra', async t => {
  const { stage, c2, one, other } = await twoHydras(t)
  ignore(one, WEB)
  ignore(other, NAS)
  for (const side of [one, other]) assert.equal((await reconcile(of(stage, side))).status, 0)

  one.config.channels = one.config.channels.map(({ ignore: _, ...rule }) => ({
    ...rule,
    branch: 'channels/{host}',
  }))
  const changed = await reconcile(of(stage, one))
  assert.equal(changed.status, 0, changed.log)
  assert.deepEqual(await stage.repository.branches(), {
    ...{ main: c2, [NAS]: c2, [WEB]: c2 },
    'channels/nas': c2,
  })
  // its own old branch is named; that of the other, which it never had, is not, although nothing ignores it now
  assert.match(changed.log, new RegExp(`^alice/dotfiles: abandoned: no job leads to 1 branch: ${NAS}$`, 'm'))
  assert.doesNotMatch(changed.log, new RegExp(WEB))
  const reasonsOf = async (side: Side) => {
    const { channels } = await statusOf(of(stage, side))
    return Object.fromEntries(channels.map(({ branch, reason }) => [branch, reason]))
  }
  assert.deepEqual(await reasonsOf(one), { [NAS]: 'abandoned', 'channels/nas': 'up-to-date' })

  const { status, log } = await reconcile(of(stage, other))
  assert.equal(status, 0, log)
  assert.doesNotMatch(log, /abandoned|gone|nas/)
  assert.deepEqual(await reasonsOf(other), { [WEB]: 'up-to-date' })
})
