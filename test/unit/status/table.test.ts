// What `hydra-channels status` shows to people: every table here is written out as a terminal shows it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { type ChannelStatus, type FleetStatus, REASONS } from '../../../src/status/shape.ts'
import { renderTable, type TableOptions } from '../../../src/status/table.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const NOW = new Date('2026-11-24T12:00:00.000Z')

/** `ago(3, 'h')`: three hours before now */
function ago(n: number, unit: 's' | 'm' | 'h' | 'd'): string {
  return new Date(NOW.getTime() - n * 1000 * { s: 1, m: 60, h: 3600, d: 86_400 }[unit]).toISOString()
}

const CHANNEL: ChannelStatus = {
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-nas',
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-nas.x86_64-linux',
  sha: SHA,
  committedAt: ago(2, 'd'),
  candidate: { sha: SHA, eval: 991, build: 4123 },
  behindCandidate: 0,
  behindBranch: 0,
  reason: 'up-to-date',
  since: null,
  url: null,
  message: null,
  failing: null,
  hold: null,
}

function fleet(
  channels: Partial<ChannelStatus>[],
  lastReconcile: string | null = ago(4, 'm'),
  dryRun = false,
  nextReconcile: string | null = null,
): FleetStatus {
  return {
    generatedAt: NOW.toISOString(),
    lastReconcile,
    nextReconcile,
    dryRun,
    channels: channels.map(facts => ({ ...CHANNEL, ...facts })),
  }
}

function render(channels: Partial<ChannelStatus>[], options: Partial<TableOptions> = {}): string[] {
  return renderTable(fleet(channels), { now: NOW, width: undefined, colour: false, links: false, ...options })
}

const LEGEND =
  'AT: its commit, and how old that is; BEHIND: commits of the tracked branch that it does not have (and how many of them are built); SINCE: how long there has been something newer'

/** The rows: what is between them is indented. */
function tableOf(lines: string[]): string[] {
  return lines.slice(0, lines.indexOf('')).filter(line => !line.startsWith('    '))
}

/** The cells of a table's rows; a cell may be empty, and may have single spaces in it. */
function cellsOf(lines: string[]): string[][] {
  const [header = '', ...rows] = tableOf(lines)
  const starts = ['CHANNEL', 'AT', 'BEHIND', 'SINCE', 'REASON'].map(title => header.indexOf(title))
  return rows.map(row => starts.map((start, index) => row.slice(start, starts[index + 1]).trim()))
}

test('the table has the worst first, then what mends it, then the counts', () => {
  const lines = render([
    { branch: 'nixos-tested-desk' },
    {
      branch: 'nixos-tested-web',
      reason: 'building',
      behindBranch: 1,
      since: ago(5, 'm'),
    },
    {
      branch: 'nixos-tested-nas',
      reason: 'build-failed',
      behindBranch: 12,
      since: ago(50, 'h'),
      message: 'build 4123 failed; the channel moves with the next good build',
      url: 'https://hydra.example.org/build/4123',
    },
    {
      branch: 'nixos-tested-old',
      reason: 'job-gone',
      sha: null,
      committedAt: null,
      behindBranch: null,
      behindCandidate: null,
      message: 'was it removed from the flake?',
    },
  ])
  assert.deepEqual(lines, [
    'CHANNEL            AT          BEHIND        SINCE  REASON',
    'nixos-tested-old   -           -                    job-gone',
    '    was it removed from the flake?',
    'nixos-tested-nas   3f2c9d1 2d  12 (0 built)  2d     build-failed',
    '    build 4123 failed; the channel moves with the next good build',
    '    https://hydra.example.org/build/4123',
    'nixos-tested-web   3f2c9d1 2d  1 (0 built)   5m     building',
    'nixos-tested-desk  3f2c9d1 2d  0                    up-to-date',
    '',
    LEGEND,
    '',
    '4 channels: 1 job-gone, 1 build-failed, 1 building, 1 up-to-date; the last reconcile ended 4 min ago',
  ])
})

test('a fleet without channels is one line that says so', () => {
  assert.deepEqual(render([]), ['there are no channels'])
})

test('with dryRun the last line says that nothing is moved, and why', () => {
  const options = { now: NOW, width: undefined, colour: false, links: false }
  const why = 'nothing is copied or moved, because dryRun is set in the configuration'
  assert.equal(
    renderTable(fleet([{}], undefined, true), options).at(-1),
    `1 channel: 1 up-to-date; the last reconcile ended 4 min ago; ${why}`,
  )
  assert.deepEqual(renderTable(fleet([], undefined, true), options), [`there are no channels; ${why}`])
})

