// The whole suite: one PostgreSQL for all files, then a search of everything that any command said for secrets.
// Arguments: the files to run (default: all). HYDRA_CHANNELS_TEST_CONCURRENCY: how many at once.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from './helpers/postgres.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

function runTests(files: string[], env: Record<string, string>): Promise<number> {
  const concurrency = process.env.HYDRA_CHANNELS_TEST_CONCURRENCY ?? String(availableParallelism() + 1)
  const args = [
    '--import',
    'tsx',
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    ...files,
  ]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...env },
    })
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}

const all = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.ts'))
  .map(file => join(relative(root, here), file))
  .sort()
const given = process.argv.slice(2)
const suite = mkdtempSync(join(tmpdir(), 'hc-suite-'))
const server = await startPostgres()
try {
  const env = {
    HYDRA_CHANNELS_TEST_PGHOST: server.socketDirectory,
    HYDRA_CHANNELS_TEST_SUITE: suite,
    ...(given.length === 0 && { HYDRA_CHANNELS_TEST_WHOLE: '1' }),
  }
  const status = await runTests(given.length > 0 ? given : all, env)
  // after all others, because it reads what they left
  const secrets = await runTests([join(relative(root, here), 'secrets.ts')], env)
  process.exitCode = status || secrets
} finally {
  await server.stop()
  rmSync(suite, { recursive: true, force: true })
}
