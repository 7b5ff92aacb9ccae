// What other people write, and what GitHub answers, at its worst: an event, a flakeref, a configuration, a template, a fleet.
// Nothing is thrown that nobody expects, no branch is named that git refuses, nobody is asked about another repository than
// the rule's, and nothing that is said has a raw control character. HYDRA_CHANNELS_TEST_CASES makes it longer.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError, UsageError } from '../../src/base/errors.ts'
import type { Http } from '../../src/base/http.ts'
import { HttpError } from '../../src/base/http-error.ts'
import { createLog, printable } from '../../src/base/log.ts'
import { judgeCandidate } from '../../src/channels/candidate.ts'
import { planFleet } from '../../src/channels/plan.ts'
import { channelsOfJobs, type Rule } from '../../src/channels/rule.ts'
import { canMake } from '../../src/channels/template.ts'
import { showTrackedRef } from '../../src/channels/tracked-ref.ts'
import { describeVerdict, offBranch, type Verdict } from '../../src/channels/verdict.ts'
import { parseConfig } from '../../src/config.ts'
import { openRepository } from '../../src/github/repository.ts'
import { isBuildFinished, parseEvent, summarize } from '../../src/hydra/event.ts'
import { parseFlakeref, parseTrackedRef, showFlakeref } from '../../src/hydra/flakeref.ts'
import type { JobsetFacts } from '../../src/hydra/queries/jobset-facts.ts'
import { explain } from '../../src/status/explain.ts'
import { renderMetrics } from '../../src/status/metrics.ts'
import { type ChannelStatus, type FleetStatus, REASONS } from '../../src/status/shape.ts'
import type { Survey } from '../../src/status/survey.ts'
import { renderTable } from '../../src/status/table.ts'
import { seedFor } from '../helpers/seed.ts'

const CASES = Number(process.env.HYDRA_CHANNELS_TEST_CASES ?? 10_000)
const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'

const parameters = (t: TestContext) => ({ seed: seedFor(t), numRuns: CASES })

/** Pieces that mean something to somebody: a terminal, git, a shell, a URL, JSON, a regular expression, a person. */
const PIECES = [
  ...[
    '\u0000',
    '\u0007',
    '\b',
    '\t',
    '\n',
    '\r',
    '\u001b[31m',
    '\u001b]0;x\u0007',
    '\u007f',
    '\u0085',
    '\u009b',
  ],
  ...[
    '\u061c',
    '\u200e',
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\ufeff',
    '\ud800',
    '\udfff',
    '🎉',
    'ü',
    '日本',
  ],
  ...[
    '.',
    '..',
    '/',
    '//',
    '-',
    '--',
    '@',
    '@{',
    '{',
    '}',
    '.lock',
    'HEAD',
    'refs/heads/',
    '~',
    '^',
    ':',
    '?',
  ],
  ...['*', '[', ']', '\\', ' ', '$&', '$(x)', '`', "'", '"', ';', '|', '&', '%2e', '%00', '%', '#', '=', '+'],
  ...[
    'nixos-nas',
    'x86_64-linux',
    'a',
    'main',
    '__proto__',
    'constructor',
    'alice',
    'dotfiles',
    'mallory',
    SHA,
  ],
  ...[
    'github:',
    'git+https://',
    'git+ssh://',
    'github.com',
    'rev=',
    'ref=',
    'host=',
    'dir=',
    'narHash=sha256-',
  ],
]
const nasty = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: fc.constantFrom(...PIECES), maxLength: 8 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
)
/** of what may be in a ref of a flakeref, in any order */
const REF = /^[\w./@+-]+$/
const writable = fc.string({
  unit: fc.constantFrom(...PIECES.filter(piece => REF.test(piece))),
  maxLength: 5,
})
const json = fc.jsonValue({ maxDepth: 3 })

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/** What is written for these lines: each is one, and nothing in it is raw. */
function assertPlain(texts: readonly string[]): void {
  const log = createLog(written => {
    assert.equal(written.at(-1), '\n')
    assert.doesNotMatch(written.slice(0, -1), CONTROLS)
  })
  for (const text of texts) log.line(text)
}

