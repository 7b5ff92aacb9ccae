// Locked flakerefs as Nix writes them, and what of one may be shown.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseFlakeref, parseTrackedRef, showFlakeref, type TrackedRef } from '../../../src/hydra/flakeref.ts'

const REV = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
// `/` stays raw in it
const NAR_HASH = 'narHash=sha256-/gP3/C8%2Bx/0123456789abcdef0123456789abcdef01/hTSA%3D'

describe('a locked flakeref', () => {
  const FORMS: { flakeref: string; host?: string; repository?: string }[] = [
    { flakeref: `github:alice/dotfiles/${REV}` },
    { flakeref: `github:alice/dotfiles/${REV}?${NAR_HASH}` },
    { flakeref: `github:alice/dotfiles/${REV}?dir=a/b&${NAR_HASH}` },
    { flakeref: `github:alice/dotfiles/${REV}?host=ghe.example.org&${NAR_HASH}`, host: 'ghe.example.org' },
    {
      flakeref: `github:alice/dotfiles/${REV}?dir=x&host=GHE.example.org:8443&${NAR_HASH}`,
      host: 'ghe.example.org',
    },
    { flakeref: `github:alice/dotfiles?rev=${REV}` },
    { flakeref: `github:Alice/DotFiles/${REV}`, repository: 'Alice/DotFiles' },
    { flakeref: `github:alice/dotfiles.git/${REV}` },
    { flakeref: `github:alice/dotfiles/${REV.toUpperCase()}` },
    { flakeref: `github:alice/dotfiles/${REV}#nixosConfigurations.nas` },
    { flakeref: `github:alice/dotfiles/${REV}?${NAR_HASH}#nas` },
    { flakeref: `gitlab:alice/dotfiles/${REV}?${NAR_HASH}`, host: 'gitlab.com' },
    {
      flakeref: `gitlab:group%2Fsub/dotfiles/${REV}?host=git.example.org&${NAR_HASH}`,
      host: 'git.example.org',
      repository: 'group/sub/dotfiles',
    },
    {
      flakeref: `sourcehut:~alice/dotfiles/${REV}?${NAR_HASH}`,
      host: 'git.sr.ht',
      repository: '~alice/dotfiles',
    },
    {
      flakeref: `sourcehut:%7Ealice/dotfiles/${REV}`,
      host: 'git.sr.ht',
      repository: '~alice/dotfiles',
    },
    { flakeref: `git+https://github.com/alice/dotfiles?ref=refs/heads/main&rev=${REV}` },
    { flakeref: `git+https://github.com/alice/dotfiles.git?rev=${REV}` },
    { flakeref: `git+https://github.com/alice/dotfiles/?rev=${REV}` },
    { flakeref: `git+https://github.com:443/alice/dotfiles?rev=${REV}` },
    { flakeref: `git+https://GitHub.com/alice/dotfiles?rev=${REV}` },
    // GitHub's other names
    { flakeref: `git+ssh://git@ssh.github.com:443/alice/dotfiles?rev=${REV}` },
    { flakeref: `git+https://www.GitHub.com/alice/dotfiles?rev=${REV}` },
    { flakeref: `git+https://github.com./alice/dotfiles?rev=${REV}` },
    { flakeref: `github:alice/dotfiles/${REV}?host=ssh.github.com` },
    { flakeref: `git+ssh://git@ssh.ghe.example.org/alice/dotfiles?rev=${REV}`, host: 'ssh.ghe.example.org' },
    { flakeref: `git+ssh://git@GitHub-Nas/alice/dotfiles?rev=${REV}`, host: 'github-nas' },
    { flakeref: `git+https://alice:geheim@github.com/alice/dotfiles?rev=${REV}` },
    {
      flakeref: `git+http://git.example.org:8080/a/b/c.git?rev=${REV}`,
      host: 'git.example.org',
      repository: 'a/b/c',
    },
    {
      flakeref: `git+ssh://git@github.com/alice/dotfiles.git?dir=x&ref=main&rev=${REV}&shallow=1&submodules=1`,
    },
    { flakeref: `git+ssh://git@GitHub.com:22/alice/dotfiles?rev=${REV}` },
    { flakeref: `git+https://github.com/alice/dotfiles?ref=a@b%26rev%3Dx&rev=${REV}` },
    // Nix writes `+` as `%2B`, so a raw one is no blank
    { flakeref: `github:alice/dotfiles/${REV}?host=a%2Bb`, host: 'a+b' },
    { flakeref: `github:alice/dotfiles/${REV}?host=a+b`, host: 'a+b' },
  ]
  for (const { flakeref, host = 'github.com', repository = 'alice/dotfiles' } of FORMS) {
    test(flakeref, () => {
      assert.deepEqual(parseFlakeref(flakeref), { kind: 'locked', host, repository, rev: REV })
    })
  }
})

