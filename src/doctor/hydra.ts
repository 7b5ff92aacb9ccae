// Hydra's half: its database, what our role may do there, and what the rules make of its jobs.
import { randomBytes } from 'node:crypto'
import * as z from 'zod/mini'
import { codeOf, messageOf, OperatorError, operatorErrorOf, PassingError } from '../base/errors.ts'
import { count } from '../base/log.ts'
import { missingJobset } from '../channels/candidate.ts'
import { type PlannedChannel, planFleet } from '../channels/plan.ts'
import type { Rule } from '../channels/rule.ts'
import { lookUpFleet } from '../channels/snapshot.ts'
import type { Config } from '../config.ts'
import { expectedHosts } from '../github/config.ts'
import { type Connection, findConnection, PASS_FILE, showConnection } from '../hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../hydra/database.ts'
import { acquireLock } from '../hydra/lock.ts'
import { findBuild } from '../hydra/queries/build.ts'
import { findBuildsInEvals } from '../hydra/queries/builds-in-evals.ts'
import { findCandidate, findJobStates } from '../hydra/queries/candidates.ts'
import { findEvalsOfCommits } from '../hydra/queries/evals-of-commits.ts'
import { findFailingSince } from '../hydra/queries/failing-since.ts'
import { findFirstBuilds } from '../hydra/queries/first-builds.ts'
import { findJobset, findNewName } from '../hydra/queries/jobset.ts'
import type { JobsetFacts } from '../hydra/queries/jobset-facts.ts'
import { findLastEvals } from '../hydra/queries/last-evals.ts'
import { findNewestEval } from '../hydra/queries/newest-eval.ts'
import { findNewestEvalOfBuild } from '../hydra/queries/newest-eval-of-build.ts'
import { findOutputsOfBuilds } from '../hydra/queries/outputs.ts'
import { findOutputsOfCommits } from '../hydra/queries/outputs-of-commits.ts'
import { findPresentJobs } from '../hydra/queries/present-jobs.ts'
import { parseRows } from '../hydra/queries/rows.ts'
import {
  type Answer,
  after,
  type Check,
  type Checked,
  check,
  notChecked,
  noteMode,
  someOf,
  withNotes,
} from './check.ts'
import { explainNoMatch, explainUnmatched } from './unmatched.ts'

/** All that the database is asked in this program, here about what no Hydra has: it answers with no row, or objects. */
export const QUERIES = {
  findBuild: sql => findBuild(sql, 0),
  findNewestEvalOfBuild: sql => findNewestEvalOfBuild(sql, 0),
  findNewestEval: sql => findNewestEval(sql, 0),
  findPresentJobs: sql => findPresentJobs(sql, 0),
  findOutputsOfBuilds: sql => findOutputsOfBuilds(sql, [0]),
  findJobset: sql => findJobset(sql, '', ''),
  findJobStates: sql => findJobStates(sql, 0),
  findCandidate: sql => findCandidate(sql, 0, ''),
  findNewName: sql => findNewName(sql, '', ''),
  findEvalsOfCommits: sql => findEvalsOfCommits(sql, 0, ['0'.repeat(40)]),
  findFailingSince: sql => findFailingSince(sql, 0, ['']),
  findFirstBuilds: sql => findFirstBuilds(sql, 0, ['']),
  findLastEvals: sql => findLastEvals(sql, 0, [''], 1),
  findOutputsOfCommits: sql => findOutputsOfCommits(sql, 0, [{ job: '', sha: '0'.repeat(40) }]),
  findBuildsInEvals: sql => findBuildsInEvals(sql, 0, '', [0]),
} as const satisfies Record<string, (sql: Sql) => Promise<unknown>>

export interface HydraOptions {
  config: Config
  env: Readonly<Record<string, string | undefined>>
  /** asks GitHub about names that evals give to the repository (channels/other-name.ts) */
  resolve: (planned: PlannedChannel) => Promise<PlannedChannel>
}

/** Hydra's schema that fixtures/hydra.sql is made of, which the tests run on: a number for each change of its tables. */
export const TRIED_SCHEMA_VERSION = 87

interface Opened {
  connection: Connection
  database: Database
  role: string
}

