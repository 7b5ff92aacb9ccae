// The whole suite. The unit tests come first, all in one process. The others share one PostgreSQL, and the machines come last;
// in the end, all that any command said is searched for secrets. A run of unit tests alone starts neither.
//
//   npm test                                              all files
//   npm run test:unit                                     test/unit
//   npm test -- test/unit/config.test.ts test/commands    these files and folders
//   npm test -- --except test/promises                    all but these; --except may be repeated
//   /path/to/node --import tsx test/run.ts                with another Node: the commands under test run with it, too
//
// HYDRA_CHANNELS_TEST_CONCURRENCY: how many files at once.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

/** @returns the exit status */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--test-reporter=spec', ...args], {
      cwd: root,
      stdio: 'inherit',
      // times are shown in the zone of the machine
      env: { ...process.env, TZ: 'UTC', ...env },
    })
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}

/** All that needs a server or a command: a process for each file, one group after the other. */
async function runWithPostgres(groups: readonly string[][], whole: boolean): Promise<number> {
  const { startPostgres } = await import('./helpers/postgres.ts')
  const suite = mkdtempSync(join(tmpdir(), 'hc-suite-'))
  const server = await startPostgres()
  try {
    const env = {
      HYDRA_CHANNELS_TEST_PGHOST: server.socketDirectory,
      HYDRA_CHANNELS_TEST_SUITE: suite,
      ...(whole && { HYDRA_CHANNELS_TEST_WHOLE: '1' }),
    }
    const concurrency = process.env.HYDRA_CHANNELS_TEST_CONCURRENCY ?? String(availableParallelism() + 1)
    const statuses: number[] = []
    for (const files of groups) {
      if (files.length > 0)
        statuses.push(await run(['--test', `--test-concurrency=${concurrency}`, ...files], env))
    }
    // after all others, because it reads what they left
    statuses.push(await run(['--test', join(relative(root, here), 'secrets.ts')], env))
    return Math.max(...statuses)
  } finally {
    await server.stop()
    rmSync(suite, { recursive: true, force: true })
  }
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

const within = (folder: string) => (file: string) => file.startsWith(join(relative(root, here), folder) + sep)
const [isUnit, isMachine] = [within('unit'), within('machine')]
const units = selected.filter(isUnit)
// machines that boot take the processors from tests beside them
const groups = [selected.filter(file => !isUnit(file) && !isMachine(file)), selected.filter(isMachine)]
const statuses = [units.length > 0 ? await run([join(relative(root, here), 'run-unit.ts'), ...units]) : 0]
if (groups.some(files => files.length > 0)) {
  statuses.push(await runWithPostgres(groups, selected.length === all.length))
}
process.exitCode = Math.max(...statuses)
