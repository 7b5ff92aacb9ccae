// How one commit stands to another. One type for what GitHub's REST and GraphQL answer, for the decision, and for status.

/** Of two commits with a common history, seen from a base: `ahead` means that the base can be fast-forwarded to the head. */
export interface Related {
  status: 'identical' | 'ahead' | 'behind' | 'diverged'
  /** commits that only the head has */
  aheadBy: number
  /** commits that only the base has */
  behindBy: number
  /** where the two parted, 40 digits; undefined: GitHub was not asked for it */
  mergeBaseSha?: string | undefined
  /** when the first of the commits was made that only the head has; ISO 8601; undefined: not known */
  firstCommittedAt?: string | undefined
}

/** `unrelated`: the two have no common history. */
export type Relation = Related | 'unrelated'

export const IDENTICAL: Related = { status: 'identical', aheadBy: 0, behindBy: 0 }

/** Whether the head's history has the base. Undefined stands for commits that GitHub did not compare. */
export function contains(relation: Relation | undefined): boolean {
  return typeof relation === 'object' && (relation.status === 'ahead' || relation.status === 'identical')
}
