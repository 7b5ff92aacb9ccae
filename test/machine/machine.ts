// A machine with a real systemd, PostgreSQL, polkit and sudo, and on it what nix/module.nix makes (fixtures/machines), as a
// container: nothing of it listens outside. GitHub and the cache are outside, behind unix sockets.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectTo, createServer, type Server } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { keepLog, keepSecrets } from '../helpers/command.ts'
import { startGitHub, type TestGitHub, type TestRepository } from '../helpers/github/github.ts'
import { writeAsHydra } from '../helpers/hydra.ts'
import { connect } from '../helpers/postgres.ts'
import { until } from '../helpers/until.ts'
import { type Files, fixtureOf, type MachineName, parseFiles } from '../nix/machines.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))
const SCHEMA = fileURLToPath(new URL('../../fixtures/hydra.sql', import.meta.url))

const SUITE = 'trixie'
const PACKAGES = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'polkitd',
  'postgresql',
  'sudo',
  'ca-certificates',
  'curl',
  'jq',
  'nodejs',
  'procps',
  'util-linux',
  'libnss-systemd',
].join(',')

/** Kept from run to run: it takes half a minute to make. */
const ROOT = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'hydra-channels',
  `debian-${SUITE}-${createHash('sha256')
    .update(PACKAGES)
    .update(readFileSync(join(HERE, 'make-root')))
    .digest('hex')
    .slice(0, 12)}`,
)

/** Where CI has all that a machine needs, a test that is skipped is a mistake. */
const isRequired = process.env.HYDRA_CHANNELS_TEST_MACHINE === 'required'

/** Why no machine can be booted; false if one can. */
export const withoutMachine: string | false = findObstacle()

function findObstacle(): string | false {
  const why = (() => {
    if (process.getuid?.() !== 0) return 'a machine is booted by root only'
    const missing = ['systemd-nspawn', 'nsenter', 'setpriv', 'flock'].find(name => !isInstalled(name))
    if (missing) return `${missing} is not installed`
    if (existsSync(ROOT)) return false
    if (!isInstalled('mmdebstrap')) return 'mmdebstrap is not installed'
    try {
      execFileSync(join(HERE, 'make-root'), [ROOT, SUITE, PACKAGES], { stdio: ['ignore', 'ignore', 'pipe'] })
      return false
    } catch (error) {
      const said = String((error as { stderr?: Buffer }).stderr ?? error).trimEnd()
      return `no root file system of Debian could be made: ${said.split('\n').at(-1)}`
    }
  })()
  if (why && isRequired) throw new Error(`HYDRA_CHANNELS_TEST_MACHINE is “required”, but ${why}`)
  return why
}

function isInstalled(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, command)))
}

export interface Ended {
  status: number
  stdout: string
  stderr: string
}

export interface RunOptions {
  /** default: root */
  as?: string | undefined
  /** a terminal, by script(1): both streams are one, with the colours of a terminal */
  terminal?: boolean
}

export interface Machine {
  github: TestGitHub
  /** alice/dotfiles */
  repo: TestRepository
  hydra: ReturnType<typeof writeAsHydra>
  /** A file of the machine, from outside. */
  path(inside: string): string
  read(inside: string): string
  write(inside: string, content: string): void
  /** By a shell of the machine, as root unless told otherwise; ends within a minute. */
  run(script: string, options?: RunOptions): Promise<Ended>
  /** As {@link run}, and must end well. */
  ok(script: string, options?: RunOptions): Promise<string>
  /** Hydra has evaluated a commit, and built a configuration for each host: the builds. */
  evaluate(sha: string, hosts: readonly string[]): Promise<number[]>
  /** Hydra's notifier starts the hook of a build's event. */
  hook(build: number, how?: 'in turn' | 'at once'): Promise<{ status: number; log: string }>
  /** The messages of a unit since the machine was booted, or since the last {@link forget}. */
  journal(unit: string): Promise<string>
  /** From now on the journal is of what follows; and what ran before counts for no limit of starts, as runs are short here. */
  forget(): Promise<void>
  /** main's next commit, evaluated and built for these hosts (default: nas). The journal begins anew. */
  build(...hosts: string[]): Promise<{ sha: string; builds: number[]; build: number }>
  /** What the channel of a host is at; undefined if there is none. */
  tip(host?: string): Promise<string | undefined>
  /** A timer of reconcile that does not let a test wait for a quarter of an hour. It is not started. */
  shortenTimer(): Promise<void>
  /** `systemctl show` */
  show<P extends string>(unit: string, ...properties: P[]): Promise<Record<P, string>>
  /** Until a condition holds that asks the machine. */
  until(what: string, condition: () => unknown): Promise<void>
  /** Until a unit has ended, and nothing asks for it. */
  settled(unit?: string): Promise<void>
  /** What a port outside answers is behind `NAME.socket` of the machine. */
  bridge(name: 'page', port: number): Promise<void>
  /** `power-cut`: nothing is told of it */
  reboot(how: 'orderly' | 'power-cut'): Promise<void>
  /** The store paths that were copied, in their order, each time. */
  copied(): string[]
  /** The next copies wait until the end of it. */
  holdCopies(): Promise<{ begun(): Promise<void>; end(): Promise<void> }>
  close(): Promise<void>
}

