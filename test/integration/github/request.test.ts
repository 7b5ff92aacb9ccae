// How GitHub is asked: what is tried again and how often, what is waited for, and when it ends.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RequestError } from '@octokit/request-error'
import packageJson from '../../../package.json' with { type: 'json' }
import { Deadline } from '../../../src/base/deadline.ts'
import { OperatorError, PermissionError } from '../../../src/base/errors.ts'
import type { Forge } from '../../../src/channels/forge.ts'
import { createClient, limitSeconds, messageOfAnswer } from '../../../src/github/request.ts'
import type { Survey } from '../../../src/status/survey.ts'
import type { Fault } from '../../helpers/github/github.ts'
import { type Scene, sceneFor } from '../../helpers/scene.ts'

const LATER = 'the next run tries again'
const STATUS = 'https://www.githubstatus.com says how GitHub is'
const ALWAYS = { times: Number.POSITIVE_INFINITY }
/** Long for a busy machine, short for the test. */
const ATTEMPT_MS = 2_000

// main at c1
async function draw(scene: Scene): Promise<string> {
  const c1 = await scene.repo.commit()
  await scene.repo.setBranch('main', c1)
  scene.name({ c1 })
  return c1
}

test('every request says who asks, and for which version of the API', async t => {
  const scene = await sceneFor(t)
  await draw(scene)
  await scene.open().findBranch('main')
  for (const { headers } of scene.github.records) {
    assert.equal(headers['user-agent'], `hydra-channels/${packageJson.version}`)
    assert.equal(headers['x-github-api-version'], '2022-11-28')
    assert.match(headers.authorization ?? '', /^bearer \S+$/i)
  }
  assert.equal(scene.github.records.length, 3)
})

test('before each wait that GitHub asks for, it is said how long it is', async t => {
  const scene = await sceneFor(t)
  const c1 = await draw(scene)
  const waits: number[] = []
  const repository = scene.open({ onWait: seconds => waits.push(seconds) })
  await repository.findBranch('main')
  assert.deepEqual(waits, [])
  scene.github.fault({ kind: 'status', status: 429, headers: { 'retry-after': '60' }, path: '/compare/' })
  await repository.compare(c1, 'heads/main')
  await repository.pause(25)
  assert.deepEqual(waits, [60, 25])
})

const PAGE = '<html><head><title>t</title><style>p {}</style></head>\n<body><h1>Bad</h1> <p>Gateway</body>'

const AGAIN: { what: string; fault: Fault; message: string; hints?: string[]; attemptTimeoutMs?: number }[] =
  [
    {
      what: 'an error of GitHub',
      fault: { kind: 'status', status: 500 },
      message: 'GitHub answered 500: Internal Server Error (GET URL)',
      hints: [LATER, STATUS],
    },
    {
      what: 'a page with an error',
      fault: { kind: 'status', status: 502, body: PAGE },
      message: 'GitHub answered 502: Bad Gateway (GET URL)',
      hints: [LATER, STATUS],
    },
    {
      what: 'a page with an error, of a type that Octokit does not know',
      fault: { kind: 'status', status: 502, body: 'gone', headers: { 'content-type': 'garbage;;' } },
      message: 'GitHub answered 502: gone (GET URL)',
      hints: [LATER, STATUS],
    },
    {
      what: 'an error without a word',
      fault: { kind: 'status', status: 503, body: '' },
      message: 'GitHub answered 503 (GET URL)',
      hints: [LATER, STATUS],
    },
    {
      what: 'a page instead of data',
      fault: { kind: 'html' },
      message: 'GitHub could not be asked: the answer (status 200) is not JSON (GET URL)',
    },
    {
      what: 'half of the data',
      fault: { kind: 'garbage' },
      message: 'GitHub could not be asked: the answer (status 200) is not JSON (GET URL)',
    },
    {
      what: 'an empty answer',
      fault: { kind: 'status', status: 200, body: '' },
      message: 'GitHub could not be asked: the answer (status 200) is not JSON (GET URL)',
    },
    {
      what: "a page that says 404, which is not GitHub's",
      fault: { kind: 'status', status: 404, body: PAGE },
      message: 'GitHub could not be asked: the answer (status 404) is not JSON (GET URL)',
    },
    {
      what: 'a redirect that leads nowhere',
      fault: { kind: 'status', status: 301, body: { message: 'Moved Permanently' } },
      message: 'GitHub could not be asked: the answer has the status 301 (GET URL)',
    },
    {
      what: 'an answer that is cut off',
      fault: { kind: 'truncate' },
      message: 'GitHub could not be asked: the connection was closed in the middle of the answer (GET URL)',
    },
    {
      what: 'a connection that is closed before the answer',
      fault: { kind: 'drop', when: 'before' },
      message: 'GitHub could not be asked: the connection was closed before an answer (GET URL)',
    },
    {
      what: 'silence',
      fault: { kind: 'silence' },
      message: 'GitHub could not be asked: no answer within 2 s (GET URL)',
      attemptTimeoutMs: ATTEMPT_MS,
    },
  ]

