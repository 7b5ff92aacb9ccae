// Builds what the hook works with: the configuration, and the clients that it opens when it needs them.
import { readConfig } from '../config.ts'
import { DEFAULT_CONFIG_FILE } from '../defaults.ts'
import { type Dialled, dial, round } from '../dial.ts'
import { handleBuild } from '../hook.ts'
import type { DialledHttp, Http } from '../http.ts'
import { findConnection } from '../hydra/connection.ts'
import type { Database } from '../hydra/database.ts'
import type { BuildFinished } from '../hydra/event.ts'
import { configFile, type Invocation } from './run.ts'

type HookInvocation = Pick<
  Invocation<{ config: { type: 'string' } }>,
  'values' | 'env' | 'log' | 'report'
> & {
  mode: 'move' | 'look'
  dialled: Dialled | undefined
  openDatabase?: (() => Promise<Database>) | undefined
}

export async function runHook(
  event: BuildFinished,
  { values, env, log, report, mode, dialled, ...given }: HookInvocation,
): Promise<'ok' | 'failed'> {
  const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
  const http = openHttpLater(env, dialled)
  try {
    return await handleBuild(event, {
      config,
      mode,
      log,
      report,
      env,
      http,
      secondMs: 1000,
      dialGitHub: () => http.dial(config.github.apiUrl),
      openDatabase: async () => {
        if (given.openDatabase) return given.openDatabase()
        const { openDatabase } = await import('../hydra/database.ts')
        return openDatabase(findConnection(config.database, env))
      },
      openGitHub: async () => {
        const { openGitHub } = await import('./clients.ts')
        return openGitHub({ config, env, http, log, personalToken: 'ignored' })
      },
    })
  } finally {
    http.close()
  }
}

/** A detached hook without a cache's URL asks nobody, and node:https takes longer to load than all the rest of it. */
function openHttpLater(
  env: Readonly<Record<string, string | undefined>>,
  foreseen: Dialled | undefined,
): Http & { dial(url: string): Promise<void> } {
  let opening: Promise<DialledHttp> | undefined
  const open = () => {
    opening ??= import('../http.ts').then(({ createHttp }) => createHttp(env))
    return opening
  }
  return {
    fetch: async (url, request) => (await open()).fetch(url, request),
    async dial(url) {
      const dialled = foreseen?.origin === new URL(url).origin ? foreseen : dial(url, env)
      // the name is looked up meanwhile
      const http = await open()
      if (dialled) http.use(dialled)
      await round()
    },
    close() {
      foreseen?.tcp.destroy()
      void opening?.then(http => http.close())
    },
  }
}
