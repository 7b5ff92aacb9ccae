// The completions that the package installs: bash, zsh and fish find them in share/, and offer what can be typed.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { allCommands, type Listed } from '../../src/commands/all-commands.ts'
import { COMMON } from '../../src/commands/arguments.ts'
import { renderCompletions } from '../../src/commands/completions.ts'
import { COMMANDS } from '../../src/commands/hydra-channels.ts'

const HARD: Listed = {
  name: 'hard',
  summary: '',
  about: '',
  options: {
    odd: { type: 'boolean', about: `[a]: 'b' "c" \\d \\\\ \`id\` $(id) $HOME %d ; & * ] \\` },
    even: { type: 'string', value: 'FILE', about: `]:x: 'y'` },
  },
  operands: `A:B 'C' [D…]`,
  more: '',
}
/** Its subcommand's summary is as hard. */
const HARD_TOO: Listed = { ...HARD, name: 'harder' }
const HARD_SUBCOMMAND: Listed = { ...HARD, name: 'harder sub', summary: `a: 'b' [c] $(id) \\: \`d\`` }

const commands = await allCommands()
const folder = mkdtempSync(join(tmpdir(), 'hc-completions-'))
after(() => rmSync(folder, { recursive: true }))
const share = join(folder, 'share')
for (const [name, text] of renderCompletions([...commands, HARD, HARD_TOO, HARD_SUBCOMMAND])) {
  mkdirSync(dirname(join(share, name)), { recursive: true })
  writeFileSync(join(share, name), text)
}
// fish looks for completions of commands that there are
const bin = join(folder, 'bin')
mkdirSync(bin)
for (const { name } of [...commands, HARD, HARD_TOO].filter(({ name }) => !name.includes(' '))) {
  writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 })
}
// where the user is
const here = join(folder, 'here')
mkdirSync(join(here, 'folder'), { recursive: true })
writeFileSync(join(here, 'file.json'), '')

const BASH_COMPLETION = '/usr/share/bash-completion/bash_completion'

type Shell = 'bash' | 'zsh' | 'fish'

const missing = (tool: string) =>
  spawnSync(tool, ['--version']).status === 0 ? false : `${tool} is not installed`
const WITHOUT: Record<Shell, string | false> = {
  bash: missing('bash') || (existsSync(BASH_COMPLETION) ? false : 'bash-completion is not installed'),
  zsh: missing('zsh'),
  fish: missing('fish'),
}

function run(shell: Shell, args: string[], input = ''): string {
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: folder,
    LC_ALL: 'C.UTF-8',
    TERM: 'dumb',
    XDG_DATA_DIRS: share,
  }
  const result = spawnSync(shell, args, { cwd: here, env, input, encoding: 'utf8' })
  assert.equal(result.status, 0, `${result.error ?? ''}${result.stdout}${result.stderr}`)
  return result.stdout
}

/** Alt-* makes bash insert all that it would offer; a function in the place of the command sees it. */
function offeredByBash(line: string): string {
  const [name = '', ...words] = line.split(' ')
  const typed = words.length - 1
  const last = words.at(-1) ?? ''
  const out = join(folder, 'offered')
  const setUp = [
    `source ${BASH_COMPLETION}`,
    `${name}() { printf '%s\\n' "\${@:${typed + 1}}" >${out}; }`,
    `_completion_loader ${name}`,
  ].join('\n')
  run('bash', ['--noprofile', '--norc', '-i'], `${setUp}\n${line}\u001b*\nexit 0\n`)
  const offered = readFileSync(out, 'utf8')
  // what was typed stays if nothing is offered
  return offered.trim() === last ? '' : offered
}

/** zsh completes on a terminal only; zpty gives it one. `compadd` is what all completions offer their words with. */
function offeredByZsh(line: string, what: 'words' | 'descriptions' = 'words'): string {
  const out = join(folder, 'offered')
  const described = join(folder, 'described')
  const rc = join(folder, 'zshrc')
  for (const file of [out, described]) writeFileSync(file, '')
  writeFileSync(
    rc,
    `PS1=ready COLUMNS=300
fpath=(${share}/zsh/site-functions $fpath)
autoload -Uz compinit && compinit -u -d ${folder}/zcompdump
compadd() {
  local -a found display
  if [[ \${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
    builtin compadd -A found "$@"
    (($#found)) && print -rl -- $found >>${out}
  fi
  zparseopts -E -a display d:
  (($#display)) && print -rl -- \${(P)display[2]} >>${described}
  builtin compadd "$@"
}
leave() { exit; }
comppostfuncs=(leave)
bindkey '^I' complete-word
`,
  )
  const script = `zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell ${"'PS1=; source '"}${rc}
zpty -r shell answer '*ready*'
# Ctrl-U and exit, if nothing was completed
zpty -wn shell $1$'\\t\\x15exit\\n'
while zpty -r shell answer; do :; done
exit 0`
  run('zsh', ['-f', '-c', script, 'zsh', line])
  return readFileSync(what === 'words' ? out : described, 'utf8')
}