test('where nothing is wrong, the counts follow the table', () => {
  assert.deepEqual(render([{}]).slice(2), [
    '',
    LEGEND,
    '',
    '1 channel: 1 up-to-date; the last reconcile ended 4 min ago',
  ])
})

test('the branch is enough in a fleet of one repository, however that is spelt', () => {
  const lines = render([{ branch: 'a' }, { branch: 'b', repository: 'Alice/Dotfiles' }])
  assert.deepEqual(
    cellsOf(lines).map(([channel]) => channel),
    ['b', 'a'],
  )
})

test('in a fleet of several repositories each channel has its own before it', () => {
  const lines = render([
    { branch: 'a', message: 'no' },
    { branch: 'a', repository: 'bob/infra', message: 'no' },
  ])
  assert.deepEqual(
    cellsOf(lines).map(([channel]) => channel),
    ['alice/dotfiles:a', 'bob/infra:a'],
  )
})

test('unknown comes first, then troubles, then what passes, then what is held, then what is well', () => {
  const shuffled = REASONS.toSorted().map(reason => ({ branch: `is-${reason}`, reason }))
  assert.deepEqual(
    cellsOf(render(shuffled)).map(cells => cells.at(-1)),
    [
      'unknown',
      'withdrawn',
      'not-on-branch',
      'diverged',
      'ambiguous',
      'no-permission',
      'job-gone',
      'evaluation-failed',
      'not-evaluated',
      'unusable-flakeref',
      'build-failed',
      'build-timed-out',
      'dependency-failed',
      'build-aborted',
      'not-cached',
      'failed',
      'building',
      'behind',
      'held',
      'abandoned',
      'up-to-date',
    ],
  )
})

test('within a reason what waits longest comes first, what waits for nothing last, and names decide the rest', () => {
  const lines = render([
    { branch: 'none-b' },
    { branch: 'hour', since: ago(1, 'h') },
    { branch: 'day-b', since: ago(1, 'd') },
    { branch: 'none-a' },
    { branch: 'day-a', since: ago(1, 'd') },
  ])
  assert.deepEqual(
    cellsOf(lines).map(([channel]) => channel),
    ['day-a', 'day-b', 'hour', 'none-a', 'none-b'],
  )
})

const COMMITS: { what: string; facts: Partial<ChannelStatus>; cell: string }[] = [
  { what: 'a commit and its age', facts: {}, cell: '3f2c9d1 2d' },
  { what: 'a commit of unknown age', facts: { committedAt: null }, cell: '3f2c9d1' },
  { what: 'no branch', facts: { sha: null, committedAt: null, reason: 'behind' }, cell: '-' },
  { what: 'nothing known', facts: { sha: null, committedAt: null, reason: 'unknown' }, cell: '-' },
  { what: 'what is no commit', facts: { sha: '\u001b[31m' }, cell: '\\u001b[31m 2d' },
  { what: 'a commit known before the outage', facts: { reason: 'unknown' }, cell: '3f2c9d1 2d' },
]

for (const { what, facts, cell } of COMMITS) {
  test(`AT says where the channel is: ${what} is “${cell}”`, () => {
    assert.equal(cellsOf(render([facts]))[0]?.[1], cell)
  })
}

const BEHIND: { branch: number | null; candidate: number | null; cell: string }[] = [
  { branch: 0, candidate: 0, cell: '0' },
  { branch: 12, candidate: 12, cell: '12' },
  { branch: 12, candidate: 3, cell: '12 (3 built)' },
  { branch: 12, candidate: 0, cell: '12 (0 built)' },
  { branch: 12, candidate: null, cell: '12' },
  { branch: null, candidate: null, cell: '-' },
  { branch: null, candidate: 3, cell: '- (3 built)' },
]

for (const { branch, candidate, cell } of BEHIND) {
  test(`BEHIND of ${branch} commits to the tracked branch and ${candidate} to the candidate is “${cell}”`, () => {
    const lines = render([{ behindBranch: branch, behindCandidate: candidate }])
    assert.equal(cellsOf(lines)[0]?.[2], cell)
  })
}

