// Whose name we act in: what comes first, what belongs together, and which file holds a key.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { UsageError } from '../../../src/base/errors.ts'
import { type CredentialSources, findCredentials } from '../../../src/github/credentials.ts'
import { codesOnly } from '../../helpers/words.ts'

const directory = mkdtempSync(join(tmpdir(), 'hc-credentials-'))
after(() => rmSync(directory, { recursive: true }))

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
// as GitHub makes it
const PEM = privateKey.export({ type: 'pkcs1', format: 'pem' }) as string
const KEY = keep('app.pem', PEM)
mkdirSync(join(directory, 'credentials'))
keep('credentials/app-key', PEM)

function keep(name: string, content: string): string {
  const file = join(directory, name)
  writeFileSync(file, content, { mode: 0o600 })
  return file
}

const FLAGS = { appId: 'Iv-flags', privateKeyFile: KEY }
const ENV = { GITHUB_APP_ID: 'Iv-env', GITHUB_APP_PRIVATE_KEY_FILE: KEY }
const CONFIG = { appId: 'Iv-config', privateKeyFile: KEY }
const TOKEN = { GITHUB_TOKEN: 'geheim' }

const find = (sources: Partial<CredentialSources>) =>
  findCredentials({ env: {}, config: {}, personalToken: 'ignored', ...sources })

function refusal(sources: Partial<CredentialSources>): UsageError {
  try {
    find(sources)
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    const said = [error.message, ...error.hint].join('\n')
    for (const secret of ['geheim', ...PEM.split('\n').slice(1, -2)]) assert.ok(!said.includes(secret), said)
    return error
  }
  throw new Error('credentials were found')
}

describe('the first that is there', () => {
  const CASES: { what: string; sources: Partial<CredentialSources>; found: [id: string, source: string] }[] =
    [
      {
        what: 'flags, before everything else',
        sources: { flags: FLAGS, env: { ...ENV, ...TOKEN }, config: CONFIG, personalToken: 'accepted' },
        found: ['Iv-flags', 'flags'],
      },
      {
        what: 'the environment, before a token and the configuration',
        sources: { env: { ...ENV, ...TOKEN }, config: CONFIG, personalToken: 'accepted' },
        found: ['Iv-env', 'environment'],
      },
      {
        what: 'GITHUB_TOKEN, before the configuration, where it is accepted',
        sources: { env: TOKEN, config: CONFIG, personalToken: 'accepted' },
        found: ['token', 'GITHUB_TOKEN'],
      },
      {
        what: 'the configuration, where GITHUB_TOKEN is not accepted',
        sources: { env: TOKEN, config: CONFIG },
        found: ['Iv-config', 'configuration'],
      },
      {
        what: 'the configuration, where GITHUB_TOKEN is empty',
        sources: { env: { GITHUB_TOKEN: '' }, config: CONFIG, personalToken: 'accepted' },
        found: ['Iv-config', 'configuration'],
      },
      {
        what: 'the configuration, where the environment is empty',
        sources: { env: { GITHUB_APP_ID: '', GITHUB_APP_PRIVATE_KEY_FILE: '' }, config: CONFIG },
        found: ['Iv-config', 'configuration'],
      },
      {
        what: 'the configuration, where flags are possible and not given',
        sources: { flags: { appId: undefined, privateKeyFile: undefined }, config: CONFIG },
        found: ['Iv-config', 'configuration'],
      },
    ]
  for (const { what, sources, found } of CASES) {
    test(what, () => {
      const credentials = find(sources)
      assert.deepEqual(
        [credentials.kind === 'app' ? credentials.appId : credentials.kind, credentials.source],
        found,
      )
    })
  }

  test('is an App with its key', () => {
    assert.deepEqual(find({ config: CONFIG }), {
      kind: 'app',
      appId: 'Iv-config',
      privateKey: PEM,
      keyFile: KEY,
      source: 'configuration',
    })
  })

  test('is a token', () => {
    assert.deepEqual(find({ env: TOKEN, personalToken: 'accepted' }), {
      kind: 'token',
      token: 'geheim',
      source: 'GITHUB_TOKEN',
    })
  })

  test('is none: what a hook can be given', () => {
    const { message, hint } = refusal({ env: TOKEN })
    assert.equal(message, 'there are no credentials of a GitHub App')
    assert.deepEqual(hint, ['set github.appId and github.privateKeyFile in the configuration'])
  })

  test('is none: what channel-update can be given', () => {
    const { message, hint } = refusal({ personalToken: 'accepted' })
    assert.equal(message, 'there are no credentials of a GitHub App')
    assert.deepEqual(hint, [
      'set github.appId and github.privateKeyFile in the configuration, or --app-id and --private-key-file, or GITHUB_TOKEN',
    ])
  })
})

