// A repository as the App: how its token is made, narrowed, kept and renewed, and the message if there is none.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../../src/base/clock.ts'
import { NotInstalledError, PermissionError } from '../../../src/base/errors.ts'
import type { NotAnswered, Written } from '../../../src/channels/forge.ts'
import { checkWritable, describeRename } from '../../../src/channels/safeguards.ts'
import type { Permissions } from '../../helpers/github/github.ts'
import { MemoryGraph } from '../../helpers/github/memory-graph.ts'
import { type Scene, sceneFor } from '../../helpers/scene.ts'
import { until } from '../../helpers/until.ts'

const MINT = ['GET /installation', 'POST /app/installations/61001/access_tokens']
const ASK = 'GET /git/ref/heads/main'
const NOT_ACCESSIBLE = { message: 'Resource not accessible by integration' }
const ALWAYS = { times: Number.POSITIVE_INFINITY }
const FULL: Permissions = { contents: 'write', workflows: 'write', metadata: 'read' }
const GRANT = '(App settings, Permissions), then accept it in the installation'
const CHANNEL = { repository: 'alice/dotfiles', branch: 'channel' }

// main: c1 - c2     channel at c1
async function draw(scene: Scene) {
  const [c1 = '', c2 = ''] = await scene.repo.history(2)
  await scene.repo.setBranch('main', c2)
  await scene.repo.setBranch('channel', c1)
  scene.name({ c1, c2 })
  return { c1, c2 }
}

/** The result of a write that was not answered with success, and that may be decided anew. */
async function notAnswered(write: Promise<Written>): Promise<Omit<NotAnswered, 'kind'>> {
  const written = await write
  assert.ok(written.kind === 'not-answered', `${written.kind} instead`)
  const { kind, ...rest } = written
  return rest
}

/** Leaves a token in the scene's folder, as the process before this one did. */
async function keepToken(scene: Scene): Promise<void> {
  await scene.open({ cacheDirectory: scene.directory }).facts()
  assert.deepEqual(scene.requests(), MINT)
}

const openCached = (scene: Scene) => scene.open({ cacheDirectory: scene.directory })

describe('a token', () => {
  test('is made by two requests, for this repository and no more than is needed', async t => {
    const scene = await sceneFor(t)
    await scene.github.createRepository('alice/secrets')
    const { c2 } = await draw(scene)
    assert.equal(await scene.open().findBranch('main'), c2)
    const [, mint, ask] = scene.github.records
    assert.deepEqual(mint?.body, {
      repositories: ['dotfiles'],
      permissions: { contents: 'write', workflows: 'write' },
    })
    assert.deepEqual(ask?.tokenPermissions, FULL)
    assert.deepEqual(scene.requests(), [...MINT, ASK])
  })

  for (const [what, appId, key] of [
    ['the id of the App and PKCS#1', 'id', 'privateKeyPem'],
    ['the client id and PKCS#8', 'clientId', 'privateKeyPkcs8Pem'],
  ] as const) {
    test(`can be made with ${what}`, async t => {
      const scene = await sceneFor(t)
      const { c2 } = await draw(scene)
      const { app } = scene.github
      const credentials = { ...scene.app, appId: String(app[appId]), privateKey: app[key] }
      assert.equal(await scene.open({ credentials }).findBranch('main'), c2)
    })
  }

  test('is not asked to write workflows where the App may not', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    scene.repo.permissions = { contents: 'write', metadata: 'read' }
    assert.equal(await scene.open().findBranch('main'), c2)
    assert.deepEqual(scene.github.records[1]?.body, {
      repositories: ['dotfiles'],
      permissions: { contents: 'write' },
    })
  })

  test('brings what GitHub says of the repository', async t => {
    const scene = await sceneFor(t)
    scene.repo.defaultBranch = 'trunk'
    const facts = await scene.open().facts()
    assert.deepEqual(
      [facts?.fullName, facts?.defaultBranch, facts?.archived],
      ['alice/dotfiles', 'trunk', false],
    )
    assert.equal(await scene.open({ credentials: scene.person }).facts(), undefined)
  })

  test('is made once for requests side by side', async t => {
    const scene = await sceneFor(t)
    const { c1, c2 } = await draw(scene)
    const repository = scene.open()
    const found = await Promise.all(['main', 'channel', 'none'].map(branch => repository.findBranch(branch)))
    assert.deepEqual(found, [c2, c1, undefined])
    assert.equal(scene.requests().filter(request => request === MINT[1]).length, 1)
  })

  test('is made on GitHub Enterprise Server, below /api/v3', async t => {
    const scene = await sceneFor(t, { basePath: '/api/v3' })
    const { c2 } = await draw(scene)
    assert.deepEqual(await scene.open().fastForward('channel', c2, 0), { kind: 'written' })
    assert.deepEqual(scene.requests(), [...MINT, 'PATCH /git/refs/heads/channel'])
    assert.equal(await scene.repo.branch('channel'), c2)
  })

  for (const skew of [-1000, 1000]) {
    test(`is made though GitHub's clock is ${skew} s away from ours`, async t => {
      const scene = await sceneFor(t, { clockSkewSeconds: skew })
      const { c2 } = await draw(scene)
      assert.equal(await scene.open().findBranch('main'), c2)
      assert.deepEqual(scene.requests(), [MINT[0], MINT[0], MINT[1], MINT[1], ASK])
    })
  }
})

