// A large Hydra, written by PostgreSQL itself in a few statements: years of evaluations of one jobset that channels
// follow, between those of other jobsets. Always the same for the same size, and made by the rules of Hydra's evaluator
// (src/script/hydra-eval-jobset): an eval that changes nothing has no members, a job that was away gets a new build.

import type { TransactionSql } from 'postgres'
import type { TestHydra } from './hydra.ts'

export interface LargeHydraSize {
  /** jobs of dotfiles:main, at least 25 */
  jobs: number
  /** evals of dotfiles:main, at least 100 */
  evals: number
  /** builds of all other jobsets, about */
  otherBuilds: number
}

/** Jobs of dotfiles:main with a history of their own; the number is what their number modulo 25 is. */
const SPECIAL_JOBS = {
  usual: 1,
  /** one build from the second fifth on, which every eval since has reused */
  unchanged: 18,
  /** no good build after the first tenth */
  longBad: 19,
  neverGood: 20,
  /** fails to evaluate in the last three of a hundred evals, so also now */
  failsToEvaluate: 21,
  /** there only in the first half */
  retired: 24,
} as const

export type SpecialJob = keyof typeof SPECIAL_JOBS

export interface LargeHydra {
  /** dotfiles:main */
  jobset: number
  /** dotfiles:pr-1, with no eval since long */
  dormantJobset: number
  /** the names of jobs of dotfiles:main */
  jobs: Record<SpecialJob, string>
}

const ALL_JOBS_FAILED = `at top-level:
error:
       error: attribute 'nixpkgs' missing
`
/** of a job, and of a number */
const JOB_FAILED = `in job ‘%s’:
error:
       … while calling the ‘head’ builtin

       error: option ‘services.%s’ does not exist

`

const PULL_REQUESTS = 20

interface PlannedJobset {
  project: string
  name: string
  type: 0 | 1
  flake: string | null
  jobs: number
  evals: number
  /** how many of a thousand jobs an ordinary eval changes */
  changed: number
  /** of its first and its last eval, on a scale from 0 to 1 */
  begins: number
  ends: number
}

/** Fills an empty database: all its ids are set here. */
export async function fillLargeHydra({ sql }: TestHydra, size: LargeHydraSize): Promise<LargeHydra> {
  const filled = await sql.begin(async sql => {
    // no foreign key is asked row by row: they hold by construction
    await sql`set local session_replication_role = replica`
    await sql`set local jit = off`
    await createFunctions(sql)
    await planJobsets(sql, jobsetsOf(size))
    await planEvals(sql)
    await planBuilds(sql)
    await writePlan(sql)
    return describe(sql)
  })
  // as autovacuum would have done; it is off in tests
  await sql`vacuum analyze`
  return filled
}

function jobsetsOf({ jobs, evals, otherBuilds }: LargeHydraSize): PlannedJobset[] {
  const always = { begins: 0, ends: 1 }
  const dotfiles = { project: 'dotfiles', type: 1, jobs, changed: Math.ceil(4000 / jobs) } as const
  // an eval of nixpkgs changes many jobs at once: 39 of a hundred, over all evals
  const nixpkgs = { project: 'nixpkgs', evals: 60, changed: 500, ...always } as const
  const nixpkgsJobs = (builds: number) => Math.ceil(builds / nixpkgs.evals / 0.39)
  // so that most evals are of other jobsets, as if every pull request had one
  const pullRequests = Array.from({ length: PULL_REQUESTS }, (_, at) => ({
    ...dotfiles,
    name: `pr-${at + 1}`,
    flake: `github:alice/dotfiles/pull/${at + 1}/head`,
    jobs: Math.ceil(jobs / 10),
    evals: Math.ceil(evals / 8),
    begins: (at / PULL_REQUESTS) * 0.9,
    ends: (at / PULL_REQUESTS) * 0.9 + 0.1,
  }))
  return [
    { ...dotfiles, ...always, name: 'main', flake: 'github:alice/dotfiles', evals },
    ...pullRequests,
    {
      ...dotfiles,
      ...always,
      name: 'staging',
      flake: 'git+https://github.com/alice/dotfiles?ref=staging',
      evals: Math.ceil(evals / 4),
    },
    {
      ...nixpkgs,
      name: 'trunk',
      type: 1,
      flake: 'github:NixOS/nixpkgs',
      jobs: nixpkgsJobs((otherBuilds * 2) / 3),
    },
    { ...nixpkgs, name: 'legacy', type: 0, flake: null, jobs: nixpkgsJobs(otherBuilds / 3) },
  ]
}

