// What builds have put into the store.
import * as z from 'zod/mini'
import type { Output } from '../../base/output.ts'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { parseRows, text } from './rows.ts'

const outputRow = z.object({ build: idSchema, name: text, path: z.nullable(text) })

/** The outputs of several builds, by build. */
export async function findOutputsOfBuilds(
  sql: Sql,
  builds: readonly number[],
): Promise<Map<number, Output[]>> {
  const found = new Map<number, Output[]>(builds.map(build => [build, []]))
  if (builds.length === 0) return found
  const rows = parseRows(
    outputRow,
    await sql`select o.build, o.name, o.path from buildoutputs o where o.build in ${sql([...found.keys()])} order by o.build, o.name`,
  )
  for (const { build, name, path } of rows) found.get(build)?.push({ name, path })
  return found
}
