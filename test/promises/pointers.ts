// What pointers should be, read naively off a world, and a writer of them from whose look anything may be missing.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSet, isGood } from '../helpers/history.ts'
import type { Naive } from './naive.ts'
import { type Away, cacheAnswers, channelOf, type World } from './world.ts'

interface Shown {
  branch: string
  sha: string | null
  eval: number | null
  build: number | null
  storePath: string | null
  serial: number
  why: string | null
}

/** By branch. */
type Read = Map<string, { text: string; shown: Shown }>

/** The pointers of one history, from one writing to the next. */
export class Pointers {
  readonly folder: string
  #before: Read = new Map()

  constructor(folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
  }

  /** After a writing. `channels`: as they are now. Returns what was seen of interest. */
  check(world: World, channels: readonly Naive[], away: Away): string[] {
    const seen: string[] = []
    const now = this.#read()
    for (const [branch, { text, shown }] of now) {
      const before = this.#before.get(branch)
      if (before?.text === text) {
        seen.push(`a pointer that stays while ${away} is away`)
        continue
      }
      const said = `the pointer of ${branch}, at ${world.name(world.graph.branch(branch))}, while ${away} is away: ${text}`
      assert.ok(away !== 'GitHub' && away !== 'Hydra', `it was written: ${said}`)
      assert.ok(shown.serial > (before?.shown.serial ?? 0), `its serial does not grow: ${said}`)
      assert.equal(shown.sha, world.graph.branch(branch) ?? null, `it is elsewhere: ${said}`)
      assert.equal(shown.why === null, shown.storePath !== null, said)
      if (shown.storePath !== null) {
        assert.ok(isProven(world, shown), `not built for it and seen: ${said}`)
        const hash = shown.storePath.slice('/nix/store/'.length).slice(0, 32)
        const wasSeen = before?.shown.storePath === shown.storePath
        assert.ok(wasSeen || cacheAnswers(away, hash), `the cache was not there: ${said}`)
        seen.push(before ? 'a pointer of another path' : 'a first pointer with a path')
        if ((before?.shown.build ?? 0) > (shown.build ?? 0)) seen.push('a pointer that goes back')
      } else seen.push('a pointer without a path')
    }
    assert.deepEqual(
      [...this.#before.keys()].filter(branch => !now.has(branch)),
      [],
      'a pointer is gone',
    )
    if (away === 'nothing') for (const naive of channels) this.#checkWhole(world, naive, now)
    this.#before = now
    return seen
  }

  /** With all answers, each channel that somebody may follow has the path that is right. */
  #checkWhole(world: World, naive: Naive, now: Read): void {
    const { channel, tip, presence } = naive
    const shown = now.get(channel)?.shown
    // Hydra remembers a job that is gone: without a branch it is no channel, and of what nobody followed there is no pointer
    if (!shown) assert.ok(presence === 'gone' && tip === undefined, `${channel} has no pointer`)
    else
      assert.equal(shown.storePath, rightPath(world, naive) ?? null, `${channel}: ${JSON.stringify(shown)}`)
  }

  #read(): Read {
    const folder = join(this.folder, 'channels/alice/dotfiles')
    const files = existsSync(folder) ? readdirSync(folder) : []
    return new Map(
      files.map(file => {
        const text = readFileSync(join(folder, file), 'utf8')
        const shown: Shown = JSON.parse(text)
        assert.equal(file, `${shown.branch}.json`)
        return [shown.branch, { text, shown }]
      }),
    )
  }
}

/** The eval was of that commit, its build set has the build, which is good, of a job of the channel, and the cache has its path. */
function isProven(world: World, { branch, sha, eval: id, build, storePath }: Shown): boolean {
  const at = world.history.evals.findIndex(each => each.id === id)
  const found = world.builds.find(each => each.id === build)
  return (
    found !== undefined &&
    world.history.evals[at]?.sha === sha &&
    world.history.evals[at]?.foreign === false &&
    buildSet(world.history, at).includes(found) &&
    isGood(found) &&
    channelOf(found.job) === branch &&
    found.output === storePath &&
    world.cached.has(found.output)
  )
}

/** Of the one job, in the newest eval of the commit in which it is good. */
function rightPath(world: World, { tip, jobs }: Naive): string | undefined {
  const { evals } = world.history
  if (tip === undefined || jobs.length !== 1) return undefined
  const goodIn = (at: number) =>
    buildSet(world.history, at).find(each => each.job === jobs[0] && isGood(each))
  const at = evals.findLastIndex((each, index) => each.sha === tip && goodIn(index) !== undefined)
  const output = world.builds.find(each => each === goodIn(at))?.output
  const isRight =
    output !== undefined &&
    evals[at]?.foreign === false &&
    world.cached.has(output) &&
    output.includes('-nixos-system-')
  return isRight ? output : undefined
}
