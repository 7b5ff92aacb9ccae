import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { existsSync } from 'node:fs'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { until } from '../until.ts'
import { type GitHubOptions, startGitHub, type TestGitHub, type TestRepository } from './github.ts'

let github: TestGitHub
let repo: TestRepository

async function start(options?: GitHubOptions) {
  github = await startGitHub(options)
  github.strictClient = false
  repo = await github.createRepository('alice/dotfiles')
}

beforeEach(() => start())
afterEach(async () => {
  await github.close()
  assert.deepEqual(github.violations, [])
})

interface Call {
  token?: string
  body?: unknown
  headers?: Record<string, string>
  redirect?: 'manual'
}

async function call(method: string, path: string, { token, body, headers, redirect }: Call = {}) {
  const answer = await fetch(github.apiUrl + path, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
    ...(redirect && { redirect }),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.startsWith('application/json')
  // biome-ignore lint/suspicious/noExplicitAny: the shapes are checked by GitHub's schemas
  const json: any = isJson ? JSON.parse(text) : undefined
  return { status: answer.status, headers: answer.headers, text, json, message: json?.message }
}

function jwt(claims: Record<string, unknown> = {}, key = github.app.privateKeyPem): string {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const payload = { iat: now - 30, exp: now + 500, iss: github.app.clientId, ...claims }
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(payload)}`
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), createPrivateKey(key)).toString('base64url')}`
}

async function newToken(body?: unknown) {
  const { json: installation } = await call('GET', `/repos/${repo.fullName}/installation`, { token: jwt() })
  const path = `/app/installations/${installation.id}/access_tokens`
  return call('POST', path, { token: jwt(), body })
}

const tokenOf = async (body?: unknown): Promise<string> => (await newToken(body)).json.token

const R = '/repos/alice/dotfiles'

describe('the App', () => {
  test('is shown to whoever signs with its key, by id or client id', async () => {
    assert.equal((await call('GET', '/app', { token: jwt() })).json.slug, github.app.slug)
    const byId = { iss: String(github.app.id) }
    assert.equal((await call('GET', '/app', { token: jwt(byId, github.app.privateKeyPkcs8Pem) })).status, 200)
  })

  test('refuses each JWT that is wrong with the message that says how', async () => {
    const now = Math.floor(Date.now() / 1000)
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const foreign = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    for (const [token, message] of [
      [jwt({}, foreign), 'A JSON web token could not be decoded'],
      [jwt({ iss: 'somebody' }), 'A JSON web token could not be decoded'],
      ['ghs_x', 'A JSON web token could not be decoded'],
      [jwt({ exp: now + 700 }), "'Expiration time' claim ('exp') is too far in the future"],
      [jwt({ exp: now - 1 }), /^'Expiration time' claim \('exp'\) must be a numeric value/],
      [jwt({ iat: now + 30 }), /^'Issued at' claim \('iat'\) must be an Integer/],
    ] as const) {
      const answer = await call('GET', '/app', { token })
      assert.equal(answer.status, 401)
      if (typeof message === 'string') assert.equal(answer.message, message)
      else assert.match(answer.message, message)
    }
  })

  test('goes by its own clock and shows it', async () => {
    await github.close()
    await start({ clockSkewSeconds: -300 })
    const answer = await call('GET', '/app', { token: jwt() })
    assert.equal(answer.status, 401)
    const date = Date.parse(answer.headers.get('date') ?? '')
    assert.ok(Math.abs(date - (Date.now() - 300_000)) < 60_000)
  })
})

