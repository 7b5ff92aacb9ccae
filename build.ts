// Builds dist/: one file for each command, which needs nothing beside it; and hydra-hook as two, with a code cache for the
// larger one, because it starts for every build of a Hydra.
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { build } from 'esbuild'

const commands = ['hydra-hook', 'channel-update', 'get-flake-commit', 'hydra-channels']

await build({
  entryPoints: [...commands, 'hydra-hook-command'].map(name => `src/cli/${name}.ts`),
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
})
for (const name of commands) chmodSync(`dist/${name}.cjs`, 0o755)

const made = spawnSync(process.execPath, ['--import', 'tsx', 'build-code-cache.ts'], {
  env: { PATH: process.env.PATH },
  encoding: 'utf8',
})
if (made.status !== 0) throw new Error(`no code cache was written:\n${made.stdout}${made.stderr}`)
