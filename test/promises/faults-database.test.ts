// The matrix of faults, PostgreSQL's part (faults.test.ts has GitHub's): each command meets whatever can be wrong with
// Hydra's database, which is a real one, before it and at each of its queries in turn. Each cell ends well and with the
// channel where it belongs; or with an error that names the database and says what to do, and no channel moves at all.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Connection } from '../../src/hydra/connection.ts'
import { startCache } from '../helpers/cache.ts'
import { type CommandName, runCommand } from '../helpers/command.ts'
import { CLOSED, listen, NO_ANSWER, NOT_RUNNING, PASSWORD, type Timeouts } from '../helpers/database.ts'
import type { TestHydra } from '../helpers/hydra.ts'
import { CUTS, type Point, type ProxyOptions, startPostgresProxy } from '../helpers/postgres-proxy.ts'
import { CHANNEL, JOB } from '../helpers/stage.ts'
import { quote, serverSays } from '../helpers/words.ts'
import { C1, C2, type Command, type How, type Ran, type RunScene, runSceneFor, seedBuilds } from './runs.ts'

const COMMANDS = ['hook', 'reconcile', 'status', 'get-flake-commit'] as const satisfies Command[]

/** Whatever the fault, a run in this process is over by then: a guard for what waits on, no measurement. */
const DEADLINE_MS = 45_000
const SHORT = { connectTimeoutSeconds: 60, lookTimeoutMs: 80 }

let cells = 0

/** main: c1 - c2   builds of both good   channel at c1 */
const sceneFor = (t: TestContext) => runSceneFor(t, [JOB])

/** One run, with the looks or with the lock of reconcile through a proxy. */
async function runThrough(
  scene: RunScene,
  command: Command,
  {
    of = 'looks',
    timeouts,
    lockTimeoutMs,
    config,
    ...options
  }: ProxyOptions & Pick<How, 'timeouts' | 'lockTimeoutMs' | 'config'> & { of?: 'looks' | 'lock' },
): Promise<{ ran: Ran; rounds: string[][] }> {
  const proxy = await startPostgresProxy(scene.hydra, options)
  const straight = scene.configured()
  const proxied = scene.configured({ host: proxy.directory })
  try {
    const ran = await scene.run(command, {
      connection: of === 'looks' ? proxied : straight,
      lockConnection: of === 'lock' ? proxied : straight,
      ...(timeouts && { timeouts }),
      ...(lockTimeoutMs && { lockTimeoutMs }),
      ...(config && { config }),
    })
    return { ran, rounds: proxy.rounds }
  } finally {
    await proxy.close()
  }
}

/** `well`, or the message about the database, with its hint */
type Ending = 'well' | string | RegExp

const ASKED = /^cannot ask Hydra's database at \S+:\d+, database \S+, role \S+ \(configuration\): /

interface Where {
  /** what was looked up before is known, and the trouble is told of the channel that waits for this look */
  look: 'first' | 'second'
}

/** What is wrong with how a run ended: nothing. */
function judge(command: Command, what: string, ends: Ending, ran: Ran, { look }: Where = { look: 'first' }) {
  cells++
  const problems: string[] = []
  const expect = (name: string, is: unknown, expected: unknown) => {
    if (JSON.stringify(is) !== JSON.stringify(expected))
      problems.push(
        `${command}, ${what}: ${name} is ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`,
      )
  }
  if (ends === 'well') {
    expect('said', ran.said, [])
    expect('ended', ran.ended, 'ok')
    if (command === 'status') expect('the reason', ran.reasons, ['behind'])
    if (command === 'get-flake-commit') expect('the commit', ran.log, [C2])
  } else {
    const [said = '', ...more] = ran.said
    const name = `alice/dotfiles ${CHANNEL}: `
    const isOfChannel = look === 'second' && command !== 'status'
    const own = isOfChannel
      ? said.replace(`${name}cannot be moved: `, '').replaceAll(`\n${name}`, '\n')
      : said
    const plain = own.replace(ASKED, '')
    if (
      plain === own ||
      (isOfChannel && own === said) ||
      (typeof ends === 'string' ? plain !== ends : !ends.test(plain))
    )
      problems.push(`${command}, ${what}: it says ${JSON.stringify(said)}, expected ${ends}`)
    expect('more', more, [])
    // what GitHub says is still shown
    expect('ended', ran.ended, command === 'status' ? 'ok' : 'failed')
    if (command === 'status') expect('the reason', ran.reasons, [look === 'first' ? 'unknown' : 'behind'])
  }
  const moves = ends === 'well' && (command === 'hook' || command === 'reconcile')
  expect('moves', ran.moves, moves ? [`${CHANNEL}: c1..c2`] : [])
  return [...problems, ...judgeAlways(command, what, ran)]
}

function judgeAlways(command: Command, what: string, ran: Ran): string[] {
  const problems: string[] = []
  const all = [...ran.said, ...ran.log].join('\n')
  if (all.includes(PASSWORD)) problems.push(`${command}, ${what}: the password is said`)
  if (all.includes('unexpected error')) problems.push(`${command}, ${what}: ${all}`)
  if (ran.tookMs > DEADLINE_MS) problems.push(`${command}, ${what}: it took ${ran.tookMs} ms`)
  return problems
}

