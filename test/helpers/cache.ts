// A binary cache: answers narinfo requests of the paths that it has, and may want a login.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestCache {
  url: string
  requests: string[]
  /** store paths that are there */
  paths: Set<string>
  /** what the next requests are answered with instead: a status, or a body for a 200 */
  next: (number | string)[]
  /** `name:password`, without which every answer is a 401 */
  wants: string | undefined
  /** another cache, to which each request is sent on */
  movedTo: string | undefined
  /** of each request, `name:password`; undefined if it had none */
  logins: (string | undefined)[]
  close(): Promise<void>
}

export async function startCache(): Promise<TestCache> {
  const paths = new Set<string>()
  const requests: string[] = []
  const next: (number | string)[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const login = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1]
    cache.logins.push(login && Buffer.from(login, 'base64').toString())
    if (cache.movedTo !== undefined) {
      return void response.writeHead(302, { location: `${cache.movedTo}${request.url}` }).end()
    }
    if (cache.wants !== undefined && cache.logins.at(-1) !== cache.wants) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="cache"' }).end()
    }
    const instead = next.shift()
    if (typeof instead === 'number') return void response.writeHead(instead).end()
    if (instead !== undefined) return void response.writeHead(200).end(instead)
    const hash = /^\/([0-9a-z]{32})\.narinfo$/.exec(request.url ?? '')?.[1]
    const path = [...paths].find(each => hash !== undefined && each.includes(`/${hash}-`))
    if (!path) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'text/x-nix-narinfo' })
    response.end(`StorePath: ${path}\nURL: nar/1.nar.xz\nCompression: xz\nNarHash: sha256:1\nNarSize: 1\n`)
  })
  // a client that is slow on a busy machine must not find its connection closed
  server.keepAliveTimeout = 0
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cache: TestCache = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    paths,
    next,
    wants: undefined,
    movedTo: undefined,
    logins: [],
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return cache
}
