// The configuration file: every key with its default, the values that it takes, and the messages for others.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '../../src/base/errors.ts'
import { type Config, findConfig, NO_CONFIG, parseConfig, readConfig } from '../../src/config.ts'
import { expectedHosts, parseApiUrl, webUrlFor } from '../../src/github/config.ts'
import { codesOnly } from '../helpers/words.ts'

const directory = mkdtempSync(join(tmpdir(), 'hc-config-'))
after(() => rmSync(directory, { recursive: true }))

const RULE = {
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-{host}',
}

/** As messages show it: a value that stands alone, but of a list or an object only that it is one. */
const shown = (value: unknown) =>
  Array.isArray(value) ? 'a list' : typeof value === 'object' && value ? 'an object' : JSON.stringify(value)

const parse = (content: unknown): Config => parseConfig(JSON.stringify(content), 'config.json')

/** The whole message about a configuration that cannot be used, one line for each problem. */
function problemsOf(content: unknown): string[] {
  try {
    parse(content)
  } catch (error) {
    assert.ok(error instanceof UsageError)
    const prefix = 'the configuration config.json cannot be used: '
    assert.ok(error.message.startsWith(prefix), error.message)
    return [error.message.slice(prefix.length), ...error.hint]
  }
  return []
}

/** `nest('cache.url', 1)` is `{ cache: { url: 1 } }`, with the list of channels that every configuration has. */
function nest(key: string, value: unknown): object {
  const nested = key.split('.').reduceRight((inner: unknown, part) => ({ [part]: inner }), value)
  return { channels: [], ...(nested as object) }
}

const at = (config: object, key: string): unknown =>
  key.split('.').reduce((inner: unknown, part) => (inner as Record<string, unknown>)[part], config)

describe('the examples', () => {
  const FULL = {
    github: {
      appId: 'Iv23liAbCdEfGhIjKlMn',
      privateKeyFile: 'github-app-key',
      apiUrl: 'https://api.github.com',
      host: 'github.com',
      attemptTimeoutSeconds: 15,
      deadlineSeconds: 90,
    },
    database: {
      host: '/run/postgresql',
      port: 5432,
      user: 'hydra',
      database: 'hydra',
      passFile: 'database-password',
    },
    hydraUrl: 'https://hydra.example.org',
    cache: {
      unit: 'copy-cache-example@.service',
      timeoutSeconds: 3600,
      parallel: 4,
      url: 'https://cache.example.org',
      allowHttp: false,
      netrcFile: 'cache-netrc',
    },
    hook: { mode: 'inline', kickFile: '/run/hydra-channels-kick/kick', deadlineSeconds: 7200 },
    reconcile: { deadlineSeconds: 900 },
    stateDirectory: '/var/lib/hydra-channels',
    dryRun: false,
    channels: [RULE],
  }

  test('a configuration with every key is taken as it is, and its rules are parsed', () => {
    const pattern = /^(?:nixos-(?<host>[^/]*)\.(?<system>.*))$/
    const template = { literals: ['nixos-tested-', ''], groups: ['host'] }
    assert.deepEqual(parse(FULL), { ...FULL, channels: [{ ...RULE, pattern, template }] })
  })

  test('the optional keys of a rule are taken as they are', () => {
    const optional = { ref: 'main', ignore: ['nixos-tested-web', 'nixos-tested-b-*', 'web/*', '*'] }
    const [{ ref, ignore } = {}] = parse({ channels: [{ ...RULE, ...optional }] }).channels
    assert.deepEqual({ ref, ignore }, optional)
  })

  test('what that configuration says is the default, but for what has none', () => {
    const { appId, privateKeyFile, host, ...github } = FULL.github
    const { unit, url, allowHttp, netrcFile, ...cache } = FULL.cache
    const { passFile, ...database } = FULL.database
    const { hydraUrl, ...rest } = FULL
    const config = parse({ database: {}, cache: {}, channels: [] })
    assert.deepEqual(config, { ...rest, github, database, cache, channels: [] })
  })

  test('without a file there are no channels, no cache and no database of our own', () => {
    assert.deepEqual(NO_CONFIG, parse({ channels: [] }))
    assert.deepEqual(
      [NO_CONFIG.channels, NO_CONFIG.cache, NO_CONFIG.database, NO_CONFIG.hydraUrl],
      [[], undefined, undefined, undefined],
    )
  })

  test('the configuration in docs/install.md can be used', () => {
    const document = readFileSync(new URL('../../docs/install.md', import.meta.url), 'utf8')
    const examples = [...document.matchAll(/```json\n(.*?)```/gs)]
      .map(([, text = '']) => text)
      .filter(text => text.includes('"github"'))
    assert.ok(examples.length > 0)
    for (const example of examples) assert.equal(parseConfig(example, 'install.md').channels.length, 1)
  })
})

