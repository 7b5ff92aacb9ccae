// The life of a host that upgrades from what Hydra has built (nix/host.nix, mode store-path), in a real systemd: what its channel's
// pointer was each time, what the host did, and what it said. Nix and the systems are stand-ins that write down what they are asked.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { formatPointer, type Pointer, parsePointer, pointerFile } from '../../src/status/pointer.ts'
import { selfSigned } from '../helpers/certificate.ts'
import { bootMachine, type Machine, withoutMachine } from './machine.ts'

const UNIT = 'hydra-channels-host'
const PAGE = 'page.example.org'
const STATE = `/var/lib/${UNIT}`
const METRICS = '/var/lib/hydra-channels-host/metrics/hydra-channels-host.prom'

const pathOf = (n: number) => `/nix/store/${String(n).padStart(32, '0')}-nixos-system-hydra1-26.05`
const shaOf = (n: number) => String(n).padStart(40, 'c')

/**
 * What the caches have, by number: 1 is what the host begins with. Another host's, one that must not be switched to from the others,
 * one of an older NixOS with another kernel.
 */
const SYSTEMS: Record<number, { host?: string; kernel?: number; inhibitors?: object | null }> = {
  1: {},
  2: {},
  3: {},
  4: { host: 'web' },
  5: { inhibitors: { dbus: 'another', more: 'new' } },
  6: { kernel: 2, inhibitors: null },
}
const QUIET = `${pathOf(3)}/specialisation/quiet`

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

// as that of NixOS: what runs is linked before units are started, and not at all if it cannot be replaced
const SWITCH_TO_CONFIGURATION = `#!/bin/bash
system=$(dirname "$(dirname "$0")")
echo "$1 $system" >>/var/log/stand-ins
ends=$(cat "/run/$1-ends" 2>/dev/null || echo 0)
[[ $1 != switch || $ends == 100 ]] || ln -sfn "$system" /run/current-system
exit "$ends"
`

