// What lies in the state directory and beside it: when reconcile last ran, the holds, and the kick.
import { accessSync, constants, lstatSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf, messageOf, OperatorError } from '../base/errors.ts'
import { journalCommand, RELEASE_ALL, releaseCommand, shellWord } from '../base/links.ts'
import { count } from '../base/log.ts'
import { relativeTime } from '../base/time.ts'
import { whatKeepsFromWriting } from '../base/write-atomically.ts'
import { parseChannelName } from '../channels/channel-name.ts'
import { ALL, describeHold, endOf, type Hold, listHolds, readHold } from '../channels/holds.ts'
import type { Config } from '../config.ts'
import { removeKick } from '../state/kick.ts'
import { readStamp } from '../state/last-reconcile.ts'
import { LATE_MS } from '../status/table.ts'
import { type Answer, notChecked } from './check.ts'

const MINUTE_MS = 60_000

/** From here on in hours or days. */
const MAX_IN_MINUTES = 48 * 60
/** A hold without an end that is older may be forgotten. */
const LONG_HOLD_MS = 7 * 24 * 60 * MINUTE_MS
const MAX_KICK_MINUTES = 15

export function checkReconcile({ stateDirectory, reconcile }: Config, now: number): Answer<never> {
  const stamp = readStamp(stateDirectory)
  const trouble = troubleOfFolder(stateDirectory)
  const hint = [
    ...(trouble === undefined ? [] : [trouble]),
    'is its timer active? systemctl list-timers hydra-channels-reconcile.timer',
    `see its log: ${journalCommand('hydra-channels-reconcile')}`,
  ]
  if (!stamp?.finishedAt) {
    throw new OperatorError(`no reconcile has ended yet, according to ${stateDirectory}`, {
      hint,
    })
  }
  const endedAt = Date.parse(stamp.finishedAt)
  const minutes = Math.max(0, Math.floor((now - endedAt) / MINUTE_MS))
  const ago = minutes < MAX_IN_MINUTES ? `${minutes} min ago` : relativeTime(endedAt, now)
  const message = `the last reconcile ended ${ago} (${stamp.finishedAt})`
  if (minutes * MINUTE_MS >= LATE_MS + (reconcile.interval ?? 0)) throw new OperatorError(message, { hint })
  if (stamp.ended === 'ok') return { message }
  const counts = Object.entries(stamp.counts).map(([kind, n]) => `${n} ${kind}`)
  return {
    result: 'note',
    message: `${message}, ${counts.length === 0 ? 'and a later one did not come to its end' : `with trouble: ${counts.join(', ')}`}`,
    hint: 'hydra-channels status says which channels, and why',
  }
}

