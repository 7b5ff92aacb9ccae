// The name of a repository on GitHub: `alice/dotfiles`, and the host that it is on.

import { listSome } from './log.ts'

/** github.com itself has 39. */
const MAX_OWNER_LENGTH = 64

/** GitHub's own limits on names; an underscore is in the logins of Enterprise Managed Users only. */
export function isRepository(fullName: string): boolean {
  const [owner = '', name = '', ...rest] = fullName.split('/')
  return rest.length === 0 && ownerProblem(owner) === undefined && repositoryNameProblem(name) === undefined
}

/** Why `owner` cannot be a user or an organization on GitHub; undefined if it can. */
export function ownerProblem(owner: string): string | undefined {
  if (owner.length > MAX_OWNER_LENGTH) return `an owner has at most ${MAX_OWNER_LENGTH} characters`
  return /^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(owner)
    ? undefined
    : 'an owner has letters, digits and “-”, and starts with a letter or a digit'
}

/** Why `name` cannot be a repository on GitHub; undefined if it can. */
export function repositoryNameProblem(name: string): string | undefined {
  if (name.endsWith('.git')) return 'a repository is named without “.git”'
  return /^[A-Za-z0-9._-]{1,100}$/.test(name) && name !== '.' && name !== '..'
    ? undefined
    : 'a repository has letters, digits, “.”, “_” and “-”, at most 100'
}

/**
 * The host of a flakeref, by the one name that it is compared by. GitHub answers ssh on port 443 as ssh.github.com.
 * https://docs.github.com/authentication/troubleshooting-ssh/using-ssh-over-the-https-port
 */
export function hostNamed(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '')
  return name === 'ssh.github.com' || name === 'www.github.com' ? 'github.com' : name
}

/** `github.com/alice/dotfiles`, or `alice/dotfiles on github.com, github-alice` */
export function showRepository(hosts: readonly string[], repository: string): string {
  const [host] = hosts
  return hosts.length === 1 ? `${host}/${repository}` : `${repository} on ${listSome(hosts)}`
}

/** GitHub ignores case in names. */
export function sameRepository(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