describe('an installation', () => {
  test('is found where the App is installed, and nowhere else', async () => {
    const found = await call('GET', `${R}/installation`, { token: jwt() })
    assert.deepEqual(found.json.permissions, { contents: 'write', workflows: 'write', metadata: 'read' })
    const byId = await call('GET', `/app/installations/${found.json.id}`, { token: jwt() })
    assert.deepEqual(byId.json, found.json)
    repo.installed = false
    assert.equal((await call('GET', `${R}/installation`, { token: jwt() })).status, 404)
    assert.equal((await call('GET', `/app/installations/${found.json.id}`, { token: jwt() })).status, 404)
  })

  test('hands out tokens, narrowed as asked', async () => {
    const wide = await newToken()
    assert.equal(wide.status, 201)
    assert.equal(wide.json.repositories, undefined)
    const narrow = await newToken({ repositories: ['dotfiles'], permissions: { contents: 'write' } })
    assert.deepEqual(narrow.json.permissions, { contents: 'write', metadata: 'read' })
    assert.equal(narrow.json.repository_selection, 'selected')
    assert.equal(narrow.json.repositories[0].full_name, 'alice/dotfiles')
    assert.match(narrow.json.token, /^ghs_\d+_eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.ok(Math.abs(narrow.json.token.length - 520) < 20)
    assert.ok(Math.abs(Date.parse(narrow.json.expires_at) - Date.now() - 3_600_000) < 60_000)
    assert.ok(github.secrets.includes(narrow.json.token))
  })

  test('refuses what it does not have', async () => {
    repo.permissions = { contents: 'write', metadata: 'read' }
    const permissions = await newToken({ permissions: { workflows: 'write' } })
    assert.equal(permissions.status, 422)
    assert.equal(permissions.message, 'The permissions requested are not granted to this installation.')
    const outside = await newToken({ repositories: ['secrets'] })
    assert.equal(outside.status, 422)
    assert.match(outside.message, /^There is at least one repository that does not exist/)
    repo.suspended = true
    const suspended = await newToken()
    assert.deepEqual([suspended.status, suspended.message], [403, 'This installation has been suspended'])
    const shown = await call('GET', `${R}/installation`, { token: jwt() })
    assert.notEqual(shown.json.suspended_at, null)
  })
})

describe('a token', () => {
  test('is refused when unknown, expired or revoked', async () => {
    const token = await tokenOf()
    assert.equal((await call('GET', R, { token })).status, 200)
    github.tokens.expireAll()
    const expired = await call('GET', R, { token })
    assert.deepEqual([expired.status, expired.message], [401, 'Bad credentials'])
    github.addToken('github_pat_1')
    assert.equal((await call('GET', R, { token: 'github_pat_1' })).status, 200)
    github.tokens.revokeAll()
    assert.equal((await call('GET', R, { token: 'github_pat_1' })).status, 401)
    assert.equal((await call('GET', R)).status, 401)
  })

  test('sees nothing of a repository that it is not for', async () => {
    await github.createRepository('alice/other')
    await github.createRepository('bob/dotfiles')
    const token = await tokenOf({ repositories: ['dotfiles'] })
    assert.equal((await call('GET', '/repos/Alice/Dotfiles', { token })).status, 200)
    for (const path of ['/repos/alice/other', '/repos/bob/dotfiles', '/repos/alice/nothing']) {
      const answer = await call('GET', path, { token })
      assert.deepEqual([answer.status, answer.message], [404, 'Not Found'])
    }
  })

  // main: c1 - c2
  test('needs contents, and hears which', async () => {
    const [c1 = '', c2 = ''] = await repo.history(2)
    await repo.setBranch('main', c1)
    const none = await tokenOf({ permissions: { metadata: 'read' } })
    const read = await tokenOf({ permissions: { contents: 'read' } })
    const refused = await call('GET', `${R}/git/ref/heads/main`, { token: none })
    assert.deepEqual([refused.status, refused.message], [403, 'Resource not accessible by integration'])
    assert.equal(refused.headers.get('x-accepted-github-permissions'), 'contents=read')
    assert.equal((await call('GET', `${R}/git/ref/heads/main`, { token: read })).status, 200)
    const write = await call('PATCH', `${R}/git/refs/heads/main`, { token: read, body: { sha: c2 } })
    assert.equal(write.headers.get('x-accepted-github-permissions'), 'contents=write')
    assert.deepEqual(github.records.at(-1)?.tokenPermissions, { contents: 'read', metadata: 'read' })
  })
})

describe('with a token', () => {
  let token: string
  beforeEach(async () => {
    token = await tokenOf()
    github.clearRequests()
  })

  const get = (path: string, headers?: Record<string, string>) =>
    call('GET', R + path, { token, ...(headers && { headers }) })
  const create = (branch: string, sha: string) =>
    call('POST', `${R}/git/refs`, { token, body: { ref: `refs/heads/${branch}`, sha } })
  const move = (branch: string, sha: string, force = false) =>
    call('PATCH', `${R}/git/refs/heads/${branch}`, { token, body: { sha, force } })
  const verdict = ({ status, message }: { status: number; message: string }) => [status, message]

  // main: c1 - c2 - c3 - c4     channel at c2; side: c2 - s1; alone: a1
  async function drawGraph() {
    const [c1 = '', c2 = '', c3 = '', c4 = ''] = await repo.history(4)
    const s1 = await repo.commit({ parents: [c2], files: { 'side/b.nix': '{ }\n' } })
    const a1 = await repo.commit({ files: { 'a.nix': '{ }\n' } })
    await repo.setBranch('main', c4)
    await repo.setBranch('channel', c2)
    return { c1, c2, c3, c4, s1, a1 }
  }

  test('commits are compared as git has them', async () => {
    const { c1, c2, c3, c4, s1, a1 } = await drawGraph()
    for (const [basehead, expected] of [
      [`refs%2Fheads%2Fchannel...${c4}`, ['ahead', 2, 0, c2]],
      [`channel...${c1}`, ['behind', 0, 1, c1]],
      [`${c2}...channel`, ['identical', 0, 0, c2]],
      [`${s1}...refs/heads/main`, ['diverged', 2, 1, c2]],
    ] as const) {
      const { status, json } = await get(`/compare/${basehead}`)
      assert.equal(status, 200)
      assert.deepEqual([json.status, json.ahead_by, json.behind_by, json.merge_base_commit.sha], expected)
    }
    const { json } = await get(`/compare/channel...${c4}`)
    assert.deepEqual(
      json.commits.map((commit: { sha: string }) => commit.sha),
      [c3, c4],
    )
    assert.deepEqual(
      json.files.map((file: { filename: string; status: string }) => [file.filename, file.status]),
      [['counter.txt', 'modified']],
    )
    const apart = await get(`/compare/main...${a1}`)
    assert.deepEqual(verdict(apart), [404, `No common ancestor between main and ${a1}.`])
    assert.deepEqual(verdict(await get(`/compare/nothing...${c1}`)), [404, 'Not Found'])
    assert.deepEqual(verdict(await get(`/compare/main...${'9'.repeat(40)}`)), [404, 'Not Found'])
  })

  // main: c1 - c2 - c3 - c4     tags light (c2) and heavy (c3)     pull request 7: c2 - s1     the branch v1 at c1, the tag v1 at c4
  test('both sides of a comparison may be any name', async () => {
    const { c1, c2, c3, c4, s1 } = await drawGraph()
    await repo.setTag('light', c2)
    await repo.setTag('heavy', c3, 'annotated')
    await repo.setPullRequest(7, s1)
    await repo.setBranch('v1', c1)
    await repo.setTag('v1', c4)
    const commits = { HEAD: c4, 'refs/heads/main': c4, 'refs/tags/light': c2, 'refs/tags/heavy': c3 }
    const more = { 'refs/pull/7/head': s1, 'refs/heads/v1': c1, 'refs/tags/v1': c4, [c3]: c3 }
    for (const [name, sha] of Object.entries({ ...commits, ...more })) {
      const { json: asBase } = await get(`/compare/${encodeURIComponent(name)}...${sha}`)
      assert.deepEqual([asBase.status, asBase.base_commit.sha], ['identical', sha], name)
      const { json: asHead } = await get(`/compare/${c1}...${encodeURIComponent(name)}`)
      assert.equal(asHead.merge_base_commit.sha, c1, name)
      assert.equal(asHead.ahead_by, [c1, c2, c3, c4].indexOf(sha) + (sha === s1 ? 3 : 0), name)
    }
    for (const name of ['refs/heads/light', 'refs/tags/main', 'refs/pull/8/head', 'refs/heads/HEAD']) {
      const answers = await Promise.all([get(`/compare/${c1}...${name}`), get(`/compare/${name}...${c1}`)])
      for (const answer of answers) assert.deepEqual(verdict(answer), [404, 'Not Found'], name)
    }
    assert.deepEqual(Object.keys(await repo.branches()), ['channel', 'main', 'v1'])
  })

  test('HEAD is the default branch, whatever that is called by now', async () => {
    const { c1, c3, c4, s1 } = await drawGraph()
    const statusOf = async (base: string) => (await get(`/compare/${base}...HEAD`)).json.status
    assert.equal(await statusOf(c3), 'ahead')
    await repo.renameDefaultBranch('trunk')
    assert.deepEqual([await statusOf(c4), await repo.branch('main')], ['identical', undefined])
    assert.equal((await get('')).json.default_branch, 'trunk')
    await repo.setBranch('other', s1)
    repo.defaultBranch = 'other'
    assert.deepEqual([await statusOf(s1), await statusOf(c3)], ['identical', 'diverged'])
    repo.defaultBranch = 'nothing'
    assert.deepEqual(verdict(await get(`/compare/${c1}...HEAD`)), [404, 'Not Found'])
  })

  // main: c1 - … - c7000     channel at c1
  test('a comparison is paged, and seven thousand commits are no burden', async () => {
    const commits = await repo.history(7000)
    const [first = ''] = commits
    const last = commits.at(-1) ?? ''
    await repo.setBranch('channel', first)
    const whole = (await get(`/compare/channel...${last}`)).json
    assert.deepEqual([whole.ahead_by, whole.commits.length, whole.commits[0].sha], [6999, 250, commits[1]])
    const second = (await get(`/compare/channel...${last}?per_page=1&page=2`)).json
    assert.equal(second.files, undefined)
    assert.deepEqual([second.status, second.ahead_by, second.commits.length], ['ahead', 6999, 1])
    assert.equal(second.commits[0].sha, commits[2])

    github.comparePageTwoWithoutStatus = true
    const short = (await get(`/compare/channel...${commits[1]}?per_page=1&page=2`)).json
    assert.deepEqual([short.status, short.ahead_by, short.commits], [undefined, 1, []])
  })

  test('a commit is found by branch or sha', async () => {
    const { c4, s1 } = await drawGraph()
    assert.equal((await get('/commits/main')).json.sha, c4)
    const side = (await get(`/commits/${s1}`)).json
    assert.deepEqual([side.files[0].filename, side.stats.additions], ['side/b.nix', 1])
    assert.equal((await get('/commits/main', { accept: 'application/vnd.github.sha' })).text, c4)
    const unknown = '9'.repeat(40)
    assert.deepEqual(verdict(await get(`/commits/${unknown}`)), [422, `No commit found for SHA: ${unknown}`])
  })

  test('refs are read one by one, exactly, or all with a prefix', async () => {
    const { c2 } = await drawGraph()
    await repo.setBranch('a/b#c', c2)
    assert.equal((await get('/git/ref/heads/a%2Fb%23c')).json.object.sha, c2)
    assert.equal((await get('/git/ref/heads/chan')).status, 404)
    assert.equal((await get('/git/ref/heads/a')).status, 404)
    const refs = (await get('/git/matching-refs/heads/cha')).json
    assert.deepEqual(
      refs.map(({ ref }: { ref: string }) => ref),
      ['refs/heads/channel'],
    )
    assert.deepEqual((await get('/git/matching-refs/heads/x')).json, [])
    assert.deepEqual(github.requests.slice(0, 2), [
      `GET ${R}/git/ref/heads/a/b#c`,
      `GET ${R}/git/ref/heads/chan`,
    ])
  })

  test('an empty repository is a conflict for refs, and compares as not found', async () => {
    const [c1 = ''] = await repo.history(1)
    const empty = [409, 'Git Repository is empty.']
    assert.deepEqual(verdict(await get('/git/ref/heads/main')), empty)
    assert.deepEqual(verdict(await get('/git/matching-refs/heads/')), empty)
    assert.deepEqual(verdict(await create('main', c1)), empty)
    assert.deepEqual(verdict(await move('main', c1)), empty)
    assert.deepEqual(verdict(await get(`/compare/main...${'1'.repeat(40)}`)), [404, 'Not Found'])
  })

  test('branches are created where there is room for them', async () => {
    const { c3 } = await drawGraph()
    const created = await create('new/one', c3)
    assert.deepEqual([created.status, created.json.object.sha], [201, c3])
    assert.equal(await repo.branch('new/one'), c3)
    assert.deepEqual(verdict(await create('new/one', c3)), [422, 'Reference already exists'])
    assert.deepEqual(verdict(await create('x', '9'.repeat(40))), [422, 'Object does not exist'])
    assert.deepEqual(verdict(await create('new', c3)), [422, 'Reference update failed'])
    assert.deepEqual(verdict(await create('new/one/more', c3)), [422, 'Reference update failed'])
    assert.deepEqual(verdict(await create('a..b', c3)), [422, 'refs/heads/a..b is not a valid ref name.'])
    assert.deepEqual(
      repo.moves.map(({ ref, from, to }) => ({ ref, from, to })),
      [{ ref: 'refs/heads/new/one', from: undefined, to: c3 }],
    )
  })

  test('branches move forwards only, unless forced', async () => {
    const { c1, c2, c3, c4, s1 } = await drawGraph()
    const moved = await move('channel', c3)
    assert.deepEqual([moved.status, moved.json.object.sha], [200, c3])
    assert.equal((await move('channel', c3)).status, 200)
    assert.deepEqual(verdict(await move('channel', c1)), [422, 'Update is not a fast forward'])
    assert.deepEqual(verdict(await move('channel', s1)), [422, 'Update is not a fast forward'])
    assert.deepEqual(verdict(await move('nothing', c1)), [422, 'Reference does not exist'])
    assert.deepEqual(verdict(await move('channel', '9'.repeat(40))), [422, 'Object does not exist'])
    assert.equal((await move('channel', s1, true)).status, 200)
    assert.deepEqual(
      repo.moves.map(({ from, to }) => [from, to]),
      [
        [c2, c3],
        [c3, s1],
      ],
    )
    assert.deepEqual(await repo.branches(), { channel: s1, main: c4 })
  })

  test('an archive and a protected branch stay as they are', async () => {
    const { c3 } = await drawGraph()
    repo.protect('chan*', 'Changes must be made through a pull request.')
    assert.deepEqual(verdict(await move('channel', c3)), [
      422,
      'Changes must be made through a pull request.',
    ])
    repo.archived = true
    assert.deepEqual(verdict(await create('x', c3)), [403, 'Repository was archived so is read-only.'])
    assert.equal((await get('')).json.archived, true)
  })

  // main: w1 - w2     w1 and w2 differ in a workflow; channel at c0, its parent
  test('a workflow that is on no branch tip needs a permission of its own', async () => {
    const workflow = (text: string) => ({ '.github/workflows/ci.yml': text })
    const c0 = await repo.commit()
    const w1 = await repo.commit({ parents: [c0], files: workflow('one') })
    const w2 = await repo.commit({ parents: [w1], files: workflow('two') })
    await repo.setBranch('main', w2)
    await repo.setBranch('channel', c0)
    const full = token
    token = await tokenOf({ permissions: { contents: 'write' } })
    const refused = await move('channel', w1)
    assert.deepEqual(verdict(refused), [403, 'Resource not accessible by integration'])
    assert.equal(refused.headers.get('x-accepted-github-permissions'), null)
    assert.equal((await move('channel', w2)).status, 200)
    token = full
    assert.equal((await create('older', w1)).status, 201)
  })

  test('a renamed repository is found behind a redirect', async () => {
    const { c2, c3 } = await drawGraph()
    repo.rename('alice/nixos')
    const manual = await call('GET', `${R}/compare/main...x%2Fy?page=2`, { token, redirect: 'manual' })
    const url = `${github.apiUrl}/repositories/${repo.id}/compare/main...x%2Fy?page=2`
    assert.equal(manual.status, 301)
    assert.equal(manual.headers.get('location'), url)
    assert.deepEqual([manual.message, manual.json.url], ['Moved Permanently', url])
    assert.equal((await get('')).json.full_name, 'alice/nixos')
    github.clearRequests()
    assert.equal((await move('channel', c3)).status, 200)
    assert.deepEqual(github.requests, [
      `PATCH ${R}/git/refs/heads/channel`,
      `PATCH /repositories/${repo.id}/git/refs/heads/channel`,
    ])
    assert.deepEqual(
      github.records.map(({ status }) => status),
      [307, 200],
    )
    assert.equal(repo.moves[0]?.from, c2)
    assert.equal((await call('GET', `${R}/installation`, { token: jwt() })).status, 200)
  })

  test('answers look like GitHub’s', async () => {
    await drawGraph()
    const { headers } = await get('/git/ref/heads/main', { 'accept-encoding': 'gzip' })
    assert.equal(headers.get('content-encoding'), 'gzip')
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
    for (const name of ['limit', 'remaining', 'reset', 'used', 'resource']) {
      assert.ok(headers.get(`x-ratelimit-${name}`))
    }
    assert.ok(headers.get('x-github-request-id'))
    const plain = await get('/git/ref/heads/main', { 'accept-encoding': 'identity' })
    assert.equal(plain.headers.get('content-encoding'), null)
  })

  test('faults come when they are asked for, and then no more', async () => {
    const { c3, c4 } = await drawGraph()
    github.fault({ kind: 'status', status: 500, path: '/git/ref/', skip: 1 })
    const statuses: number[] = []
    for (let n = 0; n < 3; n++) statuses.push((await get('/git/ref/heads/main')).status)
    assert.deepEqual(statuses, [200, 500, 200])

    github.fault({ kind: 'status', status: 429, body: 'slow down', headers: { 'Retry-After': '7' } })
    const limited = await get('')
    assert.deepEqual([limited.text, limited.headers.get('retry-after')], ['slow down', '7'])

    github.fault({ kind: 'drop', when: 'before', method: 'PATCH' })
    await assert.rejects(move('channel', c3), TypeError)
    assert.equal(repo.moves.length, 0)
    assert.equal(github.records.at(-1)?.status, undefined)

    github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    await assert.rejects(move('channel', c3), TypeError)
    assert.equal(await repo.branch('channel'), c3)

    github.fault({ kind: 'truncate', method: 'PATCH' })
    await assert.rejects(move('channel', c4), TypeError)
    assert.equal(await repo.branch('channel'), c4)

    github.fault({ kind: 'garbage', method: 'POST' })
    await assert.rejects(create('one', c3), SyntaxError)
    github.fault({ kind: 'html', path: /git\/refs$/ })
    assert.match((await create('two', c3)).text, /<html>/)
    assert.equal(await repo.branch('two'), c3)

    github.fault({ kind: 'redirect-loop', path: '/compare/' })
    await assert.rejects(get(`/compare/main...${c3}`), TypeError)
  })

  test('a hook runs while the request waits', async () => {
    const { c3, s1 } = await drawGraph()
    github.fault({ kind: 'hook', method: 'PATCH', run: () => repo.setBranch('channel', s1) })
    github.fault({ kind: 'delay', method: 'PATCH', ms: 1 })
    assert.deepEqual(verdict(await move('channel', c3)), [422, 'Update is not a fast forward'])
    assert.deepEqual(repo.moves, [])
  })

  test('a hook runs between the effect of a request and its answer, also where that is lost', async () => {
    const { c2, c3 } = await drawGraph()
    const rollBack = async () => {
      assert.equal(await repo.branch('channel'), c3)
      await repo.setBranch('channel', c2)
    }
    github.fault({ kind: 'hook', when: 'before the answer', method: 'PATCH', run: rollBack })
    github.fault({ kind: 'drop', when: 'after', method: 'PATCH' })
    await assert.rejects(move('channel', c3), TypeError)
    assert.equal(await repo.branch('channel'), c2)
    github.fault({ kind: 'hook', when: 'before the answer', method: 'PATCH', run: rollBack })
    assert.equal((await move('channel', c3)).status, 200)
    assert.equal(await repo.branch('channel'), c2)
  })

  test('a silent GitHub lets go when it closes, and leaves nothing behind', async () => {
    github.fault({ kind: 'silence' })
    github.fault({ kind: 'delay', ms: 60_000 })
    const silent = assert.rejects(get(''), TypeError)
    const delayed = assert.rejects(get('/git/ref/heads/main'), TypeError)
    await until('two requests are there', () => github.requests.length >= 2)
    await github.close()
    await Promise.all([silent, delayed])
    assert.equal(existsSync(repo.gitDir), false)
    await start()
  })

  // channel at c1     two writers: c2 and s2, both children of c1
  test('of two writers at once one wins', async () => {
    const c1 = await repo.commit()
    const c2 = await repo.commit({ parents: [c1] })
    const s2 = await repo.commit({ parents: [c1] })
    await repo.setBranch('channel', c1)
    const answers = await Promise.all([move('channel', c2), move('channel', s2)])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 422])
    assert.equal(repo.moves.length, 1)
    assert.equal(await repo.branch('channel'), repo.moves[0]?.to)
  })
})