describe('a kept token', () => {
  test('spares the next process both requests', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    const [name = ''] = readdirSync(scene.directory)
    assert.equal(statSync(join(scene.directory, name)).mode & 0o777, 0o600)
    assert.equal(await openCached(scene).findBranch('main'), c2)
    assert.deepEqual(scene.requests(), [ASK])
  })

  test('serves no other App id, key, API or repository', async t => {
    const scene = await sceneFor(t)
    await draw(scene)
    await scene.github.createRepository('alice/other')
    await keepToken(scene)
    const cacheDirectory = scene.directory
    const { app, github } = scene
    for (const more of [
      { credentials: { ...app, appId: String(github.app.id) } },
      { credentials: { ...app, privateKey: github.app.privateKeyPkcs8Pem } },
      { apiUrl: github.apiUrl.replace('127.0.0.1', 'localhost') },
      { repository: 'alice/other' },
    ]) {
      await scene.open({ cacheDirectory, ...more }).facts()
      assert.equal(scene.requests().length, 2)
    }
    assert.equal(readdirSync(scene.directory).length, 5)
  })

  test('is not used in its last five minutes', async t => {
    const scene = await sceneFor(t)
    await keepToken(scene)
    const file = join(scene.directory, readdirSync(scene.directory)[0] ?? '')
    const kept = JSON.parse(readFileSync(file, 'utf8'))
    const expiresAt = new Date(Date.now() + 299_000).toISOString()
    writeFileSync(file, JSON.stringify({ ...kept, expiresAt }))
    await openCached(scene).facts()
    assert.deepEqual(scene.requests(), MINT)
  })

  test('that is refused (401) is replaced, once, and the next process has the new one', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.github.tokens.expireAll()
    assert.equal(await openCached(scene).findBranch('main'), c2)
    assert.deepEqual(scene.requests(), [ASK, ...MINT, ASK])
    assert.equal(await openCached(scene).findBranch('main'), c2)
    assert.deepEqual(scene.requests(), [ASK])
  })

  test('that is refused (403) is replaced, once', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.github.fault({ kind: 'status', status: 403, body: NOT_ACCESSIBLE })
    assert.equal(await openCached(scene).findBranch('main'), c2)
    assert.deepEqual(scene.requests(), [ASK, ...MINT, ASK])
  })

  test('that is refused to requests side by side is replaced once for all', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.github.tokens.expireAll()
    const repository = openCached(scene)
    const found = await Promise.all(Array.from({ length: 6 }, () => repository.findBranch('main')))
    assert.deepEqual(found, Array(6).fill(c2))
    const requests = scene.requests()
    assert.equal(requests.filter(request => request === MINT[1]).length, 1)
    assert.equal(requests.filter(request => request === ASK).length, 12)
  })

  test('of this process that has grown old is replaced once for all, too', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    const repository = scene.open()
    await repository.facts()
    scene.requests()
    const later = systemClock.elapsed() + 60_000
    t.mock.method(systemClock, 'elapsed', () => later)
    scene.github.tokens.expireAll()
    // the new token takes a while, so that all have been refused by then
    scene.github.fault({ kind: 'delay', path: '/installation', ms: 100 })
    const found = await Promise.all(Array.from({ length: 6 }, () => repository.findBranch('main')))
    assert.deepEqual(found, Array(6).fill(c2))
    assert.equal(scene.requests().filter(request => request === MINT[1]).length, 1)
  })

  test('is replaced where the App was given a permission since', async t => {
    const scene = await sceneFor(t)
    const { c1 } = await draw(scene)
    const files = { '.github/workflows/ci.yml': 'on: push\n' }
    const w1 = await scene.repo.commit({ parents: [c1], files })
    scene.repo.permissions = { contents: 'write', metadata: 'read' }
    await keepToken(scene)
    scene.repo.permissions = FULL
    const repository = openCached(scene)
    const write = 'PATCH /git/refs/heads/channel'
    const { error, ...refused } = await notAnswered(repository.fastForward('channel', w1, 0))
    // a new token is on its way, and everything is looked at again before it is used to write
    assert.deepEqual(refused, { waitSeconds: 0, mayBeWritten: false, retry: 'worthwhile' })
    assert.ok(error instanceof PermissionError)
    assert.deepEqual(await repository.fastForward('channel', w1, 1), { kind: 'written' })
    assert.deepEqual(scene.requests(), [write, ...MINT, write])
    assert.equal(await scene.repo.branch('channel'), w1)
  })

  for (const content of ['', '{"token":', '{}', '{"token":"ghs_x","expiresAt":"2099-01-01T00:00:00Z"}']) {
    test(`that is broken (${content}) is made anew`, async t => {
      const scene = await sceneFor(t)
      const { c2 } = await draw(scene)
      await keepToken(scene)
      writeFileSync(join(scene.directory, readdirSync(scene.directory)[0] ?? ''), content)
      assert.equal(await openCached(scene).findBranch('main'), c2)
      assert.deepEqual(scene.requests(), [...MINT, ASK])
    })
  }
})

