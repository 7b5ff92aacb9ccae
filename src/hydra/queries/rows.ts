// What all queries have in common: SQL has no types, so each row is checked once, when it comes.
// Source of the tables: src/sql/hydra.sql of Hydra. docs/architecture.md explains evals, build sets and candidates.
import * as z from 'zod/mini'
import { OperatorError } from '../../base/errors.ts'
import { explainIssues } from '../../base/schema.ts'

export const text = z.string('text')
export const number = z.int('a number')
/** Unix seconds */
export const seconds = z.int('Unix seconds')

export interface Eval {
  id: number
  /** the locked flakeref (flakeref.ts); null in a legacy jobset */
  flake: string | null
}

/** @throws OperatorError if a row is not as expected */
export function parseRows<Row extends z.core.$ZodType>(row: Row, rows: readonly unknown[]): z.output<Row>[] {
  return rows.map(candidate => {
    const result = z.safeParse(row, candidate, { reportInput: true })
    if (result.success) return result.data
    throw new OperatorError(
      `this program does not understand an answer of Hydra's database: ${explainIssues(result.error.issues).join('; ')}`,
      { hint: 'if this Hydra is newer than this program, update hydra-channels' },
    )
  })
}

/**
 * Of a text that the query has cut at so many characters, the whole lines: the cut may go through a secret, of which half is
 * not recognised.
 */
export function wholeLines(cut: string, limit: number): string {
  return cut.length < limit ? cut : cut.slice(0, Math.max(0, cut.lastIndexOf('\n')))
}
