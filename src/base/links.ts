// What messages offer: links to pages of GitHub and Hydra, and commands that somebody can paste into a shell.

interface Branch {
  /** `alice/dotfiles` */
  repository: string
  /** `nixos-tested-nas` */
  branch: string
}

/** `https://api.github.com` becomes `https://github.com`, and `https://HOST/api/v3` becomes `https://HOST`. */
export function webUrlOf(apiUrl: string): string {
  const { protocol, host, pathname } = new URL(apiUrl)
  return `${protocol}//${pathname === '/' ? host.replace(/^api\./, '') : host}`
}

/** The page that shows what `to` has and `from` does not have. */
export function compareUrl(repository: string, from: string, to: string, webUrl: string): string {
  return `${webUrl}/${repository}/compare/${from}...${to}`
}

export function commitUrl(repository: string, sha: string, webUrl: string): string {
  return `${webUrl}/${repository}/commit/${sha}`
}

export function branchUrl({ repository, branch }: Branch, webUrl: string): string {
  return `${webUrl}/${repository}/tree/${branch.toWellFormed().split('/').map(encodeURIComponent).join('/')}`
}

/** The list of an account's Apps. */
export function appsUrl({ webUrl, owner }: { webUrl: string; owner: string | undefined }): string {
  return owner === undefined ? `${webUrl}/settings/apps` : `${webUrl}/organizations/${owner}/settings/apps`
}

/** @param app the App's own page, `https://github.com/apps/hydra-channels-alice` */
export function installUrl(app: string): string {
  return `${app}/installations/new`
}

// Without `hydraUrl` in the configuration, there are no links to Hydra.

export function buildUrl(hydraUrl: string | undefined, build: number): string | undefined {
  return hydraUrl && `${hydraUrl}/build/${build}`
}

export function evalUrl(hydraUrl: string | undefined, evalId: number): string | undefined {
  return hydraUrl && `${hydraUrl}/eval/${evalId}`
}

export function jobsetUrl(
  hydraUrl: string | undefined,
  { project, jobset }: { project: string; jobset: string },
): string | undefined {
  return hydraUrl && `${hydraUrl}/jobset/${encodeURIComponent(project)}/${encodeURIComponent(jobset)}`
}

/** Puts the branch at a commit, whatever it has now. The owner may do that; this program never does. */
export function forceCommand(branch: Branch, sha: string, webUrl: string): string {
  const { repository, branch: name } = branch
  const path = `repos/${repository}/git/refs/heads/${name.split('/').map(encodeURIComponent).join('/')}`
  const { host } = new URL(webUrl)
  const hostname = host === 'github.com' ? '' : `--hostname ${host} `
  return `gh api ${hostname}-X PATCH ${shellWord(path)} -f sha=${sha} -F force=true`
}

/** @param channel as typed: `alice/dotfiles:nixos-tested-nas` */
export function releaseCommand(channel: string): string {
  return `hydra-channels release ${shellWord(channel)}`
}

export const RELEASE_ALL = 'hydra-channels release --all'

export function journalCommand(unit: string): string {
  return `journalctl -u ${shellWord(unit)}`
}

/** One word of a command line: a branch may be called `a;b`. */
export function shellWord(word: string): string {
  return /^[\w./%@:+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
