// Completions for bash, zsh and fish, made of the tables that --help is made of. They offer commands, options, files and
// folders. Channels are not offered: that would ask a database at every Tab.
import type { Listed } from './all-commands.ts'
import { COMMON, type Option } from './arguments.ts'

const MADE = '# Made when the package is built, of the tables of src/commands.'

/** One that is typed at a prompt, with its subcommands if it has some. */
interface Program extends Listed {
  /** by the word that is typed: `status` */
  subcommands: ReadonlyMap<string, Listed>
}

/** The files with completions of all programs: for each its path under share/, and its text. */
export function renderCompletions(commands: readonly Listed[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const command of commands.filter(({ name }) => !name.includes(' '))) {
    const { name } = command
    const own = commands.filter(other => other.name.startsWith(`${name} `))
    const subcommands = new Map(own.map(other => [other.name.slice(name.length + 1), other]))
    const program = { ...command, subcommands }
    files.set(`bash-completion/completions/${name}.bash`, renderBash(program))
    files.set(`zsh/site-functions/_${name}`, renderZsh(program))
    files.set(`fish/vendor_completions.d/${name}.fish`, renderFish(program))
  }
  return files
}

interface Row extends Option {
  name: string
}

const rowsOf = ({ options }: Listed): Row[] =>
  Object.entries({ ...options, ...COMMON }).map(([name, row]: [string, Option]) => ({ ...row, name }))

const namesOf = ({ short, name }: Row) => [...(short === undefined ? [] : [`-${short}`]), `--${name}`]

/** `hydra-channels help status` */
const HELP = { name: 'help', summary: 'says more of a command' }

function renderBash(program: Program): string {
  const { name, subcommands } = program
  const function_ = `_${name.replaceAll('-', '_')}`
  const commandNames = [...subcommands.keys()].join(' ')
  const longOf = (rows: Row[]) => rows.flatMap(namesOf).join(' ')
  // “*” stands for a word that is no command
  const valuesOf = (command: Listed, word: string) =>
    rowsOf(command)
      .filter(({ type }) => type === 'string')
      .map(({ name, value }) => `    ${word}\\ --${name}) ${bashValue(value)} ;;\n`)
  const offers = [
    ...[...subcommands].map(([word, command]) => `    ${word}) words='${longOf(rowsOf(command))}' ;;\n`),
    ...(subcommands.size > 0 ? [`    help) ((COMP_CWORD == 2)) && words='${commandNames}' ;;\n`] : []),
  ]
  const values =
    subcommands.size > 0
      ? [...subcommands].flatMap(([word, command]) => valuesOf(command, word))
      : valuesOf(program, '*')
  return `${MADE}
${function_}() {
  local command=\${COMP_WORDS[1]} word=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD - 1]} words='' index
  COMPREPLY=()
  # after “--” there are no options
  for ((index = 1; index < COMP_CWORD; index++)); do
    [[ \${COMP_WORDS[index]} == -- ]] && return
  done
  # bash makes three words of --config=FILE
  if [[ $word == = ]]; then
    word=''
  elif [[ $option == = ]]; then
    option=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  # the value of an option; what “default” and “dirnames” find is offered if nothing else is
  case "$command $option" in
${values.join('')}  esac
${
  subcommands.size > 0
    ? `  if ((COMP_CWORD == 1)); then
    words='${commandNames} ${HELP.name}'
    [[ $word == -* ]] && words='${longOf(rowsOf(program))}'
  else
    case "$command" in
${offers.map(line => `  ${line}`).join('')}    esac
  fi`
    : `  words='${longOf(rowsOf(program))}'`
}
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F ${function_} ${name}
`
}

function bashValue(value: string | undefined): string {
  if (value === 'FILE') return 'compopt -o default; return'
  if (value === 'DIR') return 'compopt -o dirnames; return'
  return 'return'
}

