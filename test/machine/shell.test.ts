// What people type on the machine: the command for shells as root, as a member of the group and as a stranger; doctor with
// one thing broken after the other; and what systemd itself says of the units.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, type TestContext, test } from 'node:test'
import { fixtureOf, parseFiles } from '../nix/machines.ts'
import { bootMachine, type Machine, withoutMachine } from './machine.ts'

const RECONCILE = 'hydra-channels-reconcile'
const KEY = '/run/secrets/github-app-key'
const NETRC = '/run/secrets/cache-netrc'
const CONFIG = '/etc/hydra-channels/config.json'
const FOR_GROUP = '/nix/store/00000000000000000000000000000000-hydra-channels-for-group'
const MEMBER = 'alice'
const STRANGER = 'bob'

describe('shells', { skip: withoutMachine, concurrency: false }, () => {
  let machine: Machine
  let commits: string[]
  before(async () => {
    machine = await bootMachine('detached')
    await machine.ok(`systemctl stop ${RECONCILE}.timer`)
    commits = await machine.repo.history(3)
    await machine.repo.setBranch('main', commits[0] ?? '')
    await machine.evaluate(commits[0] ?? '', ['nas', 'web'])
    await machine.ok(`systemctl start ${RECONCILE}`)
  })
  after(() => machine?.close())

  /** The units and processes that a command left behind: none. */
  const left = () =>
    machine.ok(
      "systemctl list-units --all --plain --no-legend 'hydra-channels-shell-*'; pgrep --list-full --full '[c]js reconcile' || true",
    )
  const broken = async (t: TestContext, cause: string, cure: string) => {
    await machine.ok(cause)
    t.after(() => machine.ok(cure))
  }

  test('root and the members of the group see the same, and a stranger nothing', async () => {
    const root = await machine.run('hydra-channels status')
    assert.deepEqual([root.status, root.stderr], [0, ''])
    assert.match(root.stdout, /^2 channels: 2 up-to-date; /m)
    const member = await machine.run('hydra-channels status', { as: MEMBER })
    const withoutAge = (text: string) => text.replace(/ended \d+ min ago/, '')
    assert.equal(withoutAge(member.stdout), withoutAge(root.stdout))
    assert.deepEqual([member.status, member.stderr], [0, ''])
    const stranger = await machine.run('hydra-channels status', { as: STRANGER })
    assert.deepEqual([stranger.status, stranger.stdout], [1, ''])
    assert.match(stranger.stderr, /^sudo: /m)
    assert.match(await machine.ok('hydra-channels --help', { as: STRANGER }), /^Usage: hydra-channels /)
    assert.equal(await left(), '')
  })

  test('arguments arrive as they are', async () => {
    const reason = 'costs $5; `id` "quoted" %h $HOME \\n *'
    await machine.ok(`hydra-channels hold nixos-tested-web --reason '${reason}'`, { as: MEMBER })
    const { channels } = JSON.parse(await machine.ok('hydra-channels status --json', { as: MEMBER }))
    const { hold } = channels.find(({ branch }: { branch: string }) => branch === 'nixos-tested-web')
    assert.equal(hold.reason, reason)
    await machine.ok('hydra-channels release nixos-tested-web')
    for (const command of ['status --nonsense', 'hold', 'reconcile nixos-tested-nobody']) {
      const { status, stderr } = await machine.run(`hydra-channels ${command}`, { as: MEMBER })
      assert.equal(status, 2, command)
      assert.match(stderr, /\S/)
    }
  })

  test('the group chooses no configuration and no file, however it asks', async () => {
    const root = `sudo --non-interactive ${FOR_GROUP}`
    for (const command of [
      'hydra-channels status --metrics /var/lib/hydra-channels/x',
      'hydra-channels status --page /var/lib/hydra-channels/x',
      'hydra-channels hold nixos-tested-nas --reason --page=x',
      'hydra-channels status --config /home/alice/own.json',
      `${root} status`,
      `${root} run 1 status --config=/home/alice/own.json`,
      `${root} run 1 create-app`,
      `${root} run 1 status --metrics=/var/lib/hydra-channels/x`,
      `${root} run '1 x' status`,
      `${root} end ../1`,
      `${root} end`,
    ]) {
      const { status, stdout } = await machine.run(command, { as: MEMBER })
      assert.deepEqual([status, stdout], [2, ''], command)
    }
    const { stderr } = await machine.run(`sudo --non-interactive ${FOR_GROUP} end 1`, { as: STRANGER })
    assert.match(stderr, /^sudo: /m)
  })

  test('the group may have the metrics on standard output', async () => {
    const { status, stdout } = await machine.run('hydra-channels status --metrics -', { as: MEMBER })
    assert.equal(status, 0)
    assert.match(stdout, /^# HELP (?:.*\n)+hydra_channels_dry_run 0\n$/)
  })

  test('explain and history are handed on, too', async () => {
    for (const command of ['explain', 'history']) {
      const { stdout } = await machine.run(`hydra-channels ${command} --help`, { as: MEMBER })
      assert.match(stdout, /^Usage: hydra-channels /, command)
      const stranger = await machine.run(`hydra-channels ${command} --help`, { as: STRANGER })
      assert.match(stranger.stderr, /^sudo: /m, command)
    }
  })

  test('with a terminal the table has colours, without one it has none, and the exit status is the program’s', async () => {
    const inTerminal = (command: string) => machine.run(command, { as: MEMBER, terminal: true })
    const { status, stdout } = await inTerminal('hydra-channels doctor')
    assert.equal(status, 0, stdout)
    assert.match(stdout, /\u001b\[32m✓\u001b\[39m key: /)
    assert.doesNotMatch(await machine.ok('hydra-channels doctor', { as: MEMBER }), /\u001b/)
    assert.equal((await inTerminal('hydra-channels status --nonsense')).status, 2)
  })

  for (const as of [undefined, MEMBER]) {
    const whom = as ?? 'root'
    /** A reconcile that waits for a copy. */
    const waiting = async (t: TestContext) => {
      const sha = commits[as === undefined ? 1 : 2] ?? ''
      await machine.repo.setBranch('main', sha)
      await machine.evaluate(sha, ['nas', 'web'])
      const copies = await machine.holdCopies()
      t.after(() => copies.end())
      return copies
    }

    test(`Ctrl-C in a terminal ends what ${whom} runs, and its unit`, async t => {
      const copies = await waiting(t)
      await machine.ok(`systemctl start --no-block ${RECONCILE}`)
      await copies.begun()
      await machine.ok('rm -f /run/keys; mkfifo -m 666 /run/keys')
      // nobody asks in another name
      const typed =
        "exec 3<>/run/keys; HYDRA_CHANNELS_ASKED_BY=mallory script -qefc 'hydra-channels reconcile --wait' /dev/null <&3"
      const ended = machine.run(typed, { as })
      await machine.until('it waits for the other one', async () => {
        const runs = await machine.hydra.sql`
          select from pg_stat_activity where application_name like 'hydra-channels reconcile%'`
        return runs.length === 2
      })
      const environment = await machine.ok("systemctl show --property=Environment 'hydra-channels-shell-*'")
      assert.match(environment, / https_proxy=http:\/\/proxy\.example\.org:3128 no_proxy=\S+50%/)
      assert.match(environment, new RegExp(` HYDRA_CHANNELS_ASKED_BY=${whom} `))
      writeFileSync(machine.path('/run/keys'), '\u0003')
      assert.equal((await ended).status, 130)
      await machine.ok(`systemctl stop ${RECONCILE}`)
      assert.equal(await left(), '')
    })

    test(`timeout ends what ${whom} runs without a terminal, and its unit`, async t => {
      await waiting(t)
      const { stdout } = await machine.run('timeout 3 hydra-channels reconcile; echo "ended with $?"', { as })
      assert.match(stdout, /^ended with 124$/m)
      assert.equal(await left(), '')
    })

    for (const [signal, number] of [
      ['HUP', 1],
      ['TERM', 15],
    ] as const) {
      test(`SIG${signal} to what ${whom} has typed ends it, and its unit`, async t => {
        const copies = await waiting(t)
        const typed = 'hydra-channels reconcile & echo $! >/tmp/typed; wait $!; echo "ended with $?"'
        const ended = machine.run(typed, { as })
        await copies.begun()
        await machine.ok(`kill -${signal} $(cat /tmp/typed); rm /tmp/typed`)
        assert.match((await ended).stdout, new RegExp(`^ended with ${128 + number}$`, 'm'))
        assert.equal(await left(), '')
      })
    }

    test(`a signal that comes at once ends what ${whom} types, and its unit`, async t => {
      await waiting(t)
      for (const seconds of ['0.01', '0.03', '0.1', '0.3']) {
        await machine.run(`timeout ${seconds} hydra-channels reconcile`, { as })
        assert.equal(await left(), '', seconds)
      }
    })

    test(`without the key, what ${whom} types says so`, async t => {
      await broken(t, `mv ${KEY} /run/kept`, `mv /run/kept ${KEY}`)
      const said = /there is no private key of the App at \/run\/secrets\/github-app-key: /
      const doctor = await machine.run('hydra-channels doctor', { as })
      assert.equal(doctor.status, 1)
      assert.match(doctor.stdout, new RegExp(`^✗ key: ${said.source}`, 'm'))
      const reconcile = await machine.run('hydra-channels reconcile', { as })
      assert.equal(reconcile.status, 2)
      assert.match(reconcile.stderr, said)
      const status = await machine.run('hydra-channels status', { as })
      assert.match(`${status.stdout}${status.stderr}`, said)
      // and needs no key
      const hold =
        "hydra-channels hold nixos-tested-nas --reason 'no key' && hydra-channels release nixos-tested-nas"
      assert.equal((await machine.run(hold, { as })).status, 0)
    })

    test(`without the cache’s login, what ${whom} types says so`, async t => {
      await broken(t, `mv ${NETRC} /run/kept`, `mv /run/kept ${NETRC}`)
      const { status, stdout } = await machine.run('hydra-channels doctor', { as })
      assert.equal(status, 1)
      assert.match(stdout, /^✗ cache: there is no netrc file of the cache at \/run\/secrets\/cache-netrc: /m)
    })

    test(`if systemd cannot start what ${whom} types, its reason is there`, async t => {
      await broken(t, `mv ${KEY} /run/kept; ln -s github-app-key ${KEY}`, `rm ${KEY}; mv /run/kept ${KEY}`)
      const { status, stderr } = await machine.run('hydra-channels status', { as })
      assert.equal(status, 243)
      assert.match(
        stderr,
        /^hydra-channels: systemd could not start it .*\n(?:.*\n)*.*Failed to set up credentials/,
      )
    })
  }

  test('root’s doctor is content with a machine on which nothing is broken', async () => {
    await machine.ok('hydra-channels reconcile')
    const { status, stdout } = await machine.run('hydra-channels doctor')
    assert.equal(status, 0, stdout)
    assert.match(stdout, /^\d+ ok$/m)
  })

  test('a program of the group’s own is never run as root, not even as a pager', async t => {
    await broken(t, `mv ${KEY} /run/kept; ln -s github-app-key ${KEY}`, `rm ${KEY}; mv /run/kept ${KEY}`)
    const own = ['less', 'pager', 'more', 'cat', 'node', 'systemctl', 'journalctl', 'systemd-run', 'sleep']
    const script = '#!/bin/sh\\nid --user >>/tmp/who\\n'
    await machine.ok(
      `mkdir -p ~/bin; for name in ${own.join(' ')}; do printf '${script}' >~/bin/$name; chmod +x ~/bin/$name; done`.replaceAll(
        '~',
        '/home/alice',
      ),
      { as: MEMBER },
    )
    for (const command of ['status', 'doctor', 'reconcile']) {
      await machine.run(
        `PATH=/home/alice/bin:$PATH PAGER=less SYSTEMD_PAGER=less hydra-channels ${command}`,
        { as: MEMBER, terminal: true },
      )
    }
    assert.doesNotMatch((await machine.run('cat /tmp/who')).stdout, /^0$/m)
    assert.equal(
      (
        await machine.run(`sudo --non-interactive --user=hydra-channels ${FOR_GROUP} run 1 status`, {
          as: MEMBER,
        })
      ).status,
      1,
    )
  })

  /** what is broken, how it is mended, and the check that says so */
  const DOCTOR: [string, cause: string, cure: string, said: RegExp][] = [
    [
      'the configuration',
      `sed -i.kept 's/"jobset"/"jobsett"/' ${CONFIG}`,
      `mv ${CONFIG}.kept ${CONFIG}`,
      /^✗ configuration: /m,
    ],
    [
      'the database',
      'systemctl stop postgresql',
      'systemctl start postgresql hydra-notify',
      /^✗ database: .*: is PostgreSQL running there\?|^✗ database: cannot ask Hydra's database at /m,
    ],
    [
      'a permission in the database',
      `runuser -u postgres -- psql --quiet --command='revoke select on builds from "hydra-channels"' hydra`,
      `runuser -u postgres -- psql --quiet --command='grant select on builds to "hydra-channels"' hydra`,
      /^✗ tables: /m,
    ],
    [
      'the copy unit',
      'mv /etc/systemd/system/copy-cache@.service /run/kept; systemctl daemon-reload',
      'mv /run/kept /etc/systemd/system/copy-cache@.service; systemctl daemon-reload',
      /^✗ cache-unit: /m,
    ],
    [
      'polkit’s rule',
      'mv /etc/polkit-1/rules.d/10-nixos.rules /run/kept; systemctl restart polkit',
      'mv /run/kept /etc/polkit-1/rules.d/10-nixos.rules; systemctl restart polkit',
      /^✗ polkit: polkit does not let hydra-notify /m,
    ],
    [
      'the cache',
      'systemctl stop cache.socket cache',
      'systemctl start cache.socket',
      /^✗ cache: cannot ask the cache: /m,
    ],
    [
      'a path in the cache',
      'cd /var/lib/cache; tar --create --file kept *.narinfo; rm *.narinfo',
      'cd /var/lib/cache; tar --extract --file kept',
      /^✗ cache-path: /m,
    ],
    [
      'the kick’s folder',
      'rm -r /run/hydra-channels-kick',
      'systemd-tmpfiles --create --prefix=/run/hydra-channels-kick',
      /^✗ kick: there is no folder /m,
    ],
    [
      'a hold',
      'mkdir -p /var/lib/hydra-channels/holds; echo x >/var/lib/hydra-channels/holds/alice%2Fdotfiles:nixos-tested-nas.json',
      'rm -r /var/lib/hydra-channels/holds',
      /^✗ holds: /m,
    ],
    [
      'the last reconcile',
      'mv /var/lib/hydra-channels/last-reconcile.json /run/kept',
      'mv /run/kept /var/lib/hydra-channels/last-reconcile.json',
      /^✗ reconcile: no reconcile has ended yet/m,
    ],
    [
      'a full disk',
      'mount -t tmpfs -o size=16k tmpfs /var/lib/hydra-channels; ! head -c 64k /dev/zero >/var/lib/hydra-channels/full',
      'umount /var/lib/hydra-channels',
      /^✗ reconcile: no reconcile has ended yet.*\n +there is no room left on its disk: df -h \/var\/lib\/hydra-channels$/m,
    ],
  ]
  for (const [what, cause, cure, said] of DOCTOR) {
    test(`root’s doctor finds what is broken: ${what}`, async t => {
      await broken(t, cause, cure)
      const { status, stdout } = await machine.run('hydra-channels doctor')
      assert.equal(status, 1)
      assert.match(stdout, said)
      assert.equal(stdout.match(/^✗/gm)?.length, 1, stdout)
    })
  }

  test('root’s doctor finds what is broken: the App’s installation', async t => {
    machine.repo.installed = false
    t.after(() => {
      machine.repo.installed = true
    })
    const { status, stdout } = await machine.run('hydra-channels doctor')
    assert.equal(status, 1)
    assert.match(stdout, /^✗ installation: /m)
  })

  test('a path with a percent sign arrives as it is, and those of metrics and page with a blank', async t => {
    const files = parseFiles(fixtureOf('hydra-dev'))
    for (const name of ['hydra-channels-reconcile', 'hydra-channels-metrics@']) {
      const own = name.replace('hydra-channels', 'odd')
      machine.write(`/run/systemd/system/${own}.service`, files[`etc/systemd/system/${name}.service`] ?? '')
    }
    t.after(() => machine.ok('rm /run/systemd/system/odd-*; systemctl daemon-reload'))
    await machine.ok(
      'mkdir -p "/var/lib/node exporter/100%" "/srv/www/the page/100%" && systemctl daemon-reload',
    )
    const { stdout, stderr } = await machine.run(
      'systemd-analyze verify --man=no /run/systemd/system/odd-*.service',
    )
    assert.equal(`${stdout}${stderr}`, '')
    await machine.run('systemctl start odd-reconcile odd-metrics@x')
    const said = 'there is no private key of the App at /run/own/100%app: '
    const journal = await machine.journal('odd-reconcile')
    assert.ok(journal.includes(said), journal)
    assert.ok((await machine.journal('odd-metrics@x')).includes(said))
  })

  test('systemd has nothing to say against the units, and finds them little exposed', async () => {
    const units = `/etc/systemd/system/hydra-channels-{database,reconcile}.service /etc/systemd/system/${RECONCILE}.{path,timer} /etc/systemd/system/hydra-channels-metrics@.service`
    const { status, stdout, stderr } = await machine.run(`systemd-analyze verify --man=no ${units}`)
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
    for (const unit of [`${RECONCILE}.service`, 'hydra-channels-metrics@success.service']) {
      const judged = await machine.ok(`systemd-analyze security --no-pager ${unit}`)
      const exposure = Number(/Overall exposure level for \S+ (\d+\.\d+)/.exec(judged)?.[1])
      assert.ok(exposure < 1.5, judged)
    }
  })
})
