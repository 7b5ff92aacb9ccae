// Which reason is given if several hold, for each pair of them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { REASONS, type Reason } from '../../../src/status/shape.ts'
import { C4, explained, FACTS_OF, ONE_BEHIND, type Spec } from '../../helpers/channel-facts.ts'

/** Both, unless they contradict each other about a fact. */
function both(a: Spec, b: Spec): Spec | undefined {
  const of = (spec: Spec) => new Map<string, unknown>(Object.entries(spec))
  const [first, second] = [of(a), of(b)]
  const agree = [...first].every(([fact, value]) => !second.has(fact) || Object.is(second.get(fact), value))
  return agree ? { ...a, ...b } : undefined
}

describe('the first reason that holds is said', () => {
  for (const [reason, variants] of Object.entries(FACTS_OF)) {
    test(`${reason} alone`, () => {
      for (const facts of variants) assert.equal(explained({ ...ONE_BEHIND, ...facts }).reason, reason)
    })
  }

  const exclusive: string[] = []
  // what holds of a channel that is up to date is another table
  const reasons = REASONS.filter(reason => reason !== 'up-to-date')
  for (const [at, first] of reasons.entries()) {
    for (const later of reasons.slice(at + 1)) {
      const pairs = FACTS_OF[first].flatMap(a => FACTS_OF[later].flatMap(b => both(a, b) ?? []))
      if (pairs.length === 0) exclusive.push(`${first}, ${later}`)
      else {
        test(`${first} wins over ${later}`, () => {
          for (const facts of pairs) assert.equal(explained({ ...ONE_BEHIND, ...facts }).reason, first)
        })
      }
    }
  }

  // else the pairs prove less than they seem to
  test('only these cannot hold together', () => {
    assert.deepEqual(exclusive, [
      // no job, no candidate and no build
      'withdrawn, abandoned',
      // what is ambiguous has no candidate that could be off the branch
      'not-on-branch, ambiguous',
      'not-on-branch, abandoned',
      'diverged, abandoned',
      'diverged, unknown',
      'ambiguous, abandoned',
      'ambiguous, not-cached',
      'ambiguous, failed',
      'ambiguous, behind',
      'ambiguous, unknown',
      'abandoned, build-failed',
      'abandoned, build-timed-out',
      'abandoned, dependency-failed',
      'abandoned, build-aborted',
      'abandoned, not-cached',
      'abandoned, failed',
      'abandoned, building',
      'abandoned, behind',
      'abandoned, unknown',
      'job-gone, build-failed',
      'job-gone, build-timed-out',
      'job-gone, dependency-failed',
      'job-gone, build-aborted',
      'job-gone, building',
      'not-evaluated, unknown',
      'build-failed, build-timed-out',
      'build-failed, dependency-failed',
      'build-failed, build-aborted',
      'build-failed, building',
      'build-timed-out, dependency-failed',
      'build-timed-out, build-aborted',
      'build-timed-out, building',
      'dependency-failed, build-aborted',
      'dependency-failed, building',
      'build-aborted, building',
      'failed, unknown',
      'behind, unknown',
    ])
  })
})

describe('a channel that is at the newest commit', () => {
  const MATTERS: Reason[] = [
    'held',
    'withdrawn',
    'not-on-branch',
    'diverged',
    'ambiguous',
    'abandoned',
    'no-permission',
    'job-gone',
    'unusable-flakeref',
  ]
  for (const reason of REASONS.slice(0, REASONS.indexOf('behind'))) {
    const matters = MATTERS.includes(reason)
    test(`${matters ? 'is yet' : 'is up to date and not'} ${reason}`, () => {
      for (const facts of FACTS_OF[reason]) {
        // a tip that is elsewhere is not at the newest commit
        if (facts.standTracked) continue
        const found = explained({ ...facts, trackedSha: C4 })
        assert.equal(found.reason, matters ? reason : 'up-to-date')
      }
    })
  }
})
