// What the page of `status --page DIR` shows beyond the status: the gates of every channel, and what became of its job in the
// last evals. Hydra is asked once more, and GitHub what people call the commits.
import { operatorErrorOf } from '../base/errors.ts'
import { isoOfSeconds } from '../base/time.ts'
import { candidateOf } from '../channels/candidate.ts'
import type { EvalOfJobs } from '../hydra/queries/last-evals.ts'
import { ByJobset } from './by-jobset.ts'
import { describeCommits } from './describe-commits.ts'
import { commitOf, newestCommit } from './explain.ts'
import { ruleOf, standOnTracked } from './find-explanation.ts'
import type { FoundChannel, FoundFleet, LookOptions } from './find-facts.ts'
import { statusOfFleet } from './find-status.ts'
import { findGates } from './gates.ts'
import { EVALS_SHOWN, type EvalOfChannel, type Page } from './page.ts'
import type { DescribedCommit } from './survey.ts'

/** @param problems what was said of the look */
export async function findPage(
  fleet: FoundFleet,
  options: LookOptions,
  problems: readonly string[],
): Promise<Page> {
  const { rules, hosts, webUrl, hydraUrl, look, intervalMs, report } = options
  const status = statusOfFleet(fleet, options)
  const [evals, commits] = await Promise.all([
    findEvals(fleet.channels, options),
    describeAll(fleet, options),
  ])
  const shaOf = oncePerFlake(hosts)
  const channels = await Promise.all(
    status.channels.map(async (each, at) => {
      const found = fleet.channels[at] as FoundChannel
      const { planned } = found.facts
      const ofJobset = planned && evals?.get(planned.facts.jobset.id)
      const candidate = candidateOf(planned)
      const newest = planned && newestCommit(planned, hosts)
      const ask = (sha: string) => knownStand(sha, found, newest?.sha)
      const onTracked = { facts: found.facts, ask, report }
      const gates = findGates(
        {
          facts: found.facts,
          rule: planned && ruleOf(planned, rules),
          databaseAway: fleet.databaseAway,
          cache: look ? 'known' : 'none',
          onTracked: {
            candidate: await standOnTracked(candidate?.sha, onTracked),
            newestEval: await standOnTracked(newest?.sha, onTracked),
          },
          candidateTime: ofJobset?.find(({ id }) => id === candidate?.eval)?.timestamp,
        },
        fleet.around,
      )
      const isOne = planned?.jobs.length === 1
      return {
        ...each,
        gates,
        evals: isOne
          ? ofJobset?.map(made => evalOf(made, planned.job.job, shaOf(planned, made.flake)))
          : undefined,
      }
    }),
  )
  return { ...status, channels, commits, webUrl, hydraUrl, intervalMs, problems }
}

/** What people call the commits that channels and candidates are at: last, as the page can do without. */
async function describeAll(
  { channels, around: { commits } }: FoundFleet,
  { openGitHub, report }: LookOptions,
): Promise<ReadonlyMap<string, DescribedCommit>> {
  const wanted = channels.flatMap(({ facts: { channel, planned, tip } }) =>
    [tip, candidateOf(planned)?.sha].map(sha => ({ repository: channel.repository, sha })),
  )
  const others = wanted.filter(({ sha }) => sha !== undefined && !commits.has(sha))
  return new Map([...commits, ...(await describeCommits(others, await openGitHub(), report))])
}

type Planned = NonNullable<FoundChannel['facts']['planned']>

/** Of all channels at once, by the jobset's id; undefined: Hydra could not be asked. */
async function findEvals(
  channels: readonly FoundChannel[],
  { database, report }: Pick<LookOptions, 'database' | 'report'>,
): Promise<Map<number, EvalOfJobs[]> | undefined> {
  const jobs = new ByJobset()
  for (const { facts } of channels) {
    if (facts.planned?.jobs.length === 1) jobs.add(facts.planned.facts.jobset.id, facts.planned.job.job)
  }
  if (jobs.isEmpty()) return new Map()
  const { findLastEvals } = await import('../hydra/queries/last-evals.ts')
  try {
    return await database.look(sql => jobs.ask((id, names) => findLastEvals(sql, id, names, EVALS_SHOWN)))
  } catch (error) {
    // its earlier answers still hold
    report(operatorErrorOf(error))
    return undefined
  }
}

function evalOf({ id, timestamp, builds }: EvalOfJobs, job: string, sha: string | undefined): EvalOfChannel {
  const build = builds.get(job)
  const state = !build ? 'absent' : !build.finished ? 'building' : build.status === 0 ? 'good' : 'failed'
  return { eval: id, time: isoOfSeconds(timestamp), sha, state }
}

/** Of one jobset and repository, a thousand channels ask the same. */
function oncePerFlake(
  hosts: readonly string[],
): (planned: Planned, flake: string | null) => string | undefined {
  const known = new Map<string, string | undefined>()
  return (planned, flake) => {
    const key = `${planned.channel.repository} ${planned.alsoCalled?.join(' ') ?? ''} ${flake}`
    if (!known.has(key)) known.set(key, commitOf(planned, flake, hosts))
    return known.get(key)
  }
}

/** What was found out already: of a branch, the newest eval's commit was compared, and that answer is kept. */
async function knownStand(
  sha: string,
  { facts: { planned, tracked }, compareFrom, candidateOnTracked }: FoundChannel,
  newestSha: string | undefined,
) {
  if (sha === newestSha && tracked?.kind === 'branch') return compareFrom?.(sha)
  return sha === candidateOf(planned)?.sha ? candidateOnTracked : undefined
}
