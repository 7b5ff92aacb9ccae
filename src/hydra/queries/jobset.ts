// A jobset of a rule.
import * as z from 'zod/mini'
import type { Sql } from '../database.ts'
import { idSchema } from '../event.ts'
import { number, parseRows, seconds, text, wholeLines } from './rows.ts'

/** They may have megabytes. */
const MAX_ERROR = 65_536

const jobsetRow = z.object({
  id: z.nullable(idSchema),
  type: z.nullable(number),
  flake: z.nullable(text),
  enabled: z.nullable(number),
  project_enabled: number,
  checkinterval: z.nullable(number),
  lastcheckedtime: z.nullable(seconds),
  errortime: z.nullable(seconds),
  errormsg: z.nullable(text),
  fetcherrormsg: z.nullable(text),
  renamed_to: z.nullable(text),
})

/** Hydra's jobsets.enabled: 0 disabled, 1 enabled, 2 one-shot, 3 one at a time. */
const ONE_AT_A_TIME = 3

export interface Jobset {
  id: number
  type: 'flake' | 'legacy'
  /** as somebody entered it, not locked: `github:alice/dotfiles/main` */
  flake: string | null
  /** whether the evaluator looks at it at all, and its project */
  enabled: boolean
  /** the next evaluation waits until all builds of the last one have ended */
  oneAtATime: boolean
  /** 0: only when a webhook or a person asks for it */
  checkIntervalSeconds: number
  /** Unix seconds; undefined: never */
  lastCheckedTime: number | undefined
  /** The error of the last failed evaluation, its time, and whether it is still the newest check. */
  error: { text: string; time: number; current: boolean } | undefined
}

/**
 * The jobset of a rule; if it was renamed, its name now.
 */
export async function findJobset(
  sql: Sql,
  project: string,
  jobset: string,
): Promise<Jobset | { renamedTo: string | undefined }> {
  const [row] = parseRows(
    jobsetRow,
    await sql`
      select j.id, j.type, j.flake, j.enabled, p.enabled as project_enabled, j.checkinterval, j.lastcheckedtime,
             j.errortime, left(j.errormsg, ${MAX_ERROR}::int) as errormsg, left(j.fetcherrormsg, ${MAX_ERROR}::int) as fetcherrormsg,
             (select r.to_ from jobsetrenames r where r.project = ${project} and r.from_ = ${jobset}) as renamed_to
      from projects p left join jobsets j on j.project = p.name and j.name = ${jobset}
      where p.name = ${project}`,
  )
  if (!row?.id) return { renamedTo: row?.renamed_to ?? undefined }
  return {
    id: row.id,
    type: row.type === 1 ? 'flake' : 'legacy',
    flake: row.flake,
    enabled: row.enabled !== 0 && row.project_enabled !== 0,
    oneAtATime: row.enabled === ONE_AT_A_TIME,
    checkIntervalSeconds: row.checkinterval ?? 0,
    lastCheckedTime: row.lastcheckedtime ?? undefined,
    error: errorOf(row),
  }
}

function errorOf({ fetcherrormsg, lastcheckedtime, errormsg, errortime }: z.output<typeof jobsetRow>) {
  // the next check that can fetch takes it away
  if (fetcherrormsg && lastcheckedtime !== null) {
    return { text: wholeLines(fetcherrormsg, MAX_ERROR), time: lastcheckedtime, current: true }
  }
  // after a good evaluation the text is '' and has a time
  if (!errormsg || errortime === null) return undefined
  return { text: wholeLines(errormsg, MAX_ERROR), time: errortime, current: errortime === lastcheckedtime }
}

/** What a jobset that was renamed is called now. */
export async function findNewName(sql: Sql, project: string, jobset: string): Promise<string | undefined> {
  const [row] = parseRows(
    z.object({ renamed_to: text }),
    await sql`select to_ as renamed_to from jobsetrenames where project = ${project} and from_ = ${jobset}`,
  )
  return row?.renamed_to
}