const ROLE = 'the server does not let this user in under that role: see pg_hba.conf and the ident map'
const TAKEN = 'all connections of the server or of the role are taken; the next run tries again'
const NO_HYDRA = 'is this the database of a Hydra?'
const GRANT = 'the role lacks SELECT on this table: grant it'
const COLUMNS = 'this Hydra has other columns than this program knows: is one of the two very old?'
const SLOW = 'the query took longer than 30 s, or somebody cancelled it; the next run tries again'
const LOST = `the server closed the connection (CONNECTION_CLOSED)\n${CLOSED}`
/** a busy machine connects in that time */
const LOCK_TIMEOUT_MS = 3000
const SILENT_LOCK = `no answer within 3 s (NO_ANSWER)\n${NO_ANSWER}`
const SILENT = `no answer within ${SHORT.lookTimeoutMs / 1000} s (NO_ANSWER)\n${NO_ANSWER}`

interface Refusal {
  what: string
  connection?: Partial<Connection>
  /** a superuser's, before and after; DB is the database */
  before?: string
  after?: string
  ends: Ending | ((command: Command) => Ending)
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'there is no socket',
    connection: { host: '/nonexistent' },
    ends: `connect ENOENT /nonexistent/.s.PGSQL.5432\n${NOT_RUNNING}`,
  },
  {
    what: 'there is no such role',
    connection: { user: 'mallory' },
    ends: serverSays('"mallory"', '28000', ROLE),
  },
  {
    what: 'the role may not log in',
    connection: { user: 'DB_out' },
    before: 'create role DB_out nologin',
    after: 'drop role DB_out',
    ends: serverSays('_out"', '28000', ROLE),
  },
  {
    what: 'there is no such database',
    connection: { database: 'nothing' },
    ends: serverSays('"nothing"', '3D000', 'check "database" in the configuration'),
  },
  {
    what: "the database is not Hydra's",
    connection: { database: 'postgres' },
    ends: serverSays('"', '42P01', NO_HYDRA),
  },
  {
    what: 'the role has all the connections that it may have',
    connection: { user: 'DB_all' },
    before: 'create role DB_all login connection limit 0',
    after: 'drop role DB_all',
    ends: serverSays('_all"', '53300', TAKEN),
  },
  {
    what: 'the role may have one connection, and the lock is the first',
    connection: { user: 'DB_one' },
    before: 'create role DB_one login connection limit 1 in role hydra',
    after: 'drop role DB_one',
    ends: command => (command === 'reconcile' ? serverSays('_one"', '53300', TAKEN) : 'well'),
  },
  {
    what: 'the role may not connect',
    connection: { user: 'DB_far' },
    before: 'create role DB_far login; revoke connect on database DB from public',
    after: 'grant connect on database DB to public; drop role DB_far',
    ends: serverSays('"', '42501', 'the role lacks CONNECT on this database: grant it'),
  },
  {
    what: 'the role may not look into the schema',
    before: 'revoke usage on schema public from public',
    after: 'grant usage on schema public to public',
    // the server does not say that it is there
    ends: serverSays('"', '42P01', NO_HYDRA),
  },
  {
    what: 'the database has all the connections that it may have',
    before: 'alter database DB connection limit 0',
    after: 'alter database DB connection limit -1',
    ends: serverSays('"', '53300', TAKEN),
  },
]

/** The tables, with a column, and who reads them. */
const TABLES: readonly { table: string; column: string; readers: readonly Command[]; cached?: true }[] = [
  { table: 'builds', column: 'job', readers: COMMANDS },
  { table: 'jobsets', column: 'project', readers: COMMANDS },
  { table: 'jobsetevals', column: 'flake', readers: COMMANDS },
  { table: 'jobsetevalmembers', column: 'build', readers: COMMANDS },
  { table: 'projects', column: 'enabled', readers: ['hook', 'reconcile', 'status'] },
  { table: 'jobsetrenames', column: 'from_', readers: ['hook', 'reconcile', 'status'] },
  { table: 'evaluationerrors', column: 'errormsg', readers: ['hook', 'reconcile', 'status'] },
  // without a cache nothing has to be proven
  { table: 'buildoutputs', column: 'path', readers: [] },
  { table: 'buildoutputs', column: 'path', readers: ['hook', 'reconcile'], cached: true },
]

/** A cache that has the outputs of all builds. */
async function configWithCache(t: TestContext, { sql }: TestHydra): Promise<NonNullable<How['config']>> {
  const cache = await startCache()
  t.after(() => cache.close())
  const rows = await sql<{ path: string }[]>`select path from buildoutputs`
  for (const { path } of rows) cache.paths.add(path)
  return { cache: { url: cache.url, timeoutSeconds: 60, parallel: 4 } }
}

