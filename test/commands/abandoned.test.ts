// A rule that changes, told as stories: the branches that it made before are shown as abandoned, quietly, for as long as they
// exist, because hosts may follow them.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { REASONS } from '../../src/status/shape.ts'
import type { Stage } from '../helpers/stage.ts'
import {
  branchesOf,
  evaluate,
  find,
  hold,
  loseDatabase,
  NAS,
  statusOf,
  twoHosts,
  WEB,
} from '../helpers/status.ts'

const reconcile = (stage: Stage, ...args: string[]) => stage.command('hydra-channels', ['reconcile', ...args])

function change(stage: Stage, more: Record<string, unknown>): void {
  stage.config.channels = stage.config.channels.map(rule => ({ ...rule, ...more }))
}

const stampOf = (stage: Stage) => readFileSync(join(stage.directory, 'state/last-reconcile.json'), 'utf8')

const reasonsOf = async (stage: Stage) => {
  const { channels } = await statusOf(stage)
  return Object.fromEntries(channels.map(({ branch, reason }) => [branch, reason]).sort())
}

const ARCH = 'x86_64-linux'
const [NEW_NAS, NEW_WEB] = ['channels/nas', 'channels/web']
const NEW = { branch: 'channels/{host}' }
const OLD = { branch: 'nixos-tested-{host}' }

// main: c1 - c2     nas and web at c1, and then at c2
test('the template is changed, and changed back', async t => {
  const { stage, c2 } = await twoHosts(t)
  assert.equal((await reconcile(stage)).status, 0)
  const upToDate = { [NAS]: 'up-to-date', [WEB]: 'up-to-date' }
  assert.deepEqual(await reasonsOf(stage), upToDate)

  // their commits are main's newest, but nothing would keep them there
  change(stage, NEW)
  const first = await statusOf(stage)
  for (const branch of [NAS, WEB]) {
    const { reason, message, ...old } = find(first, branch)
    assert.deepEqual(
      [reason, old.sha, old.since, old.job, old.candidate],
      ['abandoned', c2, null, null, null],
    )
    assert.match(message ?? '', /hosts that follow it.*channels\[\]\.ignore/)
    assert.doesNotMatch(message ?? '', /delete|remove/i)
  }
  const changed = await reconcile(stage)
  assert.equal(changed.status, 0, changed.log)
  assert.match(
    changed.log,
    new RegExp(`^alice/dotfiles: abandoned: no job leads to 2 branches: ${NAS}, ${WEB}$`, 'm'),
  )
  const both = {
    [NAS]: 'abandoned',
    [WEB]: 'abandoned',
    [NEW_NAS]: 'up-to-date',
    [NEW_WEB]: 'up-to-date',
  }
  assert.deepEqual(await reasonsOf(stage), both)
  // not only once
  assert.equal((await reconcile(stage)).status, 0)
  assert.deepEqual(await reasonsOf(stage), both)

  const table = await stage.command('hydra-channels', ['status'])
  assert.match(table.log, new RegExp(`^${NAS} .* abandoned$`, 'm'))
  assert.match(table.log, new RegExp(`^${WEB} .*\\n    \\(these 2\\) no job leads to it now, `, 'm'))
  assert.match(table.log, /^4 channels: 2 abandoned, 2 up-to-date; /m)
  const file = join(stage.directory, 'metrics.prom')
  const metrics = await stage.command('hydra-channels', ['status', '--metrics', file])
  assert.match(metrics.log, /: 4 channels, 0 in trouble$/m)
  assert.match(
    readFileSync(file, 'utf8'),
    new RegExp(`^hydra_channels_reason\\{.*branch="${NAS}",reason="abandoned"\\} 1$`, 'm'),
  )

  change(stage, OLD)
  const back = { ...upToDate, [NEW_NAS]: 'abandoned', [NEW_WEB]: 'abandoned' }
  assert.deepEqual(await reasonsOf(stage), back)
  assert.equal((await reconcile(stage)).status, 0)
  assert.deepEqual(await reasonsOf(stage), back)

  change(stage, { ignore: [NEW_NAS] })
  assert.deepEqual(branchesOf(await statusOf(stage)), [NEW_WEB, NAS, WEB])
  const ignoring = await reconcile(stage)
  assert.match(ignoring.log, new RegExp(`no job leads to 1 branch: ${NEW_WEB}$`, 'm'))
  await stage.repository.deleteBranch(NEW_WEB)
  assert.deepEqual(await reasonsOf(stage), upToDate)
})

