import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createAppAuth } from '@octokit/auth-app'
import { Octokit } from '@octokit/rest'
import { git } from './git-graph.ts'
import {
  type GitHubOptions,
  type Permissions,
  startGitHub,
  type TestGitHub,
  type TestRepository,
} from './github.ts'

const ZERO = '0'.repeat(40)
const UPDATE = 'mutation ($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }'
const REFS = `
  query ($owner: String!, $name: String!, $search: String, $head: String!, $after: String) {
    repository(owner: $owner, name: $name) {
      refs(refPrefix: "refs/heads/", query: $search, first: 100, after: $after) {
        nodes { name target { oid } compare(headRef: $head) { status aheadBy behindBy } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }`

interface Update {
  name: string
  beforeOid?: string
  afterOid: string
  force?: boolean
}

let github: TestGitHub
let repo: TestRepository
let repositoryId: string
let token: string

async function start(options?: GitHubOptions) {
  github = await startGitHub(options)
  github.strictClient = false
  repo = await github.createRepository('alice/dotfiles')
  await takeToken()
}

async function takeToken(permissions?: Permissions) {
  const auth = { appId: github.app.clientId, privateKey: github.app.privateKeyPem }
  const app = new Octokit({ authStrategy: createAppAuth, auth, baseUrl: github.apiUrl }).rest.apps
  const { data: installation } = await app.getRepoInstallation({ owner: 'alice', repo: 'dotfiles' })
  const { data } = await app.createInstallationAccessToken({
    installation_id: installation.id,
    repositories: ['dotfiles'],
    ...(permissions && { permissions }),
  })
  token = data.token
  repositoryId = data.repositories?.[0]?.node_id ?? ''
}

beforeEach(() => start())
afterEach(async () => {
  await github.close()
  assert.deepEqual(github.violations, [])
})

