// Why a channel is not further: evaluations, builds and the cache, as a table.
import { describe } from 'node:test'
import {
  ABSENT,
  AHEAD,
  BEHIND,
  BESIDE,
  C3,
  C4,
  C5,
  type Case,
  compareUrl,
  D,
  EVALUATED,
  FAILURE,
  FATAL,
  FOREIGN,
  failed,
  GOOD,
  IDENTICAL,
  JOBSET_URL,
  MISSES,
  NAS,
  NEXT_C4,
  ONE_BEHIND,
  QUEUED,
  type Spec,
  testCases,
  todoOf,
  UNTIL_THEN_C4,
  UNUSABLE,
  UP_TO_DATE,
  unevaluated,
} from '../../helpers/channel-facts.ts'

/** The branch is not there yet. */
const NO_BRANCH = {
  tip: undefined,
  standTracked: undefined,
  standNewest: undefined,
  standCandidate: undefined,
  evaluated: false,
} satisfies Spec

/** Since five days before now, and commit C3. */
const FAILING = {
  first: {
    build: 60,
    status: 1,
    eval: {
      id: 6,
      flake: `github:alice/dotfiles/${C3}`,
      timestamp: Date.parse('2026-11-19T12:00:00Z') / 1000,
    },
  },
  atLeast: false,
  lastGood: undefined,
}
const FAILING_COMMITS = new Map([[C3, { subject: 'router: nftables rewrite', author: 'Alice' }]])

