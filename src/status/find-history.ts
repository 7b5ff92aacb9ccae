// The history of one branch: GitHub says how it moved and who moved it, Hydra's database which eval and build belong to each
// commit. Also of a branch that is gone, and of one that no job leads to.
import { Semaphore } from 'async-mutex'
import { type OperatorError, operatorErrorOf } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import { type Channel, channelKey } from '../channels/channel.ts'
import { planFleet } from '../channels/plan.ts'
import type { Relation } from '../channels/relation.ts'
import type { Rule } from '../channels/rule.ts'
import { lookUpFleet } from '../channels/snapshot.ts'
import { canMake } from '../channels/template.ts'
import type { Database } from '../hydra/database.ts'
import { findBuildsInEvals } from '../hydra/queries/builds-in-evals.ts'
import { findEvalsOfCommits } from '../hydra/queries/evals-of-commits.ts'
import type { NewestBuild } from '../hydra/queries/present-jobs.ts'
import { describeCommits } from './describe-commits.ts'
import { type ChannelHistory, changeOf, commitOfChange } from './history.ts'
import type { Activity, Survey, Surveys } from './survey.ts'

/** So many changes are told of, unless somebody says since when. */
const MAX_CHANGES = 30

/** With --since: five pages of a hundred. */
const MAX_PAGES = 5

/** A comparison is a request: of older changes it is not known how many commits they had. */
const MAX_COMPARED = 50
const COMPARED_AT_ONCE = 4

export interface HistoryOptions {
  /** milliseconds; undefined: not given */
  sinceMs: number | undefined
  rules: readonly Rule[]
  /** of which flakerefs of the rules' repositories must have one: `github.com` */
  hosts: readonly string[]
  webUrl: string
  hydraUrl: string | undefined
  openGitHub: () => Promise<Surveys>
  database: Database
  /** says an error with what to do about it, and goes on */
  report: (error: unknown) => void
  now: Date
}

/** @throws OperatorError if GitHub does not say what happened to the branch */
export async function findHistory(channel: Channel, options: HistoryOptions): Promise<ChannelHistory> {
  const { sinceMs, report } = options
  const github = await options.openGitHub()
  const repository = github.repository(channel.repository)
  const [{ activities, more }, ownLogin] = await Promise.all([
    repository.listActivities(channel.branch, {
      sinceMs: sinceMs ?? Number.NEGATIVE_INFINITY,
      pages: sinceMs === undefined ? 1 : MAX_PAGES,
    }),
    // then nobody is known to be our App
    repository.findOwnLogin().catch((error: unknown) => report(operatorErrorOf(error))),
  ])
  const told = sinceMs === undefined ? activities.slice(0, MAX_CHANGES) : activities
  const shas = [...new Set(told.map(commitOfChange).filter(sha => sha !== undefined))]
  const [relations, commits, hydra] = await Promise.all([
    compareEach(told, repository, report),
    describeCommits(
      shas.map(sha => ({ repository: channel.repository, sha })),
      github,
      report,
    ),
    findProofs(channel, shas, options),
  ])
  return {
    generatedAt: options.now.toISOString(),
    repository: channel.repository,
    branch: channel.branch,
    since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
    changes: told.map((activity, index) => {
      const sha = commitOfChange(activity) ?? ''
      const proof = hydra.get(sha)
      const facts = { relation: relations[index], ownLogin: ownLogin ?? undefined, commit: commits.get(sha) }
      return changeOf(
        activity,
        { ...facts, eval: proof?.eval, build: proof?.build },
        { ...options, repository: channel.repository },
      )
    }),
    leftOut: activities.length - told.length,
    moreBefore: more,
  }
}

/** Of each change how its commits stand to each other, as far as that is known. */
async function compareEach(
  activities: readonly Activity[],
  repository: Survey,
  report: (error: unknown) => void,
): Promise<(Relation | undefined)[]> {
  const slots = new Semaphore(COMPARED_AT_ONCE)
  let away: OperatorError | undefined
  const relations = await Promise.all(
    activities.slice(0, MAX_COMPARED).map(({ from, to }) =>
      slots.runExclusive(async () => {
        if (from === undefined || to === undefined || away) return undefined
        try {
          const relation = await repository.compare(from, to)
          // a commit that a forced move has left behind may be gone
          return relation === 'not-found' ? undefined : relation
        } catch (error) {
          away = operatorErrorOf(error)
          return undefined
        }
      }),
    ),
  )
  if (away) report(away)
  return relations
}

interface Proof {
  eval: number
  build: NewestBuild | undefined
}

/** By commit, its newest eval and the job's build in it. */
async function findProofs(
  channel: Channel,
  shas: readonly string[],
  { rules: all, database, hosts, report }: HistoryOptions,
): Promise<Map<string, Proof>> {
  const rules = all.filter(
    rule => sameRepository(rule.repository, channel.repository) && canMake(rule.template, channel.branch),
  )
  const found = new Map<string, Proof>()
  try {
    const jobsets = await lookUpFleet({ rules, database })
    const planned = planFleet(rules, jobsets, hosts).channels.find(
      each => channelKey(each.channel) === channelKey(channel),
    )
    const job = planned?.jobs.length === 1 ? planned.job.job : undefined
    // the channel's own jobset has the last word
    const ids = jobsets.flatMap(each => (each.found ? [each.found.id] : []))
    const own = planned?.facts.jobset.id
    await database.look(async sql => {
      for (const id of ids.toSorted((a, b) => Number(a === own) - Number(b === own))) {
        const evals = await findEvalsOfCommits(sql, id, shas)
        const evalIds = [...evals.values()].map(each => each.id)
        const builds =
          job !== undefined && id === own ? await findBuildsInEvals(sql, id, job, evalIds) : undefined
        for (const [sha, { id: evalId }] of evals)
          found.set(sha, { eval: evalId, build: builds?.get(evalId) })
      }
    })
  } catch (error) {
    report(operatorErrorOf(error))
  }
  return found
}
