// `hydra-channels explain` for people, as text: nothing is asked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import stringWidth from 'string-width'
import { renderExplanation } from '../../../src/status/explanation-text.ts'
import type { ChannelExplanation } from '../../../src/status/find-explanation.ts'
import { type Answer, GATES } from '../../../src/status/gates.ts'
import { C3, C4, NOW } from '../../helpers/channel-facts.ts'

const HYDRA = 'https://hydra.example.org'
const open = (text: string, url: string | null = null): Answer => ({ state: 'open', text, url })
const FINE = open('fine')

const EXPLANATION: ChannelExplanation = {
  generatedAt: NOW.toISOString(),
  dryRun: false,
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-nas',
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-nas.x86_64-linux',
  reason: 'build-failed',
  message: 'failing since build 71; build 73 failed; the channel moves with the next good build',
  url: `${HYDRA}/build/73`,
  at: { sha: C3, subject: 'flake: update', author: 'Alice', committedAt: '2026-11-22T12:00:00Z' },
  candidate: {
    ...{ sha: C3, subject: 'flake: update', author: 'Alice' },
    ...{ eval: 7, evaluatedAt: '2026-11-22T13:00:00Z', build: 70 },
  },
  newestEval: {
    ...{ eval: 9, evaluatedAt: '2026-11-24T10:00:00.000Z', build: 73 },
    ...{ sha: C4, subject: 'nas: nftables', author: null },
  },
  gates: GATES.map(gate => ({
    gate,
    candidate: gate === 'build' ? open('build 70 succeeded', `${HYDRA}/build/70`) : FINE,
    newestEval:
      gate === 'build'
        ? { state: 'shut', text: 'build 73 failed', url: `${HYDRA}/build/73` }
        : gate === 'cache'
          ? { state: 'unknown', text: 'not asked', url: null }
          : FINE,
  })),
  between: [
    {
      ...{ eval: 8, evaluatedAt: '2026-11-23T12:00:00.000Z', build: 71, why: 'build 71 failed' },
      ...{ sha: C4, subject: 'nas: kernel', author: 'Bob', url: `${HYDRA}/build/71` },
    },
  ],
  moreBetween: false,
}

const PLAIN = { now: NOW, width: undefined, colour: false, links: false }

test('the whole text', () => {
  assert.equal(
    `\n${renderExplanation(EXPLANATION, PLAIN).join('\n')}\n`,
    `
alice/dotfiles nixos-tested-nas: build-failed
    failing since build 71; build 73 failed; the channel moves with the next good build https://hydra.example.org/build/73

at            3333333 “flake: update” by Alice, 2 days ago
candidate     3333333 “flake: update” by Alice: eval 7, build 70
newest eval   9, 2 h ago: 4444444 “nas: nftables”

✓ rule          fine
✓ job           fine
✓ evaluation    fine
✓ build         candidate: build 70 succeeded https://hydra.example.org/build/70
✗               newest eval: build 73 failed https://hydra.example.org/build/73
✓ cache         candidate: fine
–               newest eval: not asked
✓ branch        fine
✓ hold          fine
✓ permission    fine
✓ fast-forward  fine

✓ open, ✗ shut, – not asked or not known

evals after the candidate that did not become it, newest first, without the newest:
  eval 8, 24 h ago, 4444444 “nas: kernel” by Bob: build 71 failed https://hydra.example.org/build/71
`,
  )
})

test('a channel without anything', () => {
  const nothing: ChannelExplanation = {
    ...EXPLANATION,
    ...{ project: null, jobset: null, job: null, reason: 'unknown', message: null, url: null, dryRun: true },
    ...{ at: null, candidate: null, newestEval: null, between: null },
  }
  const text = renderExplanation(nothing, PLAIN).join('\n')
  assert.match(text, /^alice\/dotfiles nixos-tested-nas: unknown\n {4}nothing is copied or moved, /)
  assert.match(
    text,
    /^at {12}no branch, or it is not known\ncandidate {5}none\nnewest eval {3}none, or it is not known$/m,
  )
  assert.doesNotMatch(text, /evals/)
})

test('if there are more evals before, or they are not known, it says so', () => {
  assert.equal(renderExplanation({ ...EXPLANATION, moreBetween: true }, PLAIN).at(-1), '  and more before')
  assert.equal(
    renderExplanation({ ...EXPLANATION, between: null }, PLAIN).at(-1),
    'the evals before are not known',
  )
})

for (const width of [60, 80, 120]) {
  test(`${width} columns: no line is wider, but for an address`, () => {
    const long = 'a word that '.repeat(30)
    const lines = renderExplanation(
      {
        ...EXPLANATION,
        message: long,
        gates: EXPLANATION.gates.map(each => ({ ...each, candidate: open(long) })),
      },
      { ...PLAIN, width },
    )
    const wide = lines.filter(line => stringWidth(line) > width)
    assert.deepEqual(
      wide.filter(line => !line.includes('https://')),
      [],
    )
  })
}

test('a terminal that shows links gets links, and no addresses beside them', () => {
  const text = renderExplanation(EXPLANATION, { ...PLAIN, links: true }).join('\n')
  const link = (build: number, words: string) =>
    `\u001b]8;;${HYDRA}/build/${build}\u001b\\${words}\u001b]8;;\u001b\\`
  for (const each of [
    `nixos-tested-nas: ${link(73, 'build-failed')}`,
    `${link(70, 'candidate')}: build 70 succeeded`,
    `${link(73, 'newest eval')}: build 73 failed`,
    `${link(71, 'eval 8')}, 24 h ago`,
  ]) {
    assert.ok(text.includes(each), each)
  }
  assert.doesNotMatch(text, / https:/)
})

test('marks in colour, which are told apart without it', () => {
  const text = renderExplanation(EXPLANATION, { ...PLAIN, colour: true }).join('\n')
  assert.ok(text.includes('\u001b[31m✗\u001b[39m'))
  assert.ok(text.includes('\u001b[32m✓\u001b[39m build'))
})

test('texts from outside cannot write to the terminal', () => {
  const hostile = '\u001b[2J\nforged\u202e'
  const lines = renderExplanation(
    {
      ...EXPLANATION,
      ...{ branch: hostile, message: hostile, url: `https://x/${hostile}` },
      at: { sha: C3, subject: hostile, author: hostile, committedAt: null },
      gates: [{ gate: 'rule', candidate: open(hostile, hostile), newestEval: open(hostile, hostile) }],
      between: [{ ...EXPLANATION.between?.[0], why: hostile, subject: hostile, author: hostile } as never],
    },
    PLAIN,
  )
  assert.doesNotMatch(lines.join('|'), /[\u0000-\u001f\u202e]/)
})