interface Key {
  key: string
  default: unknown
  expected: string
  /** each with what becomes of it, if that is something else */
  good: [value: unknown, becomes?: unknown][]
  bad: [value: unknown, expected?: string][]
}

const URL_KEY = {
  expected: 'a URL',
  good: [
    ['https://x.example.org'],
    ['https://x.example.org/api/v3'],
    ['https://x.example.org:8443'],
    ['https://x.example.org/', 'https://x.example.org'],
    ['https://x.example.org/api/v3//', 'https://x.example.org/api/v3'],
    [' https://x.example.org\n', 'https://x.example.org'],
    ['HTTPS://X.example.org/A', 'https://x.example.org/A'],
    ['http://127.0.0.1:8080'],
    ['http://127.1.2.3'],
    ['http://localhost:8080'],
    ['http://[::1]:8080'],
  ],
  bad: [
    [7],
    [null],
    [''],
    ['x.example.org'],
    ['/api'],
    ['https://'],
    ...[
      'http://x.example.org',
      'http://10.0.0.1',
      'http://127.0.0.1.example.org',
      'http://localhost.example.org',
      'http://[::2]',
      'ftp://x.example.org',
      'file:///x',
      'x.example.org:443',
    ].map((value): [unknown, string] => [
      value,
      'an https URL (http only on this machine, as in http://127.0.0.1:8080)',
    ]),
    ...['https://x.example.org/?', 'https://x.example.org?a=b', 'https://x.example.org/#a'].map(
      (value): [unknown, string] => [value, 'a URL without “?” and “#”'],
    ),
  ],
} satisfies Partial<Key>

/** What is only linked to may be plain http: Hydra in a LAN, or in a tailnet. */
const LINK_KEY = {
  expected: 'a URL',
  good: [
    ...URL_KEY.good,
    ['http://hydra'],
    ['http://hydra.lan:3000/', 'http://hydra.lan:3000'],
    ['http://10.0.0.1:3000'],
    ['http://hydra.tail1234.ts.net'],
    ['http://[fd7a:115c::1]:3000/hydra', 'http://[fd7a:115c::1]:3000/hydra'],
  ],
  bad: [
    ...[[7], [null], [''], ['hydra.lan'], ['/hydra'], ['http://']].map(([value]): [unknown] => [value]),
    ...['ftp://hydra.lan', 'file:///x', 'hydra.lan:3000', 'javascript:alert(1)', 'data:text/html,x'].map(
      (value): [unknown, string] => [value, 'an http or https URL'],
    ),
    ...['http://hydra.lan/?', 'http://hydra.lan?a=b', 'http://hydra.lan/#a'].map(
      (value): [unknown, string] => [value, 'a URL without “?” and “#”'],
    ),
  ],
} satisfies Partial<Key>

/** As the address of GitHub's API, with a way out. */
const CACHE_URL_KEY = {
  ...URL_KEY,
  bad: [
    ...LINK_KEY.bad,
    ...['http://x.example.org', 'http://10.0.0.1', 'http://127.0.0.1.example.org', 'http://[::2]'].map(
      (value): [unknown, string] => [
        value,
        'an https URL (http only on this machine). For http elsewhere, set cache.allowHttp to true: whoever is on the way can then forge what the cache answers, and “seen” proves less',
      ],
    ),
  ],
} satisfies Partial<Key>

const secondsKey = (key: string, seconds: number): Key => ({
  key,
  default: seconds,
  expected: 'a number of seconds',
  good: [[1], [0.5], [604_800]],
  bad: [
    ['15'],
    [null],
    [true],
    [0, 'more than 0 seconds'],
    [-1, 'more than 0 seconds'],
    [604_801, 'at most 604800 seconds'],
  ],
})

