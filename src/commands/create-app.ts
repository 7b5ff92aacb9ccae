// hydra-channels create-app

import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { UsageError } from '../base/errors.ts'
import { createHttp } from '../base/http.ts'
import { appsUrl, webUrlOf } from '../base/links.ts'
import { type Log, printable } from '../base/log.ts'
import { ownerProblem } from '../base/repository-name.ts'
import { NO_CONFIG } from '../config.ts'
import { findApiUrl } from '../github/config.ts'
import { createApp } from '../setup/create-app.ts'
import { describeForm, prefilledUrl, type Registration } from '../setup/manifest.ts'
import type { Options } from './arguments.ts'
import type { Command } from './run.ts'

/** GitHub's own limit. */
const MAX_NAME_LENGTH = 34

const about = `
Creates the GitHub App that moves the channels, and stores its private key. It offers a page on
this machine (127.0.0.1) with one button; GitHub then shows what the App may do, asks for its
name, and sends the browser back. The App may read and write contents and workflows, has no
webhook, and can be installed on its owner's account only.

On a server, make the page reachable from where the browser is, with the ssh command that is
printed. Or paste the address at which the browser ended, which it could not open, into the
terminal. The address works once, and anybody who has it can fetch the key.
`

const more = `
Prints the lines for the configuration and the address at which the App is installed, and waits
up to ten minutes for that; Enter ends the wait, Ctrl-C everything.

Exit status: 0 the App is there and installed, or Enter was pressed; 1 GitHub refused or could
not be asked, or nobody came back or installed the App in time; 2 the arguments or DIR cannot be
used.
`

const options = {
  owner: {
    type: 'string',
    value: 'ORG',
    about: 'the organization that will own the App (default: the account that is signed in)',
  },
  name: {
    type: 'string',
    value: 'NAME',
    about:
      "its name, which nobody else's App may have; it can be changed in the browser (default: hydra-channels- and ORG, or a few random digits)",
  },
  output: {
    type: 'string',
    value: 'DIR',
    about:
      'where the key goes, as SLUG.private-key.pem, readable for this user only; no file is overwritten (default: the current directory)',
  },
  manual: { type: 'boolean', about: 'create nothing: print what to enter by hand, and where' },
  'api-url': {
    type: 'string',
    value: 'URL',
    about:
      "GitHub's REST API (default: $GITHUB_API_URL, else https://api.github.com; GitHub Enterprise Server: https://HOST/api/v3)",
  },
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels create-app',
  about,
  options,
  more,
  logTo: 'stdout',
  async run({ values, positionals, env, log, report, progress }) {
    if (positionals.length > 0) {
      throw new UsageError(`expected options only, but got “${positionals[0]}”`, {
        hint: 'see hydra-channels create-app --help',
      })
    }
    const apiUrl = findApiUrl(values['api-url'], env) ?? NO_CONFIG.github.apiUrl
    const registration = parseRegistration(values, webUrlOf(apiUrl))
    if (values.manual) {
      printManual(registration, log)
      return 'ok'
    }
    const http = createHttp(env)
    try {
      const directory = resolve(values.output ?? '.')
      progress(`asking ${apiUrl}…`)
      await createApp({ registration, apiUrl, directory, http, log, report, input: process.stdin })
      return 'ok'
    } finally {
      http.close()
    }
  },
}

function parseRegistration(
  { owner, name }: { owner?: string | undefined; name?: string | undefined },
  webUrl: string,
): Registration {
  const problem = owner === undefined ? undefined : ownerProblem(owner)
  if (problem !== undefined) throw new UsageError(`--owner “${owner}” cannot be used: ${problem}`)
  const given = name ?? `hydra-channels-${owner ?? randomBytes(2).toString('hex')}`.slice(0, MAX_NAME_LENGTH)
  if (given.trim() === '' || given.length > MAX_NAME_LENGTH || printable(given) !== given) {
    throw new UsageError(
      `--name “${given}” cannot be used: the name of an App has 1 to ${MAX_NAME_LENGTH} characters, and no control characters`,
    )
  }
  return { webUrl, owner, name: given }
}

function printManual(registration: Registration, log: Log): void {
  log.line(`1. open ${prefilledUrl(registration)}`)
  log.line('   and see that the form says:')
  for (const line of describeForm(registration)) log.line(`     ${line}`)
  log.line('2. create the App; its page shows the Client ID, which is github.appId of the configuration')
  log.line('3. there: Private keys, Generate a private key; move the .pem file to this machine, chmod 600,')
  log.line('   and delete the download; its path on this machine is github.privateKeyFile')
  log.line("4. there: Install App, on the flake's repository only")
  log.line(`the App's page is listed at ${appsUrl(registration)}`)
}