/** What becomes of a run whose connection ends, or falls silent, in one of its rounds. */
function endingOf(rounds: readonly string[], round: number, cut: string): Ending {
  const commit = rounds.indexOf('commit')
  // all has been answered
  const known = round >= commit || (round === commit - 1 && cut === 'after the answer')
  if (cut === 'silent') return round >= rounds.lastIndexOf('commit') ? 'well' : SILENT
  // a second look, of reconcile and status, has a new connection
  return known ? 'well' : LOST
}

/** Nobody waits for the answer to `commit`, so the next look is the first to miss the server. */
const lookOf = (rounds: readonly string[], round: number) =>
  rounds.slice(0, round + 1).filter(text => text === 'commit').length

/** The first look is 0. No other one is short, or a busy machine would end a look that nothing is wrong with. */
function shortLook(look: number): Timeouts {
  let looks = 0
  return {
    ...SHORT,
    get lookTimeoutMs() {
      return looks++ === look ? SHORT.lookTimeoutMs : 60_000
    },
  }
}

/** How a run ends if rows are not as Hydra writes them. */
interface Expected {
  /** the only error; default: none */
  said?: RegExp
  /** default: `failed` if there is a message */
  ended?: 'failed'
  /** of hook and reconcile; default: c2, and c1 if there is a message */
  at?: 'c1' | 'c2'
  /** of status; default: behind */
  reason?: string
  /** of get-flake-commit; default: c2 */
  commit?: string
}

interface Row {
  what: string
  /** build 1 and eval 1 are of c1, build 2 and eval 2 of c2, and the jobset is 1 */
  sql: string
  ends?: Partial<Record<Command, Expected>>
  /** the hook's build, if a cache is asked for the outputs of build 2; that of build 1 is there */
  cached?: 1
  /** default: all */
  commands?: readonly Command[]
}

const FLAKE_HINT =
  "the jobset's flake should be github:alice/dotfiles or a git+https or git+ssh URL of that repository"
const flake = (text: string) => `update jobsetevals set flake = ${text} where id = 2`

/** An eval that names no commit: no channel moves for it, and the message names the flakeref. */
function nameless(what: string, sql: string, shown: string, why: string): Row {
  const moved = new RegExp(
    `^alice/dotfiles ${CHANNEL}: cannot be moved: the flakeref of eval 2 cannot be used: ${quote(shown)}: ${why}\nalice/dotfiles ${CHANNEL}: ${quote(FLAKE_HINT)}$`,
  )
  const found = new RegExp(`has no flake commit: the flakeref of eval 2 is ${quote(shown)}: ${why}$`)
  return {
    what,
    sql,
    ends: {
      hook: { said: moved },
      reconcile: { said: moved },
      status: { reason: 'unusable-flakeref' },
      'get-flake-commit': { said: found },
    },
  }
}

function foreign(what: string, flakeref: string, shown = flakeref): Row {
  const said = new RegExp(
    `^alice/dotfiles ${CHANNEL}: cannot be moved: the flakeref of eval 2 is of another repository: ${quote(shown)} is not github\\.com/alice/dotfiles\nalice/dotfiles ${CHANNEL}: correct the rule`,
  )
  // get-flake-commit knows no repository
  return {
    what,
    sql: flake(`'${flakeref}'`),
    ends: { hook: { said }, reconcile: { said }, status: { reason: 'unusable-flakeref' } },
  }
}

function withoutFlakeref(what: string, sql: string, evalId: number): Row {
  const said = new RegExp(`^.*: cannot be moved: eval ${evalId} has no flakeref, so it names no commit$`)
  return {
    what,
    sql,
    ends: {
      hook: { said },
      reconcile: { said },
      status: { reason: 'unusable-flakeref' },
      'get-flake-commit': { said: new RegExp(`has no flake commit: eval ${evalId} has no flakeref$`) },
    },
  }
}

/** The newest build is none that counts, and the channel is at the one before. */
function noGood(what: string, sql: string, reason: string): Row {
  return { what, sql, ends: { hook: { at: 'c1' }, reconcile: { at: 'c1' }, status: { reason } } }
}

/** No row for our job: every command says so, in these words. */
function missing(what: string, sql: string, hook: RegExp, rule: RegExp, commit: RegExp): Row {
  return {
    what,
    sql,
    ends: {
      hook: { said: hook },
      reconcile: { said: rule },
      // the rule's trouble is said of its channels
      status: { reason: 'unknown' },
      'get-flake-commit': { said: commit },
    },
  }
}

/** The jobset has one more job, whose build succeeded. */
const anotherJob = (job: string) =>
  `insert into builds (id, finished, timestamp, jobset_id, job, drvpath, system, starttime, stoptime, buildstatus)
   select 3, 1, timestamp, 1, ${job}, drvpath, system, starttime, stoptime, 0 from builds where id = 2;
   insert into jobsetevalmembers values (2, 3, 1)`

/** No channel moves to a build unless all of it is seen in the cache. */
function output(
  what: string,
  path: string,
  said: RegExp,
  commands: readonly Command[] = ['hook', 'reconcile', 'status'],
): Row {
  return {
    what: `${what} as the path of an output`,
    sql: `update buildoutputs set path = ${path} where build = 2`,
    cached: 1,
    commands,
    ends: { hook: { said }, reconcile: { said }, status: { reason: 'not-cached' } },
  }
}

