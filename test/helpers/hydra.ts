// Hydra's database for a test: a fresh copy of fixtures/hydra.sql, and helpers that write into it what Hydra's
// evaluator, queue runner and web interface would write (src/script/hydra-eval-jobset, hydra-queue-runner).

import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ISql, Sql } from 'postgres'
import { connect, type Postgres, sharedPostgres } from './postgres.ts'
import { until } from './until.ts'

const schemaFile = new URL('../../fixtures/hydra.sql', import.meta.url)
const eventsDirectory = new URL('../../fixtures/events/', import.meta.url)
const firstTimestamp = 1_760_000_000

export type JobsetSpec = {
  project?: string
  name?: string
  type?: 0 | 1
  flake?: string | null
  enabled?: 0 | 1 | 2 | 3
  hidden?: 0 | 1
  checkInterval?: number
  lastCheckedTime?: number | null
  startTime?: number | null
  triggerTime?: number | null
  errorMsg?: string | null
  errorTime?: number | null
  fetchErrorMsg?: string | null
}

export type NewBuild = {
  id?: number
  job: string
  /** Default 0. `null`: no status yet, and so not finished unless `finished` says it is. */
  status?: number | null
  finished?: boolean
  outputs?: Record<string, string | null>
  drvPath?: string
  system?: string
  nixName?: string | null
  description?: string | null
  license?: string | null
  homepage?: string | null
  timestamp?: number
  startTime?: number | null
  stopTime?: number | null
}

/** A new build, or the id of one that the eval before had and that this one reuses. */
export type BuildSpec = number | NewBuild

export type EvalSpec = {
  jobset: number
  /** Default: a GitHub flakeref of its own, `null` in a legacy jobset. */
  flake?: string | null
  /** Default: ten minutes after the eval before. */
  timestamp?: number
  /** Absent: nothing changed, the eval has no members. Empty: every job failed to evaluate. */
  builds?: readonly BuildSpec[]
  hasNewBuilds?: 0 | 1
  error?: string
}

/** What Hydra writes to `$HYDRA_JSON`. */
export type BuildEvent = {
  event: 'buildFinished'
  build: number
  project: string
  jobset: string
  job: string
  finished: boolean
  buildStatus: number | null
  timestamp: number
  startTime: number | null
  stopTime: number | null
  drvPath: string
  system: string
  nixName: string | null
  description: string | null
  license: string | null
  homepage: string | null
  outputs: { name: string; path: string | null }[]
  products: Record<string, unknown>[]
  metrics: Record<string, unknown>[]
}

export type TestHydra = Awaited<ReturnType<typeof createHydra>>

/** A locked flakeref as Nix prints it: the narHash keeps its slashes. */
export function flakeOf(sha: string, { owner = 'alice', repo = 'dotfiles' } = {}): string {
  const hash = createHash('sha256').update(sha).digest('base64')
  const narHash = `${hash.slice(0, 20)}/${hash.slice(21)}`.replaceAll('+', '%2B').replaceAll('=', '%3D')
  return `github:${owner}/${repo}/${sha}?narHash=sha256-${narHash}`
}

/**
 * A database of its own, of Hydra's schema and empty. `sql` is a superuser's; `url`, `dbi` and `config` lead to
 * it as the role `hydra`, which here may read all tables but Users, and write none.
 */
export async function createHydra() {
  const server = await sharedPostgres()
  const database = await createDatabase(server)
  const sql = connect(server, { database })
  const { socketDirectory, port } = server

  const close = async (): Promise<void> => {
    await sql.end({ timeout: 5 })
    await administer(server, sql => sql`drop database ${sql(database)} with (force)`)
  }

  const host = encodeURIComponent(socketDirectory)
  return {
    ...writeAsHydra(sql, database),
    socketDirectory,
    url: `postgres://hydra@${host}:${port}/${database}?application_name=hydra-notify`,
    dbi: `dbi:Pg:dbname=${database};host=${socketDirectory};port=${port};user=hydra;;application_name=hydra-notify`,
    config: { host: socketDirectory, port, user: 'hydra', database },
    close,
  }
}

