// Builds the commands, each as one file that needs nothing beside it, the licences of the packages that are in them, and in
// share/ their man pages and completions.
// Argument: the folder (default: dist). It depends on nothing but the sources and the packages: two builds are identical.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, type Metafile, type PluginBuild } from 'esbuild'
import { renderShare } from './src/commands/share.ts'

const [outdir = 'dist'] = process.argv.slice(2)
const commands = ['channel-update', 'get-flake-commit', 'hydra-channels', 'hydra-hook']

rmSync(outdir, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: commands.map(name => ({ in: `start:${name}`, out: name })),
  plugins: [{ name: 'start', setup: startsOf }],
  outdir,
  outExtension: { '.js': '.cjs' },
  banner: { js: '#!/usr/bin/env node' },
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // parts that a run may not need are `await import('./part.ts')`, which CommonJS loads the fastest
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  // they are in THIRD-PARTY-LICENSES, whole
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
})
for (const name of commands) chmodSync(join(outdir, `${name}.cjs`), 0o755)
writeFileSync(join(outdir, 'THIRD-PARTY-LICENSES'), thirdPartyLicences(metafile))
for (const [name, text] of await renderShare()) {
  const path = join(outdir, 'share', name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** A command's module says what it does, and does nothing when it is imported: the built file starts it. */
function startsOf({ onResolve, onLoad }: PluginBuild): void {
  onResolve({ filter: /^start:/ }, ({ path }) => ({ path: path.slice('start:'.length), namespace: 'start' }))
  onLoad({ filter: /./, namespace: 'start' }, ({ path }) => ({
    contents: `import { start } from './src/commands/${path}.ts'\nvoid start()\n`,
    resolveDir: process.cwd(),
    loader: 'ts',
  }))
}

function thirdPartyLicences({ outputs }: Metafile): string {
  const bundled = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  )
  const folders = new Set(
    bundled.flatMap(file => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  )
  const sections = new Set([...folders].map(describePackage))
  const line = '-'.repeat(80)
  return [
    'The commands in this folder contain code of these packages, under these licences.\n',
    ...[...sections].sort(),
  ].join(`\n${line}\n\n`)
}

/** `zod 4.6.7 (MIT)` and the text of its licence. */
function describePackage(folder: string): string {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (typeof license !== 'string') throw new Error(`${name} ${version} does not say which licence it has`)
  const texts = findTexts(folder)
  if (texts.length === 0) {
    texts.push(`The package has no text of its licence. It names its author: ${author?.name ?? author}`)
  }
  return `${[`${name} ${version} (${license})`, ...texts].join('\n\n')}\n`
}

/** The files that are called so, else the last part of the README. */
function findTexts(folder: string): string[] {
  const files = readdirSync(folder).sort()
  const read = (file: string) => readFileSync(join(folder, file), 'utf8')
  const texts = files.filter(file => /^(?:(?:un)?licen[cs]e|copying|notice)\b/i.test(file)).map(read)
  const readme = files.find(file => /^readme/i.test(file))
  const part = readme && /^#+ Licen[cs]e\n(.*permission.*)/ims.exec(read(readme))?.[1]
  if (texts.length === 0 && part) texts.push(part)
  return texts.map(text => text.replaceAll('\r', '').trim())
}
