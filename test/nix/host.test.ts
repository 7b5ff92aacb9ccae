// nix/host.nix, as NixOS would evaluate it: both modes, every contradiction, and the old name of the module. What its script does
// is in machine/host.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, NIXPKGS_LIB, nix, withoutNixpkgs } from './nix.ts'

const skip = withoutNixpkgs

interface Unit {
  environment?: Record<string, string>
  path?: { name: string }[]
  serviceConfig?: Record<string, unknown>
  onFailure?: string[]
  onSuccess?: string[]
  restartIfChanged?: boolean
}

interface Host {
  failed: string[]
  autoUpgrade: Record<string, unknown>
  services: Record<string, Unit>
  timers: Record<string, { timerConfig: Record<string, unknown> }>
  targets: Record<string, { wants: string[] }>
}

type Module = Record<string, unknown>
const ours = (more: object): Module => ({ services: { 'hydra-channels-host': more } })
const FLAKE = ours({ enable: true, from: 'alice/dotfiles' })
const URL = 'https://hydra.example.org/channels/channels/alice/dotfiles/nixos-tested-nas.json'
const STORE_PATH = ours({ enable: true, from: 'alice/dotfiles', mode: 'store-path', pointerUrl: URL })

function host(modules: readonly Module[], file = 'host.nix'): Host {
  return evaluate<Host>(`
    let
      c = import (nix + "/../test/nix/evaluate.nix") {
        nixpkgsLib = ${NIXPKGS_LIB};
        modules = [ (nix + "/${file}") ${modules.map(nix).join(' ')} ];
      };
    in {
      failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
      inherit (c.system) autoUpgrade;
      inherit (c.systemd) services timers targets;
    }`)
}

test('flake: system.autoUpgrade from the channel of the host', { skip }, () => {
  const { failed, autoUpgrade, services, timers } = host([FLAKE])
  assert.deepEqual(failed, [])
  const { enable, flake, operation } = autoUpgrade
  assert.deepEqual([enable, flake, operation], [true, 'github:alice/dotfiles/nixos-tested-nas', 'switch'])
  assert.deepEqual([services['hydra-channels-host'], timers], [undefined, {}])
})

for (const [what, more, expected] of [
  ['another branch', { branch: 'tested/nas' }, 'github:alice/dotfiles/tested/nas'],
  ['a whole flakeref', { flake: 'git+ssh://git@github.com/a/b?ref=x' }, 'git+ssh://git@github.com/a/b?ref=x'],
  [
    'a flakeref that means something to the shell',
    { flake: "git+ssh://h/a?ref=x&dir=it's" },
    "'git+ssh://h/a?ref=x&dir=it'\\''s'",
  ],
] as const) {
  test(`flake: ${what}`, { skip }, () => {
    const { failed, autoUpgrade } = host([FLAKE, ours(more)])
    assert.deepEqual([failed, autoUpgrade.flake], [[], expected])
  })
}

test('flake: what the operator has set in system.autoUpgrade wins', { skip }, () => {
  const own = { enable: false, flake: 'path:/etc/nixos', operation: 'boot' }
  const { autoUpgrade } = host([FLAKE, { system: { autoUpgrade: own } }])
  assert.deepEqual({ ...autoUpgrade, ...own }, autoUpgrade)
})

test('off: nothing', { skip }, () => {
  const { failed, autoUpgrade, services } = host([])
  assert.deepEqual([failed, autoUpgrade.enable, services], [[], false, {}])
})

test('store-path: a unit and a timer, with when and whether of system.autoUpgrade', { skip }, () => {
  const autoUpgrade = {
    dates: 'Sun 03:00',
    randomizedDelaySec: '45min',
    allowReboot: true,
    rebootWindow: { lower: '01:00', upper: '05:00' },
  }
  const found = host([STORE_PATH, { system: { autoUpgrade } }, ours({ operation: 'boot' })])
  assert.deepEqual([found.failed, found.autoUpgrade.enable], [[], false])
  assert.deepEqual(found.timers['hydra-channels-host']?.timerConfig, {
    ...{ OnCalendar: 'Sun 03:00', RandomizedDelaySec: '45min', FixedRandomDelay: false, Persistent: true },
  })
  const { environment, restartIfChanged, path } = found.services['hydra-channels-host'] ?? {}
  assert.deepEqual(environment, {
    ...{ CURL_CA_BUNDLE: '/etc/ssl/certs/ca-certificates.crt', HOME: '/root', POINTER_URL: URL },
    ...{ REPOSITORY: 'alice/dotfiles', BRANCH: 'nixos-tested-nas', HOST: 'nas', OPERATION: 'boot' },
    ...{ ALLOW_REBOOT: '1', REBOOT_FROM: '01:00', REBOOT_UNTIL: '05:00' },
  })
  assert.equal(restartIfChanged, false)
  assert.equal(path?.length, 6)
})