/** Writes into a database with Hydra's tables, as a superuser, what Hydra would. */
export function writeAsHydra(sql: Sql, database: string) {
  let lastTimestamp = firstTimestamp

  const project = async (name: string): Promise<void> => {
    await sql`insert into projects (name, displayname) values (${name}, ${name}) on conflict do nothing`
  }

  const jobset = async (spec: JobsetSpec = {}): Promise<number> => {
    const { type = 1 } = spec
    const row = {
      project: spec.project ?? 'dotfiles',
      name: spec.name ?? 'main',
      type,
      flake: spec.flake === undefined && type === 1 ? 'github:alice/dotfiles' : (spec.flake ?? null),
      enabled: spec.enabled ?? 1,
      hidden: spec.hidden ?? 0,
      checkinterval: spec.checkInterval ?? 300,
      lastcheckedtime: spec.lastCheckedTime ?? null,
      starttime: spec.startTime ?? null,
      triggertime: spec.triggerTime ?? null,
      errormsg: spec.errorMsg ?? null,
      errortime: spec.errorTime ?? null,
      fetcherrormsg: spec.fetchErrorMsg ?? null,
    }
    await project(row.project)
    return only(await sql<{ id: number }[]>`insert into jobsets ${sql(row)} returning id`).id
  }

  /** Inserts one eval at once, members and all, as Hydra's transaction does. */
  const evaluate = (spec: EvalSpec): Promise<number> => {
    const { jobset, builds, error = '' } = spec
    const hasNewBuilds = spec.hasNewBuilds ?? (builds ? 1 : 0)
    if (builds?.length && hasNewBuilds === 0) throw new Error('an eval without new builds has no members')
    const timestamp = spec.timestamp ?? lastTimestamp + 600
    lastTimestamp = timestamp

    return sql.begin(async sql => {
      const { type } = only(await sql<{ type: number }[]>`select type from jobsets where id = ${jobset}`)
      const previous = await newestBuildSet(sql, jobset)
      const failure = { errormsg: error, errortime: timestamp }
      const row = {
        jobset_id: jobset,
        timestamp,
        flake: spec.flake === undefined && type === 1 ? flakeOf(randomSha()) : (spec.flake ?? null),
        hasnewbuilds: hasNewBuilds,
        nrbuilds: hasNewBuilds ? (builds?.length ?? 0) : null,
        evaluationerror_id: only(
          await sql<{ id: number }[]>`insert into evaluationerrors ${sql(failure)} returning id`,
        ).id,
      }
      const { id } = only(await sql<{ id: number }[]>`insert into jobsetevals ${sql(row)} returning id`)
      await sql`update jobsets set ${sql({ ...failure, lastcheckedtime: timestamp })} where id = ${jobset}`
      if (!hasNewBuilds) return id

      const members: { eval: number; build: number; isnew: number }[] = []
      const jobs = new Set<string>()
      const once = (job: string) => {
        if (jobs.has(job)) throw new Error(`an eval has one build per job, and ${job} has two`)
        jobs.add(job)
      }
      for (const build of builds ?? []) {
        if (typeof build === 'number') {
          const job = previous.get(build)
          if (!job) throw new Error(`build ${build} is not in the eval before, so this one cannot reuse it`)
          once(job)
          members.push({ eval: id, build, isnew: 0 })
        } else {
          once(build.job)
          members.push({ eval: id, build: await insertBuild(sql, jobset, timestamp, build), isnew: 1 })
        }
      }
      await sql`update builds set iscurrent = 0 where jobset_id = ${jobset} and iscurrent = 1`
      if (members.length > 0) {
        await sql`insert into jobsetevalmembers ${sql(members)}`
        await sql`update builds set iscurrent = 1 where id in ${sql(members.map(member => member.build))}`
      }
      return id
    })
  }

  /** The build ends. After a restart that is later than the end before. */
  const finish = async (build: number, status = 0): Promise<void> => {
    only(
      await sql`
      update builds set finished = 1, buildstatus = ${status}, iscachedbuild = 0,
        starttime = coalesce(stoptime, timestamp) + 60, stoptime = coalesce(stoptime, timestamp) + 300
      where id = ${build} returning id`,
    )
  }

  /** Somebody presses “restart”: the last status and times stay. */
  const restart = async (build: number): Promise<void> => {
    only(await sql`update builds set finished = 0, iscachedbuild = 0 where id = ${build} returning id`)
  }

  /** The evaluator gives an existing build a new derivation, which it returns. */
  const repoint = async (build: number): Promise<string> => {
    const drvPath = `/nix/store/${storeHash(randomSha())}-repointed.drv`
    only(
      await sql`
      update builds set finished = 0, buildstatus = null, iscachedbuild = 0, drvpath = ${drvPath}
      where id = ${build} returning id`,
    )
    return drvPath
  }

  const eventOf = async (build: number): Promise<BuildEvent> => {
    const row = only(
      await sql<(Omit<BuildEvent, 'event' | 'finished' | 'outputs'> & { finished: number })[]>`
      select j.project, j.name as jobset, b.job, b.id as build, b.finished, b.buildstatus as "buildStatus",
             b.timestamp, b.starttime as "startTime", b.stoptime as "stopTime", b.drvpath as "drvPath",
             b.system, b.nixname as "nixName", b.description, b.license, b.homepage
      from builds b join jobsets j on j.id = b.jobset_id where b.id = ${build}`,
    )
    const outputs = [
      ...(await sql<BuildEvent['outputs']>`
        select name, path from buildoutputs where build = ${build} order by name = 'out' desc, name`),
    ]
    const hasOutputs = row.finished === 1 && (row.buildStatus === 0 || row.buildStatus === 6)
    return {
      event: 'buildFinished',
      ...row,
      finished: row.finished === 1,
      outputs,
      products: hasOutputs ? productsOf(outputs) : [],
      metrics: [],
    }
  }

  /** Writes the event where only its owner may read it, as Hydra does, and returns the path. */
  const writeEvent = async (build: number | object, directory: string): Promise<string> => {
    const event = typeof build === 'number' ? await eventOf(build) : build
    const path = join(directory, `hydra-${randomBytes(4).toString('hex')}.json`)
    await writeFile(path, JSON.stringify(event), { mode: 0o600, flag: 'wx' })
    return path
  }

  /** The builds of fixtures/events, one eval of `sha` per jobset. Returns the evals by jobset. */
  const seedEvents = async (spec: { sha: string; owner?: string; repo?: string }) => {
    const { sha, owner = 'alice', repo = 'dotfiles' } = spec
    const events = await recordedEvents()
    const buildsOf = (jobset: string) => events.filter(event => event.jobset === jobset).map(buildOf)
    const repository = `https://github.com/${owner}/${repo}`
    const timestamp = events[0]?.timestamp ?? firstTimestamp

    const main = await evaluate({
      jobset: await jobset({ name: 'main', flake: `github:${owner}/${repo}` }),
      flake: flakeOf(sha, { owner, repo }),
      timestamp,
      builds: buildsOf('main'),
    })
    const git = await evaluate({
      jobset: await jobset({ name: 'git-https', flake: `git+${repository}?ref=main` }),
      flake: `git+${repository}?ref=refs/heads/main&rev=${sha}`,
      timestamp,
      builds: buildsOf('git-https'),
    })
    const legacy = await evaluate({
      jobset: await jobset({ name: 'legacy', type: 0 }),
      timestamp,
      builds: buildsOf('legacy'),
    })
    const input = { eval: legacy, name: 'src', altnr: 0, type: 'git', uri: repository, revision: sha }
    await sql`insert into jobsetevalinputs ${sql(input)}`
    return { main, 'git-https': git, legacy }
  }

  /**
   * Until reconcile's lock is free again after a run of this process. The server notices a moment after the client that a
   * connection has ended, and until then the next run would meet the lock of the one before.
   */
  const untilUnlocked = (pid: number): Promise<void> => {
    // as much of it as PostgreSQL keeps
    const name = `hydra-channels reconcile on ${hostname()}, process ${pid}`.slice(0, 63)
    return until(`the lock of process ${pid} is free`, async () => {
      const rows = await sql`
        select from pg_stat_activity where datname = ${database} and application_name = ${name}`
      return rows.length === 0
    })
  }

  return {
    sql,
    database,
    project,
    jobset,
    eval: evaluate,
    finish,
    restart,
    repoint,
    eventOf,
    writeEvent,
    seedEvents,
    untilUnlocked,
  }
}

