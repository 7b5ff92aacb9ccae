// create-app, with a browser that is played by hand; create-app-browser.test.ts has a real one.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { OperatorError, UsageError } from '../../src/base/errors.ts'
import { createHttp } from '../../src/base/http.ts'
import { webUrlOf } from '../../src/base/links.ts'
import { createLog } from '../../src/base/log.ts'
import { type CreateAppOptions, createApp, type Waits } from '../../src/setup/create-app.ts'
import { cleanEnvironment, keepLog, keepSecrets } from '../helpers/command.ts'
import { startGitHub, type TestGitHub } from '../helpers/github/github.ts'

const COMMAND = fileURLToPath(new URL('../../dist/hydra-channels.cjs', import.meta.url))
const NAME = 'hydra-channels-alice'
const KEY = `${NAME}.private-key.pem`
const LONG: Waits = { browserMs: 20_000, installationMs: 20_000, pollMs: 1, secondMs: 1 }

interface Scene {
  github: TestGitHub
  /** where the keys go */
  directory: string
}

async function sceneFor(t: TestContext): Promise<Scene> {
  const github = await startGitHub({ basePath: '/api/v3' })
  const directory = await mkdtemp(join(tmpdir(), 'hc-app-'))
  t.after(async () => {
    keepSecrets(github.secrets)
    await github.close()
    await rm(directory, { recursive: true, force: true })
    assert.deepEqual(github.violations, [])
  })
  return { github, directory }
}

interface Run {
  /** its output so far */
  said: string[]
  /** the address of the page */
  page: Promise<string>
  input: PassThrough
  ended: ReturnType<typeof createApp>
}

/** In this process; `onLine` is called with each line of its output. */
function run(
  { github, directory }: Scene,
  {
    name = NAME,
    waits = {},
    onLine,
    ...more
  }: Partial<Omit<CreateAppOptions, 'waits'>> & {
    name?: string
    waits?: Partial<Waits>
    onLine?: (line: string) => void
  } = {},
): Run {
  const said: string[] = []
  const http = createHttp({})
  const input = new PassThrough()
  let open = (_: string) => {}
  const page = new Promise<string>(resolve => {
    open = resolve
  })
  const log = createLog(text => {
    const line = text.trimEnd()
    said.push(line)
    onLine?.(line)
    const [, url] = /^open (\S+) in a browser/.exec(line) ?? []
    if (url) open(url)
  })
  const { apiUrl } = github
  const ended = createApp({
    registration: { webUrl: webUrlOf(apiUrl), owner: undefined, name },
    apiUrl,
    directory,
    http,
    log,
    report: error => log.line(error instanceof OperatorError ? error.message : `unexpected: ${error}`),
    input,
    waits: { ...LONG, ...waits },
    ...more,
  }).finally(() => {
    http.close()
    keepLog(`${said.join('\n')}\n`)
  })
  return { said, page, input, ended }
}

const ENTITY = /&(?:#(\d+)|(amp|lt|gt|quot));/g
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' }
const decoded = (html: string) =>
  html.replace(ENTITY, (_, code, name) => (code ? String.fromCharCode(Number(code)) : (ENTITIES[name] ?? '')))

/** The one form of a page: where it goes, and its fields. */
function formOf(html: string, at: string): { action: string; fields: URLSearchParams } {
  const [, action = ''] = /<form method="post" action="([^"]*)">/.exec(html) ?? []
  const inputs = [...html.matchAll(/<input [^>]*>/g)].map(([input]) => {
    const attribute = (name: string) => decoded(new RegExp(` ?${name}="([^"]*)"`).exec(input)?.[1] ?? '')
    return [attribute('name'), attribute('value')] as const
  })
  return {
    action: new URL(decoded(action), at).href,
    fields: new URLSearchParams(Object.fromEntries(inputs)),
  }
}

/** Presses the button, confirms at GitHub (under another name), and returns the address that GitHub sends the browser to. */
async function confirm(page: string, name?: string): Promise<string> {
  const start = formOf(await (await fetch(page)).text(), page)
  const asked = await fetch(start.action, { method: 'POST', body: start.fields })
  const confirmation = formOf(await asked.text(), start.action)
  if (name !== undefined) confirmation.fields.set('name', name)
  const answer = await fetch(confirmation.action, {
    method: 'POST',
    body: confirmation.fields,
    redirect: 'manual',
  })
  assert.equal(answer.status, 302)
  return answer.headers.get('location') ?? ''
}