const AGES: { since: string | null; cell: string; reconcile: string }[] = [
  { since: null, cell: '', reconcile: 'no reconcile has ended yet' },
  { since: ago(-60, 'm'), cell: '0m', reconcile: 'the last reconcile ended in 1 h' },
  { since: ago(59, 's'), cell: '0m', reconcile: 'the last reconcile ended just now' },
  { since: ago(60, 's'), cell: '1m', reconcile: 'the last reconcile ended 1 min ago' },
  { since: ago(3599, 's'), cell: '59m', reconcile: 'the last reconcile ended 59 min ago' },
  { since: ago(60, 'm'), cell: '1h', reconcile: 'the last reconcile ended 1 h ago' },
  { since: ago(2879, 'm'), cell: '47h', reconcile: 'the last reconcile ended 47 h ago' },
  { since: ago(48, 'h'), cell: '2d', reconcile: 'the last reconcile ended 2 days ago' },
  { since: ago(364, 'd'), cell: '364d', reconcile: 'the last reconcile ended 364 days ago' },
  { since: ago(365, 'd'), cell: '1y', reconcile: 'the last reconcile ended 1 year ago' },
  { since: ago(100 * 365, 'd'), cell: '99y', reconcile: 'the last reconcile ended 99 years ago' },
]

for (const { since, cell, reconcile } of AGES) {
  test(`of ${since} the age at noon of 2026-11-24 is “${cell}”, and “${reconcile}”`, () => {
    const lines = renderTable(fleet([{ since }], since), {
      now: NOW,
      width: undefined,
      colour: false,
      links: false,
    })
    assert.equal(cellsOf(lines)[0]?.[3], cell)
    assert.equal(lines.at(-1), `1 channel: 1 up-to-date; ${reconcile}`)
  })
}

test('several channels that one cause keeps where they are follow each other, and it is said once', () => {
  const away = { reason: 'unknown', message: 'GitHub is away' } as const
  const lines = render([
    { branch: 'a', since: ago(3, 'h'), ...away },
    { branch: 'z', since: ago(2, 'h'), reason: 'unknown', message: 'GitHub is away!' },
    { branch: 'b', since: ago(1, 'h'), ...away },
    { branch: 'c', reason: 'build-failed', message: 'GitHub is away' },
  ])
  assert.deepEqual(
    lines.slice(1, lines.indexOf('')).map(line => (line.startsWith(' ') ? line : line.charAt(0))),
    ['a', 'b', '    (these 2) GitHub is away', 'z', '    GitHub is away!', 'c', '    GitHub is away'],
  )
})

test('messages wrap between words, indented; the legend and the counts too', () => {
  const message = 'build 4123 failed; the channel moves with the next good build of its job'
  const lines = render([{ reason: 'build-failed', message, url: `https://x.example/${'y'.repeat(60)}` }], {
    width: 60,
  })
  assert.deepEqual(lines.slice(2), [
    '    build 4123 failed; the channel moves with the next good',
    '    build of its job',
    `    https://x.example/${'y'.repeat(60)}`,
    '',
    'AT: its commit, and how old that is; BEHIND: commits of the',
    'tracked branch that it does not have (and how many of them',
    'are built); SINCE: how long there has been something newer',
    '',
    '1 channel: 1 build-failed; the last reconcile ended 4 min',
    'ago',
  ])
})

test('a command stays on one line, so that it can be copied', () => {
  const force = 'gh api --hostname ghe.example.org -X PATCH repos/a/b/git/refs/heads/c -f sha=1 -F force=true'
  const message = `it has a commit of its own; to give it up: ${force}; or hydra-channels release a/b:c ends that; see journalctl -u hydra-notify, gh api is GitHub's command`
  const lines = render([{ message }], { width: 60 })
  assert.deepEqual(lines.slice(2, lines.indexOf('')), [
    '    it has a commit of its own; to give it up:',
    `    ${force};`,
    '    or hydra-channels release a/b:c ends that; see',
    "    journalctl -u hydra-notify, gh api is GitHub's command",
  ])
})

test('where the terminal shows links, the reason is one, and the address is not written out', () => {
  const url = 'https://hydra.example.org/build/4123'
  const lines = render([{ reason: 'build-failed', message: 'it failed', url }], { links: true })
  assert.ok(lines[1]?.endsWith(`\u001b]8;;${url}\u001b\\build-failed\u001b]8;;\u001b\\`), lines[1])
  assert.deepEqual(lines[2], '    it failed')
  const hostile = render([{ url: 'https://x/\u001b\\\u0007' }], { links: true }).join('')
  assert.doesNotMatch(hostile.replaceAll(/\u001b\]8;;[^\u001b]*\u001b\\/g, ''), /\p{Cc}/u)
})

