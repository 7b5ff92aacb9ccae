// Copies through systemctl and proofs at the cache's URL, in process, so that no second of waiting is a real one.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import { createHttp } from '../../../src/base/http.ts'
import type { CacheConfig } from '../../../src/cache/config.ts'
import { copyOutputs } from '../../../src/cache/copy.ts'
import { answerSeconds } from '../../../src/cache/copy-unit.ts'
import { type CacheOptions, findCacheClient } from '../../../src/cache/options.ts'
import { createProver } from '../../../src/cache/prove.ts'
import { startCache, type TestCache } from '../../helpers/cache.ts'
import { createSystemd, type TestSystemd } from '../../helpers/systemd.ts'

const OUT = '/nix/store/00000000000000000000000000000001-nixos-system-nas-26.05'
const DOC = '/nix/store/00000000000000000000000000000003-nixos-system-nas-26.05-doc'
const DEV = '/other/store/00000000000000000000000000000002-multi+dev_1.0'

const JOB = 'dotfiles:main:nixos-nas.x86_64-linux'
const NAS = 'alice/dotfiles nixos-tested-nas'
const WEB = 'alice/dotfiles nixos-tested-web'

interface Scene {
  systemd: TestSystemd
  cache: TestCache
  lines: string[]
  copy(outputs: { name: string; path: string | null }[], more?: Partial<CacheOptions>): Promise<void>
  prover(): ReturnType<typeof createProver>
  directory: string
}

async function scene(t: TestContext, configure: (url: string) => object): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), 'hc-cache-'))
  const systemd = createSystemd(directory)
  const cache = await startCache()
  const http = createHttp({})
  t.after(async () => {
    http.close()
    await cache.close()
    rmSync(directory, { recursive: true })
  })
  const lines: string[] = []
  const config: CacheConfig = { timeoutSeconds: 60, parallel: 4, ...configure(cache.url) }
  const options: CacheOptions = {
    config,
    client: findCacheClient(config, { http, env: { CREDENTIALS_DIRECTORY: directory } }),
    mode: 'copy-and-look',
    env: { PATH: `${systemd.bin}${delimiter}${process.env.PATH}` },
    log: line => lines.push(line),
    secondMs: 1,
  }
  return {
    systemd,
    cache,
    lines,
    copy: (outputs, more = {}) => copyOutputs(outputs, JOB, { ...options, ...more }),
    prover: () => createProver(options),
    directory,
  }
}

const rejects = (work: Promise<unknown>, message: string | RegExp, hint?: readonly string[]) =>
  assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof OperatorError)
    if (typeof message === 'string') assert.equal(error.message, message)
    else assert.match(error.message, message)
    if (hint) assert.deepEqual(error.hint, hint)
    return true
  })

test('every output is one instance of the unit, in one systemctl, and what has no path is skipped aloud', async t => {
  const { systemd, lines, copy } = await scene(t, () => ({ unit: 'copy-cache@.service' }))
  await copy([
    { name: 'out', path: OUT },
    { name: 'doc', path: null },
    { name: 'dev', path: DEV },
  ])
  assert.deepEqual(systemd.calls(), [
    [
      '--no-ask-password',
      'start',
      '--',
      'copy-cache@-nix-store-00000000000000000000000000000001\\x2dnixos\\x2dsystem\\x2dnas\\x2d26.05.service',
      'copy-cache@-other-store-00000000000000000000000000000002\\x2dmulti\\x2bdev_1.0.service',
    ],
  ])
  assert.deepEqual(lines, [
    `${JOB}: skipped output doc: Hydra knows no path of it`,
    `${JOB}: copying 2 outputs to the cache …`,
  ])
})

test('what systemctl says is shown, without its control characters', async t => {
  const { systemd, copy } = await scene(t, () => ({ unit: 'copy@.service' }))
  systemd.ends('control characters')
  const unit =
    'copy@-nix-store-00000000000000000000000000000001\\x2dnixos\\x2dsystem\\x2dnas\\x2d26.05.service'
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    'cannot copy to the cache: systemctl start ended with status 1',
    [`Failed to start \\u001b[31m${unit}\\u001b[0m`, `see journalctl -u '${unit}'`],
  )
})

test('the command that shows the journal can be pasted, also where systemctl names one that cannot', async t => {
  const { systemd, copy } = await scene(t, () => ({ unit: 'copy@.service' }))
  systemd.ends('failed')
  const unit =
    'copy@-nix-store-00000000000000000000000000000001\\x2dnixos\\x2dsystem\\x2dnas\\x2d26.05.service'
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    'cannot copy to the cache: systemctl start ended with status 1',
    [
      `Job for ${unit} failed because the control process exited with error code.`,
      `See "systemctl status ${unit}" and "journalctl -xeu ${unit}" for details.`,
      `see journalctl -u '${unit}'`,
    ],
  )
})

