// Builds what the hook works with: the configuration, and the clients that it opens when it needs them.

import { endWithin } from '../base/deadline.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { LATER, OperatorError } from '../base/errors.ts'
import type { ConnectingHttp } from '../base/http.ts'
import { DRY_RUN, END_DRY_RUN } from '../channels/dry-run.ts'
import { readConfig } from '../config.ts'
import { handleBuild } from '../hook.ts'
import { findConnection } from '../hydra/connection.ts'
import type { BuildFinished } from '../hydra/event.ts'
import { configFile, type Invocation } from './run.ts'

/** Two compares go side by side, and the write takes the connection of one of them. */
const REQUESTS_AT_ONCE = 2

type HookInvocation = Pick<
  Invocation<{ config: { type: 'string' } }>,
  'values' | 'env' | 'log' | 'report'
> & {
  mode: 'move' | 'look'
}

export async function runHook(
  event: BuildFinished,
  { values, env, log, report, mode }: HookInvocation,
): Promise<'ok' | 'failed'> {
  const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
  if (config.dryRun) log.line(`${DRY_RUN}; ${END_DRY_RUN}`)
  const http = openHttpLater(env)
  const { deadlineSeconds } = config.hook
  try {
    const handled = handleBuild(event, {
      config,
      mode: config.dryRun ? 'look' : mode,
      log,
      report,
      env,
      http,
      secondMs: 1000,
      connect: () => http.connect(config.github.apiUrl, REQUESTS_AT_ONCE),
      openDatabase: async () => {
        const { openDatabase } = await import('../hydra/database.ts')
        return openDatabase(findConnection(config.database, env))
      },
      openGitHub: async () => {
        const { openGitHub } = await import('./clients.ts')
        return openGitHub({ config, env, http, log, personalToken: 'ignored' })
      },
    })
    return await endWithin(
      deadlineSeconds * 1000,
      handled,
      () =>
        new OperatorError(`the hook did not end within ${deadlineSeconds} s (hook.deadlineSeconds)`, {
          hint: `a copy may still be running; ${LATER}, or hydra-channels reconcile`,
        }),
    )
  } finally {
    http.close()
  }
}

/** A detached hook without a cache's URL sends no request, and node:https takes longer to load than all the rest of it. */
function openHttpLater(env: Readonly<Record<string, string | undefined>>): ConnectingHttp {
  let opening: Promise<ConnectingHttp> | undefined
  const open = () => {
    opening ??= import('../base/http.ts').then(({ createHttp }) => createHttp(env))
    return opening
  }
  return {
    fetch: async (url, request) => (await open()).fetch(url, request),
    connect: async (url, connections) => (await open()).connect(url, connections),
    close: () => void opening?.then(http => http.close()),
  }
}
