// Files with secrets that the configuration names. systemd hands them to a unit in a folder of their own (LoadCredential=),
// where a relative path is looked up.
import { join } from 'node:path'
import { UsageError } from './errors.ts'
import { cut } from './log.ts'

/** A path in a message. */
const MAX_PATH = 300

/** As Linux has them. */
const MAX_PATH_LENGTH = 4096

/**
 * Messages quote paths, so a secret that was pasted where its path belongs is refused before, and not quoted.
 *
 * @param path what was given as `named`: `github.privateKeyFile`, `--private-key-file`
 * @param secret.what `a key`
 * @param secret.pattern what one looks like
 * @throws UsageError if that is in `path`, or if no path looks like it
 */
export function refuseSecret(
  path: string,
  named: string,
  { what, pattern }: { what: string; pattern: RegExp },
): void {
  if (pattern.test(path)) throw new UsageError(`${named} holds ${what} itself: expected the path of its file`)
  const why = /\p{Cc}/u.test(path)
    ? 'a line break or another control character in it'
    : path.length > MAX_PATH_LENGTH
      ? `more than ${MAX_PATH_LENGTH} characters`
      : undefined
  if (why !== undefined) throw new UsageError(`${named} is no path of a file: it has ${why}`)
}

/**
 * Where the file is.
 *
 * @param named.what `the App's private key`
 * @param named.key of the configuration, `github.privateKeyFile`
 * @param named.isSecretLike a secret in the place of the path could look like a relative one: it is not quoted
 * @throws UsageError if its path is relative and systemd has given this process no such folder
 */
export function findCredentialFile(
  file: string,
  { what, key, isSecretLike = false }: { what: string; key: string; isSecretLike?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (file.startsWith('/')) return file
  const directory = env.CREDENTIALS_DIRECTORY
  if (directory) return join(directory, file)
  throw new UsageError(
    `cannot find ${what}${isSecretLike ? '' : ` “${file}”`} (${key}): a relative path is looked up in $CREDENTIALS_DIRECTORY, which is not set`,
    {
      hint: `give the unit LoadCredential=${isSecretLike ? 'NAME' : file}:/path/of/the/file, or configure an absolute path`,
    },
  )
}

/**
 * The NixOS module sets `SetCredential=github-app-key:missing:/run/secrets/github-app-key`. systemd hands out that text if it
 * cannot read the file that LoadCredential= names. Without the setting it would not start the unit (243/CREDENTIALS).
 *
 * @param named.what `private key of the App`
 * @param named.put how to mend it, as `put the App's .pem file there`
 * @throws UsageError if the content is such a text
 */
export function refuseMissing(content: string, { what, put }: { what: string; put: string }): void {
  const [, path] = /^missing:(\/[^\n]*)\n?$/.exec(content) ?? []
  if (path === undefined) return
  throw new UsageError(
    `there is no ${what} at ${cut(path, MAX_PATH)}: systemd could not read it when it started this unit`,
    {
      hint: [
        `${put}, readable for root only: systemd reads it whenever it starts a unit, so the next reconcile has it`,
        'if hook.mode is "inline", restart hydra-notify after that: it has what systemd read when hydra-notify was started',
      ],
    },
  )
}
