import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { codeOf } from './errors.ts'
import { shellWord } from './links.ts'

/**
 * Writes a file so that a reader finds the old one or the new one, and never a part of it.
 *
 * @param mode whatever the umask is: other users read it
 * @throws what the file system says; nothing half-written stays behind
 */
export function writeAtomically(file: string, content: string | Uint8Array, mode: number): void {
  const temporary = `${file}.${process.pid}`
  try {
    // of a process that was killed and had the same number, as in a container
    rmSync(temporary, { force: true })
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    chmodSync(temporary, mode)
    renameSync(temporary, file)
  } catch (error) {
    try {
      rmSync(temporary, { force: true })
    } catch {
      // it was never there
    }
    throw error
  }
}

/** What to do if a file below our state directory cannot be written. */
export function whatKeepsFromWriting(error: unknown, stateDirectory: string): string {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `there is no room left on its disk: df -h ${shellWord(stateDirectory)}`
    case 'EROFS':
      return 'its file system can only be read: see the log of the kernel'
    default:
      return 'run it as root, or as the user whom the state directory belongs to'
  }
}
