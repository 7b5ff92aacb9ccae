// What hooks lead to, under a real systemd: the path unit, the timer, the branch, the metrics and the page.
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { bootMachine, type Machine, startsIn, withoutMachine } from './machine.ts'

const RECONCILE = 'hydra-channels-reconcile'
const METRICS = '/var/lib/hydra-channels/metrics/hydra-channels.prom'
const PAGE = '/var/lib/hydra-channels/page/index.html'
const KICK = '/run/hydra-channels-kick/kick'

describe('hooks', { skip: withoutMachine, concurrency: false }, () => {
  let machine: Machine
  before(async () => {
    machine = await bootMachine('detached')
    await machine.ok(`systemctl stop ${RECONCILE}.timer`)
  })
  after(() => machine?.close())

  const read = (file: string) => (existsSync(machine.path(file)) ? machine.read(file) : '')
  /** As an operator does it, and with its end. */
  const reconcile = async () => {
    const { status } = await machine.run(`systemctl start ${RECONCILE}`)
    assert.equal(status, 0, await machine.journal(RECONCILE))
  }
  /** Seconds until the timer starts a run. */
  const untilDue = async () => {
    const shown = await machine.ok(
      `systemctl start ${RECONCILE}.timer; systemctl list-timers --output=json ${RECONCILE}.timer`,
    )
    return (JSON.parse(shown)[0].next - Date.now() * 1000) / 1_000_000
  }
  const startShorterTimer = async () => {
    await machine.shortenTimer()
    await machine.ok(`systemctl restart ${RECONCILE}.timer`)
  }

  test('a hook asks for a reconcile, which copies, moves the channel and has metrics and page written', async () => {
    const { sha, build: nas } = await machine.build()
    const { status, log } = await machine.hook(nas)
    assert.equal(status, 0, log)
    assert.match(log, /^alice\/dotfiles nixos-tested-nas: asked for a reconcile; /m)
    await machine.settled()
    assert.equal(await machine.tip(), sha)
    const journal = await machine.journal(RECONCILE)
    assert.match(journal, /^alice\/dotfiles nixos-tested-nas: created at /m)
    assert.equal(startsIn(journal), 1)
    assert.equal(machine.copied().length, 1)

    const behind = /^hydra_channels_commits_behind\{.*branch="nixos-tested-nas"\} 0$/m
    await machine.until('the metrics are there', () => behind.test(read(METRICS)))
    await machine.until('the page is there', () => /nixos-tested-nas/.test(read(PAGE)))
    for (const file of [METRICS, PAGE]) assert.equal(statSync(machine.path(file)).mode & 0o777, 0o644)
    // as a web server's user
    await machine.ok(`setpriv --reuid=nobody --clear-groups cat ${PAGE}`)
    const warned = await machine.ok(
      "journalctl --priority=warning --output=cat --unit='hydra-channels-*' --unit='copy-cache@*'",
    )
    assert.equal(warned, '')
  })

  test('a kick during a run is one run more', async () => {
    const first = await machine.build()
    const copies = await machine.holdCopies()
    await machine.ok(`systemctl start --no-block ${RECONCILE}`)
    await copies.begun()
    const second = await machine.build()
    assert.equal((await machine.hook(second.build)).status, 0)
    await copies.end()
    await machine.settled()
    // the first began before the journal did
    const journal = await machine.journal(RECONCILE)
    assert.equal(startsIn(journal), 1, journal)
    assert.equal(await machine.tip(), second.sha)
    assert.notEqual(first.sha, second.sha)
  })

  test('a kick during a failing run is one run more, and a failing run is no loop', async t => {
    await machine.ok('touch /var/lib/cache/full')
    t.after(() => machine.ok('rm -f /var/lib/cache/full'))
    const { sha, build: nas } = await machine.build()
    const copies = await machine.holdCopies()
    await machine.ok(`systemctl start --no-block ${RECONCILE}`)
    await copies.begun()
    assert.equal((await machine.hook(nas)).status, 0)
    await copies.end()
    await machine.settled()
    const journal = await machine.journal(RECONCILE)
    assert.match(journal, /^alice\/dotfiles nixos-tested-nas: cannot be moved: cannot copy to the cache: /m)
    // the first began before the hook
    assert.equal(startsIn(journal), 2, journal)
    assert.equal((await machine.show(RECONCILE, 'Result')).Result, 'exit-code')
    assert.notEqual(await machine.tip(), sha)
    // the metrics are of a failed run, too
    await machine.until('the metrics say so', () => /nas",reason="not-cached"/.test(read(METRICS)))

    await machine.ok('rm /var/lib/cache/full')
    await reconcile()
    assert.equal(await machine.tip(), sha)
  })

  test('SIGTERM in a copy ends the run at once, is no failure, and the next run finishes', async () => {
    const { sha } = await machine.build()
    const copies = await machine.holdCopies()
    await machine.ok(`systemctl start --no-block ${RECONCILE}`)
    await copies.begun()
    // systemd would wait for a minute and a half
    await machine.ok(`timeout 20 systemctl stop ${RECONCILE}`)
    const { ActiveState, Result } = await machine.show(RECONCILE, 'ActiveState', 'Result')
    assert.deepEqual([ActiveState, Result], ['inactive', 'success'])
    assert.notEqual(await machine.tip(), sha)
    await copies.end()
    await reconcile()
    assert.equal(await machine.tip(), sha)
  })

  test('SIGKILL in a copy leaves nothing that holds up the next run', async () => {
    const { sha } = await machine.build()
    const copies = await machine.holdCopies()
    await machine.ok(`systemctl start --no-block ${RECONCILE}`)
    await copies.begun()
    await machine.ok(`systemctl kill --signal=KILL ${RECONCILE}`)
    await machine.settled()
    assert.equal((await machine.show(RECONCILE, 'Result')).Result, 'signal')
    await copies.end()
    await reconcile()
    assert.equal(await machine.tip(), sha)
  })

  test('a channel that is held stays, for the hook’s reconcile too, until it is released', async () => {
    await machine.ok("hydra-channels hold nixos-tested-nas --reason 'kernel does not boot'", { as: 'alice' })
    const { sha, build: nas } = await machine.build()
    assert.equal((await machine.hook(nas)).status, 0)
    await machine.settled()
    assert.match(await machine.journal(RECONCILE), /^alice\/dotfiles nixos-tested-nas: held/m)
    assert.notEqual(await machine.tip(), sha)
    // made by one, and ended by another
    await machine.ok('hydra-channels release nixos-tested-nas')
    await reconcile()
    assert.equal(await machine.tip(), sha)
  })

  test('the timer starts a run a while after it is first activated, and again after a failure', async () => {
    const due = await untilDue()
    assert.ok(due > 60 && due < 125, `${due} s`)
    // the machine is up for longer, and runs have ended: neither starts one now
    assert.equal((await machine.show(RECONCILE, 'ActiveState')).ActiveState, 'inactive')
    const { sha } = await machine.build()
    await machine.ok('mv /run/secrets/github-app-key /run/kept')
    await startShorterTimer()
    await machine.until('a run has failed', async () =>
      /Failed with result/.test(await machine.journal(RECONCILE)),
    )
    await machine.ok('mv /run/kept /run/secrets/github-app-key')
    await machine.until('the timer has started another', async () => (await machine.tip()) === sha)
    await machine.ok(`systemctl stop ${RECONCILE}.timer`)
    await machine.settled()
  })

  for (const how of ['orderly', 'power-cut'] as const) {
    test(`what a reboot interrupts is made good after it, without another hook: ${how}`, async () => {
      const { sha, build: nas } = await machine.build()
      const copies = await machine.holdCopies()
      assert.equal((await machine.hook(nas)).status, 0)
      await copies.begun()
      await machine.reboot(how)
      await copies.end()
      assert.notEqual(await machine.tip(), sha)
      assert.ok((await untilDue()) > 60)
      await startShorterTimer()
      await machine.until('the timer has made it good', async () => (await machine.tip()) === sha)
      await machine.ok(`systemctl stop ${RECONCILE}.timer`)
      await machine.settled()
      assert.throws(() => statSync(machine.path(KICK)), { code: 'ENOENT' })
    })
  }

  test('sixty hooks at once are two runs at most, and every channel has moved', async () => {
    const hosts = Array.from({ length: 60 }, (_, n) => `host${n}`)
    const { sha, builds } = await machine.build(...hosts)
    const copies = await machine.holdCopies()
    const ended = await Promise.all(builds.map(each => machine.hook(each, 'at once')))
    assert.deepEqual(
      ended.filter(({ status }) => status !== 0),
      [],
    )
    await copies.end()
    await machine.settled()
    const journal = await machine.journal(RECONCILE)
    assert.ok(startsIn(journal) <= 2, journal)
    const branches = await machine.repo.branches()
    assert.deepEqual(
      hosts.filter(host => branches[`nixos-tested-${host}`] !== sha),
      [],
    )
  })
})