const RECONCILE = 'hydra-channels-reconcile.service'
/** of the cache */
const LOGIN = ['nix', 'correct-horse-battery']
const PATH_UNIT = 'hydra-channels-reconcile.path'

/** How often a unit was started, by its journal. */
export const startsIn = (journal: string) => journal.match(/^Starting /gm)?.length ?? 0

export async function bootMachine(name: MachineName): Promise<Machine> {
  const work = mkdtempSync(join(tmpdir(), 'hc-machine-'))
  const github = await startGitHub()
  const repo = await github.createRepository('alice/dotfiles')
  const outside = join(work, 'outside')
  const cache = join(work, 'cache')
  for (const folder of [outside, cache]) mkdirSync(folder)
  chmodSync(work, 0o755)
  chmodSync(outside, 0o755)
  const servers: { close(): unknown }[] = [
    await bridge(join(outside, 'github'), Number(new URL(github.apiUrl).port)),
    await serve(cache, join(outside, 'cache')),
  ]
  const cleanUp = async () => {
    for (const server of servers) server.close()
    await github.close()
    execFileSync('unshare', [...NAMESPACE, join(HERE, 'remove-cgroup'), work, cgroupOf(work)])
    rmSync(work, { recursive: true, force: true })
  }
  install(join(work, 'changes'), parseFiles(fixtureOf(name)), github)

  let { leader, ended } = await boot(work).catch(async error => {
    await cleanUp()
    throw error
  })
  const path = (inside: string) => `/proc/${leader}/root${inside}`
  const openDatabase = () =>
    writeAsHydra(
      connect({ socketDirectory: path('/run/postgresql'), port: 5432 }, { database: 'hydra' }),
      'hydra',
    )
  let hydra = openDatabase()
  let since = '0'
  let events = 0
  let release = async () => {}
  let jobset: Promise<number> | undefined
  let newest: string | undefined

  const run: Machine['run'] = (script, { as, terminal } = {}) =>
    runInside(leader, terminal ? ['script', '-qefc', script, '/dev/null'] : ['/bin/bash', '-c', script], as)
  const ok: Machine['ok'] = async (script, options) => {
    const { status, stdout, stderr } = await run(script, options)
    if (status !== 0) throw new Error(`“${script}” ended with ${status}: ${stdout}${stderr}`)
    return stdout
  }
  const show: Machine['show'] = async (unit, ...properties) => {
    const shown = await ok(`systemctl show --property=${properties.join(',')} -- '${unit}'`)
    return Object.fromEntries(
      shown.split('\n').map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ) as Record<(typeof properties)[number], string>
  }
  const machine: Machine = {
    github,
    repo,
    get hydra() {
      return hydra
    },
    path,
    read: inside => readFileSync(path(inside), 'utf8'),
    write(inside, content) {
      mkdirSync(dirname(path(inside)), { recursive: true })
      writeFileSync(path(inside), content)
    },
    run,
    ok,
    async evaluate(sha, hosts) {
      jobset ??= hydra.jobset()
      const jobs = hosts.map(host => ({ job: `nixos-${host}.x86_64-linux` }))
      const evaluation = await hydra.eval({
        jobset: await jobset,
        flake: `github:alice/dotfiles/${sha}`,
        builds: jobs,
      })
      const rows = await hydra.sql<{ build: number }[]>`
        select build from jobsetevalmembers where eval = ${evaluation} order by build`
      return rows.map(({ build }) => build)
    },
    async hook(build, how = 'in turn') {
      const event = `${build}-${++events}`
      const file = path(`/var/lib/hydra/runcommand-logs/${event}`)
      writeFileSync(path(`/var/lib/hydra/events/${event}`), JSON.stringify(await hydra.eventOf(build)))
      await until('hydra-notify listens', () =>
        send(path('/run/hydra-notify/queue'), `${event}${how === 'at once' ? ' &' : ''}\n`),
      )
      await until(`the hook of build ${build} has ended`, () => existsSync(`${file}.status`))
      return { status: Number(readFileSync(`${file}.status`, 'utf8')), log: readFileSync(file, 'utf8') }
    },
    journal: unit => ok(`journalctl --sync; journalctl --output=cat --unit='${unit}' --since='@${since}'`),
    async forget() {
      since = (await ok("systemctl reset-failed; journalctl --sync; date '+%s.%6N'")).trim()
    },
    async build(...hosts) {
      const [sha = ''] = await repo.history(1, newest)
      newest = sha
      await repo.setBranch('main', sha)
      const builds = await machine.evaluate(sha, hosts.length === 0 ? ['nas'] : hosts)
      await machine.forget()
      return { sha, builds, build: builds[0] ?? 0 }
    },
    tip: (host = 'nas') => repo.branch(`nixos-tested-${host}`),
    async shortenTimer() {
      const times =
        'OnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=3s\nAccuracySec=10ms\n'
      const timer = RECONCILE.replace('.service', '.timer')
      machine.write(`/run/systemd/system/${timer}.d/shorter.conf`, `[Timer]\n${times}`)
      await ok('systemctl daemon-reload')
    },
    show,
    settled: (unit = RECONCILE) =>
      machine.until(`${unit} has ended`, async () => {
        // first the kick: a run removes it after it has begun
        const isKicked = existsSync(path('/run/hydra-channels-kick/kick'))
        const { ActiveState, Job } = await show(unit, 'ActiveState', 'Job')
        const isHeard = isKicked && (await show(PATH_UNIT, 'ActiveState')).ActiveState === 'active'
        return ['inactive', 'failed'].includes(ActiveState) && Job === '' && !isHeard
      }),
    until: (what, condition) => until(what, condition, { pollMs: 150 }),
    async bridge(name, port) {
      servers.push(await bridge(join(outside, name), port))
    },
    async reboot(how) {
      await hydra.sql.end({ timeout: 0 })
      if (how === 'power-cut') process.kill(leader, 'SIGKILL')
      else await run('systemctl poweroff --no-block')
      await ended
      ;({ leader, ended } = await boot(work))
      since = '0'
      hydra = openDatabase()
    },
    copied: () =>
      existsSync(join(cache, 'copied')) ? lines(readFileSync(join(cache, 'copied'), 'utf8')) : [],
    async holdCopies() {
      // of a test that has failed
      await release()
      const holder = spawn('flock', [join(cache, 'lock'), 'sh', '-c', 'echo held; exec cat'])
      const released = new Promise(resolve => holder.once('exit', resolve))
      await new Promise(resolve => holder.stdout.once('data', resolve))
      release = async () => {
        holder.stdin.end()
        await released
      }
      const before = machine.copied().length
      return {
        begun: () => until('a copy has begun', () => machine.copied().length > before),
        end: release,
      }
    },
    async close() {
      // of a test that has failed: its process would keep ours alive
      await release()
      keepLog((await run('journalctl --output=cat --no-pager')).stdout)
      keepSecrets(github.secrets)
      await hydra.sql.end({ timeout: 0 })
      process.kill(leader, 'SIGKILL')
      await ended
      await cleanUp()
      if (github.violations.length > 0) throw new Error(github.violations.join('\n'))
    },
  }
  return machine
}

