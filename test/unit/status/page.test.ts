// The page as HTML; what a browser makes of it is in integration/status/page.test.ts.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type Page, type PageChannel, renderPage } from '../../../src/status/page.ts'
import { REASONS } from '../../../src/status/shape.ts'
import { FACTS_OF, HOLD, minutesAgo, ONE_BEHIND, UP_TO_DATE } from '../../helpers/channel-facts.ts'
import {
  type ChannelSpec,
  channelOf,
  everyReasonPage,
  HOSTILE,
  hostilePage,
  largePage,
  pageOf,
} from '../../helpers/page.ts'

interface Element {
  name: string
  attributes: Record<string, string>
}

/** All tags in their order. Everything else is text without < and >, and every element that begins has an end. */
function parse(page: string): { tags: Element[]; text: string } {
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? ''
  const tags: Element[] = []
  const open: string[] = []
  const text = page
    .replace(style, '')
    .replace(/^<!doctype html>\n/, '')
    // nginx's, below
    .replaceAll(/<!--# (?:config|set|if|echo|endif) (?:[a-z]+="[^"]*" )*-->/g, '')
    .replace(
      /<(\/?)([a-z0-9]+)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)(\/?)>/g,
      (_, end, name: string, rest: string, empty) => {
        if (end) assert.equal(open.pop(), name)
        else {
          const attributes = [...rest.matchAll(/ ([a-zA-Z-]+)(?:="([^"]*)")?/g)].map(
            ([, key = '', value = '']) => [key, value],
          )
          assert.equal(new Set(attributes.map(([key]) => key)).size, attributes.length, rest)
          tags.push({ name, attributes: Object.fromEntries(attributes) })
          if (!empty && !['meta', 'link'].includes(name)) open.push(name)
        }
        return end ? '' : ' '
      },
    )
  assert.deepEqual(open, [])
  assert.doesNotMatch(text, /[<>]/)
  return { tags, text: text.replaceAll(/\s+/g, ' ') }
}

const textOf = (page: Page) => parse(renderPage(page)).text
const headOf = (page: Page) => /<h1[^>]*>([^<]*)<\/h1>/.exec(renderPage(page))?.[1]

const named = (facts: object, host: string, more: Partial<ChannelSpec> = {}): ChannelSpec => ({
  facts: { ...ONE_BEHIND, ...facts, branch: host },
  ...more,
})
const FINE = (host: string): ChannelSpec => ({ facts: { ...UP_TO_DATE, branch: host }, evals: 'g', here: 0 })
const FAILED = FACTS_OF['build-failed'][0] ?? {}
const UNKNOWN = FACTS_OF.unknown[0] ?? {}
const DAY = 24 * 60

describe('the sentence', () => {
  const CASES: [specs: ChannelSpec[], sentence: string][] = [
    [[], 'There are no channels'],
    [[FINE('a')], 'The channel is up to date'],
    [[FINE('a'), FINE('b')], 'All 2 channels are up to date'],
    [[FINE('a'), named({}, 'b')], '1 of 2 channels is up to date, and none is in trouble'],
    [
      [FINE('a'), named({ hold: HOLD }, 'b'), FINE('c')],
      '2 of 3 channels are up to date, and none is in trouble',
    ],
    [[named({}, 'a')], 'The channel is in no trouble'],
    [[named(FAILED, 'a')], 'The channel stands still'],
    [[named(FAILED, 'a', { since: 9 * DAY })], 'The channel stands still for 9 days'],
    [[named(FAILED, 'a'), named(FAILED, 'b')], 'All 2 channels stand still'],
    [
      [FINE('c'), named(FAILED, 'a', { since: 9 * DAY }), named(FAILED, 'b', { since: 3 * DAY })],
      '2 of 3 channels stand still, a for 9 days',
    ],
    // what waits, and what is held, does not count
    [
      [named(FAILED, 'a', { since: 3 * DAY }), named({ hold: HOLD }, 'b', { since: 9 * DAY })],
      '1 of 2 channels stands still, a for 3 days',
    ],
    [[FINE('a'), named(UNKNOWN, 'b')], '1 of 2 channels is unknown'],
    [[named(UNKNOWN, 'a')], 'The channel is unknown'],
    [
      [named(FAILED, 'a', { since: 60 }), named(UNKNOWN, 'b')],
      '1 of 2 channels stands still, a for 1 h; 1 is unknown',
    ],
    [[named(UNKNOWN, 'a'), named(UNKNOWN, 'b')], 'All 2 channels are unknown'],
  ]
  for (const [specs, sentence] of CASES) test(sentence, () => assert.equal(headOf(pageOf(specs)), sentence))

  test('of several repositories it names the one', () => {
    const of = (repository: string, spec: ChannelSpec) => ({ ...channelOf(spec), repository })
    const channels = [of('alice/dotfiles', FINE('a')), of('bob/infra', named(FAILED, 'b', { since: 60 }))]
    assert.equal(headOf({ ...pageOf([]), channels }), '1 of 2 channels stands still, bob/infra:b for 1 h')
  })
})