const textKey = (key: string, value: unknown, expected: string): Key => ({
  key,
  default: value,
  expected,
  good: [['x'], ['/a b/c']],
  bad: [[7], [null], [''], [['x']]],
})

const HOST = 'a host name without scheme, port and path'
const UNIT = 'a template unit such as copy-cache@.service'
const APP_ID = 'the client id (Iv23li…) or the App id of the GitHub App'

const KEYS: Key[] = [
  {
    key: 'github.appId',
    default: undefined,
    expected: APP_ID,
    good: [
      ['Iv23liAbCdEfGhIjKlMn'],
      [12345, '12345'],
      ['12345'],
      [' Iv23liAbCdEfGhIjKlMn\r\n', 'Iv23liAbCdEfGhIjKlMn'],
      ['\t12345\n', '12345'],
    ],
    bad: [[true], [null], [['x']], [1.5], ['', 'a client id'], [0, 'an App id'], [-5, 'an App id']],
  },
  textKey('github.privateKeyFile', undefined, 'the path of a PEM file'),
  { key: 'github.apiUrl', default: 'https://api.github.com', ...URL_KEY },
  {
    key: 'github.host',
    default: undefined,
    expected: HOST,
    good: [
      ...[['github.com'], ['ghe.example.org'], ['GHE'], ['10.0.0.1'], ['[::1]'], ['github.com-dotfiles']],
      [['github.com']],
      [['github.com', 'gh-nas', 'gh-web']],
    ] as [unknown][],
    bad: [
      ...[7, null, {}].map((value): [unknown, string] => [value, `${HOST}, or a list of them`]),
      ...['', 'https://github.com', 'ghe.example.org:8443', 'github.com/alice', 'a b'].map(
        (value): [unknown] => [value],
      ),
      [[]],
    ],
  },
  secondsKey('github.attemptTimeoutSeconds', 15),
  secondsKey('github.deadlineSeconds', 90),
  textKey('database.host', '/run/postgresql', 'a host name, or the folder of a socket'),
  {
    key: 'database.port',
    default: 5432,
    expected: 'a port from 1 to 65535',
    good: [[1], [65_535]],
    bad: [['5432'], [null], [0], [65_536], [-1], [5432.5]],
  },
  textKey('database.user', 'hydra', 'a database role'),
  textKey('database.database', 'hydra', 'the name of a database'),
  textKey('database.passFile', undefined, 'the path of a file with the password'),
  { key: 'hydraUrl', default: undefined, ...LINK_KEY },
  {
    key: 'cache.unit',
    default: undefined,
    expected: UNIT,
    good: [['copy-cache@.service'], ['a:b_c.d\\x2de@.service']],
    bad: [
      ...[7, null, '', 'copy-cache', 'copy-cache.service', 'copy-cache@x.service', '@.service'],
      ...['copy cache@.service', 'copy@.timer', 'a@b@.service', '/etc/copy.service', 'copy@.service\n'],
    ].map((value): [unknown] => [value]),
  },
  secondsKey('cache.timeoutSeconds', 3600),
  {
    key: 'cache.parallel',
    default: 4,
    expected: 'a whole number',
    good: [[1], [64]],
    bad: [['4'], [null], [1.5], [0, 'at least 1'], [-1, 'at least 1']],
  },
  { key: 'cache.url', default: undefined, ...CACHE_URL_KEY },
  {
    key: 'cache.allowHttp',
    default: undefined,
    expected: 'true or false',
    good: [[true], [false]],
    bad: [['true'], [1], [null]],
  },
  textKey('cache.netrcFile', undefined, 'the path of a netrc file'),
  {
    key: 'hook.mode',
    default: 'inline',
    expected: '"inline" or "detached"',
    good: [['inline'], ['detached']],
    bad: [['Inline'], [''], [null], [true]],
  },
  textKey('hook.kickFile', '/run/hydra-channels-kick/kick', 'the path of a file'),
  secondsKey('hook.deadlineSeconds', 7200),
  secondsKey('reconcile.deadlineSeconds', 900),
  textKey('stateDirectory', '/var/lib/hydra-channels', 'the path of a folder'),
  {
    key: 'dryRun',
    default: false,
    expected: 'true or false',
    good: [[true], [false]],
    bad: [['true'], ['yes'], [1], [0], [null]],
  },
  {
    key: 'channels',
    default: [],
    expected: 'a list of rules',
    good: [[[]]],
    bad: [[{}], [null], ['nixos-tested-nas'], [7]],
  },
]

