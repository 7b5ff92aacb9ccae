// How the ending of a channel reads in the log; README.md has the words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeOutcome, isTrouble, type Outcome } from '../src/outcome.ts'

const TIP = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d'
const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const BASE = '0b1c2d3e4f5061728394a5b6c7d8e9f00b1c2d3e'

const CHANNEL = { repository: 'alice/dotfiles', branch: 'nixos-tested-nas' }
const NAME = 'alice/dotfiles nixos-tested-nas'
const WEB = 'https://github.com'

const OUTCOMES: { outcome: Outcome; lines: string[]; trouble?: boolean }[] = [
  { outcome: { kind: 'created', sha: SHA }, lines: [`${NAME}: created at 3f2c9d1`] },
  {
    outcome: { kind: 'would-create', sha: SHA },
    lines: [`${NAME}: would be created at 3f2c9d1 (dry run)`],
  },
  {
    outcome: { kind: 'fast-forwarded', from: TIP, sha: SHA, commits: 12 },
    lines: [`${NAME}: fast-forwarded 1a2b3c4..3f2c9d1 (12 commits)`],
  },
  {
    outcome: { kind: 'fast-forwarded', from: TIP, sha: SHA, commits: 1 },
    lines: [`${NAME}: fast-forwarded 1a2b3c4..3f2c9d1 (1 commit)`],
  },
  {
    outcome: { kind: 'would-fast-forward', from: TIP, sha: SHA, commits: 2 },
    lines: [`${NAME}: would be fast-forwarded 1a2b3c4..3f2c9d1 (2 commits) (dry run)`],
  },
  { outcome: { kind: 'already-there', sha: SHA }, lines: [`${NAME}: already there, at 3f2c9d1`] },
  {
    outcome: { kind: 'already-contained', tip: TIP, sha: SHA, commits: 1 },
    lines: [`${NAME}: already contained: it is at 1a2b3c4, 1 commit after 3f2c9d1`],
  },
  {
    outcome: {
      kind: 'diverged',
      tip: TIP,
      sha: SHA,
      parted: { mergeBase: BASE, aheadBy: 3, behindBy: 1 },
    },
    trouble: true,
    lines: [
      `the channel is at ${TIP}`,
      `the candidate is ${SHA}`,
      `they parted at ${BASE}: 1 commit only in the channel, 3 commits only in the candidate`,
      `see https://github.com/alice/dotfiles/compare/${TIP}...${SHA}`,
      `to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/nixos-tested-nas -f sha=${SHA} -F force=true`,
      `${NAME}: diverged, not moved: it is at 1a2b3c4, the candidate is 3f2c9d1`,
    ],
  },
  {
    outcome: { kind: 'diverged', tip: TIP, sha: SHA },
    trouble: true,
    lines: [
      `the channel is at ${TIP}`,
      `the candidate is ${SHA}`,
      'they have no common history',
      `see https://github.com/alice/dotfiles/compare/${TIP}...${SHA}`,
      `to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/nixos-tested-nas -f sha=${SHA} -F force=true`,
      `${NAME}: diverged, not moved: it is at 1a2b3c4, the candidate is 3f2c9d1`,
    ],
  },
  {
    outcome: { kind: 'withdrawn', sha: SHA, eval: 991, newest: { eval: 993, sha: TIP } },
    trouble: true,
    lines: [
      `the commit ${SHA} of eval 991 was taken back: it is not in the history of ${TIP}, the commit of the newest eval 993`,
      'the next good build of a commit in that history moves the channel',
      `${NAME}: withdrawn, not moved: 3f2c9d1 was taken back`,
    ],
  },
]

for (const { outcome, lines, trouble = false } of OUTCOMES) {
  test(`${outcome.kind} is ${trouble ? 'trouble' : 'an expected ending'}: “${lines.at(-1)}”`, () => {
    assert.deepEqual(describeOutcome(CHANNEL, outcome, WEB), lines)
    assert.equal(isTrouble(outcome), trouble)
  })
}