describe('green, and not', () => {
  const kindOf = (specs: ChannelSpec[], more: Partial<Page> = {}) => {
    const page = renderPage(pageOf(specs, more))
    const [, kind, title] = /<title>(.)[^<]*<\/title>[\s\S]*<h1 class="(\w+)">/.exec(page) ?? []
    return `${kind} ${title}`
  }
  const CASES: [what: string, specs: ChannelSpec[], more: Partial<Page>, kind: string][] = [
    ['up to date', [FINE('a')], {}, '✓ good'],
    ['one that moves', [FINE('a'), named({}, 'b')], {}, '✓ good'],
    ['none is up to date', [named({ hold: HOLD }, 'a')], {}, '… wait'],
    ['a failed build', [FINE('a'), named(FAILED, 'b')], {}, '✗ bad'],
    ['a channel that is unknown', [FINE('a'), named(UNKNOWN, 'b')], {}, '✗ bad'],
    ['a rule that leads to no channel', [FINE('a')], { problems: ['no such jobset'] }, '✗ bad'],
    ['there is none, and Hydra is away', [], { problems: ["cannot ask Hydra's database"] }, '✗ bad'],
    ['there is none', [], {}, '… wait'],
    ['dryRun', [FINE('a')], { dryRun: true }, '… wait'],
    ['no reconcile yet', [FINE('a')], { lastReconcile: null, nextReconcile: null }, '… wait'],
    ['a reconcile that is a little late', [FINE('a')], { nextReconcile: minutesAgo(20) }, '✓ good'],
    ['a reconcile that does not come', [FINE('a')], { nextReconcile: minutesAgo(90) }, '… wait'],
  ]
  for (const [what, specs, more, kind] of CASES) test(what, () => assert.equal(kindOf(specs, more), kind))

  test('what was said beside the channels is on the page, as text, and not without end', () => {
    const problems = Array.from({ length: 25 }, (_, at) => `<b>trouble ${at}</b>`)
    const text = renderPage(pageOf([FINE('a')], { problems }))
    assert.match(text, /<li>&lt;b&gt;trouble 19&lt;\/b&gt;<\/li>\n<li>and 5 more<\/li>/)
    assert.equal(headOf(pageOf([], { problems })), 'No channel is known')
  })
})

