// The test GitHub for the bench: over TLS, with as many headers as GitHub sends, and with commits in memory, so that no started
// git process is measured. Its branches are the files of the bare repository that the script pushes to.
import { GitGraph } from '../test/helpers/github/git-graph.ts'
import { startGitHub } from '../test/helpers/github/github.ts'
import { MemoryGraph } from '../test/helpers/github/memory-graph.ts'
import { openRefs } from './refs.ts'
import { serve } from './server-process.ts'

export interface GitHubOptions {
  fullName: string
  gitDir: string
  /** a line of commits, oldest first */
  shas: string[]
  cert: string
  key: string
}

export interface GitHubReady {
  port: number
  clientId: string
  privateKeyPem: string
}

/** The requests: `GET /repos/alice/dotfiles/compare/… 200`. */
export type GitHubTaken = string[]

/** What GitHub sends beside the headers of the test GitHub: 1.3 kB in all. */
const MORE_HEADERS = {
  etag: 'W/"3d5c8a1f6b7e4e0f9c2d1a7b8e6f5d4c3b2a19087f6e5d4c3b2a190817263544"',
  'x-accepted-github-permissions': 'contents=read',
  'access-control-expose-headers':
    'ETag, Link, Location, Retry-After, X-GitHub-OTP, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Used, X-RateLimit-Resource, X-RateLimit-Reset, X-OAuth-Scopes, X-Accepted-OAuth-Scopes, X-Poll-Interval, X-GitHub-Media-Type, X-GitHub-SSO, X-GitHub-Request-Id, Deprecation, Sunset',
  'access-control-allow-origin': '*',
  'strict-transport-security': 'max-age=31536000; includeSubdomains; preload',
  'x-frame-options': 'deny',
  'x-content-type-options': 'nosniff',
  'x-xss-protection': '0',
  'referrer-policy': 'origin-when-cross-origin, strict-origin-when-cross-origin',
  'content-security-policy': "default-src 'none'",
  server: 'github.com',
}

await serve<GitHubOptions, GitHubReady, GitHubTaken>(async ({ fullName, gitDir, shas, cert, key }) => {
  const github = await startGitHub({ tls: { cert, key }, moreHeaders: MORE_HEADERS })
  const graph = new MemoryGraph(openRefs(gitDir))
  for (const { sha, parents, committer, message } of await (await GitGraph.open(gitDir)).readFacts(shas)) {
    graph.add({ sha, parents, date: Date.parse(committer.date) / 1000 }, message)
  }
  await github.createRepository(fullName, { graph })
  return {
    ready: {
      port: Number(new URL(github.apiUrl).port),
      clientId: github.app.clientId,
      privateKeyPem: github.app.privateKeyPem,
    },
    take() {
      if (github.violations.length > 0) throw new Error(github.violations.join('\n'))
      const taken = github.records.map(({ method, path, status }) => `${method} ${path} ${status}`)
      github.clearRequests()
      return taken
    },
  }
})