test('the longest unit name that systemd takes is taken, and one more names the path', async t => {
  const { systemd, copy } = await scene(t, () => ({ unit: 'c@.service' }))
  const named = (length: number) => `/nix/store/${'0'.repeat(32)}-${'n'.repeat(length)}`
  // "c@.service" 10, "/nix/store/" 11, the hash 32, the dash 4
  await copy([{ name: 'out', path: named(198) }])
  assert.equal(systemd.calls()[0]?.at(-1)?.length, 255)
  await rejects(
    copy([
      { name: 'out', path: OUT },
      { name: 'dev', path: named(199) },
    ]),
    `cannot copy ${named(199)}: its unit would have a name of 256 characters, and systemd takes 255`,
  )
})

test('only store paths are copied', async t => {
  const { systemd, copy } = await scene(t, () => ({ unit: 'copy@.service' }))
  for (const path of [
    '',
    'x',
    '/etc/passwd',
    `${OUT}/bin/sh`,
    `${OUT} --now`,
    `${OUT}\n`,
    `/nix/../${OUT}`,
    '--help',
  ]) {
    await rejects(copy([{ name: 'out', path }]), /is no store path, so it is not copied$/)
  }
  assert.deepEqual(systemd.calls(), [])
})

test('a path that the cache denies just after the copy is asked for again', async t => {
  const { cache, lines, copy } = await scene(t, url => ({ url: `${url}` }))
  cache.paths.add(OUT)
  cache.next.push(404, 403, 500, 404)
  await copy([{ name: 'out', path: OUT }])
  assert.deepEqual(cache.requests, Array(5).fill('GET /00000000000000000000000000000001.narinfo'))
  // once, however often it is looked at
  assert.deepEqual(lines, [
    `${JOB}: waiting for the cache to show ${OUT} …`,
    `${JOB}: saw 1 output at ${cache.url}`,
  ])
})

test('a path that the cache never has is an error after six looks', async t => {
  const { cache, copy } = await scene(t, url => ({ url }))
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    `the cache does not have ${OUT}: ${cache.url}/00000000000000000000000000000001.narinfo answers 404`,
  )
  assert.equal(cache.requests.length, 6)
})

test('a cache that refuses for good, or is no cache, is an error at once', async t => {
  const { cache, copy } = await scene(t, url => ({ url }))
  const table: [number | string, RegExp][] = [
    [`StorePath: ${OUT}-dev\n`, /narinfo is of \/nix\/store\/0{31}1-nixos-system-nas-26\.05-dev$/],
    ['<html>', /narinfo is no narinfo$/],
  ]
  for (const [answer, message] of table) {
    cache.next.push(answer)
    await rejects(copy([{ name: 'out', path: OUT }]), message)
  }
  assert.equal(cache.requests.length, table.length)
})

test('a cache that wants a login is an error at once, and nothing is copied that could not be seen', async t => {
  const { cache, systemd, copy, prover } = await scene(t, url => ({ unit: 'copy@.service', url }))
  cache.paths.add(OUT)
  cache.wants = 'nix:geheim'
  const narinfo = `${cache.url}/00000000000000000000000000000001.narinfo`
  const message = `the cache wants a login, so ${OUT} cannot be seen there: ${narinfo} answers 401`
  const hint = [
    'name a netrc file in cache.netrcFile that has the line: machine 127.0.0.1 login NAME password PASSWORD',
  ]
  const outputs = [{ name: 'out', path: OUT }]
  await rejects(prover()(outputs, NAS), message, hint)
  await rejects(copy(outputs, { mode: 'look' }), message, hint)
  assert.deepEqual(systemd.calls(), [])
  // the hook's own build is copied first, whatever the cache says
  await rejects(copy(outputs), message, hint)
  assert.equal(systemd.calls().length, 1)
  assert.equal(cache.requests.length, 3)
})

test('with the login of cache.netrcFile, the cache shows what it has', async t => {
  const { cache, lines, copy, prover, directory } = await scene(t, url => ({ url, netrcFile: 'netrc' }))
  writeFileSync(join(directory, 'netrc'), 'machine 127.0.0.1\n  login nix\n  password geheim\n')
  cache.paths.add(OUT)
  cache.wants = 'nix:geheim'
  const outputs = [{ name: 'out', path: OUT }]
  await copy(outputs)
  assert.equal(await prover()(outputs, NAS), 'seen')
  assert.deepEqual(cache.logins, ['nix:geheim', 'nix:geheim'])
  assert.deepEqual(lines, [`${JOB}: saw 1 output at ${cache.url}`, `${NAS}: saw 1 output at ${cache.url}`])
})

test('a login that the cache refuses is refused by name', async t => {
  const { cache, copy, directory } = await scene(t, url => ({ url, netrcFile: 'netrc' }))
  const file = join(directory, 'netrc')
  writeFileSync(file, 'default login nix password old')
  cache.wants = 'nix:geheim'
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    `the cache refuses the login in ${file} (cache.netrcFile), so ${OUT} cannot be seen there: ${cache.url}/00000000000000000000000000000001.narinfo answers 401`,
    ['correct the entry of 127.0.0.1 there'],
  )
})