function renderZsh(program: Program): string {
  const { name, subcommands } = program
  const head = `#compdef ${name}\n${MADE}\n`
  if (subcommands.size === 0) return `${head}\n${zshArguments(program, '')}\n`
  const listed = [...[...subcommands].map(([word, { summary }]) => ({ name: word, summary })), HELP]
  const describe = ({ name, summary }: { name: string; summary: string }) =>
    `  ${quote(`${name}:${summary.replaceAll(/[\\:]/g, '\\$&')}`)}\n`
  return `${head}
local curcontext=$curcontext state
local -a line commands
commands=(
${listed.map(describe).join('')})

${zshArguments(program, '', ["'1: :->command'", "'*:: :->arguments'"])} && return

case $state in
  command) _describe -t commands command commands ;;
  arguments)
    case $words[1] in
${[...subcommands]
  .map(([word, command]) => `      ${word})\n${zshArguments(command, '        ')}\n        ;;\n`)
  .join('')}      help)
        commands=(\${commands:#${HELP.name}:*})
        ((CURRENT == 2)) && _describe -t commands command commands
        ;;
    esac
    ;;
esac
`
}

/** A call of _arguments, whose status says whether it offered something. */
function zshArguments(command: Listed, indent: string, operands?: readonly string[]): string {
  const specs = rowsOf(command).flatMap(row => {
    const about = `[${row.about.replaceAll(/[\\[\]]/g, '\\$&')}]`
    if (row.type === 'string') return [quote(`--${row.name}=${about}${zshValue(row.value)}`)]
    // after --help nothing else matters
    const exclusive = row.name in COMMON ? '(- : *)' : ''
    return namesOf(row).map(name => quote(`${exclusive}${name}${about}`))
  })
  const rest =
    operands ??
    (command.operands === undefined ? [] : [quote(`*:${command.operands.replaceAll(/[\\:]/g, '\\$&')}: `)])
  return [
    `${indent}_arguments ${operands ? '-C ' : ''}-S`,
    ...[...specs, ...rest].map(each => `${indent}  ${each}`),
  ].join(' \\\n')
}

function zshValue(value = ''): string {
  if (value === 'FILE') return `:${value}:_files`
  if (value === 'DIR') return `:${value}:_files -/`
  return `:${value}: `
}

/** For POSIX shells, which zsh is in this. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function renderFish(program: Program): string {
  const { name, subcommands } = program
  const function_ = `__${name.replaceAll('-', '_')}_command_is`
  const complete = (condition: string, rest: string) =>
    `complete -c ${name}${condition === '' ? '' : ` -n ${fishQuote(condition)}`} ${rest}\n`
  const optionsOf = (command: Listed, condition: string) =>
    rowsOf(command).map(row => {
      const short = row.short === undefined ? '' : `-s ${row.short} `
      return complete(condition, `${short}-l ${row.name}${fishValue(row)} -d ${fishQuote(row.about)}`)
    })
  const lines = [`${MADE}\n`, complete('', '-f')]
  if (subcommands.size === 0) return [...lines, ...optionsOf(program, '')].join('')
  const listed = [...subcommands].map(([word, { summary }]) => ({ name: word, summary }))
  const offer = (condition: string, each: { name: string; summary: string }) =>
    complete(condition, `-a ${each.name} -d ${fishQuote(each.summary)}`)
  return [
    `${MADE}
# The command is always the first word. Without an argument: none is there yet.
function ${function_}
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"
end
`,
    complete('', '-f'),
    ...[...listed, HELP].map(each => offer(function_, each)),
    ...optionsOf(program, function_),
    ...[...subcommands].flatMap(([word, command]) => optionsOf(command, `${function_} ${word}`)),
    ...listed.map(each => offer(`${function_} ${HELP.name}`, each)),
  ].join('')
}

function fishValue({ type, value }: Row): string {
  if (type === 'boolean') return ''
  if (value === 'FILE') return ' -r -F'
  if (value === 'DIR') return " -x -a '(__fish_complete_directories)'"
  return ' -x'
}

function fishQuote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}