/** Why reconcile could leave nothing in its folder, as far as this user can see. */
function troubleOfFolder(stateDirectory: string): string | undefined {
  const word = shellWord(stateDirectory)
  try {
    const { bavail, files, ffree } = statfsSync(stateDirectory)
    // a file system without inodes has 0 of 0
    if (bavail === 0 || (files > 0 && ffree === 0))
      return whatKeepsFromWriting({ code: 'ENOSPC' }, stateDirectory)
    accessSync(stateDirectory, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    if (codeOf(error) === 'EROFS') return whatKeepsFromWriting(error, stateDirectory)
    return codeOf(error) === 'ENOENT'
      ? `make ${word}, as the folder of the user whom reconcile runs as`
      : `this user may not write to ${word}, and reconcile's has to (${messageOf(error)})`
  }
}

export function checkHolds({ stateDirectory }: Config, now: number): Answer<never> {
  const listed: string[] = []
  const ended: string[] = []
  const forgotten: string[] = []
  const unreadable: OperatorError[] = []
  for (const name of listHolds(stateDirectory)) {
    const hold = tryHold(stateDirectory, name)
    if (hold instanceof OperatorError) {
      unreadable.push(hold)
      continue
    }
    const what = name === ALL ? 'all channels' : name
    const end = endOf(hold)
    if (end > now) {
      listed.push(`${what} ${describeHold(hold, now)}`)
      if (hold.until === null && now - Date.parse(hold.since) > LONG_HOLD_MS) forgotten.push(name)
    } else {
      ended.push(name)
      listed.push(`${what}, which ended ${relativeTime(end, now)} (“${hold.reason}”)`)
    }
  }
  const releaseOf = (name: string) => (name === ALL ? RELEASE_ALL : releaseCommand(name))
  const releases = [
    ...ended.map(releaseOf),
    ...forgotten.map(name => `${releaseOf(name)}, if it is forgotten`),
  ]
  const [first, ...more] = unreadable
  if (first) {
    const hint = [...first.hint, ...more.flatMap(each => [each.message, ...each.hint]), ...releases]
    throw new OperatorError(first.message, { hint })
  }
  if (listed.length === 0) return { message: 'no channel is held' }
  const message = `${count(listed.length, 'hold')}: ${listed.join('; ')}`
  return { result: releases.length > 0 ? 'note' : 'ok', message, hint: releases }
}

/** The hold, also where it has ended. */
function tryHold(stateDirectory: string, name: string): Hold | OperatorError {
  const { repository = '', branch } = parseChannelName(name)
  try {
    const hold = readHold(stateDirectory, name === ALL ? ALL : { repository, branch })
    return (
      hold ??
      new OperatorError(`the hold ${name}.json has a name that no hold has`, { hint: 'remove the file' })
    )
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    const what = name === ALL ? 'no channel moves' : 'the channel does not move'
    return new OperatorError(`${error.message}: ${what} until it can be read`, { hint: error.hint })
  }
}

/** The file by which a detached hook asks for a reconcile (kick.ts). */
export function checkKick({ hook }: Config, now: number): Answer<never> {
  const { mode, kickFile } = hook
  if (mode !== 'detached') return notChecked('hook.mode is inline')
  const directory = dirname(kickFile)
  if (!find(directory, statSync)) {
    throw new OperatorError(
      `there is no folder ${directory} (hook.kickFile): no hook can ask for a reconcile`,
      {
        hint: 'let systemd-tmpfiles make it, writable for hydra-notify and for reconcile',
      },
    )
  }
  const found = find(kickFile)
  if (found && !found.isFile()) {
    throw new OperatorError(`${kickFile} (hook.kickFile) is ${kindOf(found)}, but hooks make a plain file`, {
      hint: [
        `reconcile removes it if it can; if it stays: ${removeKick(kickFile)}`,
        "another program of hydra-notify's user has made it, such as another hook of Hydra",
      ],
    })
  }
  const minutes = found && ageOf(found, now)
  if (minutes !== undefined && minutes >= MAX_KICK_MINUTES) {
    throw new OperatorError(
      `${kickFile} was written ${count(minutes, 'minute')} ago, and no reconcile has started since`,
      {
        hint: 'is the path unit that watches it active? systemctl status hydra-channels-reconcile.path',
      },
    )
  }
  try {
    accessSync(directory, constants.W_OK | constants.X_OK)
  } catch (error) {
    return {
      result: 'note',
      message: `${directory} (hook.kickFile) is not writable for this user: ${messageOf(error)}`,
      hint: 'it must be for hydra-notify and for reconcile: ask as one of them, or as root',
    }
  }
  const waiting =
    minutes === undefined
      ? 'no reconcile is requested'
      : `a reconcile was requested ${count(minutes, 'minute')} ago`
  return { message: `${directory} exists and is writable; ${waiting}` }
}

/** In minutes. */
function ageOf({ mtimeMs }: Stats, now: number): number {
  return Math.max(0, Math.floor((now - mtimeMs) / MINUTE_MS))
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  return found.isSymbolicLink() ? 'a link' : 'a pipe, a socket or a device'
}

/** Undefined if there is nothing at the path. */
function find(path: string, stat: (path: string) => Stats = lstatSync): Stats | undefined {
  try {
    return stat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw new OperatorError(`cannot look at ${path} (hook.kickFile): ${messageOf(error)}`, { cause: error })
  }
}
