import type { FoundJobset } from '../../src/hydra/queries/jobset-facts.ts'

/** A jobset that nothing is wrong with, and what differs from it. */
export const foundJobset = (more: Partial<FoundJobset>): FoundJobset => ({
  ...{ id: 1, type: 'flake', flake: 'github:alice/dotfiles', enabled: true, oneAtATime: false },
  ...{ checkIntervalSeconds: 300, lastCheckedTime: undefined, error: undefined },
  ...{ newestEval: undefined, jobs: [], ...more },
})
