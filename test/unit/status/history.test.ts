// What happened to a branch, as data and as text: tables of GitHub's activities, and what the two commits are to each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import stringWidth from 'string-width'
import { type Change, type ChangeFacts, type ChannelHistory, changeOf } from '../../../src/status/history.ts'
import { renderHistory } from '../../../src/status/history-text.ts'
import type { Activity } from '../../../src/status/survey.ts'
import { AHEAD, BEHIND, C3, C4, compareUrl, DIVERGED, IDENTICAL, NOW } from '../../helpers/channel-facts.ts'

const APP = 'hydra-channels-test[bot]'
const HYDRA = 'https://hydra.example.org'
const MOVED: Activity = { at: '2026-11-24T11:00:00Z', kind: 'pushed', from: C3, to: C4, actor: APP }
const FACTS: ChangeFacts = {
  relation: AHEAD,
  ownLogin: APP,
  commit: { subject: 'nas: nftables', author: 'Alice' },
  eval: 9,
  build: { build: 70, finished: true, status: 0 },
}
const AROUND = { repository: 'alice/dotfiles', webUrl: 'https://github.com', hydraUrl: HYDRA }
const change = (activity: Partial<Activity> = {}, facts: Partial<ChangeFacts> = {}): Change =>
  changeOf({ ...MOVED, ...activity }, { ...FACTS, ...facts }, AROUND)

const cases: {
  what: string
  activity?: Partial<Activity>
  facts?: Partial<ChangeFacts>
  change: Partial<Change>
}[] = [
  {
    what: 'our App moves it',
    change: {
      ...{ at: '2026-11-24T11:00:00.000Z', kind: 'moved', from: C3, to: C4, gained: 1, lost: 0 },
      ...{ actor: APP, own: true, subject: 'nas: nftables', author: 'Alice', eval: 9, build: 70 },
      ...{ buildStatus: 'succeeded', url: `${HYDRA}/build/70` },
    },
  },
  {
    what: 'a person moves it',
    activity: { actor: 'alice' },
    change: { kind: 'moved', actor: 'alice', own: false },
  },
  {
    what: 'a login of any length',
    activity: { actor: 'a'.repeat(1000) },
    change: { actor: `${'a'.repeat(100)}…` },
  },
  { what: 'nobody is named', activity: { actor: undefined }, change: { actor: null, own: null } },
  { what: 'our App is not known', facts: { ownLogin: undefined }, change: { actor: APP, own: null } },
  {
    what: 'created',
    activity: { kind: 'created', from: undefined },
    facts: { relation: undefined },
    change: { kind: 'created', from: null, to: C4, gained: null, lost: null },
  },
  {
    what: 'a push that creates it',
    activity: { from: undefined },
    facts: { relation: undefined },
    change: { kind: 'created' },
  },
  {
    what: 'deleted: what is known of the commit that it was at',
    activity: { kind: 'deleted', to: undefined },
    facts: { relation: undefined },
    change: { kind: 'deleted', from: C3, to: null, gained: null, lost: null, eval: 9 },
  },
  {
    what: 'forced',
    activity: { kind: 'forced' },
    facts: { relation: DIVERGED },
    change: { kind: 'forced', gained: 3, lost: 1 },
  },
  {
    what: 'set back, as a push',
    facts: { relation: BEHIND },
    change: { kind: 'forced', gained: 0, lost: 1 },
  },
  {
    what: 'another root',
    facts: { relation: 'unrelated' },
    change: { kind: 'forced', gained: null, lost: null },
  },
  {
    what: 'forced, and the commit before is gone',
    activity: { kind: 'forced' },
    facts: { relation: undefined },
    change: { kind: 'forced', gained: null, lost: null },
  },
  {
    what: 'not compared',
    facts: { relation: undefined },
    change: { kind: 'moved', gained: null, lost: null },
  },
  { what: 'the same commit', facts: { relation: IDENTICAL }, change: { kind: 'moved', gained: 0, lost: 0 } },
  { what: 'merged', activity: { kind: 'merged' }, change: { kind: 'merged' } },
  {
    what: 'no eval',
    facts: { eval: undefined, build: undefined, commit: undefined },
    change: { eval: null, build: null, buildStatus: null, subject: null, url: compareUrl(C3, C4) },
  },
  {
    what: 'a build that failed',
    facts: { build: { build: 71, finished: true, status: 2 } },
    change: { build: 71, buildStatus: 'dependency-failed' },
  },
  {
    what: 'a build that is built again',
    facts: { build: { build: 71, finished: false, status: 0 } },
    change: { build: 71, buildStatus: 'unfinished' },
  },
]

