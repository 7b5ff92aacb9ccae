// What to do if a file of ours cannot be written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whatKeepsFromWriting } from '../../../src/base/write-atomically.ts'

for (const [code, expected] of [
  ['ENOSPC', 'there is no room left on its disk: df -h /var/lib/hydra-channels'],
  ['EDQUOT', 'there is no room left on its disk: df -h /var/lib/hydra-channels'],
  ['EROFS', 'its file system can only be read: see the log of the kernel'],
  ['EACCES', 'run it as root, or as the user whom the state directory belongs to'],
] as const) {
  test(code, () => {
    const error = Object.assign(new Error(code), { code })
    assert.equal(whatKeepsFromWriting(error, '/var/lib/hydra-channels'), expected)
  })
}
