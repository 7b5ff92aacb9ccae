// `hydra-channels history` for people: a line for each change, and below it what Hydra and GitHub know of the commit.
import { styleText } from 'node:util'
import { count, short } from '../base/log.ts'
import { clockTime, relativeTime } from '../base/time.ts'
import { UNFINISHED, wordsOfKind } from '../hydra/build-status.ts'
import { describeCommit } from './explain.ts'
import type { Change, ChangeKind, ChannelHistory } from './history.ts'
import { clean, linked, MIN_WIDTH, type TableOptions, withAddress, wrap } from './table.ts'

/** What this program never does stands out, also without colour. */
const WORDS: Readonly<Record<ChangeKind, string>> = {
  created: 'created',
  moved: 'moved',
  merged: 'merged',
  forced: 'FORCED',
  deleted: 'DELETED',
}

const INDENT = '    '

export function renderHistory(history: ChannelHistory, options: TableOptions): string[] {
  const { repository, branch, changes } = history
  const width = Math.max(options.width ?? Number.POSITIVE_INFINITY, MIN_WIDTH)
  const title = `${clean(repository)} ${clean(branch)}: `
  const now = options.now.getTime()
  const since = history.since === null ? '' : ` since ${clockTime(Date.parse(history.since), now)}`
  if (changes.length === 0) return wrap(`${title}${nothing(history, since)}`, width)
  const more = moreOf(history)
  return [
    ...wrap(`${title}${count(changes.length, 'change')}${since}, newest first`, width),
    '',
    ...changes.flatMap(change => [
      ...changeLines(change, width, options),
      ...wrap(detailsOf(change, options), width - INDENT.length).map(line => `${INDENT}${line}`),
    ]),
    ...(more === undefined ? [] : ['', ...wrap(more, width)]),
  ]
}

function nothing({ moreBefore }: ChannelHistory, since: string): string {
  const why = 'there was no such branch, or GitHub does not keep it for so long'
  return moreBefore || since !== ''
    ? `GitHub tells of no change${since}`
    : `GitHub tells of no change: ${why}`
}

function moreOf({ leftOut, moreBefore, since, changes }: ChannelHistory): string | undefined {
  if (leftOut === 0 && !moreBefore) return undefined
  if (since !== null) {
    return `there are more since then: these are the newest ${changes.length}, and GitHub is asked for no more`
  }
  const what =
    leftOut === 0
      ? 'there are older changes'
      : `${moreBefore ? 'at least ' : ''}${count(leftOut, 'older change')} left out`
  return `${what}: --since says how far back to go`
}

function changeLines(change: Change, width: number, { now, colour, links }: TableOptions): string[] {
  const at = Date.parse(change.at)
  const when = `${relativeTime(at, now.getTime())} (${clockTime(at, now.getTime())})`
  const word = WORDS[change.kind]
  const [first = '', ...others] = wrap(
    `${when}: ${word} ${pathOf(change)}, by ${clean(whoOf(change))}`,
    width,
  )
  const isLoud = change.kind === 'forced' || change.kind === 'deleted'
  const shown = colour && isLoud ? styleText('red', word, { validateStream: false }) : word
  return [first.replace(word, () => (links ? linked(shown, change.url) : shown)), ...others]
}

/** `af02f10..3f2c9d1 (12 commits)` */
function pathOf({ from, to, gained, lost, kind }: Change): string {
  if (from === null) return `at ${short(to ?? '')}`
  if (to === null) return `at ${short(from)}`
  const numbers = [
    ...(gained === null || (gained === 0 && lost !== 0) ? [] : [count(gained, 'commit')]),
    ...(lost === null || lost === 0 ? [] : [`${count(lost, 'commit')} lost`]),
  ]
  const parted = kind === 'forced' ? '...' : '..'
  return `${short(from)}${parted}${short(to)}${numbers.length === 0 ? '' : ` (${numbers.join(', ')})`}`
}

function whoOf({ actor, own }: Change): string {
  if (actor === null) return 'somebody whom GitHub does not name'
  return own ? `${actor}, our App` : actor
}

function detailsOf(change: Change, options: TableOptions): string {
  const { subject, author, url } = change
  const sha = change.to ?? change.from ?? ''
  const commit = describeCommit(sha, subject === null ? undefined : { subject, author: author ?? undefined })
  const text = [commit, ...proofOf(change)].join(', ')
  return withAddress(clean(text), url, options)
}

function proofOf({ eval: evalId, build, buildStatus }: Change): string[] {
  if (evalId === null) return ['no eval of it is known']
  if (build === null || buildStatus === null) return [`eval ${evalId}`]
  const words = buildStatus === 'unfinished' ? UNFINISHED : wordsOfKind(buildStatus)
  return [`eval ${evalId}`, `build ${build} ${words}`]
}
