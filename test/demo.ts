// A small fleet in half a minute: a real PostgreSQL with Hydra's tables, a GitHub on this machine over a real git repository,
// and the built commands, started for one event after another as Hydra would. In the end status, explain and the page of
// status, which stays in a folder of its own.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { selfSigned } from './helpers/certificate.ts'
import { createStage } from './helpers/stage.ts'
import { channel, evaluate, job } from './helpers/status.ts'

const HOUR = 60 * 60
const DAY = 24 * HOUR

/** A name that nobody has, so that no link leads to somebody else's repository. */
const GITHUB = 'github.example.org'

const inTerminal = process.stdout.isTTY && process.env.TERM !== 'dumb' && !process.env.NO_COLOR
const bold = (text: string) => (inTerminal ? `\u001b[1m${text}\u001b[0m` : text)
const say = (text: string) => process.stdout.write(`${text}\n`)

/** A proxy that leads to this port, whatever host is asked for. */
async function serveProxy(port: number) {
  const proxy = createServer().on('connect', (_, socket) => {
    const there = connect(port, 'localhost')
    for (const end of [socket, there]) end.on('error', () => [socket, there].map(each => each.destroy()))
    there.once('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(there).pipe(socket)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, close: () => proxy.close() }
}

say('Starting PostgreSQL with the tables of a Hydra, and a GitHub over a bare git repository …')
say('This takes half a minute. Hooks run in inline mode here, so each log ends with the verdict.')
say('An “exit 1” is on purpose: there somebody would have to act.')
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const cert = selfSigned(GITHUB, keys)
const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const stage = await createStage({ basePath: '/api/v3', tls: { cert, key } })
const proxy = await serveProxy(Number(new URL(stage.github.apiUrl).port))
const { repository, hydra, systemd, config } = stage
try {
  const certificate = join(stage.directory, 'github.pem')
  writeFileSync(certificate, cert)
  Object.assign(stage.env, { https_proxy: proxy.url, NODE_EXTRA_CA_CERTS: certificate })
  // what the flakerefs in Hydra call this GitHub
  Object.assign(config.github, { apiUrl: `https://${GITHUB}/api/v3`, host: 'github.com' })
  config.hydraUrl = 'https://hydra.example.org'
  config.cache = { unit: 'copy-cache-demo@.service' }

  // main: c1 - c2 - c3 - c4     router and mail at c1, laptop at a commit of its own behind c1; nas is new in c2
  const now = Math.floor(Date.now() / 1000)
  const commit = (message: string, ago: number, ...parents: string[]) =>
    repository.commit({ parents, message, date: now - ago, files: { 'flake.nix': `# ${message}\n` } })
  const c1 = await commit('router, mail and laptop', 9 * DAY)
  const c2 = await commit('nas: a new host', 3 * DAY, c1)
  const c3 = await commit('router: nftables', DAY, c2)
  const c4 = await commit('mail: rspamd', HOUR / 3, c3)
  const byHand = await commit('laptop: tried something', 5 * DAY, c1)
  await repository.setBranches({
    main: c4,
    ...Object.fromEntries(['router', 'mail'].map(host => [channel(host), c1])),
    [channel('laptop')]: byHand,
  })

  function showGraph(when: string): void {
    const colour = inTerminal ? 'always' : 'never'
    const format = '%C(auto)%h%d%C(auto) %s'
    const look = ['--graph', '--all', '--date-order', '--decorate-refs=refs/heads', `--color=${colour}`]
    const args = ['-C', repository.gitDir, 'log', ...look, `--format=${format}`]
    say('')
    say(bold(`# the branches ${when}, as git sees them`))
    say(execFileSync('git', args, { encoding: 'utf8' }).trimEnd())
  }

  async function evaluated(sha: string, ago: number, hosts: Record<string, number>, error?: string) {
    const evalId = await evaluate(stage, sha, hosts)
    const timestamp = now - ago + 2 * 60
    await hydra.sql`update jobsetevals set timestamp = ${timestamp} where id = ${evalId}`
    await hydra.sql`update jobsets set lastcheckedtime = ${timestamp}, errortime = ${timestamp}`
    if (error !== undefined) {
      await hydra.sql`
        update evaluationerrors set errormsg = ${error}, errortime = ${timestamp}
        where id = (select evaluationerror_id from jobsetevals where id = ${evalId})`
      await hydra.sql`update jobsets set errormsg = ${error}`
    }
    const builds = await hydra.sql<{ job: string; id: number }[]>`
      update builds b set timestamp = ${timestamp}, starttime = ${timestamp + 60}, stoptime = ${timestamp + 300}
      from jobsetevalmembers m where m.build = b.id and m.eval = ${evalId} returning b.job, b.id`
    return (host: string) => builds.find(build => build.job === job(host))?.id ?? 0
  }

  function printLog(log: string, status: number | string): void {
    // the event itself is in the log as well, on a line of its own
    for (const line of log.trimEnd().split('\n'))
      say(`  | ${line.startsWith('{') ? `${line.slice(0, 60)}…` : line}`)
    say(`  exit ${status}`)
  }

  async function show(what: string, build: number): Promise<void> {
    const { event, ...rest } = await hydra.eventOf(build)
    say('')
    say(bold(`# ${what}`))
    say(
      `event: ${event} build ${rest.build}, ${rest.project}:${rest.jobset}:${rest.job}, status ${rest.buildStatus}`,
    )
    const { log, status } = await stage.hook(build)
    printLog(log, status)
  }

  /** In our own terminal, where there is one: with colours, and as wide as it is. */
  async function run(...args: string[]): Promise<void> {
    say('')
    say(bold(`$ hydra-channels ${args.join(' ')}`))
    const { TERM, COLORTERM, NO_COLOR, TZ } = process.env
    await stage.command('hydra-channels', args, {
      streams: 'inherited',
      env: { TERM, COLORTERM, NO_COLOR, TZ },
    })
  }

  await evaluated(c1, 9 * DAY, { router: 0, mail: 0, laptop: 0 })
  showGraph('before')

  const second = await evaluated(c2, 3 * DAY, { router: 0, mail: 0, laptop: 0, nas: 0 })
  await show('the first good build of a host creates its channel', second('nas'))

  const third = await evaluated(c3, DAY, { router: 1, mail: 0, laptop: 0, nas: 0 })
  await show('the next one fast-forwards it', third('nas'))

  await show('a failed build moves nothing', third('router'))

  await show('an older build that finishes late finds the channel further', second('nas'))

  await show('a channel that has a commit of its own is refused, with the way out', third('laptop'))

  // mail has no job in this one
  const fourth = await evaluated(
    c4,
    HOUR / 3,
    { router: 1, laptop: 0, nas: 0 },
    `in job ‘${job('mail')}’:\nerror:\n error: The option 'services.rspamd.enabled' does not exist.\n`,
  )
  systemd.ends('failed')
  await show('a build that could not be copied to the cache moves nothing', fourth('nas'))

  systemd.ends('ok')
  await show('and moves as soon as the copy succeeds', fourth('nas'))

  say('')
  say(bold('# no hook ran for the other builds: the next reconcile makes that good'))
  const { log, status } = await stage.command('hydra-channels', ['reconcile'])
  printLog(log, status)

  showGraph('after')

  await run('status')
  await run('explain', 'mail')
  const folder = mkdtempSync(join(tmpdir(), 'hydra-channels-demo-'))
  await run('status', '--page', folder)
  say('')
  say(`The page of status stays there: ${pathToFileURL(join(folder, 'index.html')).href}`)
  say('Its links lead to example.org, where nothing is.')
} finally {
  await stage.close()
  proxy.close()
}
