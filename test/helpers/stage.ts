// Everything that a hook meets, for one test: Hydra's database, GitHub with one repository, systemd, a binary cache, a
// key, a configuration, and a folder for tokens. All of it real but systemctl.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { startCache, type TestCache } from './cache.ts'
import { keepSecrets, type Result, type RunOptions, runCommand } from './command.ts'
import { type GitHubOptions, startGitHub, type TestGitHub, type TestRepository } from './github/github.ts'
import { createHydra, flakeOf, type TestHydra } from './hydra.ts'
import { createSystemd, type TestSystemd } from './systemd.ts'

export const JOB = 'nixos-nas.x86_64-linux'
export const CHANNEL = 'nixos-tested-nas'

/** The configuration as in docs/install.md, before it is written. */
export interface TestConfig {
  [key: string]: unknown
  github: Record<string, unknown>
  channels: Record<string, unknown>[]
}

export interface Stage {
  github: TestGitHub
  /** alice/dotfiles */
  repository: TestRepository
  hydra: TestHydra
  systemd: TestSystemd
  cache: TestCache
  directory: string
  runtimeDirectory: string
  /** written before each command */
  config: TestConfig
  env: Record<string, string | undefined>
  /** the id of the jobset dotfiles:main */
  jobset: number
  /** Runs hydra-hook on the event of a build, of an object, or of a file that is there. */
  hook(event: number | object | string, args?: string[], options?: RunOptions): Promise<Result>
  command(
    name: 'channel-update' | 'get-flake-commit' | 'hydra-channels',
    args: string[],
    options?: RunOptions,
  ): Promise<Result>
  /** An eval of the jobset whose flake has the commit; `builds` as in hydra.ts. */
  eval(sha: string, builds?: Parameters<TestHydra['eval']>[0]['builds']): Promise<number>
  /** An eval with one new build of the job, and that build's id. */
  built(
    sha: string,
    build?: { job?: string; status?: number; outputs?: Record<string, string | null> },
  ): Promise<number>
  close(): Promise<void>
}

export async function createStage(options: GitHubOptions = {}): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'hc-stage-'))
  const [github, hydra, cache] = await Promise.all([startGitHub(options), createHydra(), startCache()])
  const repository = await github.createRepository('alice/dotfiles')
  const systemd = createSystemd(directory)
  const runtimeDirectory = join(directory, 'run')
  mkdirSync(runtimeDirectory, { mode: 0o700 })
  const keyFile = join(directory, 'app.pem')
  writeFileSync(keyFile, github.app.privateKeyPem, { mode: 0o600 })
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' })
  const configFile = join(directory, 'config.json')
  chmodSync(directory, 0o755)

  let paths = 0
  const stage: Stage = {
    github,
    repository,
    hydra,
    systemd,
    cache,
    directory,
    runtimeDirectory,
    jobset,
    config: {
      github: { appId: github.app.clientId, privateKeyFile: keyFile, apiUrl: github.apiUrl },
      database: hydra.config,
      stateDirectory: join(directory, 'state'),
      channels: [
        {
          project: 'dotfiles',
          jobset: 'main',
          job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
          repository: 'alice/dotfiles',
          branch: 'nixos-tested-{host}',
        },
      ],
    },
    env: {
      PATH: `${systemd.bin}${delimiter}${process.env.PATH}`,
      HYDRA_CHANNELS_CONFIG: configFile,
      RUNTIME_DIRECTORY: runtimeDirectory,
    },
    async hook(event, args = [], { env, ...more } = {}) {
      writeFileSync(configFile, JSON.stringify(stage.config))
      const file = typeof event === 'string' ? event : await hydra.writeEvent(event, directory)
      return runCommand('hydra-hook', args, { ...more, env: { ...stage.env, HYDRA_JSON: file, ...env } })
    },
    async command(name, args, { env, onStart, ...more } = {}) {
      writeFileSync(configFile, JSON.stringify(stage.config))
      let pid: number | undefined
      const result = await runCommand(name, args, {
        ...more,
        env: { ...stage.env, ...env },
        onStart(child) {
          pid = child.pid
          onStart?.(child)
        },
      })
      if (args[0] === 'reconcile' && pid !== undefined) await hydra.untilUnlocked(pid)
      return result
    },
    eval: (sha, builds) => hydra.eval({ jobset, flake: flakeOf(sha), ...(builds && { builds }) }),
    async built(sha, { job = JOB, status = 0, outputs } = {}) {
      paths++
      const path = `/nix/store/${String(paths).padStart(32, 'a')}-nixos-system-nas`
      const evalId = await stage.eval(sha, [{ job, status, outputs: outputs ?? { out: path } }])
      const [row] = await hydra.sql<{ build: number }[]>`
        select m.build from jobsetevalmembers m join builds b on b.id = m.build
        where m.eval = ${evalId} and b.job = ${job}`
      return row?.build ?? 0
    },
    async close() {
      keepSecrets(github.secrets)
      await Promise.all([github.close(), hydra.close(), cache.close()])
      rmSync(directory, { recursive: true })
    },
  }
  return stage
}

/** A stage that ends with its test, and fails it if something broke GitHub's schemas. */
export async function stageFor(t: TestContext, options: GitHubOptions = {}): Promise<Stage> {
  const stage = await createStage(options)
  t.after(() => stage.close())
  t.after(() => {
    if (stage.github.violations.length > 0)
      throw new Error(`GitHub's schemas: ${stage.github.violations.join('\n')}`)
  })
  return stage
}
