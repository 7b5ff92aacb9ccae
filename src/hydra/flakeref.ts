// The locked flakeref of an eval, `jobsetevals.flake`: which repository and which commit Hydra evaluated.
// Source: src/libflake/flakeref.cc and src/libfetchers/{github,git}.cc of Nix.

import { cut } from '../base/log.ts'
import { hostNamed, isRepository, sameRepository } from '../base/repository-name.ts'

/** A repository and a commit: `github:alice/dotfiles/<40 hex>?narHash=…`, `git+ssh://git@github.com/alice/dotfiles?rev=<40 hex>`. */
export interface LockedFlakeref {
  kind: 'locked'
  /** `github.com`, without a port, in lower case; GitHub's other names are that one too */
  host: string
  /** `alice/dotfiles`, without `.git`; with more or fewer slashes on other forges */
  repository: string
  /** 40 hexadecimal digits in lower case */
  rev: string
}

/** What a flakeref must be of. */
export interface ExpectedRepository {
  /** one of them, by the name that {@link hostNamed} gives it */
  hosts: readonly string[]
  /** `alice/dotfiles` */
  repository: string
}

export interface UnusableFlakeref {
  kind: 'unusable'
  /** Why no commit of a forge's repository can be read from it, as the end of a sentence. */
  why: string
}

/** The forges that Nix knows by name, with the host they mean unless `host=` says otherwise. */
const FORGES: Readonly<Record<string, string>> = {
  github: 'github.com',
  gitlab: 'gitlab.com',
  sourcehut: 'git.sr.ht',
}

const MAX_SHOWN = 300

const NOT_TOLD = 'its user information cannot be told from the rest'

/** Reads a flakeref as Hydra stores it. Never throws: an unusable one is a value that says why. */
export function parseFlakeref(flakeref: string): LockedFlakeref | UnusableFlakeref {
  const parts = splitFlakeref(flakeref)
  if (!parts) return unusable('it is no URL-like flakeref')
  const { scheme, path, parameters, forge } = parts
  if (forge !== undefined) return parseForge(forge, path, parameters)
  if (/^git\+(https?|ssh)$/.test(scheme)) return parseGit(flakeref, parameters)
  if (scheme === 'git' || scheme.startsWith('git+'))
    return unusable(`“${scheme}:” names no repository on a forge`)
  return unusable(`“${scheme}:” names no commit of a git repository on a forge`)
}

