// hydra-channels reconcile

import { Deadline, endWithin } from '../base/deadline.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { LATER, OperatorError } from '../base/errors.ts'
import { createHttp } from '../base/http.ts'
import { DRY_RUN, END_DRY_RUN } from '../channels/dry-run.ts'
import { readConfig } from '../config.ts'
import { findConnection } from '../hydra/connection.ts'
import { openDatabase } from '../hydra/database.ts'
import { acquireLock, anotherRuns, type Holder } from '../hydra/lock.ts'
import { reconcile } from '../reconcile.ts'
import { kick, type TakenKick, takeKick } from '../state/kick.ts'
import {
  type Reconciled,
  readChannels,
  writeChannels,
  writeFailures,
  writeStamp,
} from '../state/last-reconcile.ts'
import { CONFIG, type Options } from './arguments.ts'
import { openGitHub } from './clients.ts'
import { type Command, configFile } from './run.ts'

/** Counted from the start, so the wait for another run is included. Copies may take hours, but a run that hangs must not keep the lock. */
const MAX_HOURS = 6

const about = `
Brings every channel (or those that are named) to its candidate: the commit of the newest eval
with a good build of its job. Decides from Hydra's database and GitHub's branches alone, so it
makes good whatever a hook missed, and can be stopped and started anywhere. Only one runs at a
time, on however many machines; a second says who runs and ends. A run ends after 6 hours.
`

const more = `
Prints a line for each channel that changed or is in trouble, and a summary.

Exit status: 0 all is well, or another reconcile runs; 1 a channel is in trouble, or the database
or GitHub could not be asked; 2 the arguments, the configuration or the key file cannot be used.
`

const options = {
  'dry-run': {
    type: 'boolean',
    about:
      'copy nothing, move nothing: say what would be done (dryRun in the configuration makes every run one)',
  },
  wait: { type: 'boolean', about: 'wait for a reconcile that runs, for 30 minutes at most, then run' },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels reconcile',
  operands: '[CHANNEL…]',
  about,
  options,
  more,
  logTo: 'stdout',
  async run({ values, positionals, env, log, report, progress }) {
    const deadline = new Deadline(MAX_HOURS * 3600)
    const file = configFile(values.config, env) ?? DEFAULT_CONFIG_FILE
    const isLook = values['dry-run'] === true
    // before anything else: what is kicked from now on is for the next run. A run of some channels leaves it to a whole one.
    const kicked: TakenKick = isLook || positionals.length > 0 ? { kind: 'none' } : takeKick(file)
    if (kicked.kind === 'stuck') report(kicked.error)
    const config = readConfig(file)
    if (config.dryRun) log.line(`${DRY_RUN}; ${END_DRY_RUN}`)
    const mode = isLook || config.dryRun ? 'look' : 'move'
    const connection = findConnection(config.database, env)
    const waitFor = ({ program, details }: Holder) => log.line(`waiting for ${program} (${details})`)
    // runs that only look do not disturb each other
    const acquired =
      mode === 'look' ? undefined : await acquireLock(connection, values.wait ? waitFor : undefined)
    if (acquired?.kind === 'taken') {
      // the other one may have looked already
      if (kicked.kind === 'taken') kick(kicked.file)
      if (values.wait) throw waitedInVain(acquired.by)
      log.line(anotherRuns(acquired.by))
      return kicked.kind === 'stuck' ? 'failed' : 'ok'
    }
    const http = createHttp(env)
    const database = openDatabase(connection)
    const failures: Reconciled['failures'] = {}
    // with dryRun in the configuration, reconcile still runs as it should: status and doctor are to see that
    const isWhole = !isLook && positionals.length === 0
    const known = readChannels(config.stateDirectory)
    const recorded = known instanceof OperatorError ? undefined : known
    if (known instanceof OperatorError) {
      log.line(`${known.message}, so this run does not know the channels of earlier ones`)
    }
    try {
      const reconciled = reconcile({
        config,
        mode,
        only: positionals,
        log,
        report,
        progress,
        env,
        http,
        secondMs: 1000,
        database,
        lock: acquired?.lock,
        failures,
        ...(recorded && { recorded }),
        // without those of earlier ones, what this run knows would replace them
        ...(recorded && isWhole && { record: now => writeChannels(config.stateDirectory, now) }),
        openGitHub: () =>
          openGitHub({
            config,
            env,
            http,
            log,
            personalToken: 'ignored',
            deadlineSeconds: config.reconcile.deadlineSeconds,
          }),
      })
      const reconciliation = await endWithin(
        deadline.remainingMs(),
        reconciled,
        () =>
          new OperatorError(`the reconcile did not end within ${MAX_HOURS} hours`, {
            hint: `a copy may still be running; ${LATER}`,
          }),
      )
      if (isWhole) writeStamp(config.stateDirectory, reconciliation, log)
      return kicked.kind === 'stuck' ? 'failed' : reconciliation.ended
    } catch (error) {
      if (isWhole && Object.keys(failures).length > 0) writeFailures(config.stateDirectory, failures, log)
      throw error
    } finally {
      http.close()
      await Promise.allSettled([database.close(), acquired?.lock.release()])
    }
  },
}

function waitedInVain({ program, details, pid }: Holder): OperatorError {
  return new OperatorError(`waited 30 minutes for ${program} (${details})`, {
    hint:
      pid === undefined
        ? LATER
        : `${LATER}; if none runs there, end its connection: select pg_terminate_backend(${pid})`,
  })
}
