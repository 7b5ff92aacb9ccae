// What status asks of the cache, and until when: in this process, and nothing waits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Http, HttpRequest } from '../../../src/base/http.ts'
import { HttpError } from '../../../src/base/http-error.ts'
import type { Look } from '../../../src/base/output.ts'
import { openCacheClient } from '../../../src/cache/client.ts'
import { createLook } from '../../../src/cache/narinfo.ts'

const URL_OF_CACHE = 'https://cache.example.org'
const pathOf = (n: number) => `/nix/store/${String(n).padStart(32, '0')}-nixos-system-nas`
const outputsOf = (n: number) => [{ name: 'out', path: pathOf(n) }]

function createClock() {
  let elapsed = 0
  return {
    now: () => 0,
    elapsed: () => elapsed,
    tick(ms: number) {
      elapsed += ms
    },
  }
}

/** A cache that never answers: each question ends when its time is over, and only then does time pass. */
function silentCache() {
  const clock = createClock()
  const asked: { url: string; timeoutMs: number }[] = []
  return {
    clock,
    asked,
    http: {
      async fetch(url: string, { timeoutMs }: HttpRequest): Promise<never> {
        asked.push({ url, timeoutMs })
        clock.tick(timeoutMs)
        throw new HttpError(`no answer within ${timeoutMs / 1000} s`)
      },
      close() {},
    },
  }
}

const config = { parallel: 1 }
const clientOf = (http: Http) => openCacheClient({ url: URL_OF_CACHE }, { http, env: {} })

test('a silent cache is asked for ten seconds in all, and nothing is known of it then', async () => {
  const { clock, http, asked } = silentCache()
  const look = createLook(config, clientOf(http), clock)
  const looks: Look[] = []
  for (let n = 0; n < 5; n++) looks.push(await look(outputsOf(n)))
  assert.equal(clock.elapsed(), 10_000)
  assert.deepEqual(asked, [
    { url: `${URL_OF_CACHE}/${String(0).padStart(32, '0')}.narinfo`, timeoutMs: 10_000 },
  ])
  // that it did not answer in time is no fault of a channel
  assert.deepEqual(looks, Array(5).fill({ kind: 'silent' }))
})

test('as many at once as cache.parallel, all of a fleet within the same time', async () => {
  const { clock, http, asked } = silentCache()
  const look = createLook({ parallel: 4 }, clientOf(http), clock)
  const looks = await Promise.all(Array.from({ length: 50 }, (_, n) => look(outputsOf(n))))
  assert.ok(asked.length <= 4, `${asked.length}`)
  assert.ok(asked.every(({ timeoutMs }) => timeoutMs > 0 && timeoutMs <= 10_000))
  assert.ok(clock.elapsed() <= 4 * 10_000)
  assert.deepEqual(looks, Array(50).fill({ kind: 'silent' }))
})

test('what a slow cache said in time is said, and what it had no time for is not', async () => {
  const clock = createClock()
  const http = {
    async fetch(url: string) {
      clock.tick(4_000)
      return { status: 404, url, headers: new Map(), text: async () => '' }
    },
    close() {},
  }
  const look = createLook(config, clientOf(http), clock)
  const looks = [await look(outputsOf(0)), await look(outputsOf(1)), await look(outputsOf(2))]
  const problems = looks.map(each => (each.kind === 'missing' ? each.why : each.kind))
  assert.match(problems[0] ?? '', /^the cache does not have .* answers 404; does the copy unit upload/)
  assert.match(problems[1] ?? '', / answers 404; /)
  assert.equal(problems[2], 'silent')
})

test('what GitHub and the database take before the first look is not counted', async () => {
  const { clock, http, asked } = silentCache()
  const look = createLook(config, clientOf(http), clock)
  clock.tick(60_000)
  await look(outputsOf(0))
  assert.deepEqual(
    asked.map(({ timeoutMs }) => timeoutMs),
    [10_000],
  )
})

test('an output without a path is left out', async () => {
  const { clock, http, asked } = silentCache()
  const look = createLook(config, clientOf(http), clock)
  assert.deepEqual(await look([{ name: 'doc', path: null }]), { kind: 'seen' })
  assert.deepEqual(asked, [])
})

const [FIRST, SECOND] = [outputsOf(0), outputsOf(1)]
const firstHash = String(0).padStart(32, '0')

for (const [what, answer, isAway] of [
  ['404', { status: 404, body: '' }, false],
  ['410', { status: 410, body: '' }, false],
  ['a narinfo of another path', { status: 200, body: `StorePath: /nix/store/${firstHash}-other\n` }, false],
  ['a page', { status: 200, body: '<html>' }, true],
  ['503', { status: 503, body: '' }, true],
  ['429', { status: 429, body: '' }, true],
  ['401', { status: 401, body: '' }, true],
  // S3 says so of what it does not have, too
  ['403', { status: 403, body: '' }, true],
  ['no answer', undefined, true],
] as const) {
  test(`${what}: the cache ${isAway ? 'has said nothing of the path' : 'does not have it'}`, async () => {
    const http = {
      async fetch(url: string) {
        if (!answer) throw new Error('connection refused')
        return { status: answer.status, url, headers: new Map(), text: async () => answer.body }
      },
      close() {},
    }
    const looked = await createLook(config, clientOf(http), createClock())(FIRST)
    assert.deepEqual([looked.kind, 'away' in looked], ['missing', isAway])
  })
}

test('of two outputs, what the cache is sure of counts', async () => {
  const http = {
    fetch: async (url: string) => ({
      status: url.includes(firstHash) ? 503 : 404,
      ...{ url, headers: new Map(), text: async () => '' },
    }),
    close() {},
  }
  const looked = await createLook({ parallel: 2 }, clientOf(http), createClock())([...FIRST, ...SECOND])
  assert.deepEqual([looked.kind, 'away' in looked], ['missing', false])
})
