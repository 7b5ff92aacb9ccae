// What stands where one of our files should be, put there by whoever may write to the folder: no read of it hangs, and none
// takes it for the file.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { readSmallFile } from '../../../src/base/read-small-file.ts'
import { findHolds, holdFile } from '../../../src/channels/holds.ts'
import { openTokenCache } from '../../../src/github/token-cache.ts'
import { readStamp, writeStamp } from '../../../src/state/last-reconcile.ts'

const ACCESS = {
  ...{ token: 'ghs_secret', expiresAt: new Date(Date.now() + 3_600_000).toISOString(), nodeId: 'R_1' },
  ...{ fullName: 'alice/dotfiles', defaultBranch: 'main', archived: false },
  permissions: { contents: 'write' },
}
const CHANNEL = { repository: 'alice/dotfiles', branch: 'nixos-tested-nas' }

function makePipe(file: string): void {
  execFileSync('mkfifo', [file])
}

/** What stands there, and what a read says. */
const THINGS: Record<string, { make: (file: string) => void | Promise<void>; says: RegExp }> = {
  'a pipe': { make: makePipe, says: /^it is no regular file$/ },
  'a link to a pipe': {
    make(file) {
      makePipe(`${file}.pipe`)
      symlinkSync(`${file}.pipe`, file)
    },
    says: /ELOOP/,
  },
  'a link to a device': { make: file => symlinkSync('/dev/zero', file), says: /ELOOP/ },
  'a link to a file of the kernel': { make: file => symlinkSync('/proc/self/status', file), says: /ELOOP/ },
  'a link to a terminal': { make: file => symlinkSync('/dev/tty', file), says: /ELOOP/ },
  'a link to itself': { make: file => symlinkSync(basename(file), file), says: /ELOOP/ },
  'a folder': { make: file => mkdirSync(file), says: /^it is no regular file$/ },
  'a socket': {
    make: async file => {
      const server = createServer().listen(relative(process.cwd(), file))
      await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
      server.unref()
    },
    says: /ENXIO/,
  },
  'a file of 64 kB and a byte': {
    make: file => writeFileSync(file, ' '.repeat(64 * 1024 + 1)),
    says: /^it is larger than 64 kB$/,
  },
}

describe('where a small file should be', () => {
  for (const [what, { make, says }] of Object.entries(THINGS)) {
    test(`there is ${what}`, async t => {
      const directory = mkdtempSync(join(tmpdir(), 'hc-small-'))
      t.after(() => rmSync(directory, { recursive: true }))
      const place = async (file: string) => {
        mkdirSync(dirname(file), { recursive: true })
        rmSync(file, { force: true, recursive: true })
        await make(file)
        return file
      }
      assert.throws(() => readSmallFile(join(directory, 'missing')), { code: 'ENOENT' })
      const file = await place(join(directory, 'file'))
      assert.throws(() => readSmallFile(file), { message: says })

      const hold = await place(holdFile(directory, CHANNEL))
      assert.throws(
        () => findHolds(directory, CHANNEL),
        ({ message, hint }) => message.startsWith(`cannot read the hold ${hold}: `) && hint.length > 0,
      )

      await place(join(directory, 'last-reconcile.json'))
      assert.equal(readStamp(directory), undefined)
      const said: string[] = []
      writeStamp(directory, { ended: 'ok', counts: {}, failures: {} }, { line: text => said.push(text) })
      // a file takes the place of everything but a folder
      assert.equal(readStamp(directory) === undefined, what === 'a folder')
      assert.equal(said.length, what === 'a folder' ? 1 : 0)

      const cache = openTokenCache(
        directory,
        { kind: 'app', appId: 'Iv1', privateKey: 'a key', source: 'flags' },
        { apiUrl: 'https://api.github.com', repository: 'alice/dotfiles' },
      )
      cache.store(ACCESS)
      const [name = ''] = readdirSync(directory).filter(each => each.startsWith('hydra-channels-token-'))
      assert.deepEqual(cache.find(), ACCESS)
      await place(join(directory, name))
      assert.equal(cache.find(), undefined)
    })
  }
})