for (const { key, default: value, expected, good, bad } of KEYS) {
  describe(key, () => {
    test(`is ${value === undefined ? 'absent' : JSON.stringify(value)} unless it is configured`, () => {
      assert.deepEqual(at(parse({ database: {}, cache: {}, channels: [] }), key), value)
    })

    for (const [given, becomes = given] of good) {
      test(`takes ${JSON.stringify(given)}`, () => {
        assert.deepEqual(at(parse(nest(key, given)), key), becomes)
      })
    }

    for (const [given, instead = expected] of bad) {
      test(`refuses ${JSON.stringify(given)}`, () => {
        assert.deepEqual(problemsOf(nest(key, given)), [`${key}: is ${shown(given)}, expected ${instead}`])
      })
    }
  })
}

test('a cache on plain http is taken if cache.allowHttp says so', () => {
  const config = (cache: object) => ({ channels: [], cache })
  for (const url of [
    'http://cache.lan:5000',
    'http://10.0.0.1',
    'https://x.example.org',
    'http://127.0.0.1:1',
  ]) {
    assert.equal(parse(config({ url, allowHttp: true })).cache?.url, url)
  }
  assert.match(
    problemsOf(config({ url: 'http://cache.lan', allowHttp: false }))[0] ?? '',
    /^cache\.url: is "http:\/\/cache\.lan", expected an https URL .* set cache\.allowHttp to true: /,
  )
  assert.deepEqual(problemsOf(config({ url: 's3://bucket', allowHttp: true })), [
    'cache.url: is "s3://bucket", expected an http or https URL',
  ])
})

test('an App id of nothing but blanks is none', () => {
  assert.deepEqual(problemsOf(nest('github.appId', ' \n')), ['github.appId: is "", expected a client id'])
})

describe('what is wrong in the file is named', () => {
  const CASES: { what: string; content: unknown; problems: string[] }[] = [
    ...['github', 'database', 'cache', 'hook', 'reconcile'].flatMap(section => [
      {
        what: `${section} is no object`,
        content: { channels: [], [section]: 'x' },
        problems: [`${section}: is "x", expected an object`],
      },
      {
        what: `${section} is null`,
        content: { channels: [], [section]: null },
        problems: [`${section}: is null, expected an object`],
      },
      {
        what: `an unknown key of ${section}`,
        content: { channels: [], [section]: { nonsense: 'x' } },
        problems: [`${section}.nonsense: unknown key`],
      },
    ]),
    {
      what: 'an unknown key at the top, and the value of it is not shown',
      content: { channels: [], token: 'geheim' },
      problems: ['token: unknown key'],
    },
    { what: 'no channels', content: {}, problems: ['channels: missing, expected a list of rules'] },
    { what: 'a list', content: [], problems: ['it is a list, expected an object'] },
    { what: 'null', content: null, problems: ['it is null, expected an object'] },
    {
      what: 'a rule that is none',
      content: { channels: [RULE, 'x'] },
      problems: ['channels[1]: is "x", expected an object with project, jobset, job, repository and branch'],
    },
    {
      what: 'the rule, the key and the group',
      content: { channels: [RULE, { ...RULE, branch: 'nixos-{hots}' }] },
      problems: [
        'channels[1].branch: is "nixos-{hots}", expected only named groups of job between braces (there are host, system)',
      ],
    },
    {
      what: 'a job that would break out of its anchors',
      content: { channels: [{ ...RULE, job: 'a)|(b' }] },
      problems: [
        'channels[0].job: is "a)|(b", expected a valid JavaScript regular expression (Unmatched \')\')',
      ],
    },
    ...['main*x', 'nixos-**', 'refs/heads/main', 'refs/heads/*', 'a b', '', 'a..*', 7].map(ignored => ({
      what: `no branch to ignore: ${ignored}`,
      content: { channels: [{ ...RULE, ignore: ['nixos-tested-web', ignored] }] },
      problems: [
        `channels[0].ignore[1]: is ${JSON.stringify(ignored)}, expected a branch, or what branches begin with and *, as in nixos-tested-b-*`,
      ],
    })),
    {
      what: 'one branch to ignore that is in no list',
      content: { channels: [{ ...RULE, ignore: 'nixos-tested-web' }] },
      problems: ['channels[0].ignore: is "nixos-tested-web", expected a list of branches'],
    },
    {
      what: 'several things at once, one line each',
      content: { cache: { parallel: '4', unti: 1 }, hydraUrl: 1, channels: [{ ...RULE, jobset: 2 }] },
      problems: [
        'hydraUrl: is 1, expected a URL',
        'cache.parallel: is "4", expected a whole number',
        'cache.unti: unknown key, did you mean cache.unit?',
        'channels[0].jobset: is 2, expected the name of a jobset',
      ],
    },
    {
      what: 'a long value, of which the beginning is shown',
      content: nest('hydraUrl', 'x'.repeat(100)),
      problems: [`hydraUrl: is "${'x'.repeat(59)}…, expected a URL`],
    },
  ]

  for (const { what, content, problems } of CASES) {
    test(what, () => {
      assert.deepEqual(problemsOf(content), problems)
    })
  }
})

