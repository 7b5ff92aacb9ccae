// Builds what the hook works with: the configuration, and the clients that it opens when it needs them.
import { DEFAULT_CONFIG_FILE, readConfig } from '../config.ts'
import { handleBuild } from '../hook.ts'
import { createHttp } from '../http.ts'
import { findConnection } from '../hydra/connection.ts'
import type { BuildFinished } from '../hydra/event.ts'
import { openGitHub } from './clients.ts'
import { configFile, type Invocation } from './run.ts'

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
  const http = createHttp(env)
  try {
    return await handleBuild(event, {
      config,
      mode,
      log,
      report,
      env,
      http,
      secondMs: 1000,
      openDatabase: async () => {
        const { openDatabase } = await import('../hydra/database.ts')
        return openDatabase(findConnection(config.database, env))
      },
      openGitHub: () => openGitHub({ config, env, http, log, personalToken: 'ignored' }),
    })
  } finally {
    http.close()
  }
}
