// The promises, over random histories of everything that can happen: the real hook, reconcile and status, on Hydra's real
// schema in PostgreSQL, and the test GitHub, asked in this process and with its commits in memory. After each step its log of moves is held against what
// naive.ts reads off the world. HYDRA_CHANNELS_TEST_HISTORIES makes it longer, HYDRA_CHANNELS_TEST_SEED repeats a run.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import type { Http } from '../../src/base/http.ts'
import { HttpError } from '../../src/base/http-error.ts'
import { ALL, removeHold, writeHold } from '../../src/channels/holds.ts'
import { lookOptionsOf } from '../../src/commands/status.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { openRepository } from '../../src/github/repository.ts'
import { handleBuild } from '../../src/hook.ts'
import { findConnection } from '../../src/hydra/connection.ts'
import { type Database, openDatabase } from '../../src/hydra/database.ts'
import type { BuildFinished } from '../../src/hydra/event.ts'
import { reconcile } from '../../src/reconcile.ts'
import { findFacts } from '../../src/status/find-facts.ts'
import { findStatus } from '../../src/status/find-status.ts'
import { publishPointers, readPointers } from '../../src/status/publish-pointers.ts'
import type { ChannelStatus } from '../../src/status/shape.ts'
import { type RefMove, startGitHub, type TestGitHub, type TestRepository } from '../helpers/github/github.ts'
import { MemoryGraph } from '../helpers/github/memory-graph.ts'
import { seedFor } from '../helpers/seed.ts'
import { createHydraRows, type HydraRows } from './hydra-rows.ts'
import { canMove, type Naive, readChannels, truths } from './naive.ts'
import { Pointers } from './pointers.ts'
import {
  type Away,
  cacheAnswers,
  channelOf,
  draw,
  MAIN,
  pick,
  type Script,
  type Step,
  scripts,
  World,
  type WorldBuild,
} from './world.ts'

const HISTORIES = Number(process.env.HYDRA_CHANNELS_TEST_HISTORIES ?? 500)
const CACHE_URL = 'http://127.0.0.1:1'
/** Each look at the database has a connection for itself; so many looks at once. */
const CONNECTIONS = 5