/** What Hydra's database says of the rules' jobsets, and what the rules make of that. */
export interface Fleet {
  database: Database
  jobsets: JobsetFacts[]
  channels: PlannedChannel[]
}

export function checkHydra(options: HydraOptions): {
  checks: Promise<Check>[]
  fleet: Promise<Checked<Fleet>>
  close(): Promise<void>
} {
  const { config, env, resolve } = options
  let opened: Database | undefined
  const database = check('database', async () => {
    const connection = findConnection(config.database, env)
    opened = openDatabase(connection)
    return checkServer(opened, connection)
  })
  const readOnly = after('read-only', database, checkReadOnly)
  const users = after('users', database, checkUsers)
  const tables = after('tables', database, checkTables)
  const schema = after('schema', database, checkSchema)
  const lock = after('lock', database, checkLock)
  const fleet = after('jobsets', tables, tested => checkJobsets(options, tested))
  const jobs = config.channels.map((rule, index) =>
    after('jobs', fleet, ({ jobsets }) =>
      checkRule({ rule, index, jobsets, hosts: expectedHosts(config.github), resolve }),
    ),
  )
  const overlap = after('overlap', fleet, ({ channels }) => checkOverlap(channels))
  return {
    checks: [database, readOnly, users, tables, schema, lock, fleet, ...jobs, overlap],
    fleet,
    close: async () => opened?.close(),
  }
}

const text = z.string('text')
const serverRow = z.object({ version: text, role: text })

async function checkServer(database: Database, connection: Connection): Promise<Answer<Opened>> {
  const rows = await database.look(
    sql => sql`select current_setting('server_version') as version, current_user as role`,
  )
  const [server] = parseRows(serverRow, rows)
  if (!server) throw new Error('a query without a table has one row')
  const { version, role } = server
  const where = showConnection(connection)
  const { passFile } = connection
  const whose = `the mode of ${passFile?.shown} (${PASS_FILE.key})`
  const then = 'they have the password: then change it'
  const notes = passFile === undefined ? [] : noteMode(passFile.path, { whose, then })
  return withNotes(`${where}: PostgreSQL ${version} answers`, notes, { connection, database, role })
}

const tableRow = z.object({
  name: text,
  writable: z.boolean('a boolean'),
})

/** Every transaction of this program is read only; what its role could do is another matter. */
async function checkReadOnly({ database, role }: Opened): Promise<Answer<never>> {
  const rows = await database.look(
    sql => sql`
      select c.relname as name,
             has_table_privilege(c.oid, 'insert, update, delete, truncate') as writable
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and pg_table_is_visible(c.oid)
        and n.nspname not in ('pg_catalog', 'information_schema')
      order by c.relname`,
  )
  const tables = parseRows(tableRow, rows)
  const writable = tables.filter(table => table.writable).map(({ name }) => name)
  if (writable.length === 0) {
    return { message: `the role ${role} may write to none of ${count(tables.length, 'table')}` }
  }
  return {
    result: 'note',
    message: `the role ${role} could write to ${count(writable.length, 'table')} (${someOf(writable)}); this program only reads`,
    hint: 'a role of its own, with SELECT and nothing else, is enough for it',
  }
}

const usersRow = z.object({ readable: z.boolean('a boolean') })

async function checkUsers({ database, role }: Opened): Promise<Answer<never>> {
  const rows = await database.look(
    sql => sql`
      select coalesce(has_any_column_privilege(to_regclass('users')::oid, 'select'), false) as readable`,
  )
  const [users] = parseRows(usersRow, rows)
  if (!users?.readable) {
    return { message: `the role ${role} cannot read users, which has Hydra's password hashes` }
  }
  return {
    result: 'note',
    message: `the role ${role} can read users, which has Hydra's password hashes; this program never does`,
    hint: `revoke all on users from ${role}; if Hydra itself uses that role, give this program another one`,
  }
}

