// Random histories of Hydra jobsets, kept in memory as the rules of Hydra's evaluator make them
// (src/script/hydra-eval-jobset), with the definitions in docs/architecture.md read naively, and written to a database at once.

import fc from 'fast-check'
import type { Sql } from 'postgres'
import { flakeOf } from './hydra.ts'

export const JOBS = ['a', 'a.x86_64-linux', 'b', 'nixos-nas.x86_64-linux'] as const

export interface HistoricBuild {
  id: number
  job: string
  finished: boolean
  status: number | null
  cached: boolean
}

export interface HistoricEval {
  id: number
  flake: string
  hasNewBuilds: boolean
  /** the rows of jobsetevalmembers: none in an eval that changed nothing */
  members: HistoricBuild[]
}

/** One jobset. */
export interface History {
  /** by id */
  evals: HistoricEval[]
}

export const isGood = ({ finished, status }: HistoricBuild) => finished && status === 0

/** What `evals[at]` built: its own members, also none, or those of the last eval before it that has new builds. */
export function buildSet({ evals }: History, at: number): HistoricBuild[] {
  return evals.slice(0, at + 1).findLast(each => each.hasNewBuilds)?.members ?? []
}

/** The newest eval whose build set holds a build like that, and this build. */
export function newest(history: History, like: (build: HistoricBuild) => boolean) {
  for (let at = history.evals.length - 1; at >= 0; at--) {
    const build = buildSet(history, at).find(like)
    const found = history.evals[at]
    if (build && found) return { build: build.id, eval: { id: found.id, flake: found.flake } }
  }
  return undefined
}

export function buildsOf({ evals }: History): HistoricBuild[] {
  return [...new Set(evals.flatMap(({ members }) => members))]
}

// gone: not in this eval, kept: with the same outputs as in the one before
const fate = fc.oneof(
  { weight: 5, arbitrary: fc.constant('kept' as const) },
  { weight: 2, arbitrary: fc.constant('gone' as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      status: fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 6, 9, null),
      cached: fc.boolean(),
    }),
  },
)
const whichJobset = fc.nat(1)
const evaluation = fc.record({
  kind: fc.constant('eval' as const),
  jobset: whichJobset,
  fates: fc.tuple(fate, fate, fate, fate),
  // the rev of the eval before again, an older one (a reset), or a new one
  rev: fc.constantFrom('new', 'new', 'same', 'older'),
})
const unchanged = fc.record({
  kind: fc.constant('unchanged' as const),
  jobset: whichJobset,
  rev: fc.constantFrom('new', 'new', 'same', 'older'),
})
const broken = fc.record({ kind: fc.constant('all jobs fail to evaluate' as const), jobset: whichJobset })
const change = fc.record({
  kind: fc.constantFrom('restart' as const, 'repoint' as const, 'end' as const),
  jobset: whichJobset,
  build: fc.nat(99),
  status: fc.constantFrom(0, 0, 1, 6),
})

export const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: evaluation },
    { weight: 2, arbitrary: unchanged },
    { weight: 1, arbitrary: broken },
    { weight: 4, arbitrary: change },
  ),
  { minLength: 1, maxLength: 40, size: 'max' },
)
export type Step = (typeof steps extends fc.Arbitrary<infer T> ? T : never)[number]

/** Ids are one sequence for all jobsets and all histories. */
export interface Ids {
  eval: number
  build: number
}

/** Two jobsets with jobs of the same names, whose evals alternate. */
export function playSteps(script: readonly Step[], ids: Ids): [History, History] {
  const histories: [History, History] = [{ evals: [] }, { evals: [] }]
  for (const step of script) {
    const history = histories[step.jobset === 0 ? 0 : 1]
    if ('build' in step) changeBuild(history, step)
    else history.evals.push(evaluate(history, step, ids))
  }
  return histories
}

