// What tests of `hydra-channels status` have in common: fleets, and how they are asked about.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import { createHttp } from '../../src/base/http.ts'
import { lookOptionsOf } from '../../src/commands/status.ts'
import { parseConfig } from '../../src/config.ts'
import { findCredentials } from '../../src/github/credentials.ts'
import { openRepository } from '../../src/github/repository.ts'
import { findConnection } from '../../src/hydra/connection.ts'
import { openDatabase } from '../../src/hydra/database.ts'
import { findStatus } from '../../src/status/find-status.ts'
import type { ChannelStatus, FleetStatus } from '../../src/status/shape.ts'
import type { Survey } from '../../src/status/survey.ts'
import type { Fault } from './github/github.ts'
import { type Stage, stageFor } from './stage.ts'

export const job = (host: string) => `nixos-${host}.x86_64-linux`
export const channel = (host: string) => `nixos-tested-${host}`
export const NAS = channel('nas')
export const WEB = channel('web')

/** As the evaluator does; each host's job with its status, null where it is still queued. */
export function evaluate(
  stage: Stage,
  sha: string,
  hosts: Record<string, number | null>,
  jobset = stage.jobset,
) {
  return stage.hydra.eval({
    jobset,
    flake: `github:alice/dotfiles/${sha}?narHash=sha256-x`,
    builds: Object.entries(hosts).map(([host, status]) => ({ job: job(host), status })),
  })
}

/**
 *     main: c1 - c2     evals of both, nas and web at c1
 */
export async function twoHosts(t: TestContext): Promise<{ stage: Stage; c1: string; c2: string }> {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  for (const sha of [c1, c2]) await evaluate(stage, sha, { nas: 0, web: 0 })
  await stage.repository.setBranches({ main: c2, [NAS]: c1, [WEB]: c1 })
  return { stage, c1, c2 }
}

export const run = (stage: Stage, ...args: string[]) =>
  stage.command('hydra-channels', ['status', '--json', ...args], { streams: 'apart' })

export async function statusOf(stage: Stage, ...args: string[]): Promise<FleetStatus> {
  const { status, stdout, stderr } = await run(stage, ...args)
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

export function find({ channels }: FleetStatus, branch: string): ChannelStatus {
  const found = channels.find(each => each.branch === branch)
  assert.ok(found, branch)
  return found
}

export const branchesOf = ({ channels }: FleetStatus) => channels.map(({ branch }) => branch).sort()

export function hold(stage: Stage, branch: string) {
  return stage.command('hydra-channels', ['hold', branch, '--reason', 'does not boot'])
}

/** Nobody listens at this port: only root might. One retry begins after a second, and the next one is beyond the deadline. */
export function loseGitHub({ config }: Stage): void {
  Object.assign(config.github, { apiUrl: 'http://127.0.0.1:1', deadlineSeconds: 5 })
}

export function loseDatabase({ config }: Stage): void {
  config.database = { host: '/nonexistent' }
}

/** As often as it is asked. */
export const REFUSALS: Record<'errors' | 'badGateway' | 'noRepository' | 'rateLimit', Fault> = {
  errors: {
    kind: 'status',
    method: 'POST',
    path: '/graphql',
    status: 200,
    body: { errors: [{ type: 'RESOURCE_LIMITS_EXCEEDED', message: 'Resource limits exceeded.' }] },
    times: Number.POSITIVE_INFINITY,
  },
  badGateway: {
    kind: 'status',
    method: 'POST',
    path: '/graphql',
    status: 502,
    times: Number.POSITIVE_INFINITY,
  },
  /** without an error that would say why */
  noRepository: {
    kind: 'status',
    method: 'POST',
    path: '/graphql',
    status: 200,
    body: { data: { repository: null } },
    times: Number.POSITIVE_INFINITY,
  },
  rateLimit: {
    kind: 'status',
    method: 'POST',
    path: '/graphql',
    status: 403,
    // longer than any deadline, also if seconds are shorter
    headers: { 'retry-after': '9999999' },
    body: { message: 'You have exceeded a secondary rate limit.' },
    times: Number.POSITIVE_INFINITY,
  },
}

/** As the command does, but its seconds pass at once. */
export async function findStatusAtOnce(stage: Stage): Promise<{ status: FleetStatus; said: string[] }> {
  const said: string[] = []
  const config = parseConfig(JSON.stringify(stage.config), 'config.json')
  const http = createHttp({})
  const database = openDatabase(findConnection(config.database, {}))
  const deadline = new Deadline(90)
  const opened = new Map<string, Survey>()
  const open = (repository: string) =>
    openRepository({
      repository,
      credentials: findCredentials({ config: config.github, env: {}, personalToken: 'ignored' }),
      http,
      apiUrl: config.github.apiUrl,
      deadline,
      attemptTimeoutMs: 20_000,
      secondMs: 1,
      cacheDirectory: undefined,
    })
  try {
    const status = await findStatus({
      ...lookOptionsOf(config, { http, env: {} }),
      database,
      only: [],
      now: new Date(),
      report(error) {
        if (!(error instanceof OperatorError)) throw error
        said.push(error.message)
      },
      openGitHub: async () => ({
        deadline,
        repository(name) {
          const repository = opened.get(name.toLowerCase()) ?? open(name)
          opened.set(name.toLowerCase(), repository)
          return repository
        },
      }),
    })
    return { status, said }
  } finally {
    http.close()
    await database.close()
  }
}

/** What GitHub was asked, sorted; commits by their names, and what GitHub numbers as ID. */
export function requestsOf({ github }: Stage, commits: Readonly<Record<string, string>>): string[] {
  const plain = (request: string) =>
    Object.entries(commits).reduce((text, [name, sha]) => text.replaceAll(sha, name), request)
  return github.requests.map(request => plain(request).replace(/\/\d+\//, '/ID/')).sort()
}
