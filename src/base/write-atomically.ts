import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'

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
