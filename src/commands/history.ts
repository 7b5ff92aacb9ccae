// hydra-channels history

import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { UsageError } from '../base/errors.ts'
import { printable } from '../base/log.ts'
import { parseSince } from '../base/typed-time.ts'
import type { Channel } from '../channels/channel.ts'
import { findMakeableChannel } from '../channels/channel-name.ts'
import { type Config, readConfig } from '../config.ts'
import { readStamp } from '../state/last-reconcile.ts'
import { findHistory } from '../status/find-history.ts'
import { CONFIG, LISTED, type Options, oneChannel, timeOf } from './arguments.ts'
import { withClients } from './look.ts'
import { type Command, configFile } from './run.ts'
import { lookOptionsOf, tableOptionsFor } from './status.ts'

const about = `
Says what happened to a channel's branch, newest first: when, from which commit to which, who did it
(this program's App, or somebody else), and which eval and build stand behind the commit. Forced
moves and deletions are written in capitals: this program does neither.

It is GitHub that remembers, so this also works for a branch that is gone. How far back GitHub
remembers, it does not say.
`

const more = `
Without --since the newest 30 changes are shown, with it at most 500. The commits of the newest 50
are counted.

Exit status: 0 done; 1 GitHub does not say what happened; 2 the arguments, the configuration or the
key file cannot be used.
`

const options = {
  since: {
    type: 'string',
    value: 'TIME',
    about: 'only changes since then: a span before now (90m, 3d, 1w), 2026-11-20, or 2026-11-20T18:00:00Z',
  },
  json: { type: 'boolean', about: 'one line of JSON (docs/status.md)' },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels history',
  operands: 'CHANNEL',
  about,
  options,
  more,
  logTo: 'stderr',
  async run({ values, positionals, env, report, print, progress }) {
    const name = oneChannel(positionals, LISTED)
    const now = new Date(systemClock.now())
    const sinceMs = timeOf('--since', values.since, parseSince, now.getTime())?.getTime()
    const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
    const channel = await findChannel(name, config, env)
    progress('asking GitHub and Hydra…')
    const history = await withClients({ config, env }, ({ http, database, openGitHub }) =>
      findHistory(channel, {
        ...lookOptionsOf(config, { http, env }),
        ...{ sinceMs, report, database, openGitHub, now },
      }),
    )
    if (values.json) print(`${printable(JSON.stringify(history))}\n`)
    else {
      const { renderHistory } = await import('../status/history-text.ts')
      for (const line of renderHistory(history, await tableOptionsFor(env))) print(`${line}\n`)
    }
    return 'ok'
  },
}

/** Hydra is asked only for a name that neither the rules nor the last reconcile make anything of. */
async function findChannel(
  name: string,
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Channel> {
  try {
    return findMakeableChannel(config.channels, name, readStamp(config.stateDirectory)?.channels)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const { askAbout } = await import('./ask-about-channels.ts')
    return (await askAbout(name, config, { env, held: [] })).channel
  }
}
