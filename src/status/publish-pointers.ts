// Writes the pointer of every channel below the page's folder (pointer.ts decides what is in it). Hydra is asked once, the cache only
// about what it was not seen to have, and GitHub only about branches that are no channels any more.
import { mkdirSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Semaphore } from 'async-mutex'
import { codeOf, messageOf, OperatorError, operatorErrorOf } from '../base/errors.ts'
import { count } from '../base/log.ts'
import type { Look } from '../base/output.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'
import { type Channel, channelKey, channelName } from '../channels/channel.ts'
import { isRuled } from '../channels/recorded.ts'
import type { BuildOfCommit, JobAtCommit } from '../hydra/queries/outputs-of-commits.ts'
import { commitOf } from './explain.ts'
import type { FoundChannel, FoundFleet, LookOptions } from './find-facts.ts'
import {
  type FoundSystem,
  findSystem,
  formatPointer,
  nextPointer,
  type Pointer,
  type PointerFacts,
  parsePointer,
  pointerFile,
  wasSeen,
} from './pointer.ts'

/** A file's name has 255 bytes at most. While it is written, the number of a process follows it. */
const MAX_NAME_BYTES = 240

/** So many branches are asked for by their names at once. */
const MAX_AT_ONCE = 10

/** The text of each by its file ({@link pointerFile}). */
export type PointerFiles = ReadonlyMap<string, string>

export interface PublishOptions
  extends Pick<LookOptions, 'rules' | 'hosts' | 'database' | 'now' | 'report' | 'look'> {
  /** what {@link readPointers} found before the fleet was asked for */
  there: PointerFiles
}

export interface Published {
  /** pointers that are there, and how many of them name a path */
  pointers: number
  withPath: number
}

/**
 * Before Hydra and GitHub are asked: a pointer that has changed since then was written by somebody who may have asked them later.
 *
 * @param folder the page's
 */
export function readPointers(folder: string): PointerFiles {
  let files: string[]
  try {
    files = readdirSync(join(folder, 'channels'), { recursive: true, encoding: 'utf8' })
  } catch {
    // if it is there, the first pointer that is to be written says so
    return new Map()
  }
  return new Map(
    files.flatMap(name => {
      const file = join('channels', name)
      try {
        return name.endsWith('.json') ? [[file, readSmallFile(join(folder, file))] as const] : []
      } catch {
        return []
      }
    }),
  )
}

/**
 * Without a cache to look into, no pointer names a path any more.
 *
 * @param fleet all channels
 * @param folder the page's
 * @throws OperatorError if some of them could not be written
 */
export async function publishPointers(
  fleet: FoundFleet,
  folder: string,
  options: PublishOptions,
): Promise<Published> {
  const { there, look, report } = options
  const nowMs = options.now.getTime()
  const failed: unknown[] = []
  const publish = async (channel: Channel, find: (before: Pointer | undefined) => Promise<NextPointer>) => {
    const file = pointerFile(channel)
    const text = there.get(file)
    try {
      const before = text === undefined ? undefined : parsePointer(text, file)
      const { found, looked } = await find(before)
      const next = nextPointer(channel, found, { looked, before, nowMs })
      return next ? writePointer(folder, next, text) : before
    } catch (error) {
      failed.push(error)
      return undefined
    }
  }
  const all = [...there].flatMap(([file, text]) => parsePointer(text, file) ?? [])
  const known = new Set(fleet.channels.map(({ facts }) => channelKey(facts.channel)))
  const facts = look ? await findPointerFacts(fleet, options) : []
  const published = look
    ? fleet.channels.map(({ facts: { channel } }, at) => {
        if (basename(pointerFile(channel)).length > MAX_NAME_BYTES) {
          report(nameTooLong(channel))
          return undefined
        }
        return publish(channel, async before => {
          const found = findSystem(facts[at] as PointerFacts)
          const isKnown = found.kind !== 'system' || wasSeen(found, before)
          return { found, looked: isKnown ? undefined : await look(found.outputs) }
        })
      })
    : []
  const slots = new Semaphore(MAX_AT_ONCE)
  const ended = all
    .filter(pointer => pointer.storePath !== null && !(look && known.has(channelKey(pointer))))
    .map(pointer =>
      slots.runExclusive(() =>
        publish(pointer, async () => ({
          found: look ? await findEnd(pointer, fleet, options) : noCache(pointer),
        })),
      ),
    )
  const results = await Promise.all(published)
  await Promise.all(ended)
  if (failed.length > 0) throw cannotPublish(folder, failed)
  const now = results.filter(pointer => pointer !== undefined)
  return { pointers: now.length, withPath: now.filter(({ storePath }) => storePath !== null).length }
}