async function administer<T>(server: Postgres, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect(server, { database: 'postgres', max: 1 })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function createDatabase(server: Postgres): Promise<string> {
  return administer(server, async sql => {
    const template = await ensureTemplate(server, sql)
    const database = `hydra_${randomBytes(6).toString('hex')}`
    await sql`create database ${sql(database)} template ${sql(template)}`
    return database
  })
}

/** Test files are processes that start together: the first makes the template, the others wait for its lock. */
async function ensureTemplate(server: Postgres, sql: Sql): Promise<string> {
  const schema = await readFile(schemaFile, 'utf8')
  const template = `hydra_template_${createHash('sha256').update(schema).digest('hex').slice(0, 12)}`
  // The mark is_template comes last: without it a template is half made.
  const find = () => sql`select 1 from pg_database where datname = ${template} and datistemplate`
  if ((await find()).length > 0) return template

  await sql`select pg_advisory_lock(hashtext('hydra_template'))`
  try {
    if ((await find()).length > 0) return template
    if ((await sql`select 1 from pg_roles where rolname = 'hydra'`).length === 0)
      await sql`create role hydra login`
    await sql`drop database if exists ${sql(template)}`
    await sql`create database ${sql(template)}`
    const inside = connect(server, { database: template, max: 1 })
    try {
      await inside.unsafe(schema)
      await inside`grant select on all tables in schema public to hydra`
      await inside`revoke all on users from hydra`
    } finally {
      await inside.end({ timeout: 5 })
    }
    await sql`alter database ${sql(template)} is_template true`
    return template
  } finally {
    await sql`select pg_advisory_unlock(hashtext('hydra_template'))`
  }
}

/** The builds, with their jobs, that the next eval of the jobset may reuse. */
async function newestBuildSet(sql: ISql, jobset: number): Promise<Map<number, string>> {
  const rows = await sql<{ build: number; job: string }[]>`
    select m.build, b.job from jobsetevalmembers m join builds b on b.id = m.build
    where m.eval = (select max(id) from jobsetevals where jobset_id = ${jobset} and hasnewbuilds = 1)`
  return new Map(rows.map(({ build, job }) => [build, job]))
}

async function insertBuild(sql: ISql, jobset: number, evalTime: number, build: NewBuild): Promise<number> {
  const sequence = sql`pg_get_serial_sequence('builds', 'id')`
  const { id } = build.id
    ? // A build id that a test chooses must not be given out again.
      only(
        await sql<{ id: number }[]>`
        with used as (select greatest(coalesce(max(id), 0), ${build.id}) as top from builds)
        select setval(${sequence}, top), ${build.id}::int as id from used`,
      )
    : only(await sql<{ id: number }[]>`select nextval(${sequence})::int as id`)
  const status = build.status === undefined ? (build.finished === false ? null : 0) : build.status
  const finished = build.finished ?? status !== null
  const timestamp = build.timestamp ?? evalTime
  const [name = build.job, system = 'x86_64-linux'] = build.job.split(/\.(?=[^.]*-(?:linux|darwin)$)/)
  const nixName = build.nixName === undefined ? name : build.nixName
  const row = {
    id,
    jobset_id: jobset,
    job: build.job,
    finished: finished ? 1 : 0,
    buildstatus: status,
    iscachedbuild: finished ? 0 : null,
    timestamp,
    starttime: build.startTime === undefined ? (finished ? timestamp + 60 : null) : build.startTime,
    stoptime: build.stopTime === undefined ? (finished ? timestamp + 300 : null) : build.stopTime,
    drvpath: build.drvPath ?? `/nix/store/${storeHash(`${id}.drv`)}-${nixName ?? name}.drv`,
    system: build.system ?? system,
    nixname: nixName,
    description: build.description ?? null,
    license: build.license ?? null,
    homepage: build.homepage ?? null,
  }
  await sql`insert into builds ${sql(row)}`
  const outputs = build.outputs ?? { out: `/nix/store/${storeHash(`${id}`)}-${nixName ?? name}` }
  const rows = Object.entries(outputs).map(([name, path]) => ({ build: id, name, path }))
  if (rows.length > 0) await sql`insert into buildoutputs ${sql(rows)}`
  return id
}

async function recordedEvents(): Promise<BuildEvent[]> {
  const directory = fileURLToPath(eventsDirectory)
  const events = new Map<number, BuildEvent>()
  for (const name of (await readdir(directory)).sort()) {
    if (name === 'metrics-nan-inf-jsonxs.json') continue // not JSON, and the build of cached-success.json
    const event: BuildEvent = JSON.parse(await readFile(join(directory, name), 'utf8'))
    if (!events.has(event.build)) events.set(event.build, event)
  }
  return [...events.values()].sort((a, b) => a.build - b.build)
}

function buildOf(event: BuildEvent): NewBuild {
  const { build: id, buildStatus: status, outputs, ...rest } = event
  return { ...rest, id, status, outputs: Object.fromEntries(outputs.map(({ name, path }) => [name, path])) }
}

// Without hydra-build-products Hydra lists every output as a product, in the order of their names.
function productsOf(outputs: BuildEvent['outputs']): Record<string, unknown>[] {
  return outputs
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, path }) => (path === null ? [] : [{ name, path }]))
    .map(({ name, path }, index) => ({
      productNr: index + 1,
      type: 'nix-build',
      subtype: name === 'out' ? '' : name,
      name: path.replace(/^.*\/[^-]*-/, ''),
      path,
      defaultPath: '',
      fileSize: null,
      sha256hash: null,
    }))
}

// Nix's own base 32, which leaves out e, o, t and u.
function storeHash(seed: string): string {
  const digits = '0123456789abcdfghijklmnpqrsvwxyz'
  const bytes = createHash('sha256').update(seed).digest()
  return Array.from(bytes, byte => digits[byte % 32]).join('')
}

function randomSha(): string {
  return randomBytes(20).toString('hex')
}

function only<T>(rows: readonly T[]): T {
  const [row] = rows
  if (row === undefined || rows.length > 1) throw new Error(`expected one row, got ${rows.length}`)
  return row
}