const withParameter = (address: string, name: string, value: string | undefined) => {
  const url = new URL(address)
  if (value === undefined) url.searchParams.delete(name)
  else url.searchParams.set(name, value)
  return url.href
}

function assertNoSecret(github: TestGitHub, said: readonly string[]): void {
  const text = said.join('\n')
  assert.ok(github.secrets.length > 5)
  for (const secret of github.secrets) assert.ok(!text.includes(secret), text)
  assert.doesNotMatch(text, /PRIVATE KEY/)
}

test('creates the App, stores its key before anything is said of it, and waits for the installation', async t => {
  const scene = await sceneFor(t)
  const { github, directory } = scene
  const keyFile = join(directory, KEY)
  const early: string[] = []
  const it = run(scene, {
    onLine: line => {
      if (!existsSync(keyFile)) early.push(line)
    },
  })
  const page = await it.page
  const address = await confirm(page)
  github.fault({
    kind: 'hook',
    path: '/app/installations',
    skip: 2,
    run: async () => void (await github.createRepository('alice/dotfiles')),
  })
  const done = await fetch(address)
  assert.equal(done.status, 200)
  const html = await done.text()
  assert.match(html, /<h1>hydra-channels-alice is created<\/h1>/)
  assert.match(html, /<a href="https:\/\/github\.com\/apps\/hydra-channels-alice\/installations\/new">/)
  assert.equal(await it.ended, 'installed')

  const { host, port } = new URL(page)
  assert.deepEqual(it.said, [
    `open ${page} in a browser on this machine, and press the button there`,
    `from another machine: ssh -L ${port}:${host} THIS-MACHINE there first, and then the same address`,
    'if the browser ends at an address that it cannot open, paste that address here',
    'created the GitHub App hydra-channels-alice of alice',
    `its private key is in ${keyFile}, which only this user can read; GitHub keeps no copy`,
    'for the configuration:',
    `"github": { "appId": "${github.app.clientId}", "privateKeyFile": "${keyFile}", "apiUrl": "${github.apiUrl}" }`,
    "now install it, on the flake's repository only: https://github.com/apps/hydra-channels-alice/installations/new",
    'waiting for that, at most 1 minute (Enter: do not wait)',
    "installed on alice, for all repositories: the flake's would be enough",
  ])
  assert.deepEqual(early, it.said.slice(0, 3))
  assert.deepEqual(readdirSync(directory), [KEY])
  assert.equal(statSync(keyFile).mode & 0o7777, 0o600)
  assert.equal(readFileSync(keyFile, 'utf8'), github.app.privateKeyPem)
  assert.deepEqual(github.creations[0]?.manifest, {
    name: NAME,
    url: 'https://github.com/NixOS/hydra',
    redirect_url: `http://${host}/created`,
    public: false,
    default_permissions: { contents: 'write', workflows: 'write', metadata: 'read' },
  })
  assertNoSecret(github, [...it.said, html])
  await assert.rejects(fetch(page), 'the page ends after use')
})

