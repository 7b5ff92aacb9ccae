// Creating the GitHub App: a page on this machine sends the browser to GitHub, takes the code that it brings back, and
// stores the key. Whoever reads the terminal is told what to do; secrets go into the file and nowhere else.

import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deadline } from '../base/deadline.ts'
import { OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { installUrl } from '../base/links.ts'
import { count, type Log } from '../base/log.ts'
import { NO_CONFIG } from '../config.ts'
import { type Arrival, codeOfAnswer, donePage, failedPage, openPage, secret } from './create-app-page.ts'
import { checkDirectory, storeKey } from './key-file.ts'
import {
  type CreatedApp,
  checkApi,
  convertCode,
  findFirstInstallation,
  type Installation,
  openApp,
  type Registration,
  reasonOf,
  withoutKeyHint,
} from './manifest.ts'

/** One request to GitHub, and all attempts at one. */
const ATTEMPT_MS = 15_000
const REQUEST_SECONDS = 90

export interface Waits {
  /** for the browser to come back from GitHub; its user may have to sign in first */
  browserMs: number
  installationMs: number
  /** between two looks for the installation */
  pollMs: number
  /** as in `RequestOptions` */
  secondMs: number
}

export const WAITS: Waits = {
  browserMs: 30 * 60_000,
  installationMs: 10 * 60_000,
  pollMs: 3_000,
  secondMs: 1_000,
}

export interface CreateAppOptions {
  registration: Registration
  apiUrl: string
  /** where the key goes, absolute */
  directory: string
  http: Http
  log: Log
  report: (error: unknown) => void
  /** what is typed: the address at which the browser ended, or Enter for not waiting any longer */
  input: Readable
  waits?: Waits
}

/**
 * @throws UsageError before anything is created, if the key could not be stored
 * @throws OperatorError if GitHub is away or refuses, or if nobody comes back or installs the App in time
 */
export async function createApp(options: CreateAppOptions): Promise<'installed' | 'not awaited'> {
  const { registration, apiUrl, directory, http, log, waits = WAITS } = options
  const requestOptions = (seconds: number) => ({
    http,
    apiUrl,
    attemptTimeoutMs: ATTEMPT_MS,
    deadline: new Deadline(seconds),
    secondMs: waits.secondMs,
  })
  checkDirectory(directory, registration.name)
  await checkApi(requestOptions(REQUEST_SECONDS))

  const lines = createInterface({ input: options.input })
  try {
    const { app, keyFile } = await withPage({ ...options, lines, waits }, async code => {
      const app = await convertCode(code, registration, requestOptions(REQUEST_SECONDS))
      // first of all: from now on the key cannot be lost
      return { app, keyFile: storeKey(app, directory, registration) }
    })
    for (const line of describeApp(app, keyFile, apiUrl)) log.line(line)

    const client = await openApp(app, requestOptions(waits.installationMs / 1000 + REQUEST_SECONDS))
    const installation = await waitForInstallation(() => findFirstInstallation(client), {
      lines,
      log,
      waits,
      installUrl: installUrl(app.htmlUrl),
    })
    log.line(
      installation ? describeInstallation(installation) : 'not waiting: the App works once it is installed',
    )
    return installation ? 'installed' : 'not awaited'
  } finally {
    lines.close()
  }
}

const minutes = (ms: number) => count(Math.ceil(ms / 60_000), 'minute')

function describeApp(app: CreatedApp, keyFile: string, apiUrl: string): string[] {
  const api = apiUrl === NO_CONFIG.github.apiUrl ? {} : { apiUrl }
  const github = { appId: app.clientId, privateKeyFile: keyFile, ...api }
  return [
    `created the GitHub App ${app.name}${app.owner === undefined ? '' : ` of ${app.owner}`}`,
    `its private key is in ${keyFile}, which only this user can read; GitHub keeps no copy`,
    'for the configuration:',
    `"github": ${JSON.stringify(github, null, 1).replace(/\n\s*/g, ' ')}`,
    `now install it, on the flake's repository only: ${installUrl(app.htmlUrl)}`,
  ]
}

function describeInstallation({ account, repositories }: Installation): string {
  const on = account === undefined ? '' : ` on ${account}`
  return repositories === 'all'
    ? `installed${on}, for all repositories: the flake's would be enough`
    : `installed${on}, for selected repositories`
}

interface PageOptions extends CreateAppOptions {
  lines: Interface
  waits: Waits
}

/** Serves the page until a code arrives from the browser or the terminal, and shows the result in the browser. */
async function withPage<T extends { app: CreatedApp; keyFile: string }>(
  options: PageOptions,
  use: (code: string) => Promise<T>,
): Promise<T> {
  const { lines, log, waits } = options
  const state = secret()
  const page = await openPage({ ...options, state })
  const stop = new AbortController()
  try {
    const pasted = pastedArrival(options, state)
    const { host, port } = new URL(page.url)
    log.line(`open ${page.url} in a browser on this machine, and press the button there`)
    log.line(
      `from another machine: ssh -L ${port}:${host} THIS-MACHINE there first, and then the same address`,
    )
    log.line('if the browser ends at an address that it cannot open, paste that address here')
    const arrival = await Promise.race([
      page.arrival,
      pasted,
      sleep(waits.browserMs, undefined, { signal: stop.signal }),
    ])
    if (!arrival) {
      throw new OperatorError(`GitHub did not send the browser back within ${minutes(waits.browserMs)}`, {
        hint: ['run this again', ...withoutKeyHint(options.registration).slice(0, 1)],
      })
    }
    try {
      const used = await use(arrival.code)
      await arrival.answer(200, donePage(used))
      return used
    } catch (error) {
      await arrival.answer(500, failedPage(error))
      throw error
    }
  } finally {
    stop.abort()
    lines.removeAllListeners('line')
    page.close()
  }
}

/** The code of an address that is pasted into the terminal. */
function pastedArrival({ lines, report }: PageOptions, state: string): Promise<Arrival> {
  return new Promise(resolve => {
    lines.on('line', line => {
      const address = line.trim()
      if (address === '') return
      try {
        if (!URL.canParse(address)) {
          throw new OperatorError('that is no address', {
            hint: 'paste the whole of it, from http:// to the end: code and state are in it',
          })
        }
        resolve({ code: codeOfAnswer(new URL(address).searchParams, state), answer: async () => {} })
      } catch (error) {
        report(error)
      }
    })
  })
}

/**
 * Undefined if the user stops waiting.
 *
 * @throws OperatorError when the time is over
 */
async function waitForInstallation(
  find: () => Promise<Installation | undefined>,
  { lines, log, waits, installUrl }: { lines: Interface; log: Log; waits: Waits; installUrl: string },
): Promise<Installation | undefined> {
  const stop = new AbortController()
  const { signal } = stop
  let problem: string | undefined
  async function poll(): Promise<Installation> {
    for (;;) {
      try {
        const found = await find()
        problem = undefined
        if (found) return found
      } catch (error) {
        // GitHub may not know a key that is seconds old; and an outage passes
        problem = reasonOf(error)
      }
      await sleep(waits.pollMs, undefined, { signal })
    }
  }
  const enter = new Promise<undefined>(resolve => {
    lines.on('line', line => {
      if (line.trim() === '') resolve(undefined)
    })
  })
  log.line(`waiting for that, at most ${minutes(waits.installationMs)} (Enter: do not wait)`)
  try {
    const ended = await Promise.race([
      poll(),
      enter,
      sleep(waits.installationMs, 'timed out' as const, { signal }),
    ])
    if (ended !== 'timed out') return ended
  } finally {
    stop.abort()
  }
  const asked = problem === undefined ? '' : ` (the last time, GitHub could not be asked: ${problem})`
  throw new OperatorError(
    `the App was not installed within ${minutes(waits.installationMs)}${asked}, but its key is stored`,
    { hint: `install it at ${installUrl}; nothing more has to be run here` },
  )
}
