// The tracked branch of a channel: what its commits must be in the history of. Pure; safeguards.ts asks GitHub about it.

import { cut, short } from '../base/log.ts'
import { type ExpectedRepository, parseTrackedRef, type TrackedRef } from '../hydra/flakeref.ts'
import { branchProblem } from './branch-name.ts'

/** Anything may be in the flake of a jobset. */
const MAX_SHOWN = 100

/**
 * @param ref `main`, of the rule; it counts before the flake of the jobset
 * @param flake as somebody entered it, not locked: `github:alice/dotfiles/main`
 */
export function trackedRefOf(
  ref: string | undefined,
  flake: string | null,
  expected: ExpectedRepository,
): TrackedRef {
  return ref === undefined
    ? parseTrackedRef(flake ?? '', expected)
    : { kind: 'ref', ref: `refs/heads/${ref}` }
}

/**
 * What GitHub is asked for, the first that it has: whole refs, a sha, or `HEAD`, the default branch. None: it can have no such
 * branch, and nothing moves.
 */
export function refsOf(tracked: TrackedRef): readonly string[] {
  switch (tracked.kind) {
    case 'default branch':
      return ['HEAD']
    case 'name': {
      const { name } = tracked
      return branchProblem(name) === undefined ? [`refs/heads/${name}`, `refs/tags/${name}`] : []
    }
    case 'ref':
      return branchProblem(tracked.ref.replace(/^refs\//, '')) === undefined ? [tracked.ref] : []
    case 'pinned':
      return [tracked.rev]
    case 'pull request':
    case 'other repository':
      return []
  }
}

/** `main`, `the default branch`, `3f2c9d1 (pinned)`: goes on after “is not in the history of ”. */
export function showTrackedRef(tracked: TrackedRef): string {
  switch (tracked.kind) {
    case 'default branch':
      return 'the default branch'
    case 'name':
      return cut(tracked.name, MAX_SHOWN)
    case 'ref':
      return cut(tracked.ref.replace(/^refs\/(heads\/)?/, ''), MAX_SHOWN)
    case 'pinned':
      return `${short(tracked.rev)}, to which the jobset is pinned`
    case 'pull request':
      return `pull request ${tracked.number}`
    case 'other repository':
      return 'another repository'
  }
}