function evaluate(history: History, step: Exclude<Step, { build: number }>, ids: Ids): HistoricEval {
  const id = ids.eval++
  const flake = flakeFor(history, id, 'rev' in step ? step.rev : 'new')
  const before = buildSet(history, history.evals.length - 1)
  if (step.kind === 'unchanged') return { id, flake, hasNewBuilds: false, members: [] }
  const members =
    step.kind === 'eval' ? JOBS.flatMap((job, at) => memberFor(job, step.fates[at], before, ids)) : []
  // Hydra sees new builds if there is one, or if their number has changed
  const changed = members.some(build => !before.includes(build)) || members.length !== before.length
  const first = history.evals.length === 0
  return { id, flake, hasNewBuilds: changed || first, members: changed || first ? members : [] }
}

type Fate = typeof fate extends fc.Arbitrary<infer T> ? T : never

/** A job that was absent gets a new build, whatever it was like before. */
function memberFor(job: string, made: Fate | undefined, before: HistoricBuild[], ids: Ids): HistoricBuild[] {
  if (made === undefined || made === 'gone') return []
  const kept = before.find(build => build.job === job)
  if (made === 'kept' && kept) return [kept]
  const { status, cached } = made === 'kept' ? { status: 0, cached: false } : made
  return [{ id: ids.build++, job, finished: status !== null, status, cached: cached && status !== null }]
}

function flakeFor({ evals }: History, id: number, rev: string): string {
  const earlier =
    rev === 'same' ? evals.at(-1) : rev === 'older' ? evals[id % (evals.length || 1)] : undefined
  return earlier?.flake ?? flakeOf(id.toString(16).padStart(40, '0'))
}

function changeBuild(
  history: History,
  { kind, build: which, status }: Extract<Step, { build: number }>,
): void {
  const builds = buildsOf(history)
  const build = builds[which % (builds.length || 1)]
  if (!build) return
  if (kind === 'end' && !build.finished) Object.assign(build, { finished: true, status })
  if (kind === 'restart') build.finished = false
  if (kind === 'repoint') Object.assign(build, { finished: false, status: null })
}

/** What a build has put into the store: two outputs, of which one has no path that Hydra knows; or one; or none. */
export function outputsOf({ id }: Pick<HistoricBuild, 'id'>): { name: string; path: string | null }[] {
  const path = `/nix/store/${String(id).padStart(32, '0')}-nixos-system-${id}`
  const outputs = [
    { name: 'doc', path: null },
    { name: 'out', path },
  ]
  return outputs.slice(id % 3)
}

/** Writes what Hydra would have in its tables by now. */
export async function writeHistory(sql: Sql, jobset: number, history: History): Promise<void> {
  const evals = history.evals.map(({ id, flake, hasNewBuilds, members }) => ({
    id,
    jobset_id: jobset,
    timestamp: 1_760_000_000 + id,
    flake,
    hasnewbuilds: hasNewBuilds ? 1 : 0,
    nrbuilds: hasNewBuilds ? members.length : null,
  }))
  const builds = buildsOf(history).map(({ id, job, finished, status, cached }) => ({
    id,
    jobset_id: jobset,
    job,
    finished: finished ? 1 : 0,
    buildstatus: status,
    iscachedbuild: cached ? 1 : 0,
    timestamp: 1_760_000_000,
    starttime: 1_760_000_060,
    stoptime: 1_760_000_300,
    drvpath: `/nix/store/${id}.drv`,
    system: 'x86_64-linux',
  }))
  const outputs = builds.flatMap(({ id }) => outputsOf({ id }).map(output => ({ build: id, ...output })))
  const seen = new Set<number>()
  const members = history.evals.flatMap(({ id, members }) =>
    members.map(build => {
      const isnew = seen.has(build.id) ? 0 : 1
      seen.add(build.id)
      return { eval: id, build: build.id, isnew }
    }),
  )
  await sql.begin(async sql => {
    if (evals.length > 0) await sql`insert into jobsetevals ${sql(evals)}`
    if (builds.length > 0) await sql`insert into builds ${sql(builds)}`
    if (outputs.length > 0) await sql`insert into buildoutputs ${sql(outputs)}`
    if (members.length > 0) await sql`insert into jobsetevalmembers ${sql(members)}`
  })
}