describe('a token that is a second old', () => {
  for (const [status, body] of [
    [401, { message: 'Bad credentials' }],
    [403, NOT_ACCESSIBLE],
  ] as const) {
    test(`may be refused (${status}) twice, and is not made again`, async t => {
      const scene = await sceneFor(t)
      const { c2 } = await draw(scene)
      scene.github.fault({ kind: 'status', status, body, path: '/git/ref', times: 2 })
      assert.equal(await scene.open().findBranch('main'), c2)
      assert.deepEqual(scene.requests(), [...MINT, ASK, ASK, ASK])
    })

    test(`is given up when it is refused (${status}) again and again, also in place of a kept one`, async t => {
      const scene = await sceneFor(t)
      await draw(scene)
      scene.github.fault({ kind: 'status', status, body, path: '/git/ref', ...ALWAYS })
      await scene.trouble(scene.open().findBranch('main'))
      assert.deepEqual(scene.requests(), [...MINT, ASK, ASK, ASK])

      await keepToken(scene)
      const [message] = await scene.trouble(openCached(scene).findBranch('main'))
      assert.match(message ?? '', /^GitHub refuses the (installation token|App): /)
      assert.deepEqual(scene.requests(), [ASK, ...MINT, ASK, ASK, ASK])
    })
  }
})

describe('a permission', () => {
  const write = 'PATCH /git/refs/heads/channel'

  test('that the App lacks, for workflows, is named', async t => {
    const scene = await sceneFor(t)
    const { c1 } = await draw(scene)
    const files = { '.github/workflows/ci.yml': 'on: push\n' }
    const w1 = await scene.repo.commit({ parents: [c1], files })
    scene.repo.permissions = { contents: 'write', metadata: 'read' }
    const repository = scene.open()
    // the refusal could be that of a fresh token, so it is asked again, more and more seldom
    for (const sent of [0, 1, 2]) {
      const { error, ...refused } = await notAnswered(repository.fastForward('channel', w1, sent))
      assert.deepEqual(refused, { waitSeconds: sent + 1, mayBeWritten: false, retry: 'worthwhile' })
      assert.ok(error instanceof PermissionError)
    }
    assert.deepEqual(await scene.trouble(repository.fastForward('channel', w1, 3)), [
      'GitHub refuses the write: the commit has files in .github/workflows that no branch has, and the App lacks the permission workflows: write (PATCH API/repos/alice/dotfiles/git/refs/heads%2Fchannel)',
      `give the App workflows: write ${GRANT}`,
    ])
    assert.deepEqual(scene.requests(), [...MINT, write, write, write, write])
    assert.equal(await scene.repo.branch('channel'), c1)
  })

  test('that the header names and the token lacks is asked for once more with a new token, and named', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.github.fault({
      kind: 'status',
      status: 403,
      body: NOT_ACCESSIBLE,
      headers: { 'X-Accepted-GitHub-Permissions': 'administration=write' },
      method: 'PATCH',
      ...ALWAYS,
    })
    const repository = openCached(scene)
    const { waitSeconds } = await notAnswered(repository.fastForward('channel', c2, 0))
    assert.equal(waitSeconds, 0)
    assert.deepEqual(await scene.trouble(repository.fastForward('channel', c2, 1)), [
      'the App lacks the permission administration: write (PATCH API/repos/alice/dotfiles/git/refs/heads%2Fchannel)',
      `give the App administration: write ${GRANT}`,
    ])
    assert.deepEqual(scene.requests(), [write, ...MINT, write])
  })

  test('contents: write is asked of the installation before a token is made', async t => {
    const scene = await sceneFor(t)
    await draw(scene)
    scene.repo.permissions = { contents: 'read', metadata: 'read' }
    assert.deepEqual(await scene.trouble(scene.open().findBranch('main')), [
      'the GitHub App lacks the permission contents: write',
      `give the App contents: write ${GRANT}`,
    ])
    assert.deepEqual(scene.requests(), [MINT[0]])
  })

  test("a person's token is tried once, and what it needs is said", async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    scene.github.addToken('ghp_reader', { contents: 'read', metadata: 'read' })
    const credentials = { kind: 'token', token: 'ghp_reader', source: 'GITHUB_TOKEN' } as const
    const [message, hint] = await scene.trouble(scene.open({ credentials }).fastForward('channel', c2, 0))
    assert.match(message ?? '', /^GitHub refuses the token: Resource not accessible by /)
    assert.match(hint ?? '', /^it needs contents: write, and workflows: write for /)
    assert.deepEqual(scene.requests(), [write])
  })

  test("a person's token that is refused is told so", async t => {
    const scene = await sceneFor(t)
    scene.github.tokens.revokeAll()
    assert.deepEqual(await scene.trouble(scene.open({ credentials: scene.person }).findBranch('main')), [
      'GitHub refuses the token in GITHUB_TOKEN: Bad credentials (GET API/repos/alice/dotfiles/git/ref/heads%2Fmain)',
      'make a new token; it may have expired',
    ])
    assert.deepEqual(scene.requests(), [ASK])
  })
})

