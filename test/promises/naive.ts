// What should be, read naively off a world: the definitions in docs/architecture.md as sentences, with no eye on how fast they are.
import type { Reason } from '../../src/status/shape.ts'
import type { Commit } from '../helpers/github/commits.ts'
import { buildSet, isGood, newest } from '../helpers/history.ts'
import { channelOf, type World, type WorldBuild, type WorldEval } from './world.ts'

export interface Naive {
  channel: string
  tip: string | undefined
  /** those that count */
  jobs: string[]
  presence: 'present' | 'evaluation-failed' | 'gone'
  newestBuild: WorldBuild | undefined
  newestEval: WorldEval | undefined
  /** undefined also if it cannot be judged */
  candidate: { sha: string; build: WorldBuild; eval: number } | undefined
  foreign: boolean
  held: boolean
  /** main does not have the candidate, and Hydra has looked since */
  withdrawn: boolean
  /** main does not have the candidate, and Hydra has not looked since */
  notOnBranch: boolean
  outside: boolean
  parted: boolean
  cached: boolean
}

/** Every channel that a job leads to or ever led to. */
export function readChannels(world: World, held: ReadonlySet<string>, useCache: boolean): Naive[] {
  return world.channels.flatMap(channel => {
    const found = readChannel(world, channel, held.has(channel), useCache)
    return found ? [found] : []
  })
}

function readChannel(world: World, channel: string, held: boolean, useCache: boolean): Naive | undefined {
  const { history, commits, main } = world
  const last = history.evals.length - 1
  const newestEval = history.evals[last]
  const set = buildSet(history, last) as WorldBuild[]
  const candidateOf = (job: string) => newest(history, build => build.job === job && isGood(build))
  const fails = (job: string) => newestEval?.error.includes(`in job ‘${job}’:`) ?? false
  const known = world.jobs.filter(
    job =>
      channelOf(job) === channel &&
      (set.some(build => build.job === job) || candidateOf(job) !== undefined || fails(job)),
  )
  const presenceOf = (job: string) =>
    set.some(build => build.job === job) ? 'present' : fails(job) ? 'evaluation-failed' : 'gone'
  const there = known.filter(job => set.some(build => build.job === job))
  // of jobs that are not there, one that may come, or the one that was good last
  const mayCome = (job: string) => (fails(job) ? (candidateOf(job) === undefined ? 1 : 2) : 0)
  const goodUntil = (job: string) => candidateOf(job)?.eval.id ?? 0
  const buildOf = (job: string) => candidateOf(job)?.build ?? 0
  const byAge = [...known].sort(
    (a, b) =>
      mayCome(b) - mayCome(a) ||
      (mayCome(a) > 0 ? (a < b ? -1 : 1) : goodUntil(b) - goodUntil(a) || buildOf(b) - buildOf(a)),
  )
  const jobs = there.length > 0 ? there : byAge.slice(0, 1)
  const [job] = jobs
  if (job === undefined) return undefined

  const found = jobs.length === 1 ? candidateOf(job) : undefined
  const at = history.evals.find(({ id }) => id === found?.eval.id)
  const foreign = at !== undefined && (at.foreign || newestEval?.foreign === true)
  const build = world.builds.find(({ id }) => id === found?.build)
  const candidate = at && build && !foreign ? { sha: at.sha, build, eval: at.id } : undefined
  const tip = world.graph.branch(channel)
  const newestSha = newestEval && !newestEval.foreign ? newestEval.sha : undefined
  const isOff = candidate !== undefined && !commits.isIn(candidate.sha, main)
  return {
    channel,
    tip,
    jobs,
    presence: presenceOf(job),
    newestBuild: set.find(build => build.job === job),
    newestEval,
    candidate,
    foreign,
    held,
    withdrawn: isOff && newestSha !== candidate.sha,
    notOnBranch: isOff && newestSha === candidate.sha,
    outside:
      tip !== undefined &&
      newestSha !== undefined &&
      !commits.isIn(tip, newestSha) &&
      !commits.isIn(tip, main),
    parted:
      tip !== undefined &&
      candidate !== undefined &&
      !commits.isIn(tip, candidate.sha) &&
      !commits.isIn(candidate.sha, tip),
    cached: !useCache || candidate === undefined || world.cached.has(candidate.build.output),
  }
}

/** Whether nothing but a run is missing for it to move. */
export function canMove(world: World, naive: Naive): boolean {
  const { commits, main } = world
  const { tip, candidate, presence, held, cached } = naive
  if (!candidate || held || !cached || !commits.isIn(candidate.sha, main)) return false
  if (tip === undefined) return presence !== 'gone'
  return tip !== candidate.sha && commits.isIn(tip, candidate.sha)
}

const FAILURES: Record<number, Reason> = {
  2: 'dependency-failed',
  3: 'build-aborted',
  4: 'build-aborted',
  7: 'build-timed-out',
  9: 'build-aborted',
}

/** All reasons that are true of a channel, in the order in which they count. */
export function truths(world: World, naive: Naive): (Reason | 'not-on-branch')[] {
  const { tip, jobs, presence, newestBuild, newestEval, candidate, foreign, held, cached } = naive
  const { commits, main, jobset } = world
  const found: (Reason | 'not-on-branch')[] = []
  const say = (reason: (typeof found)[number], is: boolean) => {
    if (is) found.push(reason)
  }
  const evaluated = world.history.evals.some(({ sha }) => sha === tip)
  say('held', held)
  say('withdrawn', (naive.outside && evaluated) || naive.withdrawn)
  say('not-on-branch', naive.notOnBranch)
  say('diverged', naive.parted || naive.outside)
  say('ambiguous', jobs.length > 1)
  say('job-gone', presence === 'gone')
  if (tip === main) return [...found, ...(foreign ? ['unusable-flakeref' as const] : []), 'up-to-date']
  const fatal =
    jobset.error !== '' &&
    jobset.errorTime === jobset.checked &&
    (jobset.errorTime ?? 0) > (newestEval?.timestamp ?? 0)
  say('evaluation-failed', presence === 'evaluation-failed' || fatal)
  say('not-evaluated', isNotEvaluated(world, newestEval))
  say('unusable-flakeref', foreign)
  const ended = newestBuild?.finished ? newestBuild.status : null
  if (ended !== null && ended !== undefined && ended !== 0) found.push(FAILURES[ended] ?? 'build-failed')
  const ahead =
    candidate !== undefined &&
    (tip === undefined || (tip !== candidate.sha && commits.isIn(tip, candidate.sha)))
  say('not-cached', ahead && !cached)
  say('building', newestBuild?.finished === false)
  found.push('behind')
  return found
}

const EVALUATION_MINUTES = 30

/** Main has commits of half an hour ago that Hydra has not evaluated; or it went back, and Hydra did not. */
function isNotEvaluated({ commits, main, now }: World, newestEval: WorldEval | undefined): boolean {
  if (!newestEval || newestEval.foreign || newestEval.sha === main) return false
  if (commits.isIn(main, newestEval.sha)) return true
  // main's own commits: what a merge brought may be old
  let oldest = now
  for (let at: string | undefined = main; at !== undefined && !commits.isIn(at, newestEval.sha); ) {
    const { date, parents }: Commit = commits.get(at)
    oldest = date
    at = parents[0]
  }
  return now - oldest >= EVALUATION_MINUTES * 60
}
