// A GitHub App from a manifest: what it says, where the browser takes it, the code that comes back for it, and the
// installation that follows. https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
import { RequestError } from '@octokit/request-error'
import * as z from 'zod/mini'
import { OperatorError } from '../base/errors.ts'
import { HttpError } from '../base/http-error.ts'
import { appsUrl } from '../base/links.ts'
import { createClient, type GitHubClient, messageOfAnswer, type RequestOptions } from '../github/request.ts'

/** GitHub wants one for every App; it can be changed in the App's settings. */
const HOMEPAGE = 'https://github.com/NixOS/hydra'

/** All that the channels need, and nothing else: docs/install.md says why. */
export const PERMISSIONS = { contents: 'write', workflows: 'write', metadata: 'read' } as const

/** Where an App is created, and whose it will be. */
export interface Registration {
  /** `https://github.com`, as a browser knows it */
  webUrl: string
  /** an organization; undefined: the user who is signed in */
  owner: string | undefined
  name: string
}

/** Where the manifest is posted, as the form field `manifest`. */
export function newAppUrl(registration: Registration, state: string): string {
  return `${appsUrl(registration)}/new?${new URLSearchParams({ state })}`
}

/** JSON. `hook_attributes` is left out: GitHub refuses them without a `url`, even with `active: false`. */
export function manifestOf({ name }: Registration, redirectUrl: string): string {
  return JSON.stringify({
    name,
    url: HOMEPAGE,
    redirect_url: redirectUrl,
    public: false,
    default_permissions: PERMISSIONS,
  })
}

/** GitHub's own form with everything filled in, for those who create the App by hand. */
export function prefilledUrl(registration: Registration): string {
  const parameters = {
    name: registration.name,
    url: HOMEPAGE,
    public: 'false',
    webhook_active: 'false',
    ...PERMISSIONS,
  }
  return `${appsUrl(registration)}/new?${new URLSearchParams(parameters)}`
}

/** What has to be in that form. */
export function describeForm({ name }: Registration): string[] {
  return [
    `GitHub App name: ${name} (any that is free)`,
    `Homepage URL: ${HOMEPAGE} (any)`,
    'Webhook: not Active',
    'Repository permissions: Contents: Read and write; Workflows: Read and write; Metadata: Read-only',
    'Where can this GitHub App be installed: Only on this account',
  ]
}

/**
 * Whether GitHub answers there at all, before anything is created that would then have no key.
 *
 * @throws OperatorError
 */
export async function checkApi(options: RequestOptions): Promise<void> {
  try {
    await createClient(options).rest.rateLimit.get()
  } catch (error) {
    // an Enterprise Server may have no limits (404), or want a login (401)
    if (error instanceof RequestError && error.response && error.status < 500) return
    throw new OperatorError(`GitHub could not be asked at ${options.apiUrl}: ${reasonOf(error)}`, {
      hint: 'nothing was created; check --api-url, and https_proxy if there is a proxy, and run this again',
      cause: error,
    })
  }
}

export interface CreatedApp {
  clientId: string
  /** `hydra-channels-alice`: letters, digits, “-” and “_” */
  slug: string
  name: string
  /** undefined if GitHub does not say */
  owner: string | undefined
  /** `https://github.com/apps/hydra-channels-alice` */
  htmlUrl: string
  /** PEM */
  privateKey: string
}

const PRIVATE_KEY = /^-----BEGIN (?:RSA )?PRIVATE KEY-----\n[^-]+\n-----END (?:RSA )?PRIVATE KEY-----\s*$/

const conversionSchema = z.object({
  client_id: z.string().check(z.minLength(1)),
  // becomes the name of a file
  slug: z.string().check(z.regex(/^[\w-]+$/)),
  name: z.string(),
  html_url: z.url({ protocol: /^https?$/ }),
  owner: z.object({ login: z.optional(z.string()) }),
  pem: z.string().check(z.regex(PRIVATE_KEY)),
})

/** What to do if the App was created and its key did not arrive. */
export function withoutKeyHint(registration: Registration): string[] {
  return [
    `the App may be there all the same: delete it at ${appsUrl(registration)}, and run this again`,
    'or make a private key on its page there; hydra-channels create-app --manual says what to do with it',
  ]
}

/**
 * Turns the code that the browser brought back into the App and its key; works once, within the hour.
 *
 * @throws OperatorError that shows neither code nor key: the code is enough to fetch the key
 */
export async function convertCode(
  code: string,
  registration: Registration,
  options: RequestOptions,
): Promise<CreatedApp> {
  // no cause: Octokit's error has the code in its URL, and its answer may have the secrets
  const withoutKey = (reason: string) =>
    new OperatorError(`cannot get the key of the new App: ${reason}`, { hint: withoutKeyHint(registration) })
  let data: unknown
  try {
    ;({ data } = await createClient(options).rest.apps.createFromManifest({ code }))
  } catch (error) {
    const unknown = error instanceof RequestError && [404, 422].includes(error.status)
    throw withoutKey(
      unknown
        ? `GitHub does not take the code that the browser brought back (${reasonOf(error)}): it works once, and for an hour`
        : reasonOf(error),
    )
  }
  const app = conversionSchema.safeParse(data)
  if (!app.success) {
    const lacking = app.error.issues.map(({ path }) => path.join('.') || 'App')
    throw withoutKey(`GitHub's answer has no usable ${lacking.join(', ')} in it`)
  }
  const { client_id, slug, name, owner, html_url, pem } = app.data
  return { clientId: client_id, slug, name, owner: owner.login, htmlUrl: html_url, privateKey: pem }
}

/** A client that speaks as the App itself. */
export async function openApp(
  { clientId, privateKey }: CreatedApp,
  options: RequestOptions,
): Promise<GitHubClient> {
  const { createAppAuth } = await import('@octokit/auth-app')
  return createClient(options, { authStrategy: createAppAuth, auth: { appId: clientId, privateKey } })
}

export interface Installation {
  /** undefined if GitHub does not say */
  account: string | undefined
  repositories: 'all' | 'selected'
}

/** The first installation of an App; undefined if it has none. */
export async function findFirstInstallation(client: GitHubClient): Promise<Installation | undefined> {
  const { data } = await client.rest.apps.listInstallations({ per_page: 1 })
  const [first] = data
  if (!first) return undefined
  const { account, repository_selection } = first
  return { account: account?.login ?? account?.slug, repositories: repository_selection }
}

/** What went wrong with a request, without its URL. */
export function reasonOf(error: unknown): string {
  if (error instanceof OperatorError) return error.message
  if (!(error instanceof RequestError)) throw error
  if (!error.response) return error.cause instanceof HttpError ? error.cause.message : 'there was no answer'
  const message = messageOfAnswer(error)
  return `GitHub answered ${error.status}${message && `: ${message}`}`
}