describe('no token', () => {
  test('where the App is not installed', async t => {
    const scene = await sceneFor(t)
    scene.repo.installed = false
    assert.deepEqual(await scene.trouble(scene.open().findBranch('main')), [
      'the GitHub App is not installed on this repository, or there is no such repository',
      'install it at https://github.com/apps/hydra-channels-test/installations/new',
    ])
    assert.deepEqual(scene.requests(), [MINT[0], 'GET /app'])
  })

  // what reconcile forgets a repository's channels for (channels/recorded.ts)
  test('is an error of its own only where GitHub accepts the key and shows no installation', async t => {
    const scene = await sceneFor(t)
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const foreign = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const errorOf = async (credentials = scene.app) => {
      const error = await scene
        .open({ credentials })
        .findBranch('main')
        .catch((thrown: unknown) => thrown)
      assert.ok(error instanceof PermissionError)
      return error instanceof NotInstalledError
    }
    scene.repo.suspended = true
    assert.equal(await errorOf(), false)
    Object.assign(scene.repo, { suspended: false, permissions: { metadata: 'read' } })
    assert.equal(await errorOf(), false)
    scene.repo.installed = false
    assert.equal(await errorOf({ ...scene.app, privateKey: foreign }), false)
    assert.equal(await errorOf(), true)
    scene.github.fault({ kind: 'status', status: 404, body: { message: 'Integration not found' }, ...ALWAYS })
    assert.equal(await errorOf(), false)
  })

  test('where there is no such repository', async t => {
    const scene = await sceneFor(t)
    const [message] = await scene.trouble(scene.open({ repository: 'alice/nothing' }).findBranch('main'))
    assert.equal(
      message,
      'the GitHub App is not installed on this repository, or there is no such repository',
    )
  })

  test('where the installation is suspended, before or after it was looked up', async t => {
    const scene = await sceneFor(t)
    const hint = 'the owner of the repository can unsuspend it: Settings, Applications, Installed GitHub Apps'
    const suspend = () => {
      scene.repo.suspended = true
    }
    scene.github.fault({ kind: 'hook', path: 'access_tokens', run: suspend })
    assert.deepEqual(await scene.trouble(scene.open().findBranch('main')), [
      'the installation of the GitHub App is suspended (POST API/app/installations/61001/access_tokens)',
      hint,
    ])
    const [message, ...hints] = await scene.trouble(scene.open().findBranch('main'))
    assert.match(
      message ?? '',
      /^the installation of the GitHub App is suspended since \d{4}-\d\d-\d\dT[\d:]+Z$/,
    )
    assert.deepEqual(hints, [hint])
    assert.deepEqual(scene.requests(), [...MINT, MINT[0]])
  })

  test('where a kept token was of an installation that is suspended now', async t => {
    const scene = await sceneFor(t)
    await draw(scene)
    await keepToken(scene)
    scene.repo.suspended = true
    const [message] = await scene.trouble(openCached(scene).findBranch('main'))
    assert.match(message ?? '', /^the installation of the GitHub App is suspended/)
  })

  test('where the App was removed, or lost a permission, between the two requests', async t => {
    const scene = await sceneFor(t)
    const hint = "check the App's installation: its repositories and its permissions"
    for (const [run, says] of [
      [
        () => {
          scene.repo.permissions = { contents: 'write', metadata: 'read' }
        },
        /^GitHub makes no token for the App: The permissions requested are not granted to this installation\. \(POST /,
      ],
      [
        () => {
          scene.repo.installed = false
        },
        /^GitHub makes no token for the App: Not Found \(POST /,
      ],
    ] as const) {
      scene.repo.permissions = FULL
      scene.github.fault({ kind: 'hook', path: 'access_tokens', run })
      const [message, ...hints] = await scene.trouble(scene.open().findBranch('main'))
      assert.match(message ?? '', says)
      assert.deepEqual(hints, [hint])
      assert.deepEqual(scene.requests(), MINT)
    }
  })

  test('where the key is another App’s, or the App id is unknown', async t => {
    const scene = await sceneFor(t)
    const hint =
      "check that App id and key belong to the same App, that the key was not deleted there, and this machine's clock"
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const foreign = scene.open({ credentials: { ...scene.app, privateKey: pem } })
    assert.deepEqual(await scene.trouble(foreign.findBranch('main')), [
      "GitHub refuses the App's key: A JSON web token could not be decoded (GET API/repos/alice/dotfiles/installation)",
      hint,
    ])
    assert.deepEqual(scene.requests(), [MINT[0]])

    scene.github.fault({ kind: 'status', status: 404, body: { message: 'Integration not found' }, ...ALWAYS })
    assert.deepEqual(await scene.trouble(scene.open().findBranch('main')), [
      "GitHub refuses the App's key: Integration not found (GET API/app)",
      hint,
    ])
    assert.deepEqual(scene.requests(), [MINT[0], 'GET /app'])
  })

  test('asked for early and never again is nobody’s unhandled rejection', async t => {
    const scene = await sceneFor(t)
    scene.repo.installed = false
    // what a hook does before it looks into the database; whether that then fails or not, `sceneFor` sees a rejection
    scene
      .open()
      .facts()
      .catch(() => {})
    await until('GitHub has answered twice', () => scene.github.records[1]?.status !== undefined)
    assert.deepEqual(scene.requests(), [MINT[0], 'GET /app'])

    const repository = scene.open()
    repository.facts().catch(() => {})
    await scene.trouble(repository.findBranch('main'))
    assert.deepEqual(scene.requests(), [MINT[0], 'GET /app'])
  })

  test('is asked for once, however many requests want it', async t => {
    const scene = await sceneFor(t)
    scene.github.fault({ kind: 'status', status: 500, path: '/installation', ...ALWAYS })
    const repository = scene.open()
    const all = await Promise.all([1, 2, 3].map(() => scene.trouble(repository.findBranch('main'))))
    assert.deepEqual(new Set(all.map(([message]) => message)).size, 1)
    assert.deepEqual(scene.requests(), Array(4).fill(MINT[0]))
  })
})

describe('a renamed repository', () => {
  const byId = (rest: string) => `/repositories/501001${rest}`

  test('is found by its id when the token is made, and then asked by its new name', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    scene.repo.rename('alice/nix-config')
    const repository = scene.open()
    assert.equal((await repository.fastForward('channel', c2, 0)).kind, 'written')
    assert.equal(await repository.findNewName(), 'alice/nix-config')
    assert.deepEqual(scene.github.records[2]?.body, {
      repository_ids: [501001],
      permissions: { contents: 'write', workflows: 'write' },
    })
    assert.deepEqual(scene.requests(), [
      MINT[0],
      `GET ${byId('/installation')}`,
      MINT[1],
      'PATCH /repos/alice/nix-config/git/refs/heads/channel',
    ])
    assert.equal(await scene.repo.branch('channel'), c2)
  })

  test('is followed with a kept token, and its new name is asked for', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.repo.rename('alice/nix-config')
    const repository = openCached(scene)
    assert.equal((await repository.fastForward('channel', c2, 0)).kind, 'written')
    assert.deepEqual(scene.requests(), [
      'PATCH /git/refs/heads/channel',
      `PATCH ${byId('/git/refs/heads/channel')}`,
    ])
    const line =
      'alice/dotfiles is called alice/nix-config now, and GitHub redirects: write the new name in the configuration and the jobset'
    assert.equal(await describeRename(repository, CHANNEL.repository), line)
    assert.deepEqual(scene.requests(), ['GET ', `GET ${byId('')}`])
    assert.equal(await scene.repo.branch('channel'), c2)
  })

  test('whose new name cannot be learned is no failure: the channel has been moved', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    await keepToken(scene)
    scene.repo.rename('alice/nix-config')
    const repository = openCached(scene)
    await repository.fastForward('channel', c2, 0)
    scene.github.fault({ kind: 'status', status: 500, ...ALWAYS })
    assert.equal(await describeRename(repository, CHANNEL.repository), undefined)
  })

  test('in another spelling is not a new name', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    const repository = scene.open({ repository: 'Alice/DotFiles' })
    assert.equal(await repository.findBranch('main'), c2)
    assert.equal(await repository.findNewName(), undefined)
  })

  test('is followed below /api/v3', async t => {
    const scene = await sceneFor(t, { basePath: '/api/v3' })
    const { c2 } = await draw(scene)
    scene.repo.rename('alice/nix-config')
    const repository = scene.open()
    assert.equal(await repository.findBranch('main'), c2)
    assert.equal(await repository.findNewName(), 'alice/nix-config')
  })

  test('is followed for a person', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    scene.repo.rename('alice/nix-config')
    const repository = scene.open({ credentials: scene.person })
    assert.equal((await repository.createBranch('new', c2, 0)).kind, 'written')
    assert.equal(await repository.findNewName(), 'alice/nix-config')
    assert.equal(await scene.repo.branch('new'), c2)
  })
})

