// What a browser meets on github.com when somebody creates an App: the page that takes a manifest, the confirmation, and
// the way back with a code. And the two requests that only the App's creator makes.

import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from './auth.ts'
import type { AppRoute, OpenRoute } from './routes.ts'
import { checkAnswer } from './schema.ts'
import { readBody } from './send.ts'
import { accountShape, appShape, installationShape } from './shapes.ts'
import type { State } from './state.ts'

/** An App that was created from a manifest, and the code for its key. */
export interface Creation {
  manifest: Record<string, unknown>
  owner: string
  name: string
  code: 'good' | 'used'
}

/** Who is signed in. */
const PERSON = 'alice'

/** What every browser asks for by itself. */
const ICON = '/favicon.ico'
const NEW = /^\/(?:organizations\/([^/]+)\/)?settings\/apps\/new$/
const CONFIRM = /^\/(?:organizations\/([^/]+)\/)?settings\/apps\/manifest$/

export const openRoutes: OpenRoute[] = [
  {
    operation: 'GET /rate_limit',
    scope: 'global',
    auth: 'none',
    path: /^\/rate_limit$/,
    run() {
      const rate = { limit: 60, remaining: 59, reset: 1_800_000_000, used: 1 }
      return { status: 200, body: { resources: { core: rate, search: rate }, rate } }
    },
  },
  {
    operation: 'POST /app-manifests/{code}/conversions',
    scope: 'global',
    auth: 'none',
    path: /^\/app-manifests\/([^/]+)\/conversions$/,
    run({ state, params: [code = ''] }) {
      const creation = state.creations.get(code)
      if (creation?.code !== 'good') throw new Refusal(404, 'Not Found')
      creation.code = 'used'
      const secrets = { client_secret: newSecret(state), webhook_secret: newSecret(state) }
      const { manifest, owner, name } = creation
      return {
        status: 201,
        body: {
          ...appShape(state),
          name,
          owner: accountShape(state, owner),
          permissions: manifest.default_permissions,
          pem: state.app.privateKeyPem,
          ...secrets,
        },
      }
    },
  },
]

export const installationsRoute: AppRoute = {
  operation: 'GET /app/installations',
  scope: 'global',
  auth: 'app',
  path: /^\/app\/installations$/,
  run({ state }) {
    const body = state.installations().map(installation => installationShape(state, installation))
    // GitHub's schema of the list is that of one installation, which is here under its own name
    const operation = 'GET /app/installations/{installation_id}'
    return {
      status: 200,
      body,
      checked: false,
      violations: body.flatMap(it => checkAnswer(operation, 200, it)),
    }
  },
}

function newSecret(state: State): string {
  const secret = randomBytes(20).toString('hex')
  state.secrets.push(secret)
  return secret
}

export function isWebPage(url = ''): boolean {
  const [path = ''] = url.split('?')
  return NEW.test(path) || CONFIRM.test(path) || path === ICON
}

/** As github.com answers a browser in which {@link PERSON} is signed in. */
export async function answerBrowser(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'https://github.com')
  const form = new URLSearchParams(await readBody(request))
  const owner = (NEW.exec(pathname) ?? CONFIRM.exec(pathname))?.[1] ?? PERSON
  const page = (status: number, body: string) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' })
    response.end(`<!DOCTYPE html><html lang="en"><title>GitHub</title><body>${body}</body></html>`)
  }
  if (pathname === ICON) return page(404, '<h1>Not Found</h1>')
  if (request.method === 'GET') return page(200, '<h1>Register new GitHub App</h1>')

  const text = form.get('manifest') ?? ''
  const problem = manifestProblem(text)
  if (problem !== undefined) {
    return page(422, `<h1>Invalid GitHub App configuration</h1><p>Error: ${problem}</p>`)
  }
  const manifest: Record<string, unknown> = JSON.parse(text)
  if (NEW.test(pathname)) {
    const hidden = { manifest: text, state: searchParams.get('state') ?? '' }
    const inputs = Object.entries(hidden).map(
      ([name, value]) => `<input type="hidden" name="${name}" value="${attribute(value)}">`,
    )
    return page(
      200,
      `<h1>Create GitHub App for ${owner}</h1><form method="post" action="${pathname.replace(/new$/, 'manifest')}">
${inputs.join('')}<label>GitHub App name <input name="name" value="${attribute(String(manifest.name ?? ''))}"></label>
<button>Create GitHub App for ${owner}</button></form>`,
    )
  }
  const code = newSecret(state)
  const name = form.get('name') ?? ''
  state.creations.set(code, { manifest, owner, name, code: 'good' })
  state.app.slug = name.toLowerCase().replace(/[^a-z0-9_]+/g, '-')
  const back = new URL(String(manifest.redirect_url))
  back.search = String(new URLSearchParams({ code, state: form.get('state') ?? '' }))
  response.writeHead(302, { location: back.href }).end()
}

/** GitHub names a missing field without the object that it is missing in. */
function manifestProblem(text: string): string | undefined {
  let manifest: Record<string, unknown>
  try {
    manifest = JSON.parse(text)
  } catch {
    return 'The manifest is not JSON.'
  }
  const { url, redirect_url, hook_attributes } = manifest
  const urls = [url, redirect_url, ...(hook_attributes ? [(hook_attributes as { url?: unknown }).url] : [])]
  return urls.every(it => typeof it === 'string' && URL.canParse(it)) ? undefined : '"url" wasn\'t supplied.'
}

const attribute = (text: string) => text.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)
