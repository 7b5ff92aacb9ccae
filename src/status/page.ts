// The page of `status --page DIR`: for a telephone at night, and for a screen on a wall. Static and without JavaScript; all of
// its texts are other people's. Pure: what is known goes in, HTML comes out.
import { createHash } from 'node:crypto'
import { Html, html, link } from '../base/html.ts'
import { branchUrl, buildUrl, commitUrl, evalUrl, journalCommand } from '../base/links.ts'
import { count, cut, printable, short } from '../base/log.ts'
import { dateWithZone, spanInWords } from '../base/time.ts'
import { NOTHING_MOVES } from '../channels/dry-run.ts'
import { describeCommit } from './explain.ts'
import { type Answer, type Gate, hasOneAnswer } from './gates.ts'
import { type ChannelStatus, type FleetStatus, isTroubling, type Reason } from './shape.ts'
import type { DescribedCommit } from './survey.ts'
import { countReasons, LATE_MS, sortWorstFirst } from './table.ts'

/** So many evals are in a strip. */
export const EVALS_SHOWN = 30

/** What became of a channel's job in one eval. `absent`: it has no build of it. */
export interface EvalOfChannel {
  eval: number
  /** ISO 8601 */
  time: string
  /** undefined: it names no commit of the repository */
  sha: string | undefined
  state: 'good' | 'failed' | 'building' | 'absent'
}

export interface PageChannel extends ChannelStatus {
  gates: readonly Gate[]
  /** newest first, at most {@link EVALS_SHOWN}; undefined: not known, or several jobs lead to it, or none */
  evals: readonly EvalOfChannel[] | undefined
}

export interface Page extends FleetStatus {
  channels: PageChannel[]
  /** what people know commits by */
  commits: ReadonlyMap<string, DescribedCommit>
  /** for links: `https://github.com` */
  webUrl: string
  hydraUrl: string | undefined
  /** how often reconcile runs, and the page is written */
  intervalMs: number | undefined
  /** what was said beside the channels: what could not be asked, and rules that lead to none */
  problems: readonly string[]
}

/** Of a message two lines are shown, and below more than anybody reads: status.json has all of it. */
const MAX_SAID = 300
const MAX_MESSAGE = 8_000

/** A screen on a wall loads the page again so often. It closes what is opened, so it is not more often. */
const RELOAD_MINUTES = 15
const MAX_PROBLEMS = 20

const STYLE = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1b1f24; --dim: #57606a; --line: #d5dae0; --soft: #f4f6f8;
  --bad: #b3261e; --wait: #855300; --good: #1a7437; --mark: #0a5cbd }
