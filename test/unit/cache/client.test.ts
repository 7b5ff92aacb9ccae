// What the cache is asked with, and what a refusal says: to a fake http, with real netrc files.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { UsageError } from '../../../src/base/errors.ts'
import type { HttpRequest } from '../../../src/base/http.ts'
import { openCacheClient } from '../../../src/cache/client.ts'
import { findProblem } from '../../../src/cache/narinfo.ts'
import { findCacheClient } from '../../../src/cache/options.ts'
import { codesOnly } from '../../helpers/words.ts'

const directory = mkdtempSync(join(tmpdir(), 'hc-client-'))
after(() => rmSync(directory, { recursive: true }))

function keep(name: string, content: string): string {
  const file = join(directory, name)
  writeFileSync(file, content, { mode: 0o600 })
  return file
}

const NETRC = keep(
  'netrc',
  'machine cache.example.org login nix password geheim\nmachine fd00::1 password geheim',
)
const OTHER = keep('other', 'machine elsewhere.example.org login nix password geheim')
const LINK = join(directory, 'link')
symlinkSync(NETRC, LINK)
const URL_OF_CACHE = 'https://cache.example.org/main'
const HASH = '0'.repeat(32)
const PATH = `/nix/store/${HASH}-nixos-system-nas`
const LIMITS = { timeoutMs: 1000, maxBytes: 1000 }

/** Answers everything with a status, from another address if one is given. */
function answering(status: number, from?: string) {
  const sent: { url: string; request: HttpRequest }[] = []
  return {
    sent,
    http: {
      async fetch(url: string, request: HttpRequest) {
        sent.push({ url, request })
        return { status, url: from ?? url, headers: new Map(), text: async () => '' }
      },
      close() {},
    },
  }
}

interface Setup {
  url?: string
  netrcFile?: string | undefined
  env?: Record<string, string>
  status?: number
  from?: string
}

function clientOf({ url = URL_OF_CACHE, netrcFile, env = {}, status = 200, from }: Setup) {
  const { http, sent } = answering(status, from)
  return { client: openCacheClient({ url, netrcFile }, { http, env }), sent }
}

describe('a request', () => {
  const basic = (login: string) => ({ authorization: `Basic ${Buffer.from(login).toString('base64')}` })
  const SENT: { what: string; setup: Setup; headers: object | undefined }[] = [
    { what: 'has no login without a file', setup: {}, headers: undefined },
    { what: 'has the login of its host', setup: { netrcFile: NETRC }, headers: basic('nix:geheim') },
    { what: 'has no login of another host', setup: { netrcFile: OTHER }, headers: undefined },
    {
      what: 'has a token without a name',
      setup: { netrcFile: NETRC, url: 'http://[fd00::1]:8080' },
      headers: basic(':geheim'),
    },
    {
      what: 'has the login in UTF-8',
      setup: { netrcFile: keep('umlauts', 'default login jürgen password pässwörd') },
      headers: basic('jürgen:pässwörd'),
    },
    {
      what: 'has that of a file that systemd hands over',
      setup: { netrcFile: 'netrc', env: { CREDENTIALS_DIRECTORY: directory } },
      headers: basic('nix:geheim'),
    },
    {
      what: 'has that of a file that is a link, as secret stores make them',
      setup: { netrcFile: LINK },
      headers: basic('nix:geheim'),
    },
  ]
  for (const { what, setup, headers } of SENT) {
    test(what, async () => {
      const { client, sent } = clientOf(setup)
      await client.fetch('nix-cache-info', LIMITS)
      const url = `${setup.url ?? URL_OF_CACHE}/nix-cache-info`
      assert.deepEqual(sent, [{ url, request: { ...LIMITS, ...(headers && { headers }) } }])
    })
  }

  test('reads the file once, when it is sent', async () => {
    const file = keep('later', '')
    const { client, sent } = clientOf({ netrcFile: file })
    writeFileSync(file, 'default password eins')
    await client.fetch('a', LIMITS)
    writeFileSync(file, 'default password zwei')
    await client.fetch('b', LIMITS)
    assert.deepEqual(
      sent.map(({ request }) => request.headers),
      [basic(':eins'), basic(':eins')],
    )
  })

  test('is not there without cache.url', () => {
    const { http } = answering(200)
    assert.equal(findCacheClient({ parallel: 1, timeoutSeconds: 1 }, { http, env: {} }), undefined)
  })
})

