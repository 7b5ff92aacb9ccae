// Which login a netrc file has for a host: what curl 7.88 sends for the same file, and where we refuse what it guesses.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findLogin } from '../../../src/cache/netrc.ts'

const HOST = 'cache.example.org'
const AB = { login: 'a', password: 'b' }

const FOUND: { what: string; netrc: string; login: { login: string; password: string }; host?: string }[] = [
  { what: 'one line', netrc: `machine ${HOST} login a password b`, login: AB },
  { what: 'several lines, indented', netrc: `machine ${HOST}\n\tlogin a\n  password b\n`, login: AB },
  { what: 'line ends of Windows', netrc: `machine ${HOST}\r\nlogin a\r\npassword b\r\n`, login: AB },
  { what: 'a byte order mark', netrc: `\uFEFFmachine ${HOST} login a password b`, login: AB },
  { what: 'the password first', netrc: `machine ${HOST} password b login a`, login: AB },
  { what: 'a token and no login', netrc: `machine ${HOST} password b`, login: { login: '', password: 'b' } },
  { what: 'a login and no password', netrc: `machine ${HOST} login a`, login: { login: 'a', password: '' } },
  { what: 'in capitals', netrc: `MACHINE ${HOST.toUpperCase()} LOGIN a PASSWORD b`, login: AB },
  { what: 'an account', netrc: `machine ${HOST} login a account z password b`, login: AB },
  {
    what: 'after another host',
    netrc: `machine x login q password q\nmachine ${HOST} login a password b`,
    login: AB,
  },
  { what: 'the default', netrc: 'machine x login q password q\ndefault login a password b', login: AB },
  {
    what: 'the default, if it comes first',
    netrc: `default login a password b\nmachine ${HOST} login q password q`,
    login: AB,
  },
  {
    what: 'the host, if it comes before the default',
    netrc: `machine ${HOST} login a password b\ndefault login q password q`,
    login: AB,
  },
  {
    what: 'the first of two entries',
    netrc: `machine ${HOST} login a password b machine ${HOST} login q`,
    login: AB,
  },
  {
    what: 'the first of two values',
    netrc: `machine ${HOST} login a password b login q password q`,
    login: AB,
  },
  {
    what: 'an entry without anything',
    netrc: `machine ${HOST}\nmachine ${HOST} login a password b`,
    login: AB,
  },
  {
    what: 'comments',
    netrc: `# one\nmachine ${HOST} login a # two\n # three\n password b # four`,
    login: AB,
  },
  {
    what: 'a # within a word',
    netrc: `machine ${HOST} login a#b password b#c`,
    login: { login: 'a#b', password: 'b#c' },
  },
  {
    what: 'quotes, with blanks, a quote, a backslash, a line break and a #',
    netrc: `machine ${HOST} login "a b" password "#c\\"d\\\\e\\nf\\tg"`,
    login: { login: 'a b', password: '#c"d\\e\nf\tg' },
  },
  { what: 'empty quotes', netrc: `machine ${HOST} login "" password b`, login: { login: '', password: 'b' } },
  {
    what: 'a macro',
    netrc: `macdef init\nmachine ${HOST} login m password "m\n\nmachine ${HOST} login a password b`,
    login: AB,
  },
  {
    what: 'a macro after it',
    netrc: `machine ${HOST} login a password b macdef q\nlogin q\n\nmachine x login c`,
    login: AB,
  },
  {
    what: 'values that are words of the format',
    netrc: `machine ${HOST} login machine password default`,
    login: { login: 'machine', password: 'default' },
  },
  {
    what: 'values on lines of their own',
    netrc: `machine\n${HOST}\nlogin\na\npassword\n"b"`,
    login: AB,
  },
  {
    what: 'words of the format in quotes, on lines of their own',
    netrc: `machine ${HOST} login\n"machine" password\n"default"`,
    login: { login: 'machine', password: 'default' },
  },
  { what: 'an address', netrc: 'machine 10.0.0.1 login a password b', host: '10.0.0.1', login: AB },
  { what: 'an IPv6 address', netrc: 'machine FD00::1 login a password b', host: 'fd00::1', login: AB },
  {
    what: 'what is not ASCII',
    netrc: `machine ${HOST} login jürgen password pässwörd`,
    login: { login: 'jürgen', password: 'pässwörd' },
  },
]

