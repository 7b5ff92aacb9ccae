// hook.mode: "inline": the hook has the key, as one of hydra-notify's credentials, and does all of the work. And what polkit
// lets the users of the machine do, in either mode.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bootMachine, type Machine, withoutMachine } from './machine.ts'

const RECONCILE = 'hydra-channels-reconcile'
const NOTIFY = 'hydra-notify.service'
const KEY = '/run/secrets/github-app-key'
const NETRC = '/run/secrets/cache-netrc'

describe('inline hooks', { skip: withoutMachine, concurrency: false }, () => {
  let machine: Machine
  before(async () => {
    machine = await bootMachine('inline')
    await machine.ok(`systemctl stop ${RECONCILE}.timer`)
  })
  after(() => machine?.close())

  test('the verdict is in Hydra’s log, and the key, the cache’s login and the token are nobody else’s', async () => {
    const { sha, build: nas } = await machine.build()
    const { status, log } = await machine.hook(nas)
    assert.equal(status, 0, log)
    assert.match(log, /^alice\/dotfiles nixos-tested-nas: created at [0-9a-f]{7}\n$/m)
    assert.equal(await machine.tip(), sha)
    const credentials = '/run/credentials/hydra-notify.service'
    for (const file of [
      `${credentials}/github-app-key`,
      `${credentials}/cache-netrc`,
      '/run/hydra-channels-hook',
    ]) {
      await machine.ok(`ls -lR ${file}`, { as: 'hydra-queue-runner' })
      for (const as of ['bob', 'hydra', 'hydra-channels']) {
        assert.notEqual((await machine.run(`ls -lR ${file}/`, { as })).status, 0, `${file}, ${as}`)
      }
    }
    const { Environment } = await machine.show(NOTIFY, 'Environment')
    assert.match(Environment, /\bhttps_proxy=http:\/\/proxy\.example\.org:3128 no_proxy=\S+50%\.example\.org/)
  })

  test('there is no kick, no path unit, and reconcile waits for no other kick', async () => {
    assert.equal((await machine.run(`systemctl cat ${RECONCILE}.path`)).status, 1)
    await machine.ok(`systemctl start ${RECONCILE}`)
    assert.doesNotMatch(await machine.ok(`systemctl cat ${RECONCILE}`), /ExecStartPre/)
  })

  test('without the cache’s login no channel moves, and Hydra’s log says why', async () => {
    const { sha, build: nas } = await machine.build()
    await machine.ok(`mv ${NETRC} /run/kept && systemctl restart ${NOTIFY}`)
    const { status, log } = await machine.hook(nas)
    assert.equal(status, 2, log)
    assert.match(log, /there is no netrc file of the cache at \/run\/secrets\/cache-netrc: /)
    assert.notEqual(await machine.tip(), sha)

    await machine.ok(`mv /run/kept ${NETRC} && systemctl restart ${NOTIFY}`)
    assert.equal((await machine.hook(nas)).status, 0)
    assert.equal(await machine.tip(), sha)
  })

  test('a missing key is said in Hydra’s log and keeps nothing else of Hydra from being told', async () => {
    const { sha, build: nas } = await machine.build()
    await machine.ok(`mv ${KEY} /run/kept && systemctl restart ${NOTIFY}`)
    const { status, log } = await machine.hook(nas)
    assert.equal(status, 2, log)
    assert.match(log, /there is no private key of the App at \/run\/secrets\/github-app-key: /)
    assert.equal((await machine.show(NOTIFY, 'ActiveState')).ActiveState, 'active')
    assert.notEqual(await machine.tip(), sha)

    await machine.ok(`mv /run/kept ${KEY}`)
    await machine.ok(`systemctl start ${RECONCILE}`)
    assert.equal(await machine.tip(), sha)
    // hydra-notify has what was there when it was started
    const again = await machine.build()
    await machine.ok(`systemctl restart ${NOTIFY}`)
    assert.equal((await machine.hook(again.build)).status, 0)
    assert.equal(await machine.tip(), again.sha)
  })

  test('a hold counts for an inline hook', async () => {
    await machine.ok("hydra-channels hold nixos-tested-nas --reason 'does not boot'", { as: 'alice' })
    const { sha, build: nas } = await machine.build()
    const { status, log } = await machine.hook(nas)
    assert.equal(status, 0, log)
    assert.match(log, /^alice\/dotfiles nixos-tested-nas: held, not moved to /m)
    assert.notEqual(await machine.tip(), sha)
    await machine.ok('hydra-channels release nixos-tested-nas')
  })

  const HASH = '0123456789abcdfghijklmnpqrsvwxyz'
  const copy = `copy-cache@-nix-store-${HASH}\\x2dnas.service`
  const ALLOWED = [
    `start '${copy}'`,
    `start --no-block '${copy}'`,
    // polkit is not told the job mode (SECURITY.md)
    `start --job-mode=flush '${copy}'`,
  ]
  const DENIED = [
    `restart '${copy}'`,
    `stop '${copy}'`,
    `kill '${copy}'`,
    `set-property '${copy}' CPUWeight=1`,
    `start --no-block --job-mode=isolate '${copy}'`,
    `start --no-block '${copy}' ${NOTIFY}`,
    `start 'copy-cache@-etc-shadow.service'`,
    `start 'copy-cache@-nix-store-${HASH}\\x2dnas-..-..-etc.service'`,
    `start ${RECONCILE}`,
    `stop ${RECONCILE}.timer`,
    `restart ${NOTIFY}`,
    'start debug-shell.service',
    'isolate rescue.target',
    'daemon-reload',
    'daemon-reexec',
    'reboot',
    'enable debug-shell.service',
    'set-environment PATH=/tmp',
    'link /tmp/own.service',
  ]

  for (const as of ['hydra-queue-runner', 'hydra-channels', 'bob']) {
    test(`polkit: what ${as} may and may not do`, async t => {
      // all in one shell of that user
      const say = async (commands: readonly string[]) => {
        const lines = commands.map(command => `${command} 2>&1; echo "status $?"`)
        const answers = (await machine.ok(lines.join('\n'), { as })).split(/^status (\d+)\n/m)
        return commands.map((command, n) => {
          return { command, text: answers[2 * n] ?? '', status: Number(answers[2 * n + 1]) }
        })
      }
      const systemctl = (command: string) => `systemctl --no-ask-password ${command}`
      const denied = /Access denied|authentication (?:is )?required|Operation refused/i
      for (const { command, text, status } of await say(ALLOWED.map(systemctl))) {
        if (as === 'bob') assert.match(text, denied, command)
        else assert.equal(status, 0, `${command}: ${text}`)
      }
      // a copy runs, so that it could be stopped
      const copies = await machine.holdCopies()
      t.after(() => copies.end())
      await machine.ok(`systemctl start --no-block '${copy}'; touch /tmp/own.service`)
      const transient = 'systemd-run --quiet --no-ask-password --unit=own.service true'
      for (const { command, text } of await say([...DENIED.map(systemctl), transient])) {
        assert.match(text, denied, command)
      }
    })
  }
})
