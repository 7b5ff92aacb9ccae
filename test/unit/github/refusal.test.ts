// What GitHub's refusals mean: facts in, the end of a sentence and what to do out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '@octokit/request-error'
import { OperatorError } from '../../../src/base/errors.ts'
import { HttpError } from '../../../src/base/http-error.ts'
import { type Asked, explainRefusal, lackingPermissions } from '../../../src/github/refusal.ts'

const NOT_ACCESSIBLE = 'Resource not accessible by integration'
const GRANT = '(App settings, Permissions), then accept it in the installation'
const LATER = 'the next run tries again'
const RULE_HINT = 'let the App bypass the ruleset or branch protection, or let the rule leave this branch out'
const KEY_HINT =
  "check that App id and key belong to the same App, that the key was not deleted there, and this machine's clock"
const ARCHIVED_HINT = 'unarchive it in its settings, or remove its rule'
const WORKFLOWS =
  'GitHub refuses the write: the commit has files in .github/workflows that no branch has, and the App lacks the permission workflows: write'

interface Facts {
  status: number
  message: unknown
  method?: string
  /** X-Accepted-GitHub-Permissions */
  accepted?: string
  as?: Asked['as']
  /** undefined of a person, of whom GitHub does not tell it */
  granted?: Record<string, string> | undefined
}

const DEFAULTS = {
  method: 'PATCH',
  as: 'installation',
  granted: { contents: 'write', metadata: 'read' },
} as const

function refusal({ status, message, method = 'GET', accepted }: Facts): RequestError {
  const headers = accepted === undefined ? {} : { 'x-accepted-github-permissions': accepted }
  const data = typeof message === 'string' ? { message } : message
  const request = { method: method as 'GET', url: 'URL', headers: {} }
  return new RequestError('', status, { request, response: { status, url: 'URL', headers, data } })
}

const TABLE: [string, Facts, string, string[]][] = [
  [
    'an expired token',
    { status: 401, message: 'Bad credentials' },
    'GitHub refuses the installation token: Bad credentials',
    [LATER],
  ],
  [
    "a person's expired token",
    { status: 401, message: 'Bad credentials', as: 'person' },
    'GitHub refuses the token in GITHUB_TOKEN: Bad credentials',
    ['make a new token; it may have expired'],
  ],
  [
    'the key of another App',
    { status: 401, message: 'A JSON web token could not be decoded', as: 'app' },
    "GitHub refuses the App's key: A JSON web token could not be decoded",
    [KEY_HINT],
  ],
  [
    'an App id that GitHub does not know',
    { status: 404, message: 'Integration not found', as: 'app' },
    "GitHub refuses the App's key: Integration not found",
    [KEY_HINT],
  ],
  [
    'a permission that was taken away while we asked',
    {
      status: 422,
      message: 'The permissions requested are not granted to this installation.',
      as: 'app',
    },
    'GitHub makes no token for the App: The permissions requested are not granted to this installation.',
    ["check the App's installation: its repositories and its permissions"],
  ],
  [
    'an installation that went away while we asked',
    { status: 404, message: 'Not Found', as: 'app' },
    'GitHub makes no token for the App: Not Found',
    ["check the App's installation: its repositories and its permissions"],
  ],
  [
    'a suspended installation',
    { status: 403, message: 'This installation has been suspended', as: 'app' },
    'the installation of the GitHub App is suspended',
    ['the owner of the repository can unsuspend it: Settings, Applications, Installed GitHub Apps'],
  ],
  [
    'an archived repository',
    { status: 403, message: 'Repository was archived so is read-only.' },
    'the repository is archived, so it is read-only',
    [ARCHIVED_HINT],
  ],
  [
    'a permission that the header names',
    { status: 403, message: NOT_ACCESSIBLE, accepted: 'contents=write', granted: { contents: 'read' } },
    'the App lacks the permission contents: write',
    [`give the App contents: write ${GRANT}`],
  ],
  [
    'several permissions, in alternatives',
    {
      status: 403,
      message: NOT_ACCESSIBLE,
      accepted: 'contents=write,workflows=write; administration=write',
      granted: { contents: 'write' },
    },
    'the App lacks the permission workflows: write, or administration: write',
    [`give the App workflows: write, or administration: write ${GRANT}`],
  ],
  [
    "a permission that a person's token lacks",
    {
      status: 403,
      message: 'Resource not accessible by personal access token',
      accepted: 'contents=write',
      as: 'person',
      granted: undefined,
    },
    'GitHub refuses the token: Resource not accessible by personal access token',
    [
      'it needs contents: write, and workflows: write for a commit with files in .github/workflows that no branch has',
    ],
  ],
  [
    'the workflows rule',
    { status: 403, message: NOT_ACCESSIBLE },
    WORKFLOWS,
    [`give the App workflows: write ${GRANT}`],
  ],
  [
    'the workflows rule, where the header names what is there',
    { status: 403, message: NOT_ACCESSIBLE, accepted: 'contents=write' },
    WORKFLOWS,
    [`give the App workflows: write ${GRANT}`],
  ],
  [
    'the workflows rule cannot be, of a read',
    { status: 403, message: NOT_ACCESSIBLE, method: 'GET' },
    `GitHub refuses the App: ${NOT_ACCESSIBLE}`,
    ['check the permissions contents: write and workflows: write'],
  ],
  [
    'all permissions are there',
    { status: 403, message: NOT_ACCESSIBLE, granted: { contents: 'write', workflows: 'write' } },
    `GitHub refuses the App: ${NOT_ACCESSIBLE}`,
    ['check the permissions contents: write and workflows: write'],
  ],
  [
    "an organisation's own refusal",
    { status: 403, message: 'Resource protected by organization SAML enforcement.', as: 'person' },
    'GitHub refuses: Resource protected by organization SAML enforcement.',
    [],
  ],
  [
    'a repository that is not there',
    { status: 404, message: 'Not Found' },
    'GitHub shows no such repository to us',
    ['check owner and name, and that the App is still installed on it (or that the token may see it)'],
  ],
  [
    'an empty repository',
    { status: 409, message: 'Git Repository is empty.' },
    'the repository is empty',
    ['push a first commit to it'],
  ],
  ['another conflict', { status: 409, message: 'Conflict' }, 'GitHub answered 409: Conflict', [LATER]],
  [
    'a protected branch',
    { status: 422, message: 'Changes must be made through a pull request.' },
    'a rule of the repository forbids it: Changes must be made through a pull request.',
    [RULE_HINT],
  ],
  [
    'a ruleset, which GitHub tells in several lines',
    { status: 422, message: 'Repository rule violations found\n\nCannot update this protected ref.\n\n' },
    'a rule of the repository forbids it: Repository rule violations found Cannot update this protected ref.',
    [RULE_HINT],
  ],
  [
    'a reference that cannot be updated',
    { status: 422, message: 'Reference cannot be updated' },
    'GitHub answered 422: Reference cannot be updated',
    ['a ruleset or branch protection may forbid it: see the settings of the repository'],
  ],
  [
    'a takedown',
    { status: 451, message: 'Repository access blocked' },
    'GitHub has blocked the repository for legal reasons',
    ['GitHub answered 451: Repository access blocked'],
  ],
  [
    'an outage',
    { status: 503, message: '<h1>Unicorn!</h1>\n' },
    'GitHub answered 503: Unicorn!',
    [LATER, 'https://www.githubstatus.com says how GitHub is'],
  ],
  [
    'an outage that says nothing',
    { status: 500, message: {} },
    'GitHub answered 500',
    [LATER, 'https://www.githubstatus.com says how GitHub is'],
  ],
  ...(
    [
      'Server Error: Sorry, this diff is taking too long to generate.',
      'Server Error: Sorry, this diff is temporarily unavailable due to heavy server load.',
      'Sorry, this diff is unavailable.',
    ] as const
  ).map((message): (typeof TABLE)[number] => [
    `a comparison that is too much for GitHub: “${message}”`,
    { status: 500, message, method: 'GET' },
    `GitHub cannot compare the two commits: ${message}`,
    [
      LATER,
      'if it lasts, too much lies between the two: a channel that is far behind can be brought nearer by hand, with git push origin COMMIT:refs/heads/CHANNEL, which only goes forward; COMMIT must be one between the two that Hydra has built',
    ],
  ]),
  ['something new', { status: 418, message: 'Teapot' }, 'GitHub answered 418: Teapot', []],
]