test('the page can do nothing but be posted to GitHub, and only its own address serves it', async t => {
  const scene = await sceneFor(t)
  const it = run(scene, { name: '"><script>alert(1)</script>&' })
  const page = await it.page
  const { origin, host, port } = new URL(page)
  const answer = await fetch(page)
  const html = await answer.text()
  assert.doesNotMatch(html, /<script>/)
  assert.equal(
    JSON.parse(formOf(html, page).fields.get('manifest') ?? '').name,
    '"><script>alert(1)</script>&',
  )
  const policy = answer.headers.get('content-security-policy') ?? ''
  assert.deepEqual(policy.replace(/sha256-[^']+/, 'sha256-…').split('; '), [
    "default-src 'none'",
    "style-src 'sha256-…'",
    `form-action ${new URL(scene.github.apiUrl).origin}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ])
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(answer.headers.get('referrer-policy'), 'strict-origin')

  for (const path of ['/', '/favicon.ico', `${new URL(page).pathname}/`, '//created', '/created/..']) {
    assert.equal((await fetch(`${origin}${path}`)).status, 404, path)
  }
  assert.equal((await fetch(page, { method: 'POST' })).status, 405)
  for (const name of [`localhost:${port}`, 'evil.example', `evil.example:${port}`, '127.0.0.1']) {
    assert.deepEqual(await getAs(page, name), { status: 403, leaks: false }, name)
  }
  assert.deepEqual(await getAs(page, host), { status: 200, leaks: true })

  it.input.write(`${await confirm(page, NAME)}\n`)
  await scene.github.createRepository('alice/dotfiles')
  assert.equal(await it.ended, 'installed')
})

/** With a Host header of its own, which `fetch` does not let one choose. */
async function getAs(url: string, host: string): Promise<{ status: number | undefined; leaks: boolean }> {
  const [response] = await once(request(url, { headers: { host } }).end(), 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, leaks: /state=/.test(text) }
}

test('an answer with another state, or with none, is refused, and the page stays for the right one', async t => {
  const scene = await sceneFor(t)
  const it = run(scene)
  const address = await confirm(await it.page)
  const wrong: [string, string | undefined, RegExp][] = [
    ['state', undefined, /an answer with no state was refused/],
    ['state', '', /an answer with another state was refused/],
    ['state', '0'.repeat(32), /an answer with another state was refused/],
    ['code', undefined, /an answer without a usable code was refused/],
    ['code', '../../user', /an answer without a usable code was refused/],
  ]
  for (const [name, value, message] of wrong) {
    const answer = await fetch(withParameter(address, name, value))
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), message)
    assert.match(it.said.at(-1) ?? '', message)
  }
  assert.deepEqual(scene.github.requests, ['GET /rate_limit'])

  let second: number | undefined
  scene.github.fault({
    kind: 'hook',
    path: '/conversions',
    run: async () => {
      second = (await fetch(address)).status
    },
  })
  await scene.github.createRepository('alice/dotfiles')
  assert.equal((await fetch(address)).status, 200)
  assert.equal(second, 410, 'the code is taken once')
  assert.equal(await it.ended, 'installed')
})

test('the address at which a browser elsewhere ended can be pasted', async t => {
  const scene = await sceneFor(t)
  const it = run(scene)
  const address = await confirm(await it.page)
  await scene.github.createRepository('alice/dotfiles')
  it.input.write('\nyes\n')
  it.input.write(`${withParameter(address, 'state', 'x')}\n`)
  it.input.write(`  ${address}\r\n`)
  assert.equal(await it.ended, 'installed')
  assert.deepEqual(it.said.slice(3, 6), [
    'that is no address',
    'an answer with another state was refused',
    'created the GitHub App hydra-channels-alice of alice',
  ])
  assertNoSecret(scene.github, it.said)
})

test('Enter ends the wait for the installation', async t => {
  const scene = await sceneFor(t)
  const it = run(scene, {
    onLine: line => {
      if (line.startsWith('waiting')) it.input.write('what?\n\n')
    },
  })
  assert.equal((await fetch(await confirm(await it.page))).status, 200)
  assert.equal(await it.ended, 'not awaited')
  assert.equal(it.said.at(-1), 'not waiting: the App works once it is installed')
})

test('an outage during the wait is waited out', async t => {
  const scene = await sceneFor(t)
  const { github } = scene
  const it = run(scene)
  await github.createRepository('alice/dotfiles')
  github.fault({ kind: 'status', status: 502, path: '/app/installations', times: 6 })
  github.fault({ kind: 'status', status: 401, path: '/app/installations', times: 2 })
  await fetch(await confirm(await it.page))
  assert.equal(await it.ended, 'installed')
})

test('the waits are bounded', async t => {
  const scene = await sceneFor(t)
  const nobody = run(scene, { waits: { browserMs: 1 } })
  await assert.rejects(nobody.ended, /^OperatorError: GitHub did not send the browser back within 1 minute$/)
  await assert.rejects(fetch(await nobody.page))

  scene.github.fault({ kind: 'status', status: 403, path: '/app/installations', times: Infinity })
  const late = run(scene, { waits: { installationMs: 3_000 } })
  await fetch(await confirm(await late.page))
  await assert.rejects(
    late.ended,
    /^OperatorError: the App was not installed within 1 minute \(the last time, GitHub could not be asked: GitHub answered 403: Forbidden\), but its key is stored$/,
  )
  assert.deepEqual(readdirSync(scene.directory), [KEY])
})

const LOST = 'cannot get the key of the new App: '
const UNKNOWN_CODE = `${LOST}GitHub does not take the code that the browser brought back`

/** What can become of the conversion, and the message. */
const CONVERSIONS: [string, (github: TestGitHub) => void, string][] = [
  [
    'a code that was used or has expired',
    github =>
      github.fault({ kind: 'status', status: 404, body: { message: 'Not Found' }, path: '/conversions' }),
    `${UNKNOWN_CODE} (GitHub answered 404: Not Found): it works once, and for an hour`,
  ],
  [
    'a code that is refused',
    github =>
      github.fault({
        kind: 'status',
        status: 422,
        body: { message: 'Validation Failed' },
        path: '/conversions',
      }),
    `${UNKNOWN_CODE} (GitHub answered 422: Validation Failed): it works once, and for an hour`,
  ],
  [
    'an answer that was lost on its way, so that the code is used up',
    github => github.fault({ kind: 'drop', when: 'after', path: '/conversions' }),
    `${UNKNOWN_CODE} (GitHub answered 404: Not Found): it works once, and for an hour`,
  ],
  [
    'GitHub out of order',
    github => github.fault({ kind: 'status', status: 503, path: '/conversions', times: Infinity }),
    `${LOST}GitHub answered 503: Service Unavailable`,
  ],
  [
    'no GitHub',
    github => github.fault({ kind: 'drop', when: 'before', path: '/conversions', times: Infinity }),
    `${LOST}the connection was closed before an answer`,
  ],
  [
    'a rate limit',
    github =>
      github.fault({
        kind: 'status',
        status: 429,
        headers: { 'retry-after': '1000000' },
        path: '/conversions',
      }),
    `${LOST}GitHub's rate limit is reached (Too Many Requests): it asks to wait 1000000 s, longer than the time left`,
  ],
  [
    'half a key',
    github => answerWith(github, { pem: github.app.privateKeyPem.slice(0, 900) }),
    `${LOST}GitHub's answer has no usable pem in it`,
  ],
  [
    'no key',
    github => answerWith(github, { pem: undefined }),
    `${LOST}GitHub's answer has no usable pem in it`,
  ],
  [
    'a name that is no file name',
    github => answerWith(github, { slug: '../x', client_id: '' }),
    `${LOST}GitHub's answer has no usable client_id, slug in it`,
  ],
  [
    'an answer of another kind',
    github => github.fault({ kind: 'status', status: 200, body: [], path: '/conversions' }),
    `${LOST}GitHub's answer has no usable App in it`,
  ],
]

function answerWith(github: TestGitHub, spoilt: Record<string, unknown>): void {
  const body = {
    client_id: github.app.clientId,
    slug: NAME,
    name: NAME,
    html_url: `https://github.com/apps/${NAME}`,
    owner: { login: 'alice' },
    pem: github.app.privateKeyPem,
    ...spoilt,
  }
  github.fault({ kind: 'status', status: 201, body, path: '/conversions' })
}

for (const [what, spoil, message] of CONVERSIONS) {
  test(`${what}: said in the terminal and in the browser, and nothing is stored`, async t => {
    const scene = await sceneFor(t)
    const it = run(scene)
    const failed = assert.rejects(it.ended, (error: unknown) => {
      assert.ok(error instanceof OperatorError)
      assert.equal(error.message, message)
      const apps = `${new URL(scene.github.apiUrl).origin}/settings/apps`
      assert.equal(
        error.hint[0],
        `the App may be there all the same: delete it at ${apps}, and run this again`,
      )
      assertNoSecret(scene.github, [`${error.stack} ${JSON.stringify(error.cause)}`])
      return true
    })
    const address = await confirm(await it.page)
    spoil(scene.github)
    const answer = await fetch(address)
    assert.equal(answer.status, 500)
    const html = decoded(await answer.text())
    assert.ok(html.includes(message), html)
    await failed
    assert.deepEqual(readdirSync(scene.directory), [])
    assertNoSecret(scene.github, [...it.said, html])
  })
}

/** As root, every folder is writable but those of the kernel. */
const unwritable = (directory: string) => {
  if (process.geteuid?.() === 0) return '/proc'
  mkdirSync(join(directory, 'locked'), { mode: 0o500 })
  return join(directory, 'locked')
}

const FOLDERS: [string, (directory: string) => string, RegExp][] = [
  [
    'is missing',
    directory => join(directory, 'missing'),
    /^cannot store a private key in \S+\/missing: ENOENT/,
  ],
  ['is not writable', unwritable, /^cannot store a private key in \S+: E\w+: /],
  [
    'is a file',
    directory => {
      writeFileSync(join(directory, 'file'), '')
      return join(directory, 'file')
    },
    /^cannot store a private key in \S+\/file: ENOTDIR/,
  ],
  [
    'has the file already',
    directory => {
      writeFileSync(join(directory, KEY), 'mine')
      return directory
    },
    /hydra-channels-alice\.private-key\.pem exists already: it may be the key of an App of this name$/,
  ],
]

for (const [what, prepare, message] of FOLDERS) {
  test(`a folder that ${what} is noticed before the browser is sent away`, async t => {
    const scene = await sceneFor(t)
    const directory = prepare(scene.directory)
    const it = run(scene, { directory })
    await assert.rejects(it.ended, (error: unknown) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, message)
      return true
    })
    assert.deepEqual(it.said, [])
    assert.deepEqual(scene.github.requests, [])
  })
}

test('a GitHub that cannot be asked is noticed before the browser is sent away', async t => {
  const scene = await sceneFor(t)
  const away = run(scene, { apiUrl: 'http://127.0.0.1:1/api/v3' })
  await assert.rejects(
    away.ended,
    /^OperatorError: GitHub could not be asked at http:\/\/127\.0\.0\.1:1\/api\/v3: connect ECONNREFUSED/,
  )
  scene.github.fault({ kind: 'status', status: 404, body: '<h1>No API here</h1>', times: Infinity })
  const page = run(scene)
  await assert.rejects(page.ended, /: the answer \(status 404\) is not JSON$/)
  assert.deepEqual([...away.said, ...page.said], [])
})

test('a name whose file is there is not overwritten, and a link of it not followed', async t => {
  const scene = await sceneFor(t)
  const { directory, github } = scene
  const elsewhere = join(directory, 'elsewhere')
  writeFileSync(join(directory, 'taken.private-key.pem'), 'mine')
  symlinkSync(elsewhere, join(directory, 'linked.private-key.pem'))
  await github.createRepository('alice/dotfiles')
  for (const name of ['taken', 'linked']) {
    const it = run(scene)
    await fetch(await confirm(await it.page, name))
    assert.equal(await it.ended, 'installed')
    const keyFile = join(directory, `${name}.${github.app.clientId}.private-key.pem`)
    assert.equal(readFileSync(keyFile, 'utf8'), github.app.privateKeyPem)
    assert.ok(it.said.some(line => line.startsWith(`its private key is in ${keyFile},`)))
  }
  assert.equal(readFileSync(join(directory, 'taken.private-key.pem'), 'utf8'), 'mine')
  assert.equal(existsSync(elsewhere), false)
})

test('a folder that goes away in between: the App is there without its key, and that is said', async t => {
  const scene = await sceneFor(t)
  const directory = join(scene.directory, 'short-lived')
  mkdirSync(directory)
  const it = run(scene, { directory })
  const failed = assert.rejects(
    it.ended,
    /^OperatorError: cannot store the key of the new App in \S+\/short-lived: ENOENT/,
  )
  const address = await confirm(await it.page)
  rmSync(directory, { recursive: true })
  assert.equal((await fetch(address)).status, 500)
  await failed
  assertNoSecret(scene.github, it.said)
})

// The built command

interface Spawned {
  child: ChildProcess
  said: string[]
  page: Promise<string>
  status: Promise<number | NodeJS.Signals>
}

function spawnCommand(args: string[], cwd = '/'): Spawned {
  const child = spawn(process.execPath, [COMMAND, 'create-app', ...args], { cwd, env: cleanEnvironment() })
  const said: string[] = []
  const page = new Promise<string>(resolve => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', line => {
        said.push(line)
        const [, url] = /^open (\S+) in a browser/.exec(line) ?? []
        if (url) resolve(url)
      })
    }
  })
  const status = once(child, 'close').then(([code, signal]) => {
    keepLog(`${said.join('\n')}\n`)
    return code ?? signal
  })
  return { child, said, page, status }
}

