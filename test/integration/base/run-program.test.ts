// A program of the machine: how it ended, what it wrote, and that it always ends.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describeEnd, type ProgramRun, runProgram } from '../../../src/base/run-program.ts'

const env = { PATH: process.env.PATH }

const shell = (script: string, timeoutMs = 20_000) => runProgram('sh', ['-c', script], { env, timeoutMs })

const ended = (run: ProgramRun) => (run.kind === 'ended' ? run : assert.fail(`${run.why}`))

for (const [script, how, words] of [
  ['exit 0', 0, 'ended with status 0'],
  ['exit 3', 3, 'ended with status 3'],
  ['kill -9 $$', 'SIGKILL', 'was ended (SIGKILL)'],
] as const) {
  test(`sh -c '${script}' ${words}`, async () => {
    const run = ended(await shell(script))
    assert.equal(run.how, how)
    assert.equal(describeEnd(run.how), words)
  })
}

test('both streams are lines that are safe for the log, and standard output is kept as it is', async () => {
  const { stdout, lines } = ended(
    await shell(`printf 'a\\n'; sleep 0.05; printf 'b\\033[1m\\n\\n' >&2; sleep 0.05; printf 'c\\n\\n'`),
  )
  assert.equal(stdout, 'a\nc\n\n')
  assert.deepEqual(lines, ['a', 'b\\u001b[1m', 'c'])
})

test('its environment is the given one, in English', async () => {
  const { stdout } = ended(
    await runProgram('sh', ['-c', 'echo $LC_ALL $SECRET $GIVEN'], {
      env: { ...env, LC_ALL: 'de_DE.UTF-8', GIVEN: 'given' },
      timeoutMs: 20_000,
    }),
  )
  assert.equal(stdout, 'C.UTF-8 given\n')
})

test('a program that is missing, and one that cannot be started, are values', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'hc-run-program-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'program')
  writeFileSync(file, 'no program')
  chmodSync(file, 0o644)
  const options = { env: { PATH: folder }, timeoutMs: 20_000 }
  assert.deepEqual(await runProgram('systemctl', [], options), { kind: 'not-started', why: 'missing' })
  const run = await runProgram(file, [], options)
  assert.match(run.kind === 'not-started' ? String(run.why) : run.kind, /EACCES/)
})

test('of a long output the end is kept', async () => {
  const { stdout, lines } = ended(
    await shell('yes 0123456789abcdef | head -c 5000000; echo; echo the end; echo and more >&2'),
  )
  assert.equal(stdout.length, 1024 * 1024)
  assert.ok(stdout.endsWith('\nthe end\n'))
  assert.deepEqual(lines.slice(-2).sort(), ['and more', 'the end'])
})

test('a program that does not end in time is killed, also if another one holds its pipes', async () => {
  const { how, lines } = ended(await shell('echo begun; sleep 30 & wait', 300))
  assert.equal(how, 'timeout')
  assert.equal(describeEnd(how), 'did not end in time')
  assert.deepEqual(lines, ['begun'])
})

test('programs end when this process ends, and many at once bring no warning', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'hc-run-program-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = fileURLToPath(new URL('../../../src/base/run-program.ts', import.meta.url))
  const program = `trap 'touch $$.ended; exit' TERM; touch $$.begun; while :; do sleep 0.02; done`
  const script = `
    import { readdirSync } from 'node:fs'
    const { runProgram } = await import(${JSON.stringify(file)})
    const options = { env: process.env, timeoutMs: 60_000 }
    for (let n = 0; n < 12; n++) void runProgram('sh', ['-c', ${JSON.stringify(program)}], options)
    setInterval(() => readdirSync('.').length === 12 && process.exit(0), 20)`
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  await once(child, 'close')
  assert.equal(said, '')
  const isEnded = () => readdirSync(folder).filter(name => name.endsWith('.ended')).length === 12
  for (let waits = 0; !isEnded() && waits < 500; waits++) await sleep(20)
  assert.ok(isEnded())
})
