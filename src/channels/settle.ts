// From planned channels to a verdict for each: the one engine of the hook and of reconcile.
//
//   see, decide   each channel's tip, and whether the candidate is a move forward
//   object        before any upload: held, not writable, not on the tracked branch
//   prove         the outputs are in the cache; a channel moves as soon as its own are proven
//   clear, write  in the write's own turn everything is asked anew, the hold last; the write is sent once
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { askOnce } from '../base/ask-once.ts'
import { systemClock } from '../base/clock.ts'
import { OperatorError } from '../base/errors.ts'
import { count } from '../base/log.ts'
import type { Output } from '../base/output.ts'
import { advance, decide, look, lookFrom, type Seen, verdictOfWrite, type Write } from './advance.ts'
import { getTip, listTips, type Prefix, prefixesIn, type Tips } from './branches.ts'
import type { Candidate } from './candidate.ts'
import { type Channel, channelKey, channelName } from './channel.ts'
import type { BranchUpdate, Forge, NotAnswered } from './forge.ts'
import { resolveNames } from './other-name.ts'
import type { PlannedChannel } from './plan.ts'
import { checkWritable, findHeld, judgeOnTracked, type OnTracked, standOnTracked } from './safeguards.ts'
import type { Verdict } from './verdict.ts'

/** From this many moves on, GitHub is asked for a hundred at once, and writes are a second apart. */
const MANY = 11
const MAX_BATCH = 100

/** A candidate may change while it is copied or written, this often. */
const MAX_PLANS = 4

/** GitHub's answer about the tracked branch counts for one wave of writes, and no longer than this. */
const MAX_WAVE_MS = 5_000

export interface SettleTools {
  /** `look` copies nothing and writes nothing: the verdicts say what would be done */
  mode: 'move' | 'look'
  forge: (repository: string) => Forge
  /** where the channels are; undefined: look each one up by its name, which is better for a few */
  tips: Tips | undefined
  /** the channels as Hydra's database has them now */
  planAgain: () => Promise<readonly PlannedChannel[]>
  /** of builds, from Hydra's database */
  findOutputs: (builds: readonly number[]) => Promise<ReadonlyMap<number, readonly Output[]>>
  /** the outputs of a channel's build are in the cache afterwards; undefined if there is no cache */
  prove:
    | ((
        outputs: readonly Output[],
        build: number,
        channel: { key: string; name: string },
      ) => Promise<'copied' | 'seen'>)
    | undefined
  /** @throws OperatorError if this run may not write any more */
  checkLock: () => Promise<void>
  /** where the holds are */
  stateDirectory: string
  /** a second of waiting; shorter in tests */
  secondMs: number
  progress: (text: string) => void
}

/** Called as soon as the verdict is known; `planned` is what it was judged by. */
export type Tell = (planned: PlannedChannel, verdict: Verdict) => void

/** A channel that is to be written. */
interface Mover {
  planned: PlannedChannel
  channel: Channel
  candidate: Candidate
  forge: Forge
  seen: Seen
  decision: Write
  /** what was seen is true of this wave */
  wave: Wave
  /** how often the channel was planned */
  plans: number
  /** the last write that GitHub may or may not have carried out */
  lost?: Write
}

/** @throws OperatorError if Hydra's database cannot be asked for outputs */
export async function settle(
  planned: readonly PlannedChannel[],
  tools: SettleTools,
  tell: Tell,
): Promise<void> {
  await new Settling(tools, tell).run(planned)
}

class Settling {
  readonly #tools: SettleTools
  readonly #tell: Tell
  #wave = new Wave()
  /** channels that are proven, and wait for their turn to be written */
  readonly #ready: Mover[] = []
  readonly #proving = new Set<Promise<void>>()
  #prefixes: readonly Prefix[] = []
  #many = false
  #hasWritten = false

  constructor(tools: SettleTools, tell: Tell) {
    this.#tools = tools
    this.#tell = tell
  }

