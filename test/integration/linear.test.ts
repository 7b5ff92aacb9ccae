// Text and lists from outside cost time that grows with their length and no faster. Steps are counted, not seconds: V8 says how
// often each block of src ran, for an input and for one of twice its length. What a regular expression does is no block of
// ours: patterns.test.ts looks at those.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RequestError } from '@octokit/request-error'
import { jsonProblem } from '../../src/base/json-problem.ts'
import { createLog, listSome, printableLines } from '../../src/base/log.ts'
import { fieldOf } from '../../src/cache/narinfo.ts'
import { listTips, strayBranches } from '../../src/channels/branches.ts'
import { channelKey } from '../../src/channels/channel.ts'
import { nameChannel, selectChannels } from '../../src/channels/channel-name.ts'
import { planFleet, prefixesOf, prefixKey } from '../../src/channels/plan.ts'
import { findRecorded, knownChannels } from '../../src/channels/recorded.ts'
import { ruleSchema } from '../../src/channels/rule.ts'
import { parseConfig } from '../../src/config.ts'
import { explainUnmatched } from '../../src/doctor/unmatched.ts'
import { messageOfAnswer, repositoryIdOf } from '../../src/github/request.ts'
import { parseEvaluationErrors } from '../../src/hydra/evaluation-error.ts'
import { parseEvent, summarize } from '../../src/hydra/event.ts'
import { parseFlakeref, parseTrackedRef, showFlakeref } from '../../src/hydra/flakeref.ts'
import type { FoundJobset } from '../../src/hydra/queries/jobset-facts.ts'
import { explain } from '../../src/status/explain.ts'
import { renderMetrics } from '../../src/status/metrics.ts'
import { renderPage } from '../../src/status/page.ts'
import type { ChannelStatus, FleetStatus } from '../../src/status/shape.ts'
import { renderTable } from '../../src/status/table.ts'
import { foundJobset } from '../helpers/found-jobset.ts'
import { countSteps } from '../helpers/steps.ts'