async function checkTables({ database }: Opened): Promise<Answer<Database>> {
  const objections = new Map<string, OperatorError>()
  const queries = Object.values<(sql: Sql) => Promise<unknown>>(QUERIES)
  for (const query of queries) {
    // each in a look of its own: an error ends the transaction
    await database.look(query).catch(error => {
      if (!isObjection(error)) throw error
      objections.set(error.message, error)
    })
  }
  const [first, ...more] = objections.values()
  if (first) {
    const hints = [first, ...more].flatMap(({ hint }) => hint)
    throw new OperatorError(first.message, {
      hint: [...more.map(({ cause }) => `also: ${messageOf(cause)}`), ...new Set(hints)],
      cause: first,
    })
  }
  return {
    message: `Hydra's tables and columns are as expected (${queries.length} queries)`,
    found: database,
  }
}

/** PostgreSQL's class 42: a name that is not there, or a right. Of a server that is away, one query is enough. */
function isObjection(error: unknown): error is OperatorError {
  return error instanceof OperatorError && (codeOf(error.cause)?.startsWith('42') ?? false)
}

const schemaRow = z.object({ version: z.int('a number') })

/** Which Hydra this is. What decides whether it will do is the check “tables”. */
async function checkSchema({ database, role }: Opened): Promise<Answer<never>> {
  const tried = `this program was tried with version ${TRIED_SCHEMA_VERSION}`
  const unknown = (why: string, hint: string): Answer<never> => ({
    result: 'note',
    message: `the version of Hydra's schema is not known: ${why}; ${tried}`,
    hint,
  })
  const rows = await database
    .look(sql => sql`select version from schemaversion`)
    .catch(error => {
      if (!isObjection(error)) throw error
      return error
    })
  if (rows instanceof OperatorError) {
    return codeOf(rows.cause) === '42501'
      ? unknown(
          `the role ${role} may not read schemaversion`,
          `as a superuser, in this database: grant select on public.schemaversion to "${role.replaceAll('"', '""')}";`,
        )
      : unknown(messageOf(rows.cause), 'is this the database of a Hydra?')
  }
  const [row] = parseRows(schemaRow, rows)
  if (!row) return unknown('schemaversion has no row', 'hydra-init writes it')
  if (row.version === TRIED_SCHEMA_VERSION)
    return { message: `Hydra's schema is version ${row.version}; ${tried}` }
  return {
    result: 'note',
    message: `Hydra's schema is version ${row.version}; ${tried}`,
    hint: 'if the check “tables” is fine, this Hydra has all that is asked for',
  }
}

const lockRow = z.object({ held: z.boolean('a boolean'), pid: z.int('a number') })

/** Takes a lock as reconcile does, but one of its own, and asks for it as a second reconcile would. */
async function askForLockTwice({
  connection,
  database,
}: Opened): Promise<{ held: boolean; pooled: boolean }> {
  const key = String(randomBytes(8).readBigUInt64BE() >> 1n)
  const applicationName = 'hydra-channels doctor'
  const acquired = await acquireLock(connection, undefined, { key, applicationName, answerTimeoutMs: 10_000 })
  if (acquired.kind === 'taken') throw new Error(`somebody else has the lock ${key}`)
  return database
    .look(async sql => {
      const rows = await sql`
        select pg_try_advisory_xact_lock(${key}::bigint) as held, pg_backend_pid() as pid`
      const [row] = parseRows(lockRow, rows)
      return { held: row?.held === true, pooled: row?.pid !== rows.state.pid }
    })
    .finally(acquired.lock.release)
}

async function checkLock(opened: Opened): Promise<Answer<never>> {
  const second = await askForLockTwice(opened).catch((error: unknown) => {
    const { message, hint } = operatorErrorOf(error)
    throw new OperatorError(message, {
      hint: [...hint, 'reconcile needs two connections at once: does the role, or the pool, have them?'],
      cause: error,
    })
  })
  if (second.held) {
    throw new OperatorError('two connections were given the same lock, so two reconciles can run at once', {
      hint: 'a connection pooler must keep a transaction on one connection',
    })
  }
  if (!second.pooled) return { message: 'while one reconcile runs, a second one is kept out' }
  return {
    result: 'note',
    message:
      'a connection pooler (PgBouncer, say) stands before PostgreSQL; while one reconcile runs, a second one is kept out all the same',
    hint: [
      'a reconcile keeps one connection of the pool in a transaction until it ends, and needs another one beside it; each one that waits (--wait) takes one more',
      "the pooler must not end that transaction: PgBouncer's idle_transaction_timeout and transaction_timeout (which newer ones have) have to be 0 (their default), or longer than a reconcile takes",
    ],
  }
}

