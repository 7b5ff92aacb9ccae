// `hydra-channels status` for people: the fleet as a table, and under it what mends each trouble.
import { styleText } from 'node:util'
import stringWidth from 'string-width'
import { count, printable, short } from '../base/log.ts'
import { relativeTime, spanInShort, spanInWords } from '../base/time.ts'
import { NOTHING_MOVES } from '../channels/dry-run.ts'
import { type ChannelStatus, type FleetStatus, isTroubling, REASONS, type Reason } from './shape.ts'

export interface TableOptions {
  now: Date
  /** columns of the terminal; undefined: not a terminal, so nothing is cut */
  width: number | undefined
  colour: boolean
  /** whether it shows links: then the reason is one, and the address is not written out */
  links: boolean
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

/** In less, nothing can be read. */
export const MIN_WIDTH = 40

/** A reconcile that copies may take so long, and is no reason to look at its timer. */
export const LATE_MS = 60 * 60_000

const LEGEND =
  'AT: its commit, and how old that is; BEHIND: commits of the tracked branch that it does not have (and how many of them are built); SINCE: how long there has been something newer'

const INDENT = '    '

/**
 * The table for people, worst first, and under each channel in trouble what mends it and where to read more; under several
 * with one cause, once. The last line counts. No line is wider than a terminal of 60 columns or more, but for an address, and
 * for fewer than a million commits behind; a narrower one may have to wrap the rows, as nothing but names is cut.
 */
export function renderTable(status: FleetStatus, options: TableOptions): string[] {
  const end = status.dryRun ? `; ${NOTHING_MOVES}` : ''
  if (status.channels.length === 0) return [`there are no channels${end}`]
  const groups = groupByCause(sortWorstFirst(status.channels))
  const channels = groups.flat()
  const [header = '', ...rows] = tableLines(channels, namer(channels), options)
  const width = Math.max(options.width ?? Number.POSITIVE_INFINITY, MIN_WIDTH)
  let row = 0
  return [
    header,
    ...groups.flatMap(group => [...group.map(() => rows[row++] ?? ''), ...detailsOf(group, options, width)]),
    '',
    ...wrap(LEGEND, width),
    '',
    ...wrap(`${countsOf(channels)}; ${describeReconcile(status, options.now)}${end}`, width),
  ]
}

/** Channels that one cause keeps where they are follow each other, where the first of them would be. */
function groupByCause(channels: readonly ChannelStatus[]): ChannelStatus[][] {
  const groups = new Map<string, ChannelStatus[]>()
  for (const [at, channel] of channels.entries()) {
    const { reason, message } = channel
    const key = message === null ? `${at}` : `${reason} ${message}`
    const group = groups.get(key) ?? []
    groups.set(key, group)
    group.push(channel)
  }
  return [...groups.values()]
}

/** The message, and the address where the terminal does not make a link of the reason. */
function detailsOf(group: readonly ChannelStatus[], { links }: TableOptions, width: number): string[] {
  const [first] = group
  if (!first || first.message === null) return []
  const these = group.length > 1 ? `(these ${group.length}) ` : ''
  const url = group.every(each => each.url === first.url) ? first.url : null
  return [
    ...wrap(`${these}${clean(first.message)}`, width - INDENT.length),
    ...(url === null || links ? [] : [clean(url)]),
  ].map(line => `${INDENT}${line}`)
}

/** The commands of base/links.ts: how they begin, and how many words they have at most. */
const COMMANDS = [
  { start: 'gh api ', words: 11 },
  { start: 'hydra-channels release ', words: 3 },
  { start: 'journalctl -u ', words: 3 },
]

/** Words, and commands as one word each. */
function unbroken(text: string): string[] {
  const words = text.split(' ')
  const found: string[] = []
  for (let at = 0; at < words.length; ) {
    const ahead = words.slice(at, at + 11)
    const command = COMMANDS.find(({ start }) => ahead.join(' ').startsWith(start))
    const end =
      command && ahead.findIndex((word, index) => index + 1 === command.words || /;$|force=true$/.test(word))
    const count = end === undefined || end === -1 ? 1 : end + 1
    found.push(ahead.slice(0, count).join(' '))
    at += count
  }
  return found
}

/** What is longer than a line is on one of its own: a word, or a command, which somebody will copy. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let room = -1
  for (const word of unbroken(text)) {
    const length = stringWidth(word)
    if (room >= length + 1) {
      lines[lines.length - 1] += ` ${word}`
      room -= length + 1
    } else {
      lines.push(word)
      room = width - length
    }
  }
  return lines
}

export function sortWorstFirst(channels: readonly ChannelStatus[]): ChannelStatus[] {
  return channels.toSorted(compareChannels)
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
export function clean(text: string): string {
  return printable(text.toWellFormed())
}

function tableLines(
  channels: ChannelStatus[],
  nameOf: (channel: ChannelStatus) => string,
  { now, width = Number.POSITIVE_INFINITY, colour, links }: TableOptions,
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
  const right = column('REASON', ({ reason, url }) =>
    linked(colour ? coloured(reason) : reason, links ? url : null),
  )
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

/** https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda */
export function linked(text: string, url: string | null): string {
  return url === null
    ? text
    : `\u001b]8;;${clean(url).replace(/[^\x21-\x7e]/gu, encodeURIComponent)}\u001b\\${text}\u001b]8;;\u001b\\`
}

/** An address stands behind its text, unless the terminal makes a link of it. */
export function withAddress(
  text: string,
  url: string | null,
  { links }: Pick<TableOptions, 'links'>,
): string {
  return url === null || links ? text : `${text} ${clean(url)}`
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

/** `3 channels: 1 build-failed, 2 up-to-date` */
function countsOf(channels: ChannelStatus[]): string {
  const counts = countReasons(channels)
  return `${count(channels.length, 'channel')}: ${counts.map(({ n, reason }) => `${n} ${reason}`).join(', ')}`
}

/** Those that there are, worst first. */
export function countReasons(channels: readonly ChannelStatus[]): { reason: Reason; n: number }[] {
  return WORST_FIRST.map(reason => ({
    reason,
    n: channels.filter(channel => channel.reason === reason).length,
  })).filter(({ n }) => n > 0)
}

function describeReconcile({ lastReconcile, nextReconcile }: FleetStatus, now: Date): string {
  if (lastReconcile === null) return 'no reconcile has ended yet'
  const ended = `the last reconcile ended ${relativeTime(Date.parse(lastReconcile), now.getTime())}`
  if (nextReconcile === null) return ended
  const due = Date.parse(nextReconcile)
  if (due >= now.getTime()) return `${ended}, the next one is due ${relativeTime(due, now.getTime())}`
  const late = now.getTime() - due
  // it runs for a while, and its timer is allowed a minute
  if (late < LATE_MS) return `${ended}, the next one is due now`
  return `${ended}, the next one was due ${spanInWords(late)} ago: is its timer running?`
}

/** `4m`, `3h`, `2d`, `1y`: at most four characters, the units of `hold --until`. */
function age(time: string, now: Date): string {
  return spanInShort(now.getTime() - Date.parse(time))
}
