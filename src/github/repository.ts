// One repository on GitHub, as the App (or a person) that may write to it: the endpoints of refs.ts with a token that
// is fetched early, kept between processes, and renewed once when GitHub refuses it.

import { RequestError } from '@octokit/request-error'
import { askOnce } from '../base/ask-once.ts'
import { OperatorError, PermissionError } from '../base/errors.ts'
import { sameRepository } from '../base/repository-name.ts'
import { type NotAnswered, NotComparedError } from '../channels/forge.ts'
import type { Survey } from '../status/survey.ts'
import type { Credentials } from './credentials.ts'
import * as graphql from './graphql.ts'
import * as refs from './refs.ts'
import { explainNoActivity, explainRefusal, isNotAccessible, lackingPermissions } from './refusal.ts'
import {
  createClient,
  DeadlineError,
  type GitHubClient,
  isSentOnce,
  RateLimitError,
  repositoryIdOf,
  waitAfterWrite,
  waitForToken,
} from './request.ts'
import type { Access } from './token-cache.ts'
import { type InstallationTokens, openTokens, type TokenOptions } from './tokens.ts'

/** How long a refused token is waited for that was made a moment ago. */
const FRESH_TOKEN_WAITS_SECONDS = [1, 2]

export interface RepositoryOptions extends TokenOptions {
  credentials: Credentials
}

