// .github/workflows/ci.yml: what actionlint (.ci/run) does not ask for.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ROOT } from '../helpers/documents.ts'

const FOLDER = join(ROOT, '.github/workflows')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const { engines } = JSON.parse(read('package.json'))

for (const file of readdirSync(FOLDER)) {
  describe(file, () => {
    const workflow = readFileSync(join(FOLDER, file), 'utf8')
    const jobs = workflow
      .slice(workflow.indexOf('\njobs:\n'))
      .split(/\n(?= {2}[\w-]+:\n)/)
      .slice(1)

    test('every action is pinned by its commit, with the version behind it', () => {
      const uses = [...workflow.matchAll(/\buses: *(.*)$/gm)].map(([, action = '']) => action)
      assert.ok(uses.length > 0)
      for (const action of uses) assert.match(action, /^[\w-]+\/[\w-]+@[\da-f]{40} # v\d+\.\d+\.\d+$/)
      // one version of each
      assert.equal(new Set(uses).size, new Set(uses.map(action => action.split('@')[0])).size)
    })

    test('it may only read, and every job has a limit', () => {
      assert.match(workflow, /^permissions:\n {2}contents: read\n\n/m)
      assert.doesNotMatch(workflow, /: write\b|secrets\.|pull_request_target/)
      assert.ok(jobs.length > 0)
      for (const job of jobs) assert.match(job, /^ {4}timeout-minutes: \d+$/m)
    })
  })
}

test('CI runs .ci/run on the oldest Node that we support, and .ci/run names the others', () => {
  const workflow = read('.github/workflows/ci.yml')
  const [, oldest] = /^>=(\d+)\./.exec(engines.node) ?? []
  assert.deepEqual(
    [...workflow.matchAll(/node-version: (\d+)/g)].map(([, node]) => node),
    [oldest],
  )
  const others = [...read('.ci/run').matchAll(/test_on_node (\d+)$/gm)].map(([, node]) => node)
  assert.ok(workflow.includes(`name: .ci/run on Node ${oldest}, ${others.join(' and ')}\n`))
})
