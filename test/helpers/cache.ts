// A binary cache: answers narinfo requests of the paths that it has.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestCache {
  url: string
  requests: string[]
  /** store paths that are there */
  paths: Set<string>
  /** what the next requests are answered with instead: a status, or a body for a 200 */
  next: (number | string)[]
  close(): Promise<void>
}

export async function startCache(): Promise<TestCache> {
  const paths = new Set<string>()
  const requests: string[] = []
  const next: (number | string)[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
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
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    paths,
    next,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