  async run(planned: readonly PlannedChannel[]): Promise<void> {
    this.#prefixes = prefixesIn(planned)
    const movers: Mover[] = []
    await Promise.all(
      planned.map(asPlanned =>
        this.#attempt(asPlanned, async () => {
          const each = await this.#resolve(asPlanned)
          const judged = await this.#judge(each, 1)
          if ('kind' in judged) this.#tell(each, judged)
          else movers.push(judged)
        }),
      ),
    )
    this.#many = movers.length >= MANY
    const outputs = await this.#findOutputs(movers)
    for (const mover of movers) this.#start(mover.planned, () => this.#prove(mover, outputs))

    let written = 0
    while (this.#proving.size > 0 || this.#ready.length > 0) {
      if (this.#ready.length === 0) await Promise.race(this.#proving)
      // what is proven in the meantime goes along
      if (this.#many) await this.#pace()
      const wave = this.#ready.splice(0, this.#many ? MAX_BATCH : 1)
      this.#tools.progress(`${written} of ${count(movers.length, 'channel')} moved`)
      await this.#write(wave)
      written += wave.length
    }
  }

  /** One channel's trouble is its own. */
  async #attempt(planned: PlannedChannel, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#tell(planned, { kind: 'failed', error })
    }
  }

  /** Goes on beside the writes, and ends in `#ready` or with a verdict. */
  #start(planned: PlannedChannel, work: () => Promise<void>): void {
    const task = this.#attempt(planned, work).finally(() => this.#proving.delete(task))
    this.#proving.add(task)
  }

  /** After a wait, GitHub's earlier answers do not count. */
  readonly #onWait = () => {
    this.#wave = new Wave()
  }

  /** GitHub wants many writes a second apart. */
  async #pace(): Promise<void> {
    if (this.#hasWritten) this.#onWait()
    await sleep(this.#hasWritten ? this.#tools.secondMs : 0)
  }

  async #judge(planned: PlannedChannel, plans: number): Promise<Mover | Verdict> {
    const { channel, candidate, presence, jobs } = planned
    if (planned.ignored) return { kind: 'job-gone', job: planned.job, ignored: true }
    if (jobs.length > 1) return { kind: 'ambiguous', jobs }
    if (candidate instanceof OperatorError) return { kind: 'failed', error: candidate }
    if (!candidate) return { kind: 'no-good-build' }
    const { sha } = candidate
    const forge = this.#tools.forge(channel.repository)
    // the list of the run's beginning counts only once
    const tips = plans === 1 ? this.#tools.tips : await this.#listAgain()
    const wave = this.#wave
    const looked = { forge, channel, sha, onWait: this.#onWait }
    const looking = tips ? getTip(tips, planned).then(tip => lookFrom(tip, looked)) : look(looked)
    // of a few channels most are to be moved, so the question goes beside the other one
    const onTracked = tips ? undefined : this.#standOnTracked(planned, sha)
    onTracked?.catch(() => {})
    const seen = await looking
    // a branch whose job is gone may move on, but none is made
    if (seen.tip === undefined && presence === 'gone') return { kind: 'job-gone', job: planned.job }
    const decision = decide(seen, sha)
    if (decision.kind === 'leave') return this.#lookAround(decision.verdict, planned)

    const mover = { planned, channel, candidate, forge, seen, decision, wave, plans }
    return this.#findHeld(mover) ?? (await this.#object(mover, onTracked)) ?? mover
  }

  #resolve<Found extends PlannedChannel | undefined>(planned: Found): Found | Promise<PlannedChannel> {
    return planned ? resolveNames(planned, this.#tools.forge(planned.channel.repository)) : planned
  }

  /** A new eval may change the candidates of a whole fleet: then all of them share one list. */
  async #listAgain(): Promise<Tips | undefined> {
    if (!this.#many) return undefined
    if (this.#wave.isOld()) this.#onWait()
    return this.#wave.list(() => listTips({ repository: this.#tools.forge }, this.#prefixes))
  }

  /** A channel that is further than its candidate may be off the tracked branch. */
  async #lookAround(verdict: Verdict, planned: PlannedChannel): Promise<Verdict> {
    if (verdict.kind !== 'already-contained') return verdict
    const found = await this.#standOnTracked(planned, verdict.tip)
    return found === 'off' ? { ...verdict, notOn: planned.tracked } : verdict
  }

  #findHeld({ channel, candidate }: Mover): Verdict | undefined {
    return findHeld(channel, candidate.sha, this.#tools.stateDirectory)
  }

  async #object(
    { forge, planned, candidate }: Mover,
    asked?: Promise<OnTracked>,
  ): Promise<Verdict | undefined> {
    await checkWritable(forge, planned.channel)
    const found = await (asked ?? this.#standOnTracked(planned, candidate.sha))
    return judgeOnTracked(candidate, planned.tracked, found)
  }

  #standOnTracked({ channel, tracked }: PlannedChannel, sha: string): Promise<OnTracked> {
    if (this.#wave.isOld()) this.#onWait()
    const { repository } = channel
    const forge = this.#tools.forge(repository)
    const key = JSON.stringify([repository.toLowerCase(), sha, tracked])
    return this.#wave.ask(key, () => standOnTracked(forge, sha, tracked, this.#onWait))
  }

  async #findOutputs(movers: readonly Mover[]): Promise<ReadonlyMap<number, readonly Output[]>> {
    if (!this.#tools.prove || movers.length === 0) return new Map()
    return this.#tools.findOutputs([...new Set(movers.map(({ candidate }) => candidate.build))])
  }

  async #prove(mover: Mover, outputs: ReadonlyMap<number, readonly Output[]>): Promise<void> {
    const { build } = mover.candidate
    const channel = { key: channelKey(mover.channel), name: channelName(mover.channel) }
    const how = await this.#tools.prove?.(outputs.get(build) ?? [], build, channel)
    // an upload takes its time
    if (how === 'copied') this.#onWait()
    this.#ready.push(mover)
  }

  async #write(wave: readonly Mover[]): Promise<void> {
    if (this.#tools.mode === 'look') {
      for (const mover of wave) await this.#writeOne(mover)
      return
    }
    for (const forge of new Set(wave.map(mover => mover.forge))) {
      await this.#writeTogether(wave.filter(mover => mover.forge === forge))
    }
  }

  #writeOne(mover: Mover): Promise<void> {
    const { planned, channel, candidate, forge, lost } = mover
    return this.#attempt(planned, async () => {
      let now: PlannedChannel | undefined
      const verdict = await advance({
        channel,
        sha: candidate.sha,
        forge,
        mode: this.#tools.mode,
        seen: mover.wave === this.#wave && !this.#wave.isOld() ? mover.seen : undefined,
        onWait: this.#onWait,
        // the slowest first
        clear: async () => {
          const objection = await this.#object(mover)
          now = await this.#resolve(findNow(mover, byKey(await this.#tools.planAgain())))
          if (objection || !isSameMove(mover, now)) return { kind: 'candidate-changed' }
          await this.#tools.checkLock()
          this.#hasWritten = true
          return this.#findHeld(mover)
        },
      })
      if (verdict.kind === 'candidate-changed') this.#planAgain(mover, now)
      else this.#tell(planned, lost ? withLost(verdict, lost) : verdict)
    })
  }

  /** All of them in one write. If GitHub rejects it, half of them at a time, so that a bad one ends up alone. */
  async #writeTogether(movers: readonly Mover[], sent = 0): Promise<void> {
    const [first, second] = movers
    if (!first) return
    if (!second) return this.#writeOne(first)
    const { forge } = first
    const cleared = await this.#clear(movers)
    if (cleared.length < 2) return this.#writeTogether(cleared)

    this.#hasWritten = true
    const result = await forge
      .updateBranches(cleared.map(updateOf), sent)
      .catch((error: unknown) => ({ kind: 'failed', error }) as const)
    switch (result.kind) {
      case 'written':
        for (const { planned, candidate, decision } of cleared) {
          this.#tell(planned, verdictOfWrite(decision, candidate.sha))
        }
        return
      case 'failed':
        for (const { planned } of cleared) this.#tell(planned, result)
        return
      case 'refused': {
        await this.#pace()
        const again = await this.#lookAgain(cleared)
        const half = Math.ceil(again.length / 2)
        await this.#writeTogether(again.slice(0, half))
        if (again.length > half) await this.#pace()
        return this.#writeTogether(again.slice(half))
      }
      case 'not-answered': {
        this.#onWait()
        const noTime = await forge.pause(result.waitSeconds).then(
          () => false,
          () => true,
        )
        const again = noTime ? cleared : await this.#lookAgain(cleared, result)
        if (!noTime && result.retry === 'worthwhile') return this.#writeTogether(again, sent + 1)
        for (const { planned } of again) this.#tell(planned, { kind: 'failed', error: result.error })
      }
    }
  }

  /** As for one channel; what is asked about all of them is asked once. Nothing waits after the holds are read. */
  async #clear(movers: readonly Mover[]): Promise<Mover[]> {
    const objections = new Map<Mover, Verdict | undefined>()
    const asked = await this.#each(movers, async mover => {
      objections.set(mover, await this.#object(mover))
      return mover
    })
    const plan = asked.length > 0 ? this.#tools.planAgain().then(byKey) : undefined
    const current = await this.#each(asked, async mover => {
      const now = await this.#resolve(findNow(mover, (await plan) ?? new Map()))
      const isCurrent = !objections.get(mover) && isSameMove(mover, now)
      return isCurrent ? mover : this.#planAgain(mover, now)
    })
    const lock = current.length > 0 ? this.#tools.checkLock() : undefined
    const locked = await this.#each(current, async mover => {
      await lock
      return mover
    })
    return this.#each(locked, async mover => this.#findHeld(mover) ?? mover)
  }

  async #lookAgain(movers: readonly Mover[], lost?: NotAnswered): Promise<Mover[]> {
    const tips = await listTips(
      { repository: this.#tools.forge },
      prefixesIn(movers.map(each => each.planned)),
    )
    const wave = this.#wave
    return this.#each(movers, async mover => {
      const { planned, channel, candidate, forge } = mover
      const { sha } = candidate
      const seen = await lookFrom(await getTip(tips, planned), { forge, channel, sha, onWait: this.#onWait })
      const decision = decide(seen, sha)
      const write = lost?.mayBeWritten ? mover.decision : mover.lost
      if (decision.kind === 'leave') return write ? withLost(decision.verdict, write) : decision.verdict
      return { ...mover, seen, decision, wave, ...(write && { lost: write }) }
    })
  }

  /** The channels that go on; of the others the verdict is told, if they have one. */
  async #each(
    movers: readonly Mover[],
    step: (mover: Mover) => Promise<Mover | Verdict | undefined>,
  ): Promise<Mover[]> {
    const left = await Promise.all(
      movers.map(async (mover): Promise<Mover | undefined> => {
        let next: Mover | Verdict | undefined
        await this.#attempt(mover.planned, async () => {
          next = await step(mover)
        })
        if (!next || !('kind' in next)) return next
        this.#tell(mover.planned, next)
        return undefined
      }),
    )
    return left.filter(mover => mover !== undefined)
  }

  /** Another commit, or another build of it, is the candidate by now; or the candidate is not on the tracked branch any more. */
  #planAgain({ planned, plans }: Mover, now: PlannedChannel | undefined): undefined {
    if (!now || plans >= MAX_PLANS) {
      this.#tell(planned, { kind: 'candidate-changed' })
      return
    }
    this.#start(now, async () => {
      const judged = await this.#judge(now, plans + 1)
      if ('kind' in judged) this.#tell(now, judged)
      else await this.#prove(judged, await this.#findOutputs([judged]))
    })
  }
}

