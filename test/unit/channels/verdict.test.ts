// How the verdict of a channel reads in the log; docs/troubleshooting.md has the kinds.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OperatorError } from '../../../src/base/errors.ts'
import { createLog } from '../../../src/base/log.ts'
import {
  describeVerdict,
  isTrouble,
  offBranch,
  tellVerdict,
  type Verdict,
} from '../../../src/channels/verdict.ts'
import type { TrackedRef } from '../../../src/hydra/flakeref.ts'
import { HOLD } from '../../helpers/channel-facts.ts'

const TIP = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d'
const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const BASE = '0b1c2d3e4f5061728394a5b6c7d8e9f00b1c2d3e'

const CHANNEL = { repository: 'alice/dotfiles', branch: 'nixos-tested-nas' }
const NAME = 'alice/dotfiles nixos-tested-nas'
const WEB = 'https://github.com'

const JOB = { project: 'dotfiles', jobset: 'main', job: 'nixos-nas' }
const DEFAULT: TrackedRef = { kind: 'default branch' }
const MAIN: TrackedRef = { kind: 'name', name: 'main' }

const VERDICTS: { verdict: Verdict; lines: string[]; trouble?: boolean }[] = [
  { verdict: { kind: 'created', sha: SHA }, lines: [`${NAME}: created at 3f2c9d1`] },
  {
    verdict: { kind: 'would-create', sha: SHA },
    lines: [`${NAME}: would be created at 3f2c9d1 (dry run)`],
  },
  {
    verdict: { kind: 'fast-forwarded', from: TIP, sha: SHA, commits: 12 },
    lines: [`${NAME}: fast-forwarded 1a2b3c4..3f2c9d1 (12 commits)`],
  },
  {
    verdict: { kind: 'fast-forwarded', from: TIP, sha: SHA, commits: 1 },
    lines: [`${NAME}: fast-forwarded 1a2b3c4..3f2c9d1 (1 commit)`],
  },
  {
    verdict: { kind: 'would-fast-forward', from: TIP, sha: SHA, commits: 2 },
    lines: [`${NAME}: would be fast-forwarded 1a2b3c4..3f2c9d1 (2 commits) (dry run)`],
  },
  { verdict: { kind: 'already-there', sha: SHA }, lines: [`${NAME}: already there, at 3f2c9d1`] },
  {
    verdict: { kind: 'already-contained', tip: TIP, sha: SHA, commits: 1 },
    lines: [`${NAME}: already contained: it is at 1a2b3c4, 1 commit after 3f2c9d1`],
  },
  {
    verdict: {
      kind: 'diverged',
      tip: TIP,
      sha: SHA,
      parted: { mergeBase: BASE, aheadBy: 3, behindBy: 1 },
    },
    trouble: true,
    lines: [
      `${NAME}: diverged, not moved: it is at 1a2b3c4, the candidate is 3f2c9d1`,
      `${NAME}: it is at ${TIP}`,
      `${NAME}: the candidate is ${SHA}`,
      `${NAME}: they parted at ${BASE}: 1 commit only in the channel, 3 commits only in the candidate`,
      `${NAME}: see https://github.com/alice/dotfiles/compare/${TIP}...${SHA}`,
      `${NAME}: to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/nixos-tested-nas -f sha=${SHA} -F force=true`,
    ],
  },
  {
    verdict: { kind: 'diverged', tip: TIP, sha: SHA },
    trouble: true,
    lines: [
      `${NAME}: diverged, not moved: it is at 1a2b3c4, the candidate is 3f2c9d1`,
      `${NAME}: it is at ${TIP}`,
      `${NAME}: the candidate is ${SHA}`,
      `${NAME}: they have no common history`,
      `${NAME}: see https://github.com/alice/dotfiles/compare/${TIP}...${SHA}`,
      `${NAME}: to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/nixos-tested-nas -f sha=${SHA} -F force=true`,
    ],
  },
  {
    verdict: { kind: 'created', sha: SHA, answerLost: true },
    lines: [`${NAME}: created at 3f2c9d1 (GitHub's answer was lost)`],
  },
  {
    verdict: { kind: 'fast-forwarded', from: TIP, sha: SHA, commits: 12, answerLost: true },
    lines: [`${NAME}: fast-forwarded 1a2b3c4..3f2c9d1 (12 commits) (GitHub's answer was lost)`],
  },
  {
    verdict: { kind: 'already-contained', tip: TIP, sha: SHA, commits: 2, notOn: MAIN },
    lines: [
      `${NAME}: already contained: it is at 1a2b3c4, 2 commits after 3f2c9d1`,
      `${NAME}: its commit ${TIP} is not in the history of main`,
    ],
  },
  {
    verdict: { kind: 'held', sha: SHA, hold: HOLD },
    lines: [`${NAME}: held, not moved to 3f2c9d1: does not boot (until it is released)`],
  },
  {
    verdict: { kind: 'held', sha: SHA, hold: { ...HOLD, until: '2026-11-24T12:00:00Z', by: 'alice' } },
    lines: [`${NAME}: held, not moved to 3f2c9d1: does not boot (until 2026-11-24T12:00:00Z)`],
  },
  {
    verdict: { kind: 'held', sha: SHA, hold: { ...HOLD, scope: 'all' } },
    lines: [`${NAME}: all channels are held, not moved to 3f2c9d1: does not boot (until it is released)`],
  },
  ...(
    [
      [DEFAULT, 'the default branch'],
      [MAIN, 'main'],
      [{ kind: 'ref', ref: 'refs/heads/main' }, 'main'],
      [{ kind: 'ref', ref: 'refs/tags/v1' }, 'tags/v1'],
      [{ kind: 'pinned', rev: BASE }, '0b1c2d3, to which the jobset is pinned'],
    ] as const
  ).map(([tracked, name]) => ({
    verdict: { kind: 'withdrawn', sha: SHA, eval: 991, newest: { eval: 993, sha: TIP }, tracked } as const,
    trouble: true,
    lines: [
      `${NAME}: withdrawn, not moved: 3f2c9d1 is not in the history of ${name}`,
      `${NAME}: the commit ${SHA} of eval 991 was taken back: it is not in the history of ${name}, and the newest eval 993 is of ${TIP}`,
      `${NAME}: the next good build of a commit in the history of ${name} moves the channel`,
    ],
  })),
  {
    verdict: { kind: 'not-on-branch', sha: SHA, eval: 991, tracked: MAIN, missing: false },
    trouble: true,
    lines: [
      `${NAME}: not-on-branch, not moved: 3f2c9d1 is not in the history of main`,
      `${NAME}: the commit ${SHA} of eval 991 is not in the history of main, as GitHub has it now`,
      `${NAME}: if the branch was reset, Hydra's next evaluation settles it; else the commit must be merged first`,
    ],
  },
  {
    verdict: { kind: 'not-on-branch', sha: SHA, eval: 991, tracked: MAIN, missing: true },
    trouble: true,
    lines: [
      `${NAME}: not-on-branch, not moved: 3f2c9d1 is not in the history of main`,
      `${NAME}: the jobset or the rule follows main, and GitHub has no such branch or tag`,
      `${NAME}: correct the flake of the jobset, or ref in the rule (channels[].ref)`,
    ],
  },
  {
    verdict: {
      kind: 'not-on-branch',
      sha: SHA,
      eval: 991,
      tracked: { kind: 'pull request', number: '7' },
      missing: true,
    },
    trouble: true,
    lines: [
      `${NAME}: not-on-branch, not moved: 3f2c9d1 is not in the history of pull request 7`,
      `${NAME}: the jobset follows pull request 7, and its commits are on no branch`,
      `${NAME}: let the jobset follow a branch, or name the branch in the rule (channels[].ref)`,
    ],
  },
  { verdict: { kind: 'no-good-build' }, lines: [`${NAME}: not moved: the job has no good build now`] },
  {
    verdict: { kind: 'job-gone', job: JOB },
    lines: [`${NAME}: not created: dotfiles:main:nixos-nas is not in the jobset any more`],
  },
  {
    verdict: { kind: 'job-gone', job: JOB, follows: { ...JOB, job: 'nas' } },
    lines: [
      `${NAME}: not moved: dotfiles:main:nixos-nas is not in the jobset any more, and the channel follows dotfiles:main:nas`,
    ],
  },
  {
    verdict: { kind: 'job-gone', job: JOB, ignored: true },
    lines: [
      `${NAME}: not moved: dotfiles:main:nixos-nas is not in the newest eval, and channels[].ignore says that the branch is somebody else's`,
    ],
  },
  {
    verdict: { kind: 'candidate-changed' },
    lines: [
      `${NAME}: not moved: its candidate changed while it was copied or written; the next run looks again`,
    ],
  },
]