test('everything can sit below a base path', async () => {
  await github.close()
  await start({ basePath: '/api/v3' })
  const token = await tokenOf()
  const { json } = await call('GET', R, { token })
  assert.equal(json.url, `${github.apiUrl}${R}`)
  assert.equal(github.requests.at(-1), `GET ${R}`)
})

test('what a client does wrong is written down', async () => {
  await call('GET', '/nowhere')
  const token = await tokenOf()
  github.strictClient = true
  const [c1 = ''] = await repo.history(1)
  await repo.setBranch('main', c1)
  await call('PATCH', `${R}/git/refs/heads/main`, { token, body: { sha: c1, force: 'no' } })
  assert.deepEqual(github.violations.splice(0), [
    'GET /nowhere: no such route',
    `PATCH ${R}/git/refs/heads/main: X-GitHub-Api-Version is undefined`,
    `PATCH ${R}/git/refs/heads/main: User-Agent is node`,
    'PATCH /repos/{owner}/{repo}/git/refs/{ref} request: /force must be boolean',
  ])
  const headers = { 'x-github-api-version': '2022-11-28', 'user-agent': 'hydra-channels/1.0.0' }
  assert.equal((await call('GET', R, { token, headers })).status, 200)
})

test('no secret is forgotten', async () => {
  const signed = jwt()
  await call('GET', '/app', { token: signed })
  assert.ok(github.secrets.includes(signed))
  const lines = github.app.privateKeyPem.split('\n').slice(1, 5)
  for (const line of lines) assert.ok(github.secrets.includes(line))
})

