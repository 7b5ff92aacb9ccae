// `hydra-channels status` for people: the fleet as a table, and under it what mends each trouble.
import { styleText } from 'node:util'
import stringWidth from 'string-width'
import { count, printable, short } from '../base/log.ts'
import { NOTHING_MOVES } from '../channels/dry-run.ts'
import { type ChannelStatus, type FleetStatus, isTroubling, REASONS, type Reason } from './shape.ts'

export interface TableOptions {
  now: Date
  /** columns of the terminal; undefined: not a terminal, so nothing is cut */
  width: number | undefined
  colour: boolean
}

/** What is `unknown` may be anything, so it comes first; what passes by itself comes after what somebody has to mend. */
const WORST_FIRST: readonly Reason[] = [
  ...new Set<Reason>([
    ...(['unknown', ...REASONS.filter(isTroubling), 'building', 'behind'] as const),
    ...(['held', 'abandoned', 'up-to-date'] as const),
  ]),
]

const GAP = '  '

/** Shorter names do not tell one channel from another. */
const MIN_NAME_WIDTH = 12

/** Of more channels with the same message, the first two are named and the others counted. */
const MAX_NAMES = 3

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS

/** Anybody can date a commit, and the column has room for two digits. */
const MAX_YEARS = 99

/**
 * The table for people, worst first, and under it for each trouble the one line that mends it; as lines, the last of
 * which counts. No line of the table is wider than a terminal of 60 columns or more (and fewer than a million commits
 * behind); a narrower one may have to wrap them, as nothing but names is cut, and no column is left out.
 */
export function renderTable(status: FleetStatus, options: TableOptions): string[] {
  const end = status.dryRun ? `; ${NOTHING_MOVES}` : ''
  if (status.channels.length === 0) return [`there are no channels${end}`]
  const channels = status.channels.toSorted(compareChannels)
  const nameOf = namer(channels)
  const messages = messageLines(channels, nameOf)
  return [
    ...tableLines(channels, nameOf, options),
    '',
    ...messages,
    ...(messages.length > 0 ? [''] : []),
    `${countsOf(channels)}; ${describeReconcile(status.lastReconcile, options.now)}${end}`,
  ]
}

