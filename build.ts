// Builds dist/: one file for each command, which needs nothing beside it; and hydra-hook as two, with a code cache for the
// larger one, because it starts for every build of a Hydra.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type BuildOptions, build } from 'esbuild'

const commands = ['channel-update', 'get-flake-commit', 'hydra-channels']
const options = {
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies BuildOptions
const sourceOf = (name: string) => `src/cli/${name}.ts`

await build({ ...options, entryPoints: [...commands, 'hydra-hook-command'].map(sourceOf) })
const digest = createHash('sha256').update(readFileSync('dist/hydra-hook-command.cjs')).digest('hex')
const codeCache = `hydra-hook-command.${digest.slice(0, 16)}.cache`
await build({
  ...options,
  entryPoints: [sourceOf('hydra-hook')],
  define: { CODE_CACHE: JSON.stringify(codeCache) },
})
for (const name of [...commands, 'hydra-hook']) chmodSync(`dist/${name}.cjs`, 0o755)

const { PATH, TMPDIR } = process.env
const args = ['--import', 'tsx', 'build-code-cache.ts', `dist/${codeCache}`]
const made = spawnSync(process.execPath, args, {
  env: { PATH, TMPDIR },
  encoding: 'utf8',
  timeout: 60_000,
})
if (made.status !== 0) {
  throw new Error(`no code cache was written (${made.error ?? made.status}):\n${made.stdout}${made.stderr}`)
}
for (const name of readdirSync('dist')) {
  if (name.endsWith('.cache') && name !== codeCache) rmSync(`dist/${name}`)
}
