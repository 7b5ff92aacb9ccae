// What Hydra's `buildStatus` means: https://github.com/NixOS/hydra/blob/master/src/sql/hydra.sql, the table Builds.

export interface BuildStatus {
  kind: 'succeeded' | 'build-failed' | 'build-timed-out' | 'dependency-failed' | 'build-aborted'
  /** goes on after `build 4123` */
  words: string
  /** what somebody has to do so that the channel moves again; undefined: the next good build is enough */
  todo?: string
}

const RESTART = 'restart it in Hydra'

const failed = (words: string) => ({ kind: 'build-failed', words }) as const

const STATUSES: Readonly<Record<number, BuildStatus>> = {
  0: { kind: 'succeeded', words: 'succeeded' },
  1: failed('failed'),
  2: { kind: 'dependency-failed', words: 'failed because a dependency failed' },
  3: { kind: 'build-aborted', words: 'was aborted', todo: RESTART },
  4: { kind: 'build-aborted', words: 'was cancelled', todo: RESTART },
  6: failed('failed with output'),
  7: { kind: 'build-timed-out', words: 'timed out' },
  9: {
    kind: 'build-aborted',
    words: 'was aborted: no builder has its system',
    todo: 'add a builder, or take the job out of the flake',
  },
  10: failed('failed: its log is larger than the limit'),
  11: failed('failed: its output is larger than the limit'),
  12: failed('failed: it is not deterministic'),
}

/** Of a build that is finished. A number that this table does not know yet is a failure. */
export function buildStatusOf(status: number | null): BuildStatus {
  if (status === null) return failed('ended without a status')
  return STATUSES[status] ?? failed(`ended with status ${status}`)
}

/** Goes on after `build 4123`, as {@link BuildStatus.words}; of a kind alone, in which several statuses may be. */
export function wordsOfKind(kind: BuildStatus['kind']): string {
  return Object.values(STATUSES).find(status => status.kind === kind)?.words ?? kind
}

/** The same of a build that has not ended. */
export const UNFINISHED = 'is queued or running'