describe('an unknown key, and which one may be meant', () => {
  const CASES: [key: string, meant?: string][] = [
    // mistyped
    ['cahnnels', 'channels'],
    ['cache.ulr', 'cache.url'],
    ['github.appid', 'github.appId'],
    ['github.app_id', 'github.appId'],
    ['github.appIdd', 'github.appId'],
    ['channels[1].brnach', 'channels[1].branch'],
    ['channels[0].job_', 'channels[0].job'],
    // shortened, or with more than there is
    ['github.privateKey', 'github.privateKeyFile'],
    ['cache.timeout', 'cache.timeoutSeconds'],
    ['cache.unitName', 'cache.unit'],
    // in the wrong place
    ['appId', 'github.appId'],
    ['private_key_file', 'github.privateKeyFile'],
    ['branch', 'channels[].branch'],
    ['github.hydraUrl', 'hydraUrl at the top'],
    ['channels[0].repositories', 'channels[0].repository'],
    ['channels[0].dryRun', 'dryRun at the top'],
    ['channels[0].unit', 'cache.unit'],
    ['host', 'github.host or database.host'],
    ['url', 'hydraUrl or cache.url'],
    ['github.url', 'github.apiUrl or cache.url'],
    ['reconcile.timeoutSeconds', 'cache.timeoutSeconds'],
    ['deadlineSeconds', 'github.deadlineSeconds or hook.deadlineSeconds or reconcile.deadlineSeconds'],
    // nothing like it
    ['token'],
    ['github.x'],
    ['hook.to'],
    ['__proto__'],
    ['constructor'],
  ]
  for (const [key, meant] of CASES) {
    test(`${key}: ${meant ?? 'none'}`, () => {
      const parts = key.split(/[.[\]]+/)
      const last = parts.pop() ?? ''
      const config = { github: {}, cache: {}, hook: {}, reconcile: {}, channels: [{ ...RULE }, { ...RULE }] }
      const object = parts.reduce<object>((inner, part) => Reflect.get(inner, part), config)
      Object.defineProperty(object, last, { value: 'geheim', enumerable: true })
      const expected = meant === undefined ? '' : `, did you mean ${meant}?`
      assert.deepEqual(problemsOf(config), [`${key}: unknown key${expected}`])
    })
  }
})

