// The matrix of faults: each request of each command in turn meets whatever can go wrong between it and GitHub, in this
// process, where a second of waiting takes a millisecond. Each cell ends well and with the channel where it belongs; or with
// an error that an operator understands and with the channel where it was. Some cells run once more as the real command.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import { createHttp, type Http } from '../../src/base/http.ts'
import { advance } from '../../src/channels/advance.ts'
import { cannotMove } from '../../src/channels/verdict.ts'
import { lookOptionsOf } from '../../src/commands/status.ts'
import { parseConfig } from '../../src/config.ts'
import { openRepository } from '../../src/github/repository.ts'
import { handleBuild } from '../../src/hook.ts'
import { findConnection } from '../../src/hydra/connection.ts'
import { type Database, openDatabase } from '../../src/hydra/database.ts'
import type { BuildFinished } from '../../src/hydra/event.ts'
import { reconcile } from '../../src/reconcile.ts'
import { findStatus } from '../../src/status/find-status.ts'
import type { Fault } from '../helpers/github/github.ts'
import type { Graph } from '../helpers/github/graph.ts'
import { MemoryGraph } from '../helpers/github/memory-graph.ts'
import { createHydra, flakeOf } from '../helpers/hydra.ts'
import { sceneFor } from '../helpers/scene.ts'
import { CHANNEL, JOB, stageFor } from '../helpers/stage.ts'

const NEVER = /^$/
/** A port that is free a moment ago may be taken by another test; to this one only root may listen. */
const NOBODY = 'http://127.0.0.1:1'
const DEADLINE_SECONDS = 30
const ATTEMPT_MS = 20_000
const SHORT_ATTEMPT_MS = 60

type Command = 'hook' | 'channel-update' | 'channel-update that creates' | 'reconcile' | 'status'

/** What a request is for decides what its failure means. */
type Kind = 'app' | 'read' | 'graphql' | 'write'

interface Request {
  name: string
  kind: Kind
  method: string
  path: RegExp
}

const INSTALLATION = { name: 'installation', kind: 'app', method: 'GET', path: /\/installation$/ } as const
const TOKEN = { name: 'token', kind: 'app', method: 'POST', path: /\/access_tokens$/ } as const
const COMPARE = { name: 'compare', kind: 'read', method: 'GET', path: /\/compare\/.*[0-9a-f]$/ } as const
const TRACKED = { name: 'tracked', kind: 'read', method: 'GET', path: /\/compare\/.*\.HEAD$/ } as const
const REF = { name: 'ref', kind: 'read', method: 'GET', path: /\/git\/ref\/heads/ } as const
const LIST = { name: 'list', kind: 'read', method: 'GET', path: /\/git\/matching-refs\// } as const
const GRAPHQL = { name: 'graphql', kind: 'graphql', method: 'POST', path: /\/graphql$/ } as const
const MOVE = { name: 'move', kind: 'write', method: 'PATCH', path: /\/git\/refs\/heads/ } as const
const CREATE = { name: 'create', kind: 'write', method: 'POST', path: /\/git\/refs$/ } as const

const REQUESTS: Record<Command, readonly Request[]> = {
  hook: [INSTALLATION, TOKEN, COMPARE, TRACKED, MOVE],
  'channel-update': [INSTALLATION, TOKEN, COMPARE, MOVE],
  'channel-update that creates': [COMPARE, REF, CREATE],
  reconcile: [INSTALLATION, TOKEN, LIST, COMPARE, TRACKED, MOVE],
  status: [INSTALLATION, TOKEN, LIST, GRAPHQL],
}

/** `ok`, or the message */
type Ending = 'ok' | RegExp

interface Row {
  what: string
  fault: Fault | { kind: 'refused' }
  times: number
  ends: Ending | ((request: Request, command: Command) => Ending | 'not here')
}

const ONCE = 1
const EVER = Number.POSITIVE_INFINITY

const PAGE = '<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>'
const answer = (status: number, message: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status,
  body: { message },
  headers,
})

/**
 * Passes, or fails with these words; a status goes past GraphQL on to REST.
 *
 * @param effect the request has its effect, and only its answer is lost
 */