/** Of an operator's error; anything else is thrown on. */
function assertExpected(error: unknown, kind: typeof OperatorError = OperatorError): void {
  if (!(error instanceof kind)) throw error
  assertPlain([error.message, ...error.hint])
}

/** git-check-ref-format(1), rule by rule, below refs/heads/, and what `git branch` would not take. */
function gitTakes(name: string): boolean {
  const parts = name.split('/')
  return (
    name !== '' &&
    parts.every(part => part !== '' && !part.startsWith('.') && !part.endsWith('.lock')) &&
    !/[\u0000-\u0020\u007f~^:?*[\\]/.test(name) &&
    !name.includes('..') &&
    !name.includes('@{') &&
    !name.endsWith('.') &&
    !name.startsWith('-') &&
    name !== 'HEAD' &&
    name !== '@'
  )
}

const taken = new Set<string>()
function assertBranch(name: string): void {
  assert.ok(gitTakes(name), `git refuses ${JSON.stringify(name)}`)
  // refRegexS of Nix, src/libutil/url-parts.hh
  assert.match(name, /^[a-zA-Z0-9@][a-zA-Z0-9_./@+-]*$/)
  assert.ok(name.isWellFormed() && Buffer.byteLength(name) <= 244)
  assert.doesNotMatch(name, CONTROLS)
  assert.doesNotMatch(name, /^(?:refs\/.*|[0-9a-f]{40})$/i)
  taken.add(name)
}

const RULE = { project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' }

function rulesOf(...rules: { job: string; branch: string }[]): readonly Rule[] {
  return parseConfig(JSON.stringify({ channels: rules.map(rule => ({ ...RULE, ...rule })) }), 'x').channels
}

const RULES = rulesOf(
  { job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)', branch: 'nixos-tested-{host}' },
  { job: '(?<host>.*)', branch: '{host}' },
  { job: '(?<a>[^.]*)\\.?(?<b>.*)', branch: '{a}/x-{b}' },
)

test(`${CASES} events`, t => {
  const output = fc.record({ name: nasty, path: fc.oneof(nasty, fc.constant(null)) })
  const event = fc.record(
    {
      event: fc.oneof({ weight: 5, arbitrary: fc.constant('buildFinished') }, nasty, json),
      build: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -1, max: 2 ** 31 }) }, json),
      finished: fc.oneof({ weight: 5, arbitrary: fc.boolean() }, json),
      buildStatus: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 1, null, 99) }, json),
      project: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('dotfiles', '\u001b[2J') }, nasty),
      jobset: fc.oneof({ weight: 5, arbitrary: fc.constant('main') }, nasty),
      job: nasty,
      outputs: fc.oneof({ weight: 5, arbitrary: fc.array(output, { maxLength: 3 }) }, json),
      metrics: json,
    },
    { requiredKeys: ['event', 'build', 'finished', 'buildStatus', 'project', 'jobset', 'job'] },
  )
  const content = fc.oneof(
    { weight: 6, arbitrary: event.map(each => JSON.stringify(each)) },
    {
      weight: 1,
      arbitrary: fc.tuple(event, fc.nat(300)).map(([each, cut]) => JSON.stringify(each).slice(0, cut)),
    },
    { weight: 1, arbitrary: nasty },
  )
  let good = 0
  const check = (text: string, file: string) => {
    try {
      const { event, shown } = parseEvent(text, file)
      assertPlain([shown])
      if (!isBuildFinished(event)) return
      good++
      assertPlain([summarize(event)])
      assertChannels(RULES, [event.job])
    } catch (error) {
      assertExpected(error, UsageError)
    }
  }
  fc.assert(fc.property(content, nasty, check), parameters(t))
  assert.ok(good > CASES / 10, `${good} were events`)
})

/** What the rules make of the jobs: branches that git and Nix take, which the rule knows again. */
function assertChannels(rules: readonly Rule[], jobs: readonly string[]): number {
  let channels = 0
  for (const rule of rules) {
    for (const { made } of channelsOfJobs(rule, jobs)) {
      if (made.kind === 'invalid') assertPlain([made.why])
      else {
        channels++
        assertBranch(made.branch)
        assert.ok(canMake(rule.template, made.branch), `${rule.branch} does not know ${made.branch} again`)
      }
    }
  }
  return channels
}

