// What both sides meet: one bare repository behind two servers, the ways to them, and one database of Hydra's.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../test/helpers/command.ts'
import { createHydra, flakeOf, type TestHydra } from '../test/helpers/hydra.ts'
import { type Certificates, createCertificates } from './certificates.ts'
import type { GitServerOptions, GitServerReady, GitServerTaken } from './git-server.ts'
import type { GitHubOptions, GitHubReady, GitHubTaken } from './github.ts'
import { COMMITS, createHistory } from './history.ts'
import type { Command } from './measure.ts'
import type { ProxyOptions, ProxyReady, Traffic } from './proxy.ts'
import { writeBranch } from './refs.ts'
import { startServer } from './server-process.ts'

export const ROUND_TRIPS_MS = [0, 50, 100] as const
export type RoundTripMs = (typeof ROUND_TRIPS_MS)[number]

export const REPOSITORY = 'alice/dotfiles'
export const CHANNEL = 'nixos-tested-nas'
const JOB = 'nixos-nas.x86_64-linux'

/** So many commits does main gain at most in one run. */
const LATER = 400

/** What came over the wire since it was asked last. */
export interface Wire extends Traffic {
  requests: string[]
}

export interface ProgramOptions {
  name: 'hydra-hook' | 'hydra-channels'
  args?: string[]
  event?: string
  roundTripMs: RoundTripMs
  runtimeDirectory: string
  /** what its channels follow and are called; default: the jobset main, as the script has it */
  rule?: { jobset: string; branch: string }
  /** how it trusts the bench's authority; default: trust.cjs */
  trust?: 'preloaded' | 'NODE_EXTRA_CA_CERTS'
  /** for its peak memory, in bytes */
  usageFile?: string
}

