// Where Hydra's database is, in all the forms in which Hydra says it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '../../../src/base/errors.ts'
import { type Connection, findConnection, showConnection } from '../../../src/hydra/connection.ts'
import { readPassword } from '../../../src/hydra/password.ts'

/** The socket of the machine that runs Hydra. */
const LOCAL = { host: '/run/postgresql', port: 5432, user: 'hydra', database: 'hydra' }

describe('HYDRA_DATABASE_URL', () => {
  const URLS: { url: string; found?: Partial<Connection> }[] = [
    // as Hydra's NixOS module writes it
    { url: 'postgres://hydra@%2Frun%2Fpostgresql:5432/hydra?application_name=hydra-notify' },
    { url: 'postgresql://hydra@%2Frun%2Fpostgresql:5432/hydra' },
    { url: 'postgres://' },
    { url: 'postgres:///' },
    { url: 'postgres:///hydra?host=/run/postgresql' },
    { url: 'postgres:///hydra?host=%2Frun%2Fpostgresql&port=5432&user=hydra' },
    { url: 'postgres://db.example.org', found: { host: 'db.example.org' } },
    { url: 'postgres://db.example.org:5433/', found: { host: 'db.example.org', port: 5433 } },
    { url: 'postgres://db.example.org:/hydra', found: { host: 'db.example.org' } },
    { url: 'postgres://[::1]:5433/hydra', found: { host: '::1', port: 5433 } },
    { url: 'postgres://hydra@[2001:db8::1]/hydra', found: { host: '2001:db8::1' } },
    { url: 'postgres://alice@/other', found: { user: 'alice', database: 'other' } },
    // libpq: the database is called like the role
    { url: 'postgres://alice@', found: { user: 'alice', database: 'alice' } },
    { url: 'postgres://hydra:geheim@/hydra', found: { password: 'geheim' } },
    { url: 'postgres://hydra:@/hydra' },
    {
      url: 'postgres://al%40ice:ge%3A%2F%40heim@/d%3Fb',
      found: { user: 'al@ice', password: 'ge:/@heim', database: 'd?b' },
    },
    { url: 'postgres://hydra:ge:heim@/hydra', found: { password: 'ge:heim' } },
    { url: 'postgres:///hydra?password=a%26b', found: { password: 'a&b' } },
    // no form: a plus is a plus
    { url: 'postgres:///hydra?password=a+b', found: { password: 'a+b' } },
    {
      url: 'postgres://a:b@c:1/d?user=alice&password=geheim&host=db.example.org&port=5433&dbname=other',
      found: { user: 'alice', password: 'geheim', host: 'db.example.org', port: 5433, database: 'other' },
    },
    {
      url: 'postgres://db.example.org/hydra?sslmode=verify-full',
      found: { host: 'db.example.org', sslMode: 'verify-full' },
    },
    { url: 'postgres:///hydra?application_name=a@b' },
  ]
  for (const { url, found } of URLS) {
    test(url, () => {
      assert.deepEqual(findConnection(undefined, { HYDRA_DATABASE_URL: url }), {
        ...LOCAL,
        ...found,
        source: 'HYDRA_DATABASE_URL',
      })
    })
  }

  const FORM = 'postgres://USER@HOST:PORT/DATABASE'
  const PORT = 'a port from 1 to 65535'
  const REFUSED: [url: string, expected: string][] = [
    ['geheim', FORM],
    ['mysql://hydra:geheim@host/hydra', FORM],
    ['POSTGRES://hydra:geheim@host/hydra', FORM],
    ['postgres:hydra:geheim@host/hydra', FORM],
    ['postgres:/hydra:geheim@host/hydra', FORM],
    ['dbi:Pg:password=geheim', FORM],
    ['postgres://hydra:ge@heim@host/hydra', FORM],
    ['postgres://hydra:ge/heim@host/hydra', FORM],
    // to a parser, the host “hydra” with a port and a database
    ['postgres://hydra:12/geheim@host/hydra', FORM],
    ['postgres://hydra:12/geheim?@host/hydra', FORM],
    ['postgres://hydra:12@34/geheim?56@host/hydra', FORM],
    ['postgres://hydra:geheim@host:x/hydra', FORM],
    ['postgres://hydra:geheim@::1/hydra', FORM],
    ['postgres://hydra:geheim@host/hydra#x', FORM],
    ['postgres://hydra:geheim@host:0/hydra', PORT],
    ['postgres://hydra:geheim@host:65536/hydra', PORT],
    ['postgres://hydra:geheim@host/hydra?port=geheim', PORT],
    ['postgres://hydra:geheim@host/hydra?port=5432,5433', PORT],
    ['postgres://hydra:geheim%zz@host/hydra', 'a percent-encoded connection URI'],
  ]
  for (const [url, expected] of REFUSED) {
    test(`is refused without being quoted: ${url}`, () => {
      assert.throws(
        () => findConnection(undefined, { HYDRA_DATABASE_URL: url }),
        new UsageError(
          `cannot read HYDRA_DATABASE_URL: expected ${expected} (its value may hold a password and is not shown)`,
        ),
      )
    })
  }
})