test('the command: by the browser, into the current directory', async t => {
  const { github, directory } = await sceneFor(t)
  const it = spawnCommand(['--name', NAME, '--owner', 'nix-org', '--api-url', github.apiUrl], directory)
  const address = await confirm(await it.page)
  await github.createRepository('nix-org/dotfiles')
  assert.equal((await fetch(address)).status, 200)
  assert.equal(await it.status, 0)
  assert.equal(it.said.at(-7), 'created the GitHub App hydra-channels-alice of nix-org')
  assert.equal(it.said.at(-1), "installed on nix-org, for all repositories: the flake's would be enough")
  assert.equal(statSync(join(directory, KEY)).mode & 0o7777, 0o600)
  assertNoSecret(github, it.said)
})

test('the command: by an address that is pasted', async t => {
  const { github, directory } = await sceneFor(t)
  const it = spawnCommand(['--output', directory, '--api-url', github.apiUrl])
  const address = await confirm(await it.page)
  assert.match(github.creations[0]?.name ?? '', /^hydra-channels-[0-9a-f]{4}$/)
  await github.createRepository('alice/dotfiles')
  it.child.stdin?.end(`${withParameter(address, 'state', 'x')}\n${address}\n`)
  assert.equal(await it.status, 0, it.said.join('\n'))
  assert.ok(it.said.includes('an answer with another state was refused'))
  assert.equal(readdirSync(directory).length, 1)
  assertNoSecret(github, it.said)
})