describe('the times', () => {
  const CASES: [what: string, more: Partial<Page>, expected: RegExp][] = [
    [
      'until when to believe it: an hour after it should be written again',
      {},
      /Written Tue 24 Nov 2026, 12:00 UTC\. The last reconcile ended 11:59 UTC; the next one is due 12:14 UTC\. .* Is it later than Tue 24 Nov 2026, 13:15 UTC\? Then that did not happen, and what it says may be old/,
    ],
    [
      'of another day with that day',
      { lastReconcile: minutesAgo(13 * 60), nextReconcile: minutesAgo(-12 * 60) },
      /ended Mon 23 Nov 2026, 23:00 UTC; the next one is due Wed 25 Nov 2026, 00:00 UTC/,
    ],
    [
      'a reconcile that is late',
      { nextReconcile: minutesAgo(20) },
      /the next one was due 11:40 UTC.* Is it later than /,
    ],
    [
      'a reconcile that does not come',
      { lastReconcile: minutesAgo(300), nextReconcile: minutesAgo(285) },
      /was due 07:15 UTC\. No reconcile has come to its end since: journalctl -u hydra-channels-reconcile says why\. .* Is it later than Tue 24 Nov 2026, 13:15 UTC/,
    ],
    [
      'no interval is known',
      { nextReconcile: null, intervalMs: undefined },
      /ended 11:59 UTC\. When it is written again is not known/,
    ],
    ['no reconcile yet', { lastReconcile: null, nextReconcile: null }, /No reconcile has ended yet\./],
    ['dryRun', { dryRun: true }, /dryRun is set in the configuration/],
  ]
  for (const [what, more, expected] of CASES) {
    test(what, () => assert.match(textOf(pageOf([FINE('a')], more)), expected))
  }
})

describe('what nginx is told of a page that is read too late', () => {
  const expressionOf = (more: Partial<Page>) =>
    /<!--# config timefmt="(.*?)" -->.*\n<!--# if expr="(.*?)" -->/
      .exec(renderPage(pageOf([FINE('a')], more)))
      ?.slice(1)
  const CASES: [what: string, interval: number | undefined, expected: string[] | undefined][] = [
    ['the hours', 15, ['%Y-%m-%dT%H', '$date_gmt != /2026-11-24T12|2026-11-24T13/']],
    [
      'of two days',
      11 * 60,
      [
        '%Y-%m-%dT%H',
        `$date_gmt != /${[12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23].map(hour => `2026-11-24T${hour}`).join('|')}|2026-11-25T00/`,
      ],
    ],
    ['days', 24 * 60, ['%Y-%m-%d', '$date_gmt != /2026-11-24|2026-11-25/']],
    ['nothing, if they are too many', 60 * DAY, undefined],
    ['nothing, if it is not known', undefined, undefined],
  ]
  for (const [what, interval, expected] of CASES) {
    test(what, () => {
      const found = expressionOf({ intervalMs: interval === undefined ? undefined : interval * 60_000 })
      assert.deepEqual(found, expected)
      // the limit of nginx
      for (const value of found ?? []) assert.ok(value.length <= 256)
    })
  }

  test('no text of others says anything to nginx', () => {
    const told = '<!--# echo var="x" -->'
    const count = (page: string) => page.split('<!--#').length - 1
    assert.equal(count(renderPage(withText(told))), count(renderPage(withText('plain'))))
  })
})

test('every reason, worst first, and how many there are of each', () => {
  const page = renderPage(everyReasonPage())
  const shown = [...page.matchAll(/<span class="reason (\w+)">(.) ([a-z-]+)<\/span>/g)].map(
    ([, kind, mark, reason]) => ({
      kind,
      mark,
      reason,
    }),
  )
  assert.deepEqual(new Set(shown.map(({ reason }) => reason)), new Set(REASONS))
  assert.deepEqual([shown[0]?.reason, shown.at(-1)?.reason], ['unknown', 'up-to-date'])
  assert.deepEqual(
    new Set(shown.map(({ kind, mark }) => `${kind} ${mark}`)),
    new Set(['bad ✗', 'wait …', 'good ✓']),
  )
  assert.match(page, /<li class="good">✓ 4 up-to-date<\/li>/)
  assert.match(page, /<title>✗ 16 of 24 · hydra-channels<\/title>/)
  assert.match(renderPage(pageOf([FINE('a')])), /<title>✓ · hydra-channels<\/title>/)
})

