// What kept a job from being evaluated, read off Hydra's text.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failedJobs, findEvaluationError, lastError } from '../../../src/hydra/evaluation-error.ts'

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
  assert.deepEqual(failedJobs(TEXT), ['nixos-nas.x86_64-linux', 'nixos-laptop'])
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
