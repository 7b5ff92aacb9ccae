// An installation token of the App, for one repository and no more than it needs.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app

import { RequestError } from '@octokit/request-error'
import { NotInstalledError, OperatorError, PermissionError } from '../base/errors.ts'
import { installUrl } from '../base/links.ts'
import type { AppCredentials } from './credentials.ts'
import { explainRefusal, grantPermission, suspended } from './refusal.ts'
import {
  createClient,
  type GitHubClient,
  messageOfAnswer,
  type RequestOptions,
  repositoryIdOf,
} from './request.ts'
import type { Access } from './token-cache.ts'

/**
 * Two requests: the installation on the repository, and a token that is narrowed to it.
 *
 * @throws OperatorError if the App is not installed, suspended, lacks `contents: write`, or its key is refused
 */
export async function mintToken(
  credentials: AppCredentials,
  repository: string,
  options: RequestOptions,
): Promise<Access> {
  const client = await createAppClient(credentials, options)
  try {
    const { installation, repositoryId } = await findInstallation(client, repository)
    checkGranted(installation)
    const [, name = ''] = repository.split('/')
    // asking for a permission that the installation lacks is refused as a whole
    const workflows = installation.permissions.workflows === 'write' ? { workflows: 'write' as const } : {}
    const { data } = await client.rest.apps.createInstallationAccessToken({
      installation_id: installation.id,
      ...(repositoryId === undefined ? { repositories: [name] } : { repository_ids: [repositoryId] }),
      permissions: { contents: 'write', ...workflows },
    })
    const [found] = data.repositories ?? []
    if (!found) throw new OperatorError('GitHub made a token for no repository')
    return {
      token: data.token,
      expiresAt: data.expires_at,
      fullName: found.full_name,
      nodeId: found.node_id,
      defaultBranch: found.default_branch ?? '',
      archived: found.archived ?? false,
      permissions: { ...(data.permissions as Record<string, string>) },
    }
  } catch (error) {
    throw explainRefusal(error, { as: 'app' })
  }
}

/** Asks as the App itself, with its key. */
export async function createAppClient(
  { appId, privateKey }: AppCredentials,
  options: RequestOptions,
): Promise<GitHubClient> {
  const { createAppAuth } = await import('@octokit/auth-app')
  // a client of its own: auth-app and plugin-retry in one would retry inside of each other's retries
  return createClient(options, { authStrategy: createAppAuth, auth: { appId, privateKey } })
}

/** Whom GitHub names for what the App does: `hydra-channels-alice[bot]`. */
export async function findLogin(
  credentials: AppCredentials,
  options: RequestOptions,
): Promise<string | undefined> {
  try {
    const { data: app } = await (await createAppClient(credentials, options)).rest.apps.getAuthenticated()
    return app?.slug === undefined ? undefined : `${app.slug}[bot]`
  } catch (error) {
    throw explainRefusal(error, { as: 'app' })
  }
}

/** @throws NotInstalledError if the App is not installed on the repository */
export async function findInstallation(client: GitHubClient, repository: string) {
  const [owner = '', repo = ''] = repository.split('/')
  const { data: installation, url } = await client.rest.apps
    .getRepoInstallation({ owner, repo })
    .catch(async error => {
      throw error instanceof RequestError && error.status === 404 ? await notInstalled(client, error) : error
    })
  // a renamed repository redirects to /repositories/ID, and a token is made for the ID: its old name is not known there
  return { installation, repositoryId: repositoryIdOf(url) }
}

type Installation = Awaited<ReturnType<typeof findInstallation>>['installation']

function checkGranted({ suspended_at: since, permissions }: Installation): void {
  if (since) {
    const { why, hint } = suspended(since)
    throw new PermissionError(why, { hint })
  }
  if (permissions.contents !== 'write') {
    throw new PermissionError('the GitHub App lacks the permission contents: write', {
      hint: grantPermission('contents: write'),
    })
  }
}

/** The App's own page says where it can be installed. This request also tells if the key is refused. */
async function notInstalled(client: GitHubClient, error: RequestError): Promise<NotInstalledError> {
  const { data: app } = await client.rest.apps.getAuthenticated()
  return new NotInstalledError(
    'the GitHub App is not installed on this repository, or there is no such repository',
    {
      hint: `install it at ${app ? installUrl(app.html_url) : 'its page on GitHub'}`,
      cause: new Error(messageOfAnswer(error)),
    },
  )
}
