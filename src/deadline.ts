/** How long the GitHub part of a run may take. A hook blocks Hydra's notifications, so it must end. */
export class Deadline {
  #endsAt: number
  /** how many are excluded just now, and since when */
  #excluded = 0
  #excludedSince = 0
  readonly #now: () => number

  constructor(seconds: number, now: () => number = Date.now) {
    this.#now = now
    this.#endsAt = now() + seconds * 1000
  }

  /** Milliseconds; negative when it has passed. */
  remainingMs(): number {
    return this.#endsAt - (this.#excluded > 0 ? this.#excludedSince : this.#now())
  }

  /** Runs what must not be counted, such as an upload that has a time limit of its own; several may run at once. */
  async exclude<T>(work: () => Promise<T>): Promise<T> {
    if (this.#excluded++ === 0) this.#excludedSince = this.#now()
    try {
      return await work()
    } finally {
      if (--this.#excluded === 0) this.#endsAt += this.#now() - this.#excludedSince
    }
  }
}
