// Who asks, and what they may do. Statuses and messages are GitHub's.

import { verify } from 'node:crypto'
import type { Permissions, Repository, State, Token } from './state.ts'

/** An answer that is not a success; thrown, because it ends a request wherever it is noticed. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number
  readonly headers: Record<string, string>

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

const NOT_ACCESSIBLE = 'Resource not accessible by integration'
const NO_JWT = 'A JSON web token could not be decoded'
const MAX_JWT_SECONDS = 600

export function credentialsOf(authorization: string | undefined): string | undefined {
  return /^(?:bearer|token) +(\S+)$/i.exec(authorization ?? '')?.[1]
}

export const looksLikeJwt = (credentials: string) => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(credentials)

/** Throws 401 unless the credentials are a JWT that the App signed, of the right time. */
export function requireApp(state: State, credentials: string | undefined): void {
  const [header = '', payload = '', signature = ''] = credentials?.split('.') ?? []
  if (!credentials || !looksLikeJwt(credentials)) throw new Refusal(401, NO_JWT)
  const signed = Buffer.from(`${header}.${payload}`)
  const genuine = verify('RSA-SHA256', signed, state.app.publicKey, Buffer.from(signature, 'base64url'))
  const { alg } = parsePart(header)
  const { iss, iat, exp } = parsePart(payload)
  const issuers = [String(state.app.id), state.app.clientId]
  if (!genuine || alg !== 'RS256' || !issuers.includes(String(iss))) throw new Refusal(401, NO_JWT)

  const now = Math.floor(state.now() / 1000)
  if (!Number.isInteger(exp) || Number(exp) <= now) {
    const wanted = 'a numeric value representing the future time at which the assertion expires'
    throw new Refusal(401, `'Expiration time' claim ('exp') must be ${wanted}`)
  }
  if (Number(exp) > now + MAX_JWT_SECONDS) {
    throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
  }
  if (!Number.isInteger(iat) || Number(iat) > now) {
    const wanted = 'an Integer representing the time that the assertion was issued'
    throw new Refusal(401, `'Issued at' claim ('iat') must be ${wanted}`)
  }
}

function parsePart(part: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) ?? {}
  } catch {
    throw new Refusal(401, NO_JWT)
  }
}

export function requireToken(state: State, credentials: string | undefined): Token {
  if (credentials === undefined) throw new Refusal(401, 'Requires authentication')
  const token = state.tokens.get(credentials)
  if (!token || token.expiresAt <= state.now()) throw new Refusal(401, 'Bad credentials')
  if (token.installation?.suspended) throw new Refusal(403, 'This installation has been suspended')
  return token
}

/** GitHub does not tell a repository that does not exist from one that the token may not see. */
export function isVisible(token: Token, repository: Repository): boolean {
  if (!token.installation) return true
  const covered = repository.installed && repository.installation === token.installation
  return covered && (token.repositoryIds?.has(repository.id) ?? true)
}

export function requireVisible(token: Token, repository: Repository): void {
  if (!isVisible(token, repository)) throw new Refusal(404, 'Not Found')
}

const LEVELS = ['read', 'write', 'admin']

export function grants(granted: Permissions, name: string, level: string): boolean {
  return LEVELS.indexOf(granted[name] ?? '') >= LEVELS.indexOf(level)
}

/** A token never has more than its installation has now. */
export function may(token: Token, name: string, level: string): boolean {
  const installation = token.installation?.permissions ?? token.permissions
  return grants(token.permissions, name, level) && grants(installation, name, level)
}

export function requirePermission(token: Token, name: string, level: string): void {
  if (may(token, name, level)) return
  throw new Refusal(403, NOT_ACCESSIBLE, { 'X-Accepted-GitHub-Permissions': `${name}=${level}` })
}

export function requireContents(token: Token, repository: Repository, level: 'read' | 'write'): void {
  requirePermission(token, 'contents', level)
  if (level === 'write' && repository.archived) {
    throw new Refusal(403, 'Repository was archived so is read-only.')
  }
}

/** GitHub names no permission when it is the workflows rule that refuses. */
export function requireWorkflows(token: Token): void {
  if (!may(token, 'workflows', 'write')) throw new Refusal(403, NOT_ACCESSIBLE)
}

export interface TokenRequest {
  repositories?: string[]
  repository_ids?: number[]
  permissions?: Permissions
}

/** Chooses what a new token covers, or throws GitHub's 403 or 422. */
export function chooseToken(state: State, installationId: number, wanted: TokenRequest) {
  const installation = state.findInstallation(installationId)
  if (!installation) throw new Refusal(404, 'Not Found')
  if (installation.suspended) throw new Refusal(403, 'This installation has been suspended')

  const all = state.repositoriesOf(installation)
  const names = wanted.repositories ?? []
  const ids = wanted.repository_ids ?? []
  const chosen = [
    ...names.map(name => all.find(repository => repository.name.toLowerCase() === name.toLowerCase())),
    ...ids.map(id => all.find(repository => repository.id === id)),
  ].filter(repository => repository !== undefined)
  if (chosen.length < names.length + ids.length) {
    const what = 'does not exist or is not accessible to the parent installation.'
    throw new Refusal(422, `There is at least one repository that ${what}`)
  }
  const narrowed = names.length + ids.length > 0
  const repositories = narrowed ? [...new Set(chosen)] : undefined

  for (const [name, level] of Object.entries(wanted.permissions ?? {})) {
    if (!grants(installation.permissions, name, level)) {
      throw new Refusal(422, 'The permissions requested are not granted to this installation.')
    }
  }
  // Every token may read the metadata, asked for or not.
  const permissions = { ...(wanted.permissions ?? installation.permissions), metadata: 'read' }
  return { installation, repositories, permissions }
}
