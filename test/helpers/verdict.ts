// What a log says of one channel, without its whole sentence: the kind, and what is asserted beside it.
import { CHANNEL } from './stage.ts'

const KINDS = [
  ['created', /^created at /],
  ['fast-forwarded', /^fast-forwarded /],
  ['already-there', /^already there, /],
  ['already-contained', /^already contained: /],
  ['candidate-changed', /^not moved: its candidate changed/],
  ['held', /^(all channels are )?held, not moved/],
  ['diverged', /^diverged, not moved/],
  ['withdrawn', /^withdrawn, not moved/],
  ['not-on-branch', /^not-on-branch, not moved/],
] as const

/** Kinds that reconcile only counts. */
const QUIET = ['already-there', 'already-contained', 'no-good-build']

export interface Verdict {
  /** `failed` if the channel has an error; `none` if the output does not name it */
  kind: (typeof KINDS)[number][0] | 'failed' | 'none' | (string & {})
  /** what the line says of the channel, or the error's first line */
  said: string
}

/** The verdict in a log, standard error's lines among it. */
export function verdictOf(log: string, branch = CHANNEL): Verdict {
  const lines = log.split('\n')
  const begin = `alice/dotfiles ${branch}: `
  const own = lines.filter(line => line.startsWith(begin)).map(line => line.slice(begin.length))
  const error = own.find(line => line.startsWith('cannot be moved: '))
  if (error !== undefined) return { kind: 'failed', said: error }
  const kindOf = (line: string) => KINDS.find(([, is]) => is.test(line))?.[0]
  // before it there may be what was done meanwhile, and below it what explains it
  const said = own.findLast(line => kindOf(line) !== undefined) ?? own.at(-1)
  if (said !== undefined) return { kind: kindOf(said) ?? said, said }
  const summary = lines.findLast(line => line !== '') ?? ''
  return { kind: QUIET.find(kind => summary.includes(` ${kind}`)) ?? 'none', said: summary }
}