const passing = (what: string, fault: Row['fault'], said: RegExp, effect?: 'has its effect'): Row[] => [
  { what: `${what}, once`, fault, times: ONCE, ends: 'ok' },
  {
    what: `${what}, for ever`,
    fault,
    times: EVER,
    // a write that had its effect is found carried out by the next look
    ends: ({ kind }) => (kind === 'graphql' || (kind === 'write' && effect) ? 'ok' : said),
  },
]

const refusing = (what: string, fault: Row['fault'], said: RegExp): Row => ({
  what,
  fault,
  times: EVER,
  ends: said,
})

/** What GitHub says of a write. */
const writing = (message: string, once: Ending, ever: RegExp): Row[] => {
  const fault = answer(422, message)
  const row = { what: `422 ${message}`, fault }
  const only = (ends: Ending) => (request: Request) => (request.kind === 'write' ? ends : 'not here')
  return [
    { ...row, what: `${row.what}, once`, times: ONCE, ends: only(once) },
    { ...row, what: `${row.what}, for ever`, times: EVER, ends: only(ever) },
  ]
}

/** Obeyed as long as there is time. */
const limit = (what: string, status: number, message: string, wait: (seconds: number) => object): Row[] => [
  { what: `${what}, for a second`, fault: answer(status, message, { ...wait(1) }), times: ONCE, ends: 'ok' },
  {
    what: `${what}, for a day`,
    fault: answer(status, message, { ...wait(86_400) }),
    times: EVER,
    ends: /rate limit is reached \(.*\): it asks to wait \d{5} s, longer than the time left/,
  },
]

const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
const PRIMARY = 'API rate limit exceeded for installation ID 61001.'
const NOT_ACCESSIBLE = 'Resource not accessible by integration'
const untilReset = (seconds: number) => ({
  'x-ratelimit-remaining': '0',
  'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + seconds),
})
const OFTEN = /GitHub refused 4 times, although the channel could move each time we looked/
const NO_REPOSITORY = /GitHub shows no such repository to us/
const NOT_JSON = /GitHub could not be asked: the answer \(status 200\) is not JSON/
const ENDED = /GitHub could not be asked: the connection was closed before an answer/