test(`${CASES} flakerefs`, t => {
  const flakeref = fc.oneof(
    nasty,
    fc
      .tuple(
        fc.constantFrom(
          'github:',
          'git+https://',
          'git+ssh://git@',
          'git+ssh://',
          'gitlab:',
          'path:',
          'GitHub:',
        ),
        fc.array(fc.oneof(fc.constantFrom('alice', 'dotfiles', 'dotfiles.git', 'github.com', SHA), nasty), {
          maxLength: 4,
        }),
        fc.array(
          fc.tuple(
            fc.constantFrom('rev', 'ref', 'host', 'narHash', 'dir'),
            fc.oneof(fc.constant(SHA), nasty),
          ),
        ),
      )
      .map(
        ([scheme, path, query]) =>
          `${scheme}${path.join('/')}?${query.map(pair => pair.join('=')).join('&')}`,
      ),
  )
  const expected = { repository: 'alice/dotfiles', hosts: ['github.com'] }
  let candidates = 0
  const check = (flake: string, newest: string) => {
    assertPlain([showFlakeref(flake)])
    const parsed = parseFlakeref(flake)
    if (parsed.kind === 'unusable') assertPlain([parsed.why])
    const tracked = parseTrackedRef(flake, expected)
    if (tracked.kind === 'pinned') assert.match(tracked.rev, /^[0-9a-f]{40}$/)
    const facts = { candidate: { build: 1, eval: { id: 1, flake } }, newestEval: { id: 2, flake: newest } }
    try {
      const candidate = judgeCandidate(
        { project: 'dotfiles', jobset: 'main', job: 'x' },
        { jobsetType: 'flake', ...facts },
        expected,
      )
      assert.ok(candidate)
      for (const { repository, error } of candidate.otherNames ?? []) {
        // GitHub is asked about it
        assert.match(repository, /^[\w-]+\/[\w.-]+$/)
        throw error
      }
      candidates++
      for (const text of [flake, newest]) {
        const at = decoded(text).toLowerCase()
        assert.ok(at.includes('alice') && at.includes('dotfiles') && !/^(gitlab|path)/.test(at), text)
      }
      for (const sha of [candidate.sha, candidate.newest?.sha ?? '']) {
        assert.match(sha, /^[0-9a-f]{40}$/)
        assert.ok(flake.toLowerCase().includes(sha) || newest.toLowerCase().includes(sha))
      }
    } catch (error) {
      assertExpected(error)
    }
  }
  const both = fc.tuple(flakeref, fc.oneof(flakeref, fc.constant(`github:alice/dotfiles/${SHA}`)))
  const good = fc.constant(`github:alice/dotfiles/${SHA}` as string)
  fc.assert(
    fc.property(fc.oneof(both, fc.tuple(good, flakeref), fc.tuple(good, good)), ([a, b]) => check(a, b)),
    parameters(t),
  )
  assert.ok(candidates > 0)
})

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

test(`${CASES} configurations`, t => {
  const rule = fc.record(
    {
      project: fc.oneof(fc.constant('dotfiles'), nasty, json),
      jobset: fc.oneof(fc.constant('main'), nasty),
      job: fc.oneof(fc.constantFrom('(?<host>.*)', '(?<host>[^.]*)\\..*', 'a(', '(?<host>a)|(?<x>b)'), nasty),
      repository: fc.oneof({ weight: 3, arbitrary: fc.constant('alice/dotfiles') }, nasty),
      branch: fc.oneof(fc.constantFrom('{host}', 'x-{host}', '{host}/{host}', '{nope}', 'x{'), nasty),
      extra: json,
    },
    { requiredKeys: ['project', 'jobset', 'job', 'repository', 'branch'] },
  )
  const config = fc.record(
    {
      github: fc.oneof(
        json,
        fc.record({ apiUrl: fc.oneof(fc.constant('https://ghe.example.org/api/v3'), nasty) }),
      ),
      hydraUrl: fc.oneof(fc.constant('https://hydra.example.org'), nasty),
      cache: fc.oneof(json, fc.record({ unit: nasty, url: nasty }, { requiredKeys: [] })),
      stateDirectory: nasty,
      channels: fc.oneof({ weight: 8, arbitrary: fc.array(rule, { maxLength: 2 }) }, json),
      nonsense: json,
    },
    { requiredKeys: ['channels'] },
  )
  const plain = fc.record({
    channels: fc.array(fc.record({ ...constants(RULE), job: ruleJob, branch: template }), { maxLength: 2 }),
  })
  const content = fc.oneof(
    config.map(each => JSON.stringify(each)),
    plain.map(each => JSON.stringify(each)),
    nasty,
  )
  let good = 0
  fc.assert(
    fc.property(content, nasty, fc.array(nasty, { maxLength: 3 }), (text, file, jobs) => {
      try {
        const { channels } = parseConfig(text, file)
        good++
        for (const { repository } of channels) assert.match(repository, /^[\w-]+\/[\w.-]+$/)
        assertChannels(channels, jobs)
      } catch (error) {
        assertExpected(error)
      }
    }),
    parameters(t),
  )
  assert.ok(good > CASES / 20, `${good} could be used`)
})