const UNNAMEABLE = /^dotfiles:main:.*: cannot name a channel .* it contains a control character\n/
const NOT_UNDERSTOOD =
  /^this program does not understand an answer of Hydra's database: .*build: is "2", expected an id\nif this Hydra is newer/
const NO_FLAKE = /^.*: cannot be moved: the jobset dotfiles:main is no flake, so its evals name no commit\n/
const UNKNOWN = /^.*: cannot be moved: GitHub has no commit f{40} in this repository\n/
const NO_BRANCH =
  /^.*: cannot be moved: the flake of the jobset cannot be read as this repository's, .*\n.*channels\[\]\.ref/
const NO_STORE_PATH = /^.*: cannot be moved: the output .* is no store path, so it is not copied$/s

const ROWS: readonly Row[] = [
  withoutFlakeref('an eval without flakeref', flake('null'), 2),
  withoutFlakeref(
    'a newer eval without builds and flakeref',
    'insert into jobsetevals (jobset_id, timestamp, hasnewbuilds) values (1, 1770000000, 0)',
    3,
  ),
  nameless('an empty flakeref', flake("''"), '', 'it is no URL-like flakeref'),
  nameless('garbage', flake("'garbage'"), 'garbage', 'it is no URL-like flakeref'),
  nameless(
    'a flakeref that is not locked',
    flake("'github:alice/dotfiles'"),
    'github:alice/dotfiles',
    'it names no revision, so it is not locked',
  ),
  nameless(
    'a rev of 39 digits',
    flake(`'github:alice/dotfiles/${C2.slice(1)}'`),
    `github:alice/dotfiles/${C2.slice(1)}`,
    'its revision is not 40 hexadecimal digits',
  ),
  nameless(
    'a flakeref with control characters',
    flake(`E'github:alice/dotfiles/\\u001b[31m\\n${C2}'`),
    `github:alice/dotfiles/\u001b[31m\n${C2}`,
    'its revision is not 40 hexadecimal digits',
  ),
  nameless(
    'a flakeref of a megabyte',
    flake("'github:alice/dotfiles/' || repeat('a', 1000000)"),
    `${`github:alice/dotfiles/${'a'.repeat(1000)}`.slice(0, 300)}…`,
    'its revision is not 40 hexadecimal digits',
  ),
  foreign('a flakeref of another repository', `github:mallory/dotfiles/${C2}`),
  foreign('a flakeref of another host', `gitlab:alice/dotfiles/${C2}`),
  foreign(
    'a flakeref with a password',
    `git+https://alice:${encodeURIComponent(PASSWORD)}@evil.example/alice/dotfiles?rev=${C2}`,
    `git+https://evil.example/alice/dotfiles?rev=${C2}`,
  ),
  {
    what: 'a commit that GitHub does not have',
    sql: flake(`'github:alice/dotfiles/${'f'.repeat(40)}'`),
    commands: ['hook', 'reconcile', 'get-flake-commit'],
    ends: {
      hook: { said: UNKNOWN },
      reconcile: { said: UNKNOWN },
      'get-flake-commit': { commit: 'f'.repeat(40) },
    },
  },
  noGood('an unknown status', 'update builds set buildstatus = 99 where id = 2', 'build-failed'),
  noGood('a negative status', 'update builds set buildstatus = -1 where id = 2', 'build-failed'),
  noGood('no status', 'update builds set buildstatus = null where id = 2', 'build-failed'),
  noGood('an unknown “finished”', 'update builds set finished = 2 where id = 2', 'building'),
  {
    what: 'absurd times',
    sql: `update builds set timestamp = -2147483648, starttime = 2147483647, stoptime = -2147483648;
          update jobsetevals set timestamp = -2147483648;
          update jobsets set lastcheckedtime = -2147483648, errortime = 2147483647, checkinterval = -1, starttime = -5`,
  },
  {
    what: 'a job with control characters',
    sql: anotherJob("E'nixos-\\u001b[31m\\u202e.x86_64-linux'"),
    // the others are not disturbed
    ends: { reconcile: { said: UNNAMEABLE, at: 'c2' }, status: { said: UNNAMEABLE } },
  },
  { what: 'a job of 2000 letters', sql: anotherJob("'nixos-' || repeat('a', 2000) || '.x86_64-linux'") },
  {
    what: 'evals with an unknown “hasnewbuilds”',
    sql: 'update jobsetevals set hasnewbuilds = 7 where id = 2',
  },
  { what: 'an eval without a row for its error', sql: 'update jobsetevals set evaluationerror_id = null' },
  {
    what: 'an error of three megabytes',
    sql: "update evaluationerrors set errormsg = E'\\u001b[31m' || repeat('x', 3000000)",
  },
  {
    what: 'a jobset without a flake',
    sql: 'update jobsets set flake = null',
    ends: {
      hook: { said: NO_BRANCH },
      reconcile: { said: NO_BRANCH },
      status: { reason: 'unusable-flakeref' },
    },
  },
  {
    what: 'a garbage flake',
    sql: "update jobsets set flake = E'\\u001b[31mgarbage'",
    ends: {
      hook: { said: NO_BRANCH },
      reconcile: { said: NO_BRANCH },
      status: { reason: 'unusable-flakeref' },
    },
  },
  {
    // git has no branch of such a name
    what: 'a flake of a megabyte',
    sql: "update jobsets set flake = 'github:alice/dotfiles/' || repeat('a', 1000000)",
    ends: {
      hook: { ended: 'failed', at: 'c1' },
      reconcile: { ended: 'failed', at: 'c1' },
      status: { reason: 'not-on-branch' },
    },
  },
  {
    what: 'an unknown “enabled”',
    sql: 'update jobsets set enabled = 99; update projects set enabled = -7',
  },
  {
    what: 'garbage errors of the jobset',
    sql: "update jobsets set errormsg = E'\\u001b[31m' || repeat('x', 3000000), errortime = -1, fetcherrormsg = E'\\u0085\\n'",
  },
  {
    what: 'an unknown type',
    sql: 'update jobsets set type = 7',
    ends: {
      hook: { said: NO_FLAKE },
      reconcile: { said: NO_FLAKE },
      status: { reason: 'unusable-flakeref' },
      'get-flake-commit': { said: /has no flake commit: its jobset is no flake$/ },
    },
  },
  missing(
    'a build in no eval',
    'delete from jobsetevalmembers',
    /^build 2 is in no eval of Hydra's database$/,
    /^the rule for .* matches no job of dotfiles:main: /,
    /has no flake commit: it is in no eval$/,
  ),
  missing(
    'nothing at all',
    'delete from projects',
    /^Hydra's database has no build 2\nis this the database of the Hydra that runs this hook\?$/,
    /^Hydra has no jobset dotfiles:main, which a rule names\ncorrect project and jobset in the rule$/,
    /^Hydra's database has no build 2$/,
  ),
  {
    what: 'an id that is no integer',
    sql: 'alter table builds alter column id type bigint',
    ends: {
      hook: { said: NOT_UNDERSTOOD },
      reconcile: { said: NOT_UNDERSTOOD },
      status: { said: NOT_UNDERSTOOD, reason: 'unknown' },
      'get-flake-commit': { said: NOT_UNDERSTOOD },
    },
  },
  output('no text', 'null', /^.*: cannot be moved: no output of the build has a path/, ['hook', 'reconcile']),
  output('an empty text', "''", NO_STORE_PATH),
  output('garbage', "'--help'", NO_STORE_PATH),
  output('another file', "'/etc/passwd'", NO_STORE_PATH),
  output('control characters', `E'/nix/store/${'a'.repeat(32)}-x\\u001b[31m\\n'`, NO_STORE_PATH),
  output('a megabyte', "'/nix/store/' || repeat('a', 1000000)", NO_STORE_PATH),
  output(
    'a path of elsewhere',
    `'/nix/store/${'a'.repeat(32)}-elsewhere'`,
    /^.*: cannot be moved: the cache does not have \/nix\/store\/a{32}-elsewhere: .* answers 404\n/,
  ),
]

