// A world in which random things happen: a repository, what Hydra makes of it, a cache, holds, and people who push where
// they should not. In memory, and what Hydra would have in its tables by now is written there (write.ts).
import fc from 'fast-check'
import type { Commits } from '../helpers/github/commits.ts'
import type { MemoryGraph } from '../helpers/github/memory-graph.ts'
import {
  buildSet,
  buildsOf,
  type HistoricBuild,
  type HistoricEval,
  type History,
  isGood,
} from '../helpers/history.ts'
import { flakeOf } from '../helpers/hydra.ts'

const START = 1_760_000_000
export const MAIN = 'main'

/** The first four have fates of their own. The others, which are many, go with the first. */
export const JOBS = [
  'nixos-nas.x86_64-linux',
  'nixos-pi.aarch64-linux',
  'nixos-pi.x86_64-linux',
  'fleet',
] as const
const MANY_JOBS = Array.from({ length: 11 }, (_, n) => `nixos-h${n}.x86_64-linux`)
export const STATUSES = [0, 0, 0, 0, 1, 2, 3, 4, 6, 7, 9, 11] as const

export interface WorldBuild extends HistoricBuild {
  /** a path, by which the cache knows it */
  output: string
  queued: number
}

export interface WorldEval extends HistoricEval {
  members: WorldBuild[]
  sha: string
  foreign: boolean
  timestamp: number
  error: string
}

export interface WorldHistory extends History {
  evals: WorldEval[]
}

/** What could not be asked when pointers were written. */
export const AWAY = [
  'nothing',
  'nothing',
  'nothing',
  'GitHub',
  'Hydra',
  'the cache',
  'half of the cache',
] as const
export type Away = (typeof AWAY)[number]

/** @param hash of a store path; the world's are numbers */
export function cacheAnswers(away: Away, hash: string): boolean {
  return away !== 'the cache' && (away !== 'half of the cache' || Number(hash.at(-1)) % 2 === 1)
}

const fate = fc.oneof(
  { weight: 6, arbitrary: fc.constant('kept' as const) },
  { weight: 1, arbitrary: fc.constantFrom('gone' as const, 'not evaluated' as const) },
  {
    weight: 6,
    arbitrary: fc.record({ status: fc.constantFrom(...STATUSES, null, null), cached: fc.boolean() }),
  },
)
const minutes = fc.constantFrom(0, 1, 5, 29, 31, 600)
const where = fc.constantFrom('main', 'main', 'main', 'main', 'was', 'foreign')
const nth = fc.nat(999)

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      minutes,
      commits: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('merge' as const),
      minutes,
      from: nth,
      commits: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('force' as const),
      minutes,
      to: nth,
      how: fc.constantFrom('reset', 'reset', 'rewrite', 'rewrite', 'rewrite', 'orphan'),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('eval' as const),
      minutes,
      fates: fc.tuple(fate, fate, fate, fate),
      where,
      was: nth,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('unchanged' as const),
      minutes,
      where,
      was: nth,
      error: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('nothing evaluates' as const), minutes, where, was: nth }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('dies' as const, 'checked' as const), minutes }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      minutes,
      build: nth,
      status: fc.constantFrom(...STATUSES),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'repoint' as const), build: nth }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('by hand' as const),
      channel: nth,
      to: nth,
      /** `own`: a commit on top of that one */
      how: fc.constantFrom('to', 'to', 'own', 'delete', 'delete'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('roll back' as const), channel: nth }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('hold' as const),
      scope: fc.constantFrom(...Array<'channel'>(9).fill('channel'), 'all' as const),
      channel: nth,
      until: fc.constantFrom(null, '2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      scope: fc.constantFrom('channel', 'all'),
      channel: nth,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('upload' as const), output: nth }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      // of events so far: in any order, twice, late, and most of them never
      hooks: fc.array(fc.oneof({ weight: 2, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: nth }), {
        minLength: 1,
        maxLength: 3,
      }),
      reconciles: fc.constantFrom(0, 0, 0, 1, 2),
      lag: fc.constantFrom(0, 0, 0, 1, 3),
      mix: fc.nat(2 ** 31 - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('reconcile' as const), mix: fc.nat(2 ** 31 - 1) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      away: fc.constantFrom(...AWAY),
      /** how far the clock was set back, in hours */
      back: fc.constantFrom(0, 0, 0, 1, 10_000),
    }),
  },
)

export const scripts = fc.record({
  many: fc.constantFrom(false, false, false, true),
  cache: fc.boolean(),
  /** whether the channels are at the first commit when it begins */
  placed: fc.boolean(),
  steps: fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }),
})
export type Script = typeof scripts extends fc.Arbitrary<infer T> ? T : never
export type Step = Script['steps'][number]
/** Steps in which the program has no part. */
export type Happening = Exclude<
  Step,
  { kind: 'run' | 'reconcile' | 'publish' | 'roll back' | 'hold' | 'release' }
>