export function openRepository(options: RepositoryOptions): Survey {
  const { credentials, deadline, secondMs } = options
  const tokens = credentials.kind === 'app' ? openTokens(credentials, options) : undefined
  const client = createClient(options)
  const comparisons = new Map<string, ReturnType<typeof refs.compare>>()
  const names = new Map<string, Promise<boolean>>()
  let redirected = false
  /** GitHub could not compare two commits of this repository over REST, which took it some ten seconds */
  let isTooMuch = false

  // outermost, around the retries: every attempt of a request has the same token
  client.hook.wrap('request', async (request, parameters) => {
    for (let renewals = 0, waits = 0; ; ) {
      const access = await tokens?.access()
      const token = access?.token ?? (credentials.kind === 'token' ? credentials.token : '')
      // in place: the hooks further inside hold the same object, whatever this one passes on
      parameters.headers.authorization = `Bearer ${token}`
      try {
        const response = await request(parameters)
        redirected ||= repositoryIdOf(response.url) !== undefined
        return response
      } catch (error) {
        if (!tokens || !access || !isTokenRefused(error) || isSentOnce(parameters)) throw error
        // the permissions may have been widened since an older token was made, so even a clear refusal is asked again
        if (renewals === 0 && tokens.renew(access)) {
          renewals++
          continue
        }
        const seconds = FRESH_TOKEN_WAITS_SECONDS[waits++]
        if (seconds === undefined || !tokens.isFresh() || isDenied(error, access)) throw error
        await pause(seconds)
      }
    }
  })

  async function pause(seconds: number): Promise<void> {
    if (seconds * secondMs >= deadline.remainingMs()) throw new DeadlineError()
    options.onWait?.(seconds)
    await new Promise(resolve => setTimeout(resolve, seconds * secondMs))
  }

  function nameOf(access: Access | undefined): refs.RepositoryName {
    const [owner = '', repo = ''] = (access?.fullName ?? options.repository).split('/')
    return { owner, repo }
  }

  async function ask<T>(endpoint: (name: refs.RepositoryName) => Promise<T>): Promise<T> {
    const access = await tokens?.access()
    try {
      return await endpoint(nameOf(access))
    } catch (error) {
      throw await explain(error)
    }
  }

  /** REST first: it compares any two commits, and says which of them are not there. */
  async function compareAnyway(base: string, head: string): ReturnType<typeof refs.compare> {
    const compareOverGraphql = () =>
      ask(name => graphql.compare(client, name, base, head)).catch((error: unknown) => {
        // then only REST can say
        if (error instanceof OperatorError) return undefined
        throw error
      })
    const wasTooMuch = isTooMuch
    const known = wasTooMuch ? await compareOverGraphql() : undefined
    if (known) return known
    try {
      return await ask(name => refs.compare(client, name, base, head))
    } catch (error) {
      if (!(error instanceof NotComparedError)) throw error
      isTooMuch = true
      const found = wasTooMuch ? undefined : await compareOverGraphql()
      if (!found) throw error
      return found
    }
  }

  /** What one part was not told, another still may be. */
  async function askInParts<Asked, Found>(
    all: readonly Asked[],
    endpoint: (
      client: GitHubClient,
      name: refs.RepositoryName,
      part: readonly Asked[],
    ) => Promise<Map<string, Found>>,
  ): Promise<{ found: Map<string, Found>; errors: OperatorError[] }> {
    const parts: (readonly Asked[])[] = []
    for (let at = 0; at < all.length; at += graphql.MAX_BRANCHES) {
      parts.push(all.slice(at, at + graphql.MAX_BRANCHES))
    }
    const errors: OperatorError[] = []
    const found = await Promise.all(
      parts.map(part =>
        ask(name => endpoint(client, name, part)).catch((error: unknown) => {
          if (!(error instanceof OperatorError)) throw error
          errors.push(error)
          return new Map<string, Found>()
        }),
      ),
    )
    return { found: new Map(found.flatMap(part => [...part])), errors }
  }

  async function isCalled(name: string): Promise<boolean> {
    const access = await tokens?.access()
    const [owner = '', repo = ''] = name.split('/')
    const [id, own] = await Promise.all([
      ask(() => refs.findNodeId(client, { owner, repo })),
      access?.nodeId ?? ask(own => refs.findNodeId(client, own)),
    ])
    return id !== undefined && id === own
  }

  async function explain(error: unknown): Promise<unknown> {
    return explainRefusal(error, {
      as: credentials.kind === 'app' ? 'installation' : 'person',
      granted: (await tokens?.access())?.permissions,
    })
  }

  /** Sends a write once. Nothing waits before it is sent: the token is there since the look that decided it. */
  async function write<T>(
    endpoint: (name: refs.RepositoryName) => Promise<T>,
    sent: number,
  ): Promise<T | NotAnswered> {
    const access = await tokens?.access()
    try {
      return await endpoint(nameOf(access))
    } catch (error) {
      const wait =
        access && tokens && isTokenRefused(error)
          ? waitForBetterToken(access, error, tokens, sent)
          : waitAfterWrite(error, sent, options)
      const explained = await explain(error)
      if (!wait) throw explained
      return { kind: 'not-answered', error: explained, ...wait }
    }
  }

  return {
    async facts(wanted = 'cached') {
      const access = await tokens?.access()
      if (access && wanted === 'fresh' && tokens?.renew(access)) return tokens.access()
      return access
    },
    compare(base, head) {
      const compare = () => compareAnyway(base, head)
      // what two commits are to each other does not change, and many channels ask about the same two
      if (!refs.isSha(base) || !refs.isSha(head)) return compare()
      const pair = `${base} ${head}`
      const answer = askOnce(comparisons, pair, compare)
      // but a commit that was just pushed may be found a moment later
      answer.then(
        comparison => comparison === 'not-found' && comparisons.delete(pair),
        () => {},
      )
      return answer
    },
    listBranches: prefix => ask(name => refs.listBranches(client, name, prefix)),
    async findStandings(branches) {
      const { found, errors } = await askInParts(branches, graphql.findStandings)
      return { standings: found, errors }
    },
    async describeCommits(shas) {
      const { found, errors } = await askInParts(shas, graphql.describeCommits)
      return { commits: found, errors }
    },
    listActivities: (branch, options) =>
      ask(name => refs.listActivities(client, name, branch, options)).catch((error: unknown) => {
        throw explainNoActivity(error)
      }),
    async findOwnLogin() {
      if (credentials.kind !== 'app') return undefined
      const { findLogin } = await import('./app.ts')
      return findLogin(credentials, options)
    },
    findTrackedBranch: ref => ask(name => graphql.findTrackedBranch(client, name, ref)),
    findCommit: ref => ask(name => refs.findCommit(client, name, ref)),
    async updateBranches(updates, sent) {
      const access = await tokens?.access()
      if (!access) return { kind: 'refused', error: new Error('the id of the repository is not known') }
      try {
        return await write(async () => {
          await refs.updateBranches(client, access.nodeId, updates)
          return { kind: 'written' } as const
        }, sent)
      } catch (error) {
        // a smaller batch would meet the same limit or refusal
        if (error instanceof RateLimitError || error instanceof PermissionError) throw error
        return { kind: 'refused', error }
      }
    },
    findBranch: branch => ask(name => refs.findBranch(client, name, branch)),
    hasCommit: async sha => (await ask(name => refs.findCommit(client, name, sha))) !== undefined,
    findConflictingBranch: branch => ask(name => refs.findConflictingBranch(client, name, branch)),
    createBranch: (branch, sha, sent) => write(name => refs.createBranch(client, name, branch, sha), sent),
    fastForward: (branch, sha, sent) => write(name => refs.fastForward(client, name, branch, sha), sent),
    pause,
    isCalled: name => askOnce(names, name.toLowerCase(), () => isCalled(name)),
    async findNewName() {
      const access = await tokens?.access()
      const fullName = redirected ? await ask(name => refs.getFullName(client, name)) : access?.fullName
      return fullName === undefined || sameRepository(fullName, options.repository) ? undefined : fullName
    },
  }
}

/** After a write whose token was refused; undefined if another token would be refused as well. */
function waitForBetterToken(
  access: Access,
  error: RequestError,
  tokens: InstallationTokens,
  sent: number,
): Omit<NotAnswered, 'kind' | 'error'> | undefined {
  // the permissions may have been widened since an older token was made, so even a clear refusal is asked again
  if (!tokens.isFresh() && tokens.renew(access)) return waitForToken(true, sent)
  return tokens.isFresh() && !isDenied(error, access) ? waitForToken(false, sent) : undefined
}

function isTokenRefused(error: unknown): error is RequestError {
  return error instanceof RequestError && (error.status === 401 || isNotAccessible(error))
}

/** Refused for a permission that this token does not have: another token would have no more. */
function isDenied(error: RequestError, access: Access): boolean {
  return error.status === 403 && lackingPermissions(error, access.permissions) !== undefined
}
