// hydra-channels hold and release
import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { UsageError } from '../base/errors.ts'
import type { Channel } from '../channels/channel.ts'
import { findMakeableChannel } from '../channels/channel-name.ts'
import { parseUntil, removeHold, writeHold } from '../channels/holds.ts'
import { readConfig } from '../config.ts'
import { readStamp } from '../state/last-reconcile.ts'
import { CONFIG, type Options } from './arguments.ts'
import { type Command, configFile, type Invocation } from './run.ts'

const EXIT = `
Exit status: 0 done; 1 the state directory cannot be written; 2 the arguments or the configuration
cannot be used.
`

const holdOptions = {
  reason: { type: 'string', value: 'TEXT', required: true, about: 'why: status shows it' },
  until: {
    type: 'string',
    value: 'TIME',
    about: '2026-12-24T18:00:00+01:00, or a span from now: 90m, 12h, 3d (default: until it is released)',
  },
  config: CONFIG,
} as const satisfies Options

export const holdCommand: Command<typeof holdOptions> = {
  name: 'hydra-channels hold',
  operands: 'CHANNEL',
  about: `
Keeps a channel where it is: neither the hook nor reconcile moves it until TIME, or until it is
released. Holding it again replaces reason and end.

  CHANNEL  a branch, or OWNER/REPO:BRANCH if the rules name several repositories
`,
  options: holdOptions,
  more: EXIT,
  logTo: 'stdout',
  async run(invocation) {
    const { values, log } = invocation
    const { channel, stateDirectory } = target(invocation)
    if (!values.reason?.trim()) {
      throw new UsageError('--reason is missing: say why the channel is held', {
        hint: 'see hydra-channels hold --help',
      })
    }
    const until = values.until === undefined ? undefined : parseUntil(values.until)
    if (values.until !== undefined && until === undefined) {
      throw new UsageError(`--until “${values.until}” cannot be used: expected a time to come`, {
        hint: 'ISO 8601 with a zone (2026-12-24T18:00:00Z), or a span from now: 90m, 12h, 3d',
      })
    }
    const end = until?.toISOString() ?? null
    writeHold(stateDirectory, channel, {
      reason: values.reason.trim(),
      since: new Date(systemClock.now()).toISOString(),
      until: end,
    })
    log.line(
      `${channel.repository} ${channel.branch}: held until ${end ?? 'it is released'}: ${values.reason.trim()}`,
    )
    return 'ok'
  },
}

const releaseOptions = { config: CONFIG } as const satisfies Options

export const releaseCommand: Command<typeof releaseOptions> = {
  name: 'hydra-channels release',
  operands: 'CHANNEL',
  about: `
Ends a hold: the next reconcile, or the hook of the next build, may move the channel again.

  CHANNEL  a branch, or OWNER/REPO:BRANCH if the rules name several repositories
`,
  options: releaseOptions,
  more: EXIT,
  logTo: 'stdout',
  async run(invocation) {
    const { channel, stateDirectory } = target(invocation)
    const { repository, branch } = channel
    const was = removeHold(stateDirectory, channel)
    invocation.log.line(`${repository} ${branch}: ${was === 'released' ? 'released' : 'was not held'}`)
    return 'ok'
  },
}

function target({
  values,
  positionals,
  env,
}: Pick<Invocation<typeof releaseOptions>, 'values' | 'positionals' | 'env'>): {
  channel: Channel
  stateDirectory: string
} {
  const [name, extra] = positionals
  if (name === undefined || extra !== undefined) {
    throw new UsageError(`expected one CHANNEL, but got ${positionals.length}`)
  }
  const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
  const { channels: rules, stateDirectory } = config
  // a hold may be older than the rules
  const recorded = readStamp(stateDirectory)?.channels
  return { channel: findMakeableChannel(rules, name, recorded), stateDirectory }
}