// side by side, because silence lasts
describe('what may pass', { concurrency: 4 }, () => {
  for (const { what, fault, message, hints = [LATER], attemptTimeoutMs = 20_000 } of AGAIN) {
    test(`${what} is asked again, three times and no more`, async t => {
      const scene = await sceneFor(t)
      const c1 = await draw(scene)
      const repository = scene.open({ credentials: scene.person, attemptTimeoutMs })

      scene.github.fault({ ...fault, times: 3 })
      assert.equal(await repository.findBranch('main'), c1)
      assert.equal(scene.requests().length, 4)

      scene.github.fault({ ...fault, ...ALWAYS })
      const url = 'API/repos/alice/dotfiles/git/ref/heads%2Fmain'
      assert.deepEqual(await scene.trouble(repository.findBranch('main')), [
        message.replace('URL', url),
        ...hints,
      ])
      assert.equal(scene.requests().length, 4)
    })

    test(`${what} is not asked more often while a token is made`, async t => {
      const scene = await sceneFor(t)
      await draw(scene)
      scene.github.fault({ ...fault, path: 'access_tokens', ...ALWAYS })
      await scene.trouble(scene.open({ attemptTimeoutMs }).findBranch('main'))
      const token = 'POST /app/installations/61001/access_tokens'
      assert.deepEqual(scene.requests(), ['GET /installation', token, token, token, token])

      scene.github.fault({ ...fault, path: '/installation', ...ALWAYS })
      await scene.trouble(scene.open({ attemptTimeoutMs }).findBranch('main'))
      // the 404 of a page is not the App's not being installed
      assert.deepEqual(scene.requests(), Array(4).fill('GET /installation'))
    })
  }
})

test('nobody there is asked again three times', async t => {
  const scene = await sceneFor(t)
  const apiUrl = 'http://127.0.0.1:9'
  const [message, ...hints] = await scene.trouble(
    scene.open({ credentials: scene.person, apiUrl }).findBranch('main'),
  )
  assert.equal(
    message,
    `GitHub could not be asked: connect ECONNREFUSED 127.0.0.1:9 (GET ${apiUrl}/repos/alice/dotfiles/git/ref/heads%2Fmain)`,
  )
  assert.deepEqual(hints, [LATER])
  assert.equal(scene.attempts, 4)
})

/** The writes: each is sent once, whatever comes, and the engine decides anew. */
const WRITES: [
  what: string,
  path: string,
  write: (
    repository: Survey,
    sha: string,
    sent: number,
  ) => ReturnType<Forge['updateBranches'] | Forge['createBranch']>,
][] = [
  ['create', '/git/refs', (repository, sha, sent) => repository.createBranch('new', sha, sent)],
  ['move', '/git/refs/heads/main', (repository, sha, sent) => repository.fastForward('main', sha, sent)],
  [
    'update of many',
    '/graphql',
    (repository, sha, sent) => repository.updateBranches([{ branch: 'new', from: undefined, to: sha }], sent),
  ],
]

