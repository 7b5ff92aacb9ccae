// GitHub's half: the App and its key, the clocks, and each repository of the rules.
import { systemClock } from '../base/clock.ts'
import type { Deadline } from '../base/deadline.ts'
import { messageOf, OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import type { RepositoryFacts } from '../channels/forge.ts'
import { ARCHIVED } from '../channels/forge.ts'
import { describeRename } from '../channels/safeguards.ts'
import type { Config } from '../config.ts'
import { createAppClient, findInstallation } from '../github/app.ts'
import { type AppCredentials, findCredentials } from '../github/credentials.ts'
import { explainRefusal, grantPermission, suspended } from '../github/refusal.ts'
import { openRepository } from '../github/repository.ts'
import { API_VERSION, type RequestOptions, USER_AGENT } from '../github/request.ts'
import type { Survey } from '../status/survey.ts'
import {
  type Answer,
  after,
  type Check,
  type Checked,
  check,
  type Note,
  notChecked,
  noteMode,
  withNotes,
} from './check.ts'

/** GitHub takes a key's signature that is dated up to a minute ahead. */
const MAX_CLOCK_SECONDS = 30

export interface GitHubOptions {
  config: Config
  env: Readonly<Record<string, string | undefined>>
  http: Http
  deadline: Deadline
}

/** A repository that the App may write to, with what GitHub says of it now. */
export interface OpenedRepository {
  name: string
  repository: Survey
  facts: RepositoryFacts
}

type Client = Awaited<ReturnType<typeof createAppClient>>

export function checkGitHub(options: GitHubOptions): {
  checks: Promise<Check>[]
  repositories: Promise<Checked<OpenedRepository>>[]
} {
  const { config, http, deadline } = options
  const { apiUrl, attemptTimeoutSeconds } = config.github
  const request: RequestOptions = {
    http,
    apiUrl,
    deadline,
    attemptTimeoutMs: attemptTimeoutSeconds * 1000,
    secondMs: 1000,
  }
  const key = check('key', () => checkKey(options))
  const app = after('app', key, credentials => checkApp(credentials, request))
  const clock = check('clock', () => checkClock(request))
  const names = new Map(config.channels.map(({ repository }) => [repository.toLowerCase(), repository]))
  const each = [...names.values()].map(name => {
    const installation = after('installation', app, client => checkInstallation(client, name))
    const permissions = after('permissions', installation, granted => checkPermissions(granted, name))
    const repository = after('repository', permissions, async () =>
      checkRepository(name, { ...request, credentials: (await key).found }),
    )
    return { installation, permissions, repository }
  })
  return {
    checks: [
      key,
      app,
      clock,
      ...each.flatMap(({ installation, permissions, repository }) => [installation, permissions, repository]),
    ],
    repositories: each.map(({ repository }) => repository),
  }
}

function checkKey({ config, env }: GitHubOptions): Answer<AppCredentials> {
  const credentials = findCredentials({ env, config: config.github, personalToken: 'ignored' })
  if (credentials.kind === 'token') throw new Error('a personal token was ignored')
  const { source, appId, keyFile = '' } = credentials
  const file =
    source === 'environment' ? env.GITHUB_APP_PRIVATE_KEY_FILE : (config.github.privateKeyFile ?? '')
  const message = `${file} holds an RSA key, for the App ${appId} (${source})`
  const then = 'they can act as the App: then make a new key'
  const notes = [...noteMode(keyFile, { whose: 'its mode', then }), ...noteInline(config)]
  return withNotes(message, notes, credentials)
}

/** Hydra runs all hooks as hydra-notify's user, with hydra-notify's credentials. */
function noteInline({ hook, cache }: Config): Note[] {
  if (hook.mode !== 'inline') return []
  const login = cache?.netrcFile === undefined ? '' : " and the cache's login"
  return [
    {
      words: `hook.mode is "inline", so every hook of this Hydra, which runs as the same user, can read the key, the GitHub tokens that are kept for an hour${login}`,
      hint: 'if you do not trust all hooks with that (dynamic ones come from the jobsets themselves), set hook.mode to "detached": hydra-notify then needs none of it',
    },
  ]
}

async function checkApp(credentials: AppCredentials, request: RequestOptions): Promise<Answer<Client>> {
  const { appId } = credentials
  const client = await createAppClient(credentials, request)
  const { data: app } = await client.rest.apps.getAuthenticated().catch(error => {
    throw explainRefusal(error, { as: 'app' })
  })
  if (!app) throw new OperatorError(`${request.apiUrl} does not tell which App the key belongs to`)
  const called = `“${app.name}” (${app.html_url})`
  if (appId !== String(app.id) && appId !== app.client_id) {
    throw new OperatorError(
      `the key is of the App ${called} with the id ${app.id} and the client id ${app.client_id}, and the configuration says ${appId}`,
      { hint: 'correct github.appId, or use the key of that App' },
    )
  }
  return { message: `${appId} is ${called}, and the key is one of its keys`, found: client }
}

/** Whatever GitHub answers is dated, a refusal too: so this needs no key. */
async function checkClock({ http, apiUrl, attemptTimeoutMs }: RequestOptions): Promise<Answer<never>> {
  const url = `${apiUrl}/app`
  const askedAt = systemClock.now()
  const headers = { 'user-agent': USER_AGENT, 'x-github-api-version': API_VERSION }
  const answer = await http.fetch(url, { headers, timeoutMs: attemptTimeoutMs }).catch(messageOf)
  if (typeof answer === 'string') return notChecked(`GitHub could not be asked: ${answer} (GET ${url})`)
  const date = Date.parse(answer.headers.get('date') ?? '')
  if (Number.isNaN(date)) return notChecked(`the answer of ${url} has no date`)
  const seconds = Math.round(((askedAt + systemClock.now()) / 2 - date) / 1000)
  const message =
    Math.abs(seconds) <= 1
      ? `this machine's clock agrees with that of ${new URL(apiUrl).host}`
      : `this machine's clock is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} that of ${new URL(apiUrl).host}`
  if (Math.abs(seconds) <= MAX_CLOCK_SECONDS) return { message }
  return {
    result: 'failed',
    message,
    hint: 'GitHub refuses a key if the clock is wrong: let systemd-timesyncd set the clock (NixOS: services.timesyncd.enable), and see timedatectl',
  }
}

type Granted = Readonly<Record<string, string | undefined>>

async function checkInstallation(client: Client, name: string): Promise<Answer<Granted>> {
  const { installation } = await findInstallation(client, name).catch(error => {
    throw of(name, explainRefusal(error, { as: 'app' }))
  })
  if (installation.suspended_at) {
    const { why, hint } = suspended(installation.suspended_at)
    throw new OperatorError(`${name}: ${why}`, { hint })
  }
  return {
    message: `${name}: the App is installed there, and not suspended`,
    found: { ...(installation.permissions as Granted) },
  }
}

function checkPermissions({ contents, workflows }: Granted, name: string): Answer<true> {
  if (contents !== 'write') {
    throw new OperatorError(
      `${name}: the App lacks the permission contents: write (it has contents: ${contents ?? 'none'})`,
      { hint: grantPermission('contents: write') },
    )
  }
  if (workflows !== 'write') {
    return {
      result: 'note',
      message: `${name}: contents: write, but not workflows: write, so a channel cannot move to a commit whose files in .github/workflows are on no branch`,
      hint: `if the repository has workflows: ${grantPermission('workflows: write')}`,
      found: true,
    }
  }
  return { message: `${name}: contents: write, workflows: write`, found: true }
}

/** With a token of its own: what came with a kept one may be an hour old. */
async function checkRepository(
  name: string,
  { credentials, ...request }: RequestOptions & { credentials: AppCredentials | undefined },
): Promise<Answer<OpenedRepository>> {
  if (!credentials) throw new Error('there is an installation, so there was a key')
  const repository = openRepository({ ...request, repository: name, credentials, cacheDirectory: undefined })
  const facts = await repository.facts().catch(error => {
    throw of(name, error)
  })
  if (!facts) throw new Error('an App is told about its repositories')
  const found = { name, repository, facts }
  if (facts.archived) {
    return { result: 'failed', message: `${name}: ${ARCHIVED.why}`, hint: ARCHIVED.hint, found }
  }
  const rename = await describeRename(repository, name)
  if (rename) return { result: 'note', message: rename, found }
  return { message: `${name}: neither archived nor renamed`, found }
}

/** GitHub's refusals do not name the repository. */
function of(name: string, error: unknown): unknown {
  if (!(error instanceof OperatorError)) return error
  return new OperatorError(`${name}: ${error.message}`, { hint: error.hint, cause: error })
}
