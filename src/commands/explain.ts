// hydra-channels explain

import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { printable } from '../base/log.ts'
import { readConfig } from '../config.ts'
import { findExplanation } from '../status/find-explanation.ts'
import { CONFIG, LISTED, type Options, oneChannel } from './arguments.ts'
import { withClients } from './look.ts'
import { type Command, configFile } from './run.ts'
import { lookOptionsOf, tableOptionsFor } from './status.ts'

const about = `
Says of one channel all that stands between a build and the channel, and not only the first reason
as status does. Each gate is open (✓), shut (✗), or was not asked or is not known (–), for the
candidate and for the newest eval:

  rule          a rule makes the channel of one job
  job           the job is in the eval
  evaluation    Hydra has evaluated the commit
  build         the job's build succeeded
  cache         its outputs are in the binary cache
  branch        the commit is in the history of the branch that the jobset follows
  hold          nobody holds the channel
  permission    GitHub lets the App move it
  fast-forward  the channel's commit is in the history of the commit

Below them, why the evals between the two did not become the candidate; at most 30.
`

const more = `
Exit status: 0 whatever the channel is like; 1 neither Hydra nor GitHub could be asked; 2 the
arguments, the configuration or the key file cannot be used.
`

const options = {
  json: { type: 'boolean', about: 'one line of JSON (docs/status.md)' },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels explain',
  operands: 'CHANNEL',
  about,
  options,
  more,
  logTo: 'stderr',
  async run({ values, positionals, env, report, print, progress }) {
    const name = oneChannel(positionals, LISTED)
    const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
    progress('asking Hydra and GitHub…')
    const explanation = await withClients({ config, env }, ({ http, database, openGitHub }) =>
      findExplanation(name, {
        ...lookOptionsOf(config, { http, env }),
        ...{ report, database, openGitHub, now: new Date(systemClock.now()) },
      }),
    )
    if (values.json) print(`${printable(JSON.stringify(explanation))}\n`)
    else {
      const { renderExplanation } = await import('../status/explanation-text.ts')
      for (const line of renderExplanation(explanation, await tableOptionsFor(env))) print(`${line}\n`)
    }
    return 'ok'
  },
}
