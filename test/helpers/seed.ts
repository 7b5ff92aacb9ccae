// Where random tests begin. Each says it, so that a run can be repeated.
import type { TestContext } from 'node:test'

/** HYDRA_CHANNELS_TEST_SEED, else another one for each process. */
const SEED = Number(process.env.HYDRA_CHANNELS_TEST_SEED ?? Date.now() % 2 ** 31)

/** The same for all tests of a process. */
export function seedFor(t: TestContext): number {
  t.diagnostic(`HYDRA_CHANNELS_TEST_SEED=${SEED}`)
  return SEED
}