describe('compare', () => {
  for (const pageTwo of ['as it is', 'without status'] as const) {
    test(`page two ${pageTwo}: ${pageTwo === 'as it is' ? 'one request' : 'asked again unpaged'}`, async t => {
      const scene = await sceneFor(t)
      const { c1, c2 } = await draw(scene)
      scene.github.comparePageTwoWithoutStatus = pageTwo === 'without status'
      const repository = scene.open({ credentials: scene.person })
      assert.deepEqual(await repository.compare('refs/heads/channel', c2), {
        status: 'ahead',
        aheadBy: 1,
        behindBy: 0,
        baseSha: c1,
        mergeBaseSha: c1,
      })
      const queries = scene.github.records.map(({ query }) => query)
      const paged = { per_page: '1', page: '2' }
      assert.deepEqual(queries, pageTwo === 'as it is' ? [paged] : [paged, {}])
    })
  }

  test('an answer that is no comparison is no outcome', async t => {
    const scene = await sceneFor(t)
    const { c2 } = await draw(scene)
    scene.github.fault({ kind: 'status', status: 200, body: { hello: 'world' }, ...ALWAYS })
    await assert.rejects(scene.open({ credentials: scene.person }).compare('refs/heads/channel', c2), {
      message: `GitHub's comparison of refs/heads/channel and ${c2} has no status`,
    })
    assert.equal(scene.requests().length, 2)
  })

  test('a branch with slashes, hashes and the name of a tag is itself', async t => {
    const scene = await sceneFor(t)
    const { c1, c2 } = await draw(scene)
    const repository = scene.open({ credentials: scene.person })
    for (const branch of ['a/b/c', 'a#b', 'ü', 'a+b%20c']) {
      assert.deepEqual(await repository.createBranch(branch, c1, 0), { kind: 'written' })
      const comparison = await repository.compare(`refs/heads/${branch}`, c2)
      assert.equal(typeof comparison === 'object' && comparison.baseSha, c1)
      assert.deepEqual(await repository.fastForward(branch, c2, 0), { kind: 'written' })
      assert.equal(await scene.repo.branch(branch), c2)
    }
  })
})