test('the command: a code that is used twice, exit 1', async t => {
  const { github, directory } = await sceneFor(t)
  const it = spawnCommand(['--output', directory, '--api-url', github.apiUrl])
  const address = await confirm(await it.page)
  github.strictClient = false
  const code = new URL(address).searchParams.get('code')
  assert.equal(
    (await fetch(`${github.apiUrl}/app-manifests/${code}/conversions`, { method: 'POST' })).status,
    201,
  )
  assert.equal((await fetch(address)).status, 500)
  assert.equal(await it.status, 1)
  assert.deepEqual(it.said.slice(3), [
    `${UNKNOWN_CODE} (GitHub answered 404: Not Found): it works once, and for an hour`,
    `the App may be there all the same: delete it at ${new URL(github.apiUrl).origin}/settings/apps, and run this again`,
    'or make a private key on its page there; hydra-channels create-app --manual says what to do with it',
  ])
  assert.deepEqual(readdirSync(directory), [])
})

test('the command: Ctrl-C ends it and leaves nothing behind', async t => {
  const { github, directory } = await sceneFor(t)
  const it = spawnCommand(['--output', directory, '--api-url', github.apiUrl])
  await it.page
  it.child.kill('SIGINT')
  assert.equal(await it.status, 'SIGINT')
  assert.deepEqual(readdirSync(directory), [])
})

