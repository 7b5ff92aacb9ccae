// A GitHub with one repository, and the client under test on it: for tests in this process, where nothing sleeps.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import { createHttp } from '../../src/base/http.ts'
import type { AppCredentials, Credentials } from '../../src/github/credentials.ts'
import { openRepository, type RepositoryOptions } from '../../src/github/repository.ts'
import type { RequestOptions } from '../../src/github/request.ts'
import type { Survey } from '../../src/status/survey.ts'
import { type GitHubOptions, startGitHub, type TestGitHub, type TestRepository } from './github/github.ts'
import type { Graph } from './github/graph.ts'

export interface Scene {
  github: TestGitHub
  /** alice/dotfiles */
  repo: TestRepository
  app: AppCredentials
  /** a person's token, which spares the test two requests */
  person: Credentials
  /** a folder for tokens */
  directory: string
  /** how often something was sent, or was tried to be */
  attempts: number
  options: RequestOptions
  /** As the App, without a cache, unless told otherwise. */
  open(more?: Partial<RepositoryOptions>): Survey
  /** From now on the commits are called so in `requests` and `trouble`. */
  name(commits: Record<string, string>): void
  /** What GitHub was asked since the last call, `GET /compare/refs/heads/channel...c2`. */
  requests(): string[]
  /** The message of an operator's error and its hints; anything else fails the test. */
  trouble(promise: Promise<unknown>): Promise<string[]>
}

export async function sceneFor(
  t: TestContext,
  { graph, ...options }: GitHubOptions & { graph?: Graph } = {},
): Promise<Scene> {
  const github = await startGitHub(options)
  const repo = await github.createRepository('alice/dotfiles', graph ? { graph } : {})
  const http = createHttp({})
  const directory = mkdtempSync(join(tmpdir(), 'hc-scene-'))
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.after(async () => {
    http.close()
    await github.close()
    rmSync(directory, { recursive: true })
    // Node reports such a rejection a turn later
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
    assert.deepEqual(github.violations, [])
  })
  github.addToken('ghp_personal')

  const names = new Map<string, string>()
  const named = (text: string) =>
    [...names].reduce((all, [sha, name]) => all.replaceAll(sha, name), text.replaceAll(github.apiUrl, 'API'))

  const scene: Scene = {
    github,
    repo,
    app: {
      kind: 'app',
      appId: github.app.clientId,
      privateKey: github.app.privateKeyPem,
      source: 'configuration',
    },
    person: { kind: 'token', token: 'ghp_personal', source: 'GITHUB_TOKEN' },
    directory,
    attempts: 0,
    options: {
      http: {
        fetch(url, request) {
          scene.attempts++
          return http.fetch(url, request)
        },
        close: () => http.close(),
      },
      apiUrl: github.apiUrl,
      attemptTimeoutMs: 20_000,
      deadline: new Deadline(90),
      secondMs: 1,
    },
    open: more =>
      openRepository({
        ...scene.options,
        repository: 'alice/dotfiles',
        credentials: scene.app,
        cacheDirectory: undefined,
        ...more,
      }),
    name(commits) {
      for (const [name, sha] of Object.entries(commits)) names.set(sha, name)
    },
    requests() {
      const requests = github.requests.map(request => named(request).replace(' /repos/alice/dotfiles', ' '))
      github.clearRequests()
      return requests
    },
    async trouble(promise) {
      const error = await promise.then(
        value => assert.fail(`it ended well: ${JSON.stringify(value)}`),
        (error: unknown) => error,
      )
      if (!(error instanceof OperatorError)) throw error
      return [named(error.message), ...error.hint.map(named)]
    },
  }
  return scene
}
