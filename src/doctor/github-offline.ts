// What the configuration alone tells of GitHub, without a request: a Nix build has neither the key nor a network.

import type { GitHubConfig } from '../github/config.ts'
import type { Note } from './check.ts'

export function notesOnGitHub(
  github: GitHubConfig,
  env: Readonly<Record<string, string | undefined>>,
): Note[] {
  return [credentialsNote(github, env), addressNote(new URL(github.apiUrl))].filter(
    note => note !== undefined,
  )
}

/** The environment of the services may name them too, which nobody sees here. */
function credentialsNote(
  { appId, privateKeyFile }: GitHubConfig,
  env: Readonly<Record<string, string | undefined>>,
): Note | undefined {
  if (appId !== undefined && privateKeyFile !== undefined) return undefined
  if (env.GITHUB_APP_ID && env.GITHUB_APP_PRIVATE_KEY_FILE) return undefined
  const missing = [
    ...(appId === undefined ? ['github.appId'] : []),
    ...(privateKeyFile === undefined ? ['github.privateKeyFile'] : []),
  ]
  return {
    words: `it does not name the GitHub App (${missing.join(', ')})`,
    hint: 'set github.appId and github.privateKeyFile, unless GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE are set where it runs; hydra-channels create-app makes an App',
  }
}

/** What a person has in the browser is not the address of the API. */
function addressNote({ hostname, pathname, origin }: URL): Note | undefined {
  const hint = (url: string) => `set github.apiUrl to ${url}`
  if (hostname === 'api.github.com' || /^api\.[^.]+\.ghe\.com$/.test(hostname)) return undefined
  if (/^(?:www\.)?github\.com$/.test(hostname)) {
    return { words: `${origin} is GitHub's web page, and not its API`, hint: hint('https://api.github.com') }
  }
  if (/^[^.]+\.ghe\.com$/.test(hostname)) {
    return { words: `${origin} is GitHub's web page, and not its API`, hint: hint(`https://api.${hostname}`) }
  }
  if (pathname.endsWith('/api/v3')) return undefined
  return {
    words: `github.apiUrl, ${origin}${pathname === '/' ? '' : pathname}, does not end with /api/v3, as that of a GitHub Enterprise Server does`,
    hint: `${hint(`${origin}/api/v3`)}, unless it is a proxy before api.github.com`,
  }
}