describe('a cache that wants a login never “does not have” a path', () => {
  const S3 =
    'S3 answers so for what it does not have, too, if the bucket may not be listed: does the copy unit upload to this cache?'
  const LINE = 'machine cache.example.org login NAME password PASSWORD'
  const ELSEWHERE = 'https://login.example.org/?token=geheim'
  const REFUSED: { what: string; setup: Setup; why: string; hint: string[] }[] = [
    {
      what: 'without a file',
      setup: { status: 401 },
      why: 'wants a login',
      hint: [`name a netrc file in cache.netrcFile that has the line: ${LINE}`],
    },
    {
      what: 'without a file, 403',
      setup: { status: 403 },
      why: 'wants a login',
      hint: [`name a netrc file in cache.netrcFile that has the line: ${LINE}`, S3],
    },
    {
      what: 'with a file that has no login for it',
      setup: { status: 401, netrcFile: OTHER },
      why: `wants a login, and ${OTHER} (cache.netrcFile) has none for cache.example.org`,
      hint: [`add the line: ${LINE}`],
    },
    {
      what: 'with a login',
      setup: { status: 401, netrcFile: NETRC },
      why: `refuses the login in ${NETRC} (cache.netrcFile)`,
      hint: ['correct the entry of cache.example.org there'],
    },
    {
      what: 'with a login, 403',
      setup: { status: 403, netrcFile: NETRC },
      why: `refuses the login in ${NETRC} (cache.netrcFile)`,
      hint: ['correct the entry of cache.example.org there', S3],
    },
    {
      what: 'at another host, which the login is not sent to',
      setup: { status: 401, netrcFile: NETRC, from: ELSEWHERE },
      why: 'redirects to https://login.example.org, which wants a login',
      hint: ['the login is sent to the host of cache.url alone: if the cache is there, correct cache.url'],
    },
  ]
  for (const { what, setup, why, hint } of REFUSED) {
    test(`${what}: the cache ${why}`, async () => {
      const { client } = clientOf(setup)
      const problem = await findProblem(PATH, client)
      assert.equal(
        problem?.error.message,
        `the cache ${why}, so ${PATH} cannot be seen there: ${URL_OF_CACHE}/${HASH}.narinfo answers ${setup.status}`,
      )
      assert.deepEqual(problem.error.hint, hint)
      // a bucket that may not be listed may have the path a moment later
      const isS3 = setup.status === 403
      assert.deepEqual([problem.passing, problem.copying], isS3 ? ['maybe', 'worthwhile'] : ['no', 'useless'])
    })
  }

  for (const status of [200, 204, 302, 400, 404, 407, 410, 429, 500, 503]) {
    test(`${status} is about something else`, () => {
      const { client } = clientOf({})
      assert.equal(client.explainRefusal({ status, url: `${URL_OF_CACHE}/nix-cache-info` }), undefined)
    })
  }
})

describe('a file that cannot be used', () => {
  const CREDENTIALS_DIRECTORY = directory
  keep('missing', 'missing:/run/secrets/netrc')
  const none = join(directory, 'none')
  const folder = join(directory, 'folder')
  mkdirSync(folder)
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  const large = keep('large', ' '.repeat(64 * 1024 + 1))
  const quote = keep('quote', '# one\nmachine x login "geheim')
  const cannotRead = (file: string, why: string) =>
    `cannot read the cache's login in ${file} (cache.netrcFile): ${why}`
  const READABLE = 'let the user read it whom this runs as, or let systemd hand it over (LoadCredential=)'
  const MENDED = [
    'put the file with the login there, readable for root only: systemd reads it whenever it starts a unit, so the next reconcile has it',
    'if hook.mode is "inline", restart hydra-notify after that: it has what systemd read when hydra-notify was started',
  ]
  const BROKEN: { what: string; setup: Setup; message: string; hint: string[] }[] = [
    {
      what: 'is not there',
      setup: { netrcFile: none },
      message: cannotRead(none, `ENOENT '${none}'`),
      hint: [READABLE],
    },
    {
      what: 'is a folder',
      setup: { netrcFile: folder },
      message: cannotRead(folder, 'it is no regular file'),
      hint: [READABLE],
    },
    {
      what: 'is a pipe',
      setup: { netrcFile: pipe },
      message: cannotRead(pipe, 'it is no regular file'),
      hint: [READABLE],
    },
    {
      what: 'is too large',
      setup: { netrcFile: large },
      message: cannotRead(large, 'it is larger than 64 kB'),
      hint: [READABLE],
    },
    {
      what: 'is among no credentials',
      setup: { netrcFile: 'cache-netrc' },
      message:
        'cannot find the netrc file of the cache “cache-netrc” (cache.netrcFile): a relative path is looked up in $CREDENTIALS_DIRECTORY, which is not set',
      hint: ['give the unit LoadCredential=cache-netrc:/path/of/the/file, or configure an absolute path'],
    },
    {
      what: 'was not there for systemd',
      setup: {
        netrcFile: 'missing',
        env: { CREDENTIALS_DIRECTORY },
      },
      message:
        'there is no netrc file of the cache at /run/secrets/netrc: systemd could not read it when it started this unit',
      hint: MENDED,
    },
    {
      what: 'is no netrc file',
      setup: { netrcFile: quote },
      message: `${quote} (cache.netrcFile) is no netrc file: line 2: a quote has no end on its line`,
      hint: [],
    },
    ...[
      'machine cache.example.org login nix password geheim',
      '\n DEFAULT\tpassword geheim',
      '# my login\nmachine c login bob password geheim',
      'login bob password geheim',
      'PASSWORD geheim',
      'password\ngeheim',
    ].map(netrcFile => ({
      what: `is the login itself: ${JSON.stringify(netrcFile)}`,
      setup: { netrcFile },
      message: 'cache.netrcFile holds a login itself: expected the path of its file',
      hint: [],
    })),
    ...['bob\ngeheim', '/run/geheim\n'].map(netrcFile => ({
      what: `is no path: ${JSON.stringify(netrcFile)}`,
      setup: { netrcFile },
      message: 'cache.netrcFile is no path of a file: it has a line break or another control character in it',
      hint: [],
    })),
  ]
  for (const { what, setup, message, hint } of BROKEN) {
    test(`${what}: nothing is asked, and nothing of it is quoted`, async () => {
      const { client, sent } = clientOf(setup)
      for (const _ of [1, 2]) {
        const problem = await findProblem(PATH, client)
        const error = problem?.error
        assert.ok(error instanceof UsageError)
        assert.equal(codesOnly(error.message), message)
        assert.deepEqual(error.hint, hint)
        assert.deepEqual([problem?.passing, problem?.copying], ['no', 'useless'])
        assert.doesNotMatch([error.message, ...error.hint].join(), /geheim/)
      }
      assert.throws(() => client.readLogin(), UsageError)
      assert.deepEqual(sent, [])
    })
  }
})