const DUE: [next: string | null, words: string][] = [
  [null, 'the last reconcile ended 4 min ago'],
  [ago(-11, 'm'), 'the last reconcile ended 4 min ago, the next one is due in 11 min'],
  [ago(5, 'm'), 'the last reconcile ended 4 min ago, the next one is due now'],
  [ago(3, 'h'), 'the last reconcile ended 4 min ago, the next one was due 3 h ago: is its timer running?'],
]
for (const [next, words] of DUE) {
  test(`the next reconcile at ${next}: ${words}`, () => {
    const options = { now: NOW, width: undefined, colour: false, links: false }
    assert.equal(
      renderTable(fleet([{}], undefined, false, next), options).at(-1),
      `1 channel: 1 up-to-date; ${words}`,
    )
  })
}

// beside the other columns of these rows, a terminal with 60 columns has 14 for the name
const NAMES: { what: string; branch: string; cell: string }[] = [
  { what: 'one that fits stays', branch: 'nixos-test-nas', cell: 'nixos-test-nas' },
  { what: 'a longer one keeps both ends', branch: 'nixos-tested-storage', cell: 'nixos-…storage' },
  { what: 'wide characters take two columns', branch: '日本語日本語日本語', cell: '日本語…日本語' },
  { what: 'a wide one does not fit into half', branch: 'x日本語日本語日本語', cell: 'x日本…語日本語' },
  {
    what: 'a letter keeps its accent',
    branch: 'e\u0301'.repeat(15),
    cell: `${'e\u0301'.repeat(6)}…${'e\u0301'.repeat(7)}`,
  },
  {
    what: 'an emoji of several code points is one',
    branch: '👩‍👩‍👧'.repeat(9),
    cell: `${'👩‍👩‍👧'.repeat(3)}…${'👩‍👩‍👧'.repeat(3)}`,
  },
  { what: 'what is escaped is measured as it is written', branch: '\u001b[31mred', cell: '\\u001b[31mred' },
  { what: 'what is escaped is cut as it is written', branch: '\u001b[31mred-long', cell: '\\u001b…ed-long' },
  {
    what: 'half a surrogate pair takes a column',
    branch: `\ud83d${'x'.repeat(14)}`,
    cell: '\ufffdxxxxx…xxxxxxx',
  },
]

for (const { what, branch, cell } of NAMES) {
  test(`a name is cut to its column: ${what}, “${cell}”`, () => {
    const [, row = ''] = render([{ branch, reason: 'dependency-failed' }], { width: 60 })
    assert.equal(row.slice(0, row.indexOf('  ')), cell)
  })
}

test('the columns after a wide name stand under their titles', () => {
  assert.deepEqual(
    tableOf(render([{ branch: '日本語' }, { branch: 'e\u0301e\u0301' }, { branch: '👩‍👩‍👧' }])),
    [
      'CHANNEL  AT          BEHIND  SINCE  REASON',
      'e\u0301e\u0301       3f2c9d1 2d  0              up-to-date',
      '日本語   3f2c9d1 2d  0              up-to-date',
      '👩‍👩‍👧       3f2c9d1 2d  0              up-to-date',
    ],
  )
})

const LONG = {
  branch: 'nixos-tested-with-a-long-name',
  behindBranch: 123_456,
  behindCandidate: 123_455,
  committedAt: ago(364, 'd'),
  since: ago(364, 'd'),
  reason: 'dependency-failed' as const,
}

const WIDTHS: { width: number | undefined; row: string }[] = [
  {
    width: undefined,
    row: 'nixos-tested-with-a-long-name  3f2c9d1 364d  123456 (123455 built)  364d   dependency-failed',
  },
  {
    width: 92,
    row: 'nixos-tested-with-a-long-name  3f2c9d1 364d  123456 (123455 built)  364d   dependency-failed',
  },
  {
    width: 91,
    row: 'nixos-tested-…th-a-long-name  3f2c9d1 364d  123456 (123455 built)  364d   dependency-failed',
  },
  { width: 75, row: 'nixos…g-name  3f2c9d1 364d  123456 (123455 built)  364d   dependency-failed' },
  { width: 74, row: 'nixos-tested…h-a-long-name  3f2c9d1 364d  123456  364d   dependency-failed' },
  { width: 60, row: 'nixos…g-name  3f2c9d1 364d  123456  364d   dependency-failed' },
  // it wraps there
  { width: 20, row: 'nixos…g-name  3f2c9d1 364d  123456  364d   dependency-failed' },
]

