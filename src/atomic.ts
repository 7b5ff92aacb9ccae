import { renameSync, rmSync, writeFileSync } from 'node:fs'

/**
 * Writes a file so that a reader finds the old one or the new one, and never a part of it.
 *
 * @throws what the file system says; nothing half-written stays behind
 */
export function writeAtomically(file: string, content: string, mode: number): void {
  const temporary = `${file}.${process.pid}`
  try {
    writeFileSync(temporary, content, { mode, flag: 'wx' })
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
