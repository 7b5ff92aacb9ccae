#!/usr/bin/env node
// Hydra's RunCommand hook, as it starts: dials GitHub where that will be asked, and loads the command
// (hydra-hook-command.ts, a bundle of its own) while the network is at work.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dial, round } from '../dial.ts'
import { foreseeApiUrl } from '../early.ts'
import { compileBundle } from './bundle.ts'

/** The build's: the name holds the digest of the bundle, because V8 would take the cache of any source as long as this. */
declare const CODE_CACHE: string

type Command = typeof import('./hydra-hook-command.ts')

void start()

async function start(): Promise<void> {
  const url = foreseeApiUrl(process.argv.slice(2), process.env)
  const dialled = url === undefined ? undefined : dial(url, process.env)
  const file = join(__dirname, 'hydra-hook-command.cjs')
  const source = readFileSync(file, 'latin1')
  const codeCache = readCodeCache(join(__dirname, CODE_CACHE))
  // by now the name has been looked up
  if (dialled) await round()
  const bundle = compileBundle<Command>(file, source, codeCache)
  if (dialled) await round()
  await bundle.load(require).hydraHook(dialled)
}

function readCodeCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
