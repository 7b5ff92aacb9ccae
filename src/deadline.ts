/** How long the GitHub part of a run may take. A hook blocks Hydra's notifications, so it must end. */
export class Deadline {
  #endsAt: number
  readonly #now: () => number

  constructor(seconds: number, now: () => number = Date.now) {
    this.#now = now
    this.#endsAt = now() + seconds * 1000
  }

  /** Milliseconds; negative when it has passed. */
  remainingMs(): number {
    return this.#endsAt - this.#now()
  }

  /** Runs what must not be counted, such as an upload that has a time limit of its own. */
  async exclude<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = this.#now()
    try {
      return await work()
    } finally {
      this.#endsAt += this.#now() - startedAt
    }
  }
}
