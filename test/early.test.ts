// What a hook dials before it has checked anything: only what it will surely ask, and never an error.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { foreseeApiUrl } from '../src/early.ts'

const EVENT = {
  event: 'buildFinished',
  build: 1,
  finished: true,
  buildStatus: 0,
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-nas.x86_64-linux',
  outputs: [],
}
const RULE = {
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-(?<host>[^/]*)\\.x86_64-linux',
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-{host}',
}
const CONFIG = { github: { apiUrl: 'https://ghe.example/api/v3' }, channels: [RULE] }

function files(t: TestContext, event: unknown, config: unknown): { HYDRA_JSON: string; config: string } {
  const directory = mkdtempSync(join(tmpdir(), 'hc-early-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const write = (name: string, content: unknown) => {
    const path = join(directory, name)
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  return { HYDRA_JSON: write('event.json', event), config: write('config.json', config) }
}

const cases: { name: string; event?: unknown; config?: unknown; url: string | undefined }[] = [
  { name: 'a good build of a channel', url: 'https://ghe.example/api/v3' },
  { name: 'no API is configured', config: { channels: [RULE] }, url: 'https://api.github.com' },
  {
    name: 'the second rule is the one',
    config: { ...CONFIG, channels: [{ ...RULE, job: 'x' }, RULE] },
    url: 'https://ghe.example/api/v3',
  },
  { name: 'the build failed', event: { ...EVENT, buildStatus: 1 }, url: undefined },
  { name: 'the build is not finished', event: { ...EVENT, buildStatus: null }, url: undefined },
  { name: 'a good build that is built again', event: { ...EVENT, finished: false }, url: undefined },
  { name: 'another event', event: { ...EVENT, event: 'buildQueued' }, url: undefined },
  { name: 'another job', event: { ...EVENT, job: 'tests.x86_64-linux' }, url: undefined },
  { name: 'a job that only begins so', event: { ...EVENT, job: `${EVENT.job}.more` }, url: undefined },
  { name: 'a job of another jobset', event: { ...EVENT, jobset: 'next' }, url: undefined },
  { name: 'a job of another project', event: { ...EVENT, project: 'other' }, url: undefined },
  {
    name: 'a job whose name is too long',
    event: { ...EVENT, job: `nixos-${'a'.repeat(300)}.x86_64-linux` },
    url: undefined,
  },
  {
    name: 'a rule that does not come to an end',
    event: { ...EVENT, job: `${'a'.repeat(40)}!` },
    config: { channels: [{ ...RULE, job: '(?:[a-z]+-?)+' }] },
    url: undefined,
  },
  {
    name: 'the outputs are copied first',
    config: { ...CONFIG, cache: { unit: 'copy@.service' } },
    url: undefined,
  },
  {
    name: 'the outputs are looked for first',
    config: { ...CONFIG, cache: { url: 'https://cache.example' } },
    url: undefined,
  },
  { name: 'a cache without either', config: { ...CONFIG, cache: {} }, url: 'https://ghe.example/api/v3' },
  { name: 'a reconcile does it', config: { ...CONFIG, hook: { mode: 'detached' } }, url: undefined },
  { name: 'an event that is no JSON', event: '{"event":', url: undefined },
  { name: 'an event that is null', event: null, url: undefined },
  { name: 'a configuration that is no JSON', config: '{', url: undefined },
  { name: 'a configuration that is null', config: null, url: undefined },
  { name: 'channels that are no list', config: { channels: 7 }, url: undefined },
  { name: 'a rule that is null', config: { channels: [null, RULE] }, url: 'https://api.github.com' },
  { name: 'a rule whose pattern is none', config: { channels: [{ ...RULE, job: '(' }] }, url: undefined },
  { name: 'an API that is no URL', config: { ...CONFIG, github: { apiUrl: 'not at all' } }, url: undefined },
]
for (const { name, event = EVENT, config = CONFIG, url } of cases) {
  test(`${name}: ${url ?? 'nothing is dialled'}`, t => {
    const { HYDRA_JSON, config: file } = files(t, event, config)
    assert.equal(foreseeApiUrl([], { HYDRA_JSON, HYDRA_CHANNELS_CONFIG: file }), url)
    assert.equal(foreseeApiUrl(['--config', file], { HYDRA_JSON }), url)
  })
}

test('what comes through a pipe is left to the hook, which can read it once', t => {
  const { HYDRA_JSON, config } = files(t, EVENT, CONFIG)
  const pipe = `${HYDRA_JSON}.pipe`
  execFileSync('mkfifo', [pipe])
  assert.equal(foreseeApiUrl([], { HYDRA_JSON: pipe, HYDRA_CHANNELS_CONFIG: config }), undefined)
  assert.equal(foreseeApiUrl(['--config', pipe], { HYDRA_JSON }), undefined)
})

test('arguments that are the hook’s to understand', t => {
  const { HYDRA_JSON, config } = files(t, EVENT, CONFIG)
  for (const args of [
    ['--dry-run'],
    ['--config'],
    [`--config=${config}`],
    ['--dry-run', '--config', config],
  ]) {
    assert.equal(foreseeApiUrl(args, { HYDRA_JSON, HYDRA_CHANNELS_CONFIG: config }), undefined)
  }
})

test('files that are not there', () => {
  assert.equal(foreseeApiUrl([], {}), undefined)
  assert.equal(
    foreseeApiUrl(['--config'], { HYDRA_JSON: '/nonexistent', HYDRA_CHANNELS_CONFIG: '/nonexistent' }),
    undefined,
  )
})