// main, v1 (a tag): c1 - c2 - c3     channel at c1, side at s1, a child of c1, apart at a1, a root
describe('a compare that is too much for GitHub over REST', () => {
  const TOO_MUCH = {
    kind: 'status',
    status: 500,
    path: '/compare/',
    body: { message: 'Server Error: Sorry, this diff is taking too long to generate.' },
    ...ALWAYS,
  } as const
  const SAID =
    /^GitHub cannot compare the two commits: Server Error: Sorry, this diff is taking too long to gen/
  const GRAPHQL = 'POST /graphql'

  async function drawMore(t: TestContext) {
    const scene = await sceneFor(t, { graph: new MemoryGraph() })
    const { repo } = scene
    const [c1 = '', c2 = '', c3 = ''] = await repo.history(3)
    const s1 = await repo.commit({ parents: [c1] })
    const a1 = await repo.commit({ parents: [] })
    await repo.setBranches({ main: c3, channel: c1, side: s1, apart: a1 })
    await repo.setTag('v1', c3)
    const commits: Record<string, string> = { c1, c2, c3, s1, a1 }
    scene.name(commits)
    const open = () => scene.open({ credentials: scene.person })
    return { scene, open, shaOf: (name: string) => commits[name] ?? name }
  }

  for (const [base, head] of [
    ['refs/heads/channel', 'c2'],
    ['refs/heads/channel', 'c1'],
    ['refs/heads/main', 'c1'],
    ['refs/heads/side', 'c3'],
    ['c2', 'refs/heads/main'],
    ['c2', 'refs/heads/channel'],
    ['c3', 'HEAD'],
    ['c2', 'HEAD'],
    ['s1', 'HEAD'],
    ['c2', 'refs/tags/v1'],
  ] as const) {
    test(`${base}...${head} is answered by GraphQL, and alike`, async t => {
      const { scene, open, shaOf } = await drawMore(t)
      const expected = await open().compare(shaOf(base), shaOf(head))
      assert.ok(typeof expected === 'object')
      const { mergeBaseSha, ...rest } = expected
      scene.github.fault(TOO_MUCH)
      scene.requests()
      const repository = open()
      assert.deepEqual(await repository.compare(shaOf(base), shaOf(head)), rest)
      assert.deepEqual(scene.requests(), [`GET /compare/${base}...${head}`, GRAPHQL])
      // what takes GitHub so long is not asked a second time
      assert.deepEqual(await repository.compare(shaOf(base), shaOf(head)), rest)
      assert.deepEqual(scene.requests(), [GRAPHQL])
    })
  }

  test('is an error where GraphQL compares nothing either', async t => {
    const { scene, open, shaOf } = await drawMore(t)
    scene.github.fault(TOO_MUCH)
    for (const [base, head, requests] of [
      ['refs/heads/apart', 'c2', 2],
      ['refs/heads/gone', 'c2', 2],
      ['refs/heads/channel', '9'.repeat(40), 2],
      // it compares branches only
      ['c1', 'c2', 1],
    ] as const) {
      scene.requests()
      const [said = ''] = await scene.trouble(open().compare(shaOf(base), shaOf(head)))
      assert.match(said, SAID)
      assert.equal(scene.requests().length, requests, `${base}...${head}`)
    }
  })

  for (const [what, fault] of [
    ['is not there', { kind: 'status', status: 404 }],
    ['is forbidden', { kind: 'status', status: 403, body: NOT_ACCESSIBLE }],
    ['is down', { kind: 'status', status: 502 }],
    ['has errors', { kind: 'status', status: 200, body: { data: null, errors: [{ message: 'Oops' }] } }],
    ['compares nothing', { kind: 'status', status: 200, body: { data: { repository: { ref: null } } } }],
  ] as const) {
    test(`is an error where GraphQL ${what}`, async t => {
      const { scene, open, shaOf } = await drawMore(t)
      scene.github.fault(TOO_MUCH)
      scene.github.fault({ ...fault, path: '/graphql', ...ALWAYS })
      const [said = ''] = await scene.trouble(open().compare('refs/heads/channel', shaOf('c2')))
      assert.match(said, SAID)
    })
  }

  test('is asked over REST again where GraphQL does not say, so that what is missing is known', async t => {
    const { scene, open, shaOf } = await drawMore(t)
    scene.github.fault({ ...TOO_MUCH, times: 1 })
    const repository = open()
    await repository.compare('refs/heads/channel', shaOf('c2'))
    assert.equal(await repository.compare('refs/heads/gone', shaOf('c2')), 'not-found')
    assert.equal(await repository.compare('refs/heads/apart', shaOf('c2')), 'unrelated')
  })
})

