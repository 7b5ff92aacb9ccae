// GitHub, as a command opens it: whose credentials, and until when.

import { systemClock } from '../base/clock.ts'
import { Deadline } from '../base/deadline.ts'
import type { Http } from '../base/http.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config.ts'
import { type CredentialSources, findCredentials } from '../github/credentials.ts'
import { findCacheDirectory } from '../github/token-cache.ts'
import type { Survey } from '../status/survey.ts'

/** A shorter wait is not worth a line. */
const LONG_WAIT_SECONDS = 10

export interface GitHubOptions extends Pick<CredentialSources, 'flags' | 'env' | 'personalToken'> {
  config: Config
  http: Http
  log: Log
  /** default: `github.deadlineSeconds` */
  deadlineSeconds?: number
}

/**
 * The deadline starts here. One client for each repository, because a token is narrowed to one.
 *
 * @throws UsageError if there are no credentials, or the key cannot be read
 */
export async function openGitHub({ config, http, log, ...sources }: GitHubOptions): Promise<{
  deadline: Deadline
  repository: (name: string) => Survey
}> {
  const { apiUrl, attemptTimeoutSeconds, deadlineSeconds } = config.github
  const deadline = new Deadline(sources.deadlineSeconds ?? deadlineSeconds)
  const credentials = findCredentials({ ...sources, config: config.github })
  const { openRepository } = await import('../github/repository.ts')
  const opened = new Map<string, Survey>()

  let saidUntil = 0
  // many requests reach a limit at once, and wait for the same
  const onWait = (seconds: number) => {
    const now = systemClock.elapsed()
    if (seconds < LONG_WAIT_SECONDS || now < saidUntil) return
    saidUntil = now + seconds * 1000
    log.line(`waiting ${seconds} s until GitHub is asked again …`)
  }

  const as = credentials.kind === 'app' ? `GitHub App ${credentials.appId}` : 'a token'
  log.line(`asks ${apiUrl} as ${as} (${credentials.source})`)
  return {
    deadline,
    repository(name) {
      const key = name.toLowerCase()
      const repository =
        opened.get(key) ??
        openRepository({
          repository: name,
          credentials,
          http,
          apiUrl,
          deadline,
          attemptTimeoutMs: attemptTimeoutSeconds * 1000,
          secondMs: 1000,
          onWait,
          cacheDirectory: findCacheDirectory(sources.env),
        })
      opened.set(key, repository)
      return repository
    },
  }
}
