// This program beside the shell script that it replaces: docs in RESULTS.md, which a full run writes.
//
//   npm run bench                 about eight minutes
//   npm run bench -- --quick      few runs of each, printed only
//
// Needs git, jq, psql, openssl and, to count processes, strace. JQ and PSQL name other ones than those in PATH.
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { CASES, type Compared, compareSides, ratio } from './cases.ts'
import { measureCosts } from './costs.ts'
import { measureReconcile } from './fleets.ts'
import { median } from './measure.ts'
import { describeResults } from './results.ts'
import { createScene } from './scene.ts'

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values
const runs = quick ? { warmUp: 1, measured: 3 } : { warmUp: 2, measured: 15 }
// of the last minute, at every case
const loads = [loadavg()[0] ?? 0]
const progress = (text: string) => process.stderr.write(`${text}\n`)

const scene = await createScene()
try {
  const compared: Compared[] = []
  for (const each of CASES) {
    const result = await compareSides(each, scene, runs)
    compared.push(result)
    loads.push(loadavg()[0] ?? 0)
    const [hook, script] = [result.hook, result.script].map(({ ms }) => Math.round(median(ms)))
    progress(`${each.name}, ${each.roundTripMs} ms: ${hook} beside ${script} ms, ${ratio(result).toFixed(2)}`)
  }
  const costs = await measureCosts(scene, Math.max(10, runs.measured))
  progress('reconcile')
  const reconciled = await measureReconcile(scene, quick ? 1 : 3)
  const text = describeResults({ compared, reconciled, costs, measured: runs.measured, loads }, scene)
  if (!quick) writeFileSync(new URL('RESULTS.md', import.meta.url), text)
  process.stdout.write(text)
} finally {
  await scene.close()
}
