// nix/module.nix, evaluated with nixpkgs' lib (HYDRA_CHANNELS_NIXPKGS_LIB names it) and stand-ins for NixOS' other
// options (evaluate.nix): both modes, every contradiction, and what must not get into the store or to other users.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { evaluate, NIXPKGS_LIB, nix, withoutNixpkgs } from './nix.ts'

const skip = withoutNixpkgs

interface Machine {
  failed: string[]
  warnings: string[]
  hydraConf: string
  config: unknown
  check: string
  services: Record<
    string,
    { wants?: string[]; serviceConfig?: Record<string, unknown>; unitConfig?: Record<string, unknown> }
  >
  paths: Record<string, { pathConfig: Record<string, unknown> }>
  timers: Record<string, { timerConfig: Record<string, unknown> }>
  tmpfiles: Record<string, Record<string, Record<string, object>>>
  polkit: { enable: boolean; extraConfig: string }
  sudo: { groups: string[]; commands: { command: string; options: string[] }[] }[]
  postgresql: { authentication: string; identMap: string }
  scripts: { command: string; units: string[] }
}

type Module = Record<string, unknown>

const BASE = {
  enable: true,
  privateKeyFile: '/run/secrets/github-app-key',
  settings: {
    github: { appId: 'Iv23liAbCdEfGhIjKlMn' },
    channels: [
      {
        project: 'dotfiles',
        jobset: 'main',
        job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
        repository: 'alice/dotfiles',
        branch: 'nixos-tested-{host}',
      },
    ],
  },
}

const HYDRA: Module = { services: { hydra: { enable: true } } }
const UNIT = 'copy-cache@.service'
const COPY_UNIT: Module = { systemd: { services: { 'copy-cache@': {} } } }
const CACHE: Module = ours({ settings: { cache: { unit: UNIT, url: 'https://cache.example.org' } } })
const INLINE: Module = ours({ settings: { hook: { mode: 'inline' } } })

function ours(more: object): Module {
  return { services: { 'hydra-channels': more } }
}

function machine(...modules: (Module | string)[]): Machine {
  const list = [
    '(nix + "/module.nix")',
    nix(ours(BASE)),
    ...modules.map(m => (typeof m === 'string' ? m : nix(m))),
  ]
  return evaluate<Machine>(`
    let
      c = import (nix + "/../test/nix/evaluate.nix") {
        nixpkgsLib = ${NIXPKGS_LIB};
        modules = [ ${list.join(' ')} ];
      };
      file = c.environment.etc."hydra-channels/config.json".source;
    in {
      failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
      inherit (c) warnings;
      inherit (c.services.hydra-channels) hydraConf;
      check = file.text;
      config = render.config c.services.hydra-channels.settings;
      inherit (c.systemd) services paths timers;
      tmpfiles = c.systemd.tmpfiles.settings;
      inherit (c.security) polkit;
      sudo = c.security.sudo.extraRules;
      postgresql = { inherit (c.services.postgresql) authentication identMap; };
      scripts = {
        command = (builtins.head c.environment.systemPackages).text;
        # without the one that runs inside of them
        units = map (s: s.text) (builtins.tail (builtins.head c.environment.systemPackages).scripts);
      };
    }`)
}

const reconcileOf = (of: Machine) => of.services['hydra-channels-reconcile']?.serviceConfig ?? {}