const rule = (more: object = {}) =>
  ruleSchema.parse({
    ...{ project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' },
    ...{ job: 'nixos-(?<host>[^/]*?)\\.(?<system>.*)', branch: 'nixos-tested-{host}' },
    ...more,
  })

const many = <T>(n: number, make: (at: number) => T) => Array.from({ length: n }, (_, at) => make(at))
const NAMES = {
  'a channel each': (at: number) => `nixos-h${at}.x86_64-linux`,
  'one channel': (at: number) => `nixos-h.s${at}`,
  'a name that no branch can have': (at: number) => `nixos-h ${at}.x86_64-linux`,
}

function jobsetOf(jobs: readonly string[], error = ''): FoundJobset {
  return foundJobset({
    newestEval: { id: 9, flake: null, timestamp: 1_700_000_000, error },
    jobs: jobs.map(job => ({
      job,
      newest: { build: 7, finished: true, status: 0 },
      candidate: { build: 7, eval: { id: 9, flake: `github:alice/dotfiles/${'a'.repeat(40)}` } },
    })),
  })
}

const planOf = (rules: readonly ReturnType<typeof rule>[], found: FoundJobset) =>
  planFleet(rules, [{ project: 'dotfiles', jobset: 'main', found }], ['github.com'])

const statusOf = (at: number): ChannelStatus => ({
  ...{ repository: 'alice/dotfiles', branch: `nixos-tested-h${at}` },
  ...{ project: 'dotfiles', jobset: 'main', job: `h${at}`, sha: null, committedAt: null, candidate: null },
  ...{ behindCandidate: null, behindBranch: null, since: null, url: null, failing: null, hold: null },
  ...{ reason: 'unknown', message: 'the same for all' },
})

const fleetOf = (n: number): FleetStatus => ({
  ...{
    generatedAt: '2026-11-24T12:00:00Z',
    lastReconcile: null,
    nextReconcile: null,
    dryRun: false,
    channels: many(n, statusOf),
  },
})

const answer = (data: unknown) =>
  messageOfAnswer(
    new RequestError('', 403, {
      request: { method: 'GET', url: 'https://api.github.com/', headers: {} },
      response: { status: 403, url: 'https://api.github.com/', headers: {}, data },
    }),
  )

const event = (more: object) =>
  JSON.stringify({
    ...{
      event: 'buildFinished',
      build: 1,
      project: 'p',
      jobset: 'j',
      job: 'a',
      finished: true,
      buildStatus: 0,
    },
    ...{ outputs: [], products: [], metrics: [], ...more },
  })

/** Main has a commit that Hydra has not evaluated for long. */
function explainAll({ channels }: ReturnType<typeof planOf>): unknown {
  const sha = 'b'.repeat(40)
  const unevaluated = { commits: 1, oldest: '2026-01-01T00:00:00Z' }
  const around = {
    now: new Date(),
    hosts: ['github.com'],
    webUrl: 'https://github.com',
    hydraUrl: undefined,
    dryRun: false,
    copies: true,
    commits: new Map(),
  }
  return channels.map(planned =>
    explain(
      {
        ...{ channel: planned.channel, planned, holds: [], tip: 'a'.repeat(40), evaluated: true },
        stands: { tracked: undefined, newest: undefined, candidate: undefined },
        ...{ offBranch: undefined, forbidden: undefined, looked: undefined },
        tracked: { kind: 'branch', name: 'main', sha, unevaluated },
      },
      around,
    ),
  )
}

function configOf(content: object): unknown {
  try {
    return parseConfig(JSON.stringify(content), 'config.json')
  } catch (error) {
    return error
  }
}

/** What is done with an input of length n. */
const CASES: Record<string, (n: number) => unknown> = {
  'a line of the log': n => createLog(() => {}).line('\u0007'.repeat(n)),
  'many lines of the log': n => {
    const log = createLog(() => {})
    for (let at = 0; at < n; at++) log.line('a'.repeat(3000))
    log.end()
  },
  'the output of a program': n => printableLines('a\n'.repeat(n)),
  'a list of names': n => listSome(many(n, String)),
  'a narinfo of blanks': n => fieldOf('StorePath', `StorePath: a${' '.repeat(n)}b`),
  'a narinfo of lines': n => fieldOf('StorePath', 'Sig: a\n'.repeat(n)),
  'an evaluation error of one line': n =>
    parseEvaluationErrors(`in job ‘a’:\nerror: ${'://'.repeat(n)}`).find('a'),
  'an evaluation error of lines': n =>
    parseEvaluationErrors(`in job ‘a’:\n${'error: b\n'.repeat(n)}`).find('a'),
  'an evaluation error of jobs': n => {
    const { jobs, find } = parseEvaluationErrors(many(n, at => `in job ‘a${at}’:\nerror: b\n`).join(''))
    for (const job of jobs) find(job)
  },
  'a top-level error, for many jobs': n => {
    const { find } = parseEvaluationErrors(`at top-level:\n${'error: b\n'.repeat(n)}`)
    for (let at = 0; at < n; at++) find(`a${at}`)
  },
  'a job with many dots': n => parseEvaluationErrors('at top-level:\nerror: b').find('a.'.repeat(n)),
  'a page instead of an answer': n => answer('<'.repeat(n)),
  'a page that never ends its head': n => answer('<head>'.repeat(n)),
  'a long message of an answer': n => answer({ message: ' '.repeat(n) }),
  'an address': n => repositoryIdOf('/repositories'.repeat(n)),
  'a flakeref of slashes': n => parseFlakeref(`github:a/b/${'/'.repeat(n)}`),
  'a flakeref of at signs': n => showFlakeref(`git+https://${'a@'.repeat(n)}`),
  'a flakeref with parameters': n =>
    parseTrackedRef(`github:a/b?${'dir=a&'.repeat(n)}`, {
      hosts: ['github.com'],
      repository: 'a/b',
    }),
  'an event with a long text': n => parseEvent(event({ description: 'a'.repeat(n) }), 'f'),
  'an event with many outputs': n =>
    parseEvent(event({ outputs: many(n, at => ({ name: `o${at}`, path: '/nix/store/a' })) }), 'f'),
  'an event with a long name': n =>
    summarize(parseEvent(event({ job: 'a'.repeat(n) }), 'f').event as Parameters<typeof summarize>[0]),
  'a status of channels with the same message': n =>
    renderTable(fleetOf(n), { now: new Date(0), width: 80, colour: false, links: false }),
  'the metrics of channels': n => renderMetrics(fleetOf(n)),
  'the page of channels': n => {
    const fleet = fleetOf(n)
    const channels = fleet.channels.map(channel => ({ ...channel, gates: [], evals: [] }))
    return renderPage({
      ...{ ...fleet, channels, commits: new Map(), webUrl: 'https://x', hydraUrl: undefined },
      ...{ intervalMs: undefined, problems: many(n, String) },
    })
  },
  'jobs whose names are only in an error': n =>
    planOf(
      [rule()],
      jobsetOf([], many(n, at => `in job ‘${NAMES['one channel'](at)}’:\nerror: b\n`).join('')),
    ),
  ...Object.fromEntries(
    Object.entries(NAMES).flatMap(([what, name]) => [
      [`jobs of one rule: ${what}`, (n: number) => planOf([rule()], jobsetOf(many(n, name)))],
      [
        `jobs of two rules, one with another ref: ${what}`,
        (n: number) => planOf([rule(), rule({ ref: 'main' })], jobsetOf(many(n, name))),
      ],
    ]),
  ),
  'channels of a jobset that waits for all of its builds': n =>
    explainAll(
      planOf([rule()], {
        ...jobsetOf(many(n, NAMES['a channel each'])),
        oneAtATime: true,
        jobs: many(n, at => ({
          job: NAMES['a channel each'](at),
          newest: { build: at, finished: false, status: null },
          candidate: undefined,
        })),
      }),
    ),
  'channels of a jobset whose evaluation fails': n =>
    explainAll(
      planOf([rule()], {
        ...jobsetOf(many(n, NAMES['a channel each'])),
        error: { text: 'error: a\n'.repeat(n), time: 1_800_000_000, current: true },
      }),
    ),
  'branches that no job leads to': n => {
    const rules = [rule(), rule({ branch: 'nixos-tested-x-{host}' })]
    const branches = new Map(many(n, at => [`nixos-tested-h${at}`, 'a'.repeat(40)]))
    const tips = new Map(
      prefixesOf(rules).map(prefix => [
        prefixKey(prefix),
        { prefix, branches, findBranch: async () => undefined },
      ]),
    )
    return strayBranches(planOf(rules, jobsetOf([])), tips, rules)
  },
  'a configuration that is not JSON, in many lists': n => jsonProblem('['.repeat(n)),
  'a configuration that is not JSON, after many lines': n => jsonProblem('[\n'.repeat(n)),
  'a configuration that is not JSON, after many values': n => jsonProblem(`[${'1, '.repeat(n)}]`),
  'a configuration that is not JSON, in a long string': n => jsonProblem(`["${'\\\\'.repeat(n)}`),
  'a configuration that is not JSON, after a long number': n => jsonProblem(`[${'1'.repeat(n)}x`),
  'a configuration that is not JSON, on one long line': n => jsonProblem(`[${' '.repeat(n)}x`),
  'a key of any length': n => configOf({ ['a'.repeat(n)]: 1, channels: [] }),
  'jobs that no rule matches': n => {
    const found = jobsetOf(many(n, at => (at === 0 ? 'a' : `b${at}`)))
    return explainUnmatched(
      [rule({ job: 'a', branch: 'a' })],
      [{ project: 'dotfiles', jobset: 'main', found }],
    )
  },
  'many unknown keys': n => configOf(Object.fromEntries(many(n, at => [`k${at}`, 1]))),
  'branches that earlier reconciles knew': async n => {
    const ignore = ['old-*', 'nixos-tested-h1', 'nixos-tested-h2']
    const rules = [rule({ ignore }), rule({ branch: 'nixos-tested-x-{host}', jobset: 'nothing' })]
    const before = many(n, at => ({
      ...{ repository: 'alice/old', branch: `old-h${at}`, prefix: `old-${at % 3}` },
    }))
    const forge = {
      listBranches: async () => new Map(before.map(({ branch }) => [branch, 'a'.repeat(40)])),
      findBranch: async () => undefined,
      findNewName: async () => 'alice/dotfiles',
    }
    const tips = await listTips({ repository: () => forge }, prefixesOf(rules, before))
    const recorded = await findRecorded(before, { tips, rules, repository: () => forge })
    const plan = planOf(rules, jobsetOf(many(n, NAMES['a channel each'])))
    return [strayBranches(plan, tips, rules, recorded), await knownChannels(plan, { tips, rules, recorded })]
  },
  'channels that are named on the command line': n => {
    const all = planOf([rule()], jobsetOf(many(n, NAMES['a channel each']))).channels
    const names = all.slice(0, 100).map(({ channel }) => nameChannel(channel))
    assert.equal(new Set(selectChannels(all, names).map(({ channel }) => channelKey(channel))).size, 100)
  },
}

describe('twice as much takes twice as long', () => {
  for (const [what, work] of Object.entries(CASES)) {
    test(what, async () => {
      // once before, so that what is done only once is done
      await work(100)
      const [one, two] = [await countSteps(() => work(1_000)), await countSteps(() => work(2_000))]
      assert.ok(two > 0, 'nothing of ours ran')
      assert.ok(two <= 2.3 * one + 100, `${one} steps, and ${two} for twice as much`)
    })
  }
})

test('what is not linear is seen', async () => {
  const all = many(200, at => ({ channel: { repository: 'alice/dotfiles', branch: `b${at}` } }))
  const square = (n: number) => {
    for (let at = 0; at < n; at++) selectChannels(all.slice(0, n), ['alice/dotfiles:b0'])
  }
  const [one, two] = [await countSteps(() => square(100)), await countSteps(() => square(200))]
  assert.ok(two > 3 * one, `${one} steps, and ${two} for twice as much`)
})
