// Whose name we act in: what comes first, what belongs together, and which file holds a key.
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
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

function keep(name: string, content: string | Buffer): string {
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

  for (const appId of [' Iv1', 'Iv1\n', '\tIv1\r\n']) {
    test(`is an App's id without the blanks around it: ${JSON.stringify(appId)}`, () => {
      const key = { GITHUB_APP_PRIVATE_KEY_FILE: KEY }
      for (const sources of [{ flags: { ...FLAGS, appId } }, { env: { GITHUB_APP_ID: appId, ...key } }]) {
        const found = find(sources)
        assert.equal(found.kind === 'app' && found.appId, 'Iv1')
      }
      assert.equal(
        refusal({ env: { GITHUB_APP_ID: ' \n', ...key } }).message,
        'GITHUB_APP_ID is missing: GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE belong together',
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
        'give the unit LoadCredential=app-key:/path/of/the/file, or configure an absolute path',
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
  const AS_IT_IS = 'use the .pem file that GitHub made, as it is'
  const OWN_KEY =
    "a GitHub App has a key of its own: “Generate a private key” on the App's page makes its .pem file"
  const DECRYPT =
    'use the file that comes out when it is decrypted, or let your secret store write that file (sops-nix, agenix)'
  type Why = readonly [message: string, hint: string]
  const NO_PEM: Why = ['holds no private key in PEM form', `${AS_IT_IS}: a private key that is not encrypted`]
  const NO_RSA: Why = ['holds no RSA private key that can be read', AS_IT_IS]
  const ENCRYPTED: Why = [
    'holds a private key that is encrypted with a passphrase, and nobody is here to enter it',
    `${AS_IT_IS}, or decrypt it: openssl rsa -in ENCRYPTED.pem -out app.pem`,
  ]
  const SSH: Why = ['holds a key of ssh', OWN_KEY]
  const PUBLIC: Why = ['holds a public key, and the App signs with the private one', OWN_KEY]
  const PART: Why = ['holds only a part of a private key: the first or the last line is missing', AS_IT_IS]
  const BARE: Why = ['holds a key without the first and the last line of a PEM file', AS_IT_IS]
  const BASE64: Why = [
    'looks base64-encoded: it should hold the key as PEM',
    'decode it with base64 --decode, and use what comes out: its first line is -----BEGIN RSA PRIVATE KEY-----',
  ]
  const DER: Why = [
    'holds a key in binary form (DER), and not as PEM',
    `${AS_IT_IS}, or convert it: openssl rsa -inform DER -in KEY.der -out app.pem`,
  ]
  const kind = (type: string): Why => [
    `holds a key of the kind ${type}, and the key of a GitHub App is an RSA key`,
    OWN_KEY,
  ]
  const stillBy = (tool: string): Why => [`is still encrypted by ${tool}`, DECRYPT]
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'geheim' }
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const ed = generateKeyPairSync('ed25519').privateKey
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
  const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string
  const PKCS8 = pkcs8(privateKey)
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const spki = publicKey.export({ type: 'spki', format: 'pem' }) as string
  const body = PEM.split('\n').slice(1, -2)
  const labelled = (label: string) => `-----BEGIN ${label}-----\ngeheim\n-----END ${label}-----\n`

  const REFUSED: { what: string; content: string | Buffer; why: Why }[] = [
    { what: 'is empty', content: '', why: ['is empty', AS_IT_IS] },
    { what: 'is blank', content: ' \r\n\n', why: ['is empty', AS_IT_IS] },
    { what: 'is something else', content: '{ "geheim": 1 }', why: NO_PEM },
    { what: 'is a word', content: 'geheim\n', why: NO_PEM },
    { what: 'is a public key', content: spki, why: PUBLIC },
    {
      what: 'is a public key (PKCS#1)',
      content: publicKey.export({ type: 'pkcs1', format: 'pem' }) as string,
      why: PUBLIC,
    },
    { what: 'is a public key of ssh', content: 'ssh-ed25519 AAAAC3NzageheimI1NTE5 alice@nas\n', why: PUBLIC },
    { what: 'is a public key of ssh (ecdsa)', content: 'ecdsa-sha2-nistp256 AAAAE2Vgeheim', why: PUBLIC },
    {
      what: 'is a certificate',
      content: labelled('CERTIFICATE'),
      why: ['holds a certificate, and no key', OWN_KEY],
    },
    { what: 'is a private key of ssh', content: labelled('OPENSSH PRIVATE KEY'), why: SSH },
    { what: 'is a private key of PuTTY', content: 'PuTTY-User-Key-File-3: ssh-rsa\ngeheim\n', why: SSH },
    { what: 'is a key without its PEM', content: body.join('\n'), why: BARE },
    { what: 'is a key without its PEM, on one line', content: body.join(''), why: BARE },
    { what: 'is cut in half', content: PEM.slice(0, PEM.length / 2), why: PART },
    { what: 'lacks its first line', content: PEM.split('\n').slice(1).join('\n'), why: PART },
    { what: 'is base64', content: base64(PEM), why: BASE64 },
    { what: 'is base64, wrapped', content: base64(PEM).replace(/.{76}/g, '$&\r\n'), why: BASE64 },
    { what: 'is base64 in quotes', content: `"${base64(PEM)}"\n`, why: BASE64 },
    { what: 'is base64 of a key with attributes', content: base64(`Bag Attributes\n${PEM}`), why: BASE64 },
    { what: 'is base64 for URLs', content: Buffer.from(PEM).toString('base64url'), why: BASE64 },
    {
      what: 'is binary',
      content: privateKey.export({ type: 'pkcs1', format: 'der' }),
      why: DER,
    },
    { what: 'is binary (PKCS#8)', content: privateKey.export({ type: 'pkcs8', format: 'der' }), why: DER },
    {
      what: 'is encrypted (PKCS#1)',
      content: privateKey.export({ type: 'pkcs1', format: 'pem', ...encrypted }) as string,
      why: ENCRYPTED,
    },
    {
      what: 'is encrypted (PKCS#8)',
      content: privateKey.export({ type: 'pkcs8', format: 'pem', ...encrypted }) as string,
      why: ENCRYPTED,
    },
    {
      what: 'is encrypted (PKCS#1), with line ends of Windows',
      content: (privateKey.export({ type: 'pkcs1', format: 'pem', ...encrypted }) as string).replaceAll(
        '\n',
        '\r\n',
      ),
      why: ENCRYPTED,
    },
    {
      what: 'is encrypted by sops',
      content: '{"data": "ENC[AES256_GCM,data:geheim]"}',
      why: stillBy('sops'),
    },
    { what: 'is encrypted by age', content: 'age-encryption.org/v1\n-> X25519 geheim', why: stillBy('age') },
    { what: 'is encrypted by age, as text', content: labelled('AGE ENCRYPTED FILE'), why: stillBy('age') },
    { what: 'is encrypted by PGP', content: labelled('PGP MESSAGE'), why: stillBy('PGP') },
    {
      what: 'is of another kind (SEC1)',
      content: ec.export({ type: 'sec1', format: 'pem' }) as string,
      why: kind('ec'),
    },
    { what: 'is of another kind (elliptic curve)', content: pkcs8(ec), why: kind('ec') },
    { what: 'is of another kind (Ed25519)', content: pkcs8(ed), why: kind('ed25519') },
    { what: 'is of another kind (RSA-PSS)', content: pkcs8(pss), why: kind('rsa-pss') },
    { what: 'is of another kind (DSA)', content: labelled('DSA PRIVATE KEY'), why: kind('dsa') },
    { what: 'lacks a line', content: PEM.split('\n').toSpliced(5, 1).join('\n'), why: NO_RSA },
    { what: 'holds a key in words only', content: labelled('RSA PRIVATE KEY'), why: NO_RSA },
    {
      what: 'holds nothing between its lines',
      content: '-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----',
      why: NO_RSA,
    },
  ]
  for (const [index, { what, content, why }] of REFUSED.entries()) {
    test(`${what}, and is refused without being quoted`, () => {
      const file = keep(`bad-${index}.pem`, content)
      const { message, hint } = refusal({ config: { appId: 'Iv1', privateKeyFile: file } })
      assert.equal(message, `${file} (github.privateKeyFile) ${why[0]}`)
      assert.deepEqual(hint, [why[1]])
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
        assert.equal(message, `${file} (github.privateKeyFile) ${NO_PEM[0]}`)
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

  const TAKEN: { what: string; content: string | Buffer; pem?: string }[] = [
    { what: 'PKCS#1', content: PEM },
    { what: 'PKCS#8', content: PKCS8, pem: PKCS8 },
    { what: 'line ends of Windows', content: PEM.replaceAll('\n', '\r\n') },
    { what: 'PKCS#8 with line ends of Windows', content: PKCS8.replaceAll('\n', '\r\n'), pem: PKCS8 },
    { what: 'line ends of old Macs', content: PEM.replaceAll('\n', '\r') },
    { what: 'no line end at the end', content: PEM.trim() },
    { what: 'attributes in front of it', content: `Bag Attributes\n    localKeyID: 01\n${PEM}` },
    { what: 'its public key in front of it', content: `${spki}${PEM}` },
    { what: 'line breaks that are written out', content: PEM.replaceAll('\n', '\\n') },
    { what: 'line breaks of Windows that are written out', content: PEM.replaceAll('\n', '\\r\\n') },
    { what: 'line breaks that are written out, in quotes', content: JSON.stringify(PEM) },
    { what: 'both kinds of line breaks', content: PEM.replaceAll('\n', '\\n\n') },
    { what: 'blanks instead of line breaks', content: PEM.replaceAll('\n', ' ') },
    { what: 'no line breaks', content: PEM.replaceAll('\n', '') },
    { what: 'blanks around it', content: `\n  \t${PEM}\n\n ` },
    { what: 'every line indented', content: PEM.replace(/^/gm, '    ') },
    { what: 'blanks behind every line', content: PEM.replaceAll('\n', ' \n') },
    { what: 'a byte order mark', content: `\uFEFF${PEM}` },
    { what: 'a byte order mark and line ends of Windows', content: `\uFEFF${PEM.replaceAll('\n', '\r\n')}` },
    { what: "UTF-16, as Windows' shell writes it", content: Buffer.from(`\uFEFF${PEM}`, 'utf16le') },
  ]
  for (const [index, { what, content, pem = PEM }] of TAKEN.entries()) {
    test(`is taken, and becomes what GitHub made: ${what}`, () => {
      const found = find({ config: { appId: 'Iv1', privateKeyFile: keep(`good-${index}.pem`, content) } })
      assert.equal(found.kind === 'app' && found.privateKey, pem)
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
    const base64 = Buffer.from(PEM).toString('base64')
    const lines = PEM.split('\n').slice(1, -2)
    const bare = lines.join('')
    const broken = [
      lines.join('\n'),
      lines.join('\r\n'),
      lines.join('\\n'),
      `\\n${lines.join('\\n')}`,
      lines.join(' '),
    ]
    const escaped = PEM.replaceAll('\n', '\\n')
    for (const key of [PEM, ` ${PEM}`, escaped, base64, `\n${base64}`, bare, `key: ${bare}`, ...broken]) {
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

  test('cannot be what is no path, and it is not quoted', () => {
    const part = PEM.split('\n').slice(2, -2)
    const CONTROL = 'a line break or another control character in it'
    for (const [path, why] of [
      [part.join('\n'), CONTROL],
      ['/run/geheim\n', CONTROL],
      ['/run/geheim\0', CONTROL],
      ['geheim\x9b', CONTROL],
      ['/geheim'.repeat(600), 'more than 4096 characters'],
    ] as const) {
      for (const [sources, name] of [
        [{ flags: { ...FLAGS, privateKeyFile: path } }, '--private-key-file'],
        [{ env: { ...ENV, GITHUB_APP_PRIVATE_KEY_FILE: path } }, 'GITHUB_APP_PRIVATE_KEY_FILE'],
        [{ config: { ...CONFIG, privateKeyFile: path } }, 'github.privateKeyFile'],
      ] as const) {
        assert.equal(refusal(sources).message, `${name} is no path of a file: it has ${why}`)
      }
    }
  })
})