describe('user information in a URL is refused, and never quoted', () => {
  const SHOWN: [url: string, shown: string][] = [
    ['https://alice:geheim@x.example.org', 'https://…@x.example.org'],
    ['https://geheim@x.example.org', 'https://…@x.example.org'],
    ['https://:geheim@x.example.org', 'https://…@x.example.org'],
    ['https://a:geh@eim@x.example.org', 'https://…@x.example.org'],
    ['https://a:geh"eim@x.example.org', 'https://…@x.example.org'],
    ['https://a:geh\\eim@x.example.org/', 'https://…@x.example.org/'],
    // to the parser, a path, a query and a fragment of the host “alice”
    ['https://alice:/geheim@x.example.org', 'https://…@x.example.org'],
    ['https://alice:12?geheim@x.example.org', 'https://…@x.example.org'],
    ['https://alice#geheim@x.example.org', 'https://…@x.example.org'],
    // URLs, too: slashes and blanks are optional
    ['https:alice:geheim@x.example.org', 'https:…@x.example.org'],
    ['https:/alice:geheim@x.example.org', 'https:/…@x.example.org'],
    ['https:\\\\alice:geheim@x.example.org', 'https:\\\\…@x.example.org'],
    ['https:\t//alice:geheim@x.example.org', 'https:\t//…@x.example.org'],
    ['http://alice:geheim@x.lan', 'http://…@x.lan'],
  ]
  for (const [url, shown] of SHOWN) {
    test(JSON.stringify(url), () => {
      for (const key of ['github.apiUrl', 'hydraUrl', 'cache.url']) {
        const [first = '', ...more] = problemsOf(nest(key, url))
        assert.ok(first.startsWith(`${key}: is ${JSON.stringify(shown)}, expected a`), first)
        assert.doesNotMatch([first, ...more].join('\n'), /geh|eim|alice/)
      }
    })
  }

  test('where nothing else is wrong, that is what is expected', () => {
    assert.deepEqual(problemsOf(nest('cache.url', 'https://alice:geheim@x.example.org')), [
      'cache.url: is "https://…@x.example.org", expected a URL without user information',
    ])
  })

  test('also where a URL stands in the wrong place', () => {
    const url = 'https://alice:geheim@x.example.org'
    assert.deepEqual(problemsOf({ channels: [], github: url, cache: { unit: [{ url }] } }), [
      'github: is "https://…@x.example.org", expected an object',
      `cache.unit: is a list, expected ${UNIT}`,
    ])
  })

  test('a host with user information is no host', () => {
    const [problem = ''] = problemsOf(nest('github.host', 'alice:geheim@github.com'))
    assert.equal(
      problem,
      'github.host: is "alice:…@github.com", expected a host name without scheme, port and path',
    )
  })

  test('whatever the user information, a URL with it is refused without it', () => {
    const odd = fc.string({ unit: fc.constantFrom(...'ab/\\?#@:%"\'[] \t<^|%41'), maxLength: 6 })
    fc.assert(
      fc.property(odd, odd, fc.constantFrom('https://', 'https:', 'http://', '//', ''), (a, b, scheme) => {
        const url = `${scheme}user:${a}GEHEIM${b}@x.example.org`
        const problems = problemsOf(nest('cache.url', url))
        assert.notDeepEqual(problems, [])
        assert.doesNotMatch(problems.join('\n'), /GEHEIM/)
      }),
    )
  })
})

