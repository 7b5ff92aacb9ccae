// Writes the code cache of dist/hydra-hook-command.cjs into the file that is named: what V8 has made of the bundle when a hook has moved a channel. The
// cache is of what was used, so the hook runs here against a GitHub and a database that have one answer each.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { writeAtomically } from './src/atomic.ts'
import { compileBundle } from './src/cli/bundle.ts'
import { openTokenCache } from './src/github/token-cache.ts'
import type { Database } from './src/hydra/database.ts'

// the hook itself has no arguments
const [codeCache = ''] = process.argv.splice(2)
const file = resolve('dist/hydra-hook-command.cjs')
const directory = mkdtempSync(join(tmpdir(), 'hydra-channels-build-'))
const repository = 'alice/dotfiles'
const [from, to] = ['1'.repeat(40), '2'.repeat(40)]
const outputs = [{ name: 'out', path: `/nix/store/${'0'.repeat(32)}-nixos-system-nas` }]
const job = { project: 'dotfiles', jobset: 'main', job: 'nixos-nas.x86_64-linux' }

/** What every query finds: it has all of their columns. */
const row = {
  ...job,
  ...outputs[0],
  ...{ build: 1, finished: 1, buildstatus: 0, good: true, timestamp: 0, error: '' },
  ...{ id: 1, jobset_id: 1, type: 1, enabled: 1, project_enabled: 1, checkinterval: 300 },
  ...{ lastcheckedtime: null, errortime: null, errormsg: null, fetcherrormsg: null, renamed_to: null },
  ...{ eval: 1, flake: `github:${repository}/${to}` },
}
const database = {
  look: (queries: (sql: () => Promise<unknown[]>) => Promise<unknown>) => queries(async () => [row]),
  close: async () => {},
} as unknown as Database

const github = createServer((request, response) => {
  const answer =
    request.method === 'GET'
      ? {
          status: 'ahead',
          ahead_by: 1,
          behind_by: 0,
          base_commit: { sha: from },
          merge_base_commit: { sha: from },
        }
      : { ref: 'refs/heads/nixos-tested-nas', object: { sha: to } }
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.setHeader('content-encoding', 'gzip')
  response.end(gzipSync(JSON.stringify(answer)))
})
await new Promise<void>(listening => github.listen(0, '127.0.0.1', listening))
const apiUrl = `http://127.0.0.1:${(github.address() as AddressInfo).port}`

const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()
const privateKeyFile = write('key.pem', privateKey)
const credentials = { kind: 'app', appId: 'Iv23li', privateKey, source: '' } as const
// making a token is not what a hook does each time
openTokenCache(directory, credentials, { apiUrl, repository }).store({
  token: 'ghs_x',
  expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
  fullName: repository,
  nodeId: 'R_1',
  defaultBranch: 'main',
  archived: false,
  permissions: { contents: 'write' },
})
process.env.RUNTIME_DIRECTORY = directory
process.env.HYDRA_CHANNELS_CONFIG = write(
  'config.json',
  JSON.stringify({
    github: { appId: credentials.appId, privateKeyFile, apiUrl },
    database: { host: directory },
    stateDirectory: directory,
    channels: [
      {
        ...job,
        job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
        repository,
        branch: 'nixos-tested-{host}',
      },
    ],
  }),
)
process.env.HYDRA_JSON = write(
  'event.json',
  JSON.stringify({ event: 'buildFinished', build: 1, finished: true, buildStatus: 0, ...job, outputs }),
)

const source = readFileSync(file, 'latin1')
const bundle = compileBundle<typeof import('./src/cli/hydra-hook-command.ts')>(file, source)
const { hydraHook } = bundle.load(createRequire(file))

const exit = process.exit
const statuses: (number | string | null | undefined)[] = []
process.exit = ((status?: number) => statuses.push(status)) as typeof process.exit
// first with Hydra's database, which is not there: for its client
try {
  await hydraHook()
  await hydraHook(undefined, async () => database)
} finally {
  rmSync(directory, { recursive: true })
}
if (String(statuses) !== '1,0') {
  throw new Error(`the hooks ended with ${statuses}, and not with 1 (no database) and 0 (moved): see above`)
}
writeAtomically(codeCache, bundle.createCodeCache(), 0o644)
exit(0)

function write(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}