const STAND_INS: Record<string, string> = {
  'nix/bin/nix-store': `#!/bin/bash
[[ "$*" == "--option narinfo-cache-negative-ttl 0 --add-root /var/lib/${UNIT}/next --indirect --realise "* ]] || exit 9
path="\${*: -1}"
echo "realise $path" >>/var/log/stand-ins
[[ -e $path ]] || cp -a "/var/lib/caches/$(basename "$path")" /nix/store/ || exit
ln -sfn "$path" /var/lib/${UNIT}/next
`,
  'nix/bin/nix-env': `#!/bin/bash
[[ "$1 $2 $3" == "--profile /nix/var/nix/profiles/system --set" ]] || exit 9
echo "set $4" >>/var/log/stand-ins
ln -sfn "$4" /nix/var/nix/profiles/system
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
  running: number | typeof QUIET
  set?: number
  /** the last status with which the page answered */
  answered?: number
  /** what node_exporter is told */
  metrics?: RegExp
  /** what Nix and the systems were asked, and the machine */
  did: string[]
  said: RegExp
}

const upgrade = (n: number) => [
  `realise ${pathOf(n)}`,
  `check ${pathOf(n)}`,
  `set ${pathOf(n)}`,
  `switch ${pathOf(n)}`,
]
const forBoot = (n: number) => [`realise ${pathOf(n)}`, `set ${pathOf(n)}`, `boot ${pathOf(n)}`]
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
  {
    what: 'the same again',
    ended: 'ok',
    running: 3,
    did: [],
    said: /^nothing to do: this host has \S+-26\.05$/m,
    answered: 304,
  },
  {
    what: 'the same system of a new commit',
    page: pointer(3, 102, { sha: shaOf(7) }),
    ended: 'ok',
    running: 3,
    did: [],
    said: /^nothing to do/m,
    answered: 200,
    metrics: new RegExp(
      `^hydra_channels_host_info\\{.*,sha="${shaOf(7)}",store_path="${pathOf(3)}"\\} 1\nhydra_channels_host_reboot_due 0\nhydra_channels_host_serial 102$`,
      'm',
    ),
  },
  {
    what: 'one of its specialisations runs, and reboots are allowed',
    cause: `ln -sfn ${QUIET} /run/current-system; ln -sfn ${QUIET} /run/booted-system`,
    cure: `ln -sfn ${pathOf(3)} /run/current-system; ln -sfn ${pathOf(1)} /run/booted-system`,
    env: `ALLOW_REBOOT=1 ${ALWAYS}`,
    ...{ ended: 'ok', running: QUIET, set: 3, did: [], said: /^nothing to do: this host has \S+-26\.05$/m },
    metrics: /^hydra_channels_host_reboot_due 0$/m,
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
    what: 'the last pointer cannot be read',
    cause: `mv ${STATE}/pointer.json ${STATE}/aside; echo '{' >${STATE}/pointer.json`,
    cure: `mv ${STATE}/aside ${STATE}/pointer.json`,
    ...{
      ended: 'failed',
      running: 2,
      did: [],
      said: /cannot read the last pointer: remove \/var\/lib\/hydra/,
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
    what: 'a check of the new system that fails',
    cause: 'echo 11 >/run/check-ends',
    cure: 'rm /run/check-ends',
    ...{ ended: 'failed', running: 2, said: /must not be switched to now; this host stays as it is/ },
    did: upgrade(3).slice(0, 2),
  },
  {
    what: 'a switch that fails',
    cause: 'echo 4 >/run/switch-ends',
    cure: 'rm /run/switch-ends',
    ...{ ended: 'failed', running: 3, did: upgrade(3), said: /ended with 4; the next run tries again/ },
  },
  {
    what: 'and is tried again, though the system runs',
    ...{ ended: 'ok', running: 3, did: upgrade(3), said: /has succeeded/ },
  },
  {
    what: 'the host has followed another channel, whose serials were greater',
    cause: `jq --compact-output '.branch = "nixos-tested-web" | .serial = 9000' ${STATE}/pointer.json >/run/web
      mv /run/web ${STATE}/pointer.json`,
    ...{ ended: 'ok', running: 3, did: upgrade(3), said: /has succeeded/, answered: 200 },
  },
  {
    what: 'a system that cannot be switched to',
    page: pointer(5, 105),
    ...{ ended: 'ok', running: 3, set: 5, said: /cannot be switched to: it is for the next boot/ },
    did: forBoot(5),
    metrics: /^hydra_channels_host_reboot_due 1$/m,
  },
  {
    what: 'and waits',
    ended: 'ok',
    running: 3,
    set: 5,
    did: [],
    said: /^nothing to do: .*, from its next boot on$/m,
  },
  {
    what: 'what runs cannot be replaced, and the new system says so only then',
    page: pointer(2, 106),
    cause: 'echo 100 >/run/switch-ends',
    cure: 'rm /run/switch-ends',
    ...{ ended: 'ok', running: 3, set: 2, did: upgrade(2), said: /^boot of \S+ has succeeded/m },
  },
  {
    what: 'and reboots are allowed',
    env: `ALLOW_REBOOT=1 ${ALWAYS}`,
    ...{ ended: 'ok', running: 3, set: 2, did: ['shutdown -r +1'], said: /^nothing to do/m },
  },
  {
    what: 'another kernel, where reboots are not allowed',
    page: pointer(6, 107),
    ...{ ended: 'ok', running: 6, said: /has succeeded/ },
    // it is of an older NixOS, which has no such command
    did: upgrade(6).filter(line => !line.startsWith('check')),
  },
  {
    what: 'another kernel, where they are, at another time',
    page: pointer(2, 108),
    cause: 'ln -sfn /nix/store/0-kernel-6 /run/booted-system',
    env: `ALLOW_REBOOT=1 ${NEVER}`,
    ...{
      ended: 'ok',
      running: 6,
      set: 2,
      did: forBoot(2),
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
  let answered = 0
  /** all that it did */
  const ran: string[] = []

  before(async () => {
    machine = await bootMachine('host')
    const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const cert = selfSigned(PAGE, keys)
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
    server = createServer({ key, cert }, (request, response) => {
      const answer = (status: number, headers: OutgoingHttpHeaders = {}) => {
        answered = status
        return response.writeHead(status, headers)
      }
      if (typeof page === 'number') {
        return void answer(page, { location: `https://${PAGE}/elsewhere` }).end(pointer(3, 999))
      }
      const etag = `"${createHash('sha256').update(page).digest('hex')}"`
      if (request.headers['if-none-match'] === etag) return void answer(304, { etag }).end()
      served.push(page)
      // its length is not said before
      answer(200, { etag }).write(page.slice(0, 10))
      response.end(page.slice(10))
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
    for (const [n, { host = 'hydra1', kernel = 1, inhibitors = { dbus: 'one' } }] of Object.entries(
      SYSTEMS,
    )) {
      const system = `/var/lib/caches/${pathOf(Number(n)).slice('/nix/store/'.length)}`
      machine.write(`${system}/etc/hostname`, `${host}\n`)
      machine.write(`${system}/bin/switch-to-configuration`, SWITCH_TO_CONFIGURATION)
      if (inhibitors) machine.write(`${system}/switch-inhibitors`, JSON.stringify(inhibitors))
      await machine.ok(`
        for part in initrd kernel kernel-modules; do ln -s "/nix/store/0-kernel-${kernel}/$part" ${system}/$part; done`)
    }
    await machine.ok(`
      chmod +x /nix/store/*-{nix,coreutils}/bin/* /var/lib/caches/*/bin/*
      cp -a /var/lib/caches/${pathOf(1).slice('/nix/store/'.length)} /nix/store/
      mkdir -p /var/lib/caches/${pathOf(3).slice('/nix/store/'.length)}/specialisation/quiet
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
      const systems = [await systemAt('/run/current-system'), await systemAt('/nix/var/nix/profiles/system')]
      await machine.settled(`${UNIT}-metrics@${ended === 'ok' ? 'success' : 'failure'}.service`)
      if (step.metrics) assert.match(machine.read(METRICS), step.metrics)
      if (step.answered !== undefined) assert.equal(answered, step.answered)
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
      ran.push(...log)
      assert.deepEqual(log, [...did, ...(ended === 'failed' ? ['notified'] : [])])
      assert.deepEqual(
        systems,
        [running, set].map(each => (typeof each === 'number' ? pathOf(each) : each)),
      )
    })
  }

  test('it never set or ran what no pointer of its channel has named, nor another host’s system', () => {
    const named = served.flatMap(text => {
      const pointer = parsePointer(text, pointerFile(POINTER))
      return pointer?.storePath ?? []
    })
    const set = ran.flatMap(line => /^(?:check|set|switch|boot) (.*)/.exec(line)?.[1] ?? [])
    assert.ok(set.length > 20)
    assert.deepEqual(
      set.filter(path => !named.includes(path) || path === pathOf(4)),
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
    assert.match(metrics, /^hydra_channels_host_serial 108$/m)
    assert.match(metrics, /^hydra_channels_host_last_success_timestamp_seconds \d{10}$/m)
    assert.equal((await machine.ok(`stat --format=%a ${METRICS}`)).trim(), '644')
  })

  test('metrics that cannot be written are no failure of a unit: every switch starts it', async () => {
    const unit = `${UNIT}-metrics@boot.service`
    const file = `/run/systemd/system/${UNIT}-metrics@.service.d/test.conf`
    machine.write(file, '[Service]\nEnvironment=METRICS_DIRECTORY=/nowhere\n')
    await machine.ok('systemctl daemon-reload')
    await machine.forget()
    await machine.ok(`systemctl start ${unit}`)
    assert.match(await machine.journal(unit), /\/nowhere\/.*: No such file or directory/)
  })
})