describe('the default branch and an archive', () => {
  test('are known from the token, without a request', async t => {
    const scene = await sceneFor(t)
    await keepToken(scene)
    await checkWritable(openCached(scene), CHANNEL)
    await checkWritable(scene.open({ credentials: scene.person }), { ...CHANNEL, branch: 'main' })
    assert.deepEqual(scene.requests(), [])
  })

  for (const [what, change, message] of [
    [
      'the default branch',
      (scene: Scene) => {
        scene.repo.defaultBranch = 'channel'
      },
      'channel is the default branch of the repository, and no channel',
    ],
    [
      'an archive',
      (scene: Scene) => {
        scene.repo.archived = true
      },
      'the repository is archived, so it is read-only',
    ],
  ] as const) {
    test(`${what} is confirmed with a new token, as the kept one may be an hour old`, async t => {
      const scene = await sceneFor(t)
      change(scene)
      await keepToken(scene)
      assert.equal((await scene.trouble(checkWritable(openCached(scene), CHANNEL)))[0], message)
      assert.deepEqual(scene.requests(), MINT)
      // the token that was made for it is kept, and it is asked no more than once
      await scene.trouble(checkWritable(scene.open(), CHANNEL))
      assert.deepEqual(scene.requests(), MINT)

      scene.repo.defaultBranch = 'main'
      scene.repo.archived = false
      await checkWritable(openCached(scene), CHANNEL)
      assert.deepEqual(scene.requests(), MINT)
      await checkWritable(openCached(scene), CHANNEL)
      assert.deepEqual(scene.requests(), [])
    })
  }

  test('several channels side by side need one new token', async t => {
    const scene = await sceneFor(t)
    scene.repo.archived = true
    await keepToken(scene)
    const repository = openCached(scene)
    const branches = ['a', 'b', 'c']
    await Promise.all(
      branches.map(branch => scene.trouble(checkWritable(repository, { ...CHANNEL, branch }))),
    )
    assert.deepEqual(scene.requests(), MINT)
  })
})