for (const [what, facts, why, hint] of TABLE) {
  test(`${what}: ${facts.status} as ${facts.as ?? 'installation'}`, () => {
    const { as, granted, ...of } = { ...DEFAULTS, ...facts }
    const data = facts.status === 503 ? String(facts.message) : undefined
    const error = refusal(of)
    if (data !== undefined && error.response) error.response.data = data
    const explained = explainRefusal(error, { as, granted })
    assert.ok(explained instanceof OperatorError)
    assert.equal(explained.message, `${why} (${of.method} URL)`)
    assert.deepEqual(explained.hint, hint)
    assert.equal(explained.cause, error)
  })
}

test('no answer at all is told with its reason', () => {
  const error = new RequestError('x', 500, { request: { method: 'POST', url: 'URL', headers: {} } })
  error.cause = new HttpError('connect ECONNREFUSED 127.0.0.1:9')
  const explained = explainRefusal(error, { as: 'installation' })
  assert.ok(explained instanceof OperatorError)
  assert.equal(explained.message, 'GitHub could not be asked: connect ECONNREFUSED 127.0.0.1:9 (POST URL)')
  assert.deepEqual(explained.hint, [LATER])
})

test('what passes by itself, and what somebody has to mend', () => {
  const error = new RequestError('x', 500, { request: { method: 'GET', url: 'URL', headers: {} } })
  error.cause = new HttpError('self-signed certificate', { retry: 'useless', hint: 'name its certificate' })
  const explained = explainRefusal(error, { as: 'installation' })
  assert.ok(explained instanceof OperatorError)
  assert.deepEqual(explained.hint, ['name its certificate'])
})

test('what is no answer of GitHub is handed back as it is', () => {
  for (const error of [new Error('bug'), new OperatorError('known'), undefined]) {
    assert.equal(explainRefusal(error, { as: 'app' }), error)
  }
})

const READ = { contents: 'read', metadata: 'read' }
for (const [accepted, granted, lacking] of [
  [undefined, READ, undefined],
  ['', READ, undefined],
  ['contents=read', READ, undefined],
  ['contents=write', READ, 'contents: write'],
  ['contents=write', undefined, 'contents: write'],
  ['contents=read', { contents: 'admin' }, undefined],
  ['contents=write, workflows=write', READ, 'contents: write, workflows: write'],
  ['contents=write; metadata=read', READ, undefined],
  ['contents=write; administration=write', READ, 'contents: write, or administration: write'],
] as const) {
  test(`of “${accepted}”, ${JSON.stringify(granted)} lacks ${lacking ?? 'nothing'}`, () => {
    const error = refusal({
      status: 403,
      message: NOT_ACCESSIBLE,
      ...(accepted !== undefined && { accepted }),
    })
    assert.equal(lackingPermissions(error, granted), lacking)
  })
}