for (const [what, path, write] of WRITES) {
  test(`a ${what} is sent once, whatever comes`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    const repository = scene.open()
    await repository.facts()
    scene.requests()
    for (const each of AGAIN) {
      // nothing is asked of a GitHub that is silent but once
      if (each.fault.kind === 'silence') continue
      for (const [sent, waitSeconds, retry] of [
        [0, 1, 'worthwhile'],
        [1, 4, 'worthwhile'],
        [2, 9, 'worthwhile'],
        [3, 1, 'useless'],
      ] as const) {
        scene.github.fault({ ...each.fault, path })
        const written = await write(repository, c1, sent)
        assert.ok(written.kind === 'not-answered', `${each.what}: ${written.kind}`)
        const { error, ...how } = written
        assert.deepEqual(how, { kind: 'not-answered', waitSeconds, mayBeWritten: true, retry }, each.what)
        assert.ok(error instanceof OperatorError)
        const [message = ''] = each.message.split(' (GET URL)')
        assert.equal(error.message.startsWith(`${message} (P`), true, error.message)
        assert.deepEqual(scene.requests().length, 1, each.what)
      }
    }
  })

  test(`a ${what} that is not answered in time may be written`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    scene.github.fault({ kind: 'silence', path })
    const repository = scene.open({ attemptTimeoutMs: ATTEMPT_MS })
    await repository.facts()
    const written = await write(repository, c1, 0)
    assert.ok(written.kind === 'not-answered')
    assert.deepEqual([written.mayBeWritten, written.retry], [true, 'worthwhile'])
    assert.equal(scene.requests().length, 3)
  })

  test(`a ${what} is not sent after the deadline`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    let now = 0
    const repository = scene.open({ deadline: new Deadline(90, () => now) })
    await repository.facts()
    scene.requests()
    now = 90_000
    const written = await write(repository, c1, 0)
    assert.ok(written.kind === 'not-answered')
    assert.deepEqual([written.waitSeconds, written.retry], [0, 'useless'])
    assert.equal(
      (written.error as Error).message,
      'GitHub did not answer in the time that was left (github.deadlineSeconds)',
    )
    assert.deepEqual(scene.requests(), [])
  })

  test(`a ${what} that is limited is not written, and waits longer each time`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    const repository = scene.open()
    await repository.facts()
    for (const [sent, waitSeconds] of [
      [0, 2],
      [1, 2],
      [2, 4],
      [5, 25],
      [9, 81],
    ] as const) {
      scene.github.fault({ kind: 'status', status: 429, headers: { 'retry-after': '2' }, path })
      const written = await write(repository, c1, sent)
      assert.ok(written.kind === 'not-answered')
      const { error, ...how } = written
      assert.deepEqual(how, { kind: 'not-answered', waitSeconds, mayBeWritten: false, retry: 'worthwhile' })
      assert.ok(error instanceof OperatorError)
    }
    assert.deepEqual(await scene.repo.branches(), { main: c1 })
  })

  test(`a ${what} with a limit that is longer than the time left is an error`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    const repository = scene.open({ deadline: new Deadline(90, () => 0), secondMs: 1000 })
    await repository.facts()
    scene.requests()
    const headers = { 'retry-after': '90' }
    scene.github.fault({ kind: 'status', status: 429, headers, path, ...ALWAYS })
    assert.deepEqual(await scene.trouble(write(repository, c1, 0)), [
      "GitHub's rate limit is reached (Too Many Requests): it asks to wait 90 s, longer than the time left",
      LATER,
    ])
    assert.equal(scene.requests().length, 1)
  })
}

test('an update of many is refused to all of them by a status, and to one of them by an error', async t => {
  const scene = await sceneFor(t)
  const c1 = await draw(scene)
  const repository = scene.open()
  await repository.facts()
  const update = () => repository.updateBranches([{ branch: 'new', from: undefined, to: c1 }], 0)
  for (const status of [403, 404]) {
    scene.github.fault({ kind: 'status', status, path: '/graphql' })
    await assert.rejects(update(), PermissionError)
  }
  for (const fault of [
    { status: 413 },
    { status: 200, body: { data: null, errors: [{ message: 'refusing to allow' }] } },
  ]) {
    scene.github.fault({ kind: 'status', ...fault, path: '/graphql' })
    assert.equal((await update()).kind, 'refused')
  }
})

for (const status of [400, 401, 403, 410, 422, 451]) {
  test(`${status} is an answer, and not asked again`, async t => {
    const scene = await sceneFor(t)
    await draw(scene)
    scene.github.fault({ kind: 'status', status })
    await scene.trouble(scene.open({ credentials: scene.person }).findBranch('main'))
    assert.equal(scene.requests().length, 1)
  })
}

test('404 of a branch is an answer: there is none', async t => {
  const scene = await sceneFor(t)
  await draw(scene)
  assert.equal(await scene.open({ credentials: scene.person }).findBranch('other'), undefined)
  assert.equal(scene.requests().length, 1)
})

