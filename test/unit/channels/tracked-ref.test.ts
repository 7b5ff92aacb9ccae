// What a channel's commits must be in the history of, from the rule and the jobset's flake.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refsOf, showTrackedRef, trackedRefOf } from '../../../src/channels/tracked-ref.ts'

const REV = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const EXPECTED = { hosts: ['github.com'], repository: 'alice/dotfiles' }

const ROWS: { flake: string | null; ref?: string; asks: string[]; shown: string }[] = [
  { flake: 'github:alice/dotfiles', asks: ['HEAD'], shown: 'the default branch' },
  { flake: 'github:alice/dotfiles/next', asks: ['refs/heads/next', 'refs/tags/next'], shown: 'next' },
  {
    flake: 'git+https://github.com/alice/dotfiles?ref=refs/heads/next',
    asks: ['refs/heads/next'],
    shown: 'next',
  },
  {
    flake: 'git+https://github.com/alice/dotfiles?ref=refs/tags/v1',
    asks: ['refs/tags/v1'],
    shown: 'tags/v1',
  },
  { flake: `github:alice/dotfiles/${REV}`, asks: [REV], shown: '3f2c9d1, to which the jobset is pinned' },
  { flake: 'github:alice/dotfiles/pull/7/head', asks: [], shown: 'pull request 7' },
  {
    flake: 'git+ssh://git@github.com/alice/dotfiles?ref=refs/pull/7/merge',
    asks: [],
    shown: 'pull request 7',
  },
  // a branch may be called so
  {
    flake: 'github:alice/dotfiles/pull/me',
    asks: ['refs/heads/pull/me', 'refs/tags/pull/me'],
    shown: 'pull/me',
  },
  { flake: 'github:bob/dotfiles', asks: [], shown: 'another repository' },
  { flake: 'flake:dotfiles', asks: [], shown: 'another repository' },
  { flake: null, asks: [], shown: 'another repository' },
  // git can have no such branch, and it is unreadable
  { flake: 'github:alice/dotfiles/a..b', asks: [], shown: 'a..b' },
  { flake: `github:alice/dotfiles/${'a'.repeat(1000)}`, asks: [], shown: `${'a'.repeat(100)}…` },
  { flake: `github:alice/dotfiles/${REV}`, ref: 'main', asks: ['refs/heads/main'], shown: 'main' },
  { flake: 'flake:dotfiles', ref: 'main', asks: ['refs/heads/main'], shown: 'main' },
]

for (const { flake, ref, asks, shown } of ROWS) {
  test(`${flake?.slice(0, 80)}${ref ? `, with ref ${ref} in the rule` : ''}: ${shown.slice(0, 40)}`, () => {
    const tracked = trackedRefOf(ref, flake, EXPECTED)
    assert.deepEqual(refsOf(tracked), asks)
    assert.equal(showTrackedRef(tracked), shown)
  })
}