@media (prefers-color-scheme: dark) { :root { --bg: #12161b; --fg: #e6eaee; --dim: #9aa6b2; --line: #323b45; --soft: #1b2129;
  --bad: #ff8b82; --wait: #e8b84a; --good: #5bd16f; --mark: #7db7ff } }
* { box-sizing: border-box; min-width: 0 }
html { font: clamp(1rem, .9rem + .3vw, 1.25rem)/1.5 system-ui, sans-serif; -webkit-text-size-adjust: 100% }
body { margin: 0 auto; max-width: 100rem; padding: 1rem clamp(.75rem, 3vw, 3rem) 3rem; background: var(--bg); color: var(--fg);
  overflow-wrap: anywhere }
h1 { font-size: clamp(1.4rem, 1.1rem + 1.6vw, 2.4rem); line-height: 1.2; margin: .5rem 0 .8rem }
p { margin: .3rem 0 } a { color: var(--mark) } code { font-size: .9em } time { white-space: nowrap }
.bad { color: var(--bad) } .wait { color: var(--wait) } .good { color: var(--good) } .dim { color: var(--dim) }
.until { border-left: .25rem solid var(--wait); padding-left: .7rem; margin: .6rem 0 }

.problems { list-style: none; margin: .6rem 0; padding: 0 } .problems li { border-left: .25rem solid var(--bad); padding-left: .7rem; margin: .3rem 0 }
.dead { background: var(--bad); color: var(--bg); font-weight: 700; padding: .5rem .7rem }
.counts { display: flex; flex-wrap: wrap; gap: .3rem; font-size: .9em; list-style: none; margin: 1.2rem 0; padding: 0 }
.counts li { border: 1px solid; border-radius: 2rem; padding: 0 .7rem; font-weight: 600 }
.channels { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
.channels > li { border-bottom: 1px solid var(--line) }
summary { display: grid; gap: .1rem 1.2rem; padding: .55rem .4rem; cursor: pointer; list-style: none; align-items: center;
  grid-template-columns: max-content minmax(0, 1fr) }
summary::-webkit-details-marker { display: none }
summary .name::before { content: "▸" / ""; display: inline-block; width: 1em; color: var(--dim) }
[open] > summary .name::before { content: "▾" / "" }
summary:hover, [open] > summary { background: var(--soft) }
summary:focus-visible { outline: 2px solid var(--mark); outline-offset: -2px }
.name { font-weight: 650 } .reason { font-weight: 600 } .name, .said, .strip { grid-column: 1 / -1 }
.said { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden }
[open] .said { display: none }
.when { text-align: right; color: var(--dim) }
.strip { display: flex; flex-wrap: wrap; gap: 0 .7rem; align-items: center; color: var(--dim); font-size: .85em }
svg { width: 15rem; max-width: 100%; height: 1.4rem; flex: none }
.g { fill: var(--good) } .f { fill: var(--bad) } .b { fill: none; stroke: var(--wait); stroke-width: 1.4 } .a { fill: var(--dim) }
.h { fill: var(--mark) }
.more { padding: .2rem .4rem 1.2rem }
dl { margin: .8rem 0; display: grid; grid-template-columns: 1fr } dt { color: var(--dim) } dd { margin: 0 0 .3rem }
.gates > div { display: contents }
footer { margin-top: 1.5rem; color: var(--dim); font-size: .9em }
@media (min-width: 40rem) {
  dl { grid-template-columns: 7rem 1fr 1fr; gap: 0 1.2rem }
  dd:last-child:nth-child(2), .facts dd { grid-column: 2 / -1 } }
@media (min-width: 60rem) {
  summary { grid-template-columns: minmax(0, 1fr) 12rem 10rem 13rem }
  .name, .strip { grid-column: auto } .said { grid-column: 1 / -2; -webkit-line-clamp: 1; order: 1 } .when { text-align: left } }
@media (min-width: 85rem) { summary { grid-template-columns: minmax(0, 1fr) 12rem 10rem 26rem } .said { grid-column: 1 / -1 }
  .strip { flex-wrap: nowrap } }
`

/** Nothing is loaded, run or sent; the mark in the browser's tab is a part of the page. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const MARKS = { bad: '✗', wait: '…', good: '✓' } as const
type Kind = keyof typeof MARKS

const kindOf = (reason: Reason): Kind =>
  isTroubling(reason) ? 'bad' : reason === 'up-to-date' ? 'good' : 'wait'

/** With what a thousand channels would ask each for itself. */
interface Shown extends Page {
  hasSeveralRepositories: boolean
}

export function renderPage(found: Page): string {
  const repositories = new Set(found.channels.map(({ repository }) => repository.toLowerCase()))
  const page: Shown = { ...found, hasSeveralRepositories: repositories.size > 1 }
  const channels = sortWorstFirst(page.channels) as PageChannel[]
  const bad = channels.filter(({ reason }) => isTroubling(reason)).length
  const kind = kindOfPage(page)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="${RELOAD_MINUTES * 60}">
<title>${MARKS[kind]}${bad > 0 ? ` ${bad} of ${channels.length}` : ''}${' · '}hydra-channels</title>
<link rel="icon" href="${iconOf(kind)}">
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>${unlessReadIn(page)}
<h1 class="${kind}">${sentenceOf(page)}</h1>
${timesOf(page)}
${problemsOf(page)}<ul class="counts" role="list" aria-label="how many of each reason">${countReasons(
    channels,
  ).map(
    ({ reason, n }) => html`<li class="${kindOf(reason)}">${MARKS[kindOf(reason)]} ${n} ${reason}</li>`,
  )}</ul>
</header>
<main>
<ul class="channels" role="list" aria-label="channels, the worst first">
${channels.map(channel => channelOf(channel, page))}</ul>
</main>
<footer>
<p>${LEGEND}</p>
<p>A channel opens when it is pressed. The page loads itself again every ${RELOAD_MINUTES} minutes, and then is closed but for the channel that the address names.</p>
<p>Ages are those at the time when this page was written. <a href="status.json">status.json</a> has the same for programs.</p>
</footer>
</body>
</html>
`.text
}

const LEGEND = `A strip shows the last ${EVALS_SHOWN} evals, the newest on the right: a high bar is good, a low one failed or was aborted, an empty one is queued or building, a dash has no build of the job; the triangle is where the channel is.`

/** Green only if all was looked at, in time, and nothing has to be mended. */
function kindOfPage(page: Page): Kind {
  const { channels, problems, dryRun } = page
  if (problems.length > 0 || channels.some(({ reason }) => isTroubling(reason))) return 'bad'
  const isFine = channels.some(({ reason }) => reason === 'up-to-date') && !dryRun && !isOverdue(page)
  return isFine ? 'good' : 'wait'
}

/** No reconcile has come to its end when it should have, although they may run. */
function isOverdue({ generatedAt, lastReconcile, nextReconcile }: Page): boolean {
  if (lastReconcile === null) return true
  return nextReconcile !== null && Date.parse(nextReconcile) + LATE_MS < Date.parse(generatedAt)
}

function problemsOf({ problems }: Page): Html {
  if (problems.length === 0) return html``
  const more = problems.length - MAX_PROBLEMS
  return html`<ul class="problems" role="list" aria-label="troubles beside the channels">
${problems.slice(0, MAX_PROBLEMS).map(problem => html`<li>${cut(problem, MAX_MESSAGE)}</li>\n`)}${more > 0 ? html`<li>and ${more} more</li>\n` : ''}</ul>
`
}

/** A disc, and by its shape too: full, or hollow. */
function iconOf(kind: Kind): string {
  const shape = {
    bad: 'fill="#d33"',
    wait: 'fill="none" stroke="#c80" stroke-width="2"',
    good: 'fill="none" stroke="#2a4" stroke-width="4"',
  }[kind]
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.5" ${shape}/></svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}

/** `2 of 60 channels stand still, nixos-tested-router for 9 days; 1 is unknown` */
function sentenceOf(page: Shown): string {
  const { channels, generatedAt } = page
  if (channels.length === 0) return page.problems.length > 0 ? 'No channel is known' : 'There are no channels'
  const of = (n: number, verb: string, verbs: string) =>
    channels.length === 1
      ? `The channel ${verb}`
      : n === channels.length
        ? `All ${n} channels ${verbs}`
        : `${n} of ${channels.length} channels ${n === 1 ? verb : verbs}`
  const still = channels.filter(({ reason }) => isTroubling(reason) && reason !== 'unknown')
  const unknown = channels.filter(({ reason }) => reason === 'unknown').length
  const newest = channels.filter(({ reason }) => reason === 'up-to-date').length
  if (still.length === 0) {
    if (unknown > 0) return `${of(unknown, 'is', 'are')} unknown`
    const upToDate = `${of(newest, 'is', 'are')} up to date`
    if (newest === channels.length) return upToDate
    return channels.length === 1 ? 'The channel is in no trouble' : `${upToDate}, and none is in trouble`
  }
  const [longest] = still.filter(({ since }) => since !== null).sort((a, b) => msOf(a.since) - msOf(b.since))
  const which = longest && channels.length > 1 ? `, ${nameIn(page, longest)}` : ''
  const long = longest ? ` for ${ageOf(longest.since, generatedAt)}` : ''
  const more = unknown === 0 ? '' : `; ${unknown} ${unknown === 1 ? 'is' : 'are'} unknown`
  return `${of(still.length, 'stands', 'stand')} still${which}${long}${more}`
}

/** A channel's branch, with its repository if there are several. */
function nameIn(page: Shown, { repository, branch }: ChannelStatus): string {
  return page.hasSeveralRepositories ? `${repository}:${branch}` : branch
}

const msOf = (time: string | null) => Date.parse(time ?? '')

function ageOf(time: string | null, now: string): string {
  return time === null ? '' : spanInWords(Date.parse(now) - Date.parse(time))
}

/** Without JavaScript a page does not know how old it is. So it says until when to believe it. */
function timesOf(page: Page): Html {
  const { generatedAt, lastReconcile, nextReconcile, dryRun } = page
  const reconcile =
    lastReconcile === null
      ? html` No reconcile has ended yet.`
      : html` The last reconcile ended ${timeOf(lastReconcile, generatedAt)}${nextOf(nextReconcile, generatedAt)}.`
  const due = dueOf(page)
  const until =
    due === undefined
      ? html`When it is written again is not known: look at the time above before you believe it.`
      : html`It should be written again after every reconcile. Is it later than <b>${timeOf(new Date(due).toISOString())}</b>? Then that did not happen, and what it says may be old.`
  const overdue =
    lastReconcile !== null && isOverdue(page)
      ? html`<p class="until">No reconcile has come to its end since: ${journalCommand('hydra-channels-reconcile')} says why.</p>\n`
      : ''
  return html`<p>Written <b>${timeOf(generatedAt)}</b>.${reconcile}</p>
${overdue}<p class="until">${until}</p>${dryRun ? html`<p class="until"><b>${NOTHING_MOVES}</b></p>` : ''}`
}

/** Until when to believe a page: reconcile runs for a while, whether it then ends well or not. */
function dueOf({ generatedAt, intervalMs }: Page): number | undefined {
  return intervalMs === undefined ? undefined : Date.parse(generatedAt) + intervalMs + LATE_MS
}

const DEAD = '<p class=dead>This page was not written again in time: what it says may be old.</p>'
/** nginx reads no longer values in a page, unless it is told to. */
const MAX_VALUE = 256

/**
 * A server that knows the time can say what the page cannot. nginx does with `ssi on`; for all others this is a comment:
 * https://nginx.org/en/docs/http/ngx_http_ssi_module.html. It compares texts, so the hours, or the days, are listed.
 */
function unlessReadIn(page: Page): Html {
  const [from, until] = [Date.parse(page.generatedAt), dueOf(page)]
  if (until === undefined) return html``
  for (const { format, length, stepMs } of [
    { format: '%Y-%m-%dT%H', length: 13, stepMs: 3_600_000 },
    { format: '%Y-%m-%d', length: 10, stepMs: 86_400_000 },
  ]) {
    const nameOf = (step: number) => new Date(step * stepMs).toISOString().slice(0, length)
    const [first, last] = [Math.floor(from / stepMs), Math.floor(until / stepMs)]
    if ((last - first + 1) * (length + 1) > MAX_VALUE - 30) continue
    const names = Array.from({ length: last - first + 1 }, (_, step) => nameOf(first + step))
    return new Html(`
<!--# config timefmt="${format}" --><!--# set var="dead" value="${DEAD}" -->
<!--# if expr="$date_gmt != /${names.join('|')}/" --><!--# echo var="dead" encoding="none" --><!--# endif -->`)
  }
  return html``
}

function nextOf(nextReconcile: string | null, now: string): Html {
  if (nextReconcile === null) return html``
  const was = Date.parse(nextReconcile) < Date.parse(now) ? 'was' : 'is'
  return html`; the next one ${was} due ${timeOf(nextReconcile, now)}`
}

/** Of the day of `now`, without that day. */
function timeOf(time: string, now?: string): Html {
  const [day, clock] = dateWithZone(Date.parse(time)).split(', ')
  const isToday = now !== undefined && dateWithZone(Date.parse(now)).split(', ')[0] === day
  return html`<time datetime="${time}">${isToday ? clock : `${day}, ${clock}`}</time>`
}

function channelOf(channel: PageChannel, page: Shown): Html {
  const { repository, branch, reason, message, behindBranch, since } = channel
  const kind = kindOf(reason)
  const behind = behindBranch === null ? '' : behindBranch === 0 ? 'at the tip' : `${behindBranch} behind`
  const age =
    since === null
      ? ''
      : html`${behind === '' ? '' : ', '}<time datetime="${since}">${ageOf(since, page.generatedAt)}</time>`
  return html`<li><details>
<summary>
<span class="name">${page.hasSeveralRepositories ? html`<span class="dim">${repository}:</span>` : ''}${branch}</span>
<span class="reason ${kind}">${MARKS[kind]} ${reason}</span>
<span class="when">${behind}${age}</span>
${kind === 'bad' ? html`<span class="said">${cut(shortened(message ?? ''), MAX_SAID)}</span>\n` : ''}<span class="strip">${stripOf(channel)}</span>
</summary>
${moreOf(channel, page)}
</details></li>
`
}

/** Two lines have no room for whole commits; they are in the message below. */
const shortened = (message: string) =>
  message.replaceAll(/[0-9a-f]+/g, digits => (digits.length === 40 ? short(digits) : digits))

/** Not by colour alone: each state has a shape of its own. The right edge is now. */
const SHAPES = { good: 'v14h-6z', failed: 'v6h-6z', building: 'v14h-6z', absent: 'v2h-6z' } as const
const TOPS = { good: 1, failed: 9, building: 1, absent: 13 } as const
const CLASSES = { good: 'g', failed: 'f', building: 'b', absent: 'a' } as const
const WORDS = { good: 'good', failed: 'failed', building: 'building', absent: 'without the job' } as const
const STEP = 8

function stripOf({ evals, sha }: PageChannel): Html {
  if (!evals || evals.length === 0) return html`${evals ? 'no evals yet' : 'no evals known'}`
  const left = (at: number) => (EVALS_SHOWN - 1 - at) * STEP
  const bars = (Object.keys(CLASSES) as (keyof typeof CLASSES)[]).map(state => {
    const path = evals.map((each, at) =>
      each.state === state ? `M${left(at)} ${TOPS[state]}h6${SHAPES[state]}` : '',
    )
    return path.join('') === '' ? '' : html`<path class="${CLASSES[state]}" d="${path.join('')}"/>`
  })
  const here = placeOf(evals, sha)
  const mark = here === undefined ? '' : html`<path class="h" d="M${left(here)} 22l3-5 3 5z"/>`
  const words = wordsOfRuns(evals)
  const label = `the last ${count(evals.length, 'eval')}, newest first: ${words}${wordsOfPlace(evals, sha)}`
  return html`<svg viewBox="0 0 ${EVALS_SHOWN * STEP} 22" preserveAspectRatio="xMinYMid" role="img" aria-label="${label}">${bars}${mark}</svg> <span>${words}</span>`
}

/** The newest eval of the commit that the channel is at. */
function placeOf(evals: readonly EvalOfChannel[], sha: string | null): number | undefined {
  const at = evals.findIndex(each => sha !== null && each.sha === sha)
  return at === -1 ? undefined : at
}

function wordsOfPlace(evals: readonly EvalOfChannel[], sha: string | null): string {
  const here = placeOf(evals, sha)
  if (sha === null) return ''
  if (here === undefined) return '; the channel is at none of them'
  return here === 0 ? '; the channel is at the newest' : `; the channel is at number ${here + 1}`
}

/** Evals one after the other with one state, newest first. */
function runsOf(evals: readonly EvalOfChannel[]): [EvalOfChannel, ...EvalOfChannel[]][] {
  const runs: [EvalOfChannel, ...EvalOfChannel[]][] = []
  for (const each of evals) {
    const last = runs.at(-1)
    if (last?.[0].state === each.state) last.push(each)
    else runs.push([each])
  }
  return runs
}

const MAX_RUNS = 2

/** `2 failed, 28 good`, `1 building, 2 failed …` */
function wordsOfRuns(evals: readonly EvalOfChannel[]): string {
  const runs = runsOf(evals)
  const words = runs.slice(0, MAX_RUNS).map(run => `${run.length} ${WORDS[run[0].state]}`)
  return `${words.join(', ')}${runs.length > MAX_RUNS ? ' …' : ''}`
}

function moreOf(channel: PageChannel, page: Page): Html {
  const {
    message,
    url,
    sha,
    committedAt,
    candidate,
    repository,
    evals,
    failing,
    hold,
    project,
    jobset,
    job,
  } = channel
  const { webUrl, hydraUrl, generatedAt, commits } = page
  const commitOf = (id: string) =>
    link(commitUrl(repository, id, webUrl), describeCommit(id, commits.get(id)))
  const buildOf = (id: number) => link(buildUrl(hydraUrl, id), `build ${id}`)
  const facts: [string, Html | string | undefined][] = [
    ['channel', link(branchUrl(channel, webUrl), `${repository}:${channel.branch}`)],
    ['job', project === null ? undefined : [project, jobset, job].filter(part => part !== null).join(':')],
    [
      'at',
      sha === null
        ? 'no branch, or it is not known'
        : html`${commitOf(sha)}${committedAt === null ? '' : html`, ${timeOf(committedAt)}`}`,
    ],
    [
      'candidate',
      candidate
        ? html`${commitOf(candidate.sha)}, ${link(evalUrl(hydraUrl, candidate.eval), `eval ${candidate.eval}`)}, ${buildOf(candidate.build)}`
        : 'none, or it is not known',
    ],
    ['last good', failing && failing.lastGoodBuild !== null ? buildOf(failing.lastGoodBuild) : undefined],
    [
      'held',
      hold
        ? html`since ${timeOf(hold.since)}${hold.until === null ? '' : html`, until ${timeOf(hold.until)}`}${hold.by === null ? '' : `, by ${hold.by}`}: ${hold.reason}`
        : undefined,
    ],
    [
      'newer since',
      channel.since === null
        ? undefined
        : html`${timeOf(channel.since)} (${ageOf(channel.since, generatedAt)})`,
    ],
    ['evals', evals && evals.length > 0 ? evalsOf(evals, channel.sha, hydraUrl) : undefined],
  ]
  return html`<div class="more" id="${idOf(channel)}">
${message === null ? '' : html`<p>${cut(message, MAX_MESSAGE)}${url === null ? '' : html` (${link(url, wordsOfUrl(url))})`}</p>`}
<dl class="facts">${facts.map(([name, value]) => (value === undefined ? '' : html`<dt>${name}</dt><dd>${value}</dd>\n`))}</dl>
<p class="dim">What stands between a build and the channel:</p>
<dl class="gates">
${channel.gates.map(gateOf)}</dl>
<p><a href="#${encodeURIComponent(idOf(channel))}">link to this channel</a></p>
</div>`
}

/** An address with this opens the channel, and keeps it open when the page is loaded again. */
function idOf({ repository, branch }: ChannelStatus): string {
  return printable(`${repository}:${branch}`.toWellFormed()).replaceAll(/\s/g, '_')
}

function wordsOfUrl(url: string): string {
  const host = URL.canParse(url) ? new URL(url).host : ''
  return host === '' ? url : `more at ${host}`
}

function evalsOf(evals: readonly EvalOfChannel[], sha: string | null, hydraUrl: string | undefined): Html {
  const runs = runsOf(evals).map((run, at) => {
    const [newest, oldest] = [run[0].eval, (run.at(-1) ?? run[0]).eval]
    const names = newest === oldest ? `${newest}` : `${oldest} to ${newest}`
    return html`${at === 0 ? '' : ', '}${run.length} ${WORDS[run[0].state]} (${link(evalUrl(hydraUrl, newest), names)})`
  })
  return html`newest first: ${runs}${wordsOfPlace(evals, sha)}`
}

const GATE_MARKS = {
  open: { mark: '✓', kind: 'good' },
  shut: { mark: '✗', kind: 'bad' },
  unknown: { mark: '–', kind: 'dim' },
} as const

const STATE_WORDS = { open: 'open', shut: 'shut', unknown: 'not known' } as const

/** As explain has them: one line if both have one answer. */
function gateOf({ gate, candidate, newestEval }: Gate): Html {
  const answers = hasOneAnswer({ candidate, newestEval })
    ? answerOf(candidate, '')
    : html`${answerOf(candidate, 'candidate: ')}${answerOf(newestEval, 'newest eval: ')}`
  return html`<div><dt>${gate}</dt>${answers}</div>
`
}

function answerOf({ state, text, url }: Answer, of: string): Html {
  const { mark, kind } = GATE_MARKS[state]
  return html`<dd><b class="${kind}" role="img" aria-label="${STATE_WORDS[state]}" title="${STATE_WORDS[state]}">${mark}</b> ${of}${link(url, cut(text, MAX_MESSAGE))}</dd>`
}
