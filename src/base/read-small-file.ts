import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Most of our files have less than 2 kB. */
const MAX_BYTES = 64 * 1024

/**
 * A small file that we or the operator made, in a folder that others may write to. A pipe would hang us in `open`, and a
 * device or a huge file would never end.
 *
 * @param options.check throws if it must not be read
 * @param options.links `follow` only if the operator has named the file: secret stores make links
 * @throws what the file system says; Error if it is no regular file, or too large
 */
export function readSmallFile(
  file: string,
  {
    check = () => {},
    maxBytes = MAX_BYTES,
    links = 'refuse',
  }: {
    check?: (stat: { uid: number; mode: number }) => void
    maxBytes?: number
    links?: 'refuse' | 'follow'
  } = {},
): string {
  // without O_NONBLOCK, to open a pipe waits for its other end; we make no links, and one may lead anywhere
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW } = constants
  const descriptor = openSync(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | (links === 'refuse' ? O_NOFOLLOW : 0))
  try {
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) throw new Error('it is no regular file')
    if (stat.size > maxBytes) throw new Error(`it is larger than ${maxBytes / 1024} kB`)
    check(stat)
    // a file of the kernel's says that it is empty, and has no end
    const content = Buffer.alloc(Math.min(maxBytes, stat.size))
    return content.toString('utf8', 0, readSync(descriptor, content))
  } finally {
    closeSync(descriptor)
  }
}