/** GitHub's answers about tracked branches, until the next wait. */
class Wave {
  readonly #since = systemClock.elapsed()
  readonly #answers = new Map<string, Promise<OnTracked>>()

  #tips: Promise<Tips> | undefined

  isOld(): boolean {
    return systemClock.elapsed() - this.#since > MAX_WAVE_MS
  }

  list(question: () => Promise<Tips>): Promise<Tips> {
    this.#tips ??= question()
    return this.#tips
  }

  ask(key: string, question: () => Promise<OnTracked>): Promise<OnTracked> {
    return askOnce(this.#answers, key, question)
  }
}

function updateOf({ channel, candidate, decision }: Mover): BranchUpdate {
  const from = decision.kind === 'create' ? undefined : decision.from
  return { branch: channel.branch, from, to: candidate.sha }
}

type PlannedByKey = ReadonlyMap<string, PlannedChannel>

const byKey = (planned: readonly PlannedChannel[]): PlannedByKey =>
  new Map(planned.map(each => [channelKey(each.channel), each]))

const findNow = ({ channel }: Mover, planned: PlannedByKey) => planned.get(channelKey(channel))

/** Whether the channel still goes to the same commit, for the same build, and is held to the same branch. */
function isSameMove({ candidate, planned }: Mover, now: PlannedChannel | undefined): boolean {
  const fresh = now?.candidate
  if (!now || now.ignored || !fresh || fresh instanceof OperatorError) return false
  return (
    fresh.sha === candidate.sha &&
    fresh.build === candidate.build &&
    isDeepStrictEqual(now.tracked, planned.tracked)
  )
}

/** If the channel is where our lost write should have put it, that write has put it there. */
function withLost(verdict: Verdict, write: Write): Verdict {
  return verdict.kind === 'already-there'
    ? { ...verdictOfWrite(write, verdict.sha), answerLost: true }
    : verdict
}
