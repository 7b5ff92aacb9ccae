// The GitHub in memory behind HTTP, for tests that ask thousands of times: no git is started for an answer. What goes wrong
// on the way is what the other test GitHub has (faults.ts); who may do what it does not ask.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Fault, Faults } from '../helpers/github/faults.ts'
import {
  answerInstead,
  answerSpoilt,
  packAnswer,
  readBody,
  send,
  sendHalf,
  sendSlowly,
} from '../helpers/github/send.ts'
import type { MemoryGitHub } from './memory-github.ts'

export interface MemoryServer {
  apiUrl: string
  /** `GET /repos/alice/dotfiles/git/refs`, decoded */
  requests: string[]
  /** of each write that arrived, whatever became of it: the branches that it would move */
  writes: string[][]
  fault(fault: Fault): void
  /** Refuses all tokens that were made so far. */
  expireTokens(): void
  close(): Promise<void>
}

interface Answer {
  status: number
  body: unknown
}

const REPOSITORY = {
  id: 501_001,
  node_id: 'R_501001',
  name: 'dotfiles',
  full_name: 'alice/dotfiles',
  archived: false,
}
const NO_COMMIT = '0'.repeat(40)

/** What the requests have, each some of it. */
interface Body {
  sha: string
  ref: string
  query: string
  variables: { input: { refUpdates: { name: string; beforeOid: string; afterOid: string }[] } }
}

const NOT_FOUND: Answer = { status: 404, body: { message: 'Not Found' } }
const PERMISSIONS = { contents: 'write', workflows: 'write', metadata: 'read' }

