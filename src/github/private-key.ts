// What is in the file of the App's private key. GitHub makes RSA keys, as PEM (PKCS#1). On their way through secret stores
// and environments they lose their line breaks, or another key takes their place.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/managing-private-keys-for-github-apps
import { createPrivateKey } from 'node:crypto'

export type KeyFile =
  /** PEM, PKCS#1 or PKCS#8, as OpenSSL writes it */
  | { kind: 'key'; pem: string }
  /** `why` goes on after the name of the file */
  | { kind: 'unusable'; why: string; hint: string }

const AS_IT_IS = 'use the .pem file that GitHub made, as it is'
const OWN_KEY =
  "a GitHub App has a key of its own: “Generate a private key” on the App's page makes its .pem file"
const DECRYPT =
  'use the file that comes out when it is decrypted, or let your secret store write that file (sops-nix, agenix)'

const LABELS = ['RSA PRIVATE KEY', 'PRIVATE KEY'] as const

/** A line of a PEM file has 64 characters. */
const LINE = /.{1,64}/g

/** Never throws: a file that cannot be used is a value that says why, and quotes nothing of it. */
export function parseKeyFile(bytes: Buffer): KeyFile {
  const text = decode(bytes)
  for (const label of LABELS) {
    const body = bodyOf(text, label)
    if (body !== undefined) return judge(label, body)
  }
  const [, why, hint] = MISTAKES.find(([is]) => is(text, bytes)) ?? NO_PEM
  return { kind: 'unusable', why, hint }
}

/** Windows' shell writes UTF-16, and its editors a byte order mark. */
function decode(bytes: Buffer): string {
  const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe
  return bytes.toString(isUtf16 ? 'utf16le' : 'utf8')
}

/** What is between the lines of a label, which may be somewhere in the text: openssl writes attributes in front of it. */
function bodyOf(text: string, label: string): string | undefined {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`]
  const start = text.indexOf(begin)
  const stop = text.indexOf(end, start)
  return start < 0 || stop < 0 ? undefined : text.slice(start + begin.length, stop)
}

function judge(label: string, body: string): KeyFile {
  if (body.includes('ENCRYPTED')) return unusable(...ENCRYPTED)
  // line breaks may be those of Windows, or blanks, or written out as “\n”
  const base64 = body.replace(/\\[nr]|\s/g, '')
  const lines = base64.match(LINE) ?? []
  const pem = [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
  const type = typeOf(pem)
  if (type === 'rsa') return { kind: 'key', pem }
  if (type === undefined) return unusable('holds no RSA private key that can be read', AS_IT_IS)
  return unusable(...ofKind(type))
}

/** `rsa`, `ec`, `ed25519`; undefined if OpenSSL cannot read it. */
function typeOf(pem: string): string | undefined {
  try {
    return createPrivateKey(pem).asymmetricKeyType
  } catch {
    return undefined
  }
}

const unusable = (why: string, hint: string): KeyFile => ({ kind: 'unusable', why, hint })

const ofKind = (type: string) =>
  [`holds a key of the kind ${type}, and the key of a GitHub App is an RSA key`, OWN_KEY] as const

const ENCRYPTED = [
  'holds a private key that is encrypted with a passphrase, and nobody is here to enter it',
  `${AS_IT_IS}, or decrypt it: openssl rsa -in ENCRYPTED.pem -out app.pem`,
] as const

const NO_PEM = [
  () => true,
  'holds no private key in PEM form',
  `${AS_IT_IS}: a private key that is not encrypted`,
] as const

type Mistake = readonly [is: (text: string, bytes: Buffer) => boolean, why: string, hint: string]

const has =
  (...marks: string[]) =>
  (text: string) =>
    marks.some(mark => text.includes(mark))

/** What people have put there instead, the first that fits. */
const MISTAKES: readonly Mistake[] = [
  [text => text.trim() === '', 'is empty', AS_IT_IS],
  [has('-----BEGIN ENCRYPTED PRIVATE KEY-----'), ...ENCRYPTED],
  [has('-----BEGIN OPENSSH PRIVATE KEY-----', 'PuTTY-User-Key-File'), 'holds a key of ssh', OWN_KEY],
  [has('-----BEGIN EC PRIVATE KEY-----'), ...ofKind('ec')],
  [has('-----BEGIN DSA PRIVATE KEY-----'), ...ofKind('dsa')],
  [isPublicKey, 'holds a public key, and the App signs with the private one', OWN_KEY],
  [has('-----BEGIN CERTIFICATE-----'), 'holds a certificate, and no key', OWN_KEY],
  [has('ENC[AES256_GCM,'), 'is still encrypted by sops', DECRYPT],
  [has('age-encryption.org/v1', '-----BEGIN AGE ENCRYPTED FILE-----'), 'is still encrypted by age', DECRYPT],
  [has('-----BEGIN PGP MESSAGE-----'), 'is still encrypted by PGP', DECRYPT],
  [
    has('PRIVATE KEY-----'),
    'holds only a part of a private key: the first or the last line is missing',
    AS_IT_IS,
  ],
  [
    text => decoded(text).includes('-----BEGIN '),
    'looks base64-encoded: it should hold the key as PEM',
    'decode it with base64 --decode, and use what comes out: its first line is -----BEGIN RSA PRIVATE KEY-----',
  ],
  [
    text => isDer(Buffer.from(decoded(text), 'latin1')),
    'holds a key without the first and the last line of a PEM file',
    AS_IT_IS,
  ],
  [
    (_, bytes) => isDer(bytes),
    'holds a key in binary form (DER), and not as PEM',
    `${AS_IT_IS}, or convert it: openssl rsa -inform DER -in KEY.der -out app.pem`,
  ],
]

function isPublicKey(text: string): boolean {
  return (
    has('-----BEGIN PUBLIC KEY-----', '-----BEGIN RSA PUBLIC KEY-----', 'BEGIN SSH2 PUBLIC KEY')(text) ||
    /^\s*(?:ssh|ecdsa|sk)-[a-z\d@.-]+ AAAA/.test(text)
  )
}

/** As bytes in a string; '' if it is no base64, also of the kind for URLs. */
function decoded(text: string): string {
  const base64 = text.replace(/[\s\uFEFF"']/g, '')
  return /^[\w+/-]+=*$/.test(base64) ? Buffer.from(base64, 'base64').toString('latin1') : ''
}

/** A SEQUENCE whose length takes two bytes: of ASN.1, as every RSA key is. */
const isDer = (bytes: Buffer) => bytes[0] === 0x30 && bytes[1] === 0x82
