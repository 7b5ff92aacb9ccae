// The documents agree with each other and with the code: links lead somewhere, tables are those of the code, and what they
// quote exists. Snippets of Nix are in nix/documents.test.ts.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'
import { keysIn } from '../../src/base/known-keys.ts'
import { TROUBLE, type Verdict } from '../../src/channels/verdict.ts'
import { allCommands } from '../../src/commands/all-commands.ts'
import type { Options } from '../../src/commands/arguments.ts'
import { configSchema, parseConfig } from '../../src/config.ts'
import { REASONS } from '../../src/status/shape.ts'
import {
  anchorsOf,
  blocksOf,
  codesOf,
  DOCUMENTS,
  inCode,
  linksOf,
  ROOT,
  readDocument,
  tableBelow,
} from '../helpers/documents.ts'

/** GitHub's own page, which is no file. */
const ELSEWHERE = /^https?:|^\.\.\/\.\.\/security\//

describe('links lead to files and headings that there are', () => {
  for (const path of DOCUMENTS) {
    test(path, () => {
      for (const link of linksOf(readDocument(path)).filter(link => !ELSEWHERE.test(link))) {
        const [file = '', anchor] = link.split('#')
        const target = file === '' ? path : normalize(join(dirname(path), file))
        assert.ok(existsSync(join(ROOT, target)), `${link}: there is no ${target}`)
        if (anchor !== undefined) assert.ok(anchorsOf(readDocument(target)).includes(anchor), link)
      }
    })
  }

  test('every document can be reached from the README', () => {
    const reached = new Set(['README.md'])
    for (const path of reached) {
      if (!path.endsWith('.md')) continue
      for (const link of linksOf(readDocument(path)).filter(link => !ELSEWHERE.test(link))) {
        const [file = ''] = link.split('#')
        if (file !== '') reached.add(normalize(join(dirname(path), file)))
      }
    }
    for (const path of DOCUMENTS) assert.ok(reached.has(path), path)
  })
})

test('files that documents name are there', () => {
  for (const path of DOCUMENTS) {
    for (const code of codesOf(readDocument(path))) {
      if (!/^(?:src|test|nix|docs|fixtures|bench|\.ci)\/[\w./-]+$/.test(code) || code.includes('NAME'))
        continue
      const files = [code, join(dirname(path), code)]
      assert.ok(
        files.some(file => existsSync(join(ROOT, file))),
        `${path}: ${code}`,
      )
    }
  }
})

test('the README is short, and has the two lines for a machine with nothing but Node and git', () => {
  const readme = readDocument('README.md')
  assert.ok(readme.split('\n').length <= 131)
  const lines = blocksOf(readme)
    .filter(({ language }) => language === 'sh')
    .map(({ text }) => text)
  assert.deepEqual(lines, ['npm ci && npm run demo\nnpm clean-install-test\n'])
})

describe('tables of the code', () => {
  test('docs/configuration.md has every key of the schema and no other, with its default', () => {
    const rows = tableBelow(readDocument('docs/configuration.md'), '## The keys')
    const join = ({ at, key }: { at: string; key: string }) => (at === '' ? key : `${at}.${key}`)
    const all = keysIn(configSchema).map(join)
    const isObject = (key: string) =>
      all.some(other => other.startsWith(`${key}.`) || other.startsWith(`${key}[]`))
    assert.deepEqual(rows.map(([key]) => inCode(key)).sort(), all.filter(key => !isObject(key)).sort())
    const defaults = parseConfig('{"database":{},"cache":{},"channels":[]}', 'no file')
    for (const [key, documented] of rows) {
      const value = (inCode(key) ?? '')
        .split('.')
        .reduce<unknown>((object, name) => (object as Record<string, unknown> | undefined)?.[name], defaults)
      // what is false unless it is set has no default in the schema
      const expected = value ?? (inCode(documented) === 'false' ? false : undefined)
      assert.equal(inCode(documented), expected === undefined ? undefined : String(expected), key)
    }
  })

  test('docs/status.md has every reason, in the order in which they count', () => {
    const rows = tableBelow(readDocument('docs/status.md'), '## Reasons')
    assert.deepEqual(
      rows.map(([reason]) => inCode(reason)),
      [...REASONS],
    )
  })

  test('docs/troubleshooting.md has every verdict, with its exit status', () => {
    const rows = tableBelow(readDocument('docs/troubleshooting.md'), '## Outcomes')
    assert.deepEqual(rows.map(([kind]) => inCode(kind)).sort(), Object.keys(TROUBLE).sort())
    for (const [kind, , status] of rows) {
      assert.equal(status, TROUBLE[inCode(kind) as Verdict['kind']] ? '1' : '0', kind)
    }
  })
})

/** All that the program and the units of a host may say, and the options of the modules. */
function readSources(): string {
  const folders = ['src', 'nix'].map(folder => join(ROOT, folder))
  const files = folders.flatMap(folder =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(file => /\.(?:ts|nix|sh)$/.test(file))
      .map(file => join(folder, file)),
  )
  // as it is printed, and not as a string of the language
  return files.map(file => readFileSync(file, 'utf8').replaceAll(/\\(["'])/g, '$1')).join('\n')
}

describe('what documents quote', async () => {
  const sources = readSources()
  const tables: [document: string, heading: string, column: number][] = [
    ['docs/troubleshooting.md', '## Outcomes', 1],
    ['docs/troubleshooting.md', '## Messages', 0],
    ['docs/hosts.md', '## What to do', 0],
  ]
  for (const [path, heading, column] of tables) {
    test(`the messages in ${path}: ${heading.slice(3)}`, () => {
      const rows = tableBelow(readDocument(path), heading)
      assert.ok(rows.length > 0)
      for (const message of rows.flatMap(row => codesOf(row[column] ?? ''))) {
        // … stands for what differs; a kind is put before its words, and a status into them
        const parts = message
          .split(/…|\(dry run\)|^(?:withdrawn|not-on-branch)(?=,)|\b[345]\d\d\b/)
          .map(part => part.trim())
        for (const part of parts.filter(part => part.length > 4)) {
          assert.ok(sources.includes(part), `“${part}” of ${message}`)
        }
      }
    })
  }

  const commands = await allCommands()
  for (const path of DOCUMENTS) {
    test(`options of commands in ${path}`, () => {
      const document = readDocument(path)
      const texts = [
        ...codesOf(document),
        ...blocksOf(document)
          .filter(({ language }) => language === 'sh')
          .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n')),
      ]
      for (const text of texts) {
        // the longest name first: `hydra-channels status` before `hydra-channels`
        const command = commands
          .filter(({ name }) => ` ${text} `.includes(` ${name} `))
          .sort((a, b) => b.name.length - a.name.length)[0]
        if (command === undefined || text.includes('systemctl')) continue
        const [, after = ''] = text.split(command.name)
        for (const [, option = ''] of after.matchAll(/(?<=\s|\[)--([a-z-]+)/g)) {
          const known = [...Object.keys(command.options as Options), 'help', 'version']
          assert.ok(known.includes(option), `${command.name} has no --${option}: ${text}`)
        }
      }
    })
  }

  test('messages and options of the modules name documents that there are', () => {
    for (const [name] of sources.matchAll(/\bdocs\/[\w-]+\.md\b/g)) {
      assert.ok(existsSync(join(ROOT, name)), name)
    }
    assert.doesNotMatch(sources, /README(?:\.md)?: /)
  })
})