test('of more branches than one answer may have, each is asked for by its name', async t => {
  const graph = new MemoryGraph()
  const sha = graph.add({ sha: 'a'.repeat(40), parents: [], date: 1_760_000_000 })
  for (let n = 0; n < 100_000; n++) graph.setBranch(`nixos-tested-${'h'.repeat(60)}-${n}`, sha)
  graph.setBranch('main', sha)
  const scene = await sceneFor(t, { graph })
  const forge = scene.open({ credentials: scene.person })
  assert.equal(await forge.listBranches('nixos-tested-'), 'too-many')
  assert.deepEqual([...(await forge.listBranches('mai'))], [['main', sha]])
})

test('what happened to a branch: pages of a hundred, until the time or the number of pages is reached', async t => {
  const graph = new MemoryGraph()
  const scene = await sceneFor(t, { graph })
  const [c1 = '', c2 = ''] = await scene.repo.history(2)
  await scene.repo.setBranches({ main: c2, channel: c1, other: c1 })
  const { activities } = scene.repo
  const created = activities.find(({ ref }) => ref === 'refs/heads/channel')
  assert.ok(created)
  const start = Date.parse('2026-01-01T00:00:00Z')
  created.at = start
  for (let n = 1; n < 250; n++) {
    const [from, to] = n % 2 === 1 ? [c1, c2] : [c2, c1]
    activities.push({ ...created, id: 1000 + n, from, to, at: start + n * 60_000, actor: undefined })
  }
  const forge = scene.open({ credentials: scene.person })
  const all = await forge.listActivities('channel', { sinceMs: 0, pages: 5 })
  assert.deepEqual([all.activities.length, all.more], [250, false])
  assert.deepEqual(all.activities[0], {
    at: '2026-01-01T04:09:00Z',
    kind: 'pushed',
    from: c1,
    to: c2,
    actor: undefined,
  })
  assert.equal(all.activities[1]?.kind, 'forced')
  assert.deepEqual(all.activities.at(-1), {
    at: '2026-01-01T00:00:00Z',
    kind: 'created',
    from: undefined,
    to: c1,
    actor: 'alice',
  })
  assert.equal(scene.requests().length, 3)
  for (const [since, pages, found, more, requests] of [
    ['2026-01-01T04:00:00Z', 5, 10, false, 1],
    ['2026-01-01T01:00:00Z', 5, 190, false, 2],
    ['2026-01-01T01:00:00Z', 1, 100, true, 1],
    ['2020-01-01T00:00:00Z', 2, 200, true, 2],
  ] as const) {
    const answer = await forge.listActivities('channel', { sinceMs: Date.parse(since), pages })
    assert.deepEqual(
      [answer.activities.length, answer.more, scene.requests().length],
      [found, more, requests],
      `${since}, ${pages} pages`,
    )
  }
  assert.deepEqual(await forge.listActivities('gone', { sinceMs: 0, pages: 5 }), {
    activities: [],
    more: false,
  })
})

test('whom GitHub names for what our App does', async t => {
  const scene = await sceneFor(t)
  assert.equal(await scene.open().findOwnLogin(), 'hydra-channels-test[bot]')
  assert.equal(await scene.open({ credentials: scene.person }).findOwnLogin(), undefined)
})
