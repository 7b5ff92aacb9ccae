// Hydra's RunCommand hook, as a command. A hook is started for every build, and most of them did not succeed: such a run ends
// before anything but the event's schema is loaded.
import { isBuildFinished, readEvent, summarize } from '../hydra/event.ts'
import { CONFIG, type Options } from './arguments.ts'
import { type Command, main } from './run.ts'

const options = {
  'dry-run': {
    type: 'boolean',
    about:
      'copy nothing, move nothing: say what would be done (dryRun in the configuration makes every run one)',
  },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-hook',
  about: `
Hydra's RunCommand hook: when a build has succeeded, copies its outputs to the binary cache and
brings the channels of its job to their candidate, the commit of the newest eval with a good
build of that job. Hydra names the event's file in HYDRA_JSON.
`,
  options,
  more: `
Environment:
  HYDRA_JSON           the event, as Hydra writes it
  HYDRA_DATABASE_URL,
  HYDRA_DBI            Hydra's database, unless the configuration has one
  GITHUB_APP_ID,
  GITHUB_APP_PRIVATE_KEY_FILE
                       the GitHub App, before the configuration's
  CREDENTIALS_DIRECTORY
                       where a relative github.privateKeyFile, cache.netrcFile or database.passFile
                       is looked up
  https_proxy, no_proxy

Exit status: 0 moved, or nothing to move; 1 something failed or has to be mended, the log says
what; 2 the arguments, the configuration, a file with a secret that it names, or HYDRA_JSON
cannot be used.

In hydra.conf:
  <runcommand>
    command = /path/to/hydra-hook
  </runcommand>
`,
  logTo: 'stdout',
  async run(invocation) {
    const { positionals, env, log } = invocation
    if (positionals.length > 0) {
      const { UsageError } = await import('../base/errors.ts')
      throw new UsageError(`hydra-hook takes no argument, but got “${positionals[0]}”`, {
        hint: 'see hydra-hook --help',
      })
    }
    const { event, shown } = readEvent(env.HYDRA_JSON)
    log.line(isBuildFinished(event) ? summarize(event) : `event ${event.event}`)
    log.line(shown)
    if (!isBuildFinished(event) || !event.finished || event.buildStatus !== 0) {
      log.line(
        isBuildFinished(event) ? 'no successful build: nothing to do' : 'not buildFinished: nothing to do',
      )
      return 'ok'
    }
    const { runHook } = await import('./run-hydra-hook.ts')
    const mode = invocation.values['dry-run'] ? 'look' : 'move'
    return runHook(event, { ...invocation, mode })
  },
}

export const start = () => main(command)