const ruleJob = fc.constantFrom(
  '(?<host>.*)',
  '(?<host>[^.]*)\\.(?<system>.*)',
  '(?<host>[\\s\\S]*)',
  '(?<host>.)(?<system>.*)',
  'nixos-(?<host>.*)',
)
const template = fc.oneof(
  fc.constantFrom(
    '{host}',
    '{host}-{system}',
    '{system}/{host}',
    'a/{host}/b',
    '{host}.',
    '.{host}',
    '{host}.lock',
  ),
  fc
    .array(fc.oneof(fc.constantFrom('{host}', '{system}'), nasty), { maxLength: 4 })
    .map(parts => parts.join('')),
)

function constants(values: Record<string, string>): Record<string, fc.Arbitrary<string>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fc.constant(value)]))
}

test(`${CASES} templates, each with names of jobs that are made for it`, t => {
  let channels = 0
  fc.assert(
    fc.property(
      ruleJob,
      template,
      fc.array(fc.oneof(nasty, writable), { minLength: 1, maxLength: 4 }),
      (job, branch, jobs) => {
        let rules: readonly Rule[]
        try {
          rules = rulesOf({ job, branch })
        } catch (error) {
          return assertExpected(error, UsageError)
        }
        channels += assertChannels(rules, jobs)
      },
    ),
    parameters(t),
  )
  assert.ok(channels > CASES / 20, `${channels} channels`)
})

