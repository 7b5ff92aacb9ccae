// What a channel's pointer says: the facts of a channel whose commit was built and seen, and what differs from them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Look } from '../../../src/base/output.ts'
import {
  findSystem,
  formatPointer,
  nextPointer,
  type Pointer,
  type PointerFacts,
  parsePointer,
  pointerFile,
} from '../../../src/status/pointer.ts'

const [C3, C4] = ['3'.repeat(40), '4'.repeat(40)]
const pathOf = (digit: string, name = 'nixos-system-nas-26.05.20261124.abcdef0') =>
  `/nix/store/${digit.repeat(32)}-${name}`
const [P3, P4] = [pathOf('3'), pathOf('4')]
const CHANNEL = { repository: 'Alice/dotfiles', branch: 'nixos-tested-nas' }
const JOB = 'nixos-nas.x86_64-linux'
const NOW_MS = Date.parse('2026-11-24T12:00:00.500Z')
const NOW = Math.floor(NOW_MS / 1000)

const BUILT = { build: 70, eval: 9, outputs: [{ name: 'out', path: P4 }] }
const FACTS: PointerFacts = { tip: C4, jobs: [JOB], build: BUILT }
const SEEN: Look = { kind: 'seen' }

/** Of the commit before, written an hour ago. */
const OLD: Pointer = {
  version: 1,
  ...CHANNEL,
  sha: C3,
  eval: 8,
  build: 60,
  storePath: P3,
  serial: NOW - 3600,
  publishedAt: '2026-11-24T11:00:00.500Z',
  why: null,
}
const NEW: Pointer = {
  ...OLD,
  ...{ sha: C4, eval: 9, build: 70, storePath: P4 },
  ...{ serial: NOW, publishedAt: '2026-11-24T12:00:00.500Z' },
}

interface Case {
  facts?: Partial<PointerFacts>
  looked?: Look | undefined
  before?: Pointer | undefined
}

function pointerOf({ facts, ...more }: Case): Pointer | undefined {
  const given = { looked: SEEN, before: OLD, ...more }
  return nextPointer(CHANNEL, findSystem({ ...FACTS, ...facts }), { ...given, nowMs: NOW_MS })
}

const outputs = (...paths: (string | null)[]) =>
  paths.map((path, at) => ({ name: at === 0 ? 'out' : 'doc', path }))
const built = (...paths: (string | null)[]) => ({ build: { ...BUILT, outputs: outputs(...paths) } })

test('what was built for the commit, and seen, is named', () => {
  assert.deepEqual(pointerOf({}), NEW)
  assert.deepEqual(pointerOf({ before: undefined }), NEW)
})

test('the file has its keys in this order', () => {
  assert.equal(
    formatPointer(pointerOf({}) as Pointer),
    `{"version":1,"repository":"Alice/dotfiles","branch":"nixos-tested-nas","sha":"${C4}","eval":9,"build":70,"storePath":"${P4}","serial":${NOW},"publishedAt":"2026-11-24T12:00:00.500Z","why":null}\n`,
  )
})

describe('the pointer before stays', () => {
  const cases: Record<string, Case> = {
    'GitHub could not be asked': { facts: { tip: undefined } },
    'Hydra could not be asked for the jobs, or the rule is in trouble': { facts: { jobs: undefined } },
    'Hydra could not be asked for the build': { facts: { build: undefined } },
    'the cache was not asked': { looked: undefined },
    'the cache was silent': { looked: { kind: 'silent' } },
    'the cache could not be asked': { looked: { kind: 'missing', why: 'answers 503', away: true } },
    'nothing has changed': { before: { ...NEW, serial: 7, publishedAt: 'before' } },
    'nothing has changed, and the cache is silent': { before: NEW, looked: { kind: 'silent' } },
  }
  for (const [name, each] of Object.entries(cases)) {
    test(name, () => assert.equal(pointerOf(each), undefined))
  }
})

