// Counts steps instead of seconds: how often each block of src ran. V8 counts in functions that it compiles from now on, which
// is when they are called first.
import { Session } from 'node:inspector/promises'

const SRC = new URL('../../src/', import.meta.url).href

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

export async function countSteps(work: () => unknown): Promise<number> {
  // what ran before
  await session.post('Profiler.takePreciseCoverage')
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  return result
    .filter(({ url }) => url.startsWith(SRC))
    .flatMap(({ functions }) => functions.flatMap(each => each.ranges))
    .reduce((sum, { count }) => sum + count, 0)
}
