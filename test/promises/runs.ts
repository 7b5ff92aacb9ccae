// The commands in this process, on a GitHub in memory that keeps a log of every move: what a matrix of faults runs
// hundreds of times. Nothing but arguments and files is left out (src/commands).
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import { createHttp } from '../../src/base/http.ts'
import { runUpdate } from '../../src/commands/run-channel-update.ts'
import { printFlakeCommit } from '../../src/commands/run-get-flake-commit.ts'
import { lookOptionsOf } from '../../src/commands/status.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { openRepository } from '../../src/github/repository.ts'
import { handleBuild } from '../../src/hook.ts'
import type { Connection } from '../../src/hydra/connection.ts'
import { openDatabase } from '../../src/hydra/database.ts'
import type { BuildFinished } from '../../src/hydra/event.ts'
import { acquireLock } from '../../src/hydra/lock.ts'
import { reconcile } from '../../src/reconcile.ts'
import { findStatus } from '../../src/status/find-status.ts'
import { type DatabaseScene, openScene, type Timeouts } from '../helpers/database.ts'
import {
  type Fault,
  startGitHub,
  type TestGitHub,
  type TestRepository,
  writtenBranches,
} from '../helpers/github/github.ts'
import { MemoryGraph } from '../helpers/github/memory-graph.ts'
import { flakeOf, type TestHydra } from '../helpers/hydra.ts'
import { CHANNEL, JOB } from '../helpers/stage.ts'

export const C0 = 'c0'.repeat(20)
export const C1 = '1'.repeat(40)
export const C2 = '2'.repeat(40)
export const C3 = '3'.repeat(40)
const COMMITS = [C0, C1, C2, C3]
const NEVER = /^$/

export interface QuickGitHub {
  server: TestGitHub
  repository: TestRepository
  graph: MemoryGraph
  /** for `github` of a configuration */
  app: { appId: string; privateKey: string; apiUrl: string }
}

/** c0 - c1 - c2 - c3     main at c2 */
export async function startQuickGitHub(t: TestContext): Promise<QuickGitHub> {
  const graph = new MemoryGraph()
  for (const [n, sha] of COMMITS.entries()) {
    graph.add({ sha, parents: COMMITS.slice(n - 1, n), date: 1_760_000_000 + n * 60 })
  }
  graph.setBranch('main', C2)
  const server = await startGitHub()
  const repository = await server.createRepository('alice/dotfiles', { graph })
  t.after(async () => {
    await server.close()
    assert.deepEqual(server.violations, [])
  })
  const { clientId: appId, privateKeyPem: privateKey } = server.app
  return { server, repository, graph, app: { appId, privateKey, apiUrl: server.apiUrl } }
}

/** channel-update brings the channel to c2; its seconds are real ones */
export type Command = 'hook' | 'reconcile' | 'status' | 'get-flake-commit' | 'channel-update'

/** Of each job a good build of c1, and one of c2: 1 and 2 of the first job, 3 and 4 of the second, and so on. */
export async function seedBuilds(hydra: TestHydra, jobs: readonly string[] = [JOB]): Promise<void> {
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' })
  for (const [n, sha] of [C1, C2].entries()) {
    const builds = jobs.map((job, index) => ({ id: 2 * index + n + 1, job }))
    await hydra.eval({ jobset, flake: flakeOf(sha), builds })
  }
}

export interface How {
  /** of the looks */
  connection: Connection
  /** of reconcile's lock; default: the same */
  lockConnection?: Connection
  timeouts?: Timeouts
  /** how long reconcile's lock waits for an answer */
  lockTimeoutMs?: number
  /** more of the configuration, checked already */
  config?: Partial<Config>
  env?: Record<string, string>
  /** of the hook */
  build?: number
  /** at the beginning; default: main at c2, and the channel at c1 */
  branches?: Readonly<Record<string, string>>
  /** what it meets at GitHub; later runs do not */
  faults?: readonly Fault[]
  /** whether it begins without a token */
  cold?: boolean
}

export interface Ran {
  ended: 'ok' | 'failed'
  /** each error: its message, and its hints below; a mistake of ours with its stack */
  said: string[]
  log: string[]
  /** of status: `behind`, for each channel */
  reasons: string[]
  /** `nixos-tested-nas: c1..c2` */
  moves: string[]
  /** what GitHub was asked: `GET /repos/alice/dotfiles/git/refs`, with `c1` for the commit */
  requests: string[]
  /** the branches of each write that was sent */
  writes: string[][]
  /** where nixos-tested-nas is */
  at: string
  tookMs: number
}

export interface Runs {
  github: QuickGitHub
  /** a folder for files */
  directory: string
  /** Puts the branches where they are when it begins, and runs. */
  run(command: Command, how: How): Promise<Ran>
  /** The configuration, as a file of it would have it. */
  configFor(connection: Omit<Connection, 'source'>): object
}

const nameOf = (sha: string | undefined) => (sha === undefined ? 'missing' : named(sha))

/** With `c1` for the commit, also where it is shortened. */
export function named(text: string): string {
  return COMMITS.reduce(
    (all, sha, n) => all.replaceAll(sha, `c${n}`).replaceAll(sha.slice(0, 7), `c${n}`),
    text,
  )
}

