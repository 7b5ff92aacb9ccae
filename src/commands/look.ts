// What the commands look with that move nothing: Hydra's database, GitHub, and http for the cache.
import { createHttp, type Http } from '../base/http.ts'
import { findConnection } from '../hydra/connection.ts'
import { type Database, openDatabase } from '../hydra/database.ts'
import { type GitHubOptions, openGitHub } from './clients.ts'

type OpenedGitHub = Awaited<ReturnType<typeof openGitHub>>

export interface Clients {
  http: Http
  database: Database
  /** opened once; whose credentials are used is of no interest here */
  openGitHub: () => Promise<OpenedGitHub>
}

/** Closes all of it when the work has ended, well or not. */
export async function withClients<Found>(
  options: Pick<GitHubOptions, 'config' | 'env' | 'deadlineSeconds'>,
  work: (clients: Clients) => Promise<Found>,
): Promise<Found> {
  const { config, env } = options
  const http = createHttp(env)
  const database = openDatabase(findConnection(config.database, env))
  let github: Promise<OpenedGitHub> | undefined
  try {
    return await work({
      http,
      database,
      openGitHub: () =>
        (github ??= openGitHub({ ...options, http, log: { line() {} }, personalToken: 'ignored' })),
    })
  } finally {
    http.close()
    await database.close()
  }
}
