// Whatever a command waits for, a signal ends it, and it ends by that signal: who started it sees what a shell would show.
// Nothing answers here, so that a command that does not end would never come back.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type CommandName, runCommand } from '../helpers/command.ts'

const { privateKey: KEY } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Takes connections, and says nothing. */
class Silence {
  readonly #sockets = new Set<Socket>()
  #onCall = () => {}
  readonly #server: Server = createServer(socket => {
    this.#sockets.add(socket.on('error', () => {}))
    // once something was asked, it waits for the answer
    socket.once('data', () => this.#onCall())
  })

  async open(): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as { port: number }).port
  }

  called(): Promise<void> {
    return new Promise(resolve => {
      this.#onCall = resolve
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

interface Waiting {
  name: CommandName
  args: string[]
  waitsFor: 'the database' | 'GitHub'
}

const WAITING: readonly Waiting[] = [
  { name: 'hydra-hook', args: [], waitsFor: 'the database' },
  { name: 'get-flake-commit', args: ['4123'], waitsFor: 'the database' },
  { name: 'hydra-channels', args: ['reconcile'], waitsFor: 'the database' },
  { name: 'hydra-channels', args: ['reconcile', '--wait'], waitsFor: 'the database' },
  { name: 'hydra-channels', args: ['status'], waitsFor: 'the database' },
  { name: 'hydra-channels', args: ['doctor'], waitsFor: 'the database' },
  {
    name: 'channel-update',
    args: ['alice', 'dotfiles', 'nixos-tested-nas', 'a'.repeat(40)],
    waitsFor: 'GitHub',
  },
]

const EVENT = {
  ...{ event: 'buildFinished', build: 4123, project: 'dotfiles', jobset: 'main' },
  ...{ job: 'nixos-nas.x86_64-linux', finished: true, buildStatus: 0, metrics: [], products: [] },
  outputs: [{ name: 'out', path: '/nix/store/0000000000000000000000000000000a-nas' }],
}

async function silenceFor(t: TestContext): Promise<{ silence: Silence; env: Record<string, string> }> {
  const silence = new Silence()
  const port = await silence.open()
  const directory = mkdtempSync(join(tmpdir(), 'hc-signals-'))
  t.after(async () => {
    await silence.close()
    rmSync(directory, { recursive: true })
  })
  const write = (name: string, content: object | string) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  const rule = { job: 'nixos-(?<host>.*)\\..*', branch: 'nixos-tested-{host}' }
  const config = {
    github: {
      ...{ appId: 'Iv1', privateKeyFile: write('key.pem', KEY), apiUrl: `http://127.0.0.1:${port}` },
    },
    database: { host: '127.0.0.1', port },
    stateDirectory: directory,
    channels: [{ project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles', ...rule }],
  }
  return {
    silence,
    env: {
      HYDRA_CHANNELS_CONFIG: write('config.json', config),
      HYDRA_JSON: write('event.json', EVENT),
      GITHUB_API_URL: config.github.apiUrl,
      GITHUB_TOKEN: 'ghp_silent',
    },
  }
}

describe('a signal ends what waits', { concurrency: true }, () => {
  for (const { name, args, waitsFor } of WAITING) {
    for (const signal of SIGNALS) {
      test(`${[name, ...args].join(' ')}, for ${waitsFor}: ${signal}`, async t => {
        const { silence, env } = await silenceFor(t)
        const ended = await runCommand(name, args, {
          env,
          onStart: child => void silence.called().then(() => child.kill(signal)),
        })
        assert.equal(ended.status, signal, ended.log)
      })
    }
  }
})
