// A real PgBouncer before the PostgreSQL of a test, with a database for each way to share connections.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestHydra } from './hydra.ts'
import { until } from './until.ts'

const PORT = 6432

// Debian has it where only root looks for programs
const PATH = [process.env.PATH, '/usr/sbin'].join(delimiter)

/** Why there is none; false if there is one. */
export const withoutPgBouncer: string | false = findObstacle()

function findObstacle(): string | false {
  try {
    execFileSync('pgbouncer', ['--version'], { env: { PATH }, stdio: 'ignore' })
    return false
  } catch (error) {
    return `pgbouncer --version does not work: ${(error as Error).message}`
  }
}

export interface TestPgBouncer {
  /** how the program is told to connect; the database is called like the way to share */
  connectionOf(way: Way): { host: string; port: number; user: string; database: string }
  close(): Promise<void>
}

const WAYS = ['session', 'transaction', 'statement'] as const

export type Way = (typeof WAYS)[number]

/** Ends with this process in any case: whatever ends that, a read of its stdin then comes to an end. */
export async function startPgBouncer(hydra: TestHydra): Promise<TestPgBouncer> {
  const directory = mkdtempSync(join(tmpdir(), 'hc-pgb-'))
  const file = join(directory, 'pgbouncer.ini')
  const databases = WAYS.map(
    way => `${way} = host=${hydra.socketDirectory} port=5432 dbname=${hydra.database} pool_mode=${way}`,
  )
  writeFileSync(join(directory, 'users'), '"hydra" ""\n')
  // it does not run as root
  const user = process.getuid?.() === 0 ? ['user = nobody'] : []
  writeFileSync(
    file,
    [
      ...['[databases]', ...databases, '[pgbouncer]', 'listen_addr =', `listen_port = ${PORT}`],
      ...[`unix_socket_dir = ${directory}`, 'auth_type = trust', `auth_file = ${join(directory, 'users')}`],
      ...user,
    ].join('\n'),
  )
  chmodSync(directory, 0o777)
  const script = 'pgbouncer --quiet "$1" & read -r _; kill "$!"; wait'
  const bouncer = spawn('sh', ['-c', script, 'sh', file], {
    env: { PATH },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new Promise(resolve => bouncer.once('exit', resolve))
  await until('PgBouncer listens', () => canConnect(join(directory, `.s.PGSQL.${PORT}`)))
  return {
    connectionOf: way => ({ host: directory, port: PORT, user: 'hydra', database: way }),
    async close() {
      bouncer.stdin.end()
      await ended
      rmSync(directory, { recursive: true })
    },
  }
}

function canConnect(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.end())
  })
}
