// Writes the pointer of every channel below the page's folder (pointer.ts decides what is in it). Hydra is asked once, the cache only
// about what it was not seen to have, and GitHub only about branches that are no channels any more.
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Semaphore } from 'async-mutex'
import { codeOf, messageOf, OperatorError, operatorErrorOf } from '../base/errors.ts'
import { count } from '../base/log.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { writeAtomically } from '../base/write-atomically.ts'
import { type Channel, channelKey } from '../channels/channel.ts'
import type { BuildOfCommit, JobAtCommit } from '../hydra/queries/outputs-of-commits.ts'
import { commitOf } from './explain.ts'
import type { FoundChannel, FoundFleet, LookOptions } from './find-facts.ts'
import {
  findSystem,
  formatPointer,
  nextPointer,
  type Pointer,
  type PointerFacts,
  parsePointer,
  pointerFile,
  wasSeen,
} from './pointer.ts'

/** So many branches are asked for by their names at once. */
const MAX_AT_ONCE = 10

export interface PublishOptions extends Pick<LookOptions, 'hosts' | 'database' | 'only' | 'now' | 'report'> {
  /** whether outputs are in the cache; its time begins with the first look */
  look: NonNullable<LookOptions['look']>
}

export interface Published {
  /** pointers that are there, and how many of them name a path */
  pointers: number
  withPath: number
}

/**
 * @param fleet all channels, or some
 * @param folder the page's
 * @throws OperatorError if some of them could not be written
 */
export async function publishPointers(
  fleet: FoundFleet,
  folder: string,
  options: PublishOptions,
): Promise<Published> {
  const { look, only } = options
  const nowMs = options.now.getTime()
  const facts = await findPointerFacts(fleet, options)
  const failed: unknown[] = []
  const results = await Promise.all(
    fleet.channels.map(async ({ facts: { channel } }, at) => {
      try {
        const before = readPointer(folder, channel)
        const found = findSystem(facts[at] as PointerFacts)
        const isKnown = found.kind !== 'system' || wasSeen(found, before)
        const looked = isKnown ? undefined : await look(found.outputs)
        const next = nextPointer(channel, found, { looked, before, nowMs })
        if (next) writePointer(folder, next)
        return next ?? before
      } catch (error) {
        failed.push(error)
        return undefined
      }
    }),
  )
  if (only.length === 0) await endPointers(fleet, folder, nowMs, failed)
  if (failed.length > 0) throw cannotPublish(folder, failed)
  const there = results.filter(pointer => pointer !== undefined)
  return { pointers: there.length, withPath: there.filter(({ storePath }) => storePath !== null).length }
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
  found: BuildOfCommit | undefined,
  { planned, tip }: FoundChannel['facts'],
  hosts: readonly string[],
): PointerFacts['build'] {
  if (!found || !planned || commitOf(planned, found.eval.flake, hosts) !== tip) return null
  return { build: found.build, eval: found.eval.id, outputs: found.outputs }
}

/** Of channels that are none any more: a pointer that stays for ever would look like one that is kept. */
async function endPointers(
  { channels, github, databaseAway }: FoundFleet,
  folder: string,
  nowMs: number,
  failed: unknown[],
): Promise<void> {
  // it may be in the fleet again when Hydra is
  if (databaseAway) return
  const known = new Set(channels.map(({ facts }) => channelKey(facts.channel)))
  const slots = new Semaphore(MAX_AT_ONCE)
  const forgotten = listPointers(folder, failed).filter(
    pointer => pointer.storePath !== null && !known.has(channelKey(pointer)),
  )
  await Promise.all(
    forgotten.map(before =>
      slots.runExclusive(async () => {
        const tip = await github
          .repository(before.repository)
          .findBranch(before.branch)
          .catch(operatorErrorOf)
        if (tip instanceof OperatorError) return
        const ended = findSystem({ tip: tip ?? null, jobs: [], build: null })
        try {
          writePointer(folder, nextPointer(before, ended, { before, nowMs }) ?? before)
        } catch (error) {
          failed.push(error)
        }
      }),
    ),
  )
}

/** All that are in the folder. */
function listPointers(folder: string, failed: unknown[]): Pointer[] {
  let files: string[]
  try {
    files = readdirSync(join(folder, 'channels'), { recursive: true, encoding: 'utf8' })
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') failed.push(error)
    return []
  }
  return files.flatMap(file => {
    const [owner, name, encoded, ...rest] = file.split('/')
    const branch = encoded === undefined ? undefined : decodeFile(encoded)
    if (branch === undefined || rest.length > 0) return []
    try {
      return readPointer(folder, { repository: `${owner}/${name}`, branch }) ?? []
    } catch {
      // if it is of a channel, that has said so
      return []
    }
  })
}

function decodeFile(name: string): string | undefined {
  if (!name.endsWith('.json')) return undefined
  try {
    return decodeURIComponent(name.slice(0, -'.json'.length))
  } catch {
    return undefined
  }
}

/** Undefined: there is none, or what is there is none of this channel. */
function readPointer(folder: string, channel: Channel): Pointer | undefined {
  try {
    return parsePointer(readSmallFile(join(folder, pointerFile(channel))), channel)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function writePointer(folder: string, pointer: Pointer): void {
  const file = join(folder, pointerFile(pointer))
  // not the page's folder itself: if that is missing, somebody has mistyped it
  const steps = pointerFile(pointer).split('/').slice(0, -1)
  for (let at = 1; at <= steps.length; at++) makeFolder(join(folder, ...steps.slice(0, at)))
  // a web server reads it
  writeAtomically(file, formatPointer(pointer), 0o644)
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o755 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}