function compareChannels(a: ChannelStatus, b: ChannelStatus): number {
  return (
    compare(WORST_FIRST.indexOf(a.reason), WORST_FIRST.indexOf(b.reason)) ||
    compare(sinceMs(a), sinceMs(b)) ||
    compare(a.repository, b.repository) ||
    compare(a.branch, b.branch)
  )
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sinceMs({ since }: ChannelStatus): number {
  return since === null ? Number.POSITIVE_INFINITY : Date.parse(since)
}

/** `nixos-tested-nas`, or `alice/dotfiles:nixos-tested-nas` in a fleet of several repositories. */
function namer(channels: ChannelStatus[]): (channel: ChannelStatus) => string {
  const repositories = new Set(channels.map(({ repository }) => repository.toLowerCase()))
  return ({ repository, branch }) => clean(repositories.size > 1 ? `${repository}:${branch}` : branch)
}

/** Escaped before it is measured. Half a surrogate pair measures 0, and is written as U+FFFD, which takes 1. */
function clean(text: string): string {
  return printable(text.toWellFormed())
}

function tableLines(
  channels: ChannelStatus[],
  nameOf: (channel: ChannelStatus) => string,
  { now, width = Number.POSITIVE_INFINITY, colour }: TableOptions,
): string[] {
  const column = (title: string, cell: (channel: ChannelStatus) => string) => [title, ...channels.map(cell)]
  const names = column('CHANNEL', nameOf)
  const at = column('AT', channel => describeCommit(channel, now))
  const since = column('SINCE', channel => (channel.since === null ? '' : age(channel.since, now)))
  const reasons = column('REASON', ({ reason }) => reason)
  const roomBeside = (behind: string[]) =>
    [at, behind, since, reasons].reduce((room, cells) => room - GAP.length - widthOf(cells), width)

  const longBehind = column('BEHIND', describeBehind)
  const minWidth = Math.min(widthOf(names), MIN_NAME_WIDTH)
  const behind =
    roomBeside(longBehind) >= minWidth
      ? longBehind
      : column('BEHIND', ({ behindBranch }) => String(behindBranch ?? '-'))
  const nameWidth = Math.max(roomBeside(behind), minWidth)

  const left = [names.map(name => shorten(name, nameWidth)), at, behind, since].map(padded)
  const right = colour ? column('REASON', ({ reason }) => coloured(reason)) : reasons
  return right.map((reason, row) => [...left.map(cells => cells[row]), reason].join(GAP))
}

/** `3f2c9d1 2d`: the channel's commit, and how old it is. */
function describeCommit({ sha, committedAt }: ChannelStatus, now: Date): string {
  // not there, or not known: the line below the table says which
  if (sha === null) return '-'
  const commit = clean(short(sha))
  return committedAt === null ? commit : `${commit} ${age(committedAt, now)}`
}

/** `12 (3 built)`: 12 commits behind the tracked branch, and the candidate is 3 commits ahead. */
function describeBehind({ behindBranch, behindCandidate }: ChannelStatus): string {
  const behind = String(behindBranch ?? '-')
  if (behindCandidate === null || behindCandidate === behindBranch) return behind
  return `${behind} (${behindCandidate} built)`
}

function coloured(reason: Reason): string {
  const colour = isTroubling(reason) ? 'red' : reason === 'up-to-date' ? 'green' : 'yellow'
  // whether there is to be colour is decided by the caller, not by what stdout happens to be
  return styleText(colour, reason, { validateStream: false })
}

function widthOf(cells: string[]): number {
  return cells.reduce((width, cell) => Math.max(width, stringWidth(cell)), 0)
}

function padded(cells: string[]): string[] {
  const width = widthOf(cells)
  return cells.map(cell => cell + ' '.repeat(width - stringWidth(cell)))
}

/** In the middle: names of one fleet begin alike, and those of several repositories differ there too. */
function shorten(name: string, width: number): string {
  if (stringWidth(name) <= width) return name
  // what a reader sees as one character is not cut in two
  const characters = Array.from(new Intl.Segmenter().segment(name), ({ segment }) => segment)
  const head = startOf(characters, Math.floor((width - 1) / 2))
  const tail = startOf(characters.toReversed(), width - 1 - stringWidth(head.join('')))
  return [...head, '…', ...tail.toReversed()].join('')
}

/** As many of the first as fit into `width`. */
function startOf(characters: string[], width: number): string[] {
  let room = width
  const end = characters.findIndex(character => {
    room -= stringWidth(character)
    return room < 0
  })
  return characters.slice(0, end === -1 ? undefined : end)
}

/** `a, b and 2 more: …`: one line for trouble that several channels share. */
function messageLines(channels: ChannelStatus[], nameOf: (channel: ChannelStatus) => string): string[] {
  const namesByMessage = new Map<string, string[]>()
  for (const channel of channels) {
    if (channel.message === null) continue
    const message = clean(channel.message)
    const names = namesByMessage.get(message) ?? []
    namesByMessage.set(message, names)
    names.push(nameOf(channel))
  }
  return Array.from(namesByMessage, ([message, names]) => `${enumerate(names)}: ${message}`)
}

function enumerate(names: string[]): string {
  const shown = names.length > MAX_NAMES ? names.slice(0, MAX_NAMES - 1) : names.slice(0, -1)
  const last = names.length > MAX_NAMES ? `${names.length - shown.length} more` : names.at(-1)
  return shown.length === 0 ? `${last}` : `${shown.join(', ')} and ${last}`
}

/** `3 channels: 1 build-failed, 2 up-to-date` */
function countsOf(channels: ChannelStatus[]): string {
  const counts = WORST_FIRST.map(reason => ({
    reason,
    n: channels.filter(channel => channel.reason === reason).length,
  })).filter(({ n }) => n > 0)
  return `${count(channels.length, 'channel')}: ${counts.map(({ n, reason }) => `${n} ${reason}`).join(', ')}`
}

function describeReconcile(lastReconcile: string | null, now: Date): string {
  if (lastReconcile === null) return 'no reconcile has ended yet'
  const { n, unit } = span(lastReconcile, now)
  return `the last reconcile ended ${unit === 'min' ? `${n} min` : count(n, unit)} ago`
}

/** `4m`, `3h`, `2d`, `1y`: at most four characters, the units of `hold --until`. */
function age(time: string, now: Date): string {
  const { n, unit } = span(time, now)
  return `${n}${unit.charAt(0)}`
}

/** The time between the two, rounded down; '' if `time` is in the future because clocks disagree. */
function span(time: string, now: Date): { n: number; unit: 'min' | 'hour' | 'day' | 'year' } {
  const ms = Math.max(0, now.getTime() - Date.parse(time))
  if (ms < HOUR_MS) return { n: Math.floor(ms / MINUTE_MS), unit: 'min' }
  if (ms < 2 * DAY_MS) return { n: Math.floor(ms / HOUR_MS), unit: 'hour' }
  if (ms < YEAR_MS) return { n: Math.floor(ms / DAY_MS), unit: 'day' }
  return { n: Math.min(MAX_YEARS, Math.floor(ms / YEAR_MS)), unit: 'year' }
}