for (const { what, activity, facts, change: expected } of cases) {
  test(what, () => {
    const found = change(activity, facts)
    const picked = Object.fromEntries(Object.keys(expected).map(key => [key, found[key as keyof Change]]))
    assert.deepEqual(picked, expected)
  })
}

const PLAIN = { now: NOW, width: undefined, colour: false, links: false }
const history = (more: Partial<ChannelHistory> = {}): ChannelHistory => ({
  generatedAt: NOW.toISOString(),
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-nas',
  since: null,
  changes: [],
  leftOut: 0,
  moreBefore: false,
  ...more,
})
const text = (more: Partial<ChannelHistory> = {}, options = PLAIN) =>
  renderHistory(history(more), options).join('\n')

test('the whole text', () => {
  const changes = [
    change({ kind: 'deleted', to: undefined, actor: 'alice' }, { relation: undefined }),
    change(
      { kind: 'forced', actor: 'bob' },
      { relation: DIVERGED, eval: undefined, build: undefined, commit: undefined },
    ),
    change({}, { build: { build: 71, finished: false, status: null } }),
    change({ kind: 'created', from: undefined, actor: undefined }, { relation: undefined, build: undefined }),
  ]
  assert.equal(
    `\n${text({ changes, leftOut: 3, moreBefore: true })}\n`,
    `
alice/dotfiles nixos-tested-nas: 4 changes, newest first

1 h ago (11:00): DELETED at 3333333, by alice
    3333333 “nas: nftables” by Alice, eval 9, build 70 succeeded https://hydra.example.org/build/70
1 h ago (11:00): FORCED 3333333...4444444 (3 commits, 1 commit lost), by bob
    4444444, no eval of it is known https://github.com/alice/dotfiles/compare/${C3}...${C4}
1 h ago (11:00): moved 3333333..4444444 (1 commit), by hydra-channels-test[bot], our App
    4444444 “nas: nftables” by Alice, eval 9, build 71 is queued or running https://hydra.example.org/build/71
1 h ago (11:00): created at 4444444, by somebody whom GitHub does not name
    4444444 “nas: nftables” by Alice, eval 9

at least 3 older changes left out: --since says how far back to go
`,
  )
})

for (const [what, more, expected] of [
  [
    'nothing',
    {},
    'GitHub tells of no change: there was no such branch, or GitHub does not keep it for so long',
  ],
  ['nothing since then', { since: '2026-11-20T12:00:00Z' }, 'GitHub tells of no change since Fri 12:00'],
  [
    'more before',
    { changes: [change()], moreBefore: true },
    'there are older changes: --since says how far back to go',
  ],
  [
    'some left out',
    { changes: [change()], leftOut: 1 },
    '1 older change left out: --since says how far back to go',
  ],
  [
    'more before, with --since',
    { changes: [change()], moreBefore: true, since: '2026-11-20T12:00:00Z' },
    'there are more since then: these are the newest 1, and GitHub is asked for no more',
  ],
] as const) {
  test(what, () => {
    const said = text(more as Partial<ChannelHistory>)
    assert.ok(said.endsWith(expected), said)
  })
}

test('set back: only what it lost is counted', () => {
  assert.match(
    text({ changes: [change({}, { relation: BEHIND })] }),
    /FORCED 3333333\.\.\.4444444 \(1 commit lost\), by/,
  )
})

test('60 columns, colour, links, and hostile texts', () => {
  const hostile = '\u001b[2Jforged\u202e '.repeat(10)
  const changes = [
    change({ kind: 'forced', actor: hostile }, { commit: { subject: hostile, author: hostile } }),
  ]
  const plain = renderHistory(history({ changes, branch: hostile }), { ...PLAIN, width: 60 })
  assert.doesNotMatch(plain.join(''), /[\u0000-\u001f\u202e]/)
  assert.deepEqual(
    plain.filter(line => stringWidth(line) > 60 && !/https:|\\u/.test(line)),
    [],
  )
  const shown = text({ changes: [change({ kind: 'forced' })] }, { ...PLAIN, colour: true, links: true })
  assert.ok(
    shown.includes(`\u001b]8;;${HYDRA}/build/70\u001b\\\u001b[31mFORCED\u001b[39m\u001b]8;;\u001b\\`),
    shown,
  )
  assert.doesNotMatch(shown, / https:/)
})