describe('one half is an error, whatever comes after it', () => {
  const together = (missing: string, id: string, key: string) =>
    `${missing} is missing: ${id} and ${key} belong together`
  const flags = (missing: string) => together(missing, '--app-id', '--private-key-file')
  const env = (missing: string) => together(missing, 'GITHUB_APP_ID', 'GITHUB_APP_PRIVATE_KEY_FILE')
  const config = (missing: string) => together(missing, 'github.appId', 'github.privateKeyFile')

  const HALVES: { sources: Partial<CredentialSources>; message: string }[] = [
    { sources: { flags: { appId: 'Iv1' } }, message: flags('--private-key-file') },
    { sources: { flags: { privateKeyFile: KEY } }, message: flags('--app-id') },
    { sources: { flags: { appId: '', privateKeyFile: KEY } }, message: flags('--app-id') },
    { sources: { flags: { appId: 'Iv1', privateKeyFile: '' } }, message: flags('--private-key-file') },
    { sources: { env: { GITHUB_APP_ID: 'Iv1' } }, message: env('GITHUB_APP_PRIVATE_KEY_FILE') },
    { sources: { env: { GITHUB_APP_PRIVATE_KEY_FILE: KEY } }, message: env('GITHUB_APP_ID') },
    { sources: { env: { GITHUB_APP_ID: 'Iv1', ...TOKEN } }, message: env('GITHUB_APP_PRIVATE_KEY_FILE') },
  ]
  for (const { sources, message } of HALVES) {
    test(`${JSON.stringify(sources).replaceAll(directory, '')}: ${message}`, () => {
      assert.equal(refusal({ config: CONFIG, personalToken: 'accepted', ...sources }).message, message)
    })
  }

  test(config('github.privateKeyFile'), () => {
    assert.equal(refusal({ config: { appId: 'Iv1' } }).message, config('github.privateKeyFile'))
  })

  test(config('github.appId'), () => {
    assert.equal(refusal({ config: { privateKeyFile: KEY } }).message, config('github.appId'))
  })
})

describe('a relative path', () => {
  const CREDENTIALS_DIRECTORY = join(directory, 'credentials')
  const RELATIVE = { appId: 'Iv1', privateKeyFile: 'app-key' }

  test('of the configuration is looked up where systemd puts credentials', () => {
    const found = find({ env: { CREDENTIALS_DIRECTORY }, config: RELATIVE })
    assert.equal(found.kind === 'app' && found.privateKey, PEM)
  })

  test('of the configuration, and an absolute one is left alone', () => {
    const found = find({ env: { CREDENTIALS_DIRECTORY: '/nonexistent' }, config: CONFIG })
    assert.equal(found.kind === 'app' && found.privateKey, PEM)
  })

  for (const env of [{}, { CREDENTIALS_DIRECTORY: '' }]) {
    test(`of the configuration, outside of a unit (${JSON.stringify(env)})`, () => {
      const { message, hint } = refusal({ env, config: RELATIVE })
      assert.equal(
        message,
        "cannot find the App's private key “app-key” (github.privateKeyFile): a relative path is looked up in $CREDENTIALS_DIRECTORY, which is not set",
      )
      assert.deepEqual(hint, [
        'give the unit LoadCredential=app-key:/path/of/the/key, or configure an absolute path',
      ])
    })
  }

  test('of the configuration that is not among the credentials', () => {
    const file = join(CREDENTIALS_DIRECTORY, 'other')
    assert.equal(
      codesOnly(
        refusal({ env: { CREDENTIALS_DIRECTORY }, config: { appId: 'Iv1', privateKeyFile: 'other' } })
          .message,
      ),
      `cannot read the App's private key ${file} (github.privateKeyFile): ENOENT '${file}'`,
    )
  })

  test('of a flag or the environment is relative to the folder that one is in', () => {
    const missing = (name: string) => `cannot read the App's private key app-key (${name}): ENOENT 'app-key'`
    assert.equal(
      codesOnly(refusal({ env: { CREDENTIALS_DIRECTORY }, flags: RELATIVE }).message),
      missing('--private-key-file'),
    )
    assert.equal(
      codesOnly(
        refusal({
          env: { CREDENTIALS_DIRECTORY, GITHUB_APP_ID: 'Iv1', GITHUB_APP_PRIVATE_KEY_FILE: 'app-key' },
        }).message,
      ),
      missing('GITHUB_APP_PRIVATE_KEY_FILE'),
    )
  })
})