for (const { verdict, lines, trouble = false } of VERDICTS) {
  test(`${verdict.kind} is ${trouble ? 'trouble' : 'an expected ending'}: “${lines[0]}”`, () => {
    assert.deepEqual(describeVerdict(CHANNEL, verdict, { webUrl: WEB, dryRun: false }), lines)
    assert.equal(isTrouble(verdict), trouble)
  })
}

test('with dryRun in the configuration, a commit that was taken back promises no move', () => {
  const newest = { eval: 993, sha: TIP }
  const verdict = { kind: 'withdrawn', sha: SHA, eval: 991, newest, tracked: MAIN } as const
  const lines = describeVerdict(CHANNEL, verdict, { webUrl: WEB, dryRun: true })
  assert.equal(
    lines[2],
    'alice/dotfiles nixos-tested-nas: without dryRun, the next good build of a commit in the history of main moves the channel',
  )
})

/** What `tellVerdict` puts into the log, and what it reports as an error. */
function told(verdict: Verdict): { lines: string[]; errors: unknown[] } {
  const lines: string[] = []
  const errors: unknown[] = []
  const log = createLog(line => lines.push(line))
  tellVerdict(CHANNEL, verdict, { log, report: error => errors.push(error), webUrl: WEB, dryRun: false })
  return { lines, errors }
}