const ROWS: readonly Row[] = [
  ...passing('500', answer(500, 'Server Error'), /GitHub answered 500: Server Error/),
  {
    what: '500 of a diff that takes too long',
    fault: answer(500, 'Server Error: Sorry, this diff is taking too long to generate.'),
    times: EVER,
    ends({ name }, command) {
      if (name !== 'compare' && name !== 'tracked') return 'not here'
      // GraphQL knows, unless there is no such branch, of which GitHub would say 404
      return command === 'channel-update that creates' ? /GitHub cannot compare the two commits: Serv/ : 'ok'
    },
  },
  ...passing('502 with a page', { kind: 'status', status: 502, body: PAGE }, /GitHub answered 502: 502 Bad/),
  ...passing('503', answer(503, 'Service Unavailable'), /GitHub answered 503: Service Unavailable/),
  ...passing('nobody there', { kind: 'refused' }, /GitHub could not be asked: connect ECONNREFUSED/),
  ...passing('a reset before the effect', { kind: 'drop', when: 'before' }, ENDED),
  ...passing('a reset after the effect', { kind: 'drop', when: 'after' }, ENDED, 'has its effect'),
  ...passing('silence', { kind: 'silence' }, /GitHub could not be asked: no answer within 1 s/),
  ...passing(
    'half of the answer',
    { kind: 'truncate' },
    /closed in the middle of the answer/,
    'has its effect',
  ),
  ...passing(
    'a byte at a time, too slowly',
    { kind: 'trickle', ends: 'late' },
    /GitHub could not be asked: no answer within 1 s/,
    'has its effect',
  ),
  { what: 'a byte at a time', fault: { kind: 'trickle', ends: 'in time' }, times: EVER, ends: 'ok' },
  ...passing('half of the JSON', { kind: 'garbage' }, NOT_JSON, 'has its effect'),
  ...passing('a page', { kind: 'html' }, NOT_JSON, 'has its effect'),
  {
    what: 'a redirect loop',
    fault: { kind: 'redirect-loop' },
    times: EVER,
    ends: ({ kind }) => (kind === 'graphql' ? 'ok' : /redirects more than 5 times/),
  },
  {
    what: '401, once',
    fault: answer(401, 'Bad credentials'),
    times: ONCE,
    // a key is not renewed
    ends: ({ kind }) => (kind === 'app' ? /GitHub refuses the App's key: Bad credentials/ : 'ok'),
  },
  {
    what: '401, for ever',
    fault: answer(401, 'Bad credentials'),
    times: EVER,
    ends: ({ kind }) =>
      kind === 'app'
        ? /GitHub refuses the App's key: Bad credentials/
        : /GitHub refuses the installation token: Bad credentials/,
  },
  {
    what: '403 of a token that is a second old',
    fault: answer(403, NOT_ACCESSIBLE),
    times: ONCE,
    ends: ({ kind }) => (kind === 'app' ? /GitHub refuses/ : 'ok'),
  },
  {
    what: '403 not accessible, for ever',
    fault: answer(403, NOT_ACCESSIBLE),
    times: EVER,
    ends: /GitHub refuses the App: Resource not accessible by integration/,
  },
  {
    what: '403 that names a permission',
    fault: answer(403, NOT_ACCESSIBLE, { 'x-accepted-github-permissions': 'administration=write' }),
    times: EVER,
    ends: /the App lacks the permission administration: write/,
  },
  refusing(
    '403 archived',
    answer(403, 'Repository was archived so is read-only.'),
    /the repository is archived, so it is read-only/,
  ),
  refusing(
    '403 suspended',
    answer(403, 'This installation has been suspended'),
    /the installation of the GitHub App is suspended/,
  ),
  refusing('403 without a reason', answer(403, 'Forbidden'), /GitHub refuses: Forbidden/),
  {
    what: '404, once',
    fault: answer(404, 'Not Found'),
    times: ONCE,
    ends: (request, command) => notFound(request, command, 'once'),
  },
  {
    what: '404, for ever',
    fault: answer(404, 'Not Found'),
    times: EVER,
    ends: (request, command) => notFound(request, command, 'ever'),
  },
  {
    what: '409, once',
    fault: answer(409, 'Conflict'),
    times: ONCE,
    ends: ({ kind }) => (kind === 'write' || kind === 'graphql' ? 'ok' : /GitHub answered 409: Conflict/),
  },
  {
    what: '409, for ever',
    fault: answer(409, 'Conflict'),
    times: EVER,
    ends: ({ kind }) =>
      kind === 'write' ? OFTEN : kind === 'graphql' ? 'ok' : /GitHub answered 409: Conflict/,
  },
  {
    what: '409 empty',
    fault: answer(409, 'Git Repository is empty.'),
    times: EVER,
    ends: ({ kind }) => (kind === 'graphql' ? 'ok' : /the repository is empty/),
  },
  {
    what: '422 of what is no write',
    fault: answer(422, 'Validation Failed'),
    times: EVER,
    ends: ({ kind }) =>
      kind === 'app'
        ? /GitHub makes no token for the App: Validation Failed/
        : kind === 'read'
          ? /GitHub answered 422: Validation Failed/
          : kind === 'graphql'
            ? 'ok'
            : 'not here',
  },
  ...writing('Update is not a fast forward', 'ok', OFTEN),
  ...writing('Reference already exists', 'ok', OFTEN),
  ...writing('Reference does not exist', 'ok', OFTEN),
  ...writing('Reference update failed', 'ok', OFTEN),
  ...writing('Object does not exist', 'ok', /GitHub has no commit [0-9a-f]{40}/),
  ...writing(`No commit found for SHA: ${'1'.repeat(40)}`, 'ok', /GitHub has no commit [0-9a-f]{40}/),
  ...writing(
    'Reference cannot be updated',
    /GitHub answered 422: Reference cannot be updated/,
    /GitHub answered 422: Reference cannot be updated/,
  ),
  ...writing(
    'Changes must be made through a pull request.',
    /a rule of the repository forbids it: Changes must be made through a pull request\./,
    /a rule of the repository forbids it: Changes must be made through a pull request\./,
  ),
  ...limit('429', 429, 'Too Many Requests', seconds => ({ 'retry-after': String(seconds) })),
  ...limit('a secondary limit', 403, SECONDARY, seconds => ({ 'retry-after': String(seconds) })),
  ...limit('the primary limit', 403, PRIMARY, untilReset),
  { what: '429 without a time, once', fault: answer(429, 'Too Many Requests'), times: ONCE, ends: 'ok' },
  { what: 'a secondary limit without a time, once', fault: answer(403, SECONDARY), times: ONCE, ends: 'ok' },
]

/** GitHub says so of a branch, a commit and a repository alike. */
function notFound({ name, kind }: Request, command: Command, how: 'once' | 'ever'): Ending {
  if (name === 'installation') return /the GitHub App is not installed on this repository/
  if (name === 'token') return /GitHub makes no token for the App: Not Found/
  if (kind !== 'read' || name === 'list') return NO_REPOSITORY
  if (name === 'tracked') return how === 'once' ? 'ok' : /not-on-branch, not moved: [0-9a-f]{7} is not in/
  // there is no such branch
  if (command === 'channel-update that creates') return 'ok'
  if (command === 'reconcile') return /GitHub has no commit [0-9a-f]{40}/
  return how === 'once' ? 'ok' : /GitHub contradicts itself/
}

interface Ended {
  error: string | undefined
  /** the channel, as `c1`, `c2`, `missing` */
  at: string
}

interface Bench {
  /** The channel, afterwards, is at `c1`, `c2`, or `missing`. */
  run(command: Command, how: Partial<How>): Promise<Ended>
}

interface How {
  request: Request
  row: Pick<Row, 'fault' | 'times'>
  /** whether the process begins without a token */
  cold: boolean
  /** played when the request arrives, before it is answered */
  meanwhile: () => void
}

interface GitHub {
  apiUrl: string
  appId: string
  privateKey: string
  commits: { c1: string; c2: string }
  fault(fault: Fault): void
  expireTokens(): void
  channel(): Promise<string | undefined>
  setChannel(sha: string | undefined): Promise<void>
}

async function gitHubFor(
  t: TestContext,
  options: { graph?: Graph; clockSkewSeconds?: number },
): Promise<GitHub> {
  const { github, repo } = await sceneFor(t, options)
  const [c1 = '', c2 = ''] = await repo.history(2)
  await repo.setBranch('main', c2)
  return {
    apiUrl: github.apiUrl,
    appId: github.app.clientId,
    privateKey: github.app.privateKeyPem,
    commits: { c1, c2 },
    fault: fault => github.fault(fault),
    expireTokens: () => github.tokens.expireAll(),
    channel: () => repo.branch(CHANNEL),
    setChannel: sha => (sha === undefined ? repo.deleteBranch(CHANNEL) : repo.setBranch(CHANNEL, sha)),
  }
}

/** main: c1 - c2   builds of both good   channel at c1, or nowhere where it is to be created */
async function benchFor(t: TestContext, github: GitHub): Promise<Bench> {
  const { c1, c2 } = github.commits
  const hydra = await createHydra()
  const directory = mkdtempSync(join(tmpdir(), 'hc-faults-'))
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' })
  for (const [n, sha] of [c1, c2].entries()) {
    await hydra.eval({ jobset, flake: flakeOf(sha), builds: [{ id: n + 1, job: JOB }] })
  }
  const event = (await hydra.eventOf(2)) as unknown as BuildFinished
  const rule = { project: 'dotfiles', jobset: 'main', job: 'nixos-(?<host>.*)\\.x86_64-linux' }
  const config = parseConfig(
    JSON.stringify({
      stateDirectory: join(directory, 'state'),
      channels: [{ ...rule, repository: 'alice/dotfiles', branch: 'nixos-tested-{host}' }],
    }),
    'the test',
  )
  const database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))
  const http = createHttp({})
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.after(async () => {
    http.close()
    await database.close()
    await hydra.close()
    rmSync(directory, { recursive: true })
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })
  const kept: Database = { look: queries => database.look(queries), close: async () => {} }

  return {
    async run(command, { request, row, cold, meanwhile }) {
      await github.setChannel(command === 'channel-update that creates' ? undefined : c1)
      const armed: Fault[] = []
      const arm = (fault: Fault) => {
        armed.push(fault)
        github.fault(fault)
      }
      const where = request && { method: request.method, path: request.path }
      if (where && meanwhile) arm({ ...where, kind: 'hook', run: meanwhile })
      if (where && row && row.fault.kind !== 'refused') arm({ ...row.fault, ...where, times: row.times })
      let left = row?.times ?? 0
      const disturbed: Http = {
        async fetch(url, init) {
          const { pathname } = new URL(url)
          const path = decodeURIComponent(pathname)
          const meets = request && init.method === request.method && request.path.test(path)
          if (!meets || !row || left <= 0) return http.fetch(url, init)
          left--
          if (row.fault.kind === 'refused') return http.fetch(`${NOBODY}${pathname}`, init)
          const { fault } = row
          const silent = fault.kind === 'silence' || (fault.kind === 'trickle' && fault.ends === 'late')
          if (!silent) return http.fetch(url, init)
          return http.fetch(url, { ...init, timeoutMs: SHORT_ATTEMPT_MS }).finally(() => {
            // on a busy machine an attempt may end before it arrives, and leave its fault to a longer one
            if (left <= 0) for (const each of armed) each.path = NEVER
          })
        },
        close: () => {},
      }
      const deadline = new Deadline(DEADLINE_SECONDS)
      const repository = openRepository({
        http: disturbed,
        apiUrl: github.apiUrl,
        attemptTimeoutMs: ATTEMPT_MS,
        deadline,
        secondMs: 1,
        repository: 'alice/dotfiles',
        credentials: {
          kind: 'app',
          appId: github.appId,
          privateKey: github.privateKey,
          source: 'configuration',
        },
        cacheDirectory: cold ? undefined : directory,
      })
      const errors: unknown[] = []
      const lines: string[] = []
      const options = {
        config,
        mode: 'move' as const,
        log: { line: (text: string) => void lines.push(text) },
        report: (error: unknown) => void errors.push(error),
        env: {},
        http: disturbed,
        secondMs: 1,
        only: [],
        database: kept,
        openGitHub: async () => ({ deadline, repository: () => repository }),
      }
      const update = async () => {
        const channel = { repository: 'alice/dotfiles', branch: CHANNEL }
        await advance({ channel, sha: c2, forge: repository, mode: 'move' }).catch((error: unknown) => {
          throw cannotMove(channel, error)
        })
      }
      const runs: Record<Command, () => Promise<unknown>> = {
        hook: () => handleBuild(event, { ...options, openDatabase: async () => kept }),
        'channel-update': update,
        'channel-update that creates': update,
        async reconcile() {
          return (await reconcile({ ...options, lock: undefined, progress: () => {} })).ended
        },
        async status() {
          const { channels } = await findStatus({
            ...options,
            ...lookOptionsOf(config, { http: disturbed, env: {} }),
            now: new Date(),
          })
          const [only, ...others] = channels
          assert.ok(only && others.length === 0)
          // what went wrong on the way is reported, and does not matter if the answer was found
          errors.length = 0
          if (only.reason !== 'behind') errors.push(new OperatorError(`${only.reason}: ${only.message}`))
        },
      }
      let ended: unknown
      try {
        ended = await runs[command]()
      } catch (error) {
        errors.push(error)
        ended = 'failed'
      }
      for (const fault of armed) fault.path = NEVER
      assert.ok(deadline.remainingMs() > 0, 'it took longer than the deadline')
      const messages = errors.map(error => {
        if (error instanceof OperatorError) return error.message
        throw error
      })
      // a verdict that is trouble, and no error
      messages.push(...lines.filter(line => /(?:withdrawn|not-on-branch|diverged), not moved/.test(line)))
      if (command === 'hook' || command === 'reconcile') {
        assert.equal(ended, messages.length > 0 ? 'failed' : 'ok', messages.join('\n'))
      }
      const tip = await github.channel()
      return {
        error: messages.length === 0 ? undefined : messages.join('\n'),
        at: tip === c1 ? 'c1' : tip === c2 ? 'c2' : (tip ?? 'missing'),
      }
    },
  }
}

