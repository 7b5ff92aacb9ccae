// Every gate of one channel, as tables: the facts of an up-to-date channel, what differs, and the marks in the order of GATES.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OperatorError, PassingError } from '../../../src/base/errors.ts'
import type { EvalOfJobs } from '../../../src/hydra/queries/last-evals.ts'
import { findBetween, findGates, GATES, type GateFacts, type GateName } from '../../../src/status/gates.ts'
import {
  ABSENT,
  AHEAD,
  AMBIGUOUS,
  AROUND,
  BEHIND,
  BESIDE,
  C3,
  C4,
  compareUrl,
  DIVERGED,
  FATAL,
  FORBIDDEN,
  factsOf,
  failed,
  GOOD,
  HOLD,
  IDENTICAL,
  MISSES,
  NAS,
  NOT_ON_BRANCH,
  ONE_BEHIND,
  QUEUED,
  type Spec,
  UNUSABLE,
  unevaluated,
  WITHDRAWN,
} from '../../helpers/channel-facts.ts'

const AWAY = new OperatorError('GitHub could not be asked', { hint: 'the next run tries again' })
const DATABASE_AWAY = new OperatorError("cannot ask Hydra's database", { hint: 'start it' })
const HYDRA = 'https://hydra.example.org'

/** At c3: the candidate is of eval 8, a commit before the newest eval's, whose build failed. */
const FAILING = {
  ...ONE_BEHIND,
  tip: C3,
  candidate: { ...GOOD, sha: C3, eval: 8, build: 60 },
  standCandidate: IDENTICAL,
  ...failed(1),
} satisfies Spec

interface Case {
  what: string
  facts?: Spec
  gates?: Partial<Omit<GateFacts, 'facts'>>
  /** one for each of GATES */
  candidate: string
  newestEval: string
  texts?: Partial<Record<GateName, (string | RegExp)[]>>
  urls?: Partial<Record<GateName, (string | null)[]>>
}

const MARKS = { open: '✓', shut: '✗', unknown: '–' } as const