test(`${CASES} fleets of Hydra's, with what status says of them`, t => {
  const flake = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(`github:alice/dotfiles/${SHA}`, `github:alice/dotfiles/${'a'.repeat(40)}`),
    },
    nasty,
    fc.constant(null),
  )
  const job = fc.record({
    job: fc.oneof(
      nasty,
      nasty.map(host => `nixos-${host}.x86_64-linux`),
    ),
    newest: fc.option(
      fc.record({
        build: fc.integer({ min: 1, max: 99 }),
        finished: fc.boolean(),
        status: fc.option(fc.integer({ min: -1, max: 13 })),
      }),
      { nil: undefined },
    ),
    candidate: fc.option(fc.record({ build: fc.nat(99), eval: fc.record({ id: fc.nat(9), flake }) }), {
      nil: undefined,
    }),
  })
  const jobset = fc.record({
    id: fc.constant(1),
    type: fc.constantFrom('flake' as const, 'legacy' as const),
    flake: fc.oneof(fc.constant('github:alice/dotfiles'), flake),
    enabled: fc.boolean(),
    oneAtATime: fc.boolean(),
    checkIntervalSeconds: fc.constantFrom(0, 300),
    lastCheckedTime: fc.option(fc.nat(2 ** 31 - 1), { nil: undefined }),
    error: fc.option(fc.record({ text: nasty, time: fc.nat(2 ** 31 - 1), current: fc.boolean() }), {
      nil: undefined,
    }),
    newestEval: fc.option(
      fc.record({
        id: fc.nat(9),
        flake,
        timestamp: fc.nat(2 ** 31 - 1),
        error: fc.oneof(
          nasty,
          fc.tuple(nasty, nasty).map(([name, text]) => `in job ‘${name}’:\nerror: ${text}\n`),
        ),
      }),
      { nil: undefined },
    ),
    jobs: fc.uniqueArray(job, { maxLength: 3, selector: each => each.job }),
  })
  const stand = fc.constantFrom(
    undefined,
    'unrelated' as const,
    ...(['identical', 'ahead', 'behind', 'diverged'] as const).map(status => ({
      status,
      aheadBy: 1,
      behindBy: 1,
    })),
  )
  const around = {
    now: new Date('2026-11-24T12:00:00Z'),
    hosts: ['github.com'],
    webUrl: 'https://github.com',
    hydraUrl: 'https://hydra.example.org',
    dryRun: false,
    copies: true,
  }
  let channels = 0
  const check = (
    found: NonNullable<JobsetFacts['found']>,
    text: string,
    s: readonly Stand[],
    tip: string | undefined,
  ) => {
    const plan = planFleet(RULES, [{ project: 'dotfiles', jobset: 'main', found }], ['github.com'])
    for (const { error } of plan.problems) assertExpected(error)
    for (const planned of plan.channels) {
      channels++
      const { channel } = planned
      assert.equal(channel.repository, 'alice/dotfiles')
      assertBranch(channel.branch)
      if (planned.candidate instanceof OperatorError) assertExpected(planned.candidate)
      else if (planned.candidate) {
        const { sha } = planned.candidate
        assert.match(sha, /^[0-9a-f]{40}$/)
        const say = (verdict: Verdict) =>
          describeVerdict(channel, verdict, { webUrl: 'https://github.com', dryRun: text.length % 2 > 0 })
        assertPlain(say({ kind: 'held', sha, hold: { reason: text, since: text, until: text, by: text } }))
        assertPlain(say({ kind: 'diverged', sha, tip: SHA }))
        assertPlain(say(offBranch(planned.candidate, planned.tracked, text.length % 2 === 0)))
        const notOn = planned.tracked
        assertPlain(say({ kind: 'already-contained', sha, tip: SHA, commits: 1, notOn }))
      }
      assertPlain([showTrackedRef(planned.tracked)])
      const [tracked, newest, candidate] = s
      const explained = explain(
        {
          channel,
          planned,
          holds: [],
          tip,
          stands: { tracked, newest, candidate },
          evaluated: text.length % 2 === 0,
          offBranch:
            planned.candidate instanceof OperatorError || !planned.candidate || text.length % 3 > 0
              ? undefined
              : offBranch(planned.candidate, planned.tracked, text.length % 2 === 0),
          forbidden: undefined,
          tracked: {
            kind: 'branch',
            name: text,
            sha: 'b'.repeat(40),
            unevaluated: { commits: 1, oldest: '2026-11-24T10:00:00Z' },
          },
          looked: undefined,
          failing: {
            first: {
              build: 189,
              status: 1,
              eval: { id: 990, flake: `github:alice/dotfiles/${SHA}`, timestamp: 1_760_000_000 },
            },
            atLeast: text.length % 2 > 0,
            lastGood: undefined,
          },
        },
        {
          ...around,
          dryRun: text.length % 2 > 0,
          commits: new Map([[SHA, { subject: text, author: text.length % 2 > 0 ? text : undefined }]]),
        },
      )
      assert.ok(REASONS.includes(explained.reason))
      assertPlain([explained.message ?? '', explained.url ?? ''])
      if (explained.url) assert.match(new URL(explained.url).host, /^(?:hydra\.example\.org|github\.com)$/)
    }
  }
  const tips = fc.constantFrom(undefined, SHA, 'a'.repeat(40), 'b'.repeat(40))
  fc.assert(fc.property(jobset, nasty, fc.tuple(stand, stand, stand), tips, check), parameters(t))
  assert.ok(channels > CASES / 10, `${channels} channels`)
})

type Stand = Parameters<typeof explain>[0]['stands']['tracked']

