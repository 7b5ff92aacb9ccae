// The life of a host that upgrades from what Hydra has built (nix/host.nix, mode store-path), in a real systemd: what its channel's
// pointer was each time, what the host did, and what it said. Nix and the systems are stand-ins that write down what they are asked.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { formatPointer, type Pointer } from '../../src/status/pointer.ts'
import { selfSigned } from '../helpers/certificate.ts'
import { bootMachine, type Machine, withoutMachine } from './machine.ts'

const UNIT = 'hydra-channels-host'
const PAGE = 'page.example.org'
const METRICS = '/var/lib/hydra-channels-host/metrics/hydra-channels-host.prom'

const pathOf = (n: number) => `/nix/store/${String(n).padStart(32, '0')}-nixos-system-hydra1-26.05`
const shaOf = (n: number) => String(n).padStart(40, 'c')

/** What the caches have, by number: 1 is what the host begins with. Another host's, another kernel, one that wants a boot. */
const SYSTEMS: Record<number, { host?: string; kernel?: number; inhibited?: true }> = {
  1: {},
  2: {},
  3: {},
  4: { host: 'web' },
  5: { inhibited: true },
  6: { kernel: 2 },
}

const POINTER: Pointer = {
  version: 1,
  repository: 'Alice/dotfiles',
  branch: 'nixos-tested-nas',
  sha: shaOf(2),
  eval: 9,
  build: 7,
  storePath: pathOf(2),
  serial: 100,
  publishedAt: '2026-11-24T12:00:00.000Z',
  why: null,
}
const pointer = (n: number, serial: number, more: Partial<Pointer> = {}) =>
  formatPointer({ ...POINTER, sha: shaOf(n), storePath: pathOf(n), serial, ...more })

const SWITCH_TO_CONFIGURATION = `#!/bin/bash
system=$(dirname "$(dirname "$0")")
echo "$1 $system" >>/var/log/stand-ins
case $1 in
  check) exit 1 ;;
  switch)
    [[ ! -e /run/broken ]] || exit 4
    ln -sfn "$system" /run/current-system
    ;;
esac
`

const STAND_INS: Record<string, string> = {
  'nix/bin/nix-store': `#!/bin/bash
path="\${*: -1}"
echo "realise $path" >>/var/log/stand-ins
[[ -e $path ]] || cp -a "/var/lib/caches/$(basename "$path")" /nix/store/
`,
  'nix/bin/nix-env': `#!/bin/bash
echo "set \${*: -1}" >>/var/log/stand-ins
ln -sfn "\${*: -1}" /nix/var/nix/profiles/system
`,
  // before the real one
  'coreutils/bin/shutdown': '#!/bin/bash\necho "shutdown $*" >>/var/log/stand-ins\n',
}

interface Step {
  what: string
  /** what the page has from now on; a number: a status that it answers with */
  page?: string | number
  /** by a shell of the machine */
  cause?: string
  cure?: string
  /** more of the unit's environment */
  env?: string
  ended: 'ok' | 'failed'
  /** the system that runs in the end, and that of the profile */
  running: number
  set?: number
  /** what Nix and the systems were asked, and the machine */
  did: string[]
  said: RegExp
}

const upgrade = (n: number, how = 'switch') => [
  `realise ${pathOf(n)}`,
  `set ${pathOf(n)}`,
  `${how} ${pathOf(n)}`,
]
const NEVER = 'REBOOT_FROM=99:00 REBOOT_UNTIL=99:01'
const ALWAYS = 'REBOOT_FROM= REBOOT_UNTIL='

