// Every gate of one channel: the shape of `hydra-channels explain --json`.
import { operatorErrorOf } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import { isoOfSeconds } from '../base/time.ts'
import { type Candidate, candidateOf } from '../channels/candidate.ts'
import type { PlannedChannel } from '../channels/plan.ts'
import { IDENTICAL } from '../channels/relation.ts'
import { channelOfJob, type Rule } from '../channels/rule.ts'
import type { EvalOfJobs } from '../hydra/queries/last-evals.ts'
import { describeCommits } from './describe-commits.ts'
import { type ChannelFacts, commitOf, explain, newestCommit, type Surroundings } from './explain.ts'
import { findFacts, type LookOptions } from './find-facts.ts'
import { EVALS_LOOKED_AT, findBetween, findGates, type Gate, type OnTracked } from './gates.ts'
import type { Reason } from './shape.ts'
import type { DescribedCommit } from './survey.ts'
import type { Compared } from './tracked-branch.ts'

/** A commit, and what GitHub says of it: null if that is not known. */
export interface ToldCommit {
  /** 40 digits */
  sha: string
  subject: string | null
  author: string | null
}

/** Times are ISO 8601 in UTC. Documented in docs/status.md, and stable. */
export interface ChannelExplanation {
  generatedAt: string
  dryRun: boolean
  repository: string
  branch: string
  /** the three are null of a branch that no job leads to; `job` also where several do */
  project: string | null
  jobset: string | null
  job: string | null
  /** as `status` has the three */
  reason: Reason
  message: string | null
  url: string | null
  /** what the channel is at; null if there is no branch, or that is not known */
  at: (ToldCommit & { committedAt: string | null }) | null
  candidate: (ToldCommit & { eval: number; evaluatedAt: string | null; build: number }) | null
  /** `sha`, `subject` and `author` are null of an eval that names no commit of the repository */
  newestEval:
    | (Omit<ToldCommit, 'sha'> & {
        sha: string | null
        eval: number
        evaluatedAt: string
        build: number | null
      })
    | null
  /** in the order of {@link GATES} */
  gates: Gate[]
  /** the evals after the candidate's and before the newest, newest first; null: not known */
  between: ToldEval[] | null
  /** whether there are more of these, further back */
  moreBetween: boolean
}

interface ToldEval extends Omit<ToldCommit, 'sha'> {
  eval: number
  evaluatedAt: string
  sha: string | null
  build: number | null
  /** why it did not become the candidate */
  why: string
  url: string | null
}

/** @throws as {@link findFacts} */
export async function findExplanation(
  name: string,
  options: Omit<LookOptions, 'only'>,
): Promise<ChannelExplanation> {
  const { hosts, rules, hydraUrl, report } = options
  const github = await options.openGitHub()
  const fleet = await findFacts({ ...options, only: [name], openGitHub: async () => github })
  const [found] = fleet.channels
  if (!found) throw new Error(`nothing was found of ${name}`)
  const { facts } = found
  const { channel, planned, tip } = facts
  const githubAway = facts.away !== undefined && facts.away !== fleet.databaseAway
  const candidate = candidateOf(planned)
  const newest = planned && newestCommit(planned, hosts)
  const isOne = planned?.jobs.length === 1
  const onTracked = { facts, ask: async (sha: string) => found.compareFrom?.(sha), report }
  const [{ evals, candidateTime } = {}, onCandidate, onNewest] = await Promise.all([
    isOne ? findEvals(planned, candidate, options) : undefined,
    standOnTracked(candidate?.sha, onTracked),
    standOnTracked(newest?.sha, onTracked),
  ])
  const between =
    evals && isOne ? findBetween(evals, { job: planned.job.job, candidate }, { hydraUrl }) : undefined
  const shaOf = (flake: string | null) => planned && commitOf(planned, flake, hosts)

  const shas = [
    tip,
    candidate?.sha,
    newest?.sha,
    ...(between?.between ?? []).map(({ flake }) => shaOf(flake)),
  ]
  const commits = new Map([
    ...fleet.around.commits,
    ...(await describeCommits(
      githubAway ? [] : shas.map(sha => ({ repository: channel.repository, sha })),
      github,
      report,
    )),
  ])
  const around: Surroundings = { ...fleet.around, commits }
  const told = toldBy(commits)

  const newestEval = planned?.facts.jobset.newestEval
  return {
    generatedAt: options.now.toISOString(),
    dryRun: options.dryRun,
    repository: channel.repository,
    branch: channel.branch,
    project: planned?.job.project ?? null,
    jobset: planned?.job.jobset ?? null,
    job: isOne ? planned.job.job : null,
    ...explain(facts, around),
    at: tip === undefined ? null : { ...told(tip), committedAt: found.committedAt ?? null },
    candidate: candidate ? candidateTold(candidate, candidateTime, told) : null,
    newestEval: newestEval
      ? {
          eval: newestEval.id,
          evaluatedAt: isoOfSeconds(newestEval.timestamp),
          ...told(newest?.sha),
          build: (isOne && planned.facts.job.newest?.build) || null,
        }
      : null,
    gates: findGates(
      {
        facts,
        rule: planned && ruleOf(planned, rules),
        databaseAway: fleet.databaseAway,
        cache: options.look ? 'known' : 'none',
        onTracked: { candidate: onCandidate, newestEval: onNewest },
        candidateTime,
      },
      around,
    ),
    between:
      between?.between.map(({ eval: id, timestamp, flake, build, why, url }) => ({
        ...{ eval: id, evaluatedAt: isoOfSeconds(timestamp), ...told(shaOf(flake)) },
        ...{ build: build ?? null, why, url },
      })) ?? null,
    moreBetween: between?.more ?? false,
  }
}

