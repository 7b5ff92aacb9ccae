// The whole suite: one PostgreSQL for all files, then a search of everything that any command said for secrets.
//
//   npm test                                      all files
//   npm test -- test/unit test/commands/status.test.ts   these files and folders
//   npm test -- --except test/promises            all but these; --except may be repeated
//   /path/to/node --import tsx test/run.ts        with another Node: the commands under test run with it, too
//
// HYDRA_CHANNELS_TEST_CONCURRENCY: how many files at once.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
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

/** A path that leads to no test is a mistake: without a word, it would select all or nothing. */
function filesOf(paths: string[]): Set<string> {
  const found = paths.flatMap(path => {
    const selected = relative(root, resolve(path))
    const files = all.filter(file => file === selected || file.startsWith(selected + sep))
    if (files.length === 0) throw new Error(`there is no test at ${path}`)
    return files
  })
  return new Set(found)
}

const { values, positionals } = parseArgs({
  options: { except: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true,
})
const included = positionals.length > 0 ? filesOf(positionals) : new Set(all)
const excluded = filesOf(values.except)
const selected = all.filter(file => included.has(file) && !excluded.has(file))

const suite = mkdtempSync(join(tmpdir(), 'hc-suite-'))
const server = await startPostgres()
try {
  const env = {
    HYDRA_CHANNELS_TEST_PGHOST: server.socketDirectory,
    HYDRA_CHANNELS_TEST_SUITE: suite,
    ...(selected.length === all.length && { HYDRA_CHANNELS_TEST_WHOLE: '1' }),
  }
  const status = await runTests(selected, env)
  // after all others, because it reads what they left
  const secrets = await runTests([join(relative(root, here), 'secrets.ts')], env)
  process.exitCode = status || secrets
} finally {
  await server.stop()
  rmSync(suite, { recursive: true, force: true })
}