export async function startMemoryServer(memory: MemoryGitHub): Promise<MemoryServer> {
  const faults = new Faults()
  const closing = new AbortController()
  const requests: string[] = []
  const writes: string[][] = []
  let tokens = 0
  let refused = 0

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  // a client that is slow on a busy machine must not find its connection closed
  server.keepAliveTimeout = 0
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request
    const path = decodeURIComponent(url.split('?')[0] ?? '')
    requests.push(`${method} ${path}`)
    const body = parse((await readBody(request)) ?? '')
    const written = writtenBranches({ method, path, body })
    if (written.length > 0) writes.push(written)
    const { fault, beforeAnswer } = await faults.meet(method, path, closing.signal)
    if (fault?.kind === 'silence') return
    if (fault?.kind === 'drop' && fault.when === 'before') return void response.destroy()
    const instead = fault && answerInstead(fault, { method, url: `${apiUrl}${url}` })
    const token = Number(/ghs_(\d+)$/.exec(headers.authorization ?? '')?.[1] ?? Number.POSITIVE_INFINITY)
    const denied = token <= refused && { status: 401, body: { message: 'Bad credentials' } }
    const proper = instead ?? (denied || (await answerTo(method, path, body)))
    await beforeAnswer()
    if (fault?.kind === 'drop') return void response.destroy()
    const encoding = headers['accept-encoding']
    const acceptEncoding = typeof encoding === 'string' ? encoding : undefined
    const packed = packAnswer(answerSpoilt(fault, proper), { acceptEncoding, nowMs: Date.now(), used: 1 })
    if (fault?.kind === 'truncate') sendHalf(response, packed)
    else if (fault?.kind === 'trickle') sendSlowly(response, packed, fault.ends)
    else send(response, packed)
  }

  async function answerTo(method: string, path: string, body: Body): Promise<Answer> {
    const repository = memory.open('the client')
    const { sha, ref, query, variables } = body
    const at = path.replace('/repos/alice/dotfiles', '')
    const refAt = (name: string, at: string) => ({
      ref: name,
      node_id: 'x',
      object: { type: 'commit', sha: at },
    })
    switch (`${method} ${/^\/[\w-]+(?:\/[\w-]+)?/.exec(at)?.[0] ?? at}`) {
      case 'GET /app':
        return { status: 200, body: { html_url: 'https://github.com/apps/test' } }
      case 'GET /installation':
        return { status: 200, body: { id: 61_001, permissions: PERMISSIONS, suspended_at: null } }
      case 'POST /app/installations':
        return {
          status: 201,
          body: {
            token: `ghs_${++tokens}`,
            expires_at: new Date(Date.now() + 3_600_000).toISOString(),
            permissions: PERMISSIONS,
            repositories: [{ ...REPOSITORY, default_branch: memory.defaultBranch }],
          },
        }
      case 'GET /git/ref': {
        const tip = await repository.findBranch(at.slice('/git/ref/heads/'.length))
        return tip === undefined ? NOT_FOUND : { status: 200, body: refAt(at, tip) }
      }
      case 'GET /git/matching-refs': {
        const found = await repository.listBranches(at.slice('/git/matching-refs/heads/'.length))
        return { status: 200, body: [...found].map(([branch, tip]) => refAt(`refs/heads/${branch}`, tip)) }
      }
      case 'POST /git/refs': {
        const result = await repository.createBranch(ref.slice('refs/heads/'.length), sha, 0)
        return result.kind === 'written' ? { status: 201, body: refAt(ref, sha) } : refusal(result)
      }
      case 'PATCH /git/refs': {
        const result = await repository.fastForward(at.slice('/git/refs/heads/'.length), sha, 0)
        return result.kind === 'written' ? { status: 200, body: refAt(at, sha) } : refusal(result)
      }
      case 'POST /graphql':
        if (query.startsWith('mutation')) return updated(variables.input)
        return { status: 200, body: { data: { repository: await graphql(query) } } }
    }
    if (at.startsWith('/compare/')) return compared(at.slice('/compare/'.length))
    if (at.startsWith('/commits/')) {
      const name = at.slice('/commits/'.length)
      const sha = await repository.findCommit(/^(heads|tags)\//.test(name) ? `refs/${name}` : name)
      return sha !== undefined
        ? { status: 200, body: { sha } }
        : { status: 422, body: { message: 'No commit found for SHA' } }
    }
    return NOT_FOUND
  }

  async function updated({ refUpdates }: Body['variables']['input']): Promise<Answer> {
    const updates = refUpdates.map(({ name, beforeOid, afterOid }) => ({
      branch: name.slice('refs/heads/'.length),
      from: beforeOid === NO_COMMIT ? undefined : beforeOid,
      to: afterOid,
    }))
    const result = await memory.open('the client').updateBranches(updates, 0)
    if (result.kind === 'written')
      return { status: 200, body: { data: { updateRefs: { clientMutationId: null } } } }
    const { message } = result.error as Error
    return { status: 200, body: { data: { updateRefs: null }, errors: [{ message }] } }
  }

  async function compared(basehead: string): Promise<Answer> {
    const [base = '', head = ''] = basehead.split('...')
    const found = await memory.open('the client').compare(base, head)
    if (found === 'not-found') return NOT_FOUND
    if (found === 'unrelated') {
      return { status: 404, body: { message: `No common ancestor between ${base} and ${head}.` } }
    }
    return {
      status: 200,
      body: {
        status: found.status,
        ahead_by: found.aheadBy,
        behind_by: found.behindBy,
        base_commit: { sha: found.baseSha },
        merge_base_commit: { sha: found.mergeBaseSha },
      },
    }
  }

  /** The two queries of standing.ts, by their words. */
  async function graphql(query: string): Promise<unknown> {
    const repository = memory.open('the client')
    if (query.includes('history(')) {
      const found = await repository.findTrackedBranch(/qualifiedName: "([^"]*)"/.exec(query)?.[1] ?? 'HEAD')
      const nodes = found?.history.map(({ sha, committedAt, parents }) => ({
        oid: sha,
        committedDate: committedAt,
        parents: { nodes: parents.map(oid => ({ oid })) },
      }))
      if (!found) return { ref: null }
      const [, prefix = '', name = ''] = /^(refs\/\w+\/)(.*)$/s.exec(found.ref) ?? []
      return { ref: { name, prefix, target: { oid: found.sha, history: { nodes } } } }
    }
    const fields: Record<string, unknown> = {}
    for (const part of query.matchAll(
      /(b\d+): ref\(qualifiedName: "refs\/heads\/([^"]*)"\)([\s\S]*?)(?=b\d+: ref|$)/g,
    )) {
      const [, field = '', branch = '', rest = ''] = part
      const heads = [...rest.matchAll(/(h\d+): compare\(headRef: "([0-9a-f]{40})"\)/g)]
      const asked = [{ branch, heads: heads.map(([, , head = '']) => head) }]
      const standing = (await repository.findStandings(asked)).standings.get(branch)
      fields[field] = standing
        ? {
            target: { oid: standing.sha, committedDate: standing.committedAt },
            refUpdateRule: null,
            ...Object.fromEntries(
              heads.map(([, name = '', head = '']) => {
                const side = standing.sides.get(head)
                const commits = { nodes: [{ committedDate: side?.firstCommittedAt }] }
                return [name, side ? { ...side, status: side.status.toUpperCase(), commits } : null]
              }),
            ),
          }
        : null
    }
    return fields
  }

  return {
    apiUrl,
    requests,
    writes,
    fault: fault => faults.add(fault),
    expireTokens() {
      refused = tokens
    },
    close() {
      closing.abort()
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    },
  }
}

function parse(body: string): Body {
  return (body === '' ? {} : JSON.parse(body)) as Body
}

/** The branches that a request would move. */
export function writtenBranches({
  method,
  path,
  body,
}: {
  method: string
  path: string
  body: unknown
}): string[] {
  const { ref = '', query = '', variables } = (body ?? {}) as Partial<Body>
  const refs = query.startsWith('mutation')
    ? (variables?.input.refUpdates ?? []).map(({ name }) => name)
    : method === 'PATCH'
      ? [path.replace(/^.*\/git\//, '')]
      : method === 'POST' && path.endsWith('/git/refs')
        ? [ref]
        : []
  return refs.map(name => name.slice('refs/heads/'.length))
}

function refusal(result: { kind: string; message?: string }): Answer {
  return { status: 422, body: { message: result.message ?? 'Object does not exist' } }
}