describe('no path is named, and the pointer says why', () => {
  const cases: Record<string, Case & { why: string | RegExp; sha?: string | null }> = {
    'the branch is gone': { facts: { tip: null }, why: 'there is no such branch', sha: null },
    'no job leads to it': { facts: { jobs: [] }, why: 'no job leads to this channel' },
    'two jobs lead to it': {
      facts: { jobs: [JOB, 'nixos-nas.aarch64-linux'] },
      why: 'several jobs lead to this channel: 2',
    },
    'its commit has no good build': {
      facts: { build: null },
      why: `Hydra has no good build of ${JOB} at 4444444`,
    },
    'none of the newest evals is of its commit': {
      facts: { build: 'no eval' },
      why: 'none of the newest evals that Hydra has is of 4444444',
    },
    'the build has no outputs': { facts: built(), why: 'build 70 has no output “out”' },
    'its output is no system': {
      facts: built(pathOf('4', 'firefox-150.0')),
      why: `build 70 of ${JOB} is no NixOS system: ${pathOf('4', 'firefox-150.0')}`,
    },
    'its output is no store path': {
      facts: built('/tmp/nixos-system-nas'),
      why: /is no NixOS system: \/tmp\/nixos-system-nas$/,
    },
    'its output has a name that Nix cannot have made': {
      facts: built(`${P4}/../x`),
      why: /is no NixOS system/,
    },
    'its output has a letter that no hash has': { facts: built(pathOf('e')), why: /is no NixOS system/ },
    'its output ends with a line': { facts: built(`${P4}\n`), why: /is no NixOS system/ },
    'a path of another output is not known': {
      facts: built(P4, null),
      why: 'Hydra knows no path of output doc of build 70',
    },
    'the cache does not have it': {
      looked: { kind: 'missing', why: `the cache does not have ${P4}` },
      why: `the cache does not have ${P4}`,
    },
  }
  for (const [name, { why, sha = C4, ...each }] of Object.entries(cases)) {
    test(name, () => {
      const pointer = pointerOf(each)
      if (typeof why === 'string') assert.equal(pointer?.why, why)
      else assert.match(pointer?.why ?? '', why)
      const nothing = { eval: null, build: null, storePath: null }
      assert.deepEqual({ ...NEW, sha, ...nothing, why: pointer?.why }, pointer)
    })
  }
})

test('a long text of others is cut', () => {
  const pointer = pointerOf({ facts: { jobs: ['x'.repeat(100_000)], build: null } })
  assert.equal(pointer?.why?.length, 1001)
})

test('a channel that was rolled back has the older build, and a newer serial', () => {
  const facts = { tip: C3, build: { build: 60, eval: 8, outputs: outputs(P3) } }
  assert.deepEqual(pointerOf({ facts, before: NEW }), {
    ...OLD,
    serial: NOW + 1,
    publishedAt: NEW.publishedAt,
  })
})

test('another commit with the same build needs no look', () => {
  const before = { ...OLD, build: 70, storePath: P4 }
  assert.deepEqual(pointerOf({ before, looked: undefined }), NEW)
})

test('another build with the same path needs a look', () => {
  assert.equal(pointerOf({ before: { ...OLD, storePath: P4 }, looked: undefined }), undefined)
})

test('the serial grows, whatever the clock does', () => {
  const serialAfter = (serial: number) => pointerOf({ before: { ...OLD, serial } })?.serial
  assert.equal(serialAfter(0), NOW)
  assert.equal(serialAfter(NOW - 1), NOW)
  assert.equal(serialAfter(NOW), NOW + 1)
  assert.equal(serialAfter(NOW + 1_000_000), NOW + 1_000_001)
})

describe('the file of a channel', () => {
  const cases: Record<string, string> = {
    'nixos-tested-nas': 'nixos-tested-nas',
    'nixos/tested/Nas': 'nixos%2Ftested%2FNas',
    'a+b@c': 'a%2Bb%40c',
    'ü%2F': '%C3%BC%252F',
    '\ud800': '%EF%BF%BD',
  }
  for (const [branch, name] of Object.entries(cases)) {
    test(JSON.stringify(branch), () => {
      assert.equal(pointerFile({ ...CHANNEL, branch }), `channels/alice/dotfiles/${name}.json`)
    })
  }
})

describe('what is no pointer of the channel is none', () => {
  const cases: Record<string, string> = {
    empty: '',
    'cut off': formatPointer(OLD).slice(0, -5),
    'a list': '[]',
    'of another version': JSON.stringify({ ...OLD, version: 2 }),
    'of another branch': JSON.stringify({ ...OLD, branch: 'nixos-tested-web' }),
    'of another repository': JSON.stringify({ ...OLD, repository: 'bob/dotfiles' }),
    'without a serial': JSON.stringify({ ...OLD, serial: undefined }),
    'with a serial that is no number': JSON.stringify({ ...OLD, serial: '7' }),
    'with a serial that is too large': JSON.stringify(OLD).replace(
      `"serial":${OLD.serial}`,
      '"serial":1e300',
    ),
    'with a serial below zero': JSON.stringify({ ...OLD, serial: -1 }),
  }
  for (const [name, text] of Object.entries(cases)) {
    test(name, () => assert.equal(parsePointer(text, pointerFile(CHANNEL)), undefined))
  }
})

test('what was written is read again, whatever the spelling of the repository', () => {
  assert.deepEqual(
    parsePointer(formatPointer(OLD), pointerFile({ ...CHANNEL, repository: 'alice/DotFiles' })),
    OLD,
  )
})
