// hydra-channels hold and release
import { userInfo } from 'node:os'
import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { operatorErrorOf, UsageError } from '../base/errors.ts'
import { RELEASE_ALL } from '../base/links.ts'
import { cut, listSome, printable } from '../base/log.ts'
import { clockTime, relativeTime } from '../base/time.ts'
import { isoTime, parseUntil } from '../base/typed-time.ts'
import { type Channel, channelName } from '../channels/channel.ts'
import { nameChannel, parseChannelName, selectChannel } from '../channels/channel-name.ts'
import {
  ALL,
  describeHold,
  endOf,
  type Hold,
  listHolds,
  MAX_NAME,
  readHold,
  removeHold,
  writeHold,
} from '../channels/holds.ts'
import { type Config, readConfig } from '../config.ts'
import { CONFIG, type Options, oneChannel, timeOf } from './arguments.ts'
import type { FoundName } from './known-channels.ts'
import { type Command, configFile, type Invocation } from './run.ts'

const CHANNEL = `
  CHANNEL  a branch; OWNER/REPO:BRANCH if several repositories have it; the name of its job; or
           what the rule's groups make of the branch: router for nixos-tested-router
`

const EXIT = `
Exit status: 0 done; 1 the state directory cannot be written; 2 the arguments or the configuration
cannot be used, or there is no such channel.
`

const holdOptions = {
  reason: { type: 'string', value: 'TEXT', required: true, about: 'why: status shows it' },
  until: {
    type: 'string',
    value: 'TIME',
    about:
      'a span from now (90m, 1h30m, 3d, 2w), a date (2026-12-24: its first minute, here), or ISO 8601 (2026-12-24T18:00:00+01:00); default: until it is released',
  },
  all: {
    type: 'boolean',
    about: 'every channel, also those to come, until TIME or release --all: nothing moves',
  },
  force: { type: 'boolean', about: 'also a channel to come, which neither Hydra nor GitHub has yet' },
  config: CONFIG,
} as const satisfies Options

export const holdCommand: Command<typeof holdOptions> = {
  name: 'hydra-channels hold',
  operands: '[CHANNEL]',
  about: `
Keeps a channel where it is: neither the hook nor reconcile moves it until TIME, or until it is
released. Holding it again replaces reason and end. Hydra is asked whether there is such a channel,
then GitHub if the key is there; if one of them is away, the rules alone decide, within 10 seconds.

${CHANNEL.slice(1)}`,
  options: holdOptions,
  more: `
Who asked is written down: $HYDRA_CHANNELS_ASKED_BY, else the user whom sudo names, else this one.
${EXIT}`,
  logTo: 'stdout',
  async run(invocation) {
    const { values, log, env } = invocation
    const name = operandOf(invocation, 'hold')
    if (!values.reason?.trim()) {
      throw new UsageError('--reason is missing: say why the channel is held', {
        hint: 'see hydra-channels hold --help',
      })
    }
    const reason = values.reason.trim()
    const now = systemClock.now()
    const until = timeOf('--until', values.until, parseUntil, now)
    const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
    const { stateDirectory } = config
    const found = name === ALL ? undefined : await findChannel(name.text, config, invocation)
    if (found && name !== ALL && !values.force) {
      const { refuseUnknown } = await import('./known-channels.ts')
      refuseUnknown(name.text, found, ['--force holds it all the same, if it is to come'])
    }
    const of = found?.channel ?? ALL
    const before = tryHold(stateDirectory, of)
    const by = askerOf(env)
    const since = new Date(now).toISOString()
    const hold = { reason, since, until: until?.toISOString() ?? null, ...(by !== undefined && { by }) }
    writeHold(stateDirectory, of, hold)
    const end = until ? `${clockTime(until.getTime(), now)} (${isoTime(until.getTime())})` : 'it is released'
    if (found) sayUnasked(found, invocation)
    if (before === 'unreadable') log.line('the hold before could not be read')
    else if (before && !hasEnded(before, now)) log.line(`the hold before: ${describeHold(before, now)}`)
    log.line(`${show(of)}: held${by === undefined ? '' : ` by ${by}`} until ${end}: ${reason}`)
    return 'ok'
  },
}

const releaseOptions = {
  all: { type: 'boolean', about: 'ends hold --all; what is held by itself stays so' },
  config: CONFIG,
} as const satisfies Options

