// How PostgreSQL finds the answers: by Hydra's own indexes, because a hook runs for every build of a Hydra with a
// million of them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findConnection } from '../../src/hydra/connection.ts'
import { type Database, openDatabase, type Sql } from '../../src/hydra/database.ts'
import {
  findBuild,
  findCandidate,
  findNewestEval,
  findNewestEvalOfBuild,
  findOutputs,
} from '../../src/hydra/queries.ts'
import { createHydra, flakeOf, type TestHydra } from '../helpers/hydra.ts'

// two jobsets of 400 evals and 40 jobs: an eval has 4 new builds and the last 36 of those before
const BUILDS_PER_EVAL = 4
// nixos-36 is bad of late; this is a good build of nixos-27, in ten evals of its jobset
const BUILD = 2 * 1547

let hydra: TestHydra
let database: Database
let jobset: number

before(async () => {
  hydra = await createHydra()
  database = openDatabase(findConnection(undefined, { HYDRA_DATABASE_URL: hydra.url }))
  jobset = await hydra.jobset()
  const other = await hydra.jobset({ name: 'other' })
  const { sql } = hydra
  await sql`
    insert into jobsetevals (id, jobset_id, timestamp, flake, hasnewbuilds, nrbuilds)
    select e * 2 + j, case j when 0 then ${jobset}::int else ${other}::int end, 1760000000 + e,
           ${flakeOf('0'.repeat(40))}, 1, 40
    from generate_series(1, 400) e, generate_series(0, 1) j`
  await sql`
    insert into builds (id, finished, timestamp, jobset_id, job, drvpath, system, starttime, stoptime, buildstatus)
    select b * 2 + j, 1, 1760000000, case j when 0 then ${jobset}::int else ${other}::int end,
           'nixos-' || b % 40, '/nix/store/' || b || '.drv', 'x86_64-linux', 1, 2, case when b % 4 = 0 and b > 1400 then 1 else 0 end
    from generate_series(1, 400 * ${BUILDS_PER_EVAL}::int) b, generate_series(0, 1) j`
  // a build is in its own eval and in the nine after it
  await sql`
    insert into jobsetevalmembers (eval, build, isnew)
    select e * 2 + j, b * 2 + j, case e - (b - 1) / ${BUILDS_PER_EVAL}::int when 1 then 1 else 0 end
    from generate_series(1, 400 * ${BUILDS_PER_EVAL}::int) b, generate_series(0, 1) j,
         lateral generate_series((b - 1) / ${BUILDS_PER_EVAL}::int + 1, least((b - 1) / ${BUILDS_PER_EVAL}::int + 10, 400)) e`
  await sql`insert into buildoutputs (build, name, path) select id, 'out', '/nix/store/' || id from builds`
  await sql`analyze`
})

after(async () => {
  await database.close()
  await hydra.close()
})

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  Plans?: PlanNode[]
}

/** How each table is read by what the function asks: `builds: Index Scan`. */
async function scansOf(find: (sql: Sql) => Promise<unknown>): Promise<string[]> {
  const scans: string[] = []
  const note = (node: PlanNode) => {
    if (node['Relation Name']) scans.push(`${node['Relation Name']}: ${node['Node Type']}`)
    for (const child of node.Plans ?? []) note(child)
  }
  await database.look(async sql => {
    const explaining = async (parts: TemplateStringsArray, ...values: never[]) => {
      const text = parts.reduce((sofar, part, at) => `${sofar}$${at}${part}`)
      const rows = await sql.unsafe(`explain (format json) ${text}`, values)
      for (const row of rows) for (const { Plan } of row['QUERY PLAN']) note(Plan)
      return sql(parts, ...values)
    }
    const found = await find(explaining as unknown as Sql)
    assert.ok(Array.isArray(found) ? found.length > 0 : found, 'nothing was found')
  })
  return scans
}

const queries: Record<string, (sql: Sql) => Promise<unknown>> = {
  findBuild: sql => findBuild(sql, BUILD),
  findNewestEvalOfBuild: sql => findNewestEvalOfBuild(sql, BUILD),
  findNewestEval: sql => findNewestEval(sql, jobset),
  'findCandidate of a job in the newest eval': sql => findCandidate(sql, jobset, 'nixos-39'),
  'findCandidate of a job that is good only in an older one': sql => findCandidate(sql, jobset, 'nixos-36'),
  findOutputs: sql => findOutputs(sql, BUILD),
}
const LARGE = ['builds', 'jobsetevals', 'jobsetevalmembers', 'buildoutputs']
const isLarge = (scan: string) => LARGE.some(table => scan.startsWith(`${table}:`))

for (const [name, find] of Object.entries(queries)) {
  test(`${name} reads no large table but by an index`, async () => {
    const scans = (await scansOf(find)).filter(isLarge)
    assert.ok(scans.length > 0)
    assert.deepEqual(
      scans.filter(scan => !/: (Index Scan|Index Only Scan|Bitmap Heap Scan)$/.test(scan)),
      [],
    )
  })
}

test('a query that no index serves is seen to read a whole table', async () => {
  const scans = await scansOf(sql => sql`select id from builds where drvpath = '/nix/store/7.drv'`)
  assert.deepEqual(scans, ['builds: Seq Scan'])
})