describe('activity', () => {
  test('each change of a branch, newest first, with who made it, and whether it was forced', async () => {
    const [c1 = '', c2 = ''] = await repo.history(2)
    const d1 = await repo.commit({ parents: [c1] })
    const token = await tokenOf()
    await repo.setBranches({ main: c2 })
    await call('POST', `${R}/git/refs`, { token, body: { ref: 'refs/heads/channel', sha: c1 } })
    await call('PATCH', `${R}/git/refs/heads/channel`, { token, body: { sha: c2, force: false } })
    repo.person = 'bob'
    await repo.setBranch('channel', d1)
    await repo.setBranch('channel', d1)
    await repo.deleteBranch('channel')
    const { json } = await call('GET', `${R}/activity?ref=refs/heads/channel`, { token })
    const none = '0'.repeat(40)
    const found: { activity_type: string; before: string; after: string; actor: { login: string } }[] = json
    assert.deepEqual(
      found.map(each => [each.activity_type, each.before, each.after, each.actor.login]),
      [
        ['branch_deletion', d1, none, 'bob'],
        ['force_push', c2, d1, 'bob'],
        ['push', c1, c2, 'hydra-channels-test[bot]'],
        ['branch_creation', none, c1, 'hydra-channels-test[bot]'],
      ],
    )
    const { json: all } = await call('GET', `${R}/activity`, { token })
    assert.equal(all.length, 5)
    // a page at a time
    const first = await call('GET', `${R}/activity?per_page=4`, { token })
    const [, next = ''] = /^<([^>]*)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
    const { json: rest, headers } = await call('GET', next.slice(github.apiUrl.length), { token })
    assert.deepEqual([first.json.length, rest.length, headers.get('link')], [4, 1, null])
  })
})