export const releaseCommand: Command<typeof releaseOptions> = {
  name: 'hydra-channels release',
  operands: '[CHANNEL]',
  about: `
Ends a hold: the next reconcile, or the hook of the next build, may move the channel again.

${CHANNEL.slice(1)}`,
  options: releaseOptions,
  more: EXIT,
  logTo: 'stdout',
  async run(invocation) {
    const { values, log, env } = invocation
    const name = operandOf(invocation, 'release')
    const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
    const { stateDirectory } = config
    const now = systemClock.now()
    const of = name === ALL ? ALL : await findHeld(name.text, config, invocation)
    const hold = tryHold(stateDirectory, of)
    const was = removeHold(stateDirectory, of)
    const none = of === ALL ? 'were not held' : 'was not held'
    log.line(`${show(of)}: ${was === 'none' ? none : describeReleased(hold, of, now)}`)
    if (of === ALL) {
      const others = listHolds(stateDirectory).filter(each => each !== ALL)
      if (others.length > 0) log.line(`still held by themselves: ${listSome(others)}`)
      return 'ok'
    }
    const all = tryHold(stateDirectory, ALL)
    if (all === 'unreadable')
      log.line(`all channels may be held, but that cannot be read: ${RELEASE_ALL} ends it`)
    else if (all && !hasEnded(all, now)) {
      log.line(`but all channels are held ${describeHold(all, now)}: ${RELEASE_ALL} ends that`)
    }
    return 'ok'
  },
}

type Asked = Pick<Invocation<typeof releaseOptions>, 'values' | 'positionals' | 'env' | 'log'>

function operandOf({ values, positionals }: Asked, verb: string): { text: string } | typeof ALL {
  const [name] = positionals
  if (values.all) {
    if ('force' in values && values.force) {
      throw new UsageError('--all holds every channel, also those to come: --force is for one of them')
    }
    if (name === undefined) return ALL
    throw new UsageError(`--all is for every channel, and takes no CHANNEL, but got “${name}”`, {
      hint: `hydra-channels ${verb} --all, or hydra-channels ${verb} ${name}`,
    })
  }
  return { text: oneChannel(positionals, `hydra-channels ${verb} --all is for every channel`) }
}

/** Nobody is asked about a hold that is there. */
async function findHeld(name: string, config: Config, invocation: Asked): Promise<Channel> {
  const held = heldChannels(config.stateDirectory).map(channel => ({ channel }))
  const exact = held.filter(({ channel }) => [channel.branch, nameChannel(channel)].includes(name))
  const there = selectChannel(exact, name, [])
  if (there) return there.channel
  const found = await findChannel(name, config, invocation)
  const { refuseUnknown } = await import('./known-channels.ts')
  refuseUnknown(name, found, [])
  sayUnasked(found, invocation)
  return found.channel
}

async function findChannel(name: string, config: Config, { env }: Asked): Promise<FoundName> {
  const { askAbout } = await import('./ask-about-channels.ts')
  return askAbout(name, config, { env, held: heldChannels(config.stateDirectory) })
}

function heldChannels(stateDirectory: string): Channel[] {
  return listHolds(stateDirectory).flatMap(name => {
    const { repository, branch } = parseChannelName(name)
    return repository === undefined ? [] : [{ repository, branch }]
  })
}

function sayUnasked({ known }: FoundName, { log }: Pick<Asked, 'log'>): void {
  if (typeof known === 'string') return
  for (const why of known.unasked) log.line(why)
  log.line('so it is not known whether there is such a channel: it has the name that the rules make')
}

/** Also one that has ended. */
function tryHold(stateDirectory: string, of: Channel | typeof ALL): Hold | undefined | 'unreadable' {
  try {
    return readHold(stateDirectory, of)
  } catch (error) {
    operatorErrorOf(error)
    return 'unreadable'
  }
}

function describeReleased(
  hold: Hold | undefined | 'unreadable',
  of: Channel | typeof ALL,
  now: number,
): string {
  if (hold === 'unreadable') return 'released; the hold could not be read'
  if (!hold) return 'released'
  if (hasEnded(hold, now)) return `released, but the hold had ended ${relativeTime(endOf(hold), now)}`
  return `released; ${of === ALL ? 'they were' : 'it was'} held ${describeHold(hold, now)}`
}

const hasEnded = (hold: Hold, now: number) => endOf(hold) <= now

const show = (of: Channel | typeof ALL) => (of === ALL ? 'all channels' : channelName(of))

/** Through the NixOS module's sudo, this process runs as a user that nobody knows. */
function askerOf(env: Asked['env']): string | undefined {
  const name = (env.HYDRA_CHANNELS_ASKED_BY?.trim() || env.SUDO_USER?.trim()) ?? ''
  const text = name === '' ? ownName() : name
  return text === undefined ? undefined : cut(printable(text), MAX_NAME)
}

function ownName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    // a user id without a name
    return undefined
  }
}
