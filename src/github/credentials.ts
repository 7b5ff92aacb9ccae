// Whose name we act in: flags, then the environment, then the configuration. Secrets come as the path of a file.
import { readFileSync } from 'node:fs'
import { findCredentialFile, refuseMissing, refuseSecret } from '../base/credential-file.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import type { GitHubConfig } from './config.ts'
import { parseKeyFile } from './private-key.ts'

const KEY = { what: "the App's private key", key: 'github.privateKeyFile' }
/** As PEM, also without its first line; and that in base64 once more. */
const KEY_ITSELF = { what: 'a key', pattern: /-----BEGIN|LS0tLS1CRUdJTi|MII[\w+/\s\\]{60}/ }
const MISSING_KEY = { what: 'private key of the App', put: "put the App's .pem file there" }

export interface AppCredentials {
  kind: 'app'
  /** client id or App id */
  appId: string
  /** PEM, PKCS#1 or PKCS#8 */
  privateKey: string
  /** where it was read */
  keyFile?: string
  /** for the log: `flags`, `environment`, `configuration` */
  source: string
}

export interface TokenCredentials {
  kind: 'token'
  token: string
  source: 'GITHUB_TOKEN'
}

export type Credentials = AppCredentials | TokenCredentials

interface Found {
  appId: string | undefined
  keyFile: string | undefined
  source: string
  /** how the two are called there */
  names: readonly [string, string]
}

export interface CredentialSources {
  flags?: { appId?: string | undefined; privateKeyFile?: string | undefined }
  env: Readonly<Record<string, string | undefined>>
  config: Pick<GitHubConfig, 'appId' | 'privateKeyFile'>
  /** `GITHUB_TOKEN` stands in for an App in `channel-update` only: a person's token has no place in a hook. */
  personalToken: 'accepted' | 'ignored'
}

/**
 * The first that is there of: flags, environment, (`GITHUB_TOKEN`,) configuration.
 *
 * @throws UsageError when there is none, or only half of one, or when the key file is missing or no PEM
 */
export function findCredentials({ flags = {}, env, config, personalToken }: CredentialSources): Credentials {
  const fromFlags: Found = {
    appId: flags.appId?.trim(),
    keyFile: flags.privateKeyFile,
    source: 'flags',
    names: ['--app-id', '--private-key-file'],
  }
  const fromEnvironment: Found = {
    appId: env.GITHUB_APP_ID?.trim() || undefined,
    keyFile: env.GITHUB_APP_PRIVATE_KEY_FILE || undefined,
    source: 'environment',
    names: ['GITHUB_APP_ID', 'GITHUB_APP_PRIVATE_KEY_FILE'],
  }
  const fromConfig: Found = {
    appId: config.appId,
    keyFile: config.privateKeyFile,
    source: 'configuration',
    names: ['github.appId', 'github.privateKeyFile'],
  }
  for (const { keyFile, names } of [fromFlags, fromEnvironment, fromConfig]) {
    if (keyFile !== undefined) refuseSecret(keyFile, names[1], KEY_ITSELF)
  }
  for (const found of [fromFlags, fromEnvironment]) {
    if (found.appId !== undefined || found.keyFile !== undefined) return read(found, found.keyFile)
  }
  if (personalToken === 'accepted' && env.GITHUB_TOKEN) {
    return { kind: 'token', token: readToken(env.GITHUB_TOKEN), source: 'GITHUB_TOKEN' }
  }
  if (fromConfig.appId !== undefined || fromConfig.keyFile !== undefined) {
    // only the configuration's path: a path that is typed is relative to the current folder
    return read(fromConfig, fromConfig.keyFile && findCredentialFile(fromConfig.keyFile, KEY, env))
  }
  throw new UsageError('there are no credentials of a GitHub App', {
    hint: `set github.appId and github.privateKeyFile in the configuration${personalToken === 'accepted' ? ', or --app-id and --private-key-file, or GITHUB_TOKEN' : ''}`,
  })
}

/** A file or a secret store often leaves a line break behind a token. */
function readToken(text: string): string {
  const token = text.trim()
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new UsageError('GITHUB_TOKEN is no token: it has blanks or other characters in it')
  return token
}

function read({ appId, source, names }: Found, keyFile: string | undefined): AppCredentials {
  const [idName, keyName] = names
  if (!appId || !keyFile) {
    throw new UsageError(`${appId ? keyName : idName} is missing: ${idName} and ${keyName} belong together`)
  }
  let bytes: Buffer
  try {
    bytes = readFileSync(keyFile)
  } catch (error) {
    throw new UsageError(`cannot read the App's private key ${keyFile} (${keyName}): ${messageOf(error)}`, {
      hint: 'put the .pem file of the App there, readable for the user whom this runs as, or correct the path',
      cause: error,
    })
  }
  refuseMissing(bytes.toString('utf8'), MISSING_KEY)
  const key = parseKeyFile(bytes)
  if (key.kind === 'unusable') {
    throw new UsageError(`${keyFile} (${keyName}) ${key.why}`, { hint: key.hint })
  }
  return { kind: 'app', appId, privateKey: key.pem, keyFile, source }
}