test('a redirect loop is not asked again', async t => {
  const scene = await sceneFor(t)
  scene.github.fault({ kind: 'redirect-loop' })
  const [message] = await scene.trouble(scene.open({ credentials: scene.person }).findBranch('main'))
  assert.match(
    message ?? '',
    /^GitHub could not be asked: 127\.0\.0\.1:\d+ redirects more than 5 times \(GET /,
  )
  assert.equal(scene.attempts, 1)
  assert.equal(scene.requests().length, 6)
})

test('what one request has met is forgotten by the next one', async t => {
  const scene = await sceneFor(t)
  await draw(scene)
  const client = createClient(scene.options)
  const ask = () =>
    client.rest.repos.get({
      owner: 'alice',
      repo: 'dotfiles',
      headers: { authorization: 'Bearer ghp_personal' },
    })
  scene.github.fault({ kind: 'redirect-loop', times: 6 })
  await assert.rejects(ask())
  scene.requests()
  scene.github.fault({ kind: 'status', status: 500, times: 3 })
  assert.equal((await ask()).data.full_name, 'alice/dotfiles')
  assert.equal(scene.requests().length, 4)
})

test('requests side by side do not count for each other', async t => {
  const scene = await sceneFor(t)
  await draw(scene)
  const branches = Array.from({ length: 12 }, (_, n) => `b${n}-`)
  for (const [n, path] of branches.entries()) {
    const limited = { status: 429, headers: { 'retry-after': String(n % 3) } }
    scene.github.fault({ kind: 'status', ...(n % 2 ? limited : { status: 500 }), path, times: 3 })
    scene.github.fault({ kind: 'delay', ms: n, path, ...ALWAYS })
  }
  const repository = scene.open({ credentials: scene.person })
  const found = await Promise.all(branches.map(branch => repository.findBranch(branch)))
  assert.deepEqual(found, Array(12).fill(undefined))
  assert.equal(scene.requests().length, 48)
})

test('GitHub is not quoted on the terminal when it calls something deprecated', async t => {
  const scene = await sceneFor(t)
  const warn = t.mock.method(console, 'warn', () => {})
  const headers = { deprecation: 'true', sunset: 'tomorrow' }
  scene.github.fault({ kind: 'status', status: 200, body: { object: { sha: 'x' } }, headers })
  await scene.open({ credentials: scene.person }).findBranch('main')
  assert.equal(warn.mock.callCount(), 0)
})

// Limits. A second lasts 1 ms here, and the deadline's clock stands still unless the test moves it.

const now = Date.UTC(2026, 0, 1)
const inSeconds = (seconds: number) => String(now / 1000 + seconds)
const SECONDARY = { message: 'You have exceeded a secondary rate limit. Please wait a few minutes.' }
const date = new Date(now).toUTCString()

const LIMITS: [string, number, Record<string, string>, unknown, number | undefined][] = [
  ['429 with retry-after', 429, { 'retry-after': '7' }, {}, 7],
  ['403 with retry-after', 403, { 'retry-after': '7' }, {}, 7],
  [
    'retry-after goes before the rest',
    429,
    { 'retry-after': '7', 'x-ratelimit-remaining': '0' },
    SECONDARY,
    7,
  ],
  ['retry-after of nothing', 429, { 'retry-after': '0' }, {}, 1],
  ['retry-after that is neither a number nor a date', 429, { 'retry-after': 'soon' }, {}, 60],
  [
    "retry-after as a date, by GitHub's clock",
    403,
    { 'retry-after': new Date(now + 6_000).toUTCString(), date },
    {},
    6,
  ],
  [
    'retry-after as a date that is past',
    403,
    { 'retry-after': new Date(now - 6_000).toUTCString(), date },
    {},
    1,
  ],
  [
    "a reset, by GitHub's clock",
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': inSeconds(25), date },
    {},
    25,
  ],
  [
    'a reset that is past',
    429,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': inSeconds(-5), date },
    {},
    1,
  ],
  ['nothing remains, without a reset', 403, { 'x-ratelimit-remaining': '0' }, {}, 60],
  [
    'a reset, but something remains',
    403,
    { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': inSeconds(25), date },
    {},
    undefined,
  ],
  ['429 without headers', 429, {}, {}, 60],
  ['403 by its message', 403, {}, SECONDARY, 60],
  ['403 by an older message', 403, {}, { message: 'You have triggered an abuse detection mechanism.' }, 60],
  ['403 by the text of a page', 403, {}, '<p>You have exceeded a secondary\n rate limit.</p>', 60],
  ['403 for something else', 403, {}, { message: 'Resource not accessible by integration' }, undefined],
  ['404 with retry-after', 404, { 'retry-after': '7' }, {}, undefined],
  ['503 with retry-after', 503, { 'retry-after': '7' }, {}, undefined],
]

function refusal(status: number, headers: Record<string, string>, data: unknown): RequestError {
  const request = { method: 'GET' as const, url: 'https://api.github.com/x', headers: {} }
  return new RequestError('', status, { request, response: { status, url: '', headers, data } })
}

for (const [what, status, headers, data, seconds] of LIMITS) {
  test(`limit: ${what}: ${seconds === undefined ? 'none' : `${seconds} s`}`, () => {
    assert.equal(limitSeconds(refusal(status, headers, data)), seconds)
  })
}

test('a message is one line, whatever it came as', () => {
  const rule = { message: 'Repository rule violations found\n\nCannot update this protected ref.\n\n' }
  assert.equal(
    messageOfAnswer(refusal(422, {}, rule)),
    'Repository rule violations found Cannot update this protected ref.',
  )
  assert.equal(messageOfAnswer(refusal(502, {}, PAGE)), 'Bad Gateway')
  assert.equal(messageOfAnswer(refusal(502, {}, 'x'.repeat(300))).length, 200)
  assert.equal(messageOfAnswer(refusal(502, {}, undefined)), '')
  assert.equal(messageOfAnswer(refusal(422, {}, { message: 'x'.repeat(3_000) })).length, 1_000)
})

for (const [page, shown] of [
  ['a<b', 'a'],
  ['a<b>c', 'a c'],
  ['<p>1 &lt; 2</p>', '1 &lt; 2'],
  ['<head><title>t</title></head>a', 'a'],
  ['<HEAD lang="en">t</HEAD>a', 'a'],
  ['<header>a</header>b', 'a b'],
  ['<script>if (1 < 2) t</script>a<style>t</style>b', 'a b'],
  ['<head>never ends <b>', ''],
  ['<'.repeat(400_000), ''],
] as const) {
  test(`a page is shown as a browser would: ${page.slice(0, 50)}`, () => {
    assert.equal(messageOfAnswer(refusal(403, {}, page)), shown)
  })
}

for (const [what, status, headers, body] of [
  ['429 with retry-after', 429, { 'retry-after': '30' }, undefined],
  ['403 with retry-after', 403, { 'retry-after': '30' }, SECONDARY],
  ['a secondary limit by its message', 403, {}, SECONDARY],
  ['429 without headers', 429, {}, undefined],
] as const) {
  test(`${what} is waited for within the deadline, and then all is well`, async t => {
    const scene = await sceneFor(t)
    const c1 = await draw(scene)
    const limited: Fault = { kind: 'status', status, headers, ...(body && { body }) }
    scene.github.fault(limited)
    const deadline = new Deadline(90, () => 0)
    const begin = performance.now()
    assert.equal(await scene.open({ credentials: scene.person, deadline }).findBranch('main'), c1)
    assert.ok(performance.now() - begin >= 30)
    assert.equal(scene.requests().length, 2)

    scene.github.fault({ ...limited, path: 'access_tokens' })
    assert.equal(await scene.open({ deadline }).findBranch('main'), c1)
    assert.deepEqual(scene.requests(), [
      'GET /installation',
      'POST /app/installations/61001/access_tokens',
      'POST /app/installations/61001/access_tokens',
      'GET /git/ref/heads/main',
    ])
  })
}

for (const [what, status, headers, seconds] of [
  ['429 with retry-after', 429, { 'retry-after': '90' }, 90],
  [
    '403 until a reset',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': inSeconds(1800), date },
    1800,
  ],
  ['429 without headers', 429, {}, 60],
] as const) {
  test(`${what} beyond the deadline is not begun to wait for`, async t => {
    const scene = await sceneFor(t)
    await draw(scene)
    const body = { message: 'API rate limit exceeded for installation ID 1.' }
    const deadline = new Deadline(seconds, () => 0)
    for (const [credentials, path] of [
      [scene.person, '/git/ref'],
      [scene.app, 'access_tokens'],
    ] as const) {
      scene.github.fault({ kind: 'status', status, headers, body, path, ...ALWAYS })
      // were it waited for, the test would notice
      const repository = scene.open({ credentials, deadline, secondMs: 1000 })
      assert.deepEqual(await scene.trouble(repository.findBranch('main')), [
        `GitHub's rate limit is reached (API rate limit exceeded for installation ID 1.): it asks to wait ${seconds} s, longer than the time left`,
        LATER,
      ])
      assert.equal(scene.requests().length, path === '/git/ref' ? 1 : 2)
    }
  })
}

test('a limit that comes again is waited for as long as there is time', async t => {
  const scene = await sceneFor(t)
  await draw(scene)
  let clock = 0
  const limited = { kind: 'status', status: 429, headers: { 'retry-after': '30' } } as const
  scene.github.fault({ ...limited, times: 2 })
  const wait = () => {
    clock += 70_000
  }
  scene.github.fault({ kind: 'hook', run: wait })
  scene.github.fault({ ...limited, ...ALWAYS })
  // the seconds of a limit are shorter than the clock's
  const deadline = new Deadline(70.02, () => clock)
  const [message] = await scene.trouble(
    scene.open({ credentials: scene.person, deadline }).findBranch('main'),
  )
  assert.match(message ?? '', /asks to wait 30 s, longer than the time left$/)
  assert.equal(scene.requests().length, 3)
})

test('a limit that asks for next to nothing is not asked a hundred times', async t => {
  const scene = await sceneFor(t)
  scene.github.fault({ kind: 'status', status: 429, headers: { 'retry-after': '0' }, ...ALWAYS })
  // 1 + 1 + 4 + 9 + 16 seconds are waited, and the next 25 would be too long
  const deadline = new Deadline(0.025, () => 0)
  const http = {
    ...scene.options.http,
    fetch: (url: string, request: object) => scene.options.http.fetch(url, { ...request, timeoutMs: 20_000 }),
  }
  const repository = scene.open({ credentials: scene.person, deadline, http })
  assert.deepEqual(await scene.trouble(repository.findBranch('main')), [
    "GitHub's rate limit is reached (Too Many Requests), and still is after 5 waits",
    LATER,
  ])
  assert.equal(scene.requests().length, 6)
})

// The deadline

test('after the deadline nothing is sent', async t => {
  const scene = await sceneFor(t)
  for (const credentials of [scene.person, scene.app]) {
    const repository = scene.open({ credentials, deadline: new Deadline(0, () => 0) })
    assert.deepEqual(await scene.trouble(repository.findBranch('main')), [
      'GitHub did not answer in the time that was left (github.deadlineSeconds)',
      LATER,
    ])
  }
  assert.deepEqual(scene.requests(), [])
})

test('the deadline ends an attempt that has more time of its own', async t => {
  const scene = await sceneFor(t)
  scene.github.fault({ kind: 'silence', ...ALWAYS })
  for (const credentials of [scene.person, scene.app]) {
    const repository = scene.open({ credentials, deadline: new Deadline(2) })
    assert.deepEqual(await scene.trouble(repository.findBranch('main')), [
      'GitHub did not answer in the time that was left (github.deadlineSeconds)',
      LATER,
    ])
    assert.equal(scene.requests().length, 1)
  }
})

test('a retry that would come after the deadline is not made', async t => {
  const scene = await sceneFor(t)
  let clock = 0
  scene.github.fault({ kind: 'status', status: 503, ...ALWAYS })
  const deadline = new Deadline(90, () => clock)
  const repository = scene.open({ credentials: scene.person, deadline, secondMs: 1000 })
  clock = 89_500
  const [message] = await scene.trouble(repository.findBranch('main'))
  assert.match(message ?? '', /^GitHub answered 503: Service Unavailable /)
  assert.equal(scene.requests().length, 1)
})

test('what is excluded from the deadline is not counted', async () => {
  let clock = 0
  const deadline = new Deadline(90, () => clock)
  clock = 30_000
  assert.equal(deadline.remainingMs(), 60_000)
  assert.equal(await deadline.exclude(async () => (clock += 3_600_000)), 3_630_000)
  assert.equal(deadline.remainingMs(), 60_000)
  const failed = deadline.exclude(async () => {
    clock += 1000
    throw new Error('copy failed')
  })
  await assert.rejects(failed, { message: 'copy failed' })
  assert.equal(deadline.remainingMs(), 60_000)
  clock += 60_001
  assert.equal(deadline.remainingMs(), -1)
})
