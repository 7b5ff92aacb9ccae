// The branch of a rule: what it makes, and which branches it could have made.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  canMake,
  fillTemplate,
  parseTemplate,
  prefixOf,
  shapeOf,
  templateProblem,
} from '../../../src/channels/template.ts'

const NAS = { host: 'nas', system: 'x86_64-linux' }

describe('a template', () => {
  const CASES: {
    template: string
    prefix: string
    shape: string
    /** of host nas and system x86_64-linux */
    branch: string | { empty: string[] }
    makes?: string[]
    makesNot: string[]
  }[] = [
    {
      template: 'nixos-tested-{host}',
      prefix: 'nixos-tested-',
      shape: 'nixos-tested-{…}',
      branch: 'nixos-tested-nas',
      makes: ['nixos-tested-a', 'nixos-tested-{host}', 'nixos-tested-nixos-tested-'],
      makesNot: ['nixos-tested-', 'nixos-tested', 'x-nixos-tested-nas', ''],
    },
    {
      template: 'tested',
      prefix: 'tested',
      shape: 'tested',
      branch: 'tested',
      makesNot: ['tested-nas', 'teste', ''],
    },
    {
      template: '{host}-{system}-tested',
      prefix: '',
      shape: '{…}-{…}-tested',
      branch: 'nas-x86_64-linux-tested',
      makes: ['a-b-tested', 'a-b-c-tested', '--b-tested', '-a-b-tested'],
      makesNot: ['a-tested', '-a-tested', 'a--tested', 'a-b-tested-c', 'a-b'],
    },
    {
      template: '{host}{system}',
      prefix: '',
      shape: '{…}{…}',
      branch: 'nasx86_64-linux',
      makes: ['ab'],
      makesNot: ['a', ''],
    },
    {
      template: 'a{host}a{host}a',
      prefix: 'a',
      shape: 'a{…}a{…}a',
      branch: 'anasanasa',
      // a group may be anything each time
      makes: ['abaca', 'aaaaa'],
      makesNot: ['aaaa', 'abaca-', 'aba'],
    },
    {
      template: '{host}/{missing}',
      prefix: '',
      shape: '{…}/{…}',
      branch: { empty: ['missing'] },
      makesNot: ['nas', '/x', 'nas/'],
    },
  ]
  for (const { template: text, prefix, shape, branch, makes = [], makesNot } of CASES) {
    test(text, () => {
      const template = parseTemplate(text)
      assert.equal(prefixOf(template), prefix)
      assert.equal(shapeOf(template), shape)
      assert.deepEqual(fillTemplate(template, NAS), typeof branch === 'string' ? { branch } : branch)
      const made = typeof branch === 'string' ? [branch] : []
      for (const each of [...made, ...makes]) assert.equal(canMake(template, each), true, each)
      for (const each of makesNot) assert.equal(canMake(template, each), false, each)
    })
  }

  test('braces that surround no group are a problem', () => {
    for (const text of ['{host', 'host}', '{{host}}', '{host}}', '}{']) {
      assert.match(templateProblem(parseTemplate(text), ['host']) ?? '', /^braces only around/, text)
    }
  })
})

test('a template can make what it makes, and nothing that a regular expression would refuse', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 3 })
  const group = fc.constantFrom('{host}', '{system}')
  const template = fc
    .tuple(part, fc.array(fc.tuple(group, part), { maxLength: 3 }))
    .map(([first, more]) => first + more.flat().join(''))
  const value = fc.string({ unit: fc.constantFrom('a', 'b', '-', '{', '$&'), minLength: 1, maxLength: 4 })
  const branch = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 10 })
  let refused = 0
  fc.assert(
    fc.property(template, value, value, branch, (text, host, system, other) => {
      const parsed = parseTemplate(text)
      const made = fillTemplate(parsed, { host, system })
      assert.ok('branch' in made && canMake(parsed, made.branch))
      assert.ok(made.branch.startsWith(prefixOf(parsed)))
      const naive = new RegExp(`^${text.replace(/\{\w+\}/g, '.+')}$`)
      assert.equal(canMake(parsed, other), naive.test(other))
      if (!naive.test(other)) refused++
    }),
    { numRuns: 3000 },
  )
  assert.ok(refused > 100 && refused < 2990, `${refused} were refused`)
})

test('a branch that is made for it costs no more than linear time', () => {
  const template = parseTemplate(`${'{a}-'.repeat(60)}{a}x`)
  const branch = `${'-'.repeat(1_000_000)}y`
  const before = performance.now()
  assert.equal(canMake(template, branch), false)
  assert.equal(canMake(template, `${branch}x`), true)
  assert.ok(performance.now() - before < 1000)
})