test('two systems of a host are given a branch each: the one that hosts follow stays where it is', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  assert.equal((await reconcile(stage)).status, 0)
  const ARM = 'nixos-nas.aarch64-linux'
  const flake = `github:alice/dotfiles/${c2}`
  const builds = [{ job: ARM }, { job: `nixos-nas.${ARCH}` }, { job: `nixos-web.${ARCH}` }]
  await stage.hydra.eval({ jobset: stage.jobset, flake, builds })
  await stage.repository.setBranch(NAS, c1)
  const refused = await reconcile(stage)
  assert.equal(refused.status, 1)
  assert.match(refused.log, /ambiguous: 2 jobs lead to this channel/)
  assert.match(refused.log, /the old one stays where it is, and so do the hosts that follow it/)
  assert.equal(find(await statusOf(stage), NAS).reason, 'ambiguous')

  change(stage, { branch: 'nixos-tested-{host}-{system}' })
  assert.equal((await reconcile(stage)).status, 0)
  assert.deepEqual(await reasonsOf(stage), {
    [NAS]: 'abandoned',
    [`${NAS}-aarch64-linux`]: 'up-to-date',
    [`${NAS}-${ARCH}`]: 'up-to-date',
    [WEB]: 'abandoned',
    [`${WEB}-${ARCH}`]: 'up-to-date',
  })
  assert.equal(await stage.repository.branch(NAS), c1)
})

describe('what is known of abandoned branches', () => {
  test('runs that only look, or that are of some channels, change nothing of it', async t => {
    const { stage } = await twoHosts(t)
    await reconcile(stage)
    const before = stampOf(stage)
    change(stage, NEW)
    const look = await reconcile(stage, '--dry-run')
    assert.match(look.log, /abandoned: no job leads to 2 branches/)
    await reconcile(stage, NEW_NAS)
    assert.equal(stampOf(stage), before)
    // as a run of a timer does with dryRun in the configuration
    Object.assign(stage.config, { dryRun: true })
    await reconcile(stage)
    assert.deepEqual(await reasonsOf(stage), {
      [NAS]: 'abandoned',
      [WEB]: 'abandoned',
      [NEW_NAS]: 'up-to-date',
      [NEW_WEB]: 'behind',
    })
  })

  test('a run that is killed with its first write has recorded its channels before', async t => {
    const { stage } = await twoHosts(t)
    await stage.repository.deleteBranch(WEB)
    const killed = await stage.command('hydra-channels', ['reconcile'], {
      onStart(child) {
        stage.github.fault({
          kind: 'hook',
          method: 'POST',
          path: '/git/refs',
          run: () => void child.kill('SIGKILL'),
        })
      },
    })
    assert.notEqual(killed.status, 0)
    await stage.github.idle()
    const [{ branches } = {}] = JSON.parse(stampOf(stage)).channels
    assert.deepEqual(branches.sort(), [NAS, WEB])
  })

  test('while the database is away, they are there, and unknown like all others', async t => {
    const { stage } = await twoHosts(t)
    await reconcile(stage)
    // a rule without a prefix could make every branch
    change(stage, { branch: '{host}' })
    assert.deepEqual(await reasonsOf(stage), {
      ...{ nas: 'behind', web: 'behind' },
      [NAS]: 'abandoned',
      [WEB]: 'abandoned',
    })
    await reconcile(stage)
    loseDatabase(stage)
    const away = await reasonsOf(stage)
    assert.deepEqual(away, { nas: 'unknown', web: 'unknown', [NAS]: 'unknown', [WEB]: 'unknown' })
  })

  test('a hold on one can be released, and is in force again with the rule', async t => {
    const { stage } = await twoHosts(t)
    await reconcile(stage)
    await hold(stage, NAS)
    change(stage, NEW)
    const { reason, message } = find(await statusOf(stage), NAS)
    assert.equal(reason, 'held')
    assert.match(message ?? '', /: hydra-channels release \S+ ends that; no job leads to it now, /)
    const released = await stage.command('hydra-channels', ['release', NAS])
    assert.equal(released.status, 0, released.log)
    assert.equal(find(await statusOf(stage), NAS).reason, 'abandoned')
  })
})

