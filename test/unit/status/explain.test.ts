// Why a channel is not further, as tables: one channel that is up to date, the facts that differ, the reason. Nothing is
// asked of anybody. Here what comes before all that Hydra builds.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OperatorError, PassingError } from '../../../src/base/errors.ts'
import { missingJobset } from '../../../src/channels/candidate.ts'
import { contains } from '../../../src/channels/relation.ts'
import type { Stand } from '../../../src/status/explain.ts'
import {
  AHEAD,
  AMBIGUOUS,
  BEHIND,
  BESIDE,
  C3,
  C4,
  C5,
  compareUrl,
  D,
  DIVERGED,
  FORBIDDEN,
  failed,
  force,
  GOOD,
  HOLD,
  IDENTICAL,
  JOBSET_URL,
  minutesAgo,
  NAS,
  NEXT_C4,
  NOT_ON_BRANCH,
  ONE_BEHIND,
  RETIRE,
  testCases,
  UNUSABLE,
  WITHDRAWN,
  X,
} from '../../helpers/channel-facts.ts'

const AWAY = new OperatorError('GitHub could not be asked', { hint: 'the next run tries again' })

describe('where it is, whose it is and who may move it', () =>
  testCases([
    { what: 'at the newest commit', facts: {}, reason: 'up-to-date', message: null },
    {
      what: 'one commit behind its candidate',
      facts: ONE_BEHIND,
      reason: 'behind',
      message: NEXT_C4,
    },

    {
      what: 'main was reset to the commit before, which Hydra has not seen yet',
      facts: { trackedSha: C3, standTracked: BEHIND, ...failed(1) },
      reason: 'not-evaluated',
      message:
        "main was reset to 3333333, which is older than the newest eval's commit, and Hydra has not evaluated that; the jobset is checked every 300 s, and it was last checked 2 h ago: is hydra-evaluator running?",
      url: JOBSET_URL,
    },

    // held
    {
      what: 'held, and GitHub is away',
      facts: { ...ONE_BEHIND, hold: HOLD, away: AWAY },
      reason: 'held',
      message:
        'held for 4 days, until it is released, because “does not boot”: hydra-channels release alice/dotfiles:nixos-tested-nas lets it move again; GitHub could not be asked; the next run tries again',
    },
    {
      what: 'a hold that cannot be read, and GitHub is away',
      facts: {
        ...ONE_BEHIND,
        hold: new OperatorError('the hold x is not JSON', { hint: 'mend or delete it' }),
        away: AWAY,
      },
      reason: 'held',
      message:
        'the hold x is not JSON; mend or delete it; GitHub could not be asked; the next run tries again',
    },
    {
      what: 'held, and a shell would read its name as a command',
      facts: { ...ONE_BEHIND, hold: HOLD, branch: "nixos-tested-$(id);x'y" },
      reason: 'held',
      message:
        "held for 4 days, until it is released, because “does not boot”: hydra-channels release 'alice/dotfiles:nixos-tested-$(id);x'\\''y' lets it move again",
    },
    {
      what: 'GitHub is away',
      facts: { ...ONE_BEHIND, away: AWAY },
      reason: 'unknown',
      message: 'GitHub could not be asked; the next run tries again',
    },
    {
      what: 'held until it is released',
      facts: { ...ONE_BEHIND, hold: HOLD },
      reason: 'held',
      message:
        'held for 4 days, until it is released, because “does not boot”: hydra-channels release alice/dotfiles:nixos-tested-nas lets it move again',
    },
    {
      what: 'held until a time',
      facts: { ...ONE_BEHIND, hold: { ...HOLD, until: '2026-12-01T12:00:00Z' } },
      reason: 'held',
      message:
        'held for 4 days, until 2026-12-01 12:00, because “does not boot”: hydra-channels release alice/dotfiles:nixos-tested-nas lets it move again',
    },

    {
      what: 'held by somebody',
      facts: { ...ONE_BEHIND, hold: { ...HOLD, by: 'alice' } },
      reason: 'held',
      message:
        'held for 4 days by alice, until it is released, because “does not boot”: hydra-channels release alice/dotfiles:nixos-tested-nas lets it move again',
    },
    {
      what: 'all channels are held',
      facts: { ...ONE_BEHIND, hold: { ...HOLD, by: 'alice', scope: 'all' } },
      reason: 'held',
      message:
        'all channels are held for 4 days by alice, until it is released, because “does not boot”: hydra-channels release --all lets them move again',
    },
    {
      what: 'held by itself, and with all channels',
      facts: {
        ...ONE_BEHIND,
        hold: [
          { ...HOLD, by: 'alice', scope: 'all' },
          { ...HOLD, reason: 'disk', until: '2026-12-01T12:00:00Z' },
        ],
      },
      reason: 'held',
      message:
        'all channels are held for 4 days by alice, until it is released, because “does not boot”, and held for 4 days, until 2026-12-01 12:00, because “disk”: hydra-channels release --all and hydra-channels release alice/dotfiles:nixos-tested-nas let it move again',
    },

    // withdrawn
    {
      what: 'main was reset from its commit',
      facts: { ...BESIDE, tip: X, evaluated: true },
      reason: 'withdrawn',
      message: `its commit eeeeeee was taken back: it is not in the history of 4444444, the commit of the newest eval 9; to give up what only the channel has: ${force(C4)}`,
      url: compareUrl(X, C4),
    },
    {
      what: 'main was reset to a commit before its own',
      facts: { tip: X, standTracked: BEHIND, standNewest: BEHIND, standCandidate: BEHIND },
      reason: 'withdrawn',
      message: /^its commit eeeeeee was taken back: /,
      url: compareUrl(X, C4),
    },
    {
      what: 'the history of main was rewritten as a whole',
      facts: {
        tip: X,
        standTracked: 'unrelated',
        standNewest: 'unrelated',
        standCandidate: 'unrelated',
      },
      reason: 'withdrawn',
      message: /^its commit eeeeeee was taken back: /,
      url: compareUrl(X, C4),
    },
    {
      what: 'its candidate was taken back',
      facts: {
        ...ONE_BEHIND,
        candidate: { ...GOOD, sha: X, eval: 8, newest: { eval: 9, sha: C4 } },
        offBranch: WITHDRAWN,
      },
      reason: 'withdrawn',
      message: `the commit ${X} of eval 8 was taken back: it is not in the history of the default branch, and the newest eval 9 is of ${C4}; the next good build of a commit in the history of the default branch moves the channel`,
      url: compareUrl(X, C4),
    },
    {
      what: 'there is no branch yet, and its candidate was taken back',
      facts: {
        tip: undefined,
        standTracked: undefined,
        standNewest: undefined,
        standCandidate: undefined,
        evaluated: false,
        offBranch: WITHDRAWN,
      },
      reason: 'withdrawn',
      message: /^the commit e{40} of eval 8 was taken back: /,
      url: compareUrl(X, C4),
    },
    {
      what: 'its candidate was taken back from a branch that the jobset names',
      facts: { ...ONE_BEHIND, offBranch: { ...WITHDRAWN, tracked: { kind: 'name', name: 'next' } } },
      reason: 'withdrawn',
      message: `the commit ${X} of eval 8 was taken back: it is not in the history of next, and the newest eval 9 is of ${C4}; the next good build of a commit in the history of next moves the channel`,
      url: compareUrl(X, C4),
    },

    // not on the branch
    {
      what: 'main was reset on GitHub, and Hydra has not looked since',
      facts: { ...ONE_BEHIND, offBranch: NOT_ON_BRANCH },
      reason: 'not-on-branch',
      message: `the commit ${X} of eval 9 is not in the history of main, as GitHub has it now; if the branch was reset, Hydra's next evaluation settles it; else the commit must be merged first`,
      url: compareUrl(X, C4),
    },
    {
      what: 'the jobset follows a pull request',
      facts: {
        ...ONE_BEHIND,
        flake: 'github:alice/dotfiles/pull/7/head',
        trackedSha: undefined,
        standTracked: undefined,
        offBranch: {
          ...NOT_ON_BRANCH,
          tracked: { kind: 'pull request', number: '7' },
          missing: true,
        },
      },
      reason: 'not-on-branch',
      message:
        'the jobset follows pull request 7, and its commits are on no branch; let the jobset follow a branch, or name the branch in the rule (channels[].ref)',
    },
    {
      what: 'GitHub has not got the branch that the jobset follows',
      facts: {
        ...ONE_BEHIND,
        flake: 'github:alice/dotfiles/main',
        trackedSha: undefined,
        standTracked: undefined,
        offBranch: { ...NOT_ON_BRANCH, missing: true },
      },
      reason: 'not-on-branch',
      message:
        'the jobset or the rule follows main, and GitHub has no such branch or tag; correct the flake of the jobset, or ref in the rule (channels[].ref)',
    },
    {
      what: 'moved by hand to what is newer than the newest eval, and on main: nothing was taken back',
      facts: {
        tip: C5,
        trackedSha: C5,
        unevaluated: { commits: 1, oldest: minutesAgo(5) },
        standNewest: BEHIND,
        standCandidate: BEHIND,
        evaluated: false,
      },
      reason: 'up-to-date',
      message: null,
    },
    {
      what: 'the same, evaluated once before main was reset and brought there again',
      facts: {
        tip: C4,
        newestFlake: `github:alice/dotfiles/${C3}`,
        candidate: { ...GOOD, sha: C3 },
        trackedSha: C5,
        unevaluated: { commits: 2, oldest: minutesAgo(5) },
        standTracked: AHEAD,
        standNewest: BEHIND,
        standCandidate: BEHIND,
        evaluated: true,
      },
      reason: 'behind',
      message: 'Hydra has still to evaluate 2 commits of main',
    },

    // what never is the way out: a commit that is no candidate, or one that was taken back
    {
      what: 'its commit was taken back, and its candidate too',
      facts: { ...BESIDE, tip: X, evaluated: true, offBranch: { ...WITHDRAWN, sha: D } },
      reason: 'withdrawn',
      message:
        'its commit eeeeeee was taken back: it is not in the history of 4444444, the commit of the newest eval 9; nothing that it could be put to instead is built yet',
      url: compareUrl(X, C4),
    },
    {
      what: 'its commit was taken back, and its candidate is not on the branch',
      facts: { ...BESIDE, tip: X, evaluated: true, offBranch: { ...NOT_ON_BRANCH, sha: D } },
      reason: 'withdrawn',
      message:
        'its commit eeeeeee was taken back: it is not in the history of 4444444, the commit of the newest eval 9; nothing that it could be put to instead is built yet',
      url: compareUrl(X, C4),
    },
    {
      what: 'its commit was taken back, and nothing else was good',
      facts: { ...BESIDE, tip: X, evaluated: true, candidate: undefined, standCandidate: undefined },
      reason: 'withdrawn',
      message: /; nothing that it could be put to instead is built yet$/,
      url: compareUrl(X, C4),
    },
    {
      what: 'its commit was taken back, and the eval names no commit that it could be put to',
      facts: { ...BESIDE, tip: X, evaluated: true, candidate: UNUSABLE, standCandidate: undefined },
      reason: 'withdrawn',
      message: /; nothing that it could be put to instead is built yet$/,
      url: compareUrl(X, C4),
    },
    {
      what: 'its commit was taken back, and the newest eval is not good: put to the candidate',
      facts: {
        ...BESIDE,
        tip: X,
        evaluated: true,
        candidate: { ...GOOD, sha: C3, eval: 8, newest: { eval: 9, sha: C4 } },
        ...failed(1),
      },
      reason: 'withdrawn',
      message: `its commit eeeeeee was taken back: it is not in the history of 4444444, the commit of the newest eval 9; to give up what only the channel has: ${force(C3)}`,
      url: compareUrl(X, C4),
    },

    // diverged
    {
      what: 'a commit of its own, pushed by hand beside the candidate',
      facts: BESIDE,
      reason: 'diverged',
      message: `it is at ddddddd and not in the history of 4444444: 1 commit only in the channel, 3 commits only in 4444444; to give up what only the channel has: ${force(C4)}`,
      url: compareUrl(D, C4),
    },
    {
      what: 'beside a candidate that is older than the newest eval',
      facts: {
        ...BESIDE,
        candidate: { ...GOOD, sha: C3, eval: 8, newest: { eval: 9, sha: C4 } },
        standCandidate: { status: 'diverged', aheadBy: 2, behindBy: 1 },
      },
      reason: 'diverged',
      message: `it is at ddddddd and not in the history of 3333333: 1 commit only in the channel, 2 commits only in 3333333; to give up what only the channel has: ${force(C3)}`,
      url: compareUrl(D, C3),
    },
    {
      what: 'a commit of its own where no candidate is',
      facts: { ...BESIDE, candidate: undefined, standCandidate: undefined },
      reason: 'diverged',
      message:
        'it is at ddddddd and not in the history of 4444444: 1 commit only in the channel, 3 commits only in 4444444; nothing that it could be put to instead is built yet',
      url: compareUrl(D, C4),
    },
    {
      what: 'a history of its own',
      facts: { ...BESIDE, standTracked: 'unrelated', standNewest: 'unrelated', standCandidate: 'unrelated' },
      reason: 'diverged',
      message: /: they have no common history; to give up what only the channel has: /,
      url: compareUrl(D, C4),
    },
    {
      what: 'a history of its own where no candidate is',
      facts: {
        ...BESIDE,
        candidate: undefined,
        standTracked: 'unrelated',
        standNewest: 'unrelated',
        standCandidate: undefined,
      },
      reason: 'diverged',
      message: /: they have no common history; /,
      url: compareUrl(D, C4),
    },
    {
      what: 'a commit of its own on top of main',
      facts: {
        tip: D,
        standTracked: BEHIND,
        standNewest: BEHIND,
        standCandidate: BEHIND,
        evaluated: false,
      },
      reason: 'diverged',
      message: /^it is at ddddddd and .* 4444444: 1 commit only in the channel, 0 commits only in 4444444; /,
      url: compareUrl(D, C4),
    },
    {
      what: 'a branch whose name a shell would read as two commands',
      facts: { ...BESIDE, branch: 'nixos-tested-a;b' },
      reason: 'diverged',
      message:
        / -X PATCH repos\/alice\/dotfiles\/git\/refs\/heads\/nixos-tested-a%3Bb -f sha=4{40} -F force=true$/,
      url: compareUrl(D, C4),
    },

    {
      what: 'beside a candidate with a history of its own, which was merged into main since',
      facts: { ...ONE_BEHIND, standCandidate: 'unrelated' },
      reason: 'diverged',
      message: /^it is at 3333333 and not in the history of 4444444: they have no common history; /,
      url: compareUrl(C3, C4),
    },

    // ambiguous, abandoned, no-permission, job-gone
    {
      what: 'two jobs lead to it',
      facts: { ...ONE_BEHIND, candidate: AMBIGUOUS, jobs: 2, standCandidate: undefined },
      reason: 'ambiguous',
      message:
        /^ambiguous: 2 jobs lead to this channel: dotfiles:main:nixos-nas\.aarch64-linux, .*; a channel follows one job: put \{system\} .*; if that gives the branch another name, the old one stays .*: let them follow the new one$/,
    },
    {
      what: 'GitHub would not let it move',
      facts: { ...ONE_BEHIND, forbidden: FORBIDDEN },
      reason: 'no-permission',
      message:
        'the repository is archived, so it is read-only; unarchive it in its settings; or take its rule out of the configuration',
    },
    {
      what: 'its job was removed',
      facts: { ...ONE_BEHIND, presence: 'gone', newestBuild: undefined },
      reason: 'job-gone',
      message: `the job ${NAS} is not in the newest eval of dotfiles:main: was it removed from the flake? If so, ${RETIRE}`,
    },
    {
      what: 'no job leads to it',
      facts: {
        plan: 'none',
        standTracked: undefined,
        standNewest: undefined,
        standCandidate: undefined,
        trackedSha: undefined,
        evaluated: false,
      },
      reason: 'abandoned',
      message: `no job leads to it now, so it stays where it is, and so do hosts that follow it; ${RETIRE}`,
    },
    {
      what: 'no rule names its repository',
      facts: { plan: 'none', unruled: true },
      reason: 'abandoned',
      message:
        "no rule names alice/dotfiles now, so it stays where it is, and so do hosts that follow it; when no host follows it any more, take the repository out of the App's installation, and it is no longer shown",
    },
    {
      what: 'no job leads to it, and GitHub would not let it move: nothing would move it',
      facts: { plan: 'none', forbidden: FORBIDDEN },
      reason: 'abandoned',
      message: /^no job leads to it now/,
    },
    {
      what: 'no job leads to it, but GitHub does not say whether it is there',
      facts: { plan: 'none', tip: undefined, away: FORBIDDEN, forbidden: FORBIDDEN },
      reason: 'no-permission',
      message: /^the repository is archived/,
    },
    {
      what: 'no job leads to it, and it is held',
      facts: { plan: 'none', hold: HOLD },
      reason: 'held',
      message: `held for 4 days, until it is released, because “does not boot”: hydra-channels release alice/dotfiles:nixos-tested-nas ends that; no job leads to it now, so it stays where it is, and so do hosts that follow it; ${RETIRE}`,
    },
    {
      what: 'a rule that could make it is in trouble: its job may be there',
      facts: {
        plan: 'none',
        ruleTrouble: missingJobset({ project: 'dotfiles', jobset: 'main' }, 'trunk'),
      },
      reason: 'unknown',
      message: 'the jobset dotfiles:main is called dotfiles:trunk now; put trunk into the rule',
    },
    {
      what: 'the jobset of the rule that could make it has no eval yet',
      facts: {
        plan: 'none',
        trackedSha: undefined,
        ruleTrouble: new PassingError('dotfiles:main is not evaluated yet'),
      },
      reason: 'not-evaluated',
      message: 'dotfiles:main is not evaluated yet',
    },
    {
      what: 'on a GitHub Enterprise Server: taken back',
      facts: {
        ...BESIDE,
        tip: X,
        evaluated: true,
        newestFlake: `github:alice/dotfiles/${C4}?host=ghe.example.org`,
      },
      around: { hosts: ['ghe.example.org'], webUrl: 'https://ghe.example.org' },
      reason: 'withdrawn',
      message:
        /to give up what only the channel has: gh api --hostname ghe\.example\.org -X PATCH repos\/alice\/dotfiles\/git\/refs\/heads\/nixos-tested-nas -f sha=4{40} -F force=true$/,
      url: `https://ghe.example.org/alice/dotfiles/compare/${X}...${C4}`,
    },
    {
      what: 'on a GitHub Enterprise Server: diverged',
      facts: { ...BESIDE, newestFlake: `github:alice/dotfiles/${C4}?host=ghe.example.org` },
      around: { hosts: ['ghe.example.org'], webUrl: 'https://ghe.example.org' },
      reason: 'diverged',
      message: /gh api --hostname ghe\.example\.org -X PATCH /,
      url: `https://ghe.example.org/alice/dotfiles/compare/${D}...${C4}`,
    },
    {
      what: 'of a flakeref with an alias of ssh: the links lead to the pages of GitHub',
      facts: { ...BESIDE, newestFlake: `git+ssh://git@gh-nas/alice/dotfiles?rev=${C4}` },
      around: { hosts: ['github.com', 'gh-nas'] },
      reason: 'diverged',
      message: /; to give up what only the channel has: gh api -X PATCH /,
      url: `https://github.com/alice/dotfiles/compare/${D}...${C4}`,
    },
    {
      what: 'of a jobset that follows another host than those of a list',
      facts: { flake: 'git+ssh://git@gh-web/alice/dotfiles' },
      around: { hosts: ['github.com', 'gh-nas'] },
      reason: 'unusable-flakeref',
      message:
        /^dotfiles:main follows git\+ssh:\/\/gh-web\/alice\/dotfiles now, which is not alice\/dotfiles on github\.com, gh-nas: correct/,
      url: 'https://hydra.example.org/jobset/dotfiles/main',
    },
  ]))

test('a history has what it is ahead of, and itself', () => {
  const stands: Stand[] = [AHEAD, IDENTICAL, BEHIND, DIVERGED, 'unrelated', undefined]
  assert.deepEqual(stands.map(contains), [true, true, false, false, false, false])
})
