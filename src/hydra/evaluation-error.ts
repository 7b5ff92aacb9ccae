// The text in which Hydra keeps what went wrong in an evaluation: sections, each of a job or of the whole.
// Source: src/script/hydra-eval-jobset of Hydra, and Nix's way to print errors. Its quotation marks are escaped here: one
// character that is not ASCII makes Node read and parse a whole bundle at half the speed.
//
// It may have megabytes, and is written by everybody who may push to the flake or to one of its inputs.

import { cut } from '../base/log.ts'

const HEADING = 'in job \u2018'
const HEADING_END = '\u2019:'

/** A longer message is cut: it goes on one line of the log, and into a table. */
const MAX_MESSAGE = 1_000

export interface EvaluationErrors {
  /**
   * What kept a job from being evaluated: the last `error: …` line of its section, or of the one of the whole. Undefined
   * if no section is about the job.
   */
  find(job: string): string | undefined
  /** The names in the headings: jobs that could not be evaluated, or what their names begin with. */
  jobs: ReadonlySet<string>
}

interface Section {
  /** its place in the text */
  index: number
  lines: string[]
  message?: string
}

/** @param text `in job ‘nixos-nas.x86_64-linux’:\nerror:\n … while …\n error: attribute 'x' missing\n` */
export function parseEvaluationErrors(text: string): EvaluationErrors {
  const ofJob = new Map<string, Section>()
  let ofAll: Section | undefined
  let section: Section | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const heading = line.trimEnd()
    const job = jobOf(heading)
    if (job === undefined && heading !== 'at top-level:') {
      section?.lines.push(line)
      continue
    }
    section = { index, lines: [] }
    // the first section of a job counts
    if (job === undefined) ofAll ??= section
    else if (!ofJob.has(job)) ofJob.set(job, section)
  }
  return {
    jobs: new Set(ofJob.keys()),
    find(job) {
      // a section may be of a part of the job's name: of all systems of a host
      const sections = [...partsOf(job).map(part => ofJob.get(part)), ofAll].filter(
        found => found !== undefined,
      )
      const [first] = sections.sort((a, b) => a.index - b.index)
      if (first) first.message ??= lastErrorOf(first.lines)
      return first?.message
    },
  }
}

/** The first line of a Nix error is just `error:`, and the message is in the last one. */
export function lastError(section: string): string {
  return lastErrorOf(section.split('\n'))
}

function lastErrorOf(lines: readonly string[]): string {
  const line =
    lines.findLast(each => each.trimStart().startsWith('error: ') && each.trim() !== 'error:') ??
    lines.find(each => each.trim() !== '')
  if (line === undefined) return 'without a message'
  // before it is cut: half of a token is not seen to be one
  return cut(withoutUserInformation(line.trim()), MAX_MESSAGE)
}

function jobOf(heading: string): string | undefined {
  if (!heading.startsWith(HEADING) || !heading.endsWith(HEADING_END)) return undefined
  const job = heading.slice(HEADING.length, -HEADING_END.length)
  return job.includes('\u2019') ? undefined : job
}

/** `a.b.c`, `a.b`, `a`. */
function partsOf(job: string): string[] {
  const parts = [job]
  for (let dot = job.lastIndexOf('.'); dot > 0; dot = job.lastIndexOf('.', dot - 1))
    parts.push(job.slice(0, dot))
  return parts
}

/** A URL that could not be fetched may carry a token: in each word, all between `://` and the last `@` goes. */
function withoutUserInformation(message: string): string {
  const words = message.split(/([\s'"])/)
  return words.map(withoutUser).join('')
}

function withoutUser(word: string): string {
  const start = word.indexOf('://')
  const end = word.lastIndexOf('@')
  return start >= 0 && start < end ? word.slice(0, start + 3) + word.slice(end + 1) : word
}