test(`${CASES} statuses, as a table, as JSON and as metrics`, t => {
  const text = fc.option(nasty)
  const time = fc.constantFrom(
    null,
    '2026-11-24T12:00:00Z',
    '1970-01-01T00:00:00Z',
    '+275760-09-13T00:00:00.000Z',
  )
  const count = fc.constantFrom(null, 0, 1, 999_999, Number.MAX_SAFE_INTEGER)
  const channel: fc.Arbitrary<ChannelStatus> = fc.record({
    repository: fc.constantFrom('alice/dotfiles', 'Alice/Dotfiles', 'bob/x'),
    branch: nasty,
    project: text,
    jobset: text,
    job: text,
    sha: fc.constantFrom(null, SHA),
    committedAt: time,
    candidate: fc.option(fc.record({ sha: fc.constant(SHA), eval: fc.nat(), build: fc.nat() })),
    behindCandidate: count,
    behindBranch: count,
    reason: fc.constantFrom(...REASONS),
    since: time,
    url: text,
    message: text,
    failing: fc.option(
      fc.record({
        build: fc.option(fc.nat()),
        eval: fc.option(fc.nat()),
        since: time,
        sha: fc.constantFrom(null, SHA),
        subject: text,
        author: text,
        lastGoodBuild: fc.option(fc.nat()),
      }),
    ),
    hold: fc.option(
      fc.record({
        reason: nasty,
        since: fc.constant('2026-11-24T12:00:00Z'),
        until: time,
        by: fc.option(nasty),
        scope: fc.constantFrom('channel', 'all'),
      }),
    ),
  })
  const fleet: fc.Arbitrary<FleetStatus> = fc.record({
    generatedAt: fc.constant('2026-11-24T12:00:00.000Z'),
    lastReconcile: time,
    nextReconcile: time,
    dryRun: fc.boolean(),
    channels: fc.array(channel, { maxLength: 4 }),
  })
  const now = new Date('2026-11-24T12:00:00Z')
  const check = (status: FleetStatus, width: number) => {
    for (const line of renderTable(status, { now, width, colour: false, links: false }))
      assert.doesNotMatch(line, CONTROLS)
    const line = printable(JSON.stringify(status))
    assert.doesNotMatch(line, CONTROLS)
    assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(status)))
    for (const metric of renderMetrics(status).split('\n')) {
      assert.match(
        metric,
        /^(?:|# (?:HELP|TYPE) \w+ .*|\w+(?:\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\})? -?[\d.e+]+)$/,
      )
      assert.doesNotMatch(metric, CONTROLS)
    }
  }
  fc.assert(fc.property(fleet, fc.constantFrom(20, 60, 80, 200), check), parameters(t))
})

const AT_ONCE = 50

interface Answered {
  /** which of the endpoints */
  endpoint: number
  status: number
  headers: Record<string, string>
  body: string
}

const ENDPOINTS: readonly ((repository: Survey) => Promise<unknown>)[] = [
  repository => repository.compare('refs/heads/x', SHA),
  repository => repository.findBranch('x'),
  repository => repository.hasCommit(SHA),
  repository => repository.listBranches('nixos-tested-'),
  repository => repository.findStandings([{ branch: 'x', heads: [SHA] }]),
  repository => repository.findTrackedBranch('refs/heads/main'),
  repository => repository.createBranch('x', SHA, 0),
  repository => repository.fastForward('x', SHA, 0),
  repository => repository.findConflictingBranch('a/b'),
]

/** The error, if it ended with one; keeps the addresses that it asked. */
async function ask(answer: Answered, seen: string[]): Promise<unknown> {
  const http: Http = {
    async fetch(url) {
      seen.push(url)
      const { status, headers, body } = answer
      if (status === 0) throw new HttpError('the connection was closed')
      return { status, url, headers: new Map(Object.entries(headers)), text: async () => body }
    },
    close: () => {},
  }
  let now = 0
  const repository: Survey = openRepository({
    http,
    apiUrl: 'https://api.github.com',
    attemptTimeoutMs: 1000,
    // time passes as often as somebody looks at the clock, and the waits are short beside it
    deadline: new Deadline(0.02, () => now++),
    secondMs: 0.01,
    repository: 'alice/dotfiles',
    credentials: { kind: 'token', token: 'ghp_personal', source: 'GITHUB_TOKEN' },
    cacheDirectory: undefined,
  })
  const endpoint = ENDPOINTS[answer.endpoint]
  assert.ok(endpoint)
  return endpoint(repository).then(
    () => undefined,
    (error: unknown) => error,
  )
}

