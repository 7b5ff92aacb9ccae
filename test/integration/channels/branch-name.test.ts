// Names of branches: what is refused and in which words, and that git takes whatever is not refused.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { branchProblem } from '../../../src/channels/branch-name.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'

for (const name of [
  'main',
  'nixos-tested-nas',
  'hosts/nas/tested',
  'a.b',
  'a-',
  'a@b',
  '{host}',
  'größe-日本-🎉',
  'a;b\'c`d$(e)&|<>"!',
  'refs',
  'head',
  'HEAD/x',
  'x/HEAD',
  'a.locked',
  SHA.slice(1),
  `${SHA}0`,
  `${SHA.slice(1)}g`,
  'x'.repeat(244),
]) {
  test(`“${name}” is a branch, to us and to git`, () => {
    assert.equal(branchProblem(name), undefined)
    assert.equal(gitTakes(name), true)
  })
}

const REFUSED_BY_GIT_TOO: [name: string, problem: string][] = [
  ['', 'it is empty'],
  ['a b', 'it contains a space'],
  ['a~1', 'it contains “~”'],
  ['a^', 'it contains “^”'],
  ['a:b', 'it contains “:”'],
  ['a?', 'it contains “?”'],
  ['a*', 'it contains “*”'],
  ['a[b', 'it contains “[”'],
  ['a\\b', 'it contains “\\”'],
  ['a\tb', 'it contains a control character'],
  ['a\nb', 'it contains a control character'],
  ['a\u001b[31m', 'it contains a control character'],
  ['a\u007f', 'it contains a control character'],
  ['-a', 'it starts with “-”'],
  ['HEAD', 'git means something else by it'],
  ['a..b', 'it contains “..”'],
  ['a@{b', 'it contains “@{”'],
  ['a.', 'it ends with “.”'],
  ['/a', 'it has an empty part between, before or after “/”'],
  ['a/', 'it has an empty part between, before or after “/”'],
  ['a//b', 'it has an empty part between, before or after “/”'],
  ['.a', 'its part “.a” starts with “.”'],
  ['a/.b', 'its part “.b” starts with “.”'],
  ['a.lock', 'its part “a.lock” ends with “.lock”'],
  ['a.lock/b', 'its part “a.lock” ends with “.lock”'],
]

for (const [name, problem] of REFUSED_BY_GIT_TOO) {
  test(`${JSON.stringify(name)} is no branch to git, and to us because ${problem}`, () => {
    assert.equal(branchProblem(name), problem)
    assert.equal(gitTakes(name), false)
  })
}

// git takes these for a branch, and somebody else does not: GitHub, a file system, or who reads the log
const REFUSED_BEYOND_GIT: [why: string, name: string, problem: string][] = [
  ['a full ref', 'refs/heads/main', 'it starts with “refs/”: a branch is named without that'],
  ['a commit', SHA, 'it looks like a commit'],
  ['a commit in capitals', SHA.toUpperCase(), 'it looks like a commit'],
  ['a C1 control character', 'a\u009bb', 'it contains a control character'],
  ['text from right to left', 'a\u202eb', 'it contains a control character'],
  ['a line separator', 'a\u2028b', 'it contains a control character'],
  ['245 bytes', 'x'.repeat(245), 'it is longer than 244 bytes'],
  ['245 bytes in 123 characters', `${'ü'.repeat(122)}x`, 'it is longer than 244 bytes'],
]

for (const [why, name, problem] of REFUSED_BEYOND_GIT) {
  test(`${why} is refused although git takes it: ${problem}`, () => {
    assert.equal(branchProblem(name), problem)
    assert.equal(gitTakes(name), true)
  })
}

test('“@”, which git takes as a ref and as another word for HEAD, and half a character are refused', () => {
  assert.equal(branchProblem('@'), 'git means something else by it')
  assert.equal(branchProblem('a\ud800'), 'it is not well-formed Unicode')
})

/**
 * Branch names as they may come out of a job's name: of what is dangerous, and of a little that is not. Short, so
 * that many of them are good.
 */
const nasty = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      ...[
        'a',
        'b',
        '7',
        '.',
        '..',
        '/',
        '//',
        '-',
        '@',
        '@{',
        '{',
        '}',
        '.lock',
        'lock',
        'HEAD',
        'refs/',
        '~',
      ],
      ...[
        '^',
        ':',
        '?',
        '*',
        '[',
        ']',
        '\\',
        ' ',
        '\t',
        '\n',
        '\u0001',
        '\u007f',
        '\u0085',
        'ü',
        '🎉',
        '$',
        "'",
      ],
    ),
    maxLength: 6,
  }),
  fc.string({
    unit: fc.constantFrom('a', '.', '/', '-', '@', '{', '.lock', 'HEAD', 'refs', 'ü'),
    minLength: 1,
    maxLength: 5,
  }),
)

const names = [...new Set(fc.sample(nasty, 5000))].filter(isArgument)
const accepted = names.filter(name => branchProblem(name) === undefined).slice(0, 300)
const refused = names.filter(name => branchProblem(name) !== undefined).slice(0, 60)

test('git takes whatever is accepted', t => {
  // or the sample proves nothing
  assert.equal(accepted.length, 300)
  const directory = mkdtempSync(join(tmpdir(), 'hc-branch-name-'))
  t.after(() => rmSync(directory, { recursive: true }))
  execFileSync('git', ['init', '--quiet', '--bare', directory])
  // All in one process, which checks a name as check-ref-format does, and asks only that there is no such ref. Each in a
  // folder of its own, because `a` and `a/b` exclude each other.
  const input = accepted.map((name, index) => `verify refs/heads/${index}/${name}\0\0`).join('')
  execFileSync('git', ['-C', directory, 'update-ref', '--stdin', '-z'], { input })
})

test('what is refused is refused by git, or for a reason that this program has beyond git', () => {
  assert.equal(refused.length, 60)
  const reasons = new Set(refused.filter(gitTakes).map(branchProblem))
  for (const reason of [
    'it contains a control character', // C1
    'it starts with “refs/”: a branch is named without that',
    'git means something else by it', // “@”
  ]) {
    reasons.delete(reason)
  }
  assert.deepEqual([...reasons], [])
})

/**
 * As the name of a file below refs/heads, and by the two rules that `git check-ref-format --branch` has beside that;
 * that itself also resolves `@{-1}`.
 */
function gitTakes(name: string): boolean {
  if (name === 'HEAD' || name.startsWith('-')) return false
  const { status, error } = spawnSync('git', ['check-ref-format', `refs/heads/${name}`])
  assert.ok(status !== null, error)
  return status === 0
}

/** Half a character and NUL cannot be handed to a program. */
function isArgument(name: string): boolean {
  return name.isWellFormed() && !name.includes('\0')
}