test('each line of each verdict begins with the name of the channel', () => {
  for (const { verdict } of VERDICTS) {
    for (const line of describeVerdict(CHANNEL, verdict, { webUrl: WEB, dryRun: false })) {
      assert.ok(line.startsWith(`${NAME}: `), line)
    }
  }
})

describe('a verdict is told', () => {
  test('on the log, if it is no error', () => {
    for (const { verdict, lines } of VERDICTS) {
      assert.deepEqual(told(verdict), { lines: lines.map(line => `${line}\n`), errors: [] })
    }
  })

  test('as an error, if two jobs lead to the channel', () => {
    const jobs = ['x86_64-linux', 'aarch64-linux'].map(system => ({
      project: 'dotfiles',
      jobset: 'main',
      job: `nixos-nas.${system}`,
    }))
    const verdict: Verdict = { kind: 'ambiguous', jobs }
    assert.equal(isTrouble(verdict), true)
    const { lines, errors } = told(verdict)
    assert.deepEqual(lines, [])
    const [error] = errors
    assert.ok(error instanceof OperatorError)
    assert.equal(
      error.message,
      'alice/dotfiles nixos-tested-nas: cannot be moved: ambiguous: 2 jobs lead to this channel: dotfiles:main:nixos-nas.aarch64-linux, dotfiles:main:nixos-nas.x86_64-linux',
    )
    assert.deepEqual(error.hint, [
      `${NAME}: a channel follows one job: put {system} (or another group) into the branch, make job narrower, or let one aggregate job stand for all of them`,
      `${NAME}: if that gives the branch another name, the old one stays where it is, and so do the hosts that follow it: let them follow the new one`,
    ])
    assert.throws(
      () => describeVerdict(CHANNEL, verdict, { webUrl: WEB, dryRun: false }),
      /ambiguous is reported as an error/,
    )
  })

  test('as an error with what was tried, if it failed', () => {
    const cause = new Error('socket hang up')
    const error = new OperatorError('GitHub could not be asked', { hint: 'try again', cause })
    const verdict: Verdict = { kind: 'failed', error }
    assert.equal(isTrouble(verdict), true)
    const { lines, errors } = told(verdict)
    assert.deepEqual(lines, [])
    const [reported] = errors
    assert.ok(reported instanceof OperatorError)
    assert.equal(
      reported.message,
      'alice/dotfiles nixos-tested-nas: cannot be moved: GitHub could not be asked',
    )
    assert.deepEqual(reported.hint, [`${NAME}: try again`])
    assert.equal(reported.cause, cause)
    assert.throws(
      () => describeVerdict(CHANNEL, verdict, { webUrl: WEB, dryRun: false }),
      /failed is reported as an error/,
    )
  })

  test('with its own words and stack as the cause, if it is a bug', () => {
    const bug = new TypeError('x is undefined')
    const { lines, errors } = told({ kind: 'failed', error: bug })
    assert.deepEqual(lines, [])
    assert.deepEqual(errors, [new Error(`${NAME}: cannot be moved`, { cause: bug })])
    assert.ok(!(errors[0] instanceof OperatorError))
    assert.equal((errors[0] as Error).cause, bug)
  })
})

describe('a candidate that is not on the tracked branch', () => {
  const candidate = (newest?: { eval: number; sha: string }) => ({ sha: SHA, eval: 991, newest })
  const other = { eval: 993, sha: TIP }
  const same = { eval: 993, sha: SHA }
  const pull: TrackedRef = { kind: 'pull request', number: '7' }
  for (const [what, newest, tracked, missing, kind] of [
    ['was evaluated last', undefined, MAIN, false, 'not-on-branch'],
    ['was evaluated again', same, MAIN, false, 'not-on-branch'],
    ['is older than the newest eval', other, MAIN, false, 'withdrawn'],
    [
      'is older than the newest eval, of a pinned jobset',
      other,
      { kind: 'pinned', rev: TIP },
      false,
      'withdrawn',
    ],
    ['follows what GitHub does not have', other, MAIN, true, 'not-on-branch'],
    ['is of a pull request', other, pull, true, 'not-on-branch'],
    ['is of a pull request that GitHub has', other, pull, false, 'not-on-branch'],
  ] as const) {
    test(`${what}: ${kind}`, () => {
      const rest = kind === 'withdrawn' ? { newest } : { missing }
      assert.deepEqual(offBranch(candidate(newest), tracked, missing), {
        kind,
        sha: SHA,
        eval: 991,
        tracked,
        ...rest,
      })
    })
  }
})
