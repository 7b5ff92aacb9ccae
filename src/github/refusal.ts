// What GitHub's refusals mean, and what mends them. GitHub has no machine codes for most: the status, the message and
// one header must do. The texts are ends of a sentence that begins "alice/dotfiles nixos-tested-nas: cannot be moved: ".
import { RequestError } from '@octokit/request-error'
import { LATER, OperatorError, PermissionError } from '../base/errors.ts'
import { HttpError } from '../base/http-error.ts'
import { ARCHIVED, BYPASS, NotComparedError } from '../channels/forge.ts'
import { isNotCompared, messageOfAnswer } from './request.ts'

export interface Asked {
  /** as whom: the token of an App's installation, the App itself (its key), or a person's token */
  as: 'installation' | 'app' | 'person'
  /** what the token was granted, `{ contents: 'write' }`; undefined if that is not known */
  granted?: Readonly<Record<string, string>> | undefined
}

/** Turns what Octokit threw into what an operator can act on; anything that is not GitHub's answer is handed back as it is. */
export function explainRefusal(error: unknown, asked: Asked): unknown {
  if (!(error instanceof RequestError)) return error
  const request = `${error.request.method} ${error.request.url}`
  if (!error.response) {
    const { message, hint = LATER } =
      error.cause instanceof HttpError ? error.cause : { message: error.message }
    return new OperatorError(`GitHub could not be asked: ${message} (${request})`, { hint, cause: error })
  }
  const { why, hint } = meaningOf(error, asked)
  const denied = [401, 403, 404, 451].includes(error.status) || (asked.as === 'app' && error.status === 422)
  const Refusal = denied ? PermissionError : isNotCompared(error) ? NotComparedError : OperatorError
  return new Refusal(`${why} (${request})`, { hint, cause: error })
}

/** Which permission the list of activity needs, GitHub does not document. */
export function explainNoActivity(error: unknown): unknown {
  if (!(error instanceof PermissionError)) return error
  return new PermissionError(`GitHub does not tell what happened to the branch: ${error.message}`, {
    hint: [
      ...error.hint,
      'the App needs the permissions metadata: read and contents: read for it, and an old GitHub Enterprise Server does not have it',
    ],
    cause: error,
  })
}

interface Meaning {
  why: string
  hint: string | string[]
}

function meaningOf(error: RequestError, asked: Asked): Meaning {
  const message = messageOfAnswer(error)
  const answer = `GitHub answered ${error.status}${message === '' ? '' : `: ${message}`}`
  if (isNotCompared(error)) {
    return {
      why: `GitHub cannot compare the two commits: ${message}`,
      hint: [
        LATER,
        'if it lasts, too much lies between the two: a channel that is far behind can be brought nearer by hand, with git push origin COMMIT:refs/heads/CHANNEL, which only goes forward; COMMIT must be one between the two that Hydra has built',
      ],
    }
  }
  switch (error.status) {
    case 401:
      return unauthorized(message, asked)
    case 403:
      return forbidden(error, message, asked)
    case 404:
      if (asked.as === 'app') return noToken(message)
      return {
        why: 'GitHub shows no such repository to us',
        hint: 'check owner and name, and that the App is still installed on it (or that the token may see it)',
      }
    case 409:
      if (/empty/i.test(message)) return { why: 'the repository is empty', hint: 'push a first commit to it' }
      return { why: answer, hint: LATER }
    case 422:
      return asked.as === 'app' ? noToken(message) : unprocessable(error.request.method, message, answer)
    case 451:
      return { why: 'GitHub has blocked the repository for legal reasons', hint: answer }
    default:
      return {
        why: answer,
        hint: error.status >= 500 ? [LATER, 'https://www.githubstatus.com says how GitHub is'] : [],
      }
  }
}

function unauthorized(message: string, { as }: Asked): Meaning {
  if (as === 'app') {
    return {
      why: `GitHub refuses the App's key: ${message}`,
      hint: "check that App id and key belong to the same App, that the key was not deleted there, and this machine's clock",
    }
  }
  return {
    why: `GitHub refuses the ${as === 'person' ? 'token in GITHUB_TOKEN' : 'installation token'}: ${message}`,
    hint: as === 'person' ? 'make a new token; it may have expired' : LATER,
  }
}

