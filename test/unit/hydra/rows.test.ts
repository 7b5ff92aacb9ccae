// Texts that the queries cut: half of a secret is not recognised, so half a line is not kept.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastError } from '../../../src/hydra/evaluation-error.ts'
import { wholeLines } from '../../../src/hydra/queries/rows.ts'

test('a text that was not cut stays, and of one that was only the whole lines', () => {
  assert.equal(wholeLines('', 10), '')
  assert.equal(wholeLines('one\ntwo', 8), 'one\ntwo')
  assert.equal(wholeLines('one\ntwo', 7), 'one')
  assert.equal(wholeLines('one line', 8), '')
})

test('a cut through a token, wherever it is, shows no part of it', () => {
  const text = 'error: first\nerror: cannot fetch https://bot:geheim@github.com/a/b: gone\n'
  for (let limit = 1; limit <= text.length; limit++) {
    const shown = lastError(wholeLines(text.slice(0, limit), limit))
    assert.doesNotMatch(shown, /g?e?h?eim|bot/, `cut at ${limit}`)
  }
})