describe('a flakeref that names no commit of a forge', () => {
  const NO_URL = 'it is no URL-like flakeref'
  const NO_FORM = 'it is not of the form owner/repository/revision'
  const UNLOCKED = 'it names no revision, so it is not locked'
  const DIRTY = 'it has no rev: a working tree with uncommitted changes was evaluated'
  const NO_REV = 'its revision is not 40 hexadecimal digits'
  const UNREADABLE = 'its URL cannot be read'
  const noCommit = (scheme: string) => `“${scheme}:” names no commit of a git repository on a forge`
  const noForge = (scheme: string) => `“${scheme}:” names no repository on a forge`

  const FORMS: [flakeref: string, why: string][] = [
    ['', NO_URL],
    ['nixpkgs', NO_URL],
    ['nixpkgs/nixos-26.05', NO_URL],
    ['/srv/dotfiles', NO_URL],
    ['./dotfiles', NO_URL],
    ['.', NO_URL],
    [' github:alice/dotfiles', NO_URL],
    [`Github:alice/dotfiles/${REV}`, NO_URL],
    [`git@github.com:alice/dotfiles?rev=${REV}`, NO_URL],
    ['github:', NO_FORM],
    ['github:alice', NO_FORM],
    ['github:/dotfiles', NO_FORM],
    [`github:alice//${REV}`, NO_FORM],
    [`github:alice/dotfiles/${REV}/x`, NO_FORM],
    ['github:alice/dotfiles/feature/x', NO_FORM],
    [`github://alice/dotfiles/${REV}`, NO_FORM],
    ['github:alice/dotfiles', UNLOCKED],
    ['github:alice/dotfiles/', UNLOCKED],
    ['github:alice/dotfiles?ref=main', UNLOCKED],
    [`github:alice/dotfiles?${NAR_HASH}`, UNLOCKED],
    ['github:alice/dotfiles/main', NO_REV],
    ['github:alice/dotfiles/3f2c9d1', NO_REV],
    [`github:alice/dotfiles/${REV}0`, NO_REV],
    [`github:alice/dotfiles/${'z'.repeat(40)}`, NO_REV],
    [`github:alice/dotfiles/${'_'.repeat(40)}`, NO_REV],
    [`github:alice/dotfiles/${REV}\n`, NO_REV],
    // SHA-256, which GitHub does not have
    [`github:alice/dotfiles/${REV}${'0'.repeat(24)}`, NO_REV],
    [`gitlab:group/sub/dotfiles/${REV}`, NO_FORM],
    ['git+https://github.com/alice/dotfiles', DIRTY],
    ['git+https://github.com/alice/dotfiles?dirtyRev=x&ref=main', DIRTY],
    [`git+https://github.com/alice/dotfiles#?rev=${REV}`, DIRTY],
    ['git+https://github.com/alice/dotfiles?rev=main', NO_REV],
    [`git+ssh://git@github.com:alice/dotfiles?rev=${REV}`, UNREADABLE],
    [`git+https://?rev=${REV}`, UNREADABLE],
    [`git+file:///srv/dotfiles?rev=${REV}`, noForge('git+file')],
    [`git:///srv/dotfiles?rev=${REV}`, noForge('git')],
    [`git://github.com/alice/dotfiles?rev=${REV}`, noForge('git')],
    [`path:/srv/dotfiles?${NAR_HASH}&rev=${REV}`, noCommit('path')],
    [`path:./dotfiles`, noCommit('path')],
    [
      `tarball+https://github.com/alice/dotfiles/archive/${REV}.tar.gz?${NAR_HASH}`,
      noCommit('tarball+https'),
    ],
    [`https://github.com/alice/dotfiles/archive/${REV}.tar.gz`, noCommit('https')],
    [`file+https://example.org/x?${NAR_HASH}`, noCommit('file+https')],
    [`hg+https://example.org/x?rev=${REV}`, noCommit('hg+https')],
    ['flake:nixpkgs', noCommit('flake')],
    [`constructor:alice/dotfiles/${REV}`, noCommit('constructor')],
  ]
  for (const [flakeref, why] of FORMS) {
    test(`${JSON.stringify(flakeref)}: ${why}`, () => {
      assert.deepEqual(parseFlakeref(flakeref), { kind: 'unusable', why })
    })
  }
})

