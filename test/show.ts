// npm run show: what a fleet looks like in which every reason of status is there once, as terminals of 80 and 120 columns show
// it; what explain says of three of its channels, and history of one that was forced.
import type { TestContext } from 'node:test'
import { renderExplanation } from '../src/status/explanation-text.ts'
import { renderHistory } from '../src/status/history-text.ts'
import { renderTable, type TableOptions } from '../src/status/table.ts'
import { channel, everyReason } from './helpers/every-reason.ts'
import { startPostgres } from './helpers/postgres.ts'

const cleanups: (() => unknown)[] = []
const t = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext

const server = await startPostgres()
process.env.HYDRA_CHANNELS_TEST_PGHOST = server.socketDirectory
try {
  const { stage, commits } = await everyReason(t)
  const show = async (
    args: string[],
    width: number,
    render: (found: never, options: TableOptions) => string[],
  ) => {
    const { stdout } = await stage.command('hydra-channels', [...args, '--json'], { streams: 'apart' })
    const options = { now: new Date(), width, colour: process.stdout.isTTY, links: false }
    console.log(`\n# hydra-channels ${args.join(' ')}, ${width} columns\n`)
    console.log(render(JSON.parse(stdout) as never, options).join('\n'))
  }
  for (const width of [80, 120]) await show(['status'], width, renderTable)
  for (const host of ['newest', 'failed', 'uncached']) {
    await show(['explain', channel(host)], 120, renderExplanation)
  }
  const forced = channel('diverged')
  await stage.repository.setBranch(forced, commits.c1)
  await show(['history', forced], 120, renderHistory)
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
  await server.stop()
}
