#!/usr/bin/env node
import { UsageError } from '../base/errors.ts'
import { main } from './run.ts'

const help = `Usage: hydra-channels COMMAND [OPTION…] [CHANNEL…]

  reconcile [--dry-run] [--wait] [CHANNEL…]
                 brings every channel to its candidate, from Hydra's database alone
  status [--json] [--metrics FILE] [CHANNEL…]
                 what every channel is at, how far behind, since when and why
  hold CHANNEL --reason TEXT [--until TIME]
                 keeps a channel where it is
  release CHANNEL
                 lets it move again
  doctor [--offline] [--json]
                 checks all that a channel needs to move, and says what to mend
  create-app [--owner ORG] [--output DIR]
                 creates the GitHub App from a local page, and stores its key

CHANNEL is a branch, or OWNER/REPO:BRANCH where two repositories have it.
hydra-channels COMMAND --help says more. All take --help and --version, and all but create-app
--config FILE (default: $HYDRA_CHANNELS_CONFIG, else /etc/hydra-channels/config.json).
`

const [name = '', ...args] = process.argv.slice(2)

/** Each command's own code is loaded only when it is called. */
const COMMANDS: Record<string, () => Promise<unknown>> = {
  reconcile: async () => main({ ...(await import('./reconcile.ts')).command, args }),
  status: async () => main({ ...(await import('./status.ts')).command, args }),
  hold: async () => main({ ...(await import('./hold.ts')).holdCommand, args }),
  release: async () => main({ ...(await import('./hold.ts')).releaseCommand, args }),
  doctor: async () => main({ ...(await import('./doctor.ts')).command, args }),
  'create-app': async () => main({ ...(await import('./create-app.ts')).command, args }),
}

const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command) void command()
else {
  void main({
    name: 'hydra-channels',
    help,
    options: {},
    logTo: 'stdout',
    async run({ positionals }) {
      const [unknown] = positionals
      throw new UsageError(unknown === undefined ? 'which command?' : `there is no command “${unknown}”`, {
        hint: 'see hydra-channels --help',
      })
    },
  })
}
