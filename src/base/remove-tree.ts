import { closeSync, constants, lstatSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { codeOf, messageOf } from './errors.ts'

/** What we remove is small. Other users may have made it large, and the work must end. */
const MAX_ENTRIES = 10_000
const MAX_DEPTH = 100

/**
 * Removes what is at a path, in a folder that other users may write to: a file, a link (never what it leads to), a pipe, a
 * socket, or a folder with all that is in it.
 *
 * `fs.rmSync` goes by names: another user could put a link in the place of a folder while it works, and it would empty the
 * folder that the link leads to. Here each folder is opened without following links, and its content is removed through the
 * descriptor (/proc/self/fd, because Node has no unlinkat).
 *
 * @returns `none` if there is nothing at the path
 * @throws Error that names what cannot be removed
 */
export function removeTree(path: string): 'removed' | 'none' {
  const found = unlink(Buffer.from(path))
  if (found === 'folder') removeFolder(Buffer.from(path), { entries: MAX_ENTRIES, depth: MAX_DEPTH })
  return found === 'none' ? 'none' : 'removed'
}

/** Names are bytes: not every name is UTF-8. */
function unlink(path: Buffer): 'removed' | 'none' | 'folder' {
  try {
    unlinkSync(path)
    return 'removed'
  } catch (error) {
    const code = codeOf(error) ?? ''
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'none'
    // which code a folder has depends on the system
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return 'folder'
    throw error
  }
}

function removeFolder(path: Buffer, room: { entries: number; depth: number }): void {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  const descriptor = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  const opened = `/proc/self/fd/${descriptor}/`
  try {
    const names = readdirSync(opened, { encoding: 'buffer' })
    room.entries -= names.length
    if (room.entries < 0) throw new Error(`there are more than ${MAX_ENTRIES} files in ${path}`)
    if (room.depth === 0) throw new Error(`there are more than ${MAX_DEPTH} folders above ${path}`)
    room.depth--
    for (const name of names) {
      const inside = Buffer.concat([Buffer.from(opened), name])
      if (unlink(inside) === 'folder') removeFolder(inside, room)
    }
    room.depth++
  } catch (error) {
    throw new Error(messageOf(error).replaceAll(opened, `${path}/`), { cause: error })
  } finally {
    closeSync(descriptor)
  }
  rmdirSync(path)
}
