// What every run that moves channels needs: the configuration, the clients, and where it reports.

import type { Http } from './base/http.ts'
import type { Log } from './base/log.ts'
import type { Forges } from './channels/forge.ts'
import type { Config } from './config.ts'

export interface RunOptions {
  config: Config
  /** `look` copies nothing and moves nothing: for --dry-run, and for `dryRun` in the configuration */
  mode: 'move' | 'look'
  log: Log
  /** says an error with what to do about it, and goes on */
  report: (error: unknown) => void
  env: Readonly<Record<string, string | undefined>>
  http: Http
  /** a second of waiting; shorter in tests */
  secondMs: number
  openGitHub: () => Promise<Forges>
}