const NAMESPACE = ['--mount', '--propagation', 'private']
const cgroupOf = (work: string) => `hydra-channels-test-${work.slice(-6)}`
const lines = (text: string) => text.split('\n').filter(line => line !== '')

/** Writes the machine's own files over those of Debian. */
function install(root: string, files: Files, github: TestGitHub): void {
  cpSync(join(HERE, 'root'), root, { recursive: true, verbatimSymlinks: true })
  const write = (path: string, content: string, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content, { mode })
  }
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    symlinkSync(target, join(root, path))
  }
  for (const [path, content] of Object.entries(files)) {
    const [from = '', target] = path.split(' -> ')
    if (target !== undefined) link(from, target)
    else if (content.startsWith('#!')) write(path, content, 0o755)
    else if (path.startsWith('etc/sudoers.d/')) write(path, content, 0o440)
    else if (path.startsWith('etc/postgresql/')) continue
    else write(path, content)
  }
  // peer authentication of the test itself, which is root outside
  write(
    'etc/postgresql/17/main/pg_hba.conf',
    `local all postgres peer map=test\n${files['etc/postgresql/pg_hba.conf'] ?? ''}local all all peer\n`,
  )
  write(
    'etc/postgresql/17/main/pg_ident.conf',
    `test root postgres\ntest postgres postgres\n${HYDRA_USERS}${files['etc/postgresql/pg_ident.conf'] ?? ''}`,
  )
  write('etc/github-app-key', github.app.privateKeyPem, 0o400)
  write('etc/cache-netrc', `machine 127.0.0.1 login ${LOGIN.join(' password ')}\n`, 0o400)
  cpSync(SCHEMA, join(root, 'usr/local/share/hydra.sql'), { recursive: true })

  // what is in the store on NixOS
  const store = `nix/store/${'0'.repeat(32)}-`
  // a moment is shorter here, but where a test wants it as it is
  write(
    `${store}coreutils/bin/sleep`,
    '#!/bin/sh\nexec /usr/bin/sleep "$(cat /run/moment 2>/dev/null || echo 0.2)"\n',
    0o755,
  )
  for (const name of ['logname', 'rm', 'timeout']) link(`${store}coreutils/bin/${name}`, `/usr/bin/${name}`)
  for (const name of [
    'bash',
    'curl',
    'jq',
    'openssh',
    'findutils',
    'gnugrep',
    'gnused',
    'systemd',
    'postgresql',
    'util-linux',
  ]) {
    link(`${store}${name}`, '/usr')
  }
  const commands = readdirSync(DIST).filter(file => file.endsWith('.cjs'))
  for (const file of commands) {
    cpSync(join(DIST, file), join(root, `${store}hydra-channels/lib/${file}`))
    // as makeWrapper does in nix/package.nix
    write(
      `${store}hydra-channels/bin/${file.replace('.cjs', '')}`,
      `#!/bin/sh\nPATH="$PATH:/usr/bin" exec /usr/bin/node /${store}hydra-channels/lib/${file} "$@"\n`,
      0o755,
    )
  }
  write('etc/hosts', '127.0.0.1 localhost hydra1\n')
  // the system's profile, where hydra-channels is the one for shells
  write('etc/tmpfiles.d/profile.conf', 'd /run/current-system\nL /run/current-system/sw - - - - /usr\n')
  const forShells = Object.keys(files).find(path => path.endsWith('-for-shells/bin/hydra-channels'))
  if (forShells) link('usr/local/bin/hydra-channels', `/${forShells}`)
}

