// Errors that an operator can act on. Everything else that is thrown is a bug or an outage and is shown with
// its stack (commands/run.ts).

interface OperatorErrorOptions extends ErrorOptions {
  /** What to do about it, one line each, printed below the message. */
  hint?: string | readonly string[]
}

/**
 * Something that the owner of this Hydra or repository has to know or to mend; ends a command with status 1.
 *
 * The message says what was tried, on what, and what came back:
 * `alice/dotfiles nixos-tested-nas: cannot be moved: the GitHub App is not installed on this repository`.
 */
export class OperatorError extends Error {
  override name = 'OperatorError'
  readonly hint: readonly string[]

  constructor(message: string, { hint = [], ...options }: OperatorErrorOptions = {}) {
    super(message, options)
    this.hint = typeof hint === 'string' ? [hint] : hint
  }
}

/** The arguments, the configuration, the key file or `$HYDRA_JSON` cannot be used; ends a command with status 2. */
export class UsageError extends OperatorError {
  override name = 'UsageError'
}

/** Nobody has to do anything: it passes by itself, and alone fails no run. */
export class PassingError extends OperatorError {
  override name = 'PassingError'
}

/** Somebody has to allow it: GitHub answered that this App (or token) may not, or that it refuses the key. */
export class PermissionError extends OperatorError {
  override name = 'PermissionError'
}

/** GitHub showed our App, whose key it accepted, no such repository: the App is not installed there, or there is none. */
export class NotInstalledError extends PermissionError {
  override name = 'NotInstalledError'
}

/** A limit of time or of requests is reached: whatever else is asked there would reach it too. */
export class LimitError extends OperatorError {
  override name = 'LimitError'
}

/** The `code` of a system error, such as `ENOENT`; undefined if `error` has none. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** For a table: the message and what to do about it. */
export function lineOfError(error: unknown): string {
  return error instanceof OperatorError ? [error.message, ...error.hint].join('; ') : messageOf(error)
}

/** Of an error that somebody can mend, as a value; a mistake of ours is thrown on. */
export function operatorErrorOf(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error
  throw error
}

/** The hint for trouble that passes by itself. */
export const LATER = 'the next run tries again'