export async function openRuns(t: TestContext, hydra: TestHydra): Promise<Runs> {
  const github = await startQuickGitHub(t)
  const { server, graph, app } = github
  const directory = mkdtempSync(join(tmpdir(), 'hc-runs-'))
  const keyFile = join(directory, 'app.pem')
  writeFileSync(keyFile, app.privateKey, { mode: 0o600 })
  const http = createHttp({})
  t.after(() => {
    http.close()
    rmSync(directory, { recursive: true })
  })
  const configFor = ({ host, port, user, database }: Omit<Connection, 'source'>) => ({
    github: { appId: app.appId, privateKeyFile: keyFile, apiUrl: app.apiUrl },
    database: { host, port, user, database },
    stateDirectory: join(directory, 'state'),
    channels: [
      {
        project: 'dotfiles',
        jobset: 'main',
        job: 'nixos-(?<host>.*)\\.x86_64-linux',
        repository: 'alice/dotfiles',
        branch: 'nixos-tested-{host}',
      },
    ],
  })
  const events = new Map<number, BuildFinished>()
  async function eventOf(build: number): Promise<BuildFinished> {
    const event = events.get(build) ?? ((await hydra.eventOf(build)) as unknown as BuildFinished)
    events.set(build, event)
    return event
  }
  for (const build of [1, 2, 3, 4]) await eventOf(build).catch(() => {})

  return {
    github,
    directory,
    configFor,
    async run(command, how) {
      const { connection, timeouts, env = {} } = how
      for (const branch of graph.branches().keys()) graph.setBranch(branch, undefined)
      const branches = how.branches ?? { main: C2, [CHANNEL]: C1 }
      for (const [branch, sha] of Object.entries(branches)) graph.setBranch(branch, sha)
      const moved = github.repository.moves.length
      server.clearRequests()
      const faults = (how.faults ?? []).map(fault => ({ ...fault }))
      for (const fault of faults) server.fault(fault)
      const event = await eventOf(how.build ?? 2)
      const log: string[] = []
      const errors: unknown[] = []
      let reasons: string[] = []
      const config: Config = {
        ...parseConfig(JSON.stringify(configFor(connection)), 'the test'),
        ...how.config,
      }
      const deadline = new Deadline(120)
      const repository = openRepository({
        http,
        apiUrl: app.apiUrl,
        attemptTimeoutMs: 20_000,
        deadline,
        secondMs: 1,
        repository: 'alice/dotfiles',
        credentials: { kind: 'app', ...app, source: 'configuration' },
        cacheDirectory: how.cold ? undefined : directory,
      })
      const options = {
        config,
        mode: 'move' as const,
        log: { line: (text: string) => void log.push(text) },
        report: (error: unknown) => void errors.push(error),
        env,
        http,
        secondMs: 1,
        only: [],
        openGitHub: async () => ({ deadline, repository: () => repository }),
      }
      const print = (text: string) => void log.push(text.trimEnd())
      const writeConfig = () => {
        const file = join(directory, 'config.json')
        writeFileSync(file, JSON.stringify(configFor(connection)))
        return file
      }
      const runs: Record<Command, () => Promise<'ok' | 'failed'>> = {
        hook: () =>
          handleBuild(event, { ...options, openDatabase: async () => openDatabase(connection, timeouts) }),
        async reconcile() {
          const acquired = await acquireLock(how.lockConnection ?? connection, undefined, {
            ...{ answerTimeoutMs: how.lockTimeoutMs ?? 60_000, waitMs: 0, turnMs: 0 },
          })
          if (acquired.kind === 'taken') throw new Error(`the lock is taken: ${acquired.by.details}`)
          const database = openDatabase(connection, timeouts)
          try {
            const { lock } = acquired
            return (await reconcile({ ...options, database, lock, progress: () => {} })).ended
          } finally {
            await Promise.allSettled([database.close(), acquired.lock.release()])
          }
        },
        async status() {
          const database = openDatabase(connection, timeouts)
          try {
            const { channels } = await findStatus({
              ...options,
              ...lookOptionsOf(options.config, options),
              database,
              now: new Date(),
            })
            reasons = channels.map(({ reason }) => reason)
            return 'ok'
          } finally {
            await database.close()
          }
        },
        'get-flake-commit'() {
          return printFlakeCommit({ values: { config: writeConfig() }, positionals: ['2'], env, print })
        },
        'channel-update': () =>
          runUpdate({
            values: { config: writeConfig() },
            positionals: ['alice', 'dotfiles', CHANNEL, C2],
            env,
            log: options.log,
            report: options.report,
            print,
            progress: () => {},
          }),
      }
      if (command === 'reconcile') await hydra.untilUnlocked(process.pid)
      const began = performance.now()
      let ended: 'ok' | 'failed'
      try {
        ended = await runs[command]()
      } catch (error) {
        errors.push(error)
        ended = 'failed'
      }
      for (const fault of faults) fault.path = NEVER
      return {
        ended,
        said: errors.map(describe),
        log,
        reasons,
        moves: github.repository.moves
          .slice(moved)
          .map(({ ref, from, to }) => `${ref.slice('refs/heads/'.length)}: ${nameOf(from)}..${nameOf(to)}`),
        requests: server.requests.map(named),
        writes: server.records.map(writtenBranches).filter(branches => branches.length > 0),
        at: nameOf(graph.branch(CHANNEL)),
        tookMs: performance.now() - began,
      }
    },
  }
}

function describe(error: unknown): string {
  if (error instanceof OperatorError) return [error.message, ...error.hint].join('\n')
  return `unexpected error: ${error instanceof Error ? error.stack : String(error)}`
}

export interface RunScene extends DatabaseScene, Runs {}

/** A database with an eval of each of two commits and good builds of the jobs, and the commands on it. */
export async function runSceneFor(t: TestContext, jobs: readonly string[]): Promise<RunScene> {
  const scene = await openScene()
  t.after(async () => {
    await scene.checkSurprises()
    await scene.close()
  })
  await seedBuilds(scene.hydra, jobs)
  return { ...scene, ...(await openRuns(t, scene.hydra)) }
}
