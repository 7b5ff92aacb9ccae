// The man pages that the package installs: one for each command, with all that its --help says. mandoc and man-db's man, which
// uses groff, read them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import packageJson from '../../package.json' with { type: 'json' }
import { allCommands, type Listed } from '../../src/commands/all-commands.ts'
import { COMMON, type Options } from '../../src/commands/arguments.ts'
import { pageName, renderManPage } from '../../src/commands/man-page.ts'
import { renderShare } from '../../src/commands/share.ts'

const share = await renderShare()
const commands = await allCommands()
const folder = mkdtempSync(join(tmpdir(), 'hc-man-'))
after(() => rmSync(folder, { recursive: true }))

type Reader = 'mandoc' | 'man'

const missing = (tool: Reader, args: string[]) =>
  spawnSync(tool, args).status === 0 ? false : `${tool} is not installed`
const WITHOUT: Record<Reader, string | false> = {
  mandoc: missing('mandoc', ['/dev/null']),
  man: missing('man', ['--version']),
}
const ARGUMENTS: Record<Reader, string[]> = {
  mandoc: ['-T', 'utf8', '-O', 'width=78'],
  man: ['--warnings=all', '--encoding=UTF-8', '--local-file'],
}
const READERS = Object.keys(ARGUMENTS) as Reader[]

/** `hydra-hook.1` as a reader shows it: without bold, and with one space for each gap. */
function show(reader: Reader, name: string, source: string): string {
  const path = join(folder, name)
  writeFileSync(path, source)
  const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '78', MANPAGER: 'cat', MANOPT: '' }
  const { status, stdout, stderr } = spawnSync(reader, [...ARGUMENTS[reader], path], {
    encoding: 'utf8',
    env,
  })
  assert.deepEqual([status, stderr], [0, ''], name)
  return flat(stdout.replaceAll(/.\u0008|\u001b\[[\d;]*m/g, ''))
}

const flat = (text: string) => text.replaceAll(/\s+/g, ' ').trim()

function sourceOf(command: Listed): { name: string; source: string } {
  const name = `${pageName(command.name)}.1`
  const source = share.get(`man/man1/${name}`)
  assert.ok(source !== undefined, `there is no ${name}`)
  return { name, source }
}

test('there is a page for each command, and no other', () => {
  const pages = [...share.keys()].filter(name => name.startsWith('man/'))
  assert.deepEqual(
    pages,
    commands.map(({ name }) => `man/man1/${name.replace(' ', '-')}.1`),
  )
})

for (const reader of READERS) {
  describe(`${reader} shows`, { skip: WITHOUT[reader] }, () => {
    for (const command of commands) {
      test(`${command.name}: its options, and all else that --help says`, () => {
        const { name, source } = sourceOf(command)
        const shown = show(reader, name, source)
        const options: Options = { ...command.options, ...COMMON }
        for (const [option, { short, value, about }] of Object.entries(options)) {
          const names = `${short === undefined ? '' : `-${short}, `}--${option}`
          assert.ok(shown.includes(flat(`${names} ${value ?? ''} ${about}`)), `--${option}: ${shown}`)
        }
        assert.ok(shown.includes(`${pageName(command.name)} - ${command.summary}`), shown)
        assert.ok(shown.includes(`${packageJson.name} ${packageJson.version}`), shown)
        // a title of a section is in capitals, and has no colon
        for (const word of `${command.about} ${command.more}`.split(/\s+/)) {
          const title = word.replace(/:$/, '').toUpperCase()
          assert.ok(shown.includes(word) || shown.includes(title), `“${word}” is not in ${shown}`)
        }
      })
    }

    test('every character as it is', () => {
      const hard = [
        '.SH nothing',
        "'br nothing",
        '\\fBnothing\\fR \\n \\\\ \\',
        '--option -1 – a-b',
        `"quoted" 'quoted' “quoted” \`quoted\``,
        '^ ~ # $ % & | < > { } [ ] … ✓ 𝄞 ü',
        '.',
        "'",
      ]
      const page = renderManPage(
        {
          name: 'hard',
          summary: `${hard[2]} "x" 'y'`,
          about: `${hard.join('\n')}\n\n  .label  ${hard.join('\n          ')}\n\n  ${hard.join('\n  ')}\n`,
          options: { hard: { type: 'boolean', about: hard.join(' ') } },
          more: `.a 'b' "c" \\d:\n  .verbatim\n  'verbatim\n`,
        },
        ['hydra-channels'],
      )
      const shown = show(reader, 'hard.1', page)
      const text = hard.join(' ')
      assert.ok(shown.includes(`hard - ${hard[2]} "x" 'y'`), shown)
      assert.ok(shown.includes(`DESCRIPTION ${text} .label ${text} ${text} OPTIONS --hard ${text} -h`), shown)
      assert.ok(shown.includes(`.A 'B' "C" \\D .verbatim 'verbatim SEE ALSO`), shown)
    })
  })
}

test('mandoc finds nothing wrong, but that a page has no date', { skip: WITHOUT.mandoc }, () => {
  for (const command of commands) {
    const { name, source } = sourceOf(command)
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
      input: source,
      encoding: 'utf8',
    })
    const found = stdout.trim().split('\n')
    assert.deepEqual(
      found.filter(line => !line.endsWith('WARNING: missing date, using "": TH')),
      [],
      name,
    )
  }
})