/** As hydra's NixOS module has it. */
const HYDRA_USERS = [
  'hydra hydra',
  'hydra-queue-runner hydra',
  'hydra-www hydra',
  'root hydra',
  'postgres postgres',
]
  .map(pair => `hydra-users ${pair}\n`)
  .join('')

async function boot(work: string): Promise<{ leader: number; ended: Promise<void> }> {
  const console: string[] = []
  const child = spawn('unshare', [...NAMESPACE, join(HERE, 'boot'), ROOT, work, cgroupOf(work)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => console.push(String(data)))
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  let leader: number | undefined
  await until('the machine has a first process', () => {
    if (child.exitCode !== null) throw new Error(`the machine did not boot: ${console.join('')}`)
    leader = findLeader(child.pid ?? 0)
    return leader !== undefined
  })
  const first = leader ?? 0
  let state = ''
  await until('the machine runs', async () => {
    if (child.exitCode !== null) throw new Error(`the machine did not boot: ${console.join('')}`)
    const { stdout, status } = await runInside(first, ['systemctl', 'is-system-running', '--wait'])
    state = stdout.trim()
    return status === 0 || state === 'degraded'
  })
  if (state !== 'running') {
    const { stdout } = await runInside(first, [
      '/bin/bash',
      '-c',
      'systemctl --failed; journalctl -p warning -b',
    ])
    process.kill(first, 'SIGKILL')
    await ended
    throw new Error(`the machine is ${state}: ${stdout}`)
  }
  return { leader: first, ended }
}

/** Without a reader, nothing is sent. */
function send(pipe: string, text: string): boolean {
  try {
    const descriptor = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
    writeFileSync(descriptor, text)
    closeSync(descriptor)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return false
    throw error
  }
}

/** The process below `pid` that is the first one of a namespace. */
function findLeader(pid: number): number | undefined {
  for (const child of childrenOf(pid)) {
    const status = readStatus(child)
    if (/^NSpid:.*\t1$/m.test(status)) return child
    const found = findLeader(child)
    if (found !== undefined) return found
  }
  return undefined
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && new RegExp(`^PPid:\\t${pid}$`, 'm').test(readStatus(Number(name))))
    .map(Number)
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}

