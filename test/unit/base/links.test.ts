// Links and commands in messages: they lead where they say, and a shell reads them as they were meant.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import {
  appsUrl,
  buildUrl,
  compareUrl,
  evalUrl,
  forceCommand,
  installUrl,
  jobsetUrl,
  journalCommand,
  releaseCommand,
  webUrlOf,
} from '../../../src/base/links.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const HYDRA = 'https://hydra.example.org'

test("the browser's GitHub is that of the API", () => {
  const table = [
    ['https://api.github.com', undefined, 'https://github.com/settings/apps'],
    ['https://api.github.com', 'nix-org', 'https://github.com/organizations/nix-org/settings/apps'],
    ['https://ghe.example.org/api/v3', undefined, 'https://ghe.example.org/settings/apps'],
    [
      'https://api.example.org:8443/api/v3',
      'o',
      'https://api.example.org:8443/organizations/o/settings/apps',
    ],
    ['https://api.octocorp.ghe.com', undefined, 'https://octocorp.ghe.com/settings/apps'],
  ] as const
  for (const [apiUrl, owner, expected] of table) {
    assert.equal(appsUrl({ webUrl: webUrlOf(apiUrl), owner }), expected)
  }
})

test('links', () => {
  assert.equal(
    compareUrl('alice/dotfiles', SHA, 'main', 'https://github.com'),
    `https://github.com/alice/dotfiles/compare/${SHA}...main`,
  )
  assert.equal(
    installUrl('https://github.com/apps/channels'),
    'https://github.com/apps/channels/installations/new',
  )
  assert.equal(buildUrl(HYDRA, 4123), 'https://hydra.example.org/build/4123')
  assert.equal(evalUrl(HYDRA, 991), 'https://hydra.example.org/eval/991')
  assert.equal(
    jobsetUrl(HYDRA, { project: 'dot files', jobset: 'a/b' }),
    'https://hydra.example.org/jobset/dot%20files/a%2Fb',
  )
})

test('without the URL of Hydra, there are no links to it', () => {
  assert.equal(buildUrl(undefined, 4123), undefined)
  assert.equal(evalUrl(undefined, 991), undefined)
  assert.equal(jobsetUrl(undefined, { project: 'dotfiles', jobset: 'main' }), undefined)
})

/** The words of a command, as a shell reads them. */
function wordsOf(command: string): string[] {
  const out = execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
  return out.split('\0').slice(0, -1)
}

const GH: { what: string; branch?: string; webUrl?: string; args: string[] }[] = [
  {
    what: 'github.com is where gh asks by itself',
    args: ['-X', 'PATCH', 'repos/alice/dotfiles/git/refs/heads/nixos-tested-nas'],
  },
  {
    what: 'an Enterprise Server is named',
    webUrl: 'https://ghe.example.org:8443',
    args: [
      '--hostname',
      'ghe.example.org:8443',
      '-X',
      'PATCH',
      'repos/alice/dotfiles/git/refs/heads/nixos-tested-nas',
    ],
  },
  {
    what: 'the slashes of a branch stay',
    branch: 'hosts/nas',
    args: ['-X', 'PATCH', 'repos/alice/dotfiles/git/refs/heads/hosts/nas'],
  },
  {
    what: 'what means something in a URL is encoded',
    branch: 'a#b%c&d=ü',
    args: ['-X', 'PATCH', 'repos/alice/dotfiles/git/refs/heads/a%23b%25c%26d%3D%C3%BC'],
  },
  {
    what: 'what means something to a shell is quoted',
    branch: "$(x)`y`;it's!",
    args: ['-X', 'PATCH', "repos/alice/dotfiles/git/refs/heads/%24(x)%60y%60%3Bit's!"],
  },
]

for (const { what, branch = 'nixos-tested-nas', webUrl = 'https://github.com', args } of GH) {
  test(`gh api: ${what}`, () => {
    const channel = { repository: 'alice/dotfiles', branch }
    const force = ['-f', `sha=${SHA}`, '-F', 'force=true']
    assert.deepEqual(wordsOf(forceCommand(channel, SHA, webUrl)), ['gh', 'api', ...args, ...force])
  })
}

for (const word of ['alice/dotfiles:nas', "it's;a`b`$c", 'copy-cache@-nix-store-a\\x2db.service', '']) {
  test(`a shell reads “${word}” as one word`, () => {
    assert.deepEqual(wordsOf(releaseCommand(word)), ['hydra-channels', 'release', word])
    assert.deepEqual(wordsOf(journalCommand(word)), ['journalctl', '-u', word])
  })
}
