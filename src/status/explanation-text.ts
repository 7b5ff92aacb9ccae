// `hydra-channels explain` for people: every gate with its mark, and the evals that did not become the candidate.
import { styleText } from 'node:util'
import { relativeTime } from '../base/time.ts'
import { NOTHING_MOVES } from '../channels/dry-run.ts'
import { describeCommit } from './explain.ts'
import type { ChannelExplanation, ToldCommit } from './find-explanation.ts'
import { type Answer, GATES, type Gate, hasOneAnswer, type State } from './gates.ts'
import { clean, linked, MIN_WIDTH, type TableOptions, withAddress, wrap } from './table.ts'

const MARKS: Readonly<Record<State, { mark: string; colour: 'green' | 'red' | 'yellow' }>> = {
  open: { mark: '✓', colour: 'green' },
  shut: { mark: '✗', colour: 'red' },
  unknown: { mark: '–', colour: 'yellow' },
}

const GATE_WIDTH = Math.max(...GATES.map(gate => gate.length)) + 2

const LEGEND = '✓ open, ✗ shut, – not asked or not known'

/** No line is wider than the terminal but for an address. */
export function renderExplanation(explanation: ChannelExplanation, options: TableOptions): string[] {
  const { repository, branch, reason, message, url, between, moreBetween } = explanation
  const width = Math.max(options.width ?? Number.POSITIVE_INFINITY, MIN_WIDTH)
  const paragraph = (text: string, address: string | null, indent: string) =>
    wrap(withAddress(clean(text), address, options), width - indent.length).map(line => `${indent}${line}`)
  return [
    ...wrap(`${clean(repository)} ${clean(branch)}: ${options.links ? linked(reason, url) : reason}`, width),
    ...(message === null ? [] : paragraph(message, url, '    ')),
    ...(explanation.dryRun ? paragraph(NOTHING_MOVES, null, '    ') : []),
    '',
    ...commitLines(explanation, options.now).flatMap(([name, text]) => column(name, text, width)),
    '',
    ...explanation.gates.flatMap(gate => gateLines(gate, width, options)),
    '',
    ...wrap(LEGEND, width),
    ...(between && between.length > 0
      ? [
          '',
          ...wrap(
            `evals ${explanation.candidate === null ? '' : 'after the candidate '}that did not become ${explanation.candidate === null ? 'the candidate' : 'it'}, newest first, without the newest:`,
            width,
          ),
        ]
      : []),
    ...(between ?? []).flatMap(({ eval: id, evaluatedAt, why, url: address, ...commit }) => {
      const of = commit.sha === null ? '' : `, ${told({ ...commit, sha: commit.sha })}`
      const when = relativeTime(Date.parse(evaluatedAt), options.now.getTime())
      const [first = '', ...others] = paragraph(`eval ${id}, ${when}${of}: ${why}`, address, '  ')
      return [withLink(first, `eval ${id}`, address, options), ...others.map(line => `  ${line}`)]
    }),
    ...(moreBetween ? ['  and more before'] : []),
    ...(between === null && explanation.job !== null ? ['', 'the evals before are not known'] : []),
  ]
}

function commitLines(
  { at, candidate, newestEval }: ChannelExplanation,
  now: Date,
): [name: string, text: string][] {
  const ago = (time: string) => relativeTime(Date.parse(time), now.getTime())
  return [
    [
      'at',
      at === null
        ? 'no branch, or it is not known'
        : `${told(at)}${at.committedAt === null ? '' : `, ${ago(at.committedAt)}`}`,
    ],
    [
      'candidate',
      candidate === null ? 'none' : `${told(candidate)}: eval ${candidate.eval}, build ${candidate.build}`,
    ],
    [
      'newest eval',
      newestEval === null
        ? 'none, or it is not known'
        : `${newestEval.eval}, ${ago(newestEval.evaluatedAt)}${newestEval.sha === null ? '' : `: ${told({ ...newestEval, sha: newestEval.sha })}`}`,
    ],
  ]
}

function told({ sha, subject, author }: ToldCommit): string {
  return describeCommit(sha, subject === null ? undefined : { subject, author: author ?? undefined })
}

/** One line if both have one answer. */
function gateLines({ gate, candidate, newestEval }: Gate, width: number, options: TableOptions): string[] {
  return hasOneAnswer({ candidate, newestEval })
    ? answerLines(gate, '', candidate, width, options)
    : [
        ...answerLines(gate, 'candidate: ', candidate, width, options),
        ...answerLines('', 'newest eval: ', newestEval, width, options),
      ]
}

function answerLines(
  gate: string,
  of: string,
  { state, text, url }: Answer,
  width: number,
  options: TableOptions,
): string[] {
  const { mark, colour } = MARKS[state]
  const marked = options.colour ? styleText(colour, mark, { validateStream: false }) : mark
  const [first = '', ...others] = column(gate, withAddress(`${of}${clean(text)}`, url, options), width - 2)
  const shown = withLink(first, of === '' ? gate : of.slice(0, -2), url, options)
  return [`${marked} ${shown}`, ...others.map(line => `  ${line}`)]
}

/** The first of these words is the link, where the terminal shows links. */
function withLink(line: string, words: string, url: string | null, { links }: TableOptions): string {
  return links ? line.replace(words, () => linked(words, url)) : line
}

function column(name: string, text: string, width: number): string[] {
  return wrap(clean(text), width - GATE_WIDTH).map(
    (line, at) => `${(at === 0 ? name : '').padEnd(GATE_WIDTH)}${line}`,
  )
}