describe('what Hydra evaluated and built', () =>
  testCases([
    // evaluation-failed
    {
      what: 'its job could not be evaluated',
      facts: { ...ONE_BEHIND, presence: 'evaluation-failed', newestBuild: undefined, evalError: MISSES },
      reason: 'evaluation-failed',
      message: `eval 9 could not evaluate it: error: attribute 'x' missing; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/eval/9',
    },
    {
      what: 'nothing could be evaluated, and that is current',
      facts: { ...ONE_BEHIND, jobsetError: FATAL, lastCheckedTime: FATAL.time },
      reason: 'evaluation-failed',
      message: `the evaluation of dotfiles:main fails, last 1 h ago: error: cannot find flake 'flake:x'; see journalctl -u hydra-evaluator; ${UNTIL_THEN_C4}`,
      url: JOBSET_URL,
    },
    {
      what: 'nothing could be evaluated, but was checked since without an error',
      facts: { ...ONE_BEHIND, jobsetError: { ...FATAL, current: false } },
      reason: 'behind',
      message: NEXT_C4,
    },
    {
      what: 'nothing could be evaluated before the newest eval',
      facts: { ...ONE_BEHIND, jobsetError: { ...FATAL, time: EVALUATED - 3600 } },
      reason: 'behind',
      message: NEXT_C4,
    },
    {
      what: 'the newest eval itself has an error, of other jobs',
      facts: {
        ...ONE_BEHIND,
        evalError: 'in job ‘other’:\nerror: no\n',
        jobsetError: { text: 'in job ‘other’:\nerror: no\n', time: EVALUATED, current: true },
      },
      reason: 'behind',
      message: NEXT_C4,
    },

    // not-evaluated
    {
      what: 'a commit of 29 minutes that is not evaluated',
      facts: { standTracked: AHEAD, ...unevaluated(29) },
      reason: 'behind',
      message: 'Hydra has still to evaluate 1 commit of main',
    },
    {
      what: 'a commit of 31 minutes that is not evaluated',
      facts: { standTracked: AHEAD, ...unevaluated(31) },
      reason: 'not-evaluated',
      message:
        'Hydra has not evaluated 1 commit of main, which it has had for 31 min; the jobset is checked every 300 s, and it was last checked 2 h ago: is hydra-evaluator running?',
      url: JOBSET_URL,
    },
    {
      what: 'a commit of 5 minutes that is not evaluated: behind, although everything that was built is there',
      facts: { standTracked: AHEAD, ...unevaluated(5) },
      reason: 'behind',
      message: 'Hydra has still to evaluate 1 commit of main',
    },
    {
      what: 'a disabled jobset',
      facts: { standTracked: AHEAD, ...unevaluated(31, 2), enabled: false },
      reason: 'not-evaluated',
      message:
        /^Hydra has not evaluated 2 commits of main, .*; the jobset or its project is disabled: enable it$/,
      url: JOBSET_URL,
    },
    {
      what: 'a jobset without a check interval',
      facts: { standTracked: AHEAD, ...unevaluated(31), checkIntervalSeconds: 0 },
      reason: 'not-evaluated',
      message:
        /; the jobset has no check interval, so only a webhook or a person starts an evaluation; it was last checked 2 h ago$/,
      url: JOBSET_URL,
    },
    {
      what: 'a jobset that is evaluated one at a time, and waits for the builds of its last eval',
      facts: {
        standTracked: AHEAD,
        ...unevaluated(31),
        oneAtATime: true,
        otherJobs: [
          { job: 'done', newest: { build: 80, finished: true, status: 1 }, candidate: undefined },
          { job: 'nixos-web.x86_64-linux', newest: { ...QUEUED, build: 81 }, candidate: undefined },
          { job: 'nixos-pi.aarch64-linux', newest: { ...QUEUED, build: 82 }, candidate: undefined },
        ],
      },
      reason: 'not-evaluated',
      message:
        /^Hydra has not evaluated 1 commit of main, .*; the jobset is evaluated one at a time, and waits for build 81 of nixos-web\.x86_64-linux and 1 other$/,
      url: 'https://hydra.example.org/build/81',
    },
    {
      what: 'a jobset that is evaluated one at a time, and waits for nothing',
      facts: { standTracked: AHEAD, ...unevaluated(31), oneAtATime: true },
      reason: 'not-evaluated',
      message: /is hydra-evaluator running\?$/,
      url: JOBSET_URL,
    },
    {
      what: 'a jobset that was never checked',
      facts: { standTracked: AHEAD, ...unevaluated(31), lastCheckedTime: undefined },
      reason: 'not-evaluated',
      message: /; the jobset is checked every 300 s, and it was never checked: is hydra-evaluator running\?$/,
      url: JOBSET_URL,
    },
    {
      what: 'not evaluated, and the jobset has a current error',
      facts: {
        standTracked: AHEAD,
        ...unevaluated(31),
        jobsetError: { text: 'in job ‘other’:\nerror: no\n', time: EVALUATED, current: true },
      },
      reason: 'not-evaluated',
      message: /is hydra-evaluator running\?; its error: error: no$/,
      url: JOBSET_URL,
    },
    {
      what: 'not evaluated, and the jobset has an old error',
      facts: { standTracked: AHEAD, ...unevaluated(31), jobsetError: { ...FATAL, current: false } },
      reason: 'not-evaluated',
      message: /is hydra-evaluator running\?$/,
      url: JOBSET_URL,
    },

    {
      what: 'not evaluated, and a candidate that it can move to meanwhile',
      facts: { ...ONE_BEHIND, ...unevaluated(31) },
      reason: 'not-evaluated',
      message:
        /: is hydra-evaluator running\?; until then the next reconcile moves it to 4444444, the newest that is good$/,
      url: JOBSET_URL,
    },
    {
      what: 'nobody knows how old the commits are',
      facts: { standTracked: AHEAD, trackedSha: C5, unevaluated: { commits: 2, oldest: undefined } },
      reason: 'behind',
      message: 'Hydra has still to evaluate 2 commits of main',
    },
    {
      what: 'an error that carries a token',
      facts: {
        ...ONE_BEHIND,
        presence: 'evaluation-failed',
        newestBuild: undefined,
        evalError: `in job ‘${NAS}’:\nerror: cannot fetch https://x-access-token:ghp_secret@github.com/alice/secrets\n`,
      },
      reason: 'evaluation-failed',
      message: `eval 9 could not evaluate it: error: cannot fetch https://github.com/alice/secrets; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/eval/9',
    },

    // unusable-flakeref
    {
      what: 'the eval names no commit of this repository',
      facts: { ...ONE_BEHIND, ...FOREIGN, newestFlake: 'path:/x' },
      reason: 'unusable-flakeref',
      message: 'the flakeref of eval 9 cannot be used: path:/x; mend the flake',
      url: JOBSET_URL,
    },

    ...[`github:bob/other/${C4}`, `github:alice/dotfiles/${C4}?host=ghe.example.org`].map(
      (newestFlake): Case => ({
        what: `beside main, and the newest eval is of another repository, ${newestFlake}`,
        facts: {
          ...BESIDE,
          ...FOREIGN,
          newestFlake,
        },
        reason: 'unusable-flakeref',
        message: /^the flakeref of eval 9 cannot be used/,
        url: JOBSET_URL,
      }),
    ),

    ...[
      ['github:bob/other/main', 'github:bob/other/main'],
      ['gitlab:alice/dotfiles', 'gitlab:alice/dotfiles'],
      ['git+https://ghp_secret@github.com/bob/other?ref=main', 'git+https://github.com/bob/other?ref=main'],
    ].map(
      ([flake = '', shown]): Case => ({
        what: `the jobset follows ${shown} now, and what was built before is this repository's`,
        facts: { ...ONE_BEHIND, flake, trackedSha: undefined, standTracked: undefined },
        reason: 'unusable-flakeref',
        message: `dotfiles:main follows ${shown} now, which is not github.com/alice/dotfiles: correct the rule or the flake of the jobset, or name the branch in the rule (channels[].ref)`,
        url: JOBSET_URL,
      }),
    ),
    {
      what: 'the jobset follows another repository, and the rule names the branch',
      facts: { ...ONE_BEHIND, flake: 'github:bob/other/main', ref: 'main' },
      reason: 'behind',
      message: NEXT_C4,
    },
    {
      what: 'the jobset follows one commit, and the newest eval names none',
      // as of a pinned commit, which has nothing to count
      facts: {
        ...ONE_BEHIND,
        ...FOREIGN,
        flake: `github:alice/dotfiles/${C4}`,
        newestFlake: 'path:/x',
        unevaluated: UP_TO_DATE.unevaluated,
      },
      reason: 'unusable-flakeref',
      message: /^the flakeref of eval 9 cannot be used/,
      url: JOBSET_URL,
    },

    // builds
    ...(
      [
        [1, 'build-failed', 'failed'],
        [2, 'dependency-failed', 'failed because a dependency failed'],
        [3, 'build-aborted', 'was aborted'],
        [4, 'build-aborted', 'was cancelled'],
        [5, 'build-failed', 'ended with status 5'],
        [6, 'build-failed', 'failed with output'],
        [7, 'build-timed-out', 'timed out'],
        [8, 'build-failed', 'ended with status 8'],
        [9, 'build-aborted', 'was aborted: no builder has its system'],
        [10, 'build-failed', 'failed: its log is larger than the limit'],
        [11, 'build-failed', 'failed: its output is larger than the limit'],
        [12, 'build-failed', 'failed: it is not deterministic'],
        [99, 'build-failed', 'ended with status 99'],
        [null, 'build-failed', 'ended without a status'],
      ] as const
    ).map(
      ([status, reason, how]): Case => ({
        what: `its newest build ended with status ${status}`,
        facts: { ...ONE_BEHIND, ...failed(status) },
        reason,
        message: `build 71 ${how}; ${todoOf(status)}; ${UNTIL_THEN_C4}`,
        url: 'https://hydra.example.org/build/71',
      }),
    ),
    {
      what: 'its job has failed since an older build',
      facts: { ...ONE_BEHIND, ...failed(7), failing: FAILING },
      around: { commits: FAILING_COMMITS },
      reason: 'build-timed-out',
      message: `failing for 5 days, since build 60 of commit 3333333 “router: nftables rewrite” by Alice; build 71 timed out; the channel moves with the next good build; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'its job fails since its newest build, of a commit that GitHub does not tell about',
      facts: { ...ONE_BEHIND, ...failed(1), failing: { ...FAILING, first: { ...FAILING.first, build: 71 } } },
      reason: 'build-failed',
      message: /^failing for 5 days, since commit 3333333; build 71 failed; /,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'its job has failed for longer than is looked at',
      facts: { ...ONE_BEHIND, ...failed(1), failing: { ...FAILING, atLeast: true } },
      reason: 'build-failed',
      message: /^failing for more than 5 days, since build 60 of commit 3333333 or before; build 71 failed; /,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'its builds were all aborted since the last good one',
      facts: { ...ONE_BEHIND, ...failed(3), failing: { ...FAILING, first: undefined } },
      reason: 'build-aborted',
      message: /^build 71 was aborted; /,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'at the newest commit by hand, although its newest build failed',
      facts: { ...failed(1), standCandidate: BEHIND, candidate: { ...GOOD, sha: C3 } },
      reason: 'up-to-date',
      message: null,
    },
    {
      what: 'its candidate is not in the cache',
      facts: { ...ONE_BEHIND, uncached: 'the cache does not have /nix/store/x' },
      reason: 'not-cached',
      message: 'the cache does not have /nix/store/x',
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'its candidate was not copied yet',
      facts: { ...ONE_BEHIND, looked: ABSENT },
      reason: 'not-cached',
      message: 'the cache does not have /nix/store/x; the next reconcile copies it, and moves the channel',
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the same, and reconcile does not copy',
      facts: { ...ONE_BEHIND, looked: ABSENT },
      around: { copies: false },
      reason: 'not-cached',
      message: ABSENT.why,
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the same, although the last reconcile tried to copy it',
      facts: { ...ONE_BEHIND, looked: ABSENT, failure: FAILURE },
      reason: 'not-cached',
      message:
        'the cache does not have /nix/store/x; the last reconcile, 30 min ago, could not move it to 4444444: cannot copy to the cache: see its journal',
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the same, although the last reconcile copied it',
      facts: { ...ONE_BEHIND, looked: ABSENT, failure: { ...FAILURE, message: `${ABSENT.why} and more` } },
      reason: 'not-cached',
      message: ABSENT.why,
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the same of an older commit that is the candidate',
      facts: { ...ONE_BEHIND, ...failed(3), looked: ABSENT },
      reason: 'build-aborted',
      message:
        'build 71 was aborted; restart it in Hydra; until then the cache does not have /nix/store/x; the next reconcile copies it, and moves the channel',
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'the last reconcile, a dry run, could not have moved it',
      facts: { ...ONE_BEHIND, failure: { ...FAILURE, dryRun: true } },
      reason: 'failed',
      message:
        'the last reconcile, a dry run 30 min ago, could not have moved it to 4444444: cannot copy to the cache: see its journal',
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the last reconcile could not move it',
      facts: { ...ONE_BEHIND, failure: FAILURE },
      reason: 'failed',
      message:
        'the last reconcile, 30 min ago, could not move it to 4444444: cannot copy to the cache: see its journal',
      url: 'https://hydra.example.org/build/70',
    },
    {
      what: 'the last reconcile could not move it, and its newest build failed',
      facts: { ...ONE_BEHIND, ...failed(1), failure: FAILURE },
      reason: 'build-failed',
      message: /; until then the last reconcile, 30 min ago, could not move it to 4444444: cannot copy/,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'the last reconcile could not move it to an older candidate',
      facts: { ...ONE_BEHIND, failure: { ...FAILURE, sha: C3 } },
      reason: 'behind',
      message:
        'the next reconcile moves it to 4444444; the last reconcile, 30 min ago, could not move it to 3333333: cannot copy to the cache: see its journal',
    },
    {
      what: 'the last reconcile could not move it, and it has moved since',
      facts: { failure: FAILURE },
      reason: 'up-to-date',
      message: null,
    },
    {
      what: 'its newest build is queued',
      facts: { ...ONE_BEHIND, newestBuild: QUEUED },
      reason: 'building',
      message: `build 71 has been queued or running for 2 h; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'a build that failed is built again',
      facts: { ...ONE_BEHIND, newestBuild: { ...QUEUED, status: 1 } },
      reason: 'building',
      message: `build 71 has been queued or running for 2 h; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/build/71',
    },
    {
      what: 'nobody knows since when it is queued',
      facts: { ...ONE_BEHIND, newestBuild: { build: 71, finished: false, status: null } },
      reason: 'building',
      message: `build 71 is queued or running; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/build/71',
    },

    {
      what: 'its newest build failed, and its candidate is not in the cache',
      facts: { ...ONE_BEHIND, ...failed(1), uncached: 'the cache does not have /nix/store/x' },
      reason: 'build-failed',
      message:
        'build 71 failed; the channel moves with the next good build; until then the cache does not have /nix/store/x',
      url: 'https://hydra.example.org/build/71',
    },
    ...(
      [
        ['at its candidate', { standCandidate: IDENTICAL }],
        ['further than its candidate', { standCandidate: BEHIND }],
        ['without a candidate', { candidate: undefined }],
      ] as const
    ).map(
      ([where, nothingNewer]): Case => ({
        what: `its newest build failed, ${where}`,
        facts: { ...ONE_BEHIND, ...failed(1), ...nothingNewer },
        reason: 'build-failed',
        message: 'build 71 failed; the channel moves with the next good build',
        url: 'https://hydra.example.org/build/71',
      }),
    ),
    {
      what: 'there is no branch yet, its newest build failed, and an older one is good',
      facts: { ...NO_BRANCH, ...failed(1) },
      reason: 'build-failed',
      message: `build 71 failed; the channel moves with the next good build; ${UNTIL_THEN_C4}`,
      url: 'https://hydra.example.org/build/71',
    },

    // behind, and what is not known
    {
      what: 'there is no branch yet, but a candidate',
      facts: NO_BRANCH,
      reason: 'behind',
      message: NEXT_C4,
    },
    {
      what: 'there is neither a branch nor a candidate',
      facts: { ...NO_BRANCH, candidate: undefined },
      reason: 'behind',
      message: 'its job has no good build yet',
    },
    {
      what: 'behind main, and nothing newer was good',
      facts: {
        ...ONE_BEHIND,
        candidate: { ...GOOD, sha: C3, eval: 8, newest: { eval: 9, sha: C4 } },
        standCandidate: IDENTICAL,
      },
      reason: 'behind',
      message: 'it is not at main, and no newer commit has a good build of its job',
    },
    {
      what: 'the tracked branch is not there, and there is nothing to move to',
      facts: { trackedSha: undefined, standTracked: undefined },
      reason: 'unknown',
      message:
        'the branch that dotfiles:main follows is not in alice/dotfiles: correct the flake of the jobset',
    },
    {
      what: 'the tracked branch is not there, and the candidate is newer',
      facts: { ...ONE_BEHIND, trackedSha: undefined, standTracked: undefined },
      reason: 'behind',
      message: NEXT_C4,
    },

    {
      what: 'the tracked branch is not there, and neither is the way to a commit',
      facts: {
        trackedSha: undefined,
        standTracked: undefined,
        candidate: UNUSABLE,
        standCandidate: undefined,
      },
      reason: 'unusable-flakeref',
      message: /^the flakeref of eval 9 /,
      url: JOBSET_URL,
    },
    {
      what: 'the tracked branch is not there, and somebody pushed by hand',
      facts: { ...BESIDE, trackedSha: undefined, standTracked: undefined },
      reason: 'diverged',
      message: /^it is at ddddddd and not in the history of 4444444: /,
      url: compareUrl(D, C4),
    },

    // surroundings
    ...(
      [
        ['build-failed', failed(1), /^build 71 failed; /],
        ['building', { newestBuild: QUEUED }, /^build 71 has been queued/],
        ['not-cached', { uncached: 'not there' }, 'not there'],
        ['not-evaluated', unevaluated(31), /^Hydra has not evaluated/],
        ['unusable-flakeref', { candidate: UNUSABLE }, /^the flakeref/],
        ['evaluation-failed', { jobsetError: FATAL }, /^the evaluation of/],
        [
          'evaluation-failed',
          { presence: 'evaluation-failed', newestBuild: undefined, evalError: MISSES },
          /^eval 9 /,
        ],
      ] as const
    ).map(
      ([reason, facts, message]): Case => ({
        what: `without hydraUrl: ${reason}, ${message}`,
        facts: { ...ONE_BEHIND, ...facts },
        around: { hydraUrl: undefined },
        reason,
        message,
      }),
    ),
  ]))
