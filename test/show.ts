// npm run show: what a fleet looks like in which every reason of status is there once, as terminals of 80 and 120 columns show it.
import type { TestContext } from 'node:test'
import { renderTable } from '../src/status/table.ts'
import { everyReason } from './helpers/every-reason.ts'
import { startPostgres } from './helpers/postgres.ts'

const cleanups: (() => unknown)[] = []
const t = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext

const server = await startPostgres()
process.env.HYDRA_CHANNELS_TEST_PGHOST = server.socketDirectory
try {
  const { stage } = await everyReason(t)
  const { stdout } = await stage.command('hydra-channels', ['status', '--json'], { streams: 'apart' })
  const status = JSON.parse(stdout)
  for (const width of [80, 120]) {
    console.log(`\n# hydra-channels status, ${width} columns\n`)
    const lines = renderTable(status, { now: new Date(), width, colour: process.stdout.isTTY, links: false })
    console.log(lines.join('\n'))
  }
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
  await server.stop()
}
