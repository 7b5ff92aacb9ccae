// What is missing or broken on a machine, and what becomes of it under a real systemd: no loop, a journal that says why, and
// health after the cause is gone, without anybody's help.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bootMachine, type Machine, startsIn, withoutMachine } from './machine.ts'

const RECONCILE = 'hydra-channels-reconcile'
const PATH_UNIT = `${RECONCILE}.path`
const KICK = '/run/hydra-channels-kick/kick'

/** As many starts as the unit's limit allows, and no more. */
const MAX_STARTS = 5

interface Trouble {
  what: string
  /** by a shell of the machine */
  cause: string
  cure: string
  said: RegExp
  /** whether systemd itself cannot start the unit: its limit of starts ends that, and the timer brings it back */
  unstartable?: true
  /** whether reconcile does its work all the same */
  harmless?: true
}

const KEY = '/run/secrets/github-app-key'
const NETRC = '/run/secrets/cache-netrc'
const CONFIG = '/etc/hydra-channels/config.json'
const BROKEN: Trouble[] = [
  {
    what: 'the key is missing',
    cause: `rm ${KEY}`,
    cure: `cp -p /etc/github-app-key ${KEY}`,
    said: /^there is no private key of the App at \/run\/secrets\/github-app-key: /m,
  },
  {
    what: 'the key’s path ends nowhere',
    cause: `rm ${KEY}; ln -s /nonexistent/key ${KEY}`,
    cure: `rm ${KEY}; cp -p /etc/github-app-key ${KEY}`,
    said: /^there is no private key of the App at \/run\/secrets\/github-app-key: /m,
  },
  {
    what: 'the key is a folder',
    cause: `rm ${KEY}; mkdir ${KEY}`,
    cure: `rmdir ${KEY}; cp -p /etc/github-app-key ${KEY}`,
    said: /^there is no private key of the App at \/run\/secrets\/github-app-key: /m,
  },
  {
    what: 'the key is empty',
    cause: `: >${KEY}`,
    cure: `cp -p /etc/github-app-key ${KEY}`,
    said: /\(github\.privateKeyFile\) is empty$/m,
  },
  {
    what: 'the cache’s login is missing',
    cause: `rm ${NETRC}`,
    cure: `cp -p /etc/cache-netrc ${NETRC}`,
    said: /there is no netrc file of the cache at \/run\/secrets\/cache-netrc: /,
  },
  {
    what: 'the key’s path leads to itself',
    cause: `rm ${KEY}; ln -s github-app-key ${KEY}`,
    cure: `rm ${KEY}; cp -p /etc/github-app-key ${KEY}`,
    said: /^hydra-channels-reconcile\.service: Failed to set up credentials: /m,
    unstartable: true,
  },
  {
    what: 'the state directory is a file',
    cause: 'mv /var/lib/hydra-channels /var/lib/kept; touch /var/lib/hydra-channels',
    cure: 'rm /var/lib/hydra-channels; mv /var/lib/kept /var/lib/hydra-channels',
    said: /^hydra-channels-reconcile\.service: Failed to set up special execution directory in \/var\/lib: /m,
    unstartable: true,
  },
  {
    what: 'the configuration is no JSON',
    cause: `cp ${CONFIG} /etc/kept.json; echo '{"channels": [' >${CONFIG}`,
    cure: `mv /etc/kept.json ${CONFIG}`,
    said: /^the configuration \/etc\/hydra-channels\/config\.json is not JSON: /m,
  },
  {
    what: 'the configuration is missing',
    cause: `mv ${CONFIG} /etc/kept.json`,
    cure: `mv /etc/kept.json ${CONFIG}`,
    said: /^cannot read the configuration \/etc\/hydra-channels\/config\.json: ENOENT/m,
  },
  {
    what: 'the program is missing',
    cause: 'mv /nix/store/00000000000000000000000000000000-hydra-channels /nix/kept',
    cure: 'mv /nix/kept /nix/store/00000000000000000000000000000000-hydra-channels',
    said: /^hydra-channels-reconcile\.service: Unable to locate executable /m,
  },
  {
    what: 'the database is away',
    cause: 'systemctl stop postgresql',
    cure: 'systemctl start postgresql',
    said: /^cannot ask Hydra's database at \/run\/postgresql:5432, /m,
  },
  {
    what: 'GitHub is away',
    // else it is asked again for a quarter of an hour
    cause: `sed -i.kept 's/"deadlineSeconds": 900/"deadlineSeconds": 2/' ${CONFIG}; systemctl stop github.socket github`,
    cure: `mv ${CONFIG}.kept ${CONFIG}; systemctl start github.socket`,
    said: /^alice\/dotfiles nixos-tested-nas: cannot be moved: |GitHub could not be asked/m,
  },
  {
    what: 'the kick’s folder is missing',
    cause: 'rm -r /run/hydra-channels-kick',
    cure: 'systemd-tmpfiles --create --prefix=/run/hydra-channels-kick',
    said: /^alice\/dotfiles nixos-tested-nas: fast-forwarded /m,
    harmless: true,
  },
  {
    what: 'the kick is a folder that only its maker may empty',
    cause: `runuser -u hydra-queue-runner -- sh -c 'mkdir ${KICK} && mkdir -m 700 ${KICK}/own && touch ${KICK}/own/file'`,
    cure: `test ! -e ${KICK}`,
    said: /^alice\/dotfiles nixos-tested-nas: fast-forwarded /m,
    harmless: true,
  },
]

describe('trouble', { skip: withoutMachine, concurrency: false }, () => {
  let machine: Machine
  before(async () => {
    machine = await bootMachine('detached')
    await machine.ok(`systemctl stop ${RECONCILE}.timer`)
    await machine.shortenTimer()
  })
  after(() => machine?.close())

  /** As a hook does; what it says is tested elsewhere. */
  const kick = () => machine.run(`test -e ${KICK} || touch ${KICK}`, { as: 'hydra-queue-runner' })

  for (const { what, cause, cure, said, unstartable, harmless } of BROKEN) {
    test(`${what}: no loop, a clear journal, and health by itself when that is over`, async t => {
      let isCured = false
      const mend = async () => {
        if (!isCured) await machine.ok(cure)
        isCured = true
      }
      t.after(mend)
      const { sha } = await machine.build()
      await machine.ok(cause)
      await kick()
      await machine.run(`systemctl start ${RECONCILE}`)
      await machine.settled()
      const journal = await machine.journal(RECONCILE)
      assert.match(journal, said)
      assert.ok(startsIn(journal) <= (unstartable ? MAX_STARTS : 2), journal)

      if (harmless) return assert.equal(await machine.tip(), sha)
      assert.notEqual(await machine.tip(), sha)
      if (unstartable) {
        // systemd has given the path unit up; the timer goes on while starts are refused, and brings it back
        await machine.ok(`systemctl start ${RECONCILE}.timer`)
        await machine.until(
          'the timer has tried',
          async () => startsIn(await machine.journal(RECONCILE)) > MAX_STARTS,
        )
      }
      await mend()
      if (!unstartable) await kick()
      await machine.until('the channel has moved', async () => (await machine.tip()) === sha)
      await machine.ok(`systemctl stop ${RECONCILE}.timer`)
      await machine.settled()
      assert.equal((await machine.show(PATH_UNIT, 'ActiveState')).ActiveState, 'active')
    })
  }
})