test('detached: a path unit, a folder of two users, and no key for hydra-notify', { skip }, () => {
  const of = machine(HYDRA, COPY_UNIT, CACHE)
  assert.deepEqual([of.failed, of.warnings], [[], []])
  assert.equal(parseConfig(JSON.stringify(of.config), 'config.json').hook.mode, 'detached')
  assert.match(of.check, /bin\/hydra-channels doctor --offline --config \//)

  const kick = '/run/hydra-channels-kick/kick'
  assert.equal(of.paths['hydra-channels-reconcile']?.pathConfig.PathExists, kick)
  assert.deepEqual(of.tmpfiles['hydra-channels']?.['/run/hydra-channels-kick'], {
    d: { user: 'root', group: 'hydra-channels', mode: '0770' },
    'a+': { argument: 'u:hydra-queue-runner:rwx' },
  })
  assert.deepEqual(of.services['hydra-notify'], { serviceConfig: { User: 'hydra-queue-runner' } })

  const unit = reconcileOf(of)
  assert.deepEqual(
    (unit.ExecStartPre as string[]).map(line => line.replaceAll(/\/nix\/store\/\S*\//g, '')),
    [`-+timeout --kill-after=5 20 rm -rf -- ${kick}`, 'sleep 3'],
  )
  assert.match(String(unit.ExecStart), /reconcile --wait$/)
  assert.deepEqual(unit.LoadCredential, ['github-app-key:/run/secrets/github-app-key'])
  assert.deepEqual(unit.SetCredential, ['github-app-key:missing:/run/secrets/github-app-key'])
  assert.deepEqual(unit.ReadWritePaths, ['-/run/hydra-channels-kick'])
  assert.notEqual(`/run/${unit.RuntimeDirectory}`, '/run/hydra-channels-kick')
  const { unitConfig, wants } = of.services['hydra-channels-reconcile'] ?? {}
  assert.deepEqual(unitConfig, { StartLimitIntervalSec: 10, StartLimitBurst: 5 })
  assert.ok(wants?.includes('hydra-channels-reconcile.path'))
  const { timerConfig } = of.timers['hydra-channels-reconcile'] ?? {}
  assert.deepEqual(timerConfig, { OnActiveSec: '2min', OnUnitInactiveSec: '15min' })
})

test('inline: the key and a folder of its own for hydra-notify, and no path unit', { skip }, () => {
  const of = machine(HYDRA, INLINE)
  assert.deepEqual([of.failed, of.warnings], [[], []])
  assert.deepEqual(of.services['hydra-notify']?.serviceConfig, {
    User: 'hydra-queue-runner',
    LoadCredential: ['github-app-key:/run/secrets/github-app-key'],
    SetCredential: ['github-app-key:missing:/run/secrets/github-app-key'],
    RuntimeDirectory: ['hydra-channels-hook'],
    RuntimeDirectoryMode: '0700',
    RuntimeDirectoryPreserve: 'yes',
  })
  assert.notEqual(reconcileOf(of).RuntimeDirectory, 'hydra-channels-hook')
  assert.deepEqual([of.paths, of.tmpfiles], [{}, {}])
  assert.match(of.postgresql.identMap, /^hydra-channels hydra-queue-runner hydra-channels$/m)
})

const CREDENTIALS = {
  LoadCredential: ['cache-netrc:/run/secrets/100%%', 'github-app-key:/run/secrets/github-app-key'],
  SetCredential: [
    'cache-netrc:missing:/run/secrets/100%',
    'github-app-key:missing:/run/secrets/github-app-key',
  ],
}
const credentialsOf = ({ LoadCredential, SetCredential }: Record<string, unknown> = {}) => ({
  LoadCredential,
  SetCredential,
})

test('the cache’s login is handed over wherever the key is', { skip }, () => {
  const login = ours({ cacheNetrcFile: '/run/secrets/100%', metrics: { enable: true } })
  const detached = machine(HYDRA, COPY_UNIT, CACHE, login)
  const inline = machine(HYDRA, COPY_UNIT, CACHE, login, INLINE)
  for (const of of [detached, inline]) {
    assert.deepEqual([of.failed, of.warnings], [[], []])
    assert.equal(parseConfig(JSON.stringify(of.config), 'config.json').cache?.netrcFile, 'cache-netrc')
    for (const unit of ['hydra-channels-reconcile', 'hydra-channels-metrics@']) {
      assert.deepEqual(credentialsOf(of.services[unit]?.serviceConfig), CREDENTIALS, unit)
    }
    // as our user, and for root's doctor
    assert.equal(of.scripts.units.length, 2)
    for (const text of of.scripts.units) {
      for (const property of [...CREDENTIALS.LoadCredential, ...CREDENTIALS.SetCredential]) {
        const asked = `Credential=${property.replaceAll('%%', '%')}'`
        assert.equal(text.split(asked).length, 2, asked)
      }
    }
  }
  assert.deepEqual(credentialsOf(inline.services['hydra-notify']?.serviceConfig), CREDENTIALS)
  assert.deepEqual(detached.services['hydra-notify']?.serviceConfig, { User: 'hydra-queue-runner' })
})

test('so is the password of a database on another machine', { skip }, () => {
  const given = { createLocally: false, passFile: '/run/secrets/database' }
  const elsewhere = { database: given, settings: { database: { host: 'db.example.org' } } }
  for (const mode of [{}, INLINE]) {
    const of = machine(HYDRA, ours({ ...elsewhere, metrics: { enable: true } }), mode)
    assert.deepEqual([of.failed, of.warnings], [[], []])
    const { database } = parseConfig(JSON.stringify(of.config), 'config.json')
    assert.equal(database?.passFile, 'database-password')
    const units = [
      'hydra-channels-reconcile',
      'hydra-channels-metrics@',
      ...(mode === INLINE ? ['hydra-notify'] : []),
    ]
    for (const unit of units) {
      assert.deepEqual(
        credentialsOf(of.services[unit]?.serviceConfig),
        {
          LoadCredential: [
            'database-password:/run/secrets/database',
            'github-app-key:/run/secrets/github-app-key',
          ],
          SetCredential: [
            'database-password:missing:/run/secrets/database',
            'github-app-key:missing:/run/secrets/github-app-key',
          ],
        },
        unit,
      )
    }
    assert.equal(of.scripts.units.length, 2)
    for (const text of of.scripts.units)
      assert.match(text, /LoadCredential=database-password:\/run\/secrets\/database'/)
  }
})

test('without a login of the cache, none is named', { skip }, () => {
  const { cache } = parseConfig(JSON.stringify(machine(HYDRA, COPY_UNIT, CACHE).config), 'config.json')
  assert.deepEqual([cache?.netrcFile, cache?.allowHttp], [undefined, false])
})

test('what GitHub is called may be a name or a list of names', { skip }, () => {
  for (const host of ['github.com-dotfiles', ['github.com', 'github.com-dotfiles']]) {
    const { config } = machine(HYDRA, ours({ settings: { github: { host } } }))
    assert.deepEqual(parseConfig(JSON.stringify(config), 'config.json').github.host, host)
  }
})

test('a cache on plain http is taken if settings.cache.allowHttp says so', { skip }, () => {
  const { config } = machine(
    HYDRA,
    ours({ settings: { cache: { url: 'http://cache.lan:5000', allowHttp: true } } }),
  )
  assert.equal(parseConfig(JSON.stringify(config), 'config.json').cache?.url, 'http://cache.lan:5000')
})

test('the hook is in hydra.conf, under a name that never changes', { skip }, () => {
  assert.equal(
    machine(HYDRA).hydraConf,
    '<runcommand>\n  job = dotfiles:main:*\n  command = /etc/hydra-channels/hydra-hook\n</runcommand>\n',
  )
  assert.doesNotMatch(machine(HYDRA, COPY_UNIT, CACHE).hydraConf, /job =/)
})

test('the role’s line comes before Hydra’s, so that the name of Hydra’s map does not matter', {
  skip,
}, () => {
  const { authentication, identMap } = machine(HYDRA).postgresql
  assert.deepEqual(authentication.trim().split(/\n+/), [
    'local hydra hydra-channels peer map=hydra-channels',
    'local hydra all ident map=hydra-users',
  ])
  assert.equal(identMap, 'hydra-channels hydra-channels hydra-channels\nhydra-channels root hydra-channels\n')
})

test('polkit: only with a cache unit, for hydra-notify’s user and ours', { skip }, () => {
  assert.deepEqual(machine(HYDRA).polkit, { enable: false, extraConfig: '' })
  const other: Module = {
    systemd: { services: { 'hydra-notify': { serviceConfig: { User: 'hydra-notify' } } } },
  }
  const { enable, extraConfig } = machine(HYDRA, COPY_UNIT, CACHE, other).polkit
  assert.ok(enable)
  assert.match(extraConfig, /\["hydra-notify","hydra-channels"\]\.indexOf\(subject\.user\)/)
  assert.match(extraConfig, /"copy-cache@" \+ "-nix-store-"/)
})

test('metrics have a unit of their own, after every reconcile, whatever came of it', { skip }, () => {
  const of = machine(HYDRA, ours({ metrics: { enable: true } }))
  const { unitConfig } = of.services['hydra-channels-reconcile'] ?? {}
  assert.equal(unitConfig?.OnSuccess, 'hydra-channels-metrics@success.service')
  assert.equal(unitConfig?.OnFailure, 'hydra-channels-metrics@failure.service')
  const unit = of.services['hydra-channels-metrics@']?.serviceConfig
  assert.match(
    String(unit?.ExecStart),
    /status --metrics \/var\/lib\/hydra-channels\/metrics\/hydra-channels.prom$/,
  )
  assert.deepEqual(unit?.StateDirectory, ['hydra-channels', 'hydra-channels/metrics'])

  const elsewhere = machine(HYDRA, ours({ metrics: { enable: true, directory: '/var/lib/node-exporter' } }))
  assert.deepEqual(elsewhere.services['hydra-channels-metrics@']?.serviceConfig?.ReadWritePaths, [
    '"-/var/lib/node-exporter"',
  ])
})

test('the page is written with the metrics, of one look; each of the two alone, and wherever it is', {
  skip,
}, () => {
  const PAGE = ours({ page: { enable: true } })
  const METRICS = ours({ metrics: { enable: true } })
  const unitOf = (...modules: Module[]) =>
    machine(HYDRA, ...modules).services['hydra-channels-metrics@']?.serviceConfig
  const both = unitOf(PAGE, METRICS)
  assert.match(
    String(both?.ExecStart),
    /status --metrics \/var\/lib\/hydra-channels\/metrics\/hydra-channels.prom --page \/var\/lib\/hydra-channels\/page$/,
  )
  assert.deepEqual(both?.StateDirectory, ['hydra-channels', 'hydra-channels/metrics', 'hydra-channels/page'])
  const alone = unitOf(PAGE)
  assert.match(String(alone?.ExecStart), /status --page \/var\/lib\/hydra-channels\/page$/)
  assert.deepEqual(alone?.StateDirectory, ['hydra-channels', 'hydra-channels/page'])
  assert.equal(
    machine(HYDRA, PAGE).services['hydra-channels-reconcile']?.unitConfig?.OnFailure,
    'hydra-channels-metrics@failure.service',
  )
  const elsewhere = unitOf(METRICS, ours({ page: { enable: true, directory: '/srv/www/channels' } }))
  assert.deepEqual(
    [elsewhere?.StateDirectory, elsewhere?.ReadWritePaths],
    [['hydra-channels', 'hydra-channels/metrics'], ['"-/srv/www/channels"']],
  )
})

test('a “%” in the key’s path is only that', { skip }, () => {
  const of = machine(
    HYDRA,
    INLINE,
    `{ services.hydra-channels.privateKeyFile = (import ${NIXPKGS_LIB}).mkForce "/run/a%b"; }`,
  )
  assert.deepEqual(reconcileOf(of).LoadCredential, ['github-app-key:/run/a%%b'])
  assert.deepEqual(of.services['hydra-notify']?.serviceConfig?.LoadCredential, ['github-app-key:/run/a%%b'])
  for (const text of of.scripts.units) assert.match(text, /LoadCredential=github-app-key:\/run\/a%b'/)
})

test('the command for shells is a shell script; only a group that is named comes in by sudo', {
  skip,
}, () => {
  const closed = machine(HYDRA)
  assert.deepEqual(closed.sudo, [])
  const open = machine(HYDRA, ours({ openCliTo: 'wheel' }))
  for (const [{ scripts }, calls] of [
    [closed, false],
    [open, true],
  ] as const) {
    assert.equal(/^[^#]*\/bin\/sudo /m.test(scripts.command), calls)
  }
  assert.deepEqual(
    open.sudo.map(({ groups, commands }) => [groups, commands[0]?.options]),
    [[['wheel'], ['NOPASSWD']]],
  )
  for (const { scripts } of [closed, open]) execFileSync('bash', ['-n'], { input: scripts.command })
})

test('hydra-dev: the section is there to paste, and a warning says so until it is', { skip }, () => {
  const dev: Module = { services: { 'hydra-dev': { enable: true } } }
  assert.match(
    machine(dev).warnings.join(),
    /services\.hydra-dev\.extraConfig = config\.services\.hydra-channels/,
  )
  const pasted =
    '({ config, ... }: { services.hydra-dev.extraConfig = config.services.hydra-channels.hydraConf; })'
  assert.deepEqual([machine(dev, pasted).failed, machine(dev, pasted).warnings], [[], []])
})

test('inline, and dynamic hooks in Hydra: a warning', { skip }, () => {
  const dynamic = (value: string): Module => ({
    services: { hydra: { extraConfig: `<dynamicruncommand>\n  enable = ${value}\n</dynamicruncommand>\n` } },
  })
  assert.match(machine(HYDRA, INLINE, dynamic('1')).warnings.join(), /can then read the GitHub App's key/)
  assert.deepEqual(machine(HYDRA, INLINE, dynamic('0')).warnings, [])
  assert.deepEqual(machine(HYDRA, dynamic('1')).warnings, [])
})

test('a machine that only reconciles, with the database elsewhere', { skip }, () => {
  const of = machine(ours({ settings: { database: { host: 'db.example.org' } } }))
  assert.deepEqual([of.failed, of.warnings, of.paths, of.tmpfiles], [[], [], {}, {}])
  assert.deepEqual(Object.keys(of.services), ['hydra-channels-reconcile'])
})

test('every unit that is started has a limit, and only reconcile one of hours', { skip }, () => {
  const { services } = machine(HYDRA, COPY_UNIT, CACHE, ours({ metrics: { enable: true } }))
  const limits = Object.entries(services).flatMap(([name, { serviceConfig }]) =>
    name.startsWith('hydra-channels-') ? [[name, serviceConfig?.TimeoutStartSec]] : [],
  )
  assert.deepEqual(Object.fromEntries(limits), {
    'hydra-channels-database': '5min',
    'hydra-channels-metrics@': '15min',
    'hydra-channels-reconcile': '6h 1min',
  })
})

test('status is told of an interval that it can read, and of no other', { skip }, () => {
  const intervalOf = (interval: string) => {
    const { config } = machine(HYDRA, ours({ reconcile: { interval } }))
    return parseConfig(JSON.stringify(config), 'config.json').reconcile.interval
  }
  for (const [interval, ms] of [
    ['15min', 900_000],
    ['1h 30min', 5_400_000],
    ['1h30m', 5_400_000],
    ['2weeks', 1_209_600_000],
    // these are systemd's alone
    ['900', undefined],
    ['1month', undefined],
    ['500ms', undefined],
    ['1h 30', undefined],
  ] as const) {
    assert.equal(intervalOf(interval), ms, interval)
  }
})

test('a look-only first deployment, and its end', { skip }, () => {
  const dryRunOf = (of: Machine) => parseConfig(JSON.stringify(of.config), 'config.json').dryRun
  assert.equal(dryRunOf(machine(HYDRA, ours({ dryRun: true }))), true)
  assert.equal(dryRunOf(machine(HYDRA)), false)
})

const CONTRADICTIONS: [string, Module[], RegExp][] = [
  [
    'detached without reconcile',
    [HYDRA, ours({ reconcile: { enable: false } })],
    /leaves its work to reconcile/,
  ],
  ['inline without Hydra', [INLINE], /no hydra-notify that could run the hook/],
  [
    'metrics without reconcile',
    [HYDRA, INLINE, ours({ reconcile: { enable: false }, metrics: { enable: true } })],
    /metrics are written after a reconcile/,
  ],
  [
    'a page without reconcile',
    [HYDRA, INLINE, ours({ reconcile: { enable: false }, page: { enable: true } })],
    /the page is written after a reconcile/,
  ],
  [
    'a role without Hydra',
    [ours({ database: { createLocally: true } })],
    /needs Hydra and services\.postgresql/,
  ],
  [
    'a role that is not used',
    [HYDRA, ours({ settings: { database: { user: 'hydra' } } })],
    /makes the role hydra-channels .* asks for hydra at \/run\/postgresql/,
  ],
  [
    'a role here and the database elsewhere',
    [HYDRA, ours({ settings: { database: { host: 'db.example.org' } } })],
    /asks for hydra-channels at db\.example\.org/,
  ],
  [
    'a cache unit that is not there',
    [HYDRA, CACHE],
    /has no such unit\. Define systemd\.services\."copy-cache@"\./,
  ],
  [
    'a group without sudo',
    [HYDRA, { security: { sudo: { enable: false } } }, ours({ openCliTo: 'wheel' })],
    /neither security\.sudo nor security\.sudo-rs/,
  ],
  [
    'a login of no cache',
    [HYDRA, ours({ cacheNetrcFile: '/run/secrets/cache-netrc' })],
    /cacheNetrcFile is for the cache at settings\.cache\.url, which is not set/,
  ],
  [
    'a password for a socket',
    [HYDRA, ours({ database: { createLocally: false, passFile: '/run/secrets/database' } })],
    /database\.passFile has a password for TCP, but settings\.database\.host is the socket \/run\/postgresql/,
  ],
  ['a group that is not there', [HYDRA, ours({ openCliTo: 'whel' })], /“whel”, but there is no such group/],
]

for (const [what, modules, expected] of CONTRADICTIONS) {
  test(`refused, with one message: ${what}`, { skip }, () => {
    const { failed } = machine(...modules)
    assert.equal(failed.length, 1, failed.join('\n'))
    assert.match(failed[0] ?? '', expected)
  })
}

const REFUSED: [string, Module | string, RegExp][] = [
  [
    'a key in the store',
    ours({ privateKeyFile: '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-key' }),
    /not in the Nix store/,
  ],
  [
    'a path literal, which would be copied to the store',
    '{ services.hydra-channels.privateKeyFile = /etc/hosts; }',
    /not in the Nix store/,
  ],
  [
    'a login in the store',
    ours({ cacheNetrcFile: '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-netrc' }),
    /not in the Nix store/,
  ],
  ['a netrc file of the settings’ own', ours({ settings: { cache: { netrcFile: '/netrc' } } }), /read-only/],
  ['no names at all for GitHub', ours({ settings: { github: { host: [] } } }), /non-empty/],
  ['a key of the settings’ own', ours({ settings: { github: { privateKeyFile: '/key' } } }), /read-only/],
  ['a kick elsewhere', ours({ settings: { hook: { kickFile: '/run/kick' } } }), /read-only/],
  [
    'a mode that nobody knows',
    ours({ settings: { hook: { mode: 'attached' } } }),
    /one of "detached", "inline"/,
  ],
  [
    'a unit that is no template',
    ours({ settings: { cache: { unit: 'copy-cache.service' } } }),
    /matching the pattern/,
  ],
  ['a rule with a typo', '{ services.hydra-channels.settings.channels = [ { projct = "x"; } ]; }', /projct/],
]

for (const [what, module, expected] of REFUSED) {
  test(`refused by its type: ${what}`, { skip }, () => {
    const message = (() => {
      try {
        machine(HYDRA, module)
      } catch (error) {
        return String((error as { stderr?: Buffer | string }).stderr)
      }
      return 'it was accepted'
    })()
    assert.match(message, expected)
  })
}