describe('the strip', () => {
  const stripOf = (spec: Partial<ChannelSpec>) => {
    const page = renderPage(pageOf([{ ...FINE('a'), ...spec }]))
    return /<span class="strip">([\s\S]*?)<\/span>\n<\/summary>/.exec(page)?.[1] ?? ''
  }
  const CASES: [evals: string, here: number | undefined, label: string, words: string][] = [
    ['g', 0, '30 good; the channel is at the newest', '30 good'],
    ['bffg', 3, '1 building, 2 failed …; the channel is at number 4', '1 building, 2 failed …'],
    ['fgfg', undefined, '1 failed, 1 good …; the channel is at none of them', '1 failed, 1 good …'],
    ['ag', 1, '1 without the job, 29 good; the channel is at number 2', '1 without the job, 29 good'],
  ]
  for (const [evals, here, label, words] of CASES) {
    test(`${evals}: ${label}`, () => {
      const strip = stripOf({ evals, ...{ here } })
      assert.match(strip, /role="img"/)
      assert.ok(strip.includes(`aria-label="the last 30 evals, newest first: ${label}"`), strip)
      assert.ok(strip.endsWith(`<span>${words}</span>`), strip)
    })
  }

  test('each state has a shape of its own, the newest is on the right, and the triangle is below the place', () => {
    const strip = stripOf({ evals: 'gfba', here: 2 })
    assert.match(strip, /<path class="g" d="M232 1h6v14h-6z"\/>/)
    assert.match(strip, /<path class="f" d="M224 9h6v6h-6z"\/>/)
    assert.match(strip, /<path class="b" d="M216 1h6v14h-6z"\/>/)
    assert.match(strip, /<path class="a" d="M208 13h6v2h-6zM200 13h6v2h-6z/)
    assert.match(strip, /<path class="h" d="M216 22l3-5 3 5z"\/>/)
  })

  test('of a new jobset, and of what is not known, there is none', () => {
    const channel = channelOf(FINE('a'))
    const of = (evals: PageChannel['evals']) => textOf({ ...pageOf([]), channels: [{ ...channel, evals }] })
    assert.match(of([]), /no evals yet/)
    assert.match(of(undefined), /no evals known/)
  })
})

test('of one channel: its message, commits, eval, builds, hold and gates, with links to Hydra and GitHub', () => {
  const spec = named({ ...FAILED, hold: HOLD }, 'nixos-tested-nas', { evals: 'fg', here: 1, since: 9 * DAY })
  const { tags, text } = parse(renderPage(pageOf([spec])))
  const links = tags.flatMap(({ name, attributes }) => (name === 'a' ? [attributes.href] : []))
  for (const url of [
    'https://github.com/alice/dotfiles/tree/nixos-tested-nas',
    `https://github.com/alice/dotfiles/commit/${'3'.repeat(40)}`,
    `https://github.com/alice/dotfiles/commit/${'4'.repeat(40)}`,
    'https://hydra.example.org/eval/9',
    'https://hydra.example.org/build/70',
    'https://hydra.example.org/build/71',
    'https://hydra.example.org/eval/991',
    'status.json',
    '#alice%2Fdotfiles%3Anixos-tested-nas',
  ]) {
    assert.ok(links.includes(url), url)
  }
  for (const words of [
    'held since Fri 20 Nov 2026, 12:00 UTC: does not boot',
    '3333333 “flake: update nixpkgs” by Bob',
    '4444444 “router: nftables rewrite” by Alice',
    'dotfiles:main:nixos-nas.x86_64-linux',
    'newer since Sun 15 Nov 2026, 12:00 UTC (9 days)',
    '1 failed ( 991), 29 good ( 962 to 990)',
    'build ✓ candidate: build 70 succeeded ✗ newest eval: build 71 failed',
    // both have one answer
    'hold ✗ held for 4 days',
  ]) {
    assert.ok(text.includes(words), `${words}\n${text}`)
  }
})

test('two lines have no room for whole commits, which are in the message below', () => {
  const channel = {
    ...channelOf(named(FAILED, 'a')),
    message: `${'e'.repeat(40)} is not ${'f'.repeat(41)}`,
  }
  const page = renderPage({ ...pageOf([]), channels: [channel] })
  assert.ok(page.includes(`<span class="said">eeeeeee is not ${'f'.repeat(41)}</span>`))
  assert.ok(page.includes(`<p>${'e'.repeat(40)} is not `))
})

test('without hydraUrl there are no links to Hydra', () => {
  const page = renderPage(pageOf([FINE('a')], { hydraUrl: undefined }))
  assert.match(page, /, eval 9, build 70</)
})

test('channels of several repositories are told apart', () => {
  const [one, other] = [channelOf(FINE('a')), { ...channelOf(FINE('a')), repository: 'bob/infra' }]
  const of = (channels: PageChannel[]) => renderPage({ ...pageOf([]), channels })
  assert.match(of([one, other]), /<span class="name"><span class="dim">bob\/infra:<\/span>a<\/span>/)
  assert.match(of([one]), /<span class="name">a<\/span>/)
})

test('the policy lets through the style by its hash, and nothing else', () => {
  const page = renderPage(everyReasonPage())
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/
    .exec(page)?.[1]
    ?.replaceAll('&#39;', "'")
  assert.equal(
    policy,
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`,
  )
  const { tags } = parse(page)
  // no text of others is in what is run, loaded or applied
  assert.doesNotMatch(page, /\sstyle=|\son\w+=|url\(|@import/)
  const names = new Set(tags.map(({ name }) => name))
  for (const name of ['script', 'img', 'iframe', 'object', 'form', 'base']) assert.ok(!names.has(name), name)
  for (const { name, attributes } of tags) {
    if (name === 'link') assert.match(attributes.href ?? '', /^data:image\/svg\+xml,/)
  }
})

const shapeOf = (page: Page) =>
  parse(renderPage(page)).tags.map(({ name, attributes }) => [
    name,
    Object.keys(attributes),
    attributes.class,
  ])

/** The same page, with one text in each place where people have put theirs. */
function withText(text: string): Page {
  const page = everyReasonPage()
  const told = { subject: text, author: text }
  const channels = page.channels.map(channel => ({
    ...channel,
    repository: `${text}/x`,
    branch: text,
    project: text,
    jobset: text,
    job: text,
    message: text,
    gates: channel.gates.map(({ gate }) => ({
      gate,
      candidate: { state: 'open' as const, text, url: null },
      newestEval: { state: 'shut' as const, text, url: `https://hydra.example.org/${text}` },
    })),
    hold: { reason: text, since: minutesAgo(9), until: null, by: text, scope: 'channel' as const },
  }))
  const shas = page.channels.flatMap(({ sha, candidate }) => [sha ?? '', candidate?.sha ?? ''])
  return { ...page, channels, commits: new Map(shas.map(sha => [sha, told])) }
}

test('whatever the texts are, the page has the same elements, attributes and classes', () => {
  const plain = shapeOf(withText('plain'))
  for (const text of HOSTILE) assert.deepEqual(shapeOf(withText(text)), plain, text)
  const unit = fc.oneof(
    fc.constantFrom('<', '>', '"', "'", '&', '/', '=', '-', '!', '`'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  )
  fc.assert(
    fc.property(fc.string({ unit, minLength: 1 }), text => {
      assert.deepEqual(shapeOf(withText(text)), plain)
    }),
    { numRuns: 30 },
  )
})

test('no address is a link but one of the web', () => {
  const { tags } = parse(renderPage(hostilePage()))
  for (const { name, attributes } of tags) {
    if (name === 'a') assert.match(attributes.href ?? '', /^(?:https?:\/\/|#|status\.json$)/)
  }
})

test('sixty channels are less than 100 kB on their way', () => {
  const page = renderPage(largePage(60))
  assert.ok(gzipSync(page).length < 50_000, `${gzipSync(page).length}`)
})
