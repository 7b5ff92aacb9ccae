// git's own smart HTTP, as GitHub has it: anybody may fetch, and a push meets a 401 before it is asked again with a
// password. https://git-scm.com/docs/git-http-backend
import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { serve } from './server-process.ts'

export interface GitServerOptions {
  /** the folder above the bare repositories */
  root: string
  cert: string
  key: string
}

/** The port. */
export type GitServerReady = number

/** The requests: `GET /x.git/info/refs?service=git-upload-pack 200`. */
export type GitServerTaken = string[]

await serve<GitServerOptions, GitServerReady, GitServerTaken>(async ({ root, cert, key }) => {
  let requests: string[] = []
  const server = createServer({ cert, key }, (request, response) => {
    response.once('finish', () => requests.push(`${request.method} ${request.url} ${response.statusCode}`))
    if (isPush(request) && !request.headers.authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="GitHub"', 'content-length': '0' }).end()
    } else runBackend(root, request, response)
  })
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  return {
    ready: (server.address() as AddressInfo).port,
    take() {
      const taken = requests
      requests = []
      return taken
    },
  }
})

const isPush = ({ url = '' }: IncomingMessage) => /[/=]git-receive-pack$/.test(url)

/** A CGI program: variables and the body go in, headers, an empty line and the body come out. */
function runBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'https://localhost')
  const { headers } = request
  const variables = {
    PATH: process.env.PATH,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: pathname,
    QUERY_STRING: search.slice(1),
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: headers['content-type'],
    CONTENT_LENGTH: headers['content-length'],
    HTTP_CONTENT_ENCODING: headers['content-encoding'],
    GIT_PROTOCOL: headers['git-protocol'] as string | undefined,
    REMOTE_USER: isPush(request) ? 'x-access-token' : undefined,
    REMOTE_ADDR: '127.0.0.1',
  }
  const backend = spawn('git', ['http-backend'], { env: variables, stdio: ['pipe', 'pipe', 'inherit'] })
  // the backend may end before it has read all
  backend.stdin.on('error', () => {})
  request.pipe(backend.stdin)

  let head = Buffer.alloc(0)
  backend.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const lines = head.subarray(0, end).toString().split('\r\n')
    const fields = lines.map(line => line.split(/: (.*)/s).slice(0, 2))
    const status = fields.find(([name]) => name === 'Status')?.[1] ?? '200'
    response.writeHead(Number.parseInt(status, 10), fields.filter(([name]) => name !== 'Status').flat())
    response.write(head.subarray(end + 4))
  })
  backend.stdout.on('end', () => response.end())
}
