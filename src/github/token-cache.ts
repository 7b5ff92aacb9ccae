// Installation tokens, kept between processes: every hook is a process of its own, and a token costs two requests.
import { createHash } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { systemClock } from '../base/clock.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'
import type { AppCredentials } from './credentials.ts'

/** GitHub's clock and ours may differ, and a run takes its time. */
const EXPIRY_MARGIN_MS = 5 * 60_000

/** What app.ts asks for: part of a cached token's name, so that another wish leads to another token. */
const WANTED_PERMISSIONS = 'contents:write,workflows:write?'

const accessSchema = z.object({
  token: z.string().check(z.minLength(1)),
  /** ISO 8601 */
  expiresAt: z.iso.datetime(),
  /** `alice/dotfiles`, as GitHub spells it now: another name than the configured one after a rename */
  fullName: z.string(),
  /** GraphQL's name for the repository */
  nodeId: z.string(),
  defaultBranch: z.string(),
  archived: z.boolean(),
  /** `{ contents: 'write', metadata: 'read' }`: what GitHub granted to this token */
  permissions: z.record(z.string(), z.string()),
})

/** An installation token for one repository, and what GitHub told about the repository with it. */
export type Access = z.output<typeof accessSchema>

export interface TokenCache {
  find(): Access | undefined
  store(access: Access): void
  drop(): void
}

/** The folder that systemd or the session made for such files; undefined if there is none. */
export function findCacheDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const directories = [env.RUNTIME_DIRECTORY?.split(':')[0], env.XDG_RUNTIME_DIR]
  return directories.find(directory => directory?.startsWith('/') && isDirectory(directory))
}

/** One file for each API, App, key, repository and set of permissions. Without a directory, nothing is kept. */
export function openTokenCache(
  directory: string | undefined,
  { appId, privateKey }: AppCredentials,
  key: { apiUrl: string; repository: string },
): TokenCache {
  if (directory === undefined) return { find: () => undefined, store() {}, drop() {} }
  const hash = createHash('sha256')
    .update(JSON.stringify([key.apiUrl, appId, privateKey, key.repository.toLowerCase(), WANTED_PERMISSIONS]))
    .digest('hex')
  const file = join(directory, `hydra-channels-token-${hash.slice(0, 32)}.json`)

  return {
    find() {
      const access = readPrivate(file)
      return access && Date.parse(access.expiresAt) - systemClock.now() > EXPIRY_MARGIN_MS
        ? access
        : undefined
    },
    store(access) {
      try {
        writeAtomically(file, JSON.stringify(access), 0o600)
      } catch {
        // a token that cannot be kept is asked for again; that is no reason to hold up a channel
      }
    },
    drop: () => remove(file),
  }
}

/** What cannot be removed is refused once more by the next process, which then makes another one too. */
function remove(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // `force` is silent about a missing file only
  }
}

/** Undefined if the file is missing, unreadable, half-written by something else, or not ours alone. */
function readPrivate(file: string): Access | undefined {
  try {
    const content = readSmallFile(file, {
      check({ uid, mode }) {
        if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) throw new Error('it is not ours alone')
      },
    })
    return accessSchema.safeParse(JSON.parse(content)).data
  } catch {
    return undefined
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
