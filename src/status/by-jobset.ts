// Questions to Hydra about jobs or commits: those of one jobset go together.
export class ByJobset {
  readonly #asked = new Map<number, Set<string>>()

  /** @param jobset its id */
  add(jobset: number, what: string): void {
    this.#asked.set(jobset, (this.#asked.get(jobset) ?? new Set()).add(what))
  }

  /** The answers, by the jobset's id. */
  async ask<Answer>(
    question: (jobset: number, asked: readonly string[]) => Promise<Answer>,
  ): Promise<Map<number, Answer>> {
    const answers = [...this.#asked].map(
      async ([jobset, asked]) => [jobset, await question(jobset, [...asked])] as const,
    )
    return new Map(await Promise.all(answers))
  }

  isEmpty(): boolean {
    return this.#asked.size === 0
  }
}