test(`${HISTORIES} random histories keep the promises`, async t => {
  const rows = await createHydraRows()
  const directory = mkdtempSync(join(tmpdir(), 'hc-model-'))
  const databases = createDatabases(rows)
  const github = await startGitHub()
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.after(async () => {
    process.off('unhandledRejection', note)
    await github.close()
    await databases.close()
    await rows.close()
    assert.deepEqual(github.violations, [])
    rmSync(directory, { recursive: true })
  })
  const seed = seedFor(t)
  const seen = new Map<string, number>()

  let number = 0
  const play = async (script: Script) => {
    await rows.clear()
    const stateDirectory = join(directory, String(++number))
    const graph = new MemoryGraph()
    // the name means the newest repository that has it
    const repository = await github.createRepository('alice/dotfiles', { graph })
    const around = { stateDirectory, rows, database: databases.shared, seen, github, graph, repository }
    const story = new Story(script, around)
    try {
      for (const step of script.steps) await story.play(step)
      await story.end()
      assert.deepEqual(unhandled, [])
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.stack : error}\n${draw(story.world)}`)
    }
  }
  await fc.assert(fc.asyncProperty(scripts, play), { seed, numRuns: HISTORIES })
  t.diagnostic(
    [...seen]
      .sort()
      .map(([what, n]) => `${n} ${what}`)
      .join(', '),
  )

  // else these histories prove less than they seem to
  for (const what of INTERESTING) assert.ok(seen.has(what), `never seen: ${what}`)
})

const INTERESTING = [
  'a channel created',
  'a channel moved by a hook',
  'a channel moved by reconcile',
  'many channels moved at once',
  'a move while others ran',
  'status held',
  'status withdrawn',
  'status not-on-branch',
  'status diverged',
  'status ambiguous',
  'status job-gone',
  'status evaluation-failed',
  'status not-evaluated',
  'status unusable-flakeref',
  'status build-failed',
  'status build-timed-out',
  'status dependency-failed',
  'status build-aborted',
  'status not-cached',
  'status building',
  'status behind',
  'status up-to-date',
  'a first pointer with a path',
  'a pointer of another path',
  'a pointer that goes back',
  'a pointer without a path',
  'a pointer that stays while GitHub is away',
  'a pointer that stays while Hydra is away',
  'a pointer that stays while the cache is away',
]

const ALL_ANSWER = { away: 'nothing', back: 0 } as const
const HYDRA_AWAY = new OperatorError("cannot ask Hydra's database")

/** By which the log of moves knows who it was. */
const tokenOf = (by: string) => `ghp_${by.replaceAll(' ', '_')}`

interface Surroundings {
  stateDirectory: string
  rows: HydraRows
  database: Database
  seen: Map<string, number>
  github: TestGitHub
  graph: MemoryGraph
  repository: TestRepository
}

class Story {
  readonly world: World
  readonly #config: Config
  readonly #held = new Set<string>()
  readonly #useCache: boolean
  readonly #around: Surroundings
  readonly #pointers: Pointers
  #random = 1
  /** moves that were looked at already */
  #checked = 0

  constructor({ many, cache, placed }: Script, around: Surroundings) {
    this.world = new World(around.graph, { many, placed })
    this.#useCache = cache
    this.#around = around
    this.#pointers = new Pointers(join(around.stateDirectory, 'page'))
    const rule = { project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' }
    this.#config = parseConfig(
      JSON.stringify({
        stateDirectory: around.stateDirectory,
        ...(cache && { cache: { url: CACHE_URL } }),
        channels: [
          { ...rule, job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)', branch: 'nixos-tested-{host}' },
          { ...rule, job: 'fleet', branch: 'nixos-tested-fleet' },
        ],
      }),
      'the model',
    )
  }

  async play(step: Step): Promise<void> {
    const { world } = this
    if (step.kind === 'hold' || step.kind === 'release') this.#hold(step)
    else if (step.kind === 'run') {
      this.#random = step.mix
      world.graph.lag(step.lag)
      const builds = step.hooks.flatMap(n => pick(world.events, n) ?? [])
      world.told.push(
        `hooks of builds ${builds.map(({ id }) => id).join(' ')}, ${step.reconciles} reconciles, ${step.lag} old reads`,
      )
      await this.#run([
        ...builds.map(build => () => this.#hook(build)),
        ...Array.from({ length: step.reconciles }, () => () => this.#reconcile()),
      ])
      world.graph.lag(0)
    } else if (step.kind === 'reconcile') {
      world.told.push('a reconcile')
      this.#random = step.mix
      await this.#run([() => this.#reconcile()])
    } else if (step.kind === 'publish') await this.#publish(step)
    else if (step.kind === 'roll back') {
      const good = { status: 0, cached: false } as const
      for (const minutes of [1, 5] as const) {
        world.happen({ kind: 'commit', minutes, commits: 1 })
        world.happen({ kind: 'eval', minutes, fates: [good, good, good, good], where: 'main', was: 0 })
      }
      for (const to of ['last', 'first'] as const) {
        world.roll(step.channel, to)
        await this.#publish(ALL_ANSWER)
      }
    } else world.happen(step)
  }

  /** After one reconcile every channel is where it belongs, or status gives a reason that is true. */
  async end(): Promise<void> {
    const { world } = this
    world.told.push('the last reconcile')
    await this.#run([() => this.#reconcile()])
    const channels = this.#read()
    for (const naive of channels) {
      assert.ok(!canMove(world, naive), `${naive.channel} is at ${world.name(naive.tip)} and could move`)
    }
    await this.#checkStatus(channels)
    await this.#publish(ALL_ANSWER)

    const { moves } = this.#around.repository
    const before = moves.length
    await this.#run([() => this.#reconcile()])
    assert.equal(moves.length, before, 'a second reconcile moves something')
  }

  #read(): Naive[] {
    const held = this.#held.has(ALL) ? new Set(this.world.channels) : this.#held
    return readChannels(this.world, held, this.#useCache)
  }

  #hold(step: Extract<Step, { kind: 'hold' | 'release' }>): void {
    const branch = pick(this.world.channels, step.channel) ?? ''
    const of = step.scope === 'all' ? ALL : { repository: 'alice/dotfiles', branch }
    const held = step.scope === 'all' ? ALL : branch
    const { stateDirectory } = this.#around
    if (step.kind === 'hold') {
      writeHold(stateDirectory, of, { reason: 'kernel', since: '2019-01-01T00:00:00Z', until: step.until })
      if (step.until?.startsWith('2020')) this.#held.delete(held)
      else this.#held.add(held)
      this.world.told.push(`${held} is held until ${step.until}`)
    } else {
      removeHold(stateDirectory, of)
      this.#held.delete(held)
      this.world.told.push(`${held} is released`)
    }
  }

  /** All at once; what they moved is checked against the world as it was before, which none of them changes. */
  async #run(runs: (() => Promise<void>)[]): Promise<void> {
    const { world } = this
    await this.#around.rows.write(world)
    const before = new Map(this.#read().map(naive => [naive.channel, naive]))
    await Promise.all(runs.map(run => run()))
    const { moves } = this.#around.repository
    const made = moves.slice(this.#checked)
    this.#checked = moves.length
    const tips = new Map([...before].map(([channel, { tip }]) => [channel, tip]))
    for (const move of made) {
      const branch = move.ref.replace('refs/heads/', '')
      world.told.push(`${move.by}: ${branch} ${world.name(move.from)} -> ${world.name(move.to)}`)
      this.#checkMove(branch, move, before.get(branch), tips.get(branch))
      tips.set(branch, move.to)
      this.#see(
        move.from === undefined
          ? 'a channel created'
          : `a channel moved by ${move.by === tokenOf('reconcile') ? 'reconcile' : 'a hook'}`,
      )
      if (runs.length > 1) this.#see('a move while others ran')
    }
    if (made.length > 10 && runs.length === 1) this.#see('many channels moved at once')
  }

  #checkMove(branch: string, move: RefMove, naive: Naive | undefined, tip: string | undefined): void {
    const { world } = this
    const { commits, history, main } = world
    const said = `${move.by} moved ${branch} from ${world.name(move.from)} to ${world.name(move.to)}`
    assert.equal(move.from, tip, `${said}: it was elsewhere`)
    if (move.from !== undefined) assert.ok(commits.isIn(move.from, move.to), `${said}: not a fast-forward`)
    assert.ok(naive, `${said}: no job leads to it`)
    assert.ok(!naive.held, `${said}: it is held`)
    assert.equal(naive.jobs.length, 1, `${said}: it is ambiguous`)
    assert.ok(naive.candidate, `${said}: its job has no good build`)
    assert.equal(world.name(move.to), world.name(naive.candidate.sha), `${said}: not its candidate`)
    assert.ok(!history.evals.at(-1)?.foreign, `${said}: the newest eval is of another repository`)
    // no run changes it
    assert.ok(commits.isIn(move.to, main), `${said}: not on the branch`)
    assert.ok(naive.cached, `${said}: not in the cache`)
    if (move.from === undefined) assert.notEqual(naive.presence, 'gone', `${said}: its job is gone`)
    assert.notEqual(branch, MAIN)
  }

  async #hook(build: WorldBuild): Promise<void> {
    const naive = this.#read().find(({ channel }) => channel === channelOf(build.job))
    const lines: string[] = []
    const reports: unknown[] = []
    const event: BuildFinished = {
      event: 'buildFinished',
      build: build.id,
      finished: true,
      buildStatus: 0,
      project: 'dotfiles',
      jobset: 'main',
      job: build.job,
      outputs: [{ name: 'out', path: build.output }],
    }
    const ended = await handleBuild(event, {
      ...this.#options(lines, reports, `hook of build ${build.id}`),
      openDatabase: async () => this.#around.database,
    }).catch((error: unknown) => {
      reports.push(error)
      return 'failed'
    })
    this.#checkReports(reports)
    const told = lines.join('\n')
    const trouble = (what: string) => lines.some(line => line.includes(`: ${what}, not moved`))
    const isTrue = {
      diverged: naive?.parted,
      withdrawn: naive?.withdrawn,
      'not-on-branch': naive?.notOnBranch,
    }
    for (const [what, is] of Object.entries(isTrue))
      assert.ok(!trouble(what) || is, `it says ${what}: ${told}`)
    if (ended === 'failed' && reports.length === 0) {
      assert.ok(Object.keys(isTrue).some(trouble), `it failed, and says: ${told}`)
    }
    // an upload that is not there is the only thing that may keep a hook from what reconcile would do now
    const copied = !this.#useCache || this.world.cached.has(build.output)
    if (naive?.jobs[0] === build.job && copied && canMove(this.world, naive)) {
      const { commits, graph } = this.world
      const tip = graph.branch(naive.channel)
      const sha = naive.candidate?.sha ?? ''
      assert.ok(tip !== undefined && commits.isIn(sha, tip), `the hook does not move ${naive.channel}`)
    }
  }

  async #reconcile(): Promise<void> {
    const lines: string[] = []
    const reports: unknown[] = []
    await reconcile({
      ...this.#options(lines, reports, 'reconcile'),
      only: [],
      database: this.#around.database,
      lock: undefined,
      progress: () => {},
    })
    this.#checkReports(reports)
  }

  /** Nobody fails because somebody else won; and what is no operator's matter is a bug. */
  #checkReports(reports: readonly unknown[]): void {
    const channels = this.#read()
    for (const error of reports) {
      if (!(error instanceof OperatorError)) throw error
      const { message } = error
      const named = channels.find(({ channel }) => message.includes(` ${channel}: cannot be moved: `))
      const isTrue =
        (/ambiguous: \d+ jobs/.test(message) && (named?.jobs.length ?? 0) > 1) ||
        (/is of another repository/.test(message) && named?.foreign === true) ||
        (/the cache does not have/.test(message) && this.#useCache) ||
        // a job that was built, but never well, and that has left the jobset: Hydra has forgotten it
        (/the rule for nixos-tested-\{host\} matches no job/.test(message) &&
          channels.every(({ channel }) => channel === 'nixos-tested-fleet')) ||
        (/is not evaluated yet/.test(message) && this.world.history.evals.length === 0) ||
        (/the rule for nixos-tested-fleet matches no job/.test(message) &&
          !channels.some(({ channel }) => channel === 'nixos-tested-fleet'))
      assert.ok(isTrue, `it says: ${message}`)
    }
  }

  async #checkStatus(channels: readonly Naive[]): Promise<void> {
    const { world } = this
    const { commits, main } = world
    const reports: unknown[] = []
    const options = this.#options([], reports, 'status')
    const now = new Date(world.now * 1000)
    const status = await findStatus({
      ...options,
      ...lookOptionsOf(options.config, options),
      only: [],
      database: this.#around.database,
      now,
    })
    this.#checkReports(reports)
    const shown = new Map(status.channels.map(each => [each.branch, each]))
    const listed = channels.filter(({ presence, tip }) => presence !== 'gone' || tip !== undefined)
    // besides those, branches that nothing leads to
    const names = listed.map(({ channel }) => channel)
    const strays = world.channels.filter(each => !channels.some(({ channel }) => channel === each))
    assert.deepEqual([...shown.keys()].filter(each => !strays.includes(each)).sort(), names.sort())
    for (const stray of strays) {
      const found = shown.get(stray)
      const isRules = /^the rule for .* matches no job|is not evaluated yet/.test(found?.message ?? '')
      const isTrue = ['abandoned', 'held'].includes(found?.reason ?? '') || isRules
      if (found) assert.ok(isTrue, `stray: ${found.reason}: ${found.message}`)
      assert.equal(found !== undefined, world.graph.branch(stray) !== undefined, `${stray} is a stray branch`)
    }

    for (const naive of listed) {
      const found = shown.get(naive.channel)
      assert.ok(found, `status does not show ${naive.channel}`)
      this.#see(`status ${found.reason}`)
      const said = `${naive.channel} at ${world.name(naive.tip)}, main at ${world.name(main)}: ${found.reason}: ${found.message}`
      const expected = truths(world, naive)
      if (found.reason === 'up-to-date') assert.equal(naive.tip, main, said)
      assert.equal(found.reason, expected[0], `${said}; true are ${expected.join(', ')}`)
      assert.equal(found.sha, naive.tip ?? null, said)
      assert.equal(found.candidate?.sha, naive.candidate?.sha, said)
      assert.equal(found.candidate?.build, naive.candidate?.build.id, said)
      const behind = (sha: string | undefined) =>
        naive.tip === undefined || sha === undefined || commits.sides(naive.tip, sha).mergeBase === undefined
          ? null
          : commits.missing(naive.tip, sha).length
      assert.equal(found.behindBranch, behind(main), `behindBranch of ${said}`)
      assert.equal(found.behindCandidate, behind(naive.candidate?.sha), `behindCandidate of ${said}`)
      this.#checkMessage(found, naive, said)
    }
  }

  /** Whether there is a cache that channels wait for is of no interest to pointers. */
  async #publish({ away, back }: { away: Away; back: number }): Promise<void> {
    const { world } = this
    world.told.push(`pointers are written while ${away} is away, with a clock ${back} hours late`)
    await this.#around.rows.write(world)
    const reports: unknown[] = []
    const { config, ...options } = this.#options([], reports, 'status', away)
    const withCache = { ...config, cache: { url: CACHE_URL, parallel: 4 } as Config['cache'] }
    const look = () => lookOptionsOf(withCache, options).look ?? assert.fail('no look')
    const { database } = this.#around
    const asked = {
      ...options,
      ...lookOptionsOf(withCache, options),
      only: [],
      there: readPointers(this.#pointers.folder),
      database: away === 'Hydra' ? { ...database, look: () => Promise.reject(HYDRA_AWAY) } : database,
      now: new Date((world.now - back * 3600) * 1000),
    }
    await publishPointers(await findFacts(asked), this.#pointers.folder, { ...asked, look: look() })
    for (const what of this.#pointers.check(world, this.#read(), away)) this.#see(what)
  }

  /** What the message says beyond the reason. */
  #checkMessage({ reason, message }: ChannelStatus, naive: Naive, said: string): void {
    const { commits, main } = this.world
    assert.equal(message === null, reason === 'up-to-date', said)
    // it has just run
    assert.ok(!message?.includes('the next reconcile moves it'), said)
    if (reason !== 'behind') return
    const newest = naive.newestEval
    const fresh = /still to evaluate (\d+) commit/.exec(message ?? '')
    if (fresh) assert.equal(Number(fresh[1]), newest && commits.missing(newest.sha, main).length, said)
    if (message?.includes('no good build yet')) assert.equal(naive.candidate, undefined, said)
    if (message?.includes('no newer commit has a good build')) {
      assert.ok(
        !naive.candidate || (naive.tip !== undefined && commits.isIn(naive.candidate.sha, naive.tip)),
        said,
      )
    }
  }

  #options(lines: string[], reports: unknown[], by: string, away: Away = 'nothing') {
    const { github } = this.#around
    const token = tokenOf(by)
    github.addToken(token)
    const api = github.inProcess()
    const http: Http = {
      fetch: async (url, request) => {
        if (url.startsWith(github.apiUrl)) {
          if (away === 'GitHub') throw new HttpError('connection refused')
          await this.#turn()
          const answer = await api.fetch(url, request)
          await this.#turn()
          return answer
        }
        const hash = /\/([0-9a-z]{32})\.narinfo$/.exec(url)?.[1] ?? ''
        if (!cacheAnswers(away, hash)) throw new HttpError('connection refused')
        const path = [...this.world.cached].find(each => each.includes(`/${hash}-`))
        const text = async () => (path === undefined ? 'not found' : `StorePath: ${path}\n`)
        return { status: path === undefined ? 404 : 200, url, headers: new Map(), text }
      },
      close: () => {},
    }
    const deadline = new Deadline(90, () => this.world.now * 1000)
    const repository = openRepository({
      ...{ http, deadline, apiUrl: github.apiUrl, attemptTimeoutMs: 20_000, secondMs: 0 },
      repository: 'alice/dotfiles',
      credentials: { kind: 'token', token, source: 'GITHUB_TOKEN' },
      cacheDirectory: undefined,
    })
    return {
      config: this.#config,
      mode: 'move' as const,
      log: { line: (text: string) => void lines.push(text) },
      report: (error: unknown) => void reports.push(error),
      env: {},
      http,
      secondMs: 0,
      openGitHub: async () => ({ deadline, repository: () => repository }),
    }
  }

  /** A few turns of the event loop: how many is random, so that runs overtake each other. */
  async #turn(): Promise<void> {
    this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) & 0x7fffffff
    for (let turns = (this.#random >> 16) % 3; turns > 0; turns--) await new Promise(setImmediate)
  }

  #see(what: string): void {
    const { seen } = this.#around
    seen.set(what, (seen.get(what) ?? 0) + 1)
  }
}

/** One database for everybody, as they know it: behind it a connection for each look that goes on. */
function createDatabases({ hydra }: HydraRows): { shared: Database; close(): Promise<void> } {
  const connection = findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url })
  const all = Array.from({ length: CONNECTIONS }, () => openDatabase(connection))
  const free = [...all]
  const waiting: ((database: Database) => void)[] = []
  return {
    shared: {
      async look(queries) {
        const database = free.pop() ?? (await new Promise<Database>(resolve => waiting.push(resolve)))
        try {
          return await database.look(queries)
        } finally {
          const next = waiting.shift()
          if (next) next(database)
          else free.push(database)
        }
      },
      close: async () => {},
    },
    async close() {
      await Promise.all(all.map(database => database.close()))
    },
  }
}
