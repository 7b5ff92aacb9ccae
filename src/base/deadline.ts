import { systemClock } from './clock.ts'

/** The work's own end, or the error if it takes longer. The work is not stopped: the process ends soon. */
export async function endWithin<T>(ms: number, work: Promise<T>, tooLate: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLate()), ms)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** How long the GitHub part of a run may take. A hook blocks Hydra's notifications, so it must end. */
export class Deadline {
  #endsAt: number
  /** how many are excluded just now, and since when */
  #excluded = 0
  #excludedSince = 0
  readonly #elapsed: () => number

  /** @param elapsed as in `Clock` */
  constructor(seconds: number, elapsed: () => number = systemClock.elapsed) {
    this.#elapsed = elapsed
    this.#endsAt = elapsed() + seconds * 1000
  }

  /** Milliseconds; negative when it has passed. */
  remainingMs(): number {
    return this.#endsAt - (this.#excluded > 0 ? this.#excludedSince : this.#elapsed())
  }

  /** Runs what must not be counted, such as an upload that has a time limit of its own; several may run at once. */
  async exclude<T>(work: () => Promise<T>): Promise<T> {
    if (this.#excluded++ === 0) this.#excludedSince = this.#elapsed()
    try {
      return await work()
    } finally {
      if (--this.#excluded === 0) this.#endsAt += this.#elapsed() - this.#excludedSince
    }
  }
}