function judgeRow(command: Command, { what, ends }: Row, ran: Ran): string[] {
  cells++
  const expected = ends?.[command] ?? {}
  const problems: string[] = []
  const matches =
    expected.said === undefined
      ? ran.said.length === 0
      : ran.said.length === 1 && expected.said.test(ran.said[0] ?? '')
  if (!matches) problems.push(`${command}, ${what}: it says ${JSON.stringify(ran.said).slice(0, 1000)}`)
  const moves = command === 'hook' || command === 'reconcile'
  const at = moves ? (expected.at ?? (expected.said ? 'c1' : 'c2')) : 'c1'
  const is = [ran.ended, ran.at, ran.moves.length, command === 'status' ? ran.reasons[0] : undefined]
  const should = [
    expected.ended ?? (expected.said && command !== 'status' ? 'failed' : 'ok'),
    at,
    at === 'c2' ? 1 : 0,
    command === 'status' ? (expected.reason ?? 'behind') : undefined,
  ]
  if (JSON.stringify(is) !== JSON.stringify(should))
    problems.push(`${command}, ${what}: it is ${is}, expected ${should}`)
  if (command === 'get-flake-commit' && !expected.said && ran.log[0] !== (expected.commit ?? C2))
    problems.push(`${command}, ${what}: the commit is ${ran.log}`)
  return [...problems, ...judgeAlways(command, what, ran)]
}

interface Cell {
  what: string
  name: CommandName
  args?: readonly string[]
  status: 0 | 1
  /** on standard error: the message and its hint; default: nothing */
  said?: RegExp
  /** what differs from a connection through the proxy */
  connection?: Partial<Connection>
  point?: Point
  before?: (scene: RunScene) => unknown
  /** default: nothing moves */
  at?: 'c2'
}

const hinted = (message: string, hint: string) =>
  new RegExp(`^cannot ask Hydra's database at .*: ${message}\n${quote(hint)}$`, 'm')