describe('what a jobset follows', () => {
  const DEFAULT: TrackedRef = { kind: 'default branch' }
  const OTHER: TrackedRef = { kind: 'other repository' }
  /** on our host, so that it may be another name of ours */
  const namedBy = (repository: string, follows: TrackedRef): TrackedRef => ({
    kind: 'other repository',
    named: { repository, follows },
  })
  const PULL: TrackedRef = { kind: 'pull request', number: '7' }
  const PINNED: TrackedRef = { kind: 'pinned', rev: REV }
  const refOf = (ref: string): TrackedRef => ({ kind: 'ref', ref })
  const named = (name: string): TrackedRef => ({ kind: 'name', name })
  const NEXT = named('next')
  const FORMS: { flake: string; follows: TrackedRef; repository?: string; host?: string | string[] }[] = [
    { flake: 'github:alice/dotfiles', follows: DEFAULT },
    { flake: 'github:alice/dotfiles/', follows: DEFAULT },
    { flake: 'github:alice/dotfiles?dir=nixos', follows: DEFAULT },
    { flake: 'github:alice/dotfiles/HEAD', follows: DEFAULT },
    { flake: 'github:alice/dotfiles?ref=HEAD', follows: DEFAULT },
    { flake: 'github:alice/dotfiles/next', follows: NEXT },
    { flake: 'github:alice/dotfiles/next?dir=nixos#x', follows: NEXT },
    { flake: 'github:Alice/DotFiles/next', follows: NEXT },
    { flake: 'github:alice/dotfiles/next', repository: 'Alice/DotFiles', follows: NEXT },
    // a branch is case-sensitive, a repository is not
    { flake: 'github:Alice/DotFiles/Next', follows: named('Next') },
    { flake: 'github:alice/dotfiles.git/next', follows: NEXT },
    { flake: 'github:alice/dotfiles/feature/x', follows: named('feature/x') },
    { flake: 'github:alice/dotfiles/feature%2Fx', follows: named('feature/x') },
    { flake: 'github:alice/dotfiles?ref=next', follows: NEXT },
    { flake: 'github:alice/dotfiles?ref=feature/x', follows: named('feature/x') },
    { flake: 'github:alice/dotfiles?ref=a+b', follows: named('a+b') },
    { flake: 'github:alice/dotfiles?ref=refs/heads/next', follows: refOf('refs/heads/next') },
    { flake: 'github:alice/dotfiles?ref=refs/tags/v1', follows: refOf('refs/tags/v1') },
    { flake: `github:alice/dotfiles/${REV}`, follows: PINNED },
    { flake: `github:alice/dotfiles/${REV.toUpperCase()}`, follows: PINNED },
    { flake: `github:alice/dotfiles?rev=${REV}`, follows: PINNED },
    { flake: `github:alice/dotfiles?ref=next&rev=${REV}`, follows: PINNED },
    // abbreviated, it is a name like any other
    { flake: 'github:alice/dotfiles/3f2c9d1', follows: named('3f2c9d1') },
    // a branch may be called so, below refs/heads
    { flake: 'github:alice/dotfiles?ref=refs/heads/pull/7', follows: refOf('refs/heads/pull/7') },
    { flake: 'github:alice/dotfiles/pull/7/head', follows: PULL },
    { flake: 'github:alice/dotfiles/pull/7/merge', follows: PULL },
    { flake: 'github:alice/dotfiles/pull%2F7%2Fhead', follows: PULL },
    { flake: 'github:alice/dotfiles/refs/pull/7/head', follows: PULL },
    { flake: 'github:alice/dotfiles?ref=refs/pull/7/merge', follows: PULL },
    { flake: 'git+https://github.com/alice/dotfiles?ref=refs/pull/7/head', follows: PULL },
    { flake: `git+https://github.com/alice/dotfiles?ref=refs/pull/7/head&rev=${REV}`, follows: PINNED },
    { flake: 'github:alice/dotfiles/pull/x', follows: named('pull/x') },
    { flake: 'github:alice/dotfiles/pull/7x', follows: named('pull/7x') },
    { flake: 'github:bob/dotfiles/pull/7/head', follows: namedBy('bob/dotfiles', PULL) },
    { flake: 'github:alice/other/next', follows: namedBy('alice/other', NEXT) },
    { flake: 'github:bob/dotfiles/next', follows: namedBy('bob/dotfiles', NEXT) },
    { flake: 'git+https://github.com/alice/dotfiles', follows: DEFAULT },
    { flake: 'git+https://github.com/alice/dotfiles?ref=next', follows: NEXT },
    { flake: 'git+https://github.com/alice/dotfiles.git/?ref=next', follows: NEXT },
    {
      flake: 'git+https://GitHub.com/alice/dotfiles?ref=refs/heads/next',
      follows: refOf('refs/heads/next'),
    },
    {
      flake: 'git+https://github.com/alice/dotfiles?ref=refs/tags/v1&shallow=1',
      follows: refOf('refs/tags/v1'),
    },
    { flake: `git+https://github.com/alice/dotfiles?ref=next&rev=${REV.toUpperCase()}`, follows: PINNED },
    { flake: 'git+https://github.com/alice/other?ref=next', follows: namedBy('alice/other', NEXT) },
    { flake: 'git+ssh://git@github.com/alice/dotfiles.git?ref=next', follows: NEXT },
    {
      flake: 'git+ssh://git@github.com:22/alice/dotfiles?ref=feature/x',
      follows: named('feature/x'),
    },
    { flake: 'flake:x', follows: OTHER },
    { flake: 'flake:dotfiles/next', follows: OTHER },
    { flake: 'path:/alice/dotfiles?ref=next', follows: OTHER },
    { flake: 'dotfiles', follows: OTHER },
    { flake: '', follows: OTHER },

    // the same owner and name on another forge
    { flake: 'gitlab:alice/dotfiles/next', follows: OTHER },
    { flake: 'gitlab:alice/dotfiles/next', host: 'gitlab.com', follows: NEXT },
    {
      flake: 'gitlab:group%2Fsub/dotfiles/next',
      host: 'gitlab.com',
      repository: 'group/sub/dotfiles',
      follows: NEXT,
    },
    {
      flake: 'sourcehut:~alice/dotfiles/next',
      host: 'git.sr.ht',
      repository: '~alice/dotfiles',
      follows: NEXT,
    },
    { flake: 'github:alice/dotfiles/next', host: 'ghe.example.org', follows: OTHER },
    { flake: 'github:alice/dotfiles/next?host=ghe.example.org', follows: OTHER },
    {
      flake: 'github:alice/dotfiles/next?host=GHE.example.org:8443',
      host: 'ghe.example.org',
      follows: NEXT,
    },
    { flake: 'git+ssh://git@ssh.github.com:443/alice/dotfiles?ref=next', follows: NEXT },
    { flake: 'git+https://www.github.com/alice/dotfiles?ref=next', follows: NEXT },
    { flake: 'git+ssh://git@gh-nas/alice/dotfiles?ref=next', follows: OTHER },
    { flake: 'git+ssh://git@gh-nas/alice/dotfiles?ref=next', host: ['github.com', 'gh-nas'], follows: NEXT },
    { flake: 'github:alice/dotfiles/next', host: ['gh-web', 'gh-nas'], follows: OTHER },
    {
      flake: 'git+ssh://git@gh-nas/alice/other?ref=next',
      host: ['github.com', 'gh-nas'],
      follows: namedBy('alice/other', NEXT),
    },
    { flake: 'git+https://ghe.example.org/alice/dotfiles?ref=next', follows: OTHER },
    {
      flake: 'git+https://ghe.example.org:8443/alice/dotfiles?ref=next',
      host: 'ghe.example.org',
      follows: NEXT,
    },
  ]
  for (const { flake, host = 'github.com', repository = 'alice/dotfiles', follows } of FORMS) {
    test(`${JSON.stringify(flake)} for ${host}/${repository}: ${follows.kind}`, () => {
      assert.deepEqual(parseTrackedRef(flake, { hosts: [host].flat(), repository }), follows)
    })
  }
})