async function ask(query: string, variables: object, credentials = token) {
  const answer = await fetch(`${github.apiUrl}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credentials}` },
    body: JSON.stringify({ query, variables }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it expects
  return { status: answer.status, headers: answer.headers, json: (await answer.json()) as any }
}

const update = (...refUpdates: Update[]) => ask(UPDATE, { input: { repositoryId, refUpdates } })
const list = (head: string, variables: object = {}) =>
  ask(REFS, { owner: 'alice', name: 'dotfiles', head, ...variables })

const MOVED = { data: { updateRefs: { clientMutationId: null } } }

/** Asserts that the answer is the refusal, and that the branches are as they were. */
async function refuses(refUpdates: Update[], type: string, message: string | RegExp) {
  const before = await repo.branches()
  const { status, json } = await update(...refUpdates)
  assert.deepEqual([status, json.data, json.errors.length], [200, { updateRefs: null }, 1])
  const [error] = json.errors
  assert.deepEqual([error.type, error.path], [type, ['updateRefs']])
  if (typeof message === 'string') assert.equal(error.message, message)
  else assert.match(error.message, message)
  assert.deepEqual(await repo.branches(), before)
  assert.deepEqual(repo.moves, [])
}

// main: c1 - c2 - c3     one at c1, two at c2; side: c1 - s1; alone: a1
async function drawGraph() {
  const [c1 = '', c2 = '', c3 = ''] = await repo.history(3)
  const s1 = await repo.commit({ parents: [c1] })
  const a1 = await repo.commit()
  await repo.setBranch('main', c3)
  await repo.setBranch('one', c1)
  await repo.setBranch('two', c2)
  return { c1, c2, c3, s1, a1 }
}

describe('updateRefs', () => {
  test('moves all, and writes down each', async () => {
    const { c1, c2, c3 } = await drawGraph()
    const { json } = await update(
      { name: 'refs/heads/one', beforeOid: c1, afterOid: c3, force: false },
      { name: 'refs/heads/two', beforeOid: c2, afterOid: c3, force: false },
      { name: 'refs/heads/three', beforeOid: ZERO, afterOid: c1, force: false },
      { name: 'refs/heads/main', beforeOid: c3, afterOid: c3, force: false },
    )
    assert.deepEqual(json, MOVED)
    assert.deepEqual(await repo.branches(), { main: c3, one: c3, three: c1, two: c3 })
    assert.deepEqual(
      repo.moves.map(({ ref, from, to }) => [ref, from, to]),
      [
        ['refs/heads/one', c1, c3],
        ['refs/heads/two', c2, c3],
        ['refs/heads/three', undefined, c1],
      ],
    )
  })

  test('takes the input in parts too, and by any name', async () => {
    const { c1, c2 } = await drawGraph()
    const text = `mutation Move($id: ID!, $updates: [RefUpdate!]!) {
      moved: updateRefs(input: { repositoryId: $id, refUpdates: $updates, clientMutationId: "x" }) { clientMutationId }
    }`
    const updates = [{ name: 'refs/heads/one', beforeOid: c1, afterOid: c2 }]
    const { json } = await ask(text, { id: repositoryId, updates })
    assert.deepEqual(json, { data: { moved: { clientMutationId: 'x' } } })
    assert.equal(await repo.branch('one'), c2)
  })

  test('moves none when one is not where it was said to be', async () => {
    const { c1, c2, c3 } = await drawGraph()
    const fine = { name: 'refs/heads/one', beforeOid: c1, afterOid: c3, force: false }
    const stale = /^Expected refs\/heads\/\w+ to point to "[0-9a-f]{40}" but it did not/
    await refuses([fine, { name: 'refs/heads/two', beforeOid: c1, afterOid: c3 }], 'STALE_DATA', stale)
    await refuses([fine, { name: 'refs/heads/two', beforeOid: ZERO, afterOid: c2 }], 'STALE_DATA', stale)
    await refuses([fine, { name: 'refs/heads/gone', beforeOid: c1, afterOid: c2 }], 'STALE_DATA', stale)
  })

  test('moves none when one would not go forwards, unless that is forced', async () => {
    const { c1, c2, c3, s1, a1 } = await drawGraph()
    const fine = { name: 'refs/heads/one', beforeOid: c1, afterOid: c3 }
    for (const afterOid of [c1, s1, a1]) {
      const back = { name: 'refs/heads/two', beforeOid: c2, afterOid, force: false }
      await refuses([fine, back], 'UNPROCESSABLE', 'Update is not a fast forward')
    }
    const { json } = await update(fine, { name: 'refs/heads/two', beforeOid: c2, afterOid: s1, force: true })
    assert.deepEqual(json, MOVED)
    assert.equal(await repo.branch('two'), s1)
  })

  test('moves none when git or GitHub has no room for one', async () => {
    const { c1, c3 } = await drawGraph()
    const fine = { name: 'refs/heads/one', beforeOid: c1, afterOid: c3 }
    const created = (branch: string, afterOid = c3) => ({
      name: `refs/heads/${branch}`,
      beforeOid: ZERO,
      afterOid,
    })
    const failed = 'Reference update failed'
    await refuses([fine, created('two/more')], 'UNPROCESSABLE', failed)
    await refuses([fine, created('a'), created('a/b')], 'UNPROCESSABLE', failed)
    await refuses([fine, fine], 'UNPROCESSABLE', failed)
    await refuses([fine, created('a..b')], 'UNPROCESSABLE', failed)
    await refuses([fine, { name: 'x', afterOid: c3 }], 'UNPROCESSABLE', 'x is not a valid ref name.')
    await refuses([fine, created('x', '9'.repeat(40))], 'UNPROCESSABLE', 'Object does not exist')
  })

  test('moves none when one is protected, or the repository an archive', async () => {
    const { c1, c2, c3 } = await drawGraph()
    const fine = { name: 'refs/heads/one', beforeOid: c1, afterOid: c3 }
    repo.protect('tw*', 'Changes must be made through a pull request.')
    const guarded = { name: 'refs/heads/two', beforeOid: c2, afterOid: c3 }
    await refuses([fine, guarded], 'UNPROCESSABLE', 'Changes must be made through a pull request.')
    repo.archived = true
    await refuses([fine], 'FORBIDDEN', 'Repository was archived so is read-only.')
  })

  // main: c0 - w1 - w2     w1 and w2 differ in a workflow; one and two at c0
  test('moves none when one brings a workflow that is on no branch tip', async () => {
    const workflow = (text: string) => ({ '.github/workflows/ci.yml': text })
    const c0 = await repo.commit()
    const w1 = await repo.commit({ parents: [c0], files: workflow('one') })
    const w2 = await repo.commit({ parents: [w1], files: workflow('two') })
    await repo.setBranch('main', w2)
    await repo.setBranch('one', c0)
    await repo.setBranch('two', c0)
    const full = token
    await takeToken({ contents: 'write' })
    const fine = { name: 'refs/heads/one', beforeOid: c0, afterOid: w2 }
    const older = { name: 'refs/heads/two', beforeOid: c0, afterOid: w1 }
    await refuses([fine, older], 'FORBIDDEN', 'Resource not accessible by integration')
    assert.deepEqual((await update(fine)).json, MOVED)
    token = full
    assert.deepEqual((await update(older)).json, MOVED)
  })

  // one at c1     two writers: c2 and s1, both children of c1
  test('of two writers at once one wins', async () => {
    const { c1, c2, s1 } = await drawGraph()
    const race = (afterOid: string) => update({ name: 'refs/heads/one', beforeOid: c1, afterOid })
    const answers = await Promise.all([race(c2), race(s1)])
    assert.equal(answers.filter(({ json }) => json.errors).length, 1)
    assert.equal(repo.moves.length, 1)
    assert.equal(await repo.branch('one'), repo.moves[0]?.to)
  })

  // main: c1 - … - c3000     a hundred channels, at twelve commits of it
  test('a hundred refs move at once', async () => {
    const commits = await repo.history(3000)
    const last = commits.at(-1) ?? ''
    await repo.setBranch('main', last)
    const tips = Array.from(
      { length: 100 },
      (_, n) => [`channel-${n}`, commits[(n % 12) * 200] ?? ''] as const,
    )
    await repo.setBranches(Object.fromEntries(tips))
    const updates = tips.map(([branch, beforeOid]) => ({
      name: `refs/heads/${branch}`,
      beforeOid,
      afterOid: last,
      force: false,
    }))
    const { json } = await list(last, { search: 'channel-' })
    const { nodes, pageInfo } = json.data.repository.refs
    assert.deepEqual([nodes.length, pageInfo.hasNextPage], [100, false])
    assert.deepEqual(nodes[0].compare, { status: 'AHEAD', aheadBy: 2999, behindBy: 0 })
    assert.deepEqual((await update(...updates)).json, MOVED)
    assert.equal(repo.moves.length, 100)
  })
})

describe('the query of refs', () => {
  test('compares each with the head that it is asked for', async () => {
    const { c1, c2, c3, s1, a1 } = await drawGraph()
    await repo.setBranch('side', s1)
    await repo.setBranch('alone', a1)
    const { status, headers, json } = await list(c2)
    assert.deepEqual([status, headers.get('x-ratelimit-resource')], [200, 'graphql'])
    const { nodes, pageInfo } = json.data.repository.refs
    const node = (name: string, oid: string, ...compare: unknown[]) => {
      const [status, aheadBy, behindBy] = compare
      return { name, target: { oid }, compare: status ? { status, aheadBy, behindBy } : null }
    }
    assert.deepEqual(nodes, [
      node('alone', a1),
      node('main', c3, 'BEHIND', 0, 1),
      node('one', c1, 'AHEAD', 1, 0),
      node('side', s1, 'DIVERGED', 1, 1),
      node('two', c2, 'IDENTICAL', 0, 0),
    ])
    assert.equal(pageInfo.hasNextPage, false)
  })

  test('finds by any part of a name, and does not know every head', async () => {
    const { c1, c2 } = await drawGraph()
    const found = (await list('9'.repeat(40), { search: 'o' })).json.data.repository.refs.nodes
    assert.deepEqual(found, [
      { name: 'one', target: { oid: c1 }, compare: null },
      { name: 'two', target: { oid: c2 }, compare: null },
    ])
    assert.deepEqual((await list(c1, { search: 'x' })).json.data.repository.refs, {
      nodes: [],
      pageInfo: { hasNextPage: false, endCursor: null },
    })
  })

  test('goes on after a hundred', async () => {
    const [c1 = ''] = await repo.history(1)
    const branches = Array.from({ length: 101 }, (_, n) => [`channel-${n}`, c1])
    await repo.setBranches(Object.fromEntries(branches))
    const { refs: first } = (await list(c1)).json.data.repository
    assert.deepEqual([first.nodes.length, first.pageInfo.hasNextPage], [100, true])
    const { refs: second } = (await list(c1, { after: first.pageInfo.endCursor })).json.data.repository
    assert.deepEqual([second.nodes.length, second.pageInfo.hasNextPage], [1, false])
    assert.equal(second.nodes[0].name, 'channel-99')
  })
})

/** The fields of the repository, or the whole answer if it has errors. */
async function look(selection: string) {
  const { json } = await ask(`{ repository(owner: "alice", name: "dotfiles") { ${selection} } }`, {})
  return json.errors ? json : json.data.repository
}

describe('the query of one ref', () => {
  test('finds it by its name, or finds null', async () => {
    const { c1, c3 } = await drawGraph()
    const found = await look(`
      full: ref(qualifiedName: "refs/heads/one") { name prefix target { oid } }
      short: ref(qualifiedName: "one") { target { oid } }
      gone: ref(qualifiedName: "refs/heads/gone") { name target { oid } compare(headRef: "main") { status } }
      defaultBranchRef { name target { oid } }`)
    assert.deepEqual(found, {
      full: { name: 'one', prefix: 'refs/heads/', target: { oid: c1 } },
      short: { target: { oid: c1 } },
      gone: null,
      defaultBranchRef: { name: 'main', target: { oid: c3 } },
    })
    await repo.deleteBranch('main')
    assert.deepEqual(await look('defaultBranchRef { name }'), { defaultBranchRef: null })
  })

  // main: c1     the tag v1 has an object of its own, v2 has none
  test('tells of a commit what is not of every object', async () => {
    const c1 = await repo.commit({ date: Date.UTC(2026, 10, 24, 12) / 1000 })
    await repo.setBranch('main', c1)
    await repo.setTag('v1', c1, 'annotated')
    await repo.setTag('v2', c1)
    const v1 = (await git(repo.gitDir, ['rev-parse', 'v1'])).trim()
    const target =
      'target { oid ... on Tag { tagged: target { oid ... on Commit { committedDate } } } ... on Commit { committedDate } ... on Tree { oid } }'
    const found = await look(`
      main: ref(qualifiedName: "refs/heads/main") { ${target} }
      v1: ref(qualifiedName: "refs/tags/v1") { ${target} compare(headRef: "main") { status } }
      v2: ref(qualifiedName: "refs/tags/v2") { ${target} }`)
    const main = { oid: c1, committedDate: '2026-11-24T12:00:00Z' }
    assert.deepEqual(found, {
      main: { target: main },
      v1: { target: { oid: v1, tagged: main }, compare: { status: 'IDENTICAL' } },
      v2: { target: main },
    })
  })

  test('knows who may not push', async () => {
    await drawGraph()
    repo.protect('tw*', 'Changes must be made through a pull request.')
    const rule = 'refUpdateRule { viewerCanPush }'
    const found = await look(`
      one: ref(qualifiedName: "refs/heads/one") { ${rule} }
      two: ref(qualifiedName: "refs/heads/two") { ${rule} }`)
    assert.deepEqual(found, {
      one: { refUpdateRule: null },
      two: { refUpdateRule: { viewerCanPush: false } },
    })
  })

  // main: c1 - c2 - c3     two at c2; side: c1 - s1; alone: a1, with which nothing is shared
  test('compares it with a sha or with a name', async () => {
    const { c1, c2, c3, s1, a1 } = await drawGraph()
    await repo.setBranch('alone', a1)
    const rows: [string, ...unknown[]][] = [
      [c1, 'BEHIND', 0, 1],
      [c2, 'IDENTICAL', 0, 0],
      [c3, 'AHEAD', 1, 0],
      ['main', 'AHEAD', 1, 0],
      ['heads/main', 'AHEAD', 1, 0],
      ['refs/heads/main', 'AHEAD', 1, 0],
      // on no branch
      [s1, 'DIVERGED', 1, 1],
      [a1],
      ['alone'],
      ['9'.repeat(40)],
      ['gone'],
      ['refs/heads/gone'],
      ['main~1'],
      [''],
    ]
    const compares = rows.map(([head], n) => `c${n}: compare(headRef: "${head}") { status aheadBy behindBy }`)
    const { ref } = await look(`ref(qualifiedName: "refs/heads/two") { ${compares.join('\n')} }`)
    for (const [n, [head, status, aheadBy, behindBy]] of rows.entries()) {
      assert.deepEqual(ref[`c${n}`], status ? { status, aheadBy, behindBy } : null, `two...${head}`)
    }
  })

  // main: c1 - c2 - c3     one at c1
  test('names the first commit that a channel lacks', async () => {
    const { c1, c2, c3 } = await drawGraph()
    const commits = 'commits(first: 1) { totalCount nodes { oid committedDate } }'
    const found = await look(`
      one: ref(qualifiedName: "refs/heads/one") { compare(headRef: "refs/heads/main") { ${commits} } }
      main: ref(qualifiedName: "refs/heads/main") {
        target { oid ... on Commit { history(first: 2) { totalCount nodes { oid committedDate } } } }
        compare(headRef: "${c1}") { ${commits} }
      }`)
    const [second, third] = ['2023-11-14T22:15:20Z', '2023-11-14T22:16:20Z']
    assert.deepEqual(found.one.compare.commits, {
      totalCount: 2,
      nodes: [{ oid: c2, committedDate: second }],
    })
    assert.deepEqual(found.main.compare.commits, { totalCount: 0, nodes: [] })
    assert.deepEqual(found.main.target, {
      oid: c3,
      history: {
        totalCount: 3,
        nodes: [
          { oid: c3, committedDate: third },
          { oid: c2, committedDate: second },
        ],
      },
    })
  })

  // main: c1 - c2 - c3 - m1 - m2     m1 merges s2, m2 merges t2
  // side: c1 - s1 - s2     topic: s1 - t1 - t2     apart: c2 - x1
  test('has the commits of merges in the order of REST and of git', async () => {
    const [c1 = '', c2 = '', c3 = ''] = await repo.history(3)
    const [s1 = '', s2 = ''] = await repo.history(2, c1)
    const [t1 = '', t2 = ''] = await repo.history(2, s1)
    const m1 = await repo.commit({ parents: [c3, s2] })
    const m2 = await repo.commit({ parents: [m1, t2] })
    const x1 = await repo.commit({ parents: [c2] })
    const bases = [c1, c2, c3, s1, s2, t1, t2, m1, x1]
    await repo.setBranches({ main: m2, ...Object.fromEntries(bases.map((sha, n) => [`channel-${n}`, sha])) })
    const channels = bases.map(
      (_, n) =>
        `c${n}: ref(qualifiedName: "channel-${n}") { compare(headRef: "main") { commits(first: 100) { nodes { oid } } } }`,
    )
    const found = await look(`
      ${channels.join('\n')}
      defaultBranchRef { target { ... on Commit { history(first: 100) { nodes { oid } } } } }`)
    const log = await git(repo.gitDir, ['log', '--format=%H', 'main'])
    const { history } = found.defaultBranchRef.target
    assert.deepEqual(
      history.nodes.map(({ oid }: { oid: string }) => oid),
      log.trim().split('\n'),
    )
    const rest = new Octokit({ auth: token, baseUrl: github.apiUrl }).rest.repos
    for (const n of bases.keys()) {
      const basehead = `channel-${n}...main`
      const { data } = await rest.compareCommitsWithBasehead({ owner: 'alice', repo: 'dotfiles', basehead })
      assert.deepEqual(
        found[`c${n}`].compare.commits.nodes,
        data.commits.map(({ sha }) => ({ oid: sha })),
      )
    }
  })

  // main: c1 - … - c3000     a hundred channels thirty commits apart, a candidate nine commits after each
  test('a hundred at once take a handful of git processes', async () => {
    const commits = await repo.history(3000)
    const last = commits.at(-1) ?? ''
    const at = (n: number) => commits[n * 30] ?? ''
    const numbers = Array.from({ length: 100 }, (_, n) => n)
    await repo.setBranches({
      main: last,
      ...Object.fromEntries(numbers.map(n => [`channel-${n}`, at(n)])),
    })
    const counts = '{ status aheadBy behindBy }'
    const channels = numbers.map(
      n => `c${n}: ref(qualifiedName: "refs/heads/channel-${n}") {
        target { oid ... on Commit { committedDate } }
        refUpdateRule { viewerCanPush }
        branch: compare(headRef: "refs/heads/main") { aheadBy commits(first: 1) { nodes { oid committedDate } } }
        newest: compare(headRef: "${last}") ${counts}
        candidate: compare(headRef: "${commits[n * 30 + 9]}") ${counts}
      }`,
    )
    let processes = 0
    const count = () => processes++
    subscribe('child_process', count)
    const found = await look(`
      tracked: ref(qualifiedName: "refs/heads/main") {
        target { oid ... on Commit { committedDate history(first: 100) { nodes { oid committedDate } } } }
        newest: compare(headRef: "${last}") ${counts}
      }
      ${channels.join('\n')}
      defaultBranchRef { name target { oid } }`)
    unsubscribe('child_process', count)
    assert.ok(processes > 0 && processes <= 5, `${processes} processes`)
    const date = (n: number) => `${new Date((1_700_000_060 + n * 60) * 1000).toISOString().slice(0, 19)}Z`
    for (const n of numbers) {
      const aheadBy = 2999 - n * 30
      assert.deepEqual(found[`c${n}`], {
        target: { oid: at(n), committedDate: date(n * 30) },
        refUpdateRule: null,
        branch: {
          aheadBy,
          commits: { nodes: [{ oid: commits[n * 30 + 1], committedDate: date(n * 30 + 1) }] },
        },
        newest: { status: 'AHEAD', aheadBy, behindBy: 0 },
        candidate: { status: 'AHEAD', aheadBy: 9, behindBy: 0 },
      })
    }
    const { target, newest } = found.tracked
    assert.deepEqual([target.history.nodes.length, target.committedDate], [100, date(2999)])
    assert.deepEqual(target.history.nodes[99], { oid: commits[2900], committedDate: date(2900) })
    assert.deepEqual(newest, { status: 'IDENTICAL', aheadBy: 0, behindBy: 0 })
    assert.deepEqual(found.defaultBranchRef, { name: 'main', target: { oid: last } })
  })
})

describe('whoever asks', () => {
  test('needs a token that is good', async () => {
    const { c1, c2 } = await drawGraph()
    github.tokens.expireAll()
    for (const answer of [await list(c1), await update({ name: 'refs/heads/one', afterOid: c2 })]) {
      assert.deepEqual([answer.status, answer.json.message], [401, 'Bad credentials'])
    }
    assert.deepEqual(repo.moves, [])
  })

  test('needs contents, to read and to write', async () => {
    const { c1, c2 } = await drawGraph()
    await takeToken({ contents: 'read' })
    assert.equal((await list(c1)).json.errors, undefined)
    const one = { name: 'refs/heads/one', beforeOid: c1, afterOid: c2 }
    await refuses([one], 'FORBIDDEN', 'Resource not accessible by integration')
    await takeToken({ metadata: 'read' })
    const { status, json } = await list(c1)
    assert.deepEqual([status, json.data], [200, { repository: { refs: null } }])
    assert.deepEqual([json.errors[0].type, json.errors[0].path], ['FORBIDDEN', ['repository', 'refs']])
    const { data, errors } = await look('c0: ref(qualifiedName: "refs/heads/one") { name } isArchived')
    assert.deepEqual(data, { repository: { c0: null, isArchived: false } })
    assert.deepEqual([errors[0].type, errors[0].path], ['FORBIDDEN', ['repository', 'c0']])
  })

  test('sees nothing of a repository that the token is not for', async () => {
    const { c1, c2 } = await drawGraph()
    await github.createRepository('alice/other')
    const { json } = await list(c1, { name: 'other' })
    assert.deepEqual([json.data, json.errors[0].type], [{ repository: null }, 'NOT_FOUND'])
    repositoryId = 'R_x'
    const message = "Could not resolve to a node with the global id of 'R_x'"
    await refuses([{ name: 'refs/heads/one', beforeOid: c1, afterOid: c2 }], 'NOT_FOUND', message)
  })

  test('is on record, and meets the faults', async () => {
    const { c1, c2 } = await drawGraph()
    const one = { name: 'refs/heads/one', beforeOid: c1, afterOid: c2 }
    github.clearRequests()
    github.fault({ kind: 'status', status: 502, path: '/graphql' })
    assert.equal((await update(one)).status, 502)
    assert.deepEqual(repo.moves, [])
    github.fault({ kind: 'drop', when: 'after', method: 'POST', path: '/graphql' })
    await assert.rejects(update(one), TypeError)
    assert.equal(await repo.branch('one'), c2)
    assert.deepEqual(github.requests, ['POST /graphql', 'POST /graphql'])
    const [record] = github.records
    assert.deepEqual(record?.body, {
      query: UPDATE,
      variables: { input: { repositoryId, refUpdates: [one] } },
    })
    assert.equal(record.tokenPermissions?.contents, 'write')
  })

  test('has its mistakes written down', async () => {
    await drawGraph()
    github.strictClient = true
    const search = { owner: 'alice', name: 'dotfiles' }
    const refs = (first: number, selection: string) =>
      `{ repository(owner: "alice", name: "dotfiles") { refs(refPrefix: "refs/heads/", first: ${first}) ${selection} } }`
    const main = (selection: string) =>
      `{ repository(owner: "alice", name: "dotfiles") { ref(qualifiedName: "refs/heads/main") { ${selection} } } }`
    const commits = (args: string) => main(`compare(headRef: "one") { commits${args} { totalCount } }`)
    const history = (args: string) => main(`target { ... on Commit { history${args} { totalCount } } }`)
    const id = '{ repository(owner: "alice", name: "dotfiles") { id } }'
    for (const [text, mistake] of [
      ['{ nothing }', /"nothing" on type "Query"/],
      ['{ repository(owner: $owner, name: "dotfiles") { id } }', /"\$owner" is not defined/],
      [`query ($owner: String!) ${id}`, /"\$owner" is never used/],
      [`query ($x: String!) ${id.replace('"alice"', '$x')}`, /"\$x" of required type "String!"/],
      [refs(1, ''), /"refs" of type "RefConnection" must have a selection/],
      [refs(101, '{ totalCount }'), /^first: .* not 101$/],
      [main('target { committedDate }'), /"committedDate" on type "GitObject"/],
      [main('target { ... on Commit { trees } }'), /"trees" on type "Commit"/],
      // GitHub has it, and this GitHub does not
      [main('target { ... on Commit { tree { oid } } }'), /Commit\.tree/],
      [main('target { ... on Comit { oid } }'), /Unknown type "Comit"/],
      [main('... on Commit { oid }'), /type "Ref" can never be of type "Commit"/],
      [main('target { ...facts }'), /Unknown fragment "facts"/],
      [main('target { ... on Commit }'), /^Syntax Error: Expected "{", found "}"/],
      [main('compare(headRef: "one") { ahead }'), /"ahead" on type "Comparison"/],
      [main('compare { status }'), /"headRef" of type "String!" is required/],
      [commits(''), /^first: .* not undefined$/],
      [commits('(first: 101)'), /^first: .* not 101$/],
      [history('(first: 0)'), /^first: .* not 0$/],
      [history('(first: 101)'), /^first: .* not 101$/],
      [
        '{ repository(owner: "alice", name: "dotfiles") { ref { name } } }',
        /"qualifiedName" of type "String!" is required/,
      ],
      ['query { repository', /^Syntax Error: .*<EOF>/],
    ] as const) {
      const { status, json } = await ask(text, search)
      assert.deepEqual([status, json.data, json.errors?.length], [200, undefined, 1])
      const [, , violation] = github.violations.splice(0)
      const said = violation?.replace('POST /graphql: ', '') ?? ''
      assert.match(said, mistake)
    }
    await ask('{ repository(owner: "alice", name: "dotfiles") { id } }', {})
    assert.deepEqual(github.violations.splice(0), [
      'POST /graphql: X-GitHub-Api-Version is undefined',
      'POST /graphql: User-Agent is node',
    ])
  })
})

// main: c1 - c2 - c3     one at c1
test('on an Enterprise Server it is beside the REST API', async () => {
  await github.close()
  await start({ basePath: '/api/v3' })
  const { c1, c2 } = await drawGraph()
  const octokit = new Octokit({ auth: token, baseUrl: github.apiUrl })
  const refUpdates = [{ name: 'refs/heads/one', beforeOid: c1, afterOid: c2 }]
  const moved = await octokit.graphql(UPDATE, { input: { repositoryId, refUpdates } })
  assert.deepEqual(moved, MOVED.data)
  assert.equal(github.requests.at(-1), 'POST /graphql')
  assert.equal(github.records.at(-1)?.rawUrl, '/api/graphql')
  assert.equal((await update()).status, 404)
  assert.deepEqual(github.violations.splice(0), ['POST /api/v3/graphql: no such route'])
})
