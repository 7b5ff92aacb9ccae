// What was copied for which channel, for caches that nobody can look in: else a new eval without a new build would copy the
// outputs of every channel once more. A file for each channel, because hooks and reconcile write at once.
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Log } from '../base/log.ts'
import type { Output } from '../base/output.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'

const DIRECTORY = 'proven'

/** `{ unit: 'copy-cache@.service', build: 4123, outputs: ['/nix/store/…-nas'] }` */
interface Copied {
  /** another unit may copy to another cache */
  unit: string
  build: number
  outputs: readonly (string | null)[]
}

/** `{ key: 'alice/dotfiles:nixos-tested-nas', name: 'alice/dotfiles nixos-tested-nas' }` */
interface NamedChannel {
  key: string
  name: string
}

type Prove = (outputs: readonly Output[], build: number, channel: NamedChannel) => Promise<'copied' | 'seen'>

/** Copies nothing again for a channel's build that was copied for it before. Without a unit, nothing is written down. */
export function remember(
  prove: Prove,
  { stateDirectory, unit, log }: { stateDirectory: string; unit: string | undefined; log: Log },
): Prove {
  if (unit === undefined) return prove
  return async (outputs, build, channel) => {
    const file = join(stateDirectory, DIRECTORY, `${encodeURIComponent(channel.key)}.json`)
    const copied = { unit, build, outputs: outputs.map(({ path }) => path) }
    if (isIn(file, copied)) {
      log.line(`${channel.name}: build ${build} was copied to the cache before`)
      return 'seen'
    }
    const how = await prove(outputs, build, channel)
    write(file, copied)
    return how
  }
}

function isIn(file: string, copied: Copied): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(readSmallFile(file)), copied)
  } catch {
    return false
  }
}

function write(file: string, copied: Copied): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
    writeAtomically(file, `${JSON.stringify(copied)}\n`, 0o644)
  } catch {
    // an inline hook may not: then it is copied again
  }
}