/** `j` is the number of a job in its jobset, `n` that of an eval. */
async function createFunctions(sql: TransactionSql): Promise<void> {
  // spread evenly over 0 to 999, and the same on every machine
  await sql`
    create function pg_temp.permille(seed bigint) returns int immutable language sql
    return (((seed * 2654435761 % 4294967296) >> 16) % 1000)::int`
  await sql`
    create function pg_temp.present(j int, n int, evals int) returns boolean immutable language sql
    return n > 0
      and n <> evals / 5 -- in which every job fails to evaluate
      and case j % 25
        when 21 then (evals - n) % 100 > 2
        -- away for a while, and added late
        when 22 then n not between evals * 6 / 10 and evals * 7 / 10
        when 23 then n > evals / 3
        when 24 then n <= evals / 2
        else true
      end`
  await sql`
    create function pg_temp.changed(j int, n int, permille int) returns boolean immutable language sql
    return case
      when j % 25 = 18 then false
      when n % 40 = 0 then true  -- an update of flake.lock
      when n % 4 = 1 then false  -- a commit to the documentation
      else pg_temp.permille(n::bigint * 1000003 + j * 7919) < permille
    end`
  await sql`
    create function pg_temp.store_path(seed text, name text) returns text immutable language sql
    return '/nix/store/' || translate(left(encode(sha256(seed::bytea), 'hex'), 32), 'e', 'x') || '-' || name`
}

async function planJobsets(sql: TransactionSql, jobsets: PlannedJobset[]): Promise<void> {
  await sql`
    create temp table planned_jobset (
      id int, project text, name text, type int, flake text, jobs int, evals int, changed int, begins float8, ends float8
    ) on commit drop`
  await sql`insert into planned_jobset ${sql(jobsets.map((jobset, at) => ({ id: at + 1, ...jobset })))}`
  await sql`analyze planned_jobset`
  await sql`
    create temp table planned_job on commit drop as
    select s.id as jobset, j,
           case when s.project = 'nixpkgs' then 'pkgs.package' || lpad(j::text, 6, '0')
                when j % 5 = 0 then 'packages.' || h.system || '.package' || lpad(j::text, 4, '0')
                else 'nixos-host' || lpad(j::text, 4, '0') end
           || case when j % 5 = 0 and s.project <> 'nixpkgs' then '' else '.' || h.system end as name,
           h.system
    from planned_jobset s, generate_series(1, s.jobs) j,
         lateral (select case when j % 7 = 0 then 'aarch64-linux' else 'x86_64-linux' end) h(system)`
  await sql`analyze planned_job`
}

/** The evals of all jobsets take turns. */
async function planEvals(sql: TransactionSql): Promise<void> {
  await sql`
    create temp table planned_eval on commit drop as
    select s.id as jobset, n,
           row_number() over (order by s.begins + (s.ends - s.begins) * n / s.evals, s.id)::int as id
    from planned_jobset s, generate_series(1, s.evals) n`
  await sql`analyze planned_eval`
}

/** A build is in the evals from number `n` to the one before `until`. */
async function planBuilds(sql: TransactionSql): Promise<void> {
  await sql`
    create temp table planned_event on commit drop as
    select jobset, j, n, appears, lead(n, 1, evals + 1) over (partition by jobset, j order by n) as until
    from (
      select s.id as jobset, j, n, s.evals, p.now and (not p.before or pg_temp.changed(j, n, s.changed)) as appears,
             p.before and not p.now as goes
      from planned_jobset s, generate_series(1, s.jobs) j, generate_series(1, s.evals) n,
           lateral (select pg_temp.present(j, n, s.evals), pg_temp.present(j, n - 1, s.evals)) p(now, before)
    ) e
    where appears or goes`
  await sql`analyze planned_event`
  await sql`
    create temp table planned_build on commit drop as
    select row_number() over (order by e.id, v.j)::int as id, v.jobset, v.j, v.n, v.until, e.id as eval
    from planned_event v join planned_eval e using (jobset, n)
    where v.appears`
  await sql`analyze planned_build`
}

async function writePlan(sql: TransactionSql): Promise<void> {
  await sql`insert into projects (name, displayname) select distinct project, project from planned_jobset`
  await sql`
    insert into jobsetevalmembers (eval, build, isnew)
    select e.id, b.id, (e.n = b.n)::int
    from planned_build b
    cross join lateral generate_series(b.n, b.until - 1) g(n)
    join planned_eval e on e.jobset = b.jobset and e.n = g.n
    join (select distinct jobset, n from planned_event) v on v.jobset = e.jobset and v.n = e.n
    order by e.id, b.id`
  await writeBuilds(sql)
  await writeEvals(sql)
  await sql`
    insert into jobsets (id, project, name, type, flake, lastcheckedtime, errormsg, errortime)
    select s.id, s.project, s.name, s.type, s.flake, e.timestamp, r.errormsg, r.errortime
    from planned_jobset s
    join jobsetevals e on e.id = (select max(p.id) from planned_eval p where p.jobset = s.id)
    join evaluationerrors r on r.id = e.evaluationerror_id`
  for (const table of ['jobsets', 'builds', 'jobsetevals', 'evaluationerrors'])
    await sql`select setval(pg_get_serial_sequence(${table}, 'id'), (select max(id) from ${sql(table)}))`
}