test('--manual says what to enter, and creates nothing', async () => {
  const it = spawnCommand(['--manual', '--owner', 'nix-org', '--name', 'our channels'])
  assert.equal(await it.status, 0)
  assert.deepEqual(it.said, [
    '1. open https://github.com/organizations/nix-org/settings/apps/new?name=our+channels&url=https%3A%2F%2Fgithub.com%2FNixOS%2Fhydra&public=false&webhook_active=false&contents=write&workflows=write&metadata=read',
    '   and see that the form says:',
    '     GitHub App name: our channels (any that is free)',
    '     Homepage URL: https://github.com/NixOS/hydra (any)',
    '     Webhook: not Active',
    '     Repository permissions: Contents: Read and write; Workflows: Read and write; Metadata: Read-only',
    '     Where can this GitHub App be installed: Only on this account',
    '2. create the App; its page shows the Client ID, which is github.appId of the configuration',
    '3. there: Private keys, Generate a private key; move the .pem file to this machine, chmod 600,',
    '   and delete the download; its path on this machine is github.privateKeyFile',
    "4. there: Install App, on the flake's repository only",
    "the App's page is listed at https://github.com/organizations/nix-org/settings/apps",
  ])
})

const BAD: [string[], string][] = [
  [['alice'], 'expected options only, but got “alice”'],
  [['--org', 'x'], 'there is no option --org'],
  [['--owner', 'a/b'], '--owner “a/b” cannot be used: an owner has letters, digits and “-”'],
  [['--owner', ''], '--owner needs a value: --owner ORG'],
  [['--name', ' '], '--name “ ” cannot be used: the name of an App has 1 to 34 characters'],
  [['--name', 'x'.repeat(35)], `--name “${'x'.repeat(35)}” cannot be used: the name of an App has 1 to 34`],
  [['--name', 'a\u001b[31m'], '--name “a\\u001b[31m” cannot be used: the name of an App'],
  [['--api-url', 'http://github.example'], '--api-url cannot be used: expected an https URL'],
  [['--manual', '--api-url', 'x'], '--api-url cannot be used: expected a URL'],
  [['--output', '/nonexistent'], 'cannot store a private key in /nonexistent: ENOENT'],
]

for (const [args, message] of BAD) {
  test(`unusable: ${JSON.stringify(args)}, exit 2`, async () => {
    const it = spawnCommand(args)
    assert.equal(await it.status, 2)
    const [first = ''] = it.said
    assert.ok(first.startsWith(message), first)
  })
}
