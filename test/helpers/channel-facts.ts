// The facts of one channel, for tables of reasons: an up-to-date one, and what differs from it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OperatorError } from '../../src/base/errors.ts'
import type { Look } from '../../src/base/output.ts'
import { ambiguous, type Candidate } from '../../src/channels/candidate.ts'
import type { Hold } from '../../src/channels/holds.ts'
import type { Presence } from '../../src/channels/plan.ts'
import { trackedRefOf } from '../../src/channels/tracked-ref.ts'
import type { OffBranch } from '../../src/channels/verdict.ts'
import { parseEvaluationErrors } from '../../src/hydra/evaluation-error.ts'
import type { JobFacts } from '../../src/hydra/queries/candidates.ts'
import type { JobsetFacts } from '../../src/hydra/queries/jobset-facts.ts'
import {
  type ChannelFacts,
  type Explanation,
  explain,
  type Stand,
  type Surroundings,
} from '../../src/status/explain.ts'
import type { Reason } from '../../src/status/shape.ts'

const shaOf = (digit: string) => digit.repeat(40)
// main: c3 - c4 - c5     x: taken back, d: pushed by hand
export const [C3, C4, C5, X, D] = [shaOf('3'), shaOf('4'), shaOf('5'), shaOf('e'), shaOf('d')]

export const NOW = new Date('2026-11-24T12:00:00Z')
export const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000).toISOString()
/** of the newest eval, Unix seconds */
export const EVALUATED = Date.parse('2026-11-24T10:00:00Z') / 1000

export const AHEAD: Stand = { status: 'ahead', aheadBy: 1, behindBy: 0 }
export const IDENTICAL: Stand = { status: 'identical', aheadBy: 0, behindBy: 0 }
export const BEHIND: Stand = { status: 'behind', aheadBy: 0, behindBy: 1 }
export const DIVERGED: Stand = { status: 'diverged', aheadBy: 3, behindBy: 1 }

export const NAS = 'nixos-nas.x86_64-linux'
export const GOOD: Candidate = { sha: C4, build: 70, eval: 9, newest: undefined }
export const UNUSABLE = new OperatorError('the flakeref of eval 9 cannot be used: path:/x', {
  hint: 'mend the flake',
})

type Found = NonNullable<JobsetFacts['found']>

/** The facts one by one, each with the value of a channel that is up to date: at c4, as main and the newest eval. */
export interface Spec {
  hold?: Hold | Hold[] | OperatorError
  /** what could not be asked */
  away?: OperatorError
  ruleTrouble?: OperatorError
  branch?: string
  tip?: string | undefined
  standTracked?: Stand
  standNewest?: Stand
  standCandidate?: Stand
  evaluated?: boolean
  offBranch?: ChannelFacts['offBranch']
  forbidden?: OperatorError
  /** undefined: the branch is not there */
  trackedSha?: string | undefined
  /** of the jobset, as somebody entered it */
  flake?: string
  /** of the rule */
  ref?: string
  unevaluated?: { commits: number; oldest: string | undefined } | undefined
  uncached?: string
  looked?: ChannelFacts['looked']
  failure?: ChannelFacts['failure']
  failing?: ChannelFacts['failing']
  /** `none`: no job leads to the branch */
  plan?: 'none'
  /** no rule names the repository */
  unruled?: boolean
  jobs?: number
  presence?: Presence
  candidate?: Candidate | undefined | OperatorError
  newestBuild?: JobFacts['newest']
  newestFlake?: string
  evalError?: string
  enabled?: boolean
  oneAtATime?: boolean
  /** of the jobset, besides */
  otherJobs?: JobFacts[]
  checkIntervalSeconds?: number
  lastCheckedTime?: number | undefined
  jobsetError?: Found['error']
}

export const UP_TO_DATE = {
  branch: 'nixos-tested-nas',
  tip: C4,
  standTracked: IDENTICAL,
  standNewest: IDENTICAL,
  standCandidate: IDENTICAL,
  evaluated: true,
  trackedSha: C4,
  flake: 'github:alice/dotfiles',
  unevaluated: { commits: 0, oldest: undefined },
  jobs: 1,
  presence: 'present',
  candidate: GOOD,
  newestBuild: { build: 70, finished: true, status: 0 },
  newestFlake: `github:alice/dotfiles/${C4}?narHash=sha256-x`,
  evalError: '',
  enabled: true,
  oneAtATime: false,
  checkIntervalSeconds: 300,
  lastCheckedTime: EVALUATED,
} satisfies Spec

/** At c3, while main, the newest eval and the candidate are at c4. */
export const ONE_BEHIND = {
  tip: C3,
  standTracked: AHEAD,
  standNewest: AHEAD,
  standCandidate: AHEAD,
} satisfies Spec