/** The App itself asked, for its installation and for a token. */
function noToken(message: string): Meaning {
  if (/^Integration not found/.test(message)) return unauthorized(message, { as: 'app' })
  return {
    why: `GitHub makes no token for the App: ${message}`,
    hint: "check the App's installation: its repositories and its permissions",
  }
}

function forbidden(error: RequestError, message: string, asked: Asked): Meaning {
  if (/archived/i.test(message)) return ARCHIVED
  if (/suspended/i.test(message)) return suspended('')
  if (!isNotAccessible(error)) return { why: `GitHub refuses: ${message}`, hint: [] }

  const lacking = lackingPermissions(error, asked.granted)
  if (asked.as === 'person') {
    // what a person's token was granted, GitHub does not tell
    return {
      why: `GitHub refuses the token: ${message}`,
      hint: `it needs ${lacking ?? 'contents: write'}, and workflows: write for a commit with files in .github/workflows that no branch has`,
    }
  }
  if (lacking !== undefined) {
    return { why: `the App lacks the permission ${lacking}`, hint: grantPermission(lacking) }
  }
  if (asked.as === 'installation' && asked.granted?.workflows !== 'write' && error.request.method !== 'GET') {
    return {
      why: `GitHub refuses the write: the commit has files in .github/workflows that no branch has, and the App lacks the permission workflows: write`,
      hint: grantPermission('workflows: write'),
    }
  }
  return {
    why: `GitHub refuses the App: ${message}`,
    hint: 'check the permissions contents: write and workflows: write',
  }
}

/** @param since ISO 8601, or '' where GitHub did not say */
export function suspended(since: string): Meaning {
  return {
    why: `the installation of the GitHub App is suspended${since && ` since ${since}`}`,
    hint: 'the owner of the repository can unsuspend it: Settings, Applications, Installed GitHub Apps',
  }
}

export function grantPermission(permission: string): string {
  return `give the App ${permission} (App settings, Permissions), then accept it in the installation`
}

function unprocessable(method: string, message: string, answer: string): Meaning {
  if (/^Reference (update failed|cannot be updated)/.test(message)) {
    return {
      why: answer,
      hint: 'a ruleset or branch protection may forbid it: see the settings of the repository',
    }
  }
  if (method === 'GET') return { why: answer, hint: [] }
  // whatever is left is the text of a rule or of branch protection, in its owner's words
  return {
    why: `a rule of the repository forbids it: ${message}`,
    hint: BYPASS,
  }
}

/** GitHub's refusal for a missing permission, for the workflows rule, and for a token that is only a second old. */
export function isNotAccessible(error: RequestError): boolean {
  return error.status === 403 && /^Resource not accessible/.test(messageOfAnswer(error))
}

/**
 * The permissions that `X-Accepted-GitHub-Permissions` asks for and the token lacks: `contents: write`. Undefined
 * if the header is missing or asks for no more than was granted.
 */
export function lackingPermissions(error: RequestError, granted: Asked['granted']): string | undefined {
  const header = error.response?.headers['x-accepted-github-permissions']
  if (typeof header !== 'string' || header === '') return undefined
  // "contents=write,workflows=write; administration=write": alternatives, each a list
  const alternatives = header.split(';').map(list => list.split(',').map(item => item.trim().split('=')))
  const lacking = alternatives.map(list =>
    list
      .filter(([name = '', level = '']) => !includes(granted?.[name], level))
      .map(([name, level]) => `${name}: ${level}`),
  )
  if (lacking.some(list => list.length === 0)) return undefined
  return lacking.map(list => list.join(', ')).join(', or ')
}

function includes(granted: string | undefined, wanted: string): boolean {
  const levels = ['read', 'write', 'admin']
  return granted !== undefined && levels.indexOf(granted) >= levels.indexOf(wanted)
}