interface NextPointer {
  found: FoundSystem
  looked?: Look | undefined
}

const noCache = ({ sha }: Pointer): FoundSystem => ({
  kind: 'none',
  sha,
  why: 'the configuration of hydra-channels has no cache.url',
})

/** Of a channel that is none any more. */
async function findEnd(
  { repository, branch, sha }: Pointer,
  { github, databaseAway }: FoundFleet,
  { rules }: PublishOptions,
): Promise<FoundSystem> {
  // GitHub may not even let us ask for it
  if (!isRuled({ repository }, rules)) return findSystem({ tip: sha, jobs: [], build: null })
  // it may be in the fleet again when Hydra is
  if (databaseAway) return { kind: 'unknown' }
  // what cannot be asked says nothing
  const tip = await github.repository(repository).findBranch(branch).catch(operatorErrorOf)
  if (tip instanceof OperatorError) return { kind: 'unknown' }
  return findSystem({ tip: tip ?? null, jobs: [], build: null })
}

function nameTooLong(channel: Channel): OperatorError {
  return new OperatorError(
    `${channelName(channel)}: no pointer: the branch's name is too long for that of a file`,
    {
      hint: 'give the branch a shorter name; hosts follow it in mode flake all the same',
    },
  )
}

function cannotPublish(folder: string, failed: readonly unknown[]): OperatorError {
  const [first] = failed
  const others = failed.length > 1 ? ` (and ${failed.length - 1} more)` : ''
  return new OperatorError(
    `cannot write ${count(failed.length, 'pointer')} below ${join(folder, 'channels')}: ${messageOf(first)}${others}`,
    { hint: 'the folder must be writable for this user; the pointers stay as they were', cause: first },
  )
}

async function findPointerFacts(
  { channels, databaseAway }: FoundFleet,
  { hosts, database, report }: PublishOptions,
): Promise<PointerFacts[]> {
  if (databaseAway) return channels.map(() => ({ tip: undefined, jobs: undefined, build: undefined }))
  const { findOutputsOfCommits, jobAtCommit } = await import('../hydra/queries/outputs-of-commits.ts')
  const asked = new Map<number, JobAtCommit[]>()
  for (const { facts } of channels) {
    const { planned, tip: sha } = facts
    if (planned?.jobs.length !== 1 || sha === undefined) continue
    const { id } = planned.facts.jobset
    const pairs = asked.get(id) ?? []
    pairs.push({ job: planned.job.job, sha })
    asked.set(id, pairs)
  }
  const builds = await database
    .look(async sql => {
      const each = [...asked].map(
        async ([id, pairs]) => [id, await findOutputsOfCommits(sql, id, pairs)] as const,
      )
      return new Map(await Promise.all(each))
    })
    .catch(operatorErrorOf)
  const isAway = builds instanceof OperatorError
  // its earlier answers still hold
  if (isAway) report(builds)
  return channels.map(({ facts }): PointerFacts => {
    const { planned, tip, away, ruleTrouble } = facts
    const jobs = planned ? planned.jobs.map(({ job }) => job) : []
    const found =
      planned && tip !== undefined && !isAway
        ? builds.get(planned.facts.jobset.id)?.get(jobAtCommit({ job: planned.job.job, sha: tip }))
        : undefined
    return {
      tip: away ? undefined : (tip ?? null),
      jobs: ruleTrouble ? undefined : jobs,
      build: isAway ? undefined : buildOf(found, facts, hosts),
    }
  })
}

/** Null: none of this repository. */
function buildOf(
  found: BuildOfCommit | 'none is good' | undefined,
  { planned, tip }: FoundChannel['facts'],
  hosts: readonly string[],
): PointerFacts['build'] {
  if (!found) return 'no eval'
  if (found === 'none is good' || !planned || commitOf(planned, found.eval.flake, hosts) !== tip) return null
  return { build: found.build, eval: found.eval.id, outputs: found.outputs }
}

/**
 * @param before what its file had when it was read
 * @returns the pointer that is there now: another writer's, if the file has changed since
 */
function writePointer(folder: string, pointer: Pointer, before: string | undefined): Pointer | undefined {
  const name = pointerFile(pointer)
  const file = join(folder, name)
  const text = readIfThere(file)
  if (text !== before) return text === undefined ? undefined : parsePointer(text, name)
  // not the page's folder itself: if that is missing, somebody has mistyped it
  const steps = name.split('/').slice(0, -1)
  for (let at = 1; at <= steps.length; at++) makeFolder(join(folder, ...steps.slice(0, at)))
  // a web server reads it
  writeAtomically(file, formatPointer(pointer), 0o644)
  return pointer
}

function readIfThere(file: string): string | undefined {
  try {
    return readSmallFile(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o755 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}