describe('a repository that no rule names any more', () => {
  test('its channels are shown until the App is not installed there', async t => {
    const { stage, c1 } = await twoHosts(t)
    const other = await stage.github.createRepository('alice/other')
    const [o1 = ''] = await other.history(1)
    const jobset = await stage.hydra.jobset({ name: 'other', flake: 'github:alice/other' })
    const flake = `github:alice/other/${o1}`
    await stage.hydra.eval({ jobset, flake, builds: [{ job: `nixos-far.${ARCH}` }] })
    await other.setBranch('main', o1)
    const [rule = {}] = stage.config.channels
    stage.config.channels = [rule, { ...rule, jobset: 'other', repository: 'alice/other' }]
    assert.equal((await reconcile(stage)).status, 0)
    const FAR = 'nixos-tested-far'
    assert.equal((await reasonsOf(stage))[FAR], 'up-to-date')

    stage.config.channels = [rule]
    await evaluate(stage, c1, { nas: 0, web: 0 })
    const kept = await reconcile(stage)
    assert.match(kept.log, /^alice\/other: abandoned: no job leads to 1 branch: nixos-tested-far$/m)
    const far = find(await statusOf(stage), FAR)
    assert.deepEqual([far.repository, far.reason, far.sha], ['alice/other', 'abandoned', o1])
    assert.match(
      far.message ?? '',
      /^no rule names alice\/other now, .*take the repository out of the App's installation/,
    )

    // what passes: a key that GitHub refuses, a suspended installation, a permission that is not accepted yet
    Object.assign(stage.env, { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: '' })
    const granted = other.permissions
    const ownKey = stage.config.github.privateKeyFile
    const foreignKey = join(stage.directory, 'foreign.pem')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(foreignKey, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
    const refused = [
      {
        begin: () => Object.assign(stage.config.github, { privateKeyFile: foreignKey }),
        end: () => Object.assign(stage.config.github, { privateKeyFile: ownKey }),
      },
      {
        begin: () => Object.assign(other, { suspended: true }),
        end: () => Object.assign(other, { suspended: false }),
      },
      {
        begin: () => Object.assign(other, { permissions: { metadata: 'read' } }),
        end: () => Object.assign(other, { permissions: granted }),
      },
    ]
    for (const { begin, end } of refused) {
      begin()
      await reconcile(stage)
      assert.equal(find(await statusOf(stage), FAR).reason, 'no-permission')
      end()
      assert.equal(find(await statusOf(stage), FAR).reason, 'abandoned')
    }

    other.installed = false
    assert.equal(find(await statusOf(stage), FAR).reason, 'no-permission')
    await reconcile(stage)
    assert.deepEqual(branchesOf(await statusOf(stage)), [NAS, WEB])
  })

  test('it was renamed, and its rule with it: nothing is abandoned', async t => {
    const { stage } = await twoHosts(t)
    await reconcile(stage)
    stage.repository.rename('alice/nixos')
    await stage.hydra.sql`update jobsets set flake = 'github:alice/nixos'`
    change(stage, { repository: 'alice/nixos' })
    const upToDate = { [NAS]: 'up-to-date', [WEB]: 'up-to-date' }
    assert.deepEqual(await reasonsOf(stage), upToDate)
    const { status, log } = await reconcile(stage)
    assert.equal(status, 0, log)
    assert.doesNotMatch(log, /abandoned/)
    assert.doesNotMatch(stampOf(stage), /alice\/dotfiles/)
    assert.deepEqual(await reasonsOf(stage), upToDate)
  })
})

test('--help of status explains abandoned, and every other reason', async t => {
  const { stage } = await twoHosts(t)
  const { log } = await stage.command('hydra-channels', ['status', '--help'])
  for (const reason of REASONS) assert.match(log, new RegExp(`^ .*\\b${reason}\\b`, 'm'), reason)
})
