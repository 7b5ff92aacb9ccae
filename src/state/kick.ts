// The file by which a detached hook asks for a reconcile: a systemd path unit (PathExists=) starts reconcile while it is
// there, and reconcile removes it before it looks. So what happens after its look starts another one.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'

export const DEFAULT_KICK_FILE = '/run/hydra-channels-kick/kick'

/** @throws OperatorError if the file cannot be made */
export function kick(file: string): void {
  try {
    // one that is there already may be another user's, and says the same
    writeFileSync(file, '', { flag: 'wx' })
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return
    throw new OperatorError(
      `cannot ask for a reconcile: cannot write ${file} (hook.kickFile): ${messageOf(error)}`,
      {
        hint: 'its folder must exist, and both hydra-notify and reconcile must be able to write to it',
        cause: error,
      },
    )
  }
}

/**
 * Removes the kick, also if the rest of the configuration is unusable: a kick that stays starts
 * reconcile again and again.
 *
 * @returns the file that was removed; undefined if there was none
 * @throws OperatorError if it exists and cannot be removed
 */
export function takeKick(configFile: string): string | undefined {
  const file = kickFileOf(configFile)
  try {
    rmSync(file)
    return file
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw new OperatorError(`cannot remove ${file} (hook.kickFile): ${messageOf(error)}`, {
      hint: 'its folder must be writable for both hydra-notify and reconcile; until then this runs again and again',
      cause: error,
    })
  }
}

function kickFileOf(configFile: string): string {
  try {
    const file: unknown = JSON.parse(readFileSync(configFile, 'utf8'))?.hook?.kickFile
    return typeof file === 'string' && file !== '' ? file : DEFAULT_KICK_FILE
  } catch {
    return DEFAULT_KICK_FILE
  }
}