/** A second is a second here, so no cell waits for more than one time limit. */
const CELLS: readonly Cell[] = [
  {
    what: 'there is no socket',
    name: 'hydra-hook',
    status: 1,
    connection: { host: '/nonexistent' },
    said: hinted('connect ENOENT /nonexistent/\\.s\\.PGSQL\\.5432', NOT_RUNNING),
  },
  {
    what: 'there is no socket',
    name: 'hydra-channels',
    args: ['status'],
    // what GitHub says is still shown
    status: 0,
    connection: { host: '/nonexistent' },
    said: hinted('connect ENOENT /nonexistent/\\.s\\.PGSQL\\.5432', NOT_RUNNING),
  },
  {
    what: 'there is no socket, and nobody asks for one',
    name: 'channel-update',
    status: 0,
    connection: { host: '/nonexistent' },
    at: 'c2',
  },
  {
    what: 'there is no such role',
    name: 'hydra-channels',
    args: ['reconcile'],
    status: 1,
    connection: { user: 'mallory' },
    said: hinted('.*"mallory".* \\(28000\\)', ROLE),
  },
  {
    what: 'the role may not read a table',
    name: 'hydra-channels',
    args: ['reconcile'],
    status: 1,
    before: ({ hydra }) => hydra.sql`revoke select on jobsetevals from hydra`,
    said: hinted('.*\\bjobsetevals\\b.* \\(42501\\)', GRANT),
  },
  {
    what: 'the database has all the connections that it may have',
    name: 'hydra-hook',
    status: 1,
    before: ({ hydra }) => hydra.sql`alter database ${hydra.sql(hydra.database)} connection limit 0`,
    said: hinted('.*"\\w+".* \\(53300\\)', TAKEN),
  },
  {
    what: "the database is not Hydra's",
    name: 'get-flake-commit',
    args: ['2'],
    status: 1,
    connection: { database: 'postgres' },
    said: hinted('.*"\\w+".* \\(42P01\\)', NO_HYDRA),
  },
  {
    what: 'a column is not there',
    name: 'hydra-hook',
    status: 1,
    before: ({ hydra }) => hydra.sql`alter table jobsetevals rename flake to flakeref`,
    said: hinted('.*\\bflake\\b.* \\(42703\\)', COLUMNS),
  },
  {
    what: 'the server says nothing',
    name: 'hydra-hook',
    status: 1,
    point: { connection: 0, round: 0, cut: 'silent' },
    said: hinted('the server did not answer \\(CONNECT_TIMEOUT\\)', NO_ANSWER),
  },
  {
    what: 'the server says nothing',
    name: 'get-flake-commit',
    args: ['2'],
    status: 1,
    point: { connection: 0, round: 0, cut: 'silent' },
    said: hinted('the server did not answer \\(CONNECT_TIMEOUT\\)', NO_ANSWER),
  },
  {
    what: 'the server ends in the middle of the look',
    name: 'hydra-hook',
    status: 1,
    point: { connection: 0, round: 4, cut: 'terminated' },
    said: hinted('the server closed the connection \\(CONNECTION_CLOSED\\)', CLOSED),
  },
  {
    what: 'the server ends in the middle of the second look, which is made anew',
    name: 'hydra-channels',
    args: ['reconcile'],
    status: 0,
    point: { connection: 1, round: 7, cut: 'terminated' },
    at: 'c2',
  },
  {
    what: "the server ends the lock's connection",
    name: 'hydra-channels',
    args: ['reconcile'],
    status: 1,
    point: { connection: 0, round: 2, cut: 'terminated' },
    said: /^alice\/dotfiles nixos-tested-nas: cannot be moved: the lock in Hydra's database was lost: its connection has ended\nalice\/dotfiles nixos-tested-nas: nothing more is moved; the next run tries again$/m,
  },
  {
    what: 'a flakeref with control characters',
    name: 'hydra-hook',
    status: 1,
    before: ({ hydra }) => hydra.sql.unsafe(flake(`E'github:alice/dotfiles/\\u001b[31m\\n${C2}'`)),
    said: /cannot be used: github:alice\/dotfiles\/\\u001b\[31m\\u000a2{40}: its revision is not 40 hexadecimal digits$/m,
  },
]

const COMMAND_DEADLINE_MS = 60_000

// the real commands wait most of the time
describe('PostgreSQL', { concurrency: 2 }, () => {
  describe('through the real command', { concurrency: 4 }, () => {
    for (const { what, name, args = [], status, said, connection, point, before, at } of CELLS) {
      test(`${[name, ...args].join(' ')}: ${what}`, async t => {
        const scene = await sceneFor(t)
        const { github, hydra, directory } = scene
        const proxy = await startPostgresProxy(hydra, point && { point })
        t.after(() => proxy.close())
        github.graph.setBranch(CHANNEL, C1)
        await before?.(scene)
        const file = join(directory, 'command.json')
        const config = scene.configFor(scene.configured({ host: proxy.directory, ...connection }))
        writeFileSync(file, JSON.stringify(config))
        const app = ['--app-id', github.app.appId, '--private-key-file', join(directory, 'app.pem')]
        const more = name === 'channel-update' ? [...app, 'alice', 'dotfiles', CHANNEL, C2] : []
        const env = {
          HYDRA_CHANNELS_CONFIG: file,
          HYDRA_JSON: await hydra.writeEvent(2, directory),
          GITHUB_API_URL: github.app.apiUrl,
        }
        const began = performance.now()
        const ended = await runCommand(name, [...args, ...more], { env, streams: 'apart' })
        cells++
        const shown = `${ended.stdout}${ended.stderr}`
        assert.ok(performance.now() - began < COMMAND_DEADLINE_MS, 'it took too long')
        assert.equal(ended.status, status, shown)
        if (said) assert.match(ended.stderr, said)
        else assert.equal(ended.stderr, '')
        assert.doesNotMatch(shown, /unexpected error|uncaught|node:internal|^ {4}at /im)
        assert.deepEqual(
          github.repository.moves.map(({ ref, from, to }) => ({ ref, from, to })),
          at ? [{ ref: `refs/heads/${CHANNEL}`, from: C1, to: C2 }] : [],
        )
      })
    }
  })

  test('the server is not there, or refuses', async t => {
    const scene = await sceneFor(t)
    const { database, sql } = scene.hydra
    const problems: string[] = []
    for (const { what, connection = {}, before, after, ends } of REFUSALS) {
      if (before) await sql.unsafe(before.replaceAll('DB', database))
      const user = (connection.user ?? 'hydra').replace('DB', database)
      for (const command of COMMANDS) {
        const ran = await scene.run(command, { connection: scene.configured({ ...connection, user }) })
        problems.push(...judge(command, what, typeof ends === 'function' ? ends(command) : ends, ran))
      }
      if (after) await sql.unsafe(after.replaceAll('DB', database))
    }

    const closed = createServer()
    await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
    const address = closed.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    await new Promise(resolve => closed.close(resolve))
    const refused = `connect ECONNREFUSED 127.0.0.1:${port}\n${NOT_RUNNING}`
    const hangsUp = await listen(t, { port: 0, host: '127.0.0.1' }, socket => socket.end())
    for (const command of COMMANDS) {
      const at = (port: number) => ({ connection: scene.configured({ host: '127.0.0.1', port }) })
      problems.push(
        ...judge(command, 'nobody listens', refused, await scene.run(command, at(port))),
        ...judge(command, 'it hangs up at once', LOST, await scene.run(command, at(hangsUp.port))),
      )
    }
    assert.deepEqual(problems, [])
  })

  test('the server accepts, and says nothing', async t => {
    const scene = await sceneFor(t)
    await listen(t, { path: join(scene.directory, '.s.PGSQL.5432') }, () => {})
    const connection = scene.configured({ host: scene.directory })
    const lockConnection = scene.configured()
    const problems: string[] = []
    for (const command of ['hook', 'reconcile', 'status'] as const) {
      const dialling = { connectTimeoutSeconds: 0.05, lookTimeoutMs: 60_000 }
      const how = { connection, lockConnection }
      problems.push(
        ...judge(
          command,
          'nobody is connected',
          `the server did not answer (CONNECT_TIMEOUT)\n${NO_ANSWER}`,
          await scene.run(command, { ...how, timeouts: dialling }),
        ),
        ...judge(command, 'no answer', SILENT, await scene.run(command, { ...how, timeouts: SHORT })),
      )
    }
    assert.deepEqual(problems, [])
  })

  describe('a table', { concurrency: true }, () => {
    const faults: {
      what: string
      before: (table: string, column: string) => string
      after: (table: string, column: string) => string
      ends: (table: string) => Ending
    }[] = [
      {
        what: 'that the role may not read',
        before: table => `revoke select on ${table} from hydra`,
        after: table => `grant select on ${table} to hydra`,
        ends: table => serverSays(` ${table}`, '42501', GRANT),
      },
      {
        what: 'that is not there',
        before: table => `alter table ${table} rename to away`,
        after: table => `alter table away rename to ${table}`,
        ends: table => serverSays(`"${table}"`, '42P01', NO_HYDRA),
      },
      {
        what: 'without a column',
        before: (table, column) => `alter table ${table} rename column ${column} to away`,
        after: (table, column) => `alter table ${table} rename column away to ${column}`,
        ends: () => serverSays('', '42703', COLUMNS),
      },
    ]
    for (const { what, before, after, ends } of faults) {
      test(what, async t => {
        const scene = await sceneFor(t)
        const problems: string[] = []
        const config = await configWithCache(t, scene.hydra)
        for (const { table, column, readers, cached } of TABLES) {
          await scene.hydra.sql.unsafe(before(table, column))
          for (const command of cached ? readers : COMMANDS) {
            const connection = scene.configured()
            const ran = await scene.run(command, { connection, ...(cached && { config }) })
            const reads = readers.includes(command)
            problems.push(...judge(command, `${table} ${what}`, reads ? ends(table) : 'well', ran))
          }
          await scene.hydra.sql.unsafe(after(table, column))
        }
        assert.deepEqual(problems, [])
      })
    }

    test('that somebody else has locked, longer than a query may take', async t => {
      const scene = await sceneFor(t)
      const problems: string[] = []
      const config = await configWithCache(t, scene.hydra)
      for (const { table, readers, cached } of TABLES) {
        await scene.hydra.sql.begin(async sql => {
          await sql.unsafe(`lock table ${table} in access exclusive mode`)
          for (const command of readers) {
            const { ran } = await runThrough(scene, command, {
              statementTimeoutMs: 30,
              ...(cached && { config }),
            })
            const said = serverSays('', '57014', SLOW)
            problems.push(...judge(command, `${table} is locked`, said, ran))
          }
        })
      }
      assert.deepEqual(problems, [])
    })
  })

  describe('the connection is lost at each query in turn', { concurrency: true }, () => {
    for (const command of COMMANDS) {
      test(command, async t => {
        const scene = await sceneFor(t)
        const undisturbed = await runThrough(scene, command, {})
        const problems = judge(command, 'nothing is wrong', 'well', undisturbed.ran)
        const [rounds = [], ...others] = undisturbed.rounds
        assert.equal(others.length, 0)
        // no run waits for it, so it may not have been asked
        if (rounds.at(-1) !== 'commit') rounds.push('commit')
        for (const [round, text] of rounds.entries()) {
          for (const cut of CUTS) {
            // there is nobody yet whom the server could end; and nobody can tell get-flake-commit to wait shortly
            if (cut === 'terminated' && round === 0) continue
            if (cut === 'silent' && command === 'get-flake-commit') continue
            const ends = endingOf(rounds, round, cut)
            const look = lookOf(rounds, round)
            const { ran } = await runThrough(scene, command, {
              point: { connection: 0, round, cut },
              ...(ends === SILENT && { timeouts: shortLook(look) }),
            })
            const what = `${cut} ${round} (${text.slice(0, 40)})`
            problems.push(...judge(command, what, ends, ran, { look: look === 0 ? 'first' : 'second' }))
          }
        }
        assert.deepEqual(problems, [])
      })
    }

    test("reconcile's lock", async t => {
      const scene = await sceneFor(t)
      const [rounds = []] = (await runThrough(scene, 'reconcile', { of: 'lock' })).rounds
      assert.deepEqual(
        rounds.map(text => /^$|pg_try_advisory_xact_lock|^select 1$/.exec(text)?.[0]),
        ['', 'pg_try_advisory_xact_lock', 'select 1'],
      )
      const problems: string[] = []
      for (const round of rounds.keys()) {
        for (const cut of CUTS) {
          // it waits for its connection as long as every other does, which is 10 s
          if (cut === 'silent' && round === 0) continue
          if (cut === 'terminated' && round === 0) continue
          const point = { connection: 0, round, cut }
          const { ran } = await runThrough(scene, 'reconcile', {
            of: 'lock',
            point,
            ...(cut === 'silent' && { lockTimeoutMs: LOCK_TIMEOUT_MS }),
          })
          const what = `the lock, ${cut} ${round}`
          if (round === 2 && cut === 'after the answer')
            problems.push(...judge('reconcile', what, 'well', ran))
          else if (round === 2 || (round === 1 && cut === 'after the answer')) {
            cells++
            const lost =
              "alice/dotfiles nixos-tested-nas: cannot be moved: the lock in Hydra's database was lost: its connection has ended\nalice/dotfiles nixos-tested-nas: nothing more is moved; the next run tries again"
            assert.deepEqual([ran.ended, ran.said, ran.moves], ['failed', [lost], []], what)
          } else problems.push(...judge('reconcile', what, cut === 'silent' ? SILENT_LOCK : LOST, ran))
        }
      }
      assert.deepEqual(problems, [])
    })
  })

  describe('rows that Hydra would not write', { concurrency: true }, () => {
    for (const half of [0, 1]) {
      test(`${half + 1} of 2`, async t => {
        const scene = await sceneFor(t)
        const { sql } = scene.hydra
        const cache = await startCache()
        t.after(() => cache.close())
        const [row] = await sql<{ path: string }[]>`select path from buildoutputs where build = 1`
        cache.paths.add(row?.path ?? '')
        // those that a Hydra of another age may not have
        await sql`alter table jobsets drop constraint jobsets_type_known, drop constraint jobsets_flake_matches_type`
        const problems: string[] = []
        for (const each of ROWS.filter((_, n) => n % 2 === half)) {
          await sql`truncate projects, evaluationerrors restart identity cascade`
          await sql`alter table builds alter column id type integer`
          await seedBuilds(scene.hydra)
          await sql.unsafe(each.sql)
          const how: How = {
            connection: scene.configured(),
            ...(each.cached && {
              config: { cache: { url: cache.url, timeoutSeconds: 60, parallel: 4 } },
              build: 1,
            }),
          }
          for (const command of each.commands ?? COMMANDS)
            problems.push(...judgeRow(command, each, await scene.run(command, how)))
        }
        assert.deepEqual(problems, [])
      })
    }
  })
})

test('cells', t => t.diagnostic(`${cells} cells, ${CELLS.length} of them through the command`))