test('the login does not follow a redirect to another address', async t => {
  const { cache, copy, directory } = await scene(t, url => ({ url, netrcFile: 'netrc' }))
  const other = await startCache()
  t.after(() => other.close())
  writeFileSync(join(directory, 'netrc'), 'machine 127.0.0.1 login nix password geheim')
  cache.movedTo = other.url
  other.paths.add(OUT)
  await copy([{ name: 'out', path: OUT }])
  assert.deepEqual([cache.logins, other.logins], [['nix:geheim'], [undefined]])

  other.wants = 'nix:geheim'
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    `the cache redirects to ${other.url}, which wants a login, so ${OUT} cannot be seen there: ${cache.url}/00000000000000000000000000000001.narinfo answers 401`,
    ['the login is sent to the host of cache.url alone: if the cache is there, correct cache.url'],
  )
})

test('a cache that cannot be reached is an error that says so', async t => {
  const { copy } = await scene(t, () => ({ url: 'http://127.0.0.1:1' }))
  await rejects(
    copy([{ name: 'out', path: OUT }]),
    /^cannot ask the cache for .*: connect ECONNREFUSED 127\.0\.0\.1:1 \(GET /,
  )
})

test('a proof by the URL alone needs no systemd', async t => {
  const { cache, systemd, copy } = await scene(t, url => ({ url }))
  cache.paths.add(OUT)
  await copy([{ name: 'out', path: OUT }], { env: { PATH: '/nonexistent' } })
  assert.deepEqual(systemd.calls(), [])
})

test('what the cache has already is not copied, and what several builds share is copied once', async t => {
  const { cache, systemd, lines, prover } = await scene(t, url => ({ unit: 'copy@.service', url }))
  cache.paths.add(OUT)
  const prove = prover()
  await prove([{ name: 'out', path: OUT }], NAS)
  assert.deepEqual(systemd.calls(), [])

  cache.next.push(404)
  cache.paths.add(DEV)
  await Promise.all([
    prove([{ name: 'dev', path: DEV }], NAS),
    prove(
      [
        { name: 'out', path: OUT },
        { name: 'dev', path: DEV },
      ],
      WEB,
    ),
  ])
  assert.equal(systemd.calls().length, 1)
  // said once, for whom it was begun
  assert.deepEqual(lines, [`${NAS}: saw 1 output at ${cache.url}`, `${NAS}: copying 1 output to the cache …`])
  assert.equal(cache.requests.filter(request => request.includes('00002')).length, 2)
})

test('a copy is said while it runs, once for all that is missing, and so is a wait for the cache', async t => {
  const { cache, systemd, lines, prover } = await scene(t, url => ({
    unit: 'copy@.service',
    url,
    parallel: 1,
  }))
  const outputs = [
    { name: 'out', path: OUT },
    { name: 'dev', path: DEV },
    { name: 'doc', path: DOC },
  ]
  for (const { path } of outputs) cache.paths.add(path)
  // OUT and DEV are missing, and OUT still is after its copy
  cache.next.push(404, 404, `StorePath: ${DOC}\n`, 404)
  const saidAt: number[] = []
  const { push } = lines
  lines.push = line => {
    saidAt.push(systemd.calls().length)
    return push.call(lines, line)
  }
  assert.equal(await prover()(outputs, NAS), 'copied')
  assert.deepEqual(
    [...lines],
    [`${NAS}: copying 2 outputs to the cache …`, `${NAS}: waiting for the cache to show ${OUT} …`],
  )
  assert.deepEqual([saidAt, systemd.calls().length], [[0, 1], 2])
})

test('what was copied for another channel of this run is not said again', async t => {
  const { lines, systemd, prover } = await scene(t, () => ({ unit: 'copy@.service' }))
  const prove = prover()
  assert.equal(await prove([{ name: 'out', path: OUT }], NAS), 'copied')
  assert.equal(await prove([{ name: 'out', path: OUT }], WEB), 'seen')
  assert.deepEqual(lines, [`${NAS}: copying 1 output to the cache …`])
  assert.equal(systemd.calls().length, 1)
})

test('a path that cannot be copied fails every build that needs it, and no other', async t => {
  const { systemd, prover } = await scene(t, () => ({ unit: 'copy@.service' }))
  systemd.ends('failed', '00002')
  const prove = prover()
  const [out, dev, both] = await Promise.allSettled([
    prove([{ name: 'out', path: OUT }], NAS),
    prove([{ name: 'dev', path: DEV }], NAS),
    prove(
      [
        { name: 'out', path: OUT },
        { name: 'dev', path: DEV },
      ],
      NAS,
    ),
  ])
  assert.deepEqual([out.status, dev.status, both.status], ['fulfilled', 'rejected', 'rejected'])
})

test('what waits for no copy has half a minute, however long a copy may take', () => {
  const config = { timeoutSeconds: 3600, parallel: 4 }
  assert.equal(answerSeconds({ config }), 30)
  assert.equal(answerSeconds({ config: { ...config, timeoutSeconds: 5 } }), 5)
})