test('store-path: no reboot unless it is allowed; a percent sign is one for systemd, too', { skip }, () => {
  const proxy = { networking: { proxy: { envVars: { https_proxy: 'http://a%b' } } } }
  const more = { enable: true, from: 'alice/dotfiles', mode: 'store-path' }
  const { services } = host([ours({ ...more, pointerUrl: 'https://x/a%252Fb.json' }), proxy])
  const { environment } = services['hydra-channels-host'] ?? {}
  assert.deepEqual(
    [environment?.POINTER_URL, environment?.https_proxy, environment?.ALLOW_REBOOT, environment?.REBOOT_FROM],
    ['https://x/a%%252Fb.json', 'http://a%%b', '0', ''],
  )
})

for (const [mode, module, unit] of [
  ['flake', FLAKE, 'nixos-upgrade'],
  ['store-path', STORE_PATH, 'hydra-channels-host'],
] as const) {
  test(`${mode}: metrics after each upgrade and after boot, and a unit for failures`, { skip }, () => {
    const more = ours({ metrics: { enable: true }, onFailure: 'notify.service' })
    const { failed, services, targets } = host([module, more])
    assert.deepEqual(failed, [])
    const { onFailure, onSuccess } = services[unit] ?? {}
    assert.deepEqual(onFailure, ['notify.service', 'hydra-channels-host-metrics@failure.service'])
    assert.deepEqual(onSuccess, ['hydra-channels-host-metrics@success.service'])
    assert.deepEqual(targets['multi-user']?.wants, ['hydra-channels-host-metrics@boot.service'])
    const { environment, serviceConfig } = services['hydra-channels-host-metrics@'] ?? {}
    assert.equal(environment?.MODE, mode)
    assert.deepEqual(serviceConfig?.StateDirectory, ['hydra-channels-host', 'hydra-channels-host/metrics'])
  })

  test(`${mode}: metrics in another folder`, { skip }, () => {
    const { services } = host([module, ours({ metrics: { enable: true, directory: '/srv/metrics' } })])
    const { environment, serviceConfig } = services['hydra-channels-host-metrics@'] ?? {}
    assert.equal(environment?.METRICS_DIRECTORY, '/srv/metrics')
    assert.deepEqual(serviceConfig?.StateDirectory, ['hydra-channels-host'])
  })

  test(`${mode}: without them, the unit is left alone`, { skip }, () => {
    const { services } = host([module])
    const { onFailure, onSuccess } = services[unit] ?? {}
    assert.deepEqual([onFailure, onSuccess], [undefined, undefined])
  })
}

test('flake: where system.autoUpgrade is off, no unit is made for it', { skip }, () => {
  const off = { system: { autoUpgrade: { enable: false } } }
  assert.equal(host([FLAKE, ours({ onFailure: 'notify.service' }), off]).services['nixos-upgrade'], undefined)
})

for (const [what, modules, expected] of [
  ['nothing to upgrade from', [ours({ enable: true })], /set from .*, or flake/],
  ['store-path without a pointer', [FLAKE, ours({ mode: 'store-path' })], /needs from and pointerUrl/],
  [
    'store-path without a repository',
    [ours({ enable: true, mode: 'store-path', pointerUrl: URL })],
    /needs from and pointerUrl/,
  ],
  ['store-path with a flake', [STORE_PATH, ours({ flake: 'github:a/b' })], /flake is for mode "flake"/],
  ['a pointer in mode flake', [FLAKE, ours({ pointerUrl: URL })], /pointerUrl is for mode "store-path"/],
  [
    'store-path beside system.autoUpgrade',
    [STORE_PATH, { system: { autoUpgrade: { enable: true } } }],
    /would upgrade this host a second time/,
  ],
  [
    'store-path without a name of the host',
    [STORE_PATH, { networking: { hostName: '' } }],
    /compares networking\.hostName/,
  ],
  [
    'store-path where the system has no /etc/hostname',
    [STORE_PATH, { environment: { etc: { hostname: { enable: false } } } }],
    /compares networking\.hostName/,
  ],
  [
    'metrics that name no channel',
    [ours({ enable: true, flake: 'github:a/b', metrics: { enable: true } })],
    /metrics name the channel/,
  ],
] as const) {
  test(`a contradiction: ${what}`, { skip }, () => {
    const { failed } = host(modules)
    assert.equal(failed.length, 1, failed.join('\n'))
    assert.match(failed[0] ?? '', expected)
  })
}

for (const [what, more] of [
  ['an address without TLS', { mode: 'store-path', pointerUrl: 'http://hydra.example.org/x.json' }],
  ['a repository that is an address', { from: 'https://github.com/alice/dotfiles' }],
  ['a branch that Nix cannot write', { branch: 'a"b', from: 'alice/dotfiles' }],
  ['an unknown mode', { mode: 'path' }],
  ['a unit that is none', { from: 'alice/dotfiles', onFailure: 'mail root' }],
] as const) {
  test(`refused by its type: ${what}`, { skip }, () => {
    assert.throws(() => host([ours({ enable: true, ...more })]), /is not of type/)
  })
}

test('auto-upgrade, the other name: the same as from', { skip }, () => {
  const { failed, autoUpgrade } = host(
    [{ services: { 'hydra-channels': { upgradeFrom: 'alice/dotfiles' } } }],
    'auto-upgrade.nix',
  )
  assert.deepEqual(
    [failed, autoUpgrade.enable, autoUpgrade.flake],
    [[], true, 'github:alice/dotfiles/nixos-tested-nas'],
  )
})