describe('the file', () => {
  const refusal = (read: () => unknown): UsageError => {
    try {
      read()
    } catch (error) {
      assert.ok(error instanceof UsageError)
      return error
    }
    throw new Error('it was read')
  }

  test('that is not there: how to name another one', () => {
    const file = join(directory, 'none.json')
    for (const read of [() => readConfig(file), () => findConfig(file)]) {
      const { message, hint } = refusal(read)
      assert.equal(codesOnly(message), `cannot read the configuration ${file}: ENOENT '${file}'`)
      assert.deepEqual(hint, [
        'name another file with --config or HYDRA_CHANNELS_CONFIG, or write this one (docs/configuration.md)',
      ])
    }
  })

  test('that is a folder', () => {
    const { message, hint } = refusal(() => readConfig(directory))
    assert.equal(codesOnly(message), `cannot read the configuration ${directory}: EISDIR`)
    assert.deepEqual(hint, [])
  })

  test('that is good', () => {
    const file = join(directory, 'config.json')
    writeFileSync(file, JSON.stringify({ hydraUrl: 'https://hydra.example.org', channels: [RULE] }))
    assert.equal(readConfig(file).hydraUrl, 'https://hydra.example.org')
    assert.equal(findConfig(file).channels[0]?.branch, 'nixos-tested-{host}')
  })

  test('that cannot be used is named', () => {
    const file = join(directory, 'bad.json')
    writeFileSync(file, '{}')
    assert.equal(
      refusal(() => readConfig(file)).message,
      `the configuration ${file} cannot be used: channels: missing, expected a list of rules`,
    )
  })

  test('that is not JSON: what is wrong, and where', () => {
    const { message } = refusal(() => parseConfig('{\n  "channels": [],\n}\n', 'config.json'))
    assert.equal(
      message,
      'the configuration config.json is not JSON: line 2, column 17: found “,” before “}”, expected none after the last one',
    )
  })

  test('whatever is in it, a configuration is taken or refused by a UsageError', () => {
    const some = fc.record(
      {
        github: fc.jsonValue(),
        cache: fc.jsonValue(),
        channels: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())),
      },
      { requiredKeys: [] },
    )
    const content = fc.oneof(
      fc.string(),
      fc.json(),
      some.map(value => JSON.stringify(value)),
    )
    fc.assert(
      fc.property(content, text => {
        try {
          parseConfig(text, 'config.json')
        } catch (error) {
          assert.ok(error instanceof UsageError, String(error))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('an address that was given beside the configuration', () => {
  test('is read as one of the configuration', () => {
    assert.equal(
      parseApiUrl('https://ghe.example.org/api/v3/', '--api-url'),
      'https://ghe.example.org/api/v3',
    )
  })

  const REFUSED: [value: string, expected: string][] = [
    ['', 'a URL'],
    ['ghe.example.org', 'a URL'],
    ['http://ghe.example.org', 'an https URL (http only on this machine, as in http://127.0.0.1:8080)'],
    ['https://alice:geheim@ghe.example.org', 'a URL without user information'],
    ['https://ghe.example.org/?a', 'a URL without “?” and “#”'],
  ]
  for (const [value, expected] of REFUSED) {
    test(`is refused without being quoted: “${value}”`, () => {
      assert.throws(
        () => parseApiUrl(value, 'GITHUB_API_URL'),
        new UsageError(`GITHUB_API_URL cannot be used: expected ${expected}`),
      )
    })
  }
})

describe('the hosts of the flakerefs, and the one of the links', () => {
  const HOSTS: { what: string; github: Record<string, unknown>; hosts: string[]; webUrl?: string }[] = [
    { what: 'github.com', github: {}, hosts: ['github.com'] },
    {
      what: 'an Enterprise Server',
      github: { apiUrl: 'https://GHE.example.org:8443/api/v3/' },
      hosts: ['ghe.example.org'],
      webUrl: 'https://ghe.example.org:8443',
    },
    {
      what: 'data residency',
      github: { apiUrl: 'https://api.octocorp.ghe.com' },
      hosts: ['octocorp.ghe.com'],
      webUrl: 'https://octocorp.ghe.com',
    },
    {
      what: 'github.com behind an address of its own',
      github: { apiUrl: 'https://proxy.example.org/github' },
      hosts: ['github.com'],
    },
    {
      what: 'github.com behind a proxy on this machine',
      github: { apiUrl: 'http://127.0.0.1:8080' },
      hosts: ['github.com'],
    },
    { what: 'a host as configured', github: { host: 'GHE.example.org' }, hosts: ['ghe.example.org'] },
    { what: 'an alias of ssh', github: { host: 'github.com-dotfiles' }, hosts: ['github.com-dotfiles'] },
    {
      what: 'several aliases, one for each deploy key',
      github: { host: ['github.com', 'GH-nas', 'gh-web'] },
      hosts: ['github.com', 'gh-nas', 'gh-web'],
    },
    {
      what: "GitHub's other names",
      github: { host: ['ssh.github.com', 'www.github.com', 'github.com'] },
      hosts: ['github.com'],
    },
    {
      what: 'a host as configured, and links as the server says',
      github: { apiUrl: 'https://10.0.0.1/api/v3', host: 'ghe.example.org' },
      hosts: ['ghe.example.org'],
      webUrl: 'https://10.0.0.1',
    },
    {
      what: 'an alias of data residency',
      github: { apiUrl: 'https://api.octocorp.ghe.com', host: 'octocorp-nas' },
      hosts: ['octocorp-nas'],
      webUrl: 'https://octocorp.ghe.com',
    },
  ]
  for (const { what, github, hosts, webUrl = 'https://github.com' } of HOSTS) {
    test(what, () => {
      const config = parse({ github, channels: [] }).github
      assert.deepEqual(expectedHosts(config), hosts)
      assert.equal(webUrlFor(config), webUrl)
    })
  }

  test('a host in a list that is none is named by its place', () => {
    assert.deepEqual(problemsOf(nest('github.host', ['github.com', 'git@github.com:alice'])), [
      `github.host[1]: is "git@github.com:alice", expected ${HOST}`,
    ])
  })
})