/** Pushed by hand, beside main. */
export const BESIDE = {
  tip: D,
  standTracked: DIVERGED,
  standNewest: DIVERGED,
  standCandidate: DIVERGED,
  evaluated: false,
} satisfies Spec

export function factsOf(spec: Spec, hosts: readonly string[] = ['github.com']): ChannelFacts {
  const all = { ...UP_TO_DATE, ...spec }
  const channel = { repository: 'alice/dotfiles', branch: all.branch }
  const job = { project: 'dotfiles', jobset: 'main', job: NAS }
  const jobset: Found = {
    id: 1,
    type: 'flake',
    flake: all.flake,
    enabled: all.enabled,
    oneAtATime: all.oneAtATime,
    checkIntervalSeconds: all.checkIntervalSeconds,
    lastCheckedTime: all.lastCheckedTime,
    error: spec.jobsetError,
    newestEval: { id: 9, flake: all.newestFlake, timestamp: EVALUATED, error: all.evalError },
    jobs: spec.otherJobs ?? [],
  }
  return {
    channel,
    planned:
      spec.plan === 'none'
        ? undefined
        : {
            channel,
            job,
            jobs: Array.from({ length: all.jobs }, () => job),
            presence: all.presence,
            candidate: all.candidate,
            prefix: 'nixos-tested-',
            tracked: trackedRefOf(spec.ref, all.flake, { hosts, repository: channel.repository }),
            facts: {
              jobset,
              job: { job: NAS, newest: all.newestBuild, candidate: undefined },
              evaluationError: parseEvaluationErrors(all.evalError).find(NAS),
            },
          },
    ruleTrouble: spec.ruleTrouble,
    unruled: spec.unruled ?? false,
    holds: spec.hold instanceof OperatorError ? spec.hold : [spec.hold ?? []].flat(),
    away: spec.away,
    tip: all.tip,
    stands: { tracked: all.standTracked, newest: all.standNewest, candidate: all.standCandidate },
    evaluated: all.evaluated,
    offBranch: spec.offBranch,
    forbidden: spec.forbidden,
    tracked:
      all.trackedSha === undefined
        ? undefined
        : { kind: 'branch', name: 'main', sha: all.trackedSha, unevaluated: all.unevaluated },
    looked: spec.uncached === undefined ? spec.looked : { kind: 'missing', why: spec.uncached },
    failure: spec.failure,
    failing: spec.failing,
  }
}

interface Around {
  hosts?: readonly string[]
  webUrl?: string
  dryRun?: boolean
  copies?: boolean
  hydraUrl?: string | undefined
  commits?: Surroundings['commits']
}

export function explained(spec: Spec, around: Around = {}): Explanation {
  return explain(factsOf(spec, around.hosts), { ...AROUND, ...around })
}

export const AROUND: Surroundings = {
  now: NOW,
  hosts: ['github.com'],
  webUrl: 'https://github.com',
  hydraUrl: 'https://hydra.example.org',
  dryRun: false,
  copies: true,
  commits: new Map(),
}

/** Of a newest eval that is not of this repository, so that nothing can be counted from it. */
export const FOREIGN = {
  candidate: UNUSABLE,
  standNewest: undefined,
  standCandidate: undefined,
  unevaluated: undefined,
} satisfies Spec

export const HOLD: Hold = { reason: 'does not boot', since: '2026-11-20T12:00:00Z', until: null }
export const WITHDRAWN: Extract<OffBranch, { kind: 'withdrawn' }> = {
  kind: 'withdrawn',
  sha: X,
  eval: 8,
  newest: { eval: 9, sha: C4 },
  tracked: { kind: 'default branch' },
}
export const NOT_ON_BRANCH: Extract<OffBranch, { kind: 'not-on-branch' }> = {
  kind: 'not-on-branch',
  sha: X,
  eval: 9,
  tracked: { kind: 'name', name: 'main' },
  missing: false,
}
export const FAILURE = {
  sha: C4,
  message: 'cannot copy to the cache: see its journal',
  at: '2026-11-24T11:30:00Z',
}
export const FORBIDDEN = new OperatorError('the repository is archived, so it is read-only', {
  hint: ['unarchive it in its settings', 'or take its rule out of the configuration'],
})
export const AMBIGUOUS = ambiguous([
  { project: 'dotfiles', jobset: 'main', job: NAS },
  { project: 'dotfiles', jobset: 'main', job: 'nixos-nas.aarch64-linux' },
])
/** of the evaluation as a whole, after the newest eval */
export const FATAL = {
  text: "error:\n … while updating the flake\n error: cannot find flake 'flake:x'\n",
  time: EVALUATED + 3600,
  current: true,
}
export const MISSES = `in job ‘${NAS}’:\nerror:\n … while evaluating\n error: attribute 'x' missing\n`
export const unevaluated = (minutes: number, commits = 1): Spec => ({
  trackedSha: C5,
  unevaluated: { commits, oldest: minutesAgo(minutes) },
})
export const failed = (status: number | null): Spec => ({
  newestBuild: { build: 71, finished: true, status },
})
export const QUEUED = { build: 71, finished: false, status: null, queuedTime: EVALUATED }

