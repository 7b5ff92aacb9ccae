// The file by which a detached hook asks for a reconcile: a systemd path unit (PathExists=) starts reconcile while it is
// there, and reconcile removes it before it looks. So what happens after its look starts another one.
import { lstatSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { shellWord } from '../base/links.ts'
import { cut } from '../base/log.ts'

export const DEFAULT_KICK_FILE = '/run/hydra-channels-kick/kick'

/** Other processes of hydra-notify's user choose the names below a folder that they put in the kick's place. */
const MAX_REASON = 500

/** @throws OperatorError if the file cannot be made */
export function kick(file: string): void {
  try {
    // one that is there already says the same, also if it is another user's, or a folder
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

export type TakenKick =
  | { kind: 'none' }
  | { kind: 'taken'; file: string }
  /** It cannot be removed. Reconcile can do its work all the same. */
  | { kind: 'stuck'; error: OperatorError }

/**
 * Removes the kick, also if the rest of the configuration is unusable: a kick that stays starts
 * reconcile again and again. Another process of hydra-notify's user can put something else in its place: that counts too,
 * and is removed unless it is a folder with something in it, which is not ours to search.
 */
export function takeKick(configFile: string): TakenKick {
  const file = kickFileOf(configFile)
  try {
    remove(file)
    return { kind: 'taken', file }
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return { kind: 'none' }
    const message = `cannot remove ${file} (hook.kickFile): ${cut(messageOf(error), MAX_REASON)}`
    const hint = [
      `while it is there, reconcile is started again and again: ${removeKick(file)}`,
      'its folder must be writable for both hydra-notify and reconcile',
    ]
    return { kind: 'stuck', error: new OperatorError(message, { hint, cause: error }) }
  }
}

function remove(file: string): void {
  if (lstatSync(file).isDirectory()) rmdirSync(file)
  else unlinkSync(file)
}

/** What a person does about a kick that reconcile cannot remove. */
export function removeKick(file: string): string {
  return `as root, rm -rf -- ${shellWord(file)}`
}

function kickFileOf(configFile: string): string {
  try {
    const file: unknown = JSON.parse(readFileSync(configFile, 'utf8'))?.hook?.kickFile
    return typeof file === 'string' && file !== '' ? file : DEFAULT_KICK_FILE
  } catch {
    return DEFAULT_KICK_FILE
  }
}