describe('HYDRA_DBI', () => {
  const STRINGS: { dbi: string; found?: Partial<Connection> }[] = [
    // as Hydra's NixOS module writes it, the empty parameter included
    { dbi: 'dbi:Pg:dbname=hydra;user=hydra;;application_name=hydra-notify' },
    { dbi: 'dbi:Pg:' },
    { dbi: 'dbi:Pg:dbname=hydra;host=db.example.org;user=hydra;', found: { host: 'db.example.org' } },
    { dbi: 'DBI:pg(RaiseError=>1):dbname=other', found: { database: 'other' } },
    { dbi: 'dbi:Pg:database=other', found: { database: 'other' } },
    { dbi: 'dbi:Pg:db=other', found: { database: 'other' } },
    { dbi: 'dbi:Pg:user=alice', found: { user: 'alice', database: 'alice' } },
    { dbi: 'dbi:Pg: dbname = other ; port = 5433 ', found: { database: 'other', port: 5433 } },
    { dbi: 'dbi:Pg:hostaddr=10.0.0.1', found: { host: '10.0.0.1' } },
    { dbi: 'dbi:Pg:host=::1;hostaddr=10.0.0.1', found: { host: '::1' } },
    { dbi: 'dbi:Pg:password=ge=heim', found: { password: 'ge=heim' } },
    { dbi: "dbi:Pg:password='ge heim'", found: { password: 'ge heim' } },
    { dbi: 'dbi:Pg:sslmode=require', found: { sslMode: 'require' } },
  ]
  for (const { dbi, found } of STRINGS) {
    test(dbi, () => {
      assert.deepEqual(findConnection(undefined, { HYDRA_DBI: dbi }), {
        ...LOCAL,
        ...found,
        source: 'HYDRA_DBI',
      })
    })
  }

  const FORM = 'dbi:Pg:dbname=DATABASE;user=USER'
  const PORT = 'a port from 1 to 65535'
  const REFUSED: [dbi: string, expected: string][] = [
    ['geheim', FORM],
    ['dbi:SQLite:dbname=geheim', FORM],
    ['postgres://hydra:geheim@host/hydra', FORM],
    ['dbi:Pg:port=geheim', PORT],
    ['dbi:Pg:port=0;password=geheim', PORT],
    ['dbi:Pg:port=65536;password=geheim', PORT],
    ['dbi:Pg:port=1.5;password=geheim', PORT],
  ]
  for (const [dbi, expected] of REFUSED) {
    test(`is refused without being quoted: ${dbi}`, () => {
      assert.throws(
        () => findConnection(undefined, { HYDRA_DBI: dbi }),
        new UsageError(
          `cannot read HYDRA_DBI: expected ${expected} (its value may hold a password and is not shown)`,
        ),
      )
    })
  }
})

describe('the first that is there', () => {
  const CONFIGURED = { host: 'db.example.org', port: 5433, user: 'alice', database: 'other' }
  const BOTH = {
    HYDRA_DATABASE_URL: 'postgres://hydra@one.example.org/hydra',
    HYDRA_DBI: 'dbi:Pg:host=two.example.org',
  }
  const CASES: {
    what: string
    configured?: typeof CONFIGURED
    env: Record<string, string>
    found: Connection
  }[] = [
    {
      what: 'the configuration, whatever the environment says',
      configured: CONFIGURED,
      env: { ...BOTH, HYDRA_DATABASE_URL: 'geheim' },
      found: { ...CONFIGURED, source: 'configuration' },
    },
    {
      what: 'HYDRA_DATABASE_URL, whatever HYDRA_DBI says',
      env: { ...BOTH, HYDRA_DBI: 'geheim' },
      found: { ...LOCAL, host: 'one.example.org', source: 'HYDRA_DATABASE_URL' },
    },
    {
      what: 'HYDRA_DBI where HYDRA_DATABASE_URL is empty',
      env: { ...BOTH, HYDRA_DATABASE_URL: '' },
      found: { ...LOCAL, host: 'two.example.org', source: 'HYDRA_DBI' },
    },
    {
      what: 'the socket where both are empty',
      env: { HYDRA_DATABASE_URL: '', HYDRA_DBI: '' },
      found: { ...LOCAL, source: 'default' },
    },
    {
      what: 'the socket where there is nothing, and nothing of libpq counts',
      env: { PGHOST: 'three.example.org', PGUSER: 'alice', DATABASE_URL: 'postgres://four.example.org' },
      found: { ...LOCAL, source: 'default' },
    },
  ]
  for (const { what, configured, env, found } of CASES) {
    test(what, () => {
      assert.deepEqual(findConnection(configured, env), found)
    })
  }
})