const startOf = (command: Command) => (command === 'channel-update that creates' ? 'missing' : 'c1')
const goalOf = (command: Command) => (command === 'status' ? 'c1' : 'c2')

function judge(command: Command, request: Request, row: Row, ends: Ending, { error, at }: Ended): string[] {
  const cell = `${command}, ${request.name}, ${row.what}`
  if (ends === 'ok') {
    return error === undefined && at === goalOf(command)
      ? []
      : [`${cell}: at ${at}, expected to end well, and it says: ${error}`]
  }
  const problems = []
  if (error === undefined || !ends.test(error))
    problems.push(`${cell}: expected ${ends}, and it says: ${error}`)
  const start = startOf(command)
  if (at !== start) problems.push(`${cell}: at ${at}, expected ${start}`)
  return problems
}

let cells = 0

for (const command of Object.keys(REQUESTS) as Command[]) {
  describe(command, () => {
    for (const request of REQUESTS[command]) {
      test(`${request.name} meets everything`, async t => {
        const bench = await benchFor(t, await gitHubFor(t, { graph: new MemoryGraph() }))
        const problems: string[] = []
        for (const row of ROWS) {
          const ends = typeof row.ends === 'function' ? row.ends(request, command) : row.ends
          if (ends === 'not here') continue
          const cold = request.kind === 'app'
          problems.push(
            ...judge(command, request, row, ends, await bench.run(command, { request, row, cold })),
          )
          cells++
        }
        assert.deepEqual(problems, [])
      })
    }

    for (const clockSkewSeconds of [-1200, 1200]) {
      test(`GitHub's clock is ${clockSkewSeconds / 60} minutes ahead`, async t => {
        const { run } = await benchFor(t, await gitHubFor(t, { clockSkewSeconds }))
        for (const cold of [true, false]) {
          assert.deepEqual(await run(command, { cold }), { error: undefined, at: goalOf(command) })
          cells++
        }
      })
    }

    test('the token expires in mid-run', async t => {
      const github = await gitHubFor(t, { graph: new MemoryGraph() })
      const { run } = await benchFor(t, github)
      for (const request of REQUESTS[command].filter(({ kind }) => kind !== 'app')) {
        // one that was kept: what is a second old does not expire
        assert.equal((await run(command, {})).error, undefined)
        const ended = await run(command, { request, meanwhile: () => github.expireTokens() })
        assert.deepEqual(ended, { error: undefined, at: goalOf(command) }, request.name)
        cells++
      }
    })
  })
}