async function writeBuilds(sql: TransactionSql): Promise<void> {
  // some of the last evals' builds are queued, others were started again and keep the status that they had
  await sql`
    insert into builds (id, finished, timestamp, jobset_id, job, nixname, drvpath, system, iscurrent, starttime,
                        stoptime, iscachedbuild, buildstatus)
    select b.id, f.finished, t.timestamp, b.jobset, j.name, 'nixos-system-' || b.j,
           pg_temp.store_path(b.id || '.drv', 'nixos-system-' || b.j || '.drv'), j.system,
           (b.until > s.evals)::int,
           case when f.finished = 1 or f.again then t.timestamp + 60 end,
           case when f.finished = 1 or f.again then t.timestamp + 60 + r.permille end,
           case f.finished when 1 then (r.permille % 10 = 7)::int end,
           case when f.finished = 1 or f.again then
             case when b.j % 25 = 20 then 1
                  when b.j % 25 = 19 and b.n > s.evals / 10 then 2
                  when b.j % 25 = 18 then 0
                  when r.permille < 60 then 1
                  when r.permille < 80 then 2
                  when r.permille < 90 then 3
                  when r.permille < 95 then 4
                  when r.permille < 100 then 6
                  when r.permille < 105 then 7
                  else 0 end
           end
    from planned_build b
    join planned_jobset s on s.id = b.jobset
    join planned_job j on j.jobset = b.jobset and j.j = b.j,
    lateral (select pg_temp.permille(b.id)) r(permille),
    lateral (select 1500000000 + b.eval * 600) t(timestamp),
    lateral (
      select case when b.n > s.evals - 3 and r.permille between 300 and 599 then 0 else 1 end, r.permille < 400
    ) f(finished, again)
    order by b.id`
  // a content-addressed build that failed has outputs without a path
  await sql`
    insert into buildoutputs (build, name, path)
    select b.id, o.name, case when b.buildstatus is distinct from 0 and b.id % 10 = 3 then null
                              else pg_temp.store_path(b.id || o.name, b.nixname || o.suffix) end
    from builds b
    join (values ('out', ''), ('dev', '-dev')) o(name, suffix) on o.name = 'out' or b.id % 10 < 2
    order by b.id`
}

async function writeEvals(sql: TransactionSql): Promise<void> {
  // the narHash as Nix prints it, with a slash in it that stays raw
  await sql`
    insert into jobsetevals (id, jobset_id, evaluationerror_id, timestamp, hasnewbuilds, nrbuilds, flake)
    select e.id, e.jobset, e.id, 1500000000 + e.id * 600, h.has, case h.has when 1 then coalesce(m.members, 0) end,
           case when s.type = 0 then null
                when s.flake like 'git+%' then
                  replace(s.flake, '?ref=', '?ref=refs/heads/') || '&rev=' || h.sha
                else split_part(s.flake, '/', 1) || '/' || split_part(s.flake, '/', 2) || '/' || h.sha || '?narHash=sha256-' ||
                  replace(replace(overlay(encode(sha256(h.sha::bytea), 'base64') placing '/' from 21 for 1),
                                  '+', '%2B'), '=', '%3D')
           end
    from planned_eval e
    join planned_jobset s on s.id = e.jobset
    left join (select eval, count(*) as members from jobsetevalmembers group by eval) m on m.eval = e.id
    left join (select distinct jobset, n from planned_event) v on v.jobset = e.jobset and v.n = e.n,
    lateral (
      select (v.n is not null)::int, left(encode(sha256(('commit ' || e.id)::bytea), 'hex'), 40)
    ) h(has, sha)
    order by e.id`
  await sql`
    insert into jobsetevalinputs (eval, name, altnr, type, uri, revision)
    select e.id, 'nixpkgs', 0, 'git', 'https://github.com/NixOS/nixpkgs',
           left(encode(sha256(('commit ' || e.id)::bytea), 'hex'), 40)
    from planned_eval e join planned_jobset s on s.id = e.jobset
    where s.type = 0`
  await sql`
    insert into evaluationerrors (id, errormsg, errortime)
    select e.id,
           case when e.n = s.evals / 5 then ${ALL_JOBS_FAILED}
                else coalesce(f.text, '') end,
           1500000000 + e.id * 600
    from planned_eval e
    join planned_jobset s on s.id = e.jobset
    left join lateral (
      select string_agg(format(${JOB_FAILED}, j.name, j.j), '' order by j.j) as text
      from planned_job j
      where j.jobset = e.jobset and j.j % 25 = 21 and not pg_temp.present(21, e.n, s.evals)
    ) f on true
    order by e.id`
}

async function describe(sql: TransactionSql): Promise<LargeHydra> {
  const jobsets = await sql<{ id: number; name: string }[]>`
    select id, name from jobsets where project = 'dotfiles'`
  const jobs = await sql<{ j: number; name: string }[]>`
    select j, name from planned_job where jobset = 1 and j < 25`
  const jobset = (name: string) => one(jobsets.find(each => each.name === name)).id
  const named = Object.entries(SPECIAL_JOBS).map(([kind, j]) => [
    kind,
    one(jobs.find(each => each.j === j)).name,
  ])
  return {
    jobset: jobset('main'),
    dormantJobset: jobset('pr-1'),
    jobs: Object.fromEntries(named) as Record<SpecialJob, string>,
  }
}

function one<T>(found: T | undefined): T {
  if (found === undefined) throw new Error('a large Hydra has at least 25 jobs')
  return found
}
