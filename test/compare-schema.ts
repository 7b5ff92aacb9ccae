// npm run schema -- PATH: compares fixtures/hydra.sql with a checkout of Hydra. PostgreSQL reads both, so only what they mean
// counts: every table, column, key and index of ours must be Hydra's too, and a key of Hydra over columns that we have must be
// ours. What is never looked at is left out of ours. Checks are not compared: ours are written otherwise.
//
// Exit status: 0 they agree; 1 they differ; 2 they could not be compared.
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Postgres, sharedPostgres } from './helpers/postgres.ts'

const OURS = fileURLToPath(new URL('../fixtures/hydra.sql', import.meta.url))

/** Where Hydra has its tables, and the numbered files that bring an older database there: today, and until 2026. */
const PLACES = [
  { schema: 'subprojects/hydra/sql/hydra.sql', upgrades: 'subprojects/hydra/sql/migrations' },
  { schema: 'src/sql/hydra.sql', upgrades: 'src/sql' },
]

class CannotCompare extends Error {}

interface Checkout {
  /** the path of hydra.sql */
  schema: string
  version: number
}

function findInCheckout(checkout: string): Checkout {
  const place = PLACES.find(({ schema }) => existsSync(join(checkout, schema)))
  if (!place) {
    const looked = PLACES.map(({ schema }) => schema).join(', ')
    throw new CannotCompare(`${checkout} is no checkout of Hydra: it has none of ${looked}`)
  }
  const folder = join(checkout, place.upgrades)
  const files = existsSync(folder) ? readdirSync(folder) : []
  const versions = files.flatMap(file => /^upgrade-(\d+)\.sql$/.exec(file)?.[1] ?? []).map(Number)
  if (versions.length === 0) throw new CannotCompare(`${folder} has no upgrade-N.sql`)
  return { schema: join(checkout, place.schema), version: Math.max(...versions) }
}

/** What a schema has: each thing by its name, with what it is like. */
interface Schema {
  /** `builds` */
  tables: Set<string>
  /** `builds.finished` is `integer not null` */
  columns: Map<string, string>
  /** `builds: primary key (id)`, with the columns that it is made of */
  keys: Map<string, string[]>
  /** `builds: using btree (id)`, whatever it is called */
  indexes: Set<string>
}

async function readSchema(server: Postgres, file: string): Promise<Schema> {
  const database = `schema_${randomBytes(6).toString('hex')}`
  const admin = connect(server, { database: 'postgres', max: 1 })
  try {
    await admin`create database ${admin(database)}`
    const sql = connect(server, { database, max: 1 })
    try {
      await sql.unsafe(readFileSync(file, 'utf8')).catch(error => {
        throw new CannotCompare(`PostgreSQL does not understand ${file}: ${error.message}`)
      })
      const columns = await sql<{ relation: string; name: string; type: string }[]>`
        select c.relname as relation, a.attname as name,
               format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
                 || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as type
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
          and a.attnum > 0 and not a.attisdropped`
      const keys = await sql<{ relation: string; words: string; columns: string[] }[]>`
        select c.relname as relation, pg_get_constraintdef(k.oid) as words,
               array(select a.attname::text from pg_attribute a
                     where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) as columns
        from pg_constraint k join pg_class c on c.oid = k.conrelid
        where k.connamespace = 'public'::regnamespace and k.contype in ('p', 'u', 'f')`
      const indexes = await sql<{ relation: string; words: string }[]>`
        select c.relname as relation, pg_get_indexdef(i.indexrelid) as words
        from pg_index i join pg_class c on c.oid = i.indrelid
        where c.relnamespace = 'public'::regnamespace
          and not exists (select from pg_constraint k where k.conindid = i.indexrelid)`
      return {
        tables: new Set(columns.map(({ relation }) => relation)),
        columns: new Map(columns.map(({ relation, name, type }) => [`${relation}.${name}`, type])),
        keys: new Map(keys.map(({ relation, words, columns }) => [`${relation}: ${words}`, columns])),
        indexes: new Set(
          indexes.map(
            ({ relation, words }) => `${relation}: ${words.replace(/ INDEX \S+ ON \S+/, ' INDEX')}`,
          ),
        ),
      }
    } finally {
      await sql.end({ timeout: 5 })
      await admin`drop database ${admin(database)} with (force)`
    }
  } finally {
    await admin.end({ timeout: 5 })
  }
}

function* differences(ours: Schema, theirs: Schema): Generator<string> {
  const both = (table: string) => ours.tables.has(table) && theirs.tables.has(table)
  const tableOf = (thing: string) => /^[^.:]*/.exec(thing)?.[0] ?? ''
  for (const table of ours.tables) if (!theirs.tables.has(table)) yield `Hydra has no table ${table}`
  for (const [column, type] of ours.columns) {
    if (!both(tableOf(column))) continue
    const there = theirs.columns.get(column)
    if (there === undefined) yield `Hydra has no column ${column}`
    else if (there !== type) yield `${column} is ${there} in Hydra, and ${type} here`
  }
  for (const key of ours.keys.keys()) {
    if (both(tableOf(key)) && !theirs.keys.has(key)) yield `Hydra has no such key: ${key}`
  }
  for (const [key, columns] of theirs.keys) {
    const table = tableOf(key)
    const known = both(table) && columns.every(column => ours.columns.has(`${table}.${column}`))
    if (known && !ours.keys.has(key)) yield `Hydra has a key that is not here: ${key}`
  }
  for (const index of ours.indexes) {
    if (both(tableOf(index)) && !theirs.indexes.has(index)) yield `Hydra has no such index: ${index}`
  }
}

/** The fixture's own, as hydra-init writes it. */
function versionOf(schema: string): number {
  const version = /^insert into SchemaVersion \(version\) values \((\d+)\);/m.exec(schema)?.[1]
  if (version === undefined) throw new CannotCompare(`${OURS} has no line that inserts the SchemaVersion`)
  return Number(version)
}

async function compare(args: readonly string[]): Promise<number> {
  const [path, ...more] = args
  if (path === undefined || more.length > 0) throw new CannotCompare('usage: npm run schema -- PATH')
  const checkout = findInCheckout(path)
  const version = versionOf(readFileSync(OURS, 'utf8'))
  const server = await sharedPostgres()
  try {
    const ours = await readSchema(server, OURS)
    const theirs = await readSchema(server, checkout.schema)
    const found = [...differences(ours, theirs)]
    if (checkout.version !== version)
      found.unshift(`the schema of Hydra is version ${checkout.version}, and ours is version ${version}`)
    for (const line of found) console.log(line)
    const said = `${ours.tables.size} tables and ${ours.columns.size} columns of fixtures/hydra.sql`
    if (found.length === 0) console.log(`${said} are those of Hydra's schema, version ${version}`)
    return found.length === 0 ? 0 : 1
  } finally {
    await server.stop()
  }
}

process.exitCode = await compare(process.argv.slice(2)).catch(error => {
  console.error(error instanceof CannotCompare ? error.message : error)
  return 2
})