/** Of what may pass, and of what does not; a retry would wait for seconds here. */
const THROUGH_THE_COMMAND = [
  '503, once',
  'a reset before the effect, once',
  'a reset after the effect, once',
  'half of the JSON, once',
  '401, once',
  '500, for ever',
  'half of the answer, for ever',
  'a redirect loop',
  '403 archived',
  'a secondary limit, for a day',
]

describe('through the real command', { concurrency: true }, () => {
  for (const command of ['hook', 'channel-update', 'reconcile'] as const) {
    test(command, async t => {
      const stage = await stageFor(t)
      const { repository, config } = stage
      // what ends by the deadline ends with the deadline's words: no command here may come near it
      config.reconcile = { deadlineSeconds: 600 }
      config.github.deadlineSeconds = 600
      const [c1 = '', c2 = ''] = await repository.history(2)
      await repository.setBranch('main', c2)
      await stage.built(c1)
      const build = await stage.built(c2)
      const problems: string[] = []
      for (const what of THROUGH_THE_COMMAND) {
        const row = ROWS.find(each => each.what === what)
        assert.ok(row && row.fault.kind !== 'refused', what)
        const ends = typeof row.ends === 'function' ? row.ends(MOVE, command) : row.ends
        assert.notEqual(ends, 'not here')
        await repository.setBranch(CHANNEL, c1)
        const fault: Fault = { ...row.fault, method: MOVE.method, path: MOVE.path, times: row.times }
        stage.github.fault(fault)
        const { status, log } =
          command === 'hook'
            ? await stage.hook(build)
            : command === 'reconcile'
              ? await stage.command('hydra-channels', ['reconcile'])
              : await stage.command('channel-update', ['alice', 'dotfiles', CHANNEL, c2])
        fault.path = NEVER
        const tip = await repository.branch(CHANNEL)
        const at = tip === c1 ? 'c1' : tip === c2 ? 'c2' : (tip ?? 'missing')
        const error = status === 0 ? undefined : log
        if (status !== 0 && status !== 1) problems.push(`${what}: exit ${status}`)
        problems.push(...judge(command, MOVE, row, ends as Ending, { error, at }))
        cells++
      }
      assert.deepEqual(problems, [])
    })
  }
})

test('cells', t =>
  t.diagnostic(`${cells} cells, ${3 * THROUGH_THE_COMMAND.length} of them through the command`))
