// The page on this machine that sends a browser to GitHub to create an App, and that takes the code which it brings back.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OperatorError } from '../base/errors.ts'
import { Html, html, link } from '../base/html.ts'
import { installUrl } from '../base/links.ts'
import { type CreatedApp, manifestOf, newAppUrl, type Registration } from './manifest.ts'

/** Where GitHub sends the browser back to. */
const CALLBACK = '/created'

export const secret = () => randomBytes(16).toString('hex')

export interface Arrival {
  code: string
  /** what the browser is shown in the end */
  answer: (status: number, page: string) => Promise<void>
}

export interface Page {
  url: string
  /** the first code that the browser brings back */
  arrival: Promise<Arrival>
  close(): void
}

/** Listens on this machine only, at a path that its other users do not know: the page holds the state. */
export async function openPage({
  registration,
  directory,
  state,
  report,
}: {
  registration: Registration
  /** where the key goes */
  directory: string
  /** what GitHub hands back, by which its answer is known */
  state: string
  report: (error: unknown) => void
}): Promise<Page> {
  const path = `/${secret()}`
  const server = createServer((request, response) => handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  let arrive = (_: Arrival) => {}
  const arrival = new Promise<Arrival>(resolve => {
    arrive = resolve
  })
  let taken = false
  const policy = contentSecurityPolicy(registration.webUrl)

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const answer = (status: number, page: string) => send(response, { status, page, policy })
    const url = URL.canParse(request.url ?? '', `http://${host}`)
      ? new URL(request.url ?? '', `http://${host}`)
      : undefined
    // a name that an attacker lets point to 127.0.0.1 (DNS rebinding) is not ours
    if (request.headers.host !== host) void answer(403, note('This page has another address.'))
    else if (url?.pathname !== path && url?.pathname !== CALLBACK)
      void answer(404, note('There is no such page.'))
    else if (request.method !== 'GET') void answer(405, note('This page can only be read.'))
    else if (url.pathname === path) {
      const form = {
        action: newAppUrl(registration, state),
        manifest: manifestOf(registration, `http://${host}${CALLBACK}`),
      }
      void answer(200, startPage(registration, directory, form))
    } else if (taken) void answer(410, note('This answer was taken already: see the terminal.'))
    else {
      try {
        const code = codeOfAnswer(url.searchParams, state)
        taken = true
        arrive({ code, answer })
      } catch (error) {
        report(error)
        void answer(400, failedPage(error))
      }
    }
  }

  return {
    url: `http://${host}${path}`,
    arrival,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Resolves once it is on its way, or the browser is gone. */
function send(
  response: ServerResponse,
  { status, page, policy }: { status: number; page: string; policy: string },
): Promise<void> {
  return new Promise(resolve => {
    response.on('close', resolve)
    if (response.destroyed) resolve()
    response.writeHead(status, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      // its address has the code in it; but with no-referrer the form would come from “Origin: null”
      'referrer-policy': 'strict-origin',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    })
    response.end(page)
  })
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 38rem; margin: 4rem auto; padding: 0 1rem }
code { overflow-wrap: anywhere }
button { font: inherit; padding: .5rem 1.25rem }
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

function contentSecurityPolicy(webUrl: string): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    `form-action ${webUrl}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function document(title: string, ...body: readonly Html[]): string {
  return html`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
<h1>${title}</h1>
${body.map(part => html`${part}\n`)}</html>
`.text
}

const paragraph = (text: string) => html`<p>${text}</p>`
const note = (text: string) => document('hydra-channels', paragraph(text))

function startPage(
  { webUrl, owner, name }: Registration,
  directory: string,
  { action, manifest }: { action: string; manifest: string },
): string {
  const { host } = new URL(webUrl)
  const whose = owner === undefined ? 'Your own account' : `The organization ${owner}`
  return document(
    'A GitHub App for hydra-channels',
    paragraph(`${whose} will own it. Its name can still be changed on the next page.`),
    html`<ul>
<li>Name: <strong>${name}</strong></li>
<li>Contents, read and write: it compares commits and moves branches</li>
<li>Workflows, read and write: it moves branches to commits with other workflows</li>
<li>Metadata, read: every App has it</li>
<li>No webhook; it can be installed on this account only</li>
</ul>`,
    html`<p>The private key goes to <code>${directory}</code>, and not through this browser.</p>`,
    paragraph(`Sign in to ${host} in this browser first.`),
    html`<form method="post" action="${action}">
<input type="hidden" name="manifest" value="${manifest}">
<button>Create it on ${host}</button>
</form>`,
  )
}

export function donePage({ app, keyFile }: { app: CreatedApp; keyFile: string }): string {
  return document(
    `${app.name} is created`,
    html`<p>Its private key is in <code>${keyFile}</code>.</p>`,
    html`<p>Now ${link(installUrl(app.htmlUrl), 'install it')}, on the flake's repository only.</p>`,
    paragraph('The terminal says what belongs in the configuration.'),
  )
}

export function failedPage(error: unknown): string {
  // anything else is a bug, and the terminal shows it
  const texts = error instanceof OperatorError ? [error.message, ...error.hint] : ['See the terminal.']
  return document('That did not work', ...texts.map(paragraph))
}

/** @throws OperatorError if the parameters are not GitHub's answer to our own page */
export function codeOfAnswer(parameters: URLSearchParams, state: string): string {
  const given = parameters.get('state')
  if (given === null || !isSame(given, state)) {
    throw new OperatorError(`an answer with ${given === null ? 'no' : 'another'} state was refused`, {
      hint: 'it does not come from the page of this run: open that page again, and press its button',
    })
  }
  const code = parameters.get('code')
  if (!/^[\w-]{1,200}$/.test(code ?? '')) {
    throw new OperatorError('an answer without a usable code was refused', {
      hint: 'open the page again, and press its button',
    })
  }
  return code ?? ''
}

/** In the same time, however much of it is right. */
function isSame(a: string, b: string): boolean {
  const [hashOfA, hashOfB] = [a, b].map(text => createHash('sha256').update(text).digest())
  return hashOfA !== undefined && hashOfB !== undefined && timingSafeEqual(hashOfA, hashOfB)
}