export class World {
  readonly history: WorldHistory = { evals: [] }
  /** GitHub's own: with the channels and main */
  readonly graph: MemoryGraph
  /** all commits that main has been at */
  readonly mains: string[]
  /** builds that were good at some time; the hook may have run for each or not */
  readonly events: WorldBuild[] = []
  readonly cached = new Set<string>()
  readonly jobs: readonly string[]
  /** Unix seconds */
  now = START
  jobset: { error: string; errorTime: number | null; checked: number | null } = {
    error: '',
    errorTime: null,
    checked: null,
  }
  /** what happened, for who reads a failure */
  readonly told: string[] = []
  #builds = 0

  constructor(graph: MemoryGraph, { many, placed }: Pick<Script, 'many' | 'placed'>) {
    this.graph = graph
    this.jobs = many ? [...JOBS, ...MANY_JOBS] : JOBS
    const root = this.#commit([])
    this.mains = [root]
    graph.setBranch(MAIN, root)
    if (placed) for (const channel of this.channels) graph.setBranch(channel, root)
  }

  get commits(): Commits {
    return this.graph.commits
  }

  get main(): string {
    return this.graph.branch(MAIN) ?? ''
  }

  get channels(): string[] {
    return [...new Set(this.jobs.map(channelOf))]
  }

  name(sha: string | undefined): string {
    return sha === undefined ? 'nowhere' : `c${Number.parseInt(sha.slice(0, 7), 16)}`
  }

  happen(step: Happening): void {
    if ('minutes' in step) this.now += step.minutes * 60 + 1
    switch (step.kind) {
      case 'commit':
        for (let n = 0; n < step.commits; n++) this.#moveMain(this.#commit([this.main]))
        break
      case 'merge': {
        let side = pick(this.commits.log(this.main), step.from)?.sha ?? this.main
        for (let n = 0; n < step.commits; n++) side = this.#commit([side])
        this.#moveMain(this.#commit([this.main, side]))
        break
      }
      case 'force': {
        const older = pick(this.commits.log(this.main), step.to)?.sha ?? this.main
        if (step.how === 'reset') this.#moveMain(older)
        else this.#moveMain(this.#commit(step.how === 'rewrite' ? [older] : []))
        break
      }
      case 'eval':
      case 'unchanged':
      case 'nothing evaluates':
        this.#evaluate(step)
        break
      case 'dies':
        this.jobset = { error: 'error: cannot fetch', errorTime: this.now, checked: this.now }
        this.told.push('the evaluation as a whole fails')
        break
      case 'checked':
        this.jobset.checked = this.now
        break
      case 'end':
      case 'restart':
      case 'repoint':
        this.#changeBuild(step)
        break
      case 'by hand': {
        const channel = pick(this.channels, step.channel) ?? ''
        const picked = pick([...this.commits.all()], step.to)?.sha ?? this.main
        const to = step.how === 'own' ? this.#commit([picked]) : picked
        this.graph.setBranch(channel, step.how === 'delete' ? undefined : to)
        this.told.push(
          `somebody puts ${channel} ${step.how === 'delete' ? 'nowhere' : `to ${this.name(to)}`}`,
        )
        break
      }
      case 'upload': {
        const missing = this.builds.map(({ output }) => output).filter(each => !this.cached.has(each))
        const output = pick(missing, step.output)
        if (output !== undefined) this.cached.add(output)
        this.told.push(`${output ?? 'nothing'} is uploaded`)
        break
      }
    }
  }

  /** Somebody moves a channel to the first or the last commit that was built for it; the cache has all of them. */
  roll(n: number, to: 'first' | 'last'): void {
    const all = this.channels.map(channel => ({ channel, built: this.#builtFor(channel) }))
    const several = all.filter(({ built }) => new Set(built.map(({ build }) => build.output)).size > 1)
    const { channel, built } = pick(several.length > 0 ? several : all, n) ?? { channel: '', built: [] }
    for (const { build } of built) this.cached.add(build.output)
    const sha = (to === 'first' ? built[0] : built.at(-1))?.sha
    if (sha !== undefined) this.graph.setBranch(channel, sha)
    this.told.push(`somebody rolls ${channel} to ${sha === undefined ? 'nothing' : this.name(sha)}`)
  }

  #builtFor(channel: string): { sha: string; build: WorldBuild }[] {
    return this.history.evals.flatMap(({ sha, foreign }, at) => {
      const builds = buildSet(this.history, at) as WorldBuild[]
      const build = builds.find(each => channelOf(each.job) === channel && isGood(each))
      return foreign || !build ? [] : [{ sha, build }]
    })
  }

  get builds(): WorldBuild[] {
    return buildsOf(this.history) as WorldBuild[]
  }

  #commit(parents: string[]): string {
    // seven digits tell it, which is what is shown of it
    const sha = (this.commits.count + 1).toString(16).padStart(7, '0').padEnd(40, 'c')
    this.graph.add({ sha, parents, date: this.now })
    this.told.push(`${this.name(sha)} = commit on ${parents.map(each => this.name(each)).join(' and ')}`)
    return sha
  }

  #moveMain(sha: string): void {
    this.graph.setBranch(MAIN, sha)
    this.mains.push(sha)
    this.told.push(`main at ${this.name(sha)}`)
  }