function offeredByFish(line: string): string {
  const out = run('fish', ['--command', 'complete --do-complete $argv[1]', line])
  return out.replaceAll(/\t.*$/gm, '')
}

const OFFERED: Record<Shell, (line: string) => string> = {
  bash: offeredByBash,
  zsh: line => offeredByZsh(line),
  fish: offeredByFish,
}

const optionsOf = ({ options }: Listed) => Object.keys({ ...options, ...COMMON }).map(name => `--${name}`)
const subcommands = Object.keys(COMMANDS)

test('there is a completion for each command in each shell, and no other', () => {
  const names = ['hydra-channels', 'hydra-hook', 'channel-update', 'get-flake-commit']
  assert.deepEqual(
    [...renderCompletions(commands).keys()].sort(),
    names
      .flatMap(name => [
        `bash-completion/completions/${name}.bash`,
        `zsh/site-functions/_${name}`,
        `fish/vendor_completions.d/${name}.fish`,
      ])
      .sort(),
  )
})

for (const shell of Object.keys(OFFERED) as Shell[]) {
  const offered = (line: string) => {
    const words = OFFERED[shell](line).split('\n')
    // an option that takes a value may come with “=”, a folder with “/”, a value with its option
    const bare = words.map(word => word.replace(/[=/]$/, '').replace(/^--[a-z-]+=/, ''))
    return [...new Set(bare.filter(word => word !== ''))].sort()
  }

  describe(`${shell} offers`, { skip: WITHOUT[shell] }, () => {
    for (const command of commands) {
      test(`the options of ${command.name}`, () => {
        assert.deepEqual(offered(`${command.name} --`), optionsOf(command).sort())
      })
    }

    const CASES: [line: string, words: string[]][] = [
      ['hydra-channels ', [...subcommands, 'help']],
      ['hydra-channels st', ['status']],
      ['hydra-channels help ', subcommands],
      ['hydra-channels help ho', ['hold']],
      ['hydra-channels hold nas --re', ['--reason']],
      // a channel that has the name of a command
      ['hydra-channels hold status --f', ['--force']],
      ['hydra-channels status --page ', ['folder']],
      ['hydra-channels status --config ', ['file.json', 'folder']],
      ['hydra-channels status --config fi', ['file.json']],
      ['hydra-channels status --config=', ['file.json', 'folder']],
      ['hydra-channels status --page=f', ['folder']],
      ['hydra-channels hold --reason=', []],
      // neither files nor options for a value that is anything
      ['hydra-channels hold --reason ', []],
      ['hydra-channels history --since ', []],
      ['channel-update --private-key-file ', ['file.json', 'folder']],
      ['hydra-hook --config fo', ['folder']],
      // after “--” there are channels only
      ['hydra-channels status -- --', []],
      ['hydra-channels nonsense --', []],
      ['hard --', ['--odd', '--even', '--help', '--version']],
      ['hard --even ', ['file.json', 'folder']],
      ['harder s', ['sub']],
      ['harder sub --o', ['--odd']],
    ]
    for (const [line, words] of CASES) {
      test(`${line}↹`, () => assert.deepEqual(offered(line), [...words].sort()))
    }
  })
}

describe('descriptions are as they are in the tables', () => {
  test('zsh', { skip: WITHOUT.zsh }, () => {
    const { odd, even } = HARD.options
    // in columns
    const options = offeredByZsh('hard --', 'descriptions').replaceAll(/ +-- /g, ' -- ')
    for (const text of [`--odd -- ${odd?.about}\n`, `--even -- ${even?.about}\n`]) {
      assert.ok(options.includes(text), options)
    }
    const summaries = offeredByZsh('harder ', 'descriptions')
    assert.ok(summaries.includes(`-- ${HARD_SUBCOMMAND.summary}\n`), summaries)
  })

  test('fish', { skip: WITHOUT.fish }, () => {
    const describe = (line: string) => run('fish', ['--command', 'complete --do-complete $argv[1]', line])
    const { odd, even } = HARD.options
    assert.equal(describe('hard --o'), `--odd\t${odd?.about}\n`)
    assert.equal(describe('hard --e'), `--even\t${even?.about}\n`)
    assert.equal(describe('harder s'), `sub\t${HARD_SUBCOMMAND.summary}\n`)
  })
})
