// Why a channel is not further while `dryRun` is set: no sentence promises that something moves.
import { describe } from 'node:test'
import {
  ABSENT,
  BESIDE,
  C3,
  C4,
  type Case,
  D,
  FAILURE,
  failed,
  force,
  GOOD,
  HOLD,
  MISSES,
  ONE_BEHIND,
  QUEUED,
  testCases,
  WITHDRAWN,
} from '../../helpers/channel-facts.ts'

const NEXT_C4 = 'without dryRun, the next reconcile moves it to 4444444'
const UNTIL_THEN_C4 = `until then ${NEXT_C4}, the newest that is good`

describe('with dryRun', () =>
  testCases(
    [
      { what: 'at the newest commit', facts: {}, reason: 'up-to-date', message: null },
      { what: 'behind its candidate', facts: ONE_BEHIND, reason: 'behind', message: NEXT_C4 },
      {
        what: 'held',
        facts: { ...ONE_BEHIND, hold: HOLD },
        reason: 'held',
        message:
          'held for 4 days, until it is released, because “does not boot”: without dryRun, hydra-channels release alice/dotfiles:nixos-tested-nas lets it move again',
      },
      {
        what: 'its candidate was taken back',
        facts: { ...ONE_BEHIND, offBranch: WITHDRAWN },
        reason: 'withdrawn',
        message:
          /; without dryRun, the next good build of a commit in the history of the default branch moves the channel$/,
        url: 'https://github.com/alice/dotfiles/compare/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee...4444444444444444444444444444444444444444',
      },
      {
        what: 'pushed by hand: the command to mend it is a person’s',
        facts: BESIDE,
        reason: 'diverged',
        message: `it is at ddddddd and not in the history of 4444444: 1 commit only in the channel, 3 commits only in 4444444; to give up what only the channel has: ${force(C4)}`,
        url: `https://github.com/alice/dotfiles/compare/${D}...${C4}`,
      },
      {
        what: 'its job could not be evaluated',
        facts: { ...ONE_BEHIND, presence: 'evaluation-failed', newestBuild: undefined, evalError: MISSES },
        reason: 'evaluation-failed',
        message: `eval 9 could not evaluate it: error: attribute 'x' missing; ${UNTIL_THEN_C4}`,
        url: 'https://hydra.example.org/eval/9',
      },
      {
        what: 'its newest build failed',
        facts: {
          ...ONE_BEHIND,
          ...failed(1),
          candidate: { ...GOOD, sha: C3 },
          tip: C3,
          standCandidate: undefined,
        },
        reason: 'build-failed',
        message: 'build 71 failed; without dryRun, the channel moves with the next good build',
        url: 'https://hydra.example.org/build/71',
      },
      {
        what: 'its newest build was aborted, and an older one was good',
        facts: { ...ONE_BEHIND, ...failed(3) },
        reason: 'build-aborted',
        message: `build 71 was aborted; restart it in Hydra; ${UNTIL_THEN_C4}`,
        url: 'https://hydra.example.org/build/71',
      },
      {
        what: 'its newest build is queued',
        facts: { ...ONE_BEHIND, newestBuild: QUEUED },
        reason: 'building',
        message: `build 71 has been queued or running for 2 h; ${UNTIL_THEN_C4}`,
        url: 'https://hydra.example.org/build/71',
      },
      {
        what: 'its candidate was not copied yet',
        facts: { ...ONE_BEHIND, looked: ABSENT, failure: { ...FAILURE, dryRun: true } },
        reason: 'not-cached',
        message:
          'the cache does not have /nix/store/x; without dryRun, the next reconcile copies it, and moves the channel',
        url: 'https://hydra.example.org/build/70',
      },
      {
        what: 'an older candidate failed in the last dry run',
        facts: { ...ONE_BEHIND, failure: { ...FAILURE, sha: C3, dryRun: true } },
        reason: 'behind',
        message: `${NEXT_C4}; the last reconcile, a dry run 30 min ago, could not have moved it to 3333333: cannot copy to the cache: see its journal`,
      },
    ].map((each): Case => ({ ...(each as Case), around: { dryRun: true } })),
  ))