//                rule job evaluation build cache branch hold permission fast-forward
const cases: Case[] = [
  {
    what: 'up to date',
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✓–✓✓✓✓',
    texts: {
      rule: [`the rule for nixos-tested-{host} leads dotfiles:main:${NAS} to it`],
      job: ['it is in eval 9'],
      evaluation: ['eval 9 is of 4444444, 2 h ago'],
      build: ['build 70 succeeded'],
      cache: ['not asked: the next reconcile would not move the channel to it'],
      branch: ['4444444 is the tip of main'],
      hold: ['nobody holds it'],
      permission: ['GitHub names nothing that keeps us from writing to it in alice/dotfiles'],
      'fast-forward': ['the channel is at 4444444'],
    },
    urls: { job: [`${HYDRA}/eval/9`], build: [`${HYDRA}/build/70`], hold: [null] },
  },
  {
    what: 'its newest build failed',
    facts: FAILING,
    gates: { onTracked: { candidate: AHEAD, newestEval: IDENTICAL } },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✗–✓✓✓✓',
    texts: {
      job: ['it is in eval 8', 'it is in eval 9'],
      evaluation: ['eval 8 is of 3333333, 2 h ago', 'eval 9 is of 4444444, 2 h ago'],
      build: ['build 60 succeeded', 'build 71 failed; the channel moves with the next good build'],
      branch: ['3333333 is in the history of main, 1 commit before its tip', '4444444 is the tip of main'],
      'fast-forward': ['the channel is at 3333333', '4444444 is 1 commit ahead of the channel'],
    },
    urls: {
      build: [`${HYDRA}/build/60`, `${HYDRA}/build/71`],
      branch: [compareUrl(C3, C4), null],
      'fast-forward': [null, compareUrl(C3, C4)],
    },
  },
  {
    what: 'its candidate is in the history of the branch, and how far back was not asked',
    facts: FAILING,
    gates: { onTracked: { candidate: 'contained', newestEval: IDENTICAL } },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✗–✓✓✓✓',
    texts: { branch: ['3333333 is in the history of main', '4444444 is the tip of main'] },
    urls: { branch: [compareUrl(C3, C4), null] },
  },
  {
    what: 'its newest build is queued',
    facts: { ...FAILING, newestBuild: QUEUED },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓––✓✓✓✓',
    texts: { build: ['build 60 succeeded', 'build 71 has been queued or running for 2 h'] },
  },
  {
    what: 'never built',
    facts: { tip: undefined, candidate: undefined, newestBuild: QUEUED, ...NO_STANDS() },
    candidate: '✓–––––✓✓–',
    newestEval: '✓✓✓––✓✓✓✓',
    texts: {
      build: ['there is no candidate: its job has no good build', /^build 71 has been queued/],
      'fast-forward': [/^there is no candidate/, 'there is no branch yet: it would be created at 4444444'],
    },
  },
  {
    what: 'to be moved, and in the cache',
    facts: { ...ONE_BEHIND, looked: { kind: 'seen' } },
    candidate: '✓✓✓✓✓✓✓✓✓',
    newestEval: '✓✓✓✓✓✓✓✓✓',
    texts: { cache: ['its outputs are there'] },
  },
  {
    what: 'to be moved, and not in the cache',
    facts: { ...ONE_BEHIND, uncached: 'the cache does not have /nix/store/x' },
    candidate: '✓✓✓✓✗✓✓✓✓',
    newestEval: '✓✓✓✓✗✓✓✓✓',
    texts: { cache: ['the cache does not have /nix/store/x'] },
    urls: { cache: [`${HYDRA}/build/70`] },
  },
  {
    what: 'not copied yet, and the next reconcile does that',
    facts: { ...ONE_BEHIND, looked: ABSENT },
    candidate: '✓✓✓✓✗✓✓✓✓',
    newestEval: '✓✓✓✓✗✓✓✓✓',
    texts: { cache: [`${ABSENT.absent}; the next reconcile copies it, and moves the channel`] },
  },
  {
    what: 'not copied yet, and held: nothing is copied',
    facts: { ...ONE_BEHIND, looked: ABSENT, hold: HOLD },
    candidate: '✓✓✓✓✗✓✗✓✓',
    newestEval: '✓✓✓✓✗✓✗✓✓',
    texts: { cache: [ABSENT.absent] },
  },
  {
    what: 'to be moved, and the cache is silent',
    facts: { ...ONE_BEHIND, looked: { kind: 'silent' } },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✓–✓✓✓✓',
    texts: { cache: ['not known: the cache did not answer in time'] },
  },
  {
    what: 'there is no cache to look at',
    facts: ONE_BEHIND,
    gates: { cache: 'none' },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✓–✓✓✓✓',
    texts: { cache: ['not asked: the configuration has no cache.url'] },
  },
  {
    what: 'held',
    facts: { ...ONE_BEHIND, hold: HOLD },
    candidate: '✓✓✓✓–✓✗✓✓',
    newestEval: '✓✓✓✓–✓✗✓✓',
    texts: {
      hold: [/^held for 4 days, until it is released, because “does not boot”: hydra-channels release /],
    },
  },
  {
    what: 'a hold that cannot be read may be one',
    facts: { hold: new OperatorError('the hold x is not JSON', { hint: 'remove the file' }) },
    candidate: '✓✓✓✓–✓–✓✓',
    newestEval: '✓✓✓✓–✓–✓✓',
    texts: { hold: ['the hold x is not JSON; remove the file'] },
  },
  {
    what: 'GitHub forbids it',
    facts: { forbidden: FORBIDDEN },
    candidate: '✓✓✓✓–✓✓✗✓',
    newestEval: '✓✓✓✓–✓✓✗✓',
    texts: { permission: [/^the repository is archived, so it is read-only; unarchive it/] },
  },
  {
    what: 'pushed by hand',
    facts: BESIDE,
    candidate: '✓✓✓✓–✓✓✓✗',
    newestEval: '✓✓✓✓–✓✓✓✗',
    texts: {
      'fast-forward': [
        "4444444 does not descend from the channel's commit: 1 commit only in the channel, 3 commits only in 4444444",
      ],
    },
  },
  {
    what: 'of another root',
    facts: { ...BESIDE, standCandidate: 'unrelated', standNewest: 'unrelated' },
    candidate: '✓✓✓✓–✓✓✓✗',
    newestEval: '✓✓✓✓–✓✓✓✗',
    texts: { 'fast-forward': [/: they have no common history$/] },
  },
  {
    what: 'further than the candidate',
    facts: { standCandidate: BEHIND, standNewest: BEHIND },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✓–✓✓✓✓',
    texts: { 'fast-forward': ['the channel is 1 commit further than 4444444'] },
  },
  {
    what: 'GitHub does not have the commit',
    facts: { standCandidate: undefined, standNewest: undefined },
    gates: { onTracked: { candidate: 'unknown commit', newestEval: 'unknown commit' } },
    candidate: '✓✓✓✓––✓✓–',
    newestEval: '✓✓✓✓––✓✓–',
    texts: { 'fast-forward': ['not known: GitHub does not have 4444444'] },
  },
  {
    what: 'its candidate was taken back',
    facts: { ...FAILING, offBranch: WITHDRAWN },
    candidate: '✓✓✓✓–✗✓✓✓',
    newestEval: '✓✓✓✗–✓✓✓✓',
    texts: { branch: [/^the commit e{40} of eval 8 was taken back/, '4444444 is the tip of main'] },
  },
  {
    what: 'its candidate is not on the branch',
    facts: { ...ONE_BEHIND, offBranch: NOT_ON_BRANCH },
    candidate: '✓✓✓✓–✗✓✓✓',
    newestEval: '✓✓✓✓–✗✓✓✓',
    texts: { branch: [/^the commit e{40} of eval 9 is not in the history of main/] },
  },
  {
    what: "the newest eval's commit is not on the branch",
    facts: FAILING,
    gates: { onTracked: { candidate: AHEAD, newestEval: DIVERGED } },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✗–✗✓✓✓',
    texts: { branch: [/^3333333 is in/, '4444444 is not in the history of main'] },
  },
  {
    what: 'the tracked branch is not there',
    facts: { trackedSha: undefined, unevaluated: undefined },
    candidate: '✓✓✓✓–✗✓✓✓',
    newestEval: '✓✓✓✓–✗✓✓✓',
    texts: { branch: [/^the branch that dotfiles:main follows is not in alice\/dotfiles/] },
  },
  {
    what: 'the jobset follows another repository',
    facts: { flake: 'github:bob/dotfiles' },
    candidate: '✓✓✓✓–✗✓✓✓',
    newestEval: '✓✓✓✓–✗✓✓✓',
    texts: { branch: [/^dotfiles:main follows github:bob\/dotfiles now/] },
  },
  {
    what: 'the job is gone',
    facts: { ...FAILING, presence: 'gone', newestBuild: undefined },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✗✓––✓✓✓✓',
    texts: {
      job: ['it is in eval 8', /^the job nixos-nas.x86_64-linux is not in the newest eval of dotfiles:main/],
      build: [/succeeded/, 'there is no build of it in the newest eval'],
    },
  },
  {
    what: 'the job cannot be evaluated',
    facts: { ...FAILING, presence: 'evaluation-failed', newestBuild: undefined, evalError: MISSES },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓–✗––✓✓✓✓',
    texts: {
      job: ['it is in eval 8', 'not known: it could not be evaluated'],
      evaluation: [/^eval 8/, "eval 9 could not evaluate it: error: attribute 'x' missing"],
    },
  },
  {
    what: 'the evaluation fails as a whole, after a good eval',
    facts: { jobsetError: FATAL },
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✗✓–✓✓✓✓',
    texts: { evaluation: [/^eval 9 is of/, /^the evaluation of dotfiles:main fails, last 1 h ago/] },
  },
  {
    what: 'Hydra has not looked at new commits',
    facts: unevaluated(90),
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✗✓–✓✓✓✓',
    texts: { evaluation: [/^eval 9 is of/, /^Hydra has not evaluated 1 commit of main/] },
  },
  {
    what: 'Hydra has still to look at a new commit',
    facts: unevaluated(10),
    candidate: '✓✓✓✓–✓✓✓✓',
    newestEval: '✓✓✓✓–✓✓✓✓',
    texts: {
      evaluation: [/^eval 9/, 'eval 9 is of 4444444, 2 h ago; Hydra has still to evaluate 1 commit of main'],
    },
  },
  {
    what: 'the candidate cannot be judged',
    facts: { candidate: UNUSABLE, newestFlake: 'path:/x', standNewest: undefined, standCandidate: undefined },
    candidate: '✓–✗–––✓✓–',
    newestEval: '✓✓✗✓––✓✓–',
    texts: { evaluation: ['the flakeref of eval 9 cannot be used: path:/x; mend the flake'] },
  },
  {
    what: 'several jobs lead to it',
    facts: { candidate: AMBIGUOUS, jobs: 2 },
    candidate: '✗–––––✓✓–',
    newestEval: '✗–––––✓✓–',
    texts: { rule: [/^ambiguous: 2 jobs lead to this channel/], job: ['not asked: 2 jobs lead to it'] },
  },
  {
    what: 'no job leads to it',
    facts: { plan: 'none', trackedSha: undefined },
    candidate: '✗–––––✓✓–',
    newestEval: '✗–––––✓✓–',
    texts: {
      rule: [/^no job leads to it now, so it stays where it is, /],
      build: ['no job leads to it'],
    },
  },
  {
    what: 'no job leads to it, and GitHub is away',
    facts: { plan: 'none', trackedSha: undefined, away: AWAY },
    candidate: '✗–––––✓––',
    newestEval: '✗–––––✓––',
    texts: { rule: [/^no job leads to it now, /] },
  },
  {
    what: 'its rule is in trouble',
    facts: { plan: 'none', ruleTrouble: new OperatorError('there is no jobset', { hint: 'mend the rule' }) },
    candidate: '✗–––––✓✓–',
    newestEval: '✗–––––✓✓–',
    texts: { rule: ['there is no jobset; mend the rule'] },
  },
  {
    what: 'its jobset is not evaluated yet',
    facts: { plan: 'none', ruleTrouble: new PassingError('dotfiles:main is not evaluated yet') },
    candidate: '––––––✓✓–',
    newestEval: '––––––✓✓–',
    texts: { rule: ['dotfiles:main is not evaluated yet'] },
  },
  {
    what: 'GitHub is away',
    facts: { ...ONE_BEHIND, away: AWAY, trackedSha: undefined, unevaluated: undefined, ...NO_STANDS() },
    candidate: '✓✓✓✓––✓––',
    newestEval: '✓✓✓✓––✓––',
    texts: {
      permission: ['not known: GitHub could not be asked'],
      branch: ['not known: GitHub could not be asked'],
    },
  },
  {
    what: 'the database is away',
    facts: { plan: 'none', away: DATABASE_AWAY },
    gates: { databaseAway: DATABASE_AWAY },
    candidate: '––––––✓✓–',
    newestEval: '––––––✓✓–',
    texts: {
      rule: ["not known: cannot ask Hydra's database"],
      build: ["not known: cannot ask Hydra's database"],
    },
  },
  {
    what: 'the database is away, and the channel is held: whether a job leads to it is not known',
    facts: { plan: 'none', away: DATABASE_AWAY, hold: HOLD },
    gates: { databaseAway: DATABASE_AWAY },
    candidate: '––––––✗✓–',
    newestEval: '––––––✗✓–',
    texts: {
      hold: [/^held for 4 days, [^;]*: hydra-channels release \S+ lets it move again$/],
    },
  },
]