  #evaluate(step: Extract<Happening, { kind: 'eval' | 'unchanged' | 'nothing evaluates' }>): void {
    const { evals } = this.history
    const id = evals.length + 1
    const sha = step.where === 'was' ? (pick(this.mains, step.was) ?? this.main) : this.main
    const before = buildSet(this.history, evals.length - 1) as WorldBuild[]
    const fates = step.kind === 'eval' ? step.fates : []
    const members = step.kind === 'unchanged' ? [] : this.#members(fates, before)
    const unevaluable =
      step.kind === 'nothing evaluates'
        ? this.jobs
        : step.kind === 'unchanged'
          ? this.jobs.slice(0, step.error ? 1 : 0)
          : this.jobs.filter((_, at) => fateOf(fates, at) === 'not evaluated')
    // Hydra sees new builds if there is one, or if their number has changed
    const changed = members.some(build => !before.includes(build)) || members.length !== before.length
    const hasNewBuilds = step.kind !== 'unchanged' && (changed || evals.length === 0)
    const foreign = step.where === 'foreign'
    evals.push({
      id,
      sha,
      foreign,
      flake: flakeOf(sha, { owner: foreign ? 'mallory' : 'alice' }),
      hasNewBuilds,
      members: hasNewBuilds ? members : [],
      timestamp: this.now,
      error: unevaluable.map(job => `in job ‘${job}’:\nerror:\n       error: ${job} is bad\n`).join('\n'),
    })
    this.jobset = { error: evals.at(-1)?.error ?? '', errorTime: this.now, checked: this.now }
    const built = members.map(({ id, job, finished, status }) => `${id}:${job}=${finished ? status : 'runs'}`)
    this.told.push(
      `e${id}(${foreign ? 'foreign ' : ''}${this.name(sha)})${hasNewBuilds ? '' : ' unchanged'} ${built.join(' ')}${
        unevaluable.length > 0 ? ` not evaluated: ${unevaluable.join(' ')}` : ''
      }`,
    )
  }

  /** A job that was absent gets a new build, whatever it was like before. */
  #members(fates: readonly Fate[], before: readonly WorldBuild[]): WorldBuild[] {
    if (fates.length === 0) return []
    return this.jobs.flatMap((job, at) => {
      const made = fateOf(fates, at)
      if (made === 'gone' || made === 'not evaluated') return []
      const kept = before.find(build => build.job === job)
      if (made === 'kept' && kept) return [kept]
      const { status, cached } = made === 'kept' ? { status: 0, cached: false } : made
      const id = ++this.#builds
      const finished = status !== null
      const name = job.replace(/^nixos-/, 'nixos-system-')
      const output = `/nix/store/${String(id).padStart(32, '0')}-${name}`
      const build = { id, job, finished, status, cached: cached && finished, output, queued: this.now }
      if (status === 0) this.#endWell(build)
      return [build]
    })
  }

  /** Hydra tells it, and most of the time somebody has uploaded it by then. */
  #endWell(build: WorldBuild): void {
    this.events.push(build)
    if (build.id % 4 !== 0) this.cached.add(build.output)
  }

  #changeBuild({ kind, build: which, ...more }: Extract<Happening, { build: number }>): void {
    const builds = this.builds.filter(({ finished }) => kind !== 'end' || !finished)
    const build = pick(builds, which)
    if (!build) return
    if (kind === 'end' && 'status' in more) {
      Object.assign(build, { finished: true, status: more.status })
      if (more.status === 0) this.#endWell(build)
    }
    if (kind === 'restart') build.finished = false
    if (kind === 'repoint') Object.assign(build, { finished: false, status: null })
    this.told.push(`build ${build.id} ${kind} ${build.status}`)
  }
}

type Fate = Extract<Happening, { kind: 'eval' }>['fates'][number]

function fateOf(fates: readonly Fate[], at: number): Fate {
  return fates[at] ?? fates[0] ?? 'gone'
}

/** `nixos-tested-pi` of a job of any system of it. */
export function channelOf(job: string): string {
  const host = /^nixos-([^/]*?)\./.exec(job)?.[1]
  return `nixos-tested-${host ?? job}`
}

export function pick<T>(all: readonly T[], n: number): T | undefined {
  return all[all.length - 1 - (n % (all.length || 1))]
}

/** The graph, and what happened in its order. */
export function draw(world: World): string {
  const commits = [...world.commits.all()].map(
    ({ sha, parents }) => `${world.name(sha)}(${parents.map(each => world.name(each)).join(' ')})`,
  )
  return [`commits (parents): ${commits.join(' ')}`, ...world.told].join('\n')
}