/** Text as flakerefs are made of, so that much of it comes far. */
const flakeish = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        ...[
          'github:',
          'gitlab:',
          'git+https://',
          'git+ssh://',
          'git+file://',
          'path:',
          '/',
          '//',
          '?',
          '#',
          '&',
        ],
        ...[
          'rev=',
          'host=',
          REV,
          'alice',
          'dotfiles',
          '.git',
          '%2F',
          '%',
          '%zz',
          '@',
          ':',
          '[',
          ']',
          ' ',
          '\n',
          '\0',
        ],
      ),
      { maxLength: 12 },
    )
    .map(parts => parts.join('')),
)

test('whatever the text, a flakeref is locked with 40 digits, or unusable with a reason; nothing is thrown', () => {
  fc.assert(
    fc.property(flakeish, text => {
      const flakeref = parseFlakeref(text)
      if (flakeref.kind === 'locked') {
        assert.match(flakeref.rev, /^[0-9a-f]{40}$/)
        assert.equal(flakeref.host, flakeref.host.toLowerCase())
      } else assert.notEqual(flakeref.why, '')
      assert.equal(typeof showFlakeref(text), 'string')
      const tracked = parseTrackedRef(text, { hosts: ['github.com'], repository: 'alice/dotfiles' })
      if (tracked.kind === 'ref') assert.match(tracked.ref, /^refs\//)
      if (tracked.kind === 'name') {
        assert.notEqual(tracked.name, '')
        assert.doesNotMatch(tracked.name, /^refs\//)
      }
      if (tracked.kind === 'pull request') assert.match(tracked.number, /^\d+$/)
      if (tracked.kind === 'pinned') assert.match(tracked.rev, /^[0-9a-f]{40}$/)
    }),
    { numRuns: 2000 },
  )
})

test('a flakeref of 200,000 characters is read and shown at once', () => {
  const start = process.cpuUsage()
  for (const part of ['://', '@', 'a', '/', '?', '%', '&', 'git+https://', ':']) {
    const long = part.repeat(200_000 / part.length)
    for (const text of [
      long,
      `github:${long}`,
      `git+https://${long}`,
      `git+https://${long}@`,
      `x${long}\n`,
    ]) {
      parseFlakeref(text)
      assert.ok(showFlakeref(text).length <= 301)
    }
  }
  // a guard, no measurement: what is quadratic takes far longer
  assert.ok(process.cpuUsage(start).user < 5_000_000)
})

describe('a flakeref is shown', () => {
  const NOT_TOLD = 'its user information cannot be told from the rest'
  const SHOWN: { what: string; flakeref: string; shown?: string }[] = [
    { what: 'as it is', flakeref: `github:alice/dotfiles/${REV}?dir=x&${NAR_HASH}` },
    {
      what: 'as it is: git',
      flakeref: `git+https://github.com:8443/alice/dotfiles?ref=refs/heads/main&rev=${REV}`,
    },
    { what: 'as it is: a path', flakeref: 'path:/srv/dotfiles?rev=x' },
    { what: 'as it is: a path in a URL', flakeref: 'git+file:///srv/dotfiles' },
    { what: 'as it is: no flakeref at all', flakeref: 'nixpkgs' },
    { what: 'as it is: nothing', flakeref: '' },
    {
      what: 'without a user',
      flakeref: 'git+ssh://git@github.com/alice/dotfiles?ref=main',
      shown: 'git+ssh://github.com/alice/dotfiles?ref=main',
    },
    {
      what: 'without a token',
      flakeref: 'git+https://ghp_geheim@github.com/alice/dotfiles',
      shown: 'git+https://github.com/alice/dotfiles',
    },
    {
      what: 'without a password',
      flakeref: 'git+https://alice:geheim@github.com/alice/dotfiles',
      shown: 'git+https://github.com/alice/dotfiles',
    },
    {
      what: 'without a password that has an “@” in it',
      flakeref: 'git+https://alice:ge@heim@github.com/alice/dotfiles',
      shown: 'git+https://github.com/alice/dotfiles',
    },
    {
      what: 'without a password that has odd characters in it',
      flakeref: 'git+https://alice:ge%40%2F:heim"<[@github.com/alice/dotfiles',
      shown: 'git+https://github.com/alice/dotfiles',
    },
    {
      what: 'without a password that has a slash in it',
      flakeref: 'git+https://alice:12/geheim@github.com/alice/dotfiles',
      shown: 'git+https://github.com/alice/dotfiles',
    },
    {
      what: 'without anything where a password has a slash in it and no port before that',
      flakeref: 'git+https://alice:ge/heim@github.com/alice/dotfiles',
      shown: 'git+https://… (not shown: its URL cannot be read)',
    },
    {
      what: 'without anything where a password may begin with “?”',
      flakeref: 'git+https://alice:?geheim@github.com/alice/dotfiles',
      shown: `git+https://… (not shown: ${NOT_TOLD})`,
    },
    {
      what: 'without anything where a password may have a “#” in it',
      flakeref: 'git+https://alice:12#geheim@github.com/alice/dotfiles',
      shown: `git+https://… (not shown: ${NOT_TOLD})`,
    },
    {
      what: 'without anything where a token may have a “?” in it',
      flakeref: 'git+https://ge?heim@github.com/alice/dotfiles',
      shown: `git+https://… (not shown: ${NOT_TOLD})`,
    },
    {
      what: 'without anything where a branch may be the end of a password',
      flakeref: 'git+ssh://git@github.com/alice/dotfiles?ref=a@b',
      shown: `git+ssh://… (not shown: ${NOT_TOLD})`,
    },
    {
      what: 'without anything where the URL is broken',
      flakeref: 'git+ssh://github.com:alice/dotfiles',
      shown: 'git+ssh://… (not shown: its URL cannot be read)',
    },
    {
      what: 'without anything where no scheme stands before “://”',
      flakeref: 'alice:geheim@https://github.com/alice/dotfiles',
      shown: '(not shown: no flakeref)',
    },
    {
      what: 'without a user before a host and a path',
      flakeref: 'git@github.com:alice/x',
      shown: 'github.com:alice/x',
    },
    {
      what: 'without user information behind a scheme without slashes',
      flakeref: 'git+https:alice:geheim@github.com/alice/x',
      shown: 'github.com/alice/x',
    },
    {
      what: 'without anything where there is one slash',
      flakeref: 'git+https:/alice:geheim@github.com/alice/x',
      shown: `(not shown: ${NOT_TOLD})`,
    },
    {
      what: 'with its first 300 characters',
      flakeref: `path:/${'x'.repeat(400)}`,
      shown: `path:/${'x'.repeat(294)}…`,
    },
  ]
  for (const { what, flakeref, shown = flakeref } of SHOWN) {
    test(what, () => {
      assert.equal(showFlakeref(flakeref), shown)
      assert.doesNotMatch(showFlakeref(flakeref), /ge.?heim|heim/)
    })
  }

  test('whatever the user information, it is not in what is shown', () => {
    const unit = fc.constantFrom(...'ab1/?#@:%&=[]\\ "+.~\n', '%40', '%2F', '://', '?ref=', '#a')
    const odd = fc.string({ unit, maxLength: 8 })
    const scheme = fc.constantFrom('git+https', 'git+ssh', 'git+http', 'https', 'tarball+https', 'x', 'GIT')
    const rest = fc.constantFrom('/alice/dotfiles', `:8443/alice/dotfiles?rev=${REV}`, '?ref=a@b#c', '')
    fc.assert(
      fc.property(scheme, odd, odd, fc.boolean(), rest, (scheme, before, after, user, rest) => {
        const information = `${user ? 'alice:' : ''}${before}GEHEIM${after}`
        const flakeref = `${scheme}://${information}@github.com${rest}`
        assert.ok(!showFlakeref(flakeref).includes('GEHEIM'), showFlakeref(flakeref))
        // nor in the reason, which is shown beside it
        assert.ok(
          !JSON.stringify({ ...parseFlakeref(flakeref), repository: '', host: '' }).includes('GEHEIM'),
        )
      }),
      { numRuns: 3000 },
    )
  })
})