const header = fc.constantFrom(
  '',
  '0',
  '-1',
  '1',
  'NaN',
  '1e999',
  'Tue, 24 Nov 2026 12:00:00 GMT',
  '\u001b[31m',
)
const headers = fc.dictionary(
  fc.constantFrom(
    ...['retry-after', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'date', 'content-type', 'link'],
    ...['x-accepted-github-permissions', 'deprecation', 'sunset', 'x-github-request-id'],
  ),
  header,
)
const status = fc.constantFrom(
  0,
  200,
  200,
  201,
  204,
  301,
  304,
  400,
  401,
  403,
  404,
  409,
  410,
  422,
  429,
  451,
  500,
  502,
)
const answers = (body: fc.Arbitrary<string>) =>
  fc.array(fc.record({ endpoint: fc.nat(ENDPOINTS.length - 1), status, headers, body }), {
    minLength: AT_ONCE,
    maxLength: AT_ONCE,
  })

async function meetAnswers(
  t: TestContext,
  body: fc.Arbitrary<string>,
  isExpected: (error: unknown, answer: Answered) => boolean,
): Promise<void> {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.after(() => process.off('unhandledRejection', note))
  const check = async (given: readonly Answered[]) => {
    const all = given.map(async answer => {
      const seen: string[] = []
      const error = await ask(answer, seen)
      if (error !== undefined) {
        assert.ok(isExpected(error, answer), error instanceof Error ? error.stack : String(error))
        if (error instanceof OperatorError) assertPlain([error.message, ...error.hint])
      }
      for (const url of seen) {
        const { origin, pathname } = new URL(url)
        assert.equal(origin, 'https://api.github.com')
        assert.match(pathname, /^\/(?:repos\/alice\/dotfiles(?:\/|$)|graphql$)/)
      }
    })
    await Promise.all(all)
    await new Promise(setImmediate)
    assert.deepEqual(unhandled, [])
  }
  await fc.assert(fc.asyncProperty(answers(body), check), {
    ...parameters(t),
    numRuns: Math.ceil(CASES / AT_ONCE),
  })
}

test(`${CASES} answers of GitHub's in their shapes, with words that are none of its own`, async t => {
  const object = fc.record({ sha: fc.constant(SHA), type: fc.constant('commit') })
  const ref = fc.record({ ref: nasty.map(name => `refs/heads/${name}`), object })
  const body = fc.oneof(
    fc.record({ message: nasty, documentation_url: nasty, errors: fc.array(fc.record({ message: nasty })) }),
    fc.record({ errors: fc.array(fc.record({ message: nasty }), { minLength: 1 }), data: fc.constant(null) }),
    fc.record({
      message: fc.constantFrom('Reference already exists', 'Not Found', 'Git Repository is empty.'),
    }),
  )
  await meetAnswers(
    t,
    fc.oneof(
      fc.array(ref, { maxLength: 3 }).map(each => JSON.stringify(each)),
      body.map(each => JSON.stringify(each)),
      nasty,
    ),
    // a 200 that is no answer to the question is a bug or an outage: an error all the same
    (error, { status }) => error instanceof OperatorError || (status < 300 && error instanceof Error),
  )
})

test(`${CASES} answers of GitHub's in no shape at all`, async t => {
  await meetAnswers(
    t,
    fc.oneof(
      json.map(each => JSON.stringify(each)),
      nasty,
    ),
    error => error instanceof Error,
  )
})

test('git takes every branch that was made on the way', t => {
  t.diagnostic(`${taken.size} branches`)
  assert.ok(taken.size > 100)
  const directory = mkdtempSync(join(tmpdir(), 'hc-hostile-'))
  t.after(() => rmSync(directory, { recursive: true }))
  execFileSync('git', ['init', '--quiet', '--bare', directory])
  // all in one process, which checks each name as check-ref-format does, in a folder of its own
  const input = [...taken].map((name, index) => `verify refs/heads/${index}/${name}\0\0`).join('')
  execFileSync('git', ['-C', directory, 'update-ref', '--stdin', '-z'], { input })
})