type Told = {
  (sha: string): ToldCommit
  (sha: string | undefined): Omit<ToldCommit, 'sha'> & { sha: string | null }
}

function toldBy(commits: ReadonlyMap<string, DescribedCommit>): Told {
  return ((sha: string | undefined) => {
    const commit = sha === undefined ? undefined : commits.get(sha)
    return { sha: sha ?? null, subject: commit?.subject ?? null, author: commit?.author ?? null }
  }) as Told
}

function candidateTold({ sha, eval: id, build }: Candidate, time: number | undefined, told: Told) {
  return { ...told(sha), eval: id, evaluatedAt: time === undefined ? null : isoOfSeconds(time), build }
}

/** The rule that made the channel: the first that makes it of its job. */
export function ruleOf({ channel, job }: PlannedChannel, rules: readonly Rule[]): Rule | undefined {
  const [first, ...others] = rules.filter(
    rule =>
      rule.project === job.project &&
      rule.jobset === job.jobset &&
      sameRepository(rule.repository, channel.repository),
  )
  // of one alone nothing has to be matched: a page asks for a thousand channels
  if (others.length === 0) return first
  return [first, ...others].find(rule => {
    const made = rule && channelOfJob(rule, job.job)
    return made?.kind === 'channel' && made.branch === channel.branch
  })
}

/** The last evals, and when the candidate's was (Unix seconds). */
async function findEvals(
  { facts: { jobset }, job }: PlannedChannel,
  candidate: Candidate | undefined,
  { database, report }: Pick<LookOptions, 'database' | 'report'>,
): Promise<{ evals: EvalOfJobs[]; candidateTime: number | undefined } | undefined> {
  const [{ findLastEvals }, { findEvalsOfCommits }] = await Promise.all([
    import('../hydra/queries/last-evals.ts'),
    import('../hydra/queries/evals-of-commits.ts'),
  ])
  try {
    return await database.look(async sql => {
      const evals = await findLastEvals(sql, jobset.id, [job.job], EVALS_LOOKED_AT)
      const recent = evals.find(({ id }) => id === candidate?.eval)
      if (recent || !candidate) return { evals, candidateTime: recent?.timestamp }
      const ofCommit = (await findEvalsOfCommits(sql, jobset.id, [candidate.sha])).get(candidate.sha)
      return { evals, candidateTime: ofCommit?.id === candidate.eval ? ofCommit.timestamp : undefined }
    })
  } catch (error) {
    // its earlier answers still hold
    report(operatorErrorOf(error))
    return undefined
  }
}

interface StandOptions {
  facts: ChannelFacts
  /** about a commit whose stand they do not say */
  ask: (sha: string) => Promise<Compared | 'contained' | undefined>
  report: (error: unknown) => void
}

export async function standOnTracked(
  sha: string | undefined,
  { facts: { tracked, tip, stands, away }, ask, report }: StandOptions,
): Promise<OnTracked> {
  if (sha === undefined || !tracked || away) return undefined
  if (sha === tracked.sha) return IDENTICAL
  if (sha === tip && stands.tracked) return stands.tracked
  try {
    const stand = await ask(sha)
    return stand === 'not-found' ? 'unknown commit' : stand
  } catch (error) {
    report(operatorErrorOf(error))
    return undefined
  }
}