/** `forge`: the host of a scheme that names one */
function splitFlakeref(flakeref: string) {
  const match = /^([a-z][a-z0-9+.-]*):([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(flakeref)
  if (!match) return undefined
  const [, scheme = '', path = '', query = ''] = match
  return {
    scheme,
    path,
    parameters: new URLSearchParams(query.replaceAll('+', '%2B')),
    forge: Object.hasOwn(FORGES, scheme) ? FORGES[scheme] : undefined,
  }
}

function parseForge(
  defaultHost: string,
  path: string,
  parameters: URLSearchParams,
): LockedFlakeref | UnusableFlakeref {
  const [owner, name, refOrRev, ...rest] = path.split('/').map(decode)
  if (!owner || !name || rest.length > 0) return unusable('it is not of the form owner/repository/revision')
  return locked({
    host: hostOf(parameters) ?? defaultHost,
    repository: `${owner}/${name}`,
    rev: refOrRev ?? parameters.get('rev') ?? undefined,
    unlocked: 'it names no revision, so it is not locked',
  })
}

function parseGit(flakeref: string, parameters: URLSearchParams): LockedFlakeref | UnusableFlakeref {
  let url: URL
  try {
    url = new URL(flakeref.slice('git+'.length))
  } catch {
    return unusable('its URL cannot be read')
  }
  return locked({
    host: url.hostname,
    repository: url.pathname.split('/').filter(Boolean).map(decode).join('/'),
    rev: parameters.get('rev') ?? undefined,
    unlocked: 'it has no rev: a working tree with uncommitted changes was evaluated',
  })
}

function locked(parts: {
  host: string
  repository: string
  rev: string | undefined
  unlocked: string
}): LockedFlakeref | UnusableFlakeref {
  if (!parts.rev) return unusable(parts.unlocked)
  if (!/^[0-9a-f]{40}$/i.test(parts.rev)) return unusable('its revision is not 40 hexadecimal digits')
  return {
    kind: 'locked',
    host: hostNamed(parts.host),
    repository: parts.repository.replace(/\.git$/, ''),
    rev: parts.rev.toLowerCase(),
  }
}

/** What a jobset follows of a repository. */
export type TrackedRef =
  | { kind: 'default branch' }
  /** a branch or, if there is none of that name, a tag: `main`, `v1` */
  | { kind: 'name'; name: string }
  /** `refs/heads/main` */
  | { kind: 'ref'; ref: string }
  /** `7`: its commits are on no branch, and anybody may open one */
  | { kind: 'pull request'; number: string }
  /** 40 digits */
  | { kind: 'pinned'; rev: string }
  /** `named`: on our host, so that it may be ours under another name, and what is followed then */
  | { kind: 'other repository'; named?: { repository: string; follows: TrackedRef } }

/**
 * Reads a jobset's flake as somebody entered it, not locked: `github:alice/dotfiles/main`,
 * `git+https://github.com/alice/dotfiles?ref=refs/heads/main`.
 */
export function parseTrackedRef(flake: string, expected: ExpectedRepository): TrackedRef {
  const other = { kind: 'other repository' } as const
  const parts = splitFlakeref(flake)
  if (!parts) return other
  const { scheme, path, parameters, forge } = parts
  const at = forge === undefined ? locateGit(scheme, flake) : locateForge(forge, path, parameters)
  if (!at || !expected.hosts.includes(at.host)) return other
  const follows = refIn(parameters, at)
  const { repository } = at
  if (sameRepository(repository, expected.repository)) return follows
  return isRepository(repository) ? { ...other, named: { repository, follows } } : other
}

function refIn(parameters: URLSearchParams, at: Location): TrackedRef {
  const ref = parameters.get('rev') ?? parameters.get('ref') ?? at.ref
  if (ref === '' || ref === 'HEAD') return { kind: 'default branch' }
  if (/^[0-9a-f]{40}$/i.test(ref)) return { kind: 'pinned', rev: ref.toLowerCase() }
  const number = /^(?:refs\/)?pull\/(\d+)(?:\/|$)/.exec(ref)?.[1]
  if (number !== undefined) return { kind: 'pull request', number }
  return ref.startsWith('refs/') ? { kind: 'ref', ref } : { kind: 'name', name: ref }
}

interface Location {
  host: string
  repository: string
  /** if the path names one; else '' */
  ref: string
}

function locateForge(defaultHost: string, path: string, parameters: URLSearchParams): Location {
  const [owner = '', name = '', ...ref] = path.split('/').map(decode)
  const host = hostNamed(hostOf(parameters) ?? defaultHost)
  return { host, repository: `${owner}/${name.replace(/\.git$/, '')}`, ref: ref.join('/') }
}

function locateGit(scheme: string, flake: string): Location | undefined {
  const url = /^git\+(https?|ssh)$/.test(scheme) ? flake.slice('git+'.length) : ''
  if (!URL.canParse(url)) return undefined
  const { hostname, pathname } = new URL(url)
  const repository = pathname.split('/').filter(Boolean).map(decode).join('/')
  return { host: hostNamed(hostname), repository: repository.replace(/\.git$/, ''), ref: '' }
}

/**
 * The flakeref for a log: `git+https://github.com/alice/dotfiles?rev=…`. User information is left out, and where it
 * cannot be told from the rest, so is the rest.
 */
export function showFlakeref(flakeref: string): string {
  return cut(withoutUserInformation(flakeref), MAX_SHOWN)
}

function withoutUserInformation(flakeref: string): string {
  if (!flakeref.includes('://')) {
    const rest = flakeref.replace(/^[^/?#]*@/, '')
    return rest.includes('@') ? `(not shown: ${NOT_TOLD})` : rest
  }
  const scheme = flakeref.slice(0, flakeref.indexOf('://'))
  if (!/^[a-z][a-z0-9+.-]*$/i.test(scheme)) return '(not shown: no flakeref)'
  try {
    // the host only; a password with a slash, “?” or “#” in it makes this throw or leaves an “@” behind
    new URL(`http${flakeref.slice(scheme.length)}`)
  } catch {
    return `${scheme}://… (not shown: its URL cannot be read)`
  }
  const rest = flakeref.slice(scheme.length + '://'.length).replace(/^[^?#]*@/, '')
  return rest.includes('@') ? `${scheme}://… (not shown: ${NOT_TOLD})` : `${scheme}://${rest}`
}

/** Without a port. */
function hostOf(parameters: URLSearchParams): string | undefined {
  const host = parameters.get('host') ?? undefined
  const colon = host?.lastIndexOf(':') ?? -1
  return colon > 0 && /^\d+$/.test(host?.slice(colon + 1) ?? '') ? host?.slice(0, colon) : host
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function unusable(why: string): UnusableFlakeref {
  return { kind: 'unusable', why }
}
