// The tables, in Markdown.
import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { type Compared, ratio, type Side } from './cases.ts'
import type { Costs } from './costs.ts'
import { MOST_REQUESTS, type Reconciled } from './fleets.ts'
import { median } from './measure.ts'
import type { Scene } from './scene.ts'

/** How often the script starts it. */
const JQ_STARTS = 2
/** Since this version it starts in 3 ms instead of 20. */
const FAST_JQ = 1.7

/** Of a failed build's event to `node -e 0`. */
const MOST_FAILED = 1.9
const MOST_HOOK_MB = 90

export interface Results {
  compared: readonly Compared[]
  reconciled: readonly Reconciled[]
  costs: Costs
  measured: number
  /** of the machine, from the start on */
  loads: readonly number[]
}

export function describeResults(results: Results, scene: Scene): string {
  const { compared, reconciled, costs, measured } = results
  const jqVersion = versionOf(scene.jq, '--version')
  const slowJq = Number.parseFloat(jqVersion.replace(/^jq-/, '')) < FAST_JQ
  return [
    '# Speed, beside the shell script that it replaces',
    `Written by \`npm run bench\`. Times are wall clock from the start of the process to its end: medians of ${measured} runs, lowest and highest in brackets, the two sides in turn on the same repository.`,
    describeMachine(scene, jqVersion, results.loads),
    '## Side by side',
    sideBySide(compared, slowJq ? JQ_STARTS * costs.jqMs : undefined),
    slowJq
      ? `${jqVersion} starts slowly: one start took ${round(costs.jqMs)} ms here, with jq ${FAST_JQ} it would be about 3. So the last column takes ${JQ_STARTS} whole starts off the script's time, as if jq cost nothing: with a newer jq the ratio is between the two.`
      : '',
    '## The hook alone',
    alone(costs),
    '## On the wire, and in the process table',
    onTheWire(compared),
    'Of one run each; bytes are those that came over TCP to the client, TLS included. The processes are those that the machine of the hook runs, counted with strace in a run of its own.',
    '## Reconcile',
    reconcileTable(reconciled),
    `Cold token, ${count(reconciled)} each. All that move do so by one eval and from one old tip. Writes are a second apart, from eleven moves on a hundred channels in each, which is most of the time of many.`,
    describeGrowth(reconciled),
    '## What the figures contain',
    describeCosts(costs),
  ]
    .filter(text => text !== '')
    .join('\n\n')
    .concat('\n')
}

