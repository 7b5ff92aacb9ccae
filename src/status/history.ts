// What a branch did: each change of it as GitHub tells, with what Hydra knows of the commits. Pure: facts in, changes out.
// The shape of `hydra-channels history --json`, documented in docs/status.md and stable. Times are ISO 8601 in UTC.
import { buildUrl, compareUrl } from '../base/links.ts'
import { cut } from '../base/log.ts'
import { contains, type Relation } from '../channels/relation.ts'
import { type BuildStatus, buildStatusOf } from '../hydra/build-status.ts'
import type { NewestBuild } from '../hydra/queries/present-jobs.ts'
import type { Activity, DescribedCommit } from './survey.ts'

export interface ChannelHistory {
  generatedAt: string
  repository: string
  branch: string
  /** of `--since`; null: it was not given */
  since: string | null
  /** newest first */
  changes: Change[]
  /** changes that GitHub told of, and that are not among these */
  leftOut: number
  /** whether GitHub knows more of them, which it was not asked for */
  moreBefore: boolean
}

/** `forced`: to a commit that does not descend from the one before. `merged`: by a pull request. */
export type ChangeKind = 'created' | 'moved' | 'merged' | 'forced' | 'deleted'

export interface Change {
  at: string
  kind: ChangeKind
  /** 40 digits; null: there was no branch before */
  from: string | null
  /** null: there was none afterwards */
  to: string | null
  /** commits that the branch got, and commits that it lost; null: not known, or there are not two commits */
  gained: number | null
  lost: number | null
  /** the login of who did it; null: GitHub does not name it */
  actor: string | null
  /** whether that is this program's App; null: not known */
  own: boolean | null
  /** of `to`, else of `from`: what GitHub says of the commit */
  subject: string | null
  author: string | null
  /** the newest eval of that commit, and the job's build in it; null: there is none, or it is not known */
  eval: number | null
  build: number | null
  buildStatus: 'unfinished' | BuildStatus['kind'] | null
  url: string | null
}

/** GitHub's own have at most 39, and an App's “[bot]” besides. */
const MAX_ACTOR = 100

export interface ChangeFacts {
  /** of the two commits; undefined: not known */
  relation: Relation | undefined
  /** our App's login; undefined: not known */
  ownLogin: string | undefined
  commit: DescribedCommit | undefined
  eval: number | undefined
  build: NewestBuild | undefined
}

/** The commit that a change is told of. */
export function commitOfChange({ to, from }: Pick<Activity, 'to' | 'from'>): string | undefined {
  return to ?? from
}

export function changeOf(
  activity: Activity,
  { relation, ownLogin, commit, build, eval: evalId }: ChangeFacts,
  around: { repository: string; webUrl: string; hydraUrl: string | undefined },
): Change {
  const { at, from, to, actor } = activity
  const sides = typeof relation === 'object' ? relation : undefined
  const compared =
    from !== undefined && to !== undefined
      ? compareUrl(around.repository, from, to, around.webUrl)
      : undefined
  return {
    at: new Date(at).toISOString(),
    kind: kindOf(activity, relation),
    from: from ?? null,
    to: to ?? null,
    gained: sides?.aheadBy ?? null,
    lost: sides?.behindBy ?? null,
    actor: actor === undefined ? null : cut(actor, MAX_ACTOR),
    own: actor === undefined || ownLogin === undefined ? null : actor === ownLogin,
    subject: commit?.subject ?? null,
    author: commit?.author ?? null,
    eval: evalId ?? null,
    build: build?.build ?? null,
    buildStatus: build ? (build.finished ? buildStatusOf(build.status).kind : 'unfinished') : null,
    url: (build && buildUrl(around.hydraUrl, build.build)) ?? compared ?? null,
  }
}

/** Whatever GitHub calls it: a branch that lost commits was forced. */
function kindOf({ kind, from, to }: Activity, relation: Relation | undefined): ChangeKind {
  if (from === undefined && kind !== 'deleted') return 'created'
  if (to === undefined) return 'deleted'
  if (kind === 'forced' || (relation !== undefined && !contains(relation))) return 'forced'
  return kind === 'merged' ? 'merged' : 'moved'
}
