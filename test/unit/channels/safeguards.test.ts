// What is said where GitHub cannot compare a candidate with the tracked branch.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Forge, NotComparedError } from '../../../src/channels/forge.ts'
import { standOnTracked } from '../../../src/channels/safeguards.ts'

const SHA = 'a'.repeat(40)
const REV = 'b'.repeat(40)

for (const tracked of [{ kind: 'pinned', rev: REV } as const, { kind: 'default branch' } as const]) {
  test(`a candidate that cannot be compared with what is tracked (${tracked.kind}): nobody is told to push it`, async () => {
    const forge = {
      async compare() {
        throw new NotComparedError('too much', { hint: 'git push origin COMMIT:refs/heads/CHANNEL' })
      },
    } as unknown as Forge
    await assert.rejects(
      standOnTracked(forge, SHA, tracked, () => {}),
      (error: unknown) => {
        assert.ok(error instanceof NotComparedError)
        assert.equal(error.message, 'too much')
        assert.deepEqual(error.hint, [
          'the next run tries again',
          `until then it is not known whether ${SHA.slice(0, 7)} is in the history of ${tracked.kind === 'pinned' ? REV : 'HEAD'}, and nothing is moved to it`,
        ])
        return true
      },
    )
  })
}