export interface Scene {
  directory: string
  gitDir: string
  hydra: TestHydra
  /** Where the API is, and who vouches for it. */
  github(roundTripMs: RoundTripMs): { port: number; ca: string }
  jq: string
  psql: string
  /** A commit of long ago. */
  oldest: string
  /** The commit that main is at. */
  newest(): string
  /** main gains one commit, which is returned. */
  gain(): string
  /** A good build of the channel's job, and its event's file. */
  built(sha: string): Promise<string>
  program(options: ProgramOptions): Command
  script(options: { event: string; roundTripMs: RoundTripMs; clone: string }): Command
  takeWire(): Promise<Wire>
  close(): Promise<void>
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export async function createScene(): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), 'hc-bench-'))
  const programs = copyPrograms(directory)
  const certificates = createCertificates(directory)

  const root = join(directory, 'repositories')
  const gitDir = join(root, `${REPOSITORY}.git`)
  mkdirSync(gitDir, { recursive: true })
  const shas = await createHistory(gitDir, LATER)
  let position = COMMITS - 1
  const newest = () => shas[position] ?? ''
  writeBranch(gitDir, 'main', newest())

  const hydra = await createHydra()
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: `github:${REPOSITORY}` })

  const { cert, key } = certificates
  const [gitHub, gitServer] = await Promise.all([
    startServer<GitHubOptions, GitHubReady, GitHubTaken>('github.ts', {
      fullName: REPOSITORY,
      gitDir,
      shas,
      cert,
      key,
    }),
    startServer<GitServerOptions, GitServerReady, GitServerTaken>('git-server.ts', { root, cert, key }),
  ])
  const keyFile = join(directory, 'app.pem')
  writeFileSync(keyFile, gitHub.ready.privateKeyPem, { mode: 0o600 })
  const proxy = await startServer<ProxyOptions, ProxyReady, Traffic>('proxy.ts', {
    routes: [gitHub.ready.port, gitServer.ready].flatMap(port =>
      ROUND_TRIPS_MS.map(roundTripMs => ({ port, roundTripMs })),
    ),
  })
  const portOf = (server: 'github' | 'git', roundTripMs: RoundTripMs) =>
    proxy.ready[ROUND_TRIPS_MS.indexOf(roundTripMs) + (server === 'github' ? 0 : ROUND_TRIPS_MS.length)] ?? 0

  const caBundle = createBundle(directory, certificates)
  const jq = findProgram('jq')
  const psql = findPsql()
  const usualRule = { jobset: 'main', branch: 'nixos-tested-{host}' }

  return {
    directory,
    gitDir,
    hydra,
    github: roundTripMs => ({
      port: portOf('github', roundTripMs),
      ca: readFileSync(certificates.caFile, 'utf8'),
    }),
    jq,
    psql,
    oldest: shas[COMMITS - 500] ?? '',
    newest,
    gain() {
      position++
      if (position >= shas.length) throw new Error('main has no more commits to gain')
      writeBranch(gitDir, 'main', newest())
      return newest()
    },
    async built(sha) {
      const id = await hydra.eval({ jobset, flake: flakeOf(sha), builds: [{ job: JOB }] })
      const [row] = await hydra.sql<{ build: number }[]>`
        select build from jobsetevalmembers where eval = ${id}`
      return hydra.writeEvent(row?.build ?? 0, directory)
    },
    program({ name, args = [], event, roundTripMs, runtimeDirectory, rule = usualRule, trust, usageFile }) {
      const config = join(directory, `config-${rule.jobset}-${roundTripMs}.json`)
      const apiUrl = `https://localhost:${portOf('github', roundTripMs)}`
      const channel = {
        project: 'dotfiles',
        job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
        repository: REPOSITORY,
      }
      writeFileSync(
        config,
        JSON.stringify({
          github: { appId: gitHub.ready.clientId, privateKeyFile: keyFile, apiUrl },
          database: hydra.config,
          stateDirectory: join(directory, 'state'),
          channels: [{ ...channel, ...rule }],
        }),
      )
      const extra = trust === 'NODE_EXTRA_CA_CERTS'
      return {
        command: process.execPath,
        args: [...(extra ? [] : ['--require', here('trust.cjs')]), join(programs, `${name}.cjs`), ...args],
        env: cleanEnvironment({
          HYDRA_CHANNELS_CONFIG: config,
          HYDRA_JSON: event,
          RUNTIME_DIRECTORY: runtimeDirectory,
          [extra ? 'NODE_EXTRA_CA_CERTS' : 'BENCH_CA']: certificates.caFile,
          BENCH_USAGE: usageFile,
        }),
      }
    },
    script({ event, roundTripMs, clone }) {
      const { host, user, database } = hydra.config
      return {
        command: here('replaced.sh'),
        args: [],
        env: cleanEnvironment({
          HOME: directory,
          HYDRA_JSON: event,
          JQ: jq,
          PSQL: psql,
          PGHOST: host,
          PGUSER: user,
          PGDATABASE: database,
          URL: `https://x-access-token:ghp_${'a'.repeat(36)}@localhost:${portOf('git', roundTripMs)}/${REPOSITORY}.git`,
          CLONE: clone,
          GIT_SSL_CAINFO: caBundle,
        }),
      }
    },
    async takeWire() {
      const [traffic, ...requests] = await Promise.all([proxy.take(), gitHub.take(), gitServer.take()])
      return { ...traffic, requests: requests.flat() }
    },
    async close() {
      for (const server of [proxy, gitHub, gitServer]) server.stop()
      await hydra.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A build in the middle of the run must not change what is measured. */
function copyPrograms(directory: string): string {
  const programs = join(directory, 'programs')
  cpSync(here('../dist'), programs, { recursive: true })
  return programs
}

/** As a machine has it: git reads all of its authorities, and Node all of its own. */
function createBundle(directory: string, { caFile }: Certificates): string {
  const system = ['/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/certs/ca-bundle.crt'].find(existsSync)
  const bundle = join(directory, 'bundle.pem')
  writeFileSync(bundle, readFileSync(caFile, 'utf8') + (system ? readFileSync(system, 'utf8') : ''))
  return bundle
}

/** `$JQ`, or the one in PATH. */
function findProgram(name: string): string {
  const given = process.env[name.toUpperCase()]
  return given ?? execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
}

/** Debian's `psql` in PATH is a script in Perl that looks for the real one, for 30 ms. */
function findPsql(): string {
  const parent = '/usr/lib/postgresql'
  const versions = existsSync(parent) ? readdirSync(parent).toSorted((a, b) => Number(b) - Number(a)) : []
  const real = versions.map(version => join(parent, version, 'bin/psql')).find(existsSync)
  return process.env.PSQL ?? real ?? findProgram('psql')
}