/** GitHub has compared nothing. */
function NO_STANDS() {
  return { standTracked: undefined, standNewest: undefined, standCandidate: undefined } satisfies Spec
}

const gatesOf = ({ facts = {}, gates }: Pick<Case, 'facts' | 'gates'>, around = AROUND) =>
  findGates(
    {
      facts: factsOf(facts),
      rule: { branch: 'nixos-tested-{host}' },
      databaseAway: undefined,
      cache: 'known',
      onTracked: { candidate: IDENTICAL, newestEval: IDENTICAL },
      candidateTime: Date.parse('2026-11-24T10:00:00Z') / 1000,
      ...gates,
    } as GateFacts,
    around,
  )

for (const { what, candidate, newestEval, texts = {}, urls = {}, ...given } of cases) {
  test(`${what}: ${candidate} and ${newestEval}`, () => {
    const gates = gatesOf(given)
    assert.deepEqual(
      gates.map(({ gate }) => gate),
      [...GATES],
    )
    const all = JSON.stringify(gates, undefined, 1)
    assert.equal(gates.map(each => MARKS[each.candidate.state]).join(''), candidate, all)
    assert.equal(gates.map(each => MARKS[each.newestEval.state]).join(''), newestEval, all)
    for (const each of gates) {
      const [text = '', other = text] = texts[each.gate] ?? []
      const [url, otherUrl = url] = urls[each.gate] ?? []
      for (const [answer, words, link] of [
        [each.candidate, text, url],
        [each.newestEval, other, otherUrl],
      ] as const) {
        assert.doesNotMatch(answer.text, /\n|undefined|\[object/)
        assert.notEqual(answer.text, '')
        if (words instanceof RegExp) assert.match(answer.text, words)
        else if (words !== '') assert.equal(answer.text, words)
        if (link !== undefined) assert.equal(answer.url, link)
      }
    }
  })
}

test('without hydraUrl, there are links to GitHub only', () => {
  const gates = gatesOf({ facts: FAILING }, { ...AROUND, hydraUrl: undefined })
  const urls = gates.flatMap(each => [each.candidate.url, each.newestEval.url])
  assert.deepEqual([...new Set(urls)], [null, compareUrl(C3, C4)])
})

const evalOf = (id: number, status?: number | null): EvalOfJobs => ({
  id,
  flake: `github:alice/dotfiles/${C4}`,
  timestamp: 1000 * id,
  hasNewBuilds: true,
  builds:
    status === undefined
      ? new Map()
      : new Map([[NAS, { build: 10 * id, finished: status !== null, status }]]),
})

test('between the candidate and the newest eval: why each did not become the candidate', () => {
  // eval 5 is the candidate's, 10 the newest
  const evals = [
    evalOf(10, 1),
    evalOf(9, 2),
    evalOf(8),
    evalOf(7, null),
    evalOf(6, 0),
    evalOf(5, 0),
    evalOf(4, 1),
  ]
  const { between, more } = findBetween(evals, { job: NAS, candidate: { eval: 5 } }, AROUND)
  assert.equal(more, false)
  assert.deepEqual(
    between.map(({ eval: id, build, why, url }) => [id, build, why, url]),
    [
      [9, 90, 'build 90 failed because a dependency failed', `${HYDRA}/build/90`],
      [
        8,
        undefined,
        'it has no build of the job, which was not in the flake or could not be evaluated',
        `${HYDRA}/eval/8`,
      ],
      [7, 70, 'build 70 is queued or running', `${HYDRA}/build/70`],
      [6, 60, 'build 60 has succeeded by now: the next reconcile looks at it', `${HYDRA}/build/60`],
    ],
  )
})

test('the candidate is of the newest eval: nothing is between', () => {
  const evals = [evalOf(10, 0), evalOf(9, 1)]
  assert.deepEqual(findBetween(evals, { job: NAS, candidate: { eval: 10 } }, AROUND), {
    between: [],
    more: false,
  })
})

test('at most 30 are told of, and whether there are more', () => {
  const evals = Array.from({ length: 32 }, (_, at) => evalOf(100 - at, 1))
  for (const [candidate, told, more] of [
    [undefined, 30, true],
    [{ eval: 5 }, 30, true],
    [{ eval: 69 }, 30, false],
    [{ eval: 70 }, 29, false],
  ] as const) {
    const found = findBetween(evals, { job: NAS, candidate }, AROUND)
    assert.deepEqual([found.between.length, found.more], [told, more], JSON.stringify(candidate))
  }
})