/** Facts by which a reason holds of a channel that is one commit behind, in which all else is as it should be. */
export const FACTS_OF: Record<Reason, Spec[]> = {
  held: [{ hold: HOLD }],
  withdrawn: [
    { candidate: GOOD, offBranch: WITHDRAWN },
    { standTracked: DIVERGED, standNewest: DIVERGED, evaluated: true },
  ],
  'not-on-branch': [{ candidate: GOOD, offBranch: NOT_ON_BRANCH }],
  diverged: [
    { candidate: GOOD, standCandidate: DIVERGED },
    { standTracked: DIVERGED, standNewest: DIVERGED, evaluated: false },
  ],
  ambiguous: [{ jobs: 2, candidate: AMBIGUOUS, standCandidate: undefined }],
  abandoned: [
    {
      ...{ plan: 'none', jobs: 0, presence: 'gone', candidate: undefined, newestBuild: undefined },
      ...{ standTracked: undefined, standNewest: undefined, standCandidate: undefined },
    },
  ],
  'no-permission': [{ forbidden: FORBIDDEN }],
  'job-gone': [{ presence: 'gone', newestBuild: undefined }],
  'evaluation-failed': [
    { presence: 'evaluation-failed', newestBuild: undefined, evalError: MISSES },
    { jobsetError: FATAL },
  ],
  'not-evaluated': [unevaluated(31)],
  'unusable-flakeref': [
    { jobs: 1, candidate: UNUSABLE, standCandidate: undefined },
    { flake: 'github:bob/other' },
  ],
  'build-failed': [failed(1)],
  'build-timed-out': [failed(7)],
  'dependency-failed': [failed(2)],
  'build-aborted': [failed(3)],
  'not-cached': [{ candidate: GOOD, uncached: 'not there' }],
  failed: [{ candidate: GOOD, standCandidate: AHEAD, failure: FAILURE }],
  building: [{ newestBuild: QUEUED }],
  behind: [{ candidate: GOOD, standCandidate: AHEAD }],
  'up-to-date': [{ ...UP_TO_DATE }],
  // if the candidate could not be judged, the reason is another one
  unknown: [{ candidate: GOOD, standCandidate: IDENTICAL, trackedSha: undefined, standTracked: undefined }],
}

export const JOBSET_URL = 'https://hydra.example.org/jobset/dotfiles/main'
export const compareUrl = (from: string, to: string) =>
  `https://github.com/alice/dotfiles/compare/${from}...${to}`
export const force = (sha: string) =>
  `gh api -X PATCH repos/alice/dotfiles/git/refs/heads/nixos-tested-nas -f sha=${sha} -F force=true`

export interface Case {
  what: string
  facts: Spec
  around?: Around
  reason: Reason
  message: string | RegExp | null
  url?: string | null
}

export const NEXT_C4 = 'the next reconcile moves it to 4444444'
/** How a branch is no longer shown. */
export const RETIRE =
  'when no host follows it any more, name it in channels[].ignore, and it is no longer shown'
/** Hosts may follow any branch. */
export const SUGGESTS_DELETING = /delet|prune|branch -d|(remove|rename) (the|this|that|its) (old )?branch/i
export const UNTIL_THEN_C4 = `until then ${NEXT_C4}, the newest that is good`

export const todoOf = (status: number | null) =>
  status === 9
    ? 'add a builder, or take the job out of the flake'
    : status === 3 || status === 4
      ? 'restart it in Hydra'
      : 'the channel moves with the next good build'

/** A test for each: the reason, its message in one line, and its link. */
export function testCases(cases: readonly Case[]): void {
  for (const { what, facts, around, reason, message, url = null } of cases) {
    test(`${what}: ${reason}`, () => {
      const found = explained(facts, around)
      assert.equal(found.reason, reason, found.message ?? '')
      if (message instanceof RegExp) assert.match(found.message ?? '', message)
      else assert.equal(found.message, message)
      assert.equal(found.url, url)
      // each trouble has a message of one line
      assert.equal(found.message === null, reason === 'up-to-date')
      assert.doesNotMatch(found.message ?? '', /\n|undefined|\[object/)
      // a hold is a file, which may be deleted
      if (reason !== 'held') assert.doesNotMatch(found.message ?? '', SUGGESTS_DELETING)
    })
  }
}

/** What the cache answers of a candidate that it does not have. */
export const ABSENT = {
  kind: 'missing',
  absent: 'the cache does not have /nix/store/x',
  why: 'the cache does not have /nix/store/x; does the copy unit upload to this cache?',
} as const satisfies Look
