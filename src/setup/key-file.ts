// The file of a GitHub App's private key: written once, whole, for one user, and over nothing.
import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, messageOf, OperatorError, UsageError } from '../base/errors.ts'
import { type CreatedApp, type Registration, withoutKeyHint } from './manifest.ts'

/**
 * Before anything is created: whether the key of an App of that name can be stored.
 *
 * @throws UsageError
 */
export function checkDirectory(directory: string, name: string): void {
  const probe = join(directory, `.hydra-channels-${randomBytes(16).toString('hex')}`)
  try {
    // the very way in which the key will be stored
    createExclusively(probe, '')
    rmSync(probe)
  } catch (error) {
    throw new UsageError(`cannot store a private key in ${directory}: ${messageOf(error)}`, {
      hint: 'nothing was created; name an existing, writable folder with --output',
      cause: error,
    })
  }
  // GitHub's way to make a slug of a name, as far as it can be told beforehand
  const slug = name.toLowerCase().replace(/[^a-z0-9_]+/g, '-')
  const file = join(directory, keyFileName(slug))
  if (existsSync(file)) {
    throw new UsageError(`${file} exists already: it may be the key of an App of this name`, {
      hint: 'nothing was created; choose another --name or --output, or move the file away',
    })
  }
}

const keyFileName = (app: string) => `${app}.private-key.pem`

/**
 * @returns the file
 * @throws OperatorError
 */
export function storeKey(
  { slug, clientId, privateKey }: CreatedApp,
  directory: string,
  registration: Registration,
): string {
  // the name may have been changed in the browser, to one whose file is there; the client id is no other App's
  const names = [slug, `${slug}.${clientId}`].map(keyFileName)
  let problem: unknown
  for (const name of names) {
    const file = join(directory, name)
    try {
      createExclusively(file, privateKey)
      return file
    } catch (error) {
      problem = error
      if (codeOf(error) !== 'EEXIST') break
    }
  }
  throw new OperatorError(`cannot store the key of the new App in ${directory}: ${messageOf(problem)}`, {
    hint: withoutKeyHint(registration),
    cause: problem,
  })
}

/** Whole or not at all, for this user alone; EEXIST if anything has that name, even a symbolic link. */
function createExclusively(file: string, content: string): void {
  const temporary = `${file}.${randomBytes(16).toString('hex')}`
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx', flush: true })
    // unlike a rename it replaces nothing
    linkSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}