for (const { width, row } of WIDTHS) {
  test(`a terminal of ${width ?? 'no'} columns shows “${row}”`, () => {
    assert.equal(render([LONG], { width })[1], row)
  })
}

test('a short name leaves its room to the commits that are built', () => {
  assert.deepEqual(tableOf(render([{ ...LONG, branch: 'nas' }], { width: 70 })), [
    'CHANNEL  AT            BEHIND                 SINCE  REASON',
    'nas      3f2c9d1 364d  123456 (123455 built)  364d   dependency-failed',
  ])
})

const COLOURS: { reasons: ChannelStatus['reason'][]; code: number }[] = [
  {
    reasons: REASONS.filter(
      reason => !['building', 'behind', 'held', 'abandoned', 'up-to-date'].includes(reason),
    ),
    code: 31,
  },
  { reasons: ['building', 'behind', 'held', 'abandoned'], code: 33 },
  { reasons: ['up-to-date'], code: 32 },
]

for (const { reasons, code } of COLOURS) {
  test(`the colour ${code} is that of ${reasons.join(', ')}`, () => {
    for (const reason of reasons) {
      const [, row = ''] = render([{ reason }], { colour: true })
      assert.ok(row.endsWith(`  \u001b[${code}m${reason}\u001b[39m`), row)
    }
  })
}

for (const name of ['NO_COLOR', 'NODE_DISABLE_COLORS', 'FORCE_COLOR']) {
  test(`whether there is colour is the caller's choice, whatever ${name} says`, () => {
    const before = process.env[name]
    process.env[name] = '1'
    try {
      assert.match(render([{}], { colour: true }).join('\n'), /\u001b\[32mup-to-date\u001b\[39m/)
      assert.doesNotMatch(render([{}], { colour: false }).join('\n'), /\u001b/)
    } finally {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    }
  })
}

const foreign = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\n',
      '\u001b[31m',
      '\u009b2K',
      '\u202e',
      '\ud83d',
      '\u200d',
      '\u0301',
      '\u0903',
      '\u0d4e',
      '…',
    ),
    fc.constantFrom('日', 'ｱﾞ', '각', '👩‍👩‍👧', '🇩🇪', '🇩', '1\u20e3', 'nixos-tested-'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 40,
})

const time = fc.date({ noInvalidDate: true }).map(date => date.toISOString())

const commits = fc.option(fc.integer({ min: 0, max: 999_999 }))

const anyChannel = fc.record({
  repository: fc.oneof(fc.constant('alice/dotfiles'), foreign),
  // a row that begins with blanks would look like what is said of the one before
  branch: foreign.map(text => `x${text}`),
  sha: fc.option(fc.constant(SHA)),
  committedAt: fc.option(time),
  behindCandidate: commits,
  behindBranch: commits,
  reason: fc.constantFrom(...REASONS),
  since: fc.option(time),
  message: fc.option(foreign),
})

test('whatever the fleet, no line of the table is wider than the terminal, and nothing in any line is raw', () => {
  fc.assert(
    fc.property(
      fc.array(anyChannel, { minLength: 1, maxLength: 8 }),
      fc.option(fc.integer({ min: 60, max: 120 }), { nil: undefined }),
      fc.option(time),
      (channels, width, lastReconcile) => {
        const status = fleet(channels, lastReconcile)
        const lines = renderTable(status, { now: NOW, width, colour: false, links: false })
        assert.equal(tableOf(lines).length, channels.length + 1)
        for (const line of lines) {
          assert.doesNotMatch(line, /\p{Bidi_Control}|\p{Cc}|\p{Zl}|\p{Zp}/u)
          assert.ok(line.isWellFormed())
        }
        for (const line of tableOf(lines))
          assert.ok(stringWidth(line) <= (width ?? Number.POSITIVE_INFINITY), line)

        const coloured = renderTable(status, { now: NOW, width, colour: true, links: false })
        assert.deepEqual(coloured.map(stripVTControlCharacters), lines)
      },
    ),
    { numRuns: 1000 },
  )
})