describe('the key file', () => {
  const NO_PEM = {
    message: 'holds no private key in PEM form',
    hint: 'use the .pem file that GitHub made, as it is: a private key that is not encrypted',
  }
  const NO_RSA = {
    message: 'holds no RSA private key that can be read',
    hint: 'use the .pem file that GitHub made, as it is',
  }
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'geheim' }
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const ed = generateKeyPairSync('ed25519').privateKey

  const REFUSED: { what: string; content: string; why: typeof NO_PEM }[] = [
    { what: 'is empty', content: '', why: NO_PEM },
    { what: 'is something else', content: '{ "geheim": 1 }', why: NO_PEM },
    {
      what: 'is a public key',
      content: publicKey.export({ type: 'spki', format: 'pem' }) as string,
      why: NO_PEM,
    },
    { what: 'is a key without its PEM', content: PEM.split('\n').slice(1, -2).join('\n'), why: NO_PEM },
    { what: 'is cut in half', content: PEM.slice(0, PEM.length / 2), why: NO_PEM },
    {
      what: 'is encrypted (PKCS#1)',
      content: privateKey.export({ type: 'pkcs1', format: 'pem', ...encrypted }) as string,
      why: NO_PEM,
    },
    {
      what: 'is encrypted (PKCS#8)',
      content: privateKey.export({ type: 'pkcs8', format: 'pem', ...encrypted }) as string,
      why: NO_PEM,
    },
    {
      what: 'is of another kind (SEC1)',
      content: ec.export({ type: 'sec1', format: 'pem' }) as string,
      why: NO_PEM,
    },
    {
      what: 'is of another kind (elliptic curve)',
      content: ec.export({ type: 'pkcs8', format: 'pem' }) as string,
      why: NO_RSA,
    },
    {
      what: 'is of another kind (Ed25519)',
      content: ed.export({ type: 'pkcs8', format: 'pem' }) as string,
      why: NO_RSA,
    },
    { what: 'lacks a line', content: PEM.split('\n').toSpliced(5, 1).join('\n'), why: NO_RSA },
    {
      what: 'holds a key in words only',
      content: '-----BEGIN RSA PRIVATE KEY-----\ngeheim\n-----END RSA PRIVATE KEY-----\n',
      why: NO_RSA,
    },
  ]
  for (const [index, { what, content, why }] of REFUSED.entries()) {
    test(`${what}, and is refused without being quoted`, () => {
      const file = keep(`bad-${index}.pem`, content)
      const { message, hint } = refusal({ config: { appId: 'Iv1', privateKeyFile: file } })
      assert.equal(message, `${file} (github.privateKeyFile) ${why.message}`)
      assert.deepEqual(hint, [why.hint])
    })
  }

  const LONG = `/${'n'.repeat(4_000)}`
  const MISSING: { what: string; content: string; path?: string }[] = [
    { what: 'a path', content: 'missing:/run/secrets/github-app-key', path: '/run/secrets/github-app-key' },
    { what: 'a line', content: 'missing:/run/secrets/github-app-key\n', path: '/run/secrets/github-app-key' },
    { what: 'a path with blanks and colons', content: 'missing:/a b/c:d', path: '/a b/c:d' },
    { what: 'the root', content: 'missing:/', path: '/' },
    { what: 'a path of thousands of letters', content: `missing:${LONG}`, path: `${LONG.slice(0, 300)}…` },
    { what: 'no absolute path', content: 'missing:secrets/github-app-key' },
    { what: 'no path', content: 'missing:' },
    { what: 'more than one line', content: 'missing:/a\n/b' },
    { what: 'two line ends', content: 'missing:/a\n\n' },
    { what: 'something in front of it', content: ' missing:/a' },
    { what: 'another word', content: 'Missing:/a' },
  ]
  for (const [index, { what, content, path }] of MISSING.entries()) {
    test(`${path === undefined ? 'is no word of systemd' : 'was not there for systemd'}: ${what}`, () => {
      const file = keep(`missing-${index}`, content)
      const { message, hint } = refusal({ config: { appId: 'Iv1', privateKeyFile: file } })
      if (path === undefined) {
        assert.equal(message, `${file} (github.privateKeyFile) ${NO_PEM.message}`)
        return
      }
      assert.equal(
        message,
        `there is no private key of the App at ${path}: systemd could not read it when it started this unit`,
      )
      assert.deepEqual(hint, [
        "put the App's .pem file there, readable for root only: systemd reads it whenever it starts a unit, so the next reconcile has it",
        'if hook.mode is "inline", restart hydra-notify after that: it has what systemd read when hydra-notify was started',
      ])
    })
  }

  const TAKEN: { what: string; content: string }[] = [
    { what: 'PKCS#1', content: PEM },
    { what: 'PKCS#8', content: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
    { what: 'line ends of Windows', content: PEM.replaceAll('\n', '\r\n') },
    { what: 'no line end at the end', content: PEM.trim() },
    { what: 'attributes in front of it', content: `Bag Attributes\n    localKeyID: 01\n${PEM}` },
    { what: 'line breaks that are written out', content: PEM.replaceAll('\n', '\\n') },
  ]
  for (const [index, { what, content }] of TAKEN.entries()) {
    test(`is taken as it is: ${what}`, () => {
      const found = find({ config: { appId: 'Iv1', privateKeyFile: keep(`good-${index}.pem`, content) } })
      assert.ok(found.kind === 'app' && found.privateKey.startsWith('-----BEGIN'))
      assert.ok(content.includes(found.privateKey))
    })
  }

  const UNREADABLE: { what: string; path: string; why: string }[] = [
    {
      what: 'is not there',
      path: join(directory, 'none.pem'),
      why: `ENOENT '${join(directory, 'none.pem')}'`,
    },
    { what: 'is a folder', path: directory, why: 'EISDIR' },
  ]
  for (const { what, path, why } of UNREADABLE) {
    test(what, () => {
      for (const [sources, name] of [
        [{ flags: { ...FLAGS, privateKeyFile: path } }, '--private-key-file'],
        [{ env: { ...ENV, GITHUB_APP_PRIVATE_KEY_FILE: path } }, 'GITHUB_APP_PRIVATE_KEY_FILE'],
        [{ config: { ...CONFIG, privateKeyFile: path } }, 'github.privateKeyFile'],
      ] as const) {
        const { message } = refusal({ env: {}, ...sources })
        assert.equal(codesOnly(message), `cannot read the App's private key ${path} (${name}): ${why}`)
      }
    })
  }

  test('cannot be the key itself, which is not quoted', () => {
    const message = (name: string) => `${name} holds a key itself: expected the path of its file`
    for (const key of [PEM, ` ${PEM}`, PEM.replaceAll('\n', '\\n')]) {
      assert.equal(
        refusal({ flags: { ...FLAGS, privateKeyFile: key } }).message,
        message('--private-key-file'),
      )
      assert.equal(
        refusal({ env: { ...ENV, GITHUB_APP_PRIVATE_KEY_FILE: key } }).message,
        message('GITHUB_APP_PRIVATE_KEY_FILE'),
      )
      assert.equal(
        refusal({ config: { ...CONFIG, privateKeyFile: key } }).message,
        message('github.privateKeyFile'),
      )
    }
  })
})