function describeMachine({ psql, jq }: Scene, jqVersion: string, loads: readonly number[]): string {
  const [cpu] = cpus()
  const versions = [
    `Node ${process.version}`,
    versionOf('git', '--version'),
    `${jqVersion} (${jq})`,
    versionOf(psql, '--version'),
    versionOf('bash', '--version').replace(/ \(.*/, '').replace('GNU bash, version', 'bash'),
  ]
  return [
    `- machine: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${versionOf('uname', '-r')}`,
    `- load before, and after each case (the bench itself is about 1): ${loads.map(load => load.toFixed(1)).join(' ')}`,
    `- versions: ${versions.join(', ')}`,
    `- ${new Date().toISOString().slice(0, 10)}`,
  ].join('\n')
}

function sideBySide(compared: readonly Compared[], jqMs: number | undefined): string {
  const header = ['case', 'round trip', 'hydra-hook', 'shell script', 'ratio', 'at most', '']
  const free = jqMs === undefined ? [] : ['ratio, jq for nothing']
  const rows = compared.map(each => {
    const { of, hook, script } = each
    const met = of.atMost === undefined ? '' : ratio(each) <= of.atMost ? 'met' : '**missed**'
    const freely = jqMs === undefined ? [] : [(median(hook.ms) / (median(script.ms) - jqMs)).toFixed(2)]
    return [
      of.name,
      `${of.roundTripMs} ms`,
      times(hook),
      times(script),
      ratio(each).toFixed(2),
      of.atMost?.toFixed(2) ?? '',
      met,
      ...freely,
    ]
  })
  return table([...header, ...free], rows)
}

function alone({ nodeMs, failedMs, hookPeakBytes }: Costs): string {
  const verdict = (met: boolean) => (met ? 'met' : '**missed**')
  const failed = failedMs / nodeMs
  const megabytes = hookPeakBytes / 1e6
  return table(
    ['what', 'figure', 'at most', ''],
    [
      [
        `event of a failed build: ${round(failedMs)} ms beside ${round(nodeMs)} ms of \`node -e 0\``,
        failed.toFixed(2),
        MOST_FAILED.toFixed(2),
        verdict(failed <= MOST_FAILED),
      ],
      [
        'peak memory of a hook that moves a channel, MB',
        megabytes.toFixed(0),
        String(MOST_HOOK_MB),
        verdict(megabytes < MOST_HOOK_MB),
      ],
    ],
  )
}

function onTheWire(compared: readonly Compared[]): string {
  const header = ['case', 'round trip', 'side', 'requests', 'connections', 'bytes received', 'processes']
  const row = ({ of }: Compared, name: string, { wire, processes }: Side) => [
    of.name,
    `${of.roundTripMs} ms`,
    name,
    String(wire.requests.length),
    String(wire.connections),
    bytes(wire.bytesReceived),
    processes === undefined ? '?' : String(processes),
  ]
  return table(
    header,
    compared.flatMap(each => [row(each, 'hydra-hook', each.hook), row(each, 'shell script', each.script)]),
  )
}

function reconcileTable(reconciled: readonly Reconciled[]): string {
  const header = [
    'channels',
    'to move',
    'round trip',
    'requests',
    'at most',
    'seconds',
    'peak memory',
    'bytes received',
  ]
  return table(
    header,
    reconciled.map(({ channels, toMove, roundTripMs, wire, ms, peakBytes }) => [
      bytes(channels),
      toMove,
      `${roundTripMs} ms`,
      String(wire.requests.length),
      channels === 1000 ? String(MOST_REQUESTS[toMove]) : '',
      (ms / 1000).toFixed(2),
      `${round(peakBytes / 1e6)} MB`,
      bytes(wire.bytesReceived),
    ]),
  )
}

/** From the fewest channels to the most, without a delay. */
function describeGrowth(reconciled: readonly Reconciled[]): string {
  return (['none', 'all'] as const)
    .flatMap(toMove => {
      const rows = reconciled.filter(row => row.toMove === toMove && row.roundTripMs === 0)
      const [few, many] = [rows[0], rows.at(-1)]
      if (!few || !many) return []
      const more = many.channels - few.channels
      return `- ${toMove} to move, each channel more: ${((many.ms - few.ms) / more).toFixed(2)} ms, ${round((many.peakBytes - few.peakBytes) / more / 1000)} kB of memory, ${round((many.wire.bytesReceived - few.wire.bytesReceived) / more)} bytes received`
    })
    .join('\n')
}

function describeCosts(costs: Costs): string {
  const { emptyMs, emptyPreloadedMs, hookPreloadedMs, hookExtraMs } = costs
  const trips = costs.roundTrips.map(({ nominalMs, ms }) => `${nominalMs} ms took ${ms.toFixed(1)}`)
  return [
    `- hydra-hook trusts the bench's authority by a file that is loaded before it, which costs it ${(emptyPreloadedMs - emptyMs).toFixed(1)} ms and the reading of one certificate. By \`NODE_EXTRA_CA_CERTS\`, which is unset in all of the above, it would cost ${round(hookExtraMs - hookPreloadedMs)} ms more.`,
    "- Neither side copies to a cache. Both servers answer at once, from memory or disk, on the same machine: GitHub's own time comes on top, for each request.",
    `- The round trips are those of a delaying proxy, whose bandwidth is not limited and which knows no slow start: the clone of a first run would take longer on a real line. Measured as half of what TCP and TLS take together, a round trip of ${trips.join(', one of ')}.`,
    '- On its first run the script clones and then goes on as ever. git reads the authorities of the machine, with the one of the bench among them, as Node reads its own.',
    "- git's side pays for `git http-backend`: what the server's processes cost is in the script's time, as GitHub's would be.",
  ].join('\n')
}

const count = (reconciled: readonly Reconciled[]) => `the median of ${reconciled[0]?.runs ?? 0} runs`

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const numeric = header.map((_, index) => rows.every(row => /^[\d*?]|^$/.test(row[index] ?? '')))
  return [line(header), line(numeric.map(right => (right ? '---:' : '---'))), ...rows.map(line)].join('\n')
}

const times = ({ ms }: Side) =>
  `${round(median(ms))} ms (${round(Math.min(...ms))}–${round(Math.max(...ms))})`
const round = (value: number) => String(Math.round(value))
const bytes = (value: number) => value.toLocaleString('en')

function versionOf(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0]?.trim() ?? ''
}
