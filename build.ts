// Builds dist/: one file for each command, which needs nothing beside it.
import { chmodSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const commands = ['channel-update', 'get-flake-commit', 'hydra-channels', 'hydra-hook']

rmSync('dist', { recursive: true, force: true })
await build({
  entryPoints: commands.map(name => `src/cli/${name}.ts`),
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // parts that a run may not need are `await import('./part.ts')`, which CommonJS loads the fastest
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
})
for (const name of commands) chmodSync(`dist/${name}.cjs`, 0o755)