describe('a login is found', () => {
  for (const { what, netrc, login, host = HOST } of FOUND) {
    test(what, () => {
      assert.deepEqual(findLogin(netrc, host), { kind: 'login', login })
    })
  }
})

describe('there is none', () => {
  const NONE = [
    '',
    '\n\n',
    'geheim',
    '# machine cache.example.org login a password b',
    'machine example.org login a password b',
    'machine sub.cache.example.org login a password b',
    'machine cache.example.org.evil login a password b',
    'machine cache.example.org:443 login a password b',
    'machine *.example.org login a password b',
    'machine https://cache.example.org login a password b',
    'machine cache.example.org',
    'machine cache.example.org login',
    'machine x login machine cache.example.org',
    'machine x login cache.example.org password b',
    'default',
    'macdef init\nmachine cache.example.org login a password b',
    'login a password b',
    'machine "cache.example.org login a password b"',
  ]
  for (const netrc of NONE) {
    test(JSON.stringify(netrc), () => {
      assert.deepEqual(findLogin(netrc, HOST), { kind: 'none' })
    })
  }
})

describe('what could be read in two ways is refused, with its line', () => {
  const UNCLOSED = 'a quote has no end on its line'
  const comment = (keyword: string) =>
    `“${keyword}” is followed by a comment: a value that begins with # needs quotes`
  const NO_LOGIN = '“login” has no value'
  const INVALID: [netrc: string, line: number, why: string][] = [
    [`machine ${HOST} login "a password b`, 1, UNCLOSED],
    [`machine ${HOST}\nlogin a\npassword "b\\"\n`, 3, UNCLOSED],
    [`machine ${HOST} login a password "b\\`, 1, UNCLOSED],
    ['machine x login "a\n', 1, UNCLOSED],
    // curl would send the next word, wherever it is
    [`machine ${HOST} login a password #b\nmachine x login q`, 1, comment('password')],
    [`machine ${HOST}\nlogin #a password b`, 2, comment('login')],
    [`machine # ${HOST}\n`, 1, comment('machine')],
    // and this one's password would be that of another host
    [`machine ${HOST} login\nmachine b login bob password geheim`, 1, NO_LOGIN],
    [`machine ${HOST}\nlogin\nPassword geheim`, 2, NO_LOGIN],
    [`machine ${HOST} login\n\ndefault login bob password geheim`, 1, NO_LOGIN],
    [`machine\nlogin a password b\nmachine ${HOST} login c`, 1, '“machine” has no value'],
    [`machine ${HOST} login a password\naccount x`, 1, '“password” has no value'],
  ]
  for (const [netrc, line, why] of INVALID) {
    test(JSON.stringify(netrc), () => {
      assert.deepEqual(findLogin(netrc, HOST), { kind: 'invalid', line, why })
    })
  }
})

test('what was written in quotes is read as it was, wherever it stands', () => {
  const quoted = (text: string) =>
    `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(' ', '\n', '\t'),
      (login, password, gap) => {
        const netrc = [
          'machine x login q',
          `machine ${HOST}`,
          'login',
          quoted(login),
          'password',
          quoted(password),
        ]
        assert.deepEqual(findLogin(netrc.join(gap), HOST), { kind: 'login', login: { login, password } })
      },
    ),
  )
})

test('another host never gets the login of this one', () => {
  const word = fc.constantFrom(
    ...[
      'machine',
      'login',
      'password',
      'default',
      'macdef',
      'account',
      '#',
      '"',
      '"x"',
      HOST,
      'other',
      '\n',
      '\n\n',
    ],
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 20 }), words => {
      const netrc = words.filter(each => each !== 'default').join(' ')
      const own = findLogin(netrc.replaceAll(HOST, 'elsewhere'), HOST)
      assert.notEqual(own.kind, 'login')
    }),
  )
})