describe('a connection is shown without its password', () => {
  const SHOWN: [env: Record<string, string>, shown: string][] = [
    [{}, '/run/postgresql:5432, database hydra, role hydra (default)'],
    [
      { HYDRA_DATABASE_URL: 'postgres://alice:geheim@db.example.org:5433/other' },
      'db.example.org:5433, database other, role alice (HYDRA_DATABASE_URL)',
    ],
    [
      { HYDRA_DATABASE_URL: 'postgres://alice:geheim@[::1]/other' },
      '[::1]:5432, database other, role alice (HYDRA_DATABASE_URL)',
    ],
    [
      { HYDRA_DBI: 'dbi:Pg:host=db.example.org;password=geheim' },
      'db.example.org:5432, database hydra, role hydra (HYDRA_DBI)',
    ],
  ]
  for (const [env, shown] of SHOWN) {
    test(shown, () => {
      assert.equal(showConnection(findConnection(undefined, env)), shown)
    })
  }

  /** What is said of a connection: where it is, or why it cannot be read. */
  const said = (env: Record<string, string>): string => {
    try {
      return showConnection(findConnection(undefined, env))
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error))
      return [error.message, ...error.hint].join('\n')
    }
  }

  test('whatever the password, in whatever form', () => {
    const unit = fc.constantFrom(...`ab1/?#@:%&=;[]\\ "'+`, '%40', '%2F', '://', '?a=', '//')
    const odd = fc.string({ unit, maxLength: 8 })
    fc.assert(
      fc.property(odd, odd, (before, after) => {
        const password = `${before}GEHEIM${after}`
        const strings = [
          { HYDRA_DATABASE_URL: `postgres://hydra:${password}@db.example.org/hydra` },
          { HYDRA_DATABASE_URL: `postgres://:${password}@%2Frun%2Fpostgresql:5432/hydra` },
          {
            HYDRA_DATABASE_URL: `postgres://hydra@db.example.org/hydra?password=${encodeURIComponent(password)}`,
          },
          { HYDRA_DBI: `dbi:Pg:dbname=hydra;password=${password.replaceAll(';', '')};user=hydra` },
        ]
        for (const env of strings) assert.doesNotMatch(said(env), /GEHEIM/)
      }),
      { numRuns: 1000 },
    )
  })

  test('a password that is written as a URI wants it is found as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), password => {
        const encoded = encodeURIComponent(password)
        for (const url of [`postgres://hydra:${encoded}@/hydra`, `postgres:///hydra?password=${encoded}`])
          assert.equal(findConnection(undefined, { HYDRA_DATABASE_URL: url }).password, password)
      }),
    )
  })
})

describe('database.passFile of the configuration', () => {
  const configured = { host: 'db.example.org', port: 5432, user: 'hydra-channels', database: 'hydra' }
  const found = (passFile: string, env = {}) =>
    findConnection({ ...configured, passFile }, env).passFile?.path

  test('is a path, and a relative one is looked up where systemd hands files over', () => {
    assert.equal(found('/run/secrets/password', { CREDENTIALS_DIRECTORY: '/c' }), '/run/secrets/password')
    assert.equal(found('database-password', { CREDENTIALS_DIRECTORY: '/c' }), '/c/database-password')
    assert.equal(findConnection({ ...configured, passFile: undefined }, {}).passFile, undefined)
  })

  const REFUSED: [string, string, RegExp][] = [
    [
      'a relative path, and no such folder',
      'database-password',
      /^cannot find the file with the password of Hydra's database \(database\.passFile\): /,
    ],
    ['the password alone', 'GEHEIM', /^cannot find the file with the password of Hydra's database \(/],
    ['an address', 'postgres://hydra:GEHEIM@db:5432/hydra', /^database\.passFile holds a password itself: /],
    [
      'a string of DBI',
      'dbi:Pg:dbname=hydra;password=GEHEIM',
      /^database\.passFile holds a password itself: /,
    ],
    [
      'a line that lacks a field',
      'db:5432:hydra-channels:GEHEIM',
      /^database\.passFile holds a password itself: /,
    ],
    [
      'the line itself',
      'db.example.org:5432:hydra:hydra-channels:GEHEIM',
      /^database\.passFile holds a password itself: /,
    ],
    [
      'the line itself, of a socket',
      '/run/postgresql:*:*:*:GEHEIM',
      /^database\.passFile holds a password itself: /,
    ],
    ['control characters', '/run/pass\nGEHEIM', /^database\.passFile is no path of a file: /],
  ]
  for (const [what, passFile, expected] of REFUSED) {
    test(`refused, and no secret is said: ${what}`, () => {
      assert.throws(
        () => found(passFile),
        (error: Error) => {
          assert.match(error.message, expected)
          assert.ok(error instanceof UsageError)
          return ![error.message, ...error.hint].some(line => line.includes('GEHEIM'))
        },
      )
    })
  }
})

test('a password in the place of database.passFile is not said either where no such file is handed over', () => {
  const configured = { host: 'db.example.org', port: 5432, user: 'hydra-channels', database: 'hydra' }
  const connection = findConnection(
    { ...configured, passFile: 'GEHEIM' },
    { CREDENTIALS_DIRECTORY: '/nonexistent' },
  )
  assert.throws(
    () => readPassword(connection),
    (error: Error) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, /in its file in \$CREDENTIALS_DIRECTORY \(database\.passFile\): ENOENT: /)
      return ![error.message, ...error.hint].some(line => line.includes('GEHEIM'))
    },
  )
})
