// What nix/render.nix writes, read as its readers do: the configuration by src/config.ts, the sections as Hydra's
// RunCommand.pm matches them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_CONFIG, parseConfig } from '../../src/config.ts'
import { evaluate, nix, withoutNix } from './nix.ts'

const RULE = {
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-{host}',
}

/** Settings as the module has them: its defaults, null for what is not set, and the differences. */
function settings(more: Record<string, object> = {}): string {
  const unset = { hydraUrl: null, github: { host: null }, cache: { unit: null, url: null, netrcFile: null } }
  const given = { github: { appId: 'Iv23liAbCdEfGhIjKlMn' }, channels: [RULE], ...more }
  const merge = `let merge = a: b: a // builtins.mapAttrs (n: v:
    if builtins.isAttrs v && a ? \${n} then merge a.\${n} v else v) b; in merge`
  return `((${merge}) ((${merge}) render.defaults ${nix(unset)}) ${nix(given)})`
}

const configOf = (more?: Record<string, object>) =>
  parseConfig(JSON.stringify(evaluate(`render.config ${settings(more)}`)), 'config.json')

test('the defaults are accepted, and are the program’s own where it has some', { skip: withoutNix }, () => {
  const config = configOf()
  const { user, ...database } = { ...config.database }
  assert.equal(user, 'hydra-channels')
  assert.deepEqual(database, { host: '/run/postgresql', port: 5432, database: 'hydra' })
  assert.deepEqual(
    { ...config, database: undefined, channels: [] },
    {
      ...NO_CONFIG,
      database: undefined,
      github: { ...NO_CONFIG.github, appId: 'Iv23liAbCdEfGhIjKlMn', privateKeyFile: 'github-app-key' },
      hook: { ...NO_CONFIG.hook, mode: 'detached' },
    },
  )
})

test('a cache with all that it can have', { skip: withoutNix }, () => {
  const unit = 'copy-cache@.service'
  assert.deepEqual(configOf({ cache: { unit, url: 'https://cache.example.org', parallel: 8 } }).cache, {
    unit,
    url: 'https://cache.example.org',
    allowHttp: false,
    timeoutSeconds: 3600,
    parallel: 8,
  })
  assert.deepEqual(configOf({ cache: { unit } }).cache, {
    unit,
    allowHttp: false,
    timeoutSeconds: 3600,
    parallel: 4,
  })
})

test('without a unit and a URL there is no cache', { skip: withoutNix }, () => {
  assert.equal(configOf({ cache: { parallel: 8 } }).cache, undefined)
})

test('a key that nobody knows is kept, so that the check finds it', { skip: withoutNix }, () => {
  assert.throws(() => configOf({ cahnnels: {} }), /cahnnels: unknown key/)
})

const sectionOf = (more?: Record<string, object>) => evaluate<string>(`render.hydraConf ${settings(more)}`)

test('with a cache unit, the hook runs for every build', { skip: withoutNix }, () => {
  assert.equal(
    sectionOf({ cache: { unit: 'copy-cache@.service' } }),
    '<runcommand>\n  command = /etc/hydra-channels/hydra-hook\n</runcommand>\n',
  )
})

test('without one, for the jobsets of the rules, each once', { skip: withoutNix }, () => {
  const channels = [RULE, { ...RULE, jobset: 'next' }, { ...RULE, branch: 'other-{host}' }]
  const section = (jobset: string) =>
    `<runcommand>\n  job = dotfiles:${jobset}:*\n  command = /etc/hydra-channels/hydra-hook\n</runcommand>\n`
  assert.equal(sectionOf({ channels }), section('main') + section('next'))
  assert.equal(
    sectionOf({ channels, cache: { url: 'https://c.example.org' } }),
    section('main') + section('next'),
  )
})