const ENVIRONMENT = ['PATH=/usr/local/bin:/usr/bin:/usr/sbin', 'HOME=/', 'LANG=C.UTF-8', 'SYSTEMD_PAGER=cat']

function runInside(leader: number, command: readonly string[], as?: string): Promise<Ended> {
  const user = as === undefined ? [] : ['runuser', '-u', as, '--']
  const limit = ['timeout', '--kill-after=5', '60']
  const args = ['--target', `${leader}`, '--all', 'env', '-i', ...ENVIRONMENT, ...limit, ...user, ...command]
  // files, and not pipes: what a command leaves behind must not keep the test waiting
  const folder = mkdtempSync(join(tmpdir(), 'hc-inside-'))
  const files = ['stdout', 'stderr'].map(name => join(folder, name))
  const descriptors = files.map(file => openSync(file, 'a'))
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', args, { stdio: ['ignore', ...descriptors] })
    child.once('error', reject)
    child.once('exit', code => {
      for (const descriptor of descriptors) closeSync(descriptor)
      const [stdout = '', stderr = ''] = files.map(file => readFileSync(file, 'utf8'))
      rmSync(folder, { recursive: true })
      keepLog(stripVTControlCharacters(`${stdout}${stderr}`).replaceAll('\r', ''))
      resolve({ status: code ?? 255, stdout, stderr })
    })
  })
}

/** A unix socket that leads to a port of this machine. */
async function bridge(socket: string, port: number): Promise<Server> {
  const server = createServer(near => {
    const far = connectTo(port, '127.0.0.1')
    near.pipe(far).pipe(near)
    for (const end of [near, far]) end.on('error', () => [near, far].forEach(each => void each.destroy()))
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  chmodSync(socket, 0o666)
  return server
}

/** The files of a folder, as a binary cache that wants a login. */
async function serve(folder: string, socket: string) {
  const server = createHttpServer((request, response) => {
    const login = `Basic ${Buffer.from(LOGIN.join(':')).toString('base64')}`
    if (request.headers.authorization !== login) return void response.writeHead(401).end()
    if (request.url === '/nix-cache-info') return void response.end('StoreDir: /nix/store\n')
    const name = /^\/([0-9a-z]{32}\.narinfo)$/.exec(request.url ?? '')?.[1]
    if (!name || !existsSync(join(folder, name))) return void response.writeHead(404).end()
    response.end(readFileSync(join(folder, name)))
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  chmodSync(socket, 0o666)
  return server
}
