// A signal while there is something to clean up, and while there is nothing.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'

const MODULE = new URL('../../../src/base/signals.ts', import.meta.url).href

/** Ends itself by the signal, or says that it did not. */
async function run(script: string, signal: NodeJS.Signals): Promise<{ said: string; signal: unknown }> {
  const all = `
    import { writeSync } from 'node:fs'
    import { onEnd } from ${JSON.stringify(MODULE)}
    const say = word => writeSync(1, word)
    ${script}
    process.kill(process.pid, ${JSON.stringify(signal)})
    setTimeout(() => say('goes on'), 60_000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', all])
  const [said, [, endedBy]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { said, signal: endedBy }
}

describe('a signal', { concurrency: true }, () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`${signal}, with something to clean up: it is cleaned up once, and the process ends by the signal`, async () => {
      assert.deepEqual(await run(`onEnd(() => say('one ')); onEnd(() => say('two'))`, signal), {
        said: 'one two',
        signal,
      })
    })

    test(`${signal}, when all is cleaned up`, async () => {
      assert.deepEqual(await run(`onEnd(() => say('one'))()`, signal), { said: '', signal })
    })
  }
})
