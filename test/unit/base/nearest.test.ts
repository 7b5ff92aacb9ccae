// Which names may have been meant: nearest first.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { kinship, nearest } from '../../../src/base/nearest.ts'

describe('the nearest names', () => {
  const CASES: { what: string; wanted: string; names: string[]; nearest: string[] }[] = [
    { what: 'fewer letters apart', wanted: 'nan', names: ['web', 'nas'], nearest: ['nas', 'web'] },
    {
      what: 'one that contains it, before one of few other letters',
      wanted: 'router',
      names: ['rooter', 'nixos-tested-router'],
      nearest: ['nixos-tested-router', 'rooter'],
    },
    {
      what: 'one that it contains',
      wanted: 'unitName',
      names: ['unixName', 'unit'],
      nearest: ['unit', 'unixName'],
    },
    {
      what: 'of several that contain it, the shortest',
      wanted: 'nas',
      names: ['tested-nas-2', 'nas-2'],
      nearest: ['nas-2', 'tested-nas-2'],
    },
    {
      what: 'another spelling',
      wanted: 'PRIVATE_key',
      names: ['private', 'privateKey'],
      nearest: ['privateKey', 'private'],
    },
    { what: 'not each that has one of its letters', wanted: 'a', names: ['abc', 'b'], nearest: ['b', 'abc'] },
    {
      what: 'as they come, if they are as near',
      wanted: 'nas',
      names: ['nat', 'nap', 'nab'],
      nearest: ['nat', 'nap'],
    },
    { what: 'none of none', wanted: 'nas', names: [], nearest: [] },
  ]
  for (const { what, wanted, names, nearest: expected } of CASES) {
    test(what, () => assert.deepEqual(nearest(wanted, names, 2), expected))
  }
})

describe('how one name may be another', () => {
  const CASES: [wanted: string, name: string, kinship: ReturnType<typeof kinship>][] = [
    ['appId', 'appId', 'same'],
    ['APP_ID', 'appId', 'same'],
    ['private-key-file', 'privateKeyFile', 'same'],
    ['url', 'apiUrl', 'part'],
    ['timeoutSecondsMax', 'timeoutSeconds', 'part'],
    ['ulr', 'url', 'mistyped'],
    ['ul', 'url', 'mistyped'],
    ['rl', 'uuurl', undefined],
    ['brnach', 'branch', 'mistyped'],
    ['repositry', 'repository', 'mistyped'],
    ['stateDirectroies', 'stateDirectory', 'mistyped'],
    ['token', 'unit', undefined],
    ['x', 'y', undefined],
    ['x', '', undefined],
    ['', 'a', undefined],
  ]
  for (const [wanted, name, expected] of CASES) {
    test(`${wanted} and ${name}: ${expected ?? 'not'}`, () => assert.equal(kinship(wanted, name), expected))
  }
})