const LIFE: Step[] = [
  {
    what: 'the first pointer',
    page: pointer(2, 100),
    ended: 'ok',
    running: 2,
    did: upgrade(2),
    said: /switch of .* has succeeded/,
  },
  {
    what: 'a new pointer',
    page: pointer(3, 101),
    ended: 'ok',
    running: 3,
    did: upgrade(3),
    said: /has succeeded: \{"sha":"c+3"/,
  },
  { what: 'the same again', ended: 'ok', running: 3, did: [], said: /^nothing to do: /m },
  {
    what: 'the same system of a new commit',
    page: pointer(3, 102, { sha: shaOf(7) }),
    ended: 'ok',
    running: 3,
    did: [],
    said: /^nothing to do/m,
  },
  {
    what: 'rolled back by hand: an older system with a newer serial',
    page: pointer(2, 103),
    ...{ ended: 'ok', running: 2, did: upgrade(2), said: /has succeeded/ },
  },
  {
    what: 'an older serial',
    page: pointer(3, 102),
    ended: 'failed',
    running: 2,
    did: [],
    said: /the pointer is older \(serial 102\) than the last one \(103\): /,
  },
  {
    what: 'the system of another host',
    page: pointer(4, 104),
    ...{
      ended: 'failed',
      running: 2,
      did: [`realise ${pathOf(4)}`],
      said: /is not for hydra1 but for web; this host stays as it is/,
    },
  },
  {
    what: 'the pointer of another channel',
    page: pointer(3, 104, { branch: 'nixos-tested-web' }),
    ...{ ended: 'failed', running: 2, did: [], said: /is no pointer of alice\/dotfiles nixos-tested-nas/ },
  },
  {
    what: 'a file that is cut off',
    page: pointer(3, 104).slice(0, 80),
    ended: 'failed',
    running: 2,
    did: [],
    said: /is no pointer of/,
  },
  {
    what: 'two pointers',
    page: pointer(3, 104).repeat(2),
    ended: 'failed',
    running: 2,
    did: [],
    said: /is no pointer of/,
  },
  {
    what: 'a file without an end',
    page: ' '.repeat(100_000),
    ended: 'failed',
    running: 2,
    did: [],
    said: /cannot fetch https/,
  },
  {
    what: 'a redirect',
    page: 301,
    ended: 'failed',
    running: 2,
    did: [],
    said: /answers 301, and that is no pointer/,
  },
  {
    what: '404',
    page: 404,
    ended: 'failed',
    running: 2,
    did: [],
    said: /answers 404, and that is no pointer/,
  },
  {
    what: 'a path that is no system',
    page: pointer(3, 104, { storePath: '/tmp/nixos-system-hydra1' }),
    ...{ ended: 'failed', running: 2, did: [], said: /names no system: \/tmp/ },
  },
  {
    what: 'no path',
    page: pointer(3, 104, { storePath: null, why: 'there is no such branch' }),
    ...{
      ended: 'ok',
      running: 2,
      did: [],
      said: /names no system: "there is no such branch"; this host stays as it is/,
    },
  },
  {
    what: 'caches that do not have it',
    page: pointer(9, 104),
    ...{
      ended: 'failed',
      running: 2,
      did: [`realise ${pathOf(9)}`],
      said: /cannot get .* from this host's caches; this host stays/,
    },
  },
  {
    what: 'a page that is away',
    page: pointer(3, 104),
    cause: 'systemctl stop page.socket page.service',
    cure: 'systemctl start page.socket',
    ...{ ended: 'failed', running: 2, did: [], said: /cannot fetch https:.*; this host stays as it is/ },
  },
  {
    what: 'a switch that fails',
    cause: 'touch /run/broken',
    cure: 'rm /run/broken',
    ...{
      ended: 'failed',
      running: 2,
      set: 3,
      did: upgrade(3),
      said: /ended with 4; the next run tries again/,
    },
  },
  { what: 'and is tried again', ended: 'ok', running: 3, did: upgrade(3), said: /has succeeded/ },
  {
    what: 'a system that cannot be switched to',
    page: pointer(5, 105),
    ...{ ended: 'ok', running: 3, set: 5, said: /cannot be switched to: it is for the next boot/ },
    did: [`realise ${pathOf(5)}`, `check ${pathOf(5)}`, `set ${pathOf(5)}`, `boot ${pathOf(5)}`],
  },
  { what: 'and waits', ended: 'ok', running: 3, set: 5, did: [], said: /^nothing to do/m },
  {
    what: 'another kernel, where reboots are not allowed',
    page: pointer(6, 106),
    ...{ ended: 'ok', running: 6, did: upgrade(6), said: /has succeeded/ },
  },
  {
    what: 'another kernel, where they are, at another time',
    page: pointer(2, 107),
    cause: 'ln -sfn /nix/store/0-kernel-6 /run/booted-system',
    env: `ALLOW_REBOOT=1 ${NEVER}`,
    ...{
      ended: 'ok',
      running: 6,
      set: 2,
      did: upgrade(2, 'boot'),
      said: /a reboot is due, and waits for 99:00 to 99:01/,
    },
  },
  {
    what: 'and its time comes',
    env: `ALLOW_REBOOT=1 ${ALWAYS}`,
    ...{ ended: 'ok', running: 6, set: 2, did: ['shutdown -r +1'], said: /^nothing to do/m },
  },
]

describe('the life of a host', { skip: withoutMachine }, () => {
  let machine: Machine
  let server: Server
  let page: string | number = 404
  const served: string[] = []

  before(async () => {
    machine = await bootMachine('host')
    const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const cert = selfSigned(PAGE, keys)
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
    server = createServer({ key, cert }, (request, response) => {
      if (typeof page === 'number') {
        return void response.writeHead(page, { location: `https://${PAGE}/elsewhere` }).end(pointer(3, 999))
      }
      const etag = `"${createHash('sha256').update(page).digest('hex')}"`
      if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end()
      served.push(page)
      response.writeHead(200, { etag, 'content-length': Buffer.byteLength(page) }).end(page)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    await machine.bridge('page', (server.address() as AddressInfo).port)
    machine.write('/etc/hosts', `127.0.0.1 localhost hydra1 ${PAGE}\n`)
    machine.write('/etc/ssl/certs/ca-certificates.crt', cert)
    const notify = '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo notified >>/var/log/stand-ins"\n'
    machine.write('/etc/systemd/system/notify.service', notify)
    for (const [file, text] of Object.entries(STAND_INS)) {
      machine.write(`/nix/store/${'0'.repeat(32)}-${file}`, text)
    }
    for (const [n, { host = 'hydra1', kernel = 1, inhibited }] of Object.entries(SYSTEMS)) {
      const system = `/var/lib/caches/${pathOf(Number(n)).slice('/nix/store/'.length)}`
      machine.write(`${system}/etc/hostname`, `${host}\n`)
      machine.write(`${system}/bin/switch-to-configuration`, SWITCH_TO_CONFIGURATION)
      if (inhibited) machine.write(`${system}/switch-inhibitors`, '{}')
      await machine.ok(`
        for part in initrd kernel kernel-modules; do ln -s "/nix/store/0-kernel-${kernel}/$part" ${system}/$part; done`)
    }
    await machine.ok(`
      chmod +x /nix/store/*-{nix,coreutils}/bin/* /var/lib/caches/*/bin/*
      cp -a /var/lib/caches/${pathOf(1).slice('/nix/store/'.length)} /nix/store/
      mkdir -p /nix/var/nix/profiles /nix/store/0-kernel-6
      for part in initrd kernel kernel-modules; do ln -s "/nix/store/0-kernel-2/$part" /nix/store/0-kernel-6/$part; done
      rm -rf /run/current-system
      for link in /run/current-system /run/booted-system /nix/var/nix/profiles/system; do ln -sfn ${pathOf(1)} $link; done
      systemctl daemon-reload
      systemctl stop ${UNIT}.timer`)
  })
  after(async () => {
    server?.close()
    await machine?.close()
  })

  const systemAt = async (link: string) => (await machine.ok(`readlink ${link}`)).trim()
  const drop = `/run/systemd/system/${UNIT}.service.d/test.conf`

  for (const step of LIFE) {
    test(step.what, async () => {
      const { ended, running, set = running, did, said, env, cause, cure } = step
      if (step.page !== undefined) page = step.page
      const variables = env?.split(' ').map(each => `Environment="${each}"\n`) ?? []
      machine.write(drop, `[Service]\n${variables.join('')}`)
      await machine.ok('systemctl daemon-reload; : >/var/log/stand-ins')
      if (cause) await machine.ok(cause)
      await machine.forget()
      const { status } = await machine.run(`systemctl start ${UNIT}`)
      await machine.settled('notify.service')
      if (cure) await machine.ok(cure)
      const journal = await machine.journal(UNIT)
      assert.equal(status === 0 ? 'ok' : 'failed', ended, journal)
      assert.match(
        journal
          .split('\n')
          .filter(line => !line.startsWith('Starting '))
          .join('\n'),
        said,
      )
      const log = (await machine.ok('cat /var/log/stand-ins')).split('\n').filter(line => line !== '')
      assert.deepEqual(log, [...did, ...(ended === 'failed' ? ['notified'] : [])])
      const systems = [await systemAt('/run/current-system'), await systemAt('/nix/var/nix/profiles/system')]
      assert.deepEqual(systems, [pathOf(running), pathOf(set)])
    })
  }

  test('it never got, set or ran what no pointer has named', () => {
    const named = served.flatMap(text => {
      try {
        return (JSON.parse(text) as Pointer).storePath ?? []
      } catch {
        return []
      }
    })
    const set = LIFE.flatMap(({ did }) => did).flatMap(line => / (\/nix\/store\/.*)/.exec(line)?.[1] ?? [])
    assert.deepEqual(
      set.filter(path => !named.includes(path)),
      [],
    )
  })

  test('its metrics say what it runs, and that a reboot is due', async () => {
    await machine.settled('hydra-channels-host-metrics@success.service')
    const metrics = machine.read(METRICS)
    const labels = 'repository="alice/dotfiles",branch="nixos-tested-nas"'
    assert.ok(
      metrics.includes(`hydra_channels_host_info{${labels},sha="",store_path="${pathOf(6)}"} 1\n`),
      metrics,
    )
    assert.match(metrics, /^hydra_channels_host_reboot_due 1$/m)
    assert.match(metrics, /^hydra_channels_host_serial 107$/m)
    assert.match(metrics, /^hydra_channels_host_last_success_timestamp_seconds \d{10}$/m)
    assert.equal((await machine.ok(`stat --format=%a ${METRICS}`)).trim(), '644')
  })
})