async function checkJobsets({ config, resolve }: HydraOptions, database: Database): Promise<Answer<Fleet>> {
  const jobsets = await lookUpFleet({ rules: config.channels, database })
  const planned = planFleet(config.channels, jobsets, expectedHosts(config.github)).channels
  const found = { database, jobsets, channels: await Promise.all(planned.map(resolve)) }
  const [missing, ...more] = jobsets
    .filter(each => !each.found)
    .map(each => missingJobset(each, each.renamedTo))
  if (missing) {
    const hint = [...missing.hint, ...more.flatMap(each => [each.message, ...each.hint])]
    return { result: 'failed', message: missing.message, hint, found }
  }
  const counts = jobsets.map(
    ({ project, jobset, found }) =>
      `${project}:${jobset} (${count(found?.jobs.filter(({ newest }) => newest).length ?? 0, 'job')})`,
  )
  return {
    message: counts.length === 0 ? 'no rule names one' : someOf(counts),
    hint: explainUnmatched(config.channels, jobsets),
    found,
  }
}

interface RuleOptions {
  rule: Rule
  /** in the list of the configuration */
  index: number
  jobsets: readonly JobsetFacts[]
  /** of which the flakerefs of the evals must have one */
  hosts: readonly string[]
  resolve: HydraOptions['resolve']
}

async function checkRule({ rule, index, jobsets, hosts, resolve }: RuleOptions): Promise<Answer<never>> {
  const { project, jobset, branch } = rule
  const found = jobsets.find(each => each.project === project && each.jobset === jobset)?.found
  if (!found) {
    return notChecked(`channels[${index}]: Hydra has no jobset ${project}:${jobset}`)
  }
  const { channels: planned, problems } = planFleet([rule], jobsets, hosts)
  const channels = await Promise.all(planned.map(resolve))
  const present = channels.filter(({ presence }) => presence !== 'gone')
  const errors = [
    ...problems.map(({ error }) => error),
    // what two jobs of one channel are about, the check “overlap” says
    ...present.flatMap(({ candidate, jobs }) =>
      candidate instanceof OperatorError && jobs.length === 1 ? [candidate] : [],
    ),
  ]
  const [first, ...more] = new Map(errors.map(error => [error.message, error])).values()
  if (first instanceof PassingError)
    return { result: 'note', message: `channels[${index}]: ${first.message}` }
  if (first) {
    throw new OperatorError(`channels[${index}]: ${first.message}`, {
      hint: [
        ...explainNoMatch(rule, found),
        ...first.hint,
        ...more.slice(0, 3).map(({ message }) => message),
      ],
      cause: first,
    })
  }
  if (present.length === 0) {
    throw new OperatorError(
      `channels[${index}]: the rule for ${branch} matches only jobs that are not in ${project}:${jobset} any more: ${someOf(channels.map(({ job }) => job.job))}`,
      { hint: [...explainNoMatch(rule, found), 'correct job in the rule, or remove the rule'] },
    )
  }
  const jobs = present.reduce((sum, each) => sum + each.jobs.length, 0)
  const names = someOf(present.map(({ channel }) => channel.branch))
  return {
    message: `channels[${index}]: ${count(jobs, 'job')} of ${project}:${jobset}, ${count(present.length, 'channel')}: ${names}`,
  }
}

/** Channels that more than one job leads to. */
function checkOverlap(channels: readonly PlannedChannel[]): Answer<never> {
  const errors = channels.flatMap(({ channel, candidate, jobs }) =>
    jobs.length > 1 && candidate instanceof OperatorError ? [{ channel, error: candidate }] : [],
  )
  const [first] = errors
  if (!first) return { message: 'no channel has two jobs that lead to it' }
  return {
    result: 'failed',
    message: `${count(errors.length, 'channel')} cannot move, because several jobs lead to each: ${someOf(errors.map(({ channel }) => channel.branch))}`,
    hint: [`${first.channel.branch} is ${first.error.message}`, ...first.error.hint],
  }
}
