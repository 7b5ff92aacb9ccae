// What kept a job from being evaluated, read off Hydra's text.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastError, parseEvaluationErrors } from '../../../src/hydra/evaluation-error.ts'

const findEvaluationError = (text: string, job: string) => parseEvaluationErrors(text).find(job)

const TEXT = `in job ‘nixos-nas.x86_64-linux’:
error:
       … while evaluating the attribute 'config'
       error: attribute 'foo' missing
       at /nix/store/x/flake.nix:3:1
in job ‘nixos-laptop’:
error: infinite recursion encountered
`

const TABLE: [string, string | undefined][] = [
  ['nixos-nas.x86_64-linux', "error: attribute 'foo' missing"],
  ['nixos-laptop.aarch64-linux', 'error: infinite recursion encountered'],
  ['nixos-laptop', 'error: infinite recursion encountered'],
  ['nixos-laptop2.x86_64-linux', undefined],
  ['nixos-nas.x86_64', undefined],
]

for (const [job, error] of TABLE) {
  test(`${job}: ${error ?? 'nothing'}`, () => assert.equal(findEvaluationError(TEXT, job), error))
}

test('an error at top level is every job’s', () => {
  assert.equal(
    findEvaluationError('at top-level:\nerror:\n error: no such file\n', 'any'),
    'error: no such file',
  )
})

test('a section without a message says so, and no text is no error', () => {
  assert.equal(findEvaluationError('in job ‘a’:\n', 'a'), 'without a message')
  assert.equal(findEvaluationError('', 'a'), undefined)
})

test('the jobs that failed are named', () => {
  assert.deepEqual([...parseEvaluationErrors(TEXT).jobs], ['nixos-nas.x86_64-linux', 'nixos-laptop'])
})

test('a URL that could not be fetched is shown without the token in it', () => {
  const fetched = (url: string) => lastError(`error:\n … while fetching\n error: cannot fetch ${url}: 403\n`)
  const shown = 'error: cannot fetch https://github.com/alice/secrets: 403'
  for (const user of ['x-access-token:ghp_secret@', 'ghp_secret@', 'alice:ghp_se@cret@', '']) {
    assert.equal(fetched(`https://${user}github.com/alice/secrets`), shown, user)
  }
  assert.equal(
    fetched("'git+https://oauth2:ghp_secret@github.com/alice/secrets?ref=main'"),
    "error: cannot fetch 'git+https://github.com/alice/secrets?ref=main': 403",
  )
  // a line that is the first one and no error
  assert.equal(lastError('fatal: https://ghp_secret@github.com: gone\n'), 'fatal: https://github.com: gone')
})

test('of a job and a part of its name, the first section counts', () => {
  const text =
    'in job ‘a’:\nerror: of all\nin job ‘a.b’:\nerror: of one\nat top-level:\nerror: of everything\n'
  const found = ['a.b', 'a.c', 'z'].map(job => findEvaluationError(text, job))
  assert.deepEqual(found, ['error: of all', 'error: of all', 'error: of everything'])
})

test('a message is cut, and a token in the part that is shown is not', () => {
  const shown = lastError(`error: ${'x'.repeat(5_000)} https://ghp_secret@github.com`)
  assert.deepEqual([shown.length, shown.at(-1)], [1_001, '…'])
})
