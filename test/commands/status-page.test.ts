// `status --page`: what is written, by the built command, and how much is asked for it. What a page looks like is in
// unit/status/page.test.ts, what a browser makes of it in integration/status/page.test.ts.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { REASONS } from '../../src/status/shape.ts'
import { everyReason, short } from '../helpers/every-reason.ts'
import type { Stage } from '../helpers/stage.ts'
import { channel, loseDatabase, loseGitHub, NAS, twoHosts } from '../helpers/status.ts'

const asked = (stage: Stage, ...args: string[]) =>
  stage.command('hydra-channels', ['status', ...args], { streams: 'apart' })

function folderOf(stage: Stage): string {
  const folder = join(stage.directory, 'page')
  mkdirSync(folder)
  return folder
}

const pageIn = (folder: string) => readFileSync(join(folder, 'index.html'), 'utf8')

/** What the page has of one channel. */
function rowOf(page: string, branch: string): string {
  const row = page
    .split('\n<li>')
    .find(each => each.includes(`">${branch}</span>`) || each.includes(`</span>${branch}</span>`))
  assert.ok(row, branch)
  return row
}

const gateOf = (row: string, gate: string) =>
  [
    ...(new RegExp(`<dt>${gate}</dt>(<dd>.*)</div>`).exec(row)?.[1] ?? '').matchAll(
      /<dd><b[^>]*>(.)<\/b> (.*?)<\/dd>/g,
    ),
  ].map(([, mark, text = '']) => `${mark} ${text.replaceAll(/<[^>]*>/g, '')}`)

// main: c1 - c2     evals of both, nas and web at c1
test('two files, each in one step and readable for everybody; of one look with the metrics and the JSON', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  const folder = folderOf(stage)
  writeFileSync(join(folder, 'index.html'), 'old', { mode: 0o600 })
  const metrics = join(stage.directory, 'metrics.prom')
  const { status, stdout, stderr } = await asked(stage, '--page', folder, '--metrics', metrics, '--json')
  assert.equal(status, 0, stderr)
  assert.equal(
    stderr,
    [metrics, `${folder}/status.json`, `${folder}/index.html`]
      .map(file => `wrote ${file}: 2 channels, 0 in trouble\n`)
      .join(''),
  )
  assert.deepEqual(readdirSync(folder).sort(), ['index.html', 'status.json'])
  for (const file of readdirSync(folder)) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o644)
  assert.equal(readFileSync(join(folder, 'status.json'), 'utf8'), stdout)
  const { generatedAt } = JSON.parse(stdout)
  assert.match(readFileSync(metrics, 'utf8'), /reason="behind"} 1$/m)

  const page = pageIn(folder)
  assert.ok(page.startsWith('<!doctype html>\n') && page.endsWith('</html>\n'))
  assert.ok(page.includes(`<time datetime="${generatedAt}">`))
  const row = rowOf(page, NAS)
  assert.match(row, /aria-label="the last 2 evals, newest first: 2 good; the channel is at number 2"/)
  assert.ok(row.includes(`${short(c1)} “commit 1” by `), row)
  assert.ok(row.includes(`${short(c2)} “commit 2” by `), row)
  assert.deepEqual(gateOf(row, 'branch'), [`✓ ${short(c2)} is the tip of main`])
  assert.deepEqual(gateOf(row, 'fast-forward'), [`✓ ${short(c2)} is 1 commit ahead of the channel`])
})

test('without --metrics and --json nothing goes to standard output', async t => {
  const { stage } = await twoHosts(t)
  const { stdout, stderr } = await asked(stage, '--page', folderOf(stage))
  assert.deepEqual([stdout, stderr.match(/: 2 channels, 0 in trouble\n$/)?.length], ['', 1], stderr)
})

test('a page is of all channels', async t => {
  const { stage } = await twoHosts(t)
  const folder = folderOf(stage)
  const { status, stderr } = await asked(stage, '--page', folder, NAS)
  assert.deepEqual([status, readdirSync(folder)], [2, []])
  assert.equal(stderr, `--page DIR is of all channels, and takes no CHANNEL\nleave out ${NAS}, or --page\n`)
})

test('a rule that leads to no channel is on the page, which is not green then', async t => {
  const { stage } = await twoHosts(t)
  const [rule = {}] = stage.config.channels
  stage.config.channels.push({ ...rule, jobset: 'nightly', branch: 'nightly-{host}' })
  const folder = folderOf(stage)
  const { status, stderr } = await asked(stage, '--page', folder)
  assert.equal(status, 0)
  const [said = ''] = stderr.split('\n')
  assert.match(said, /nightly/)
  const page = pageIn(folder)
  assert.match(page, /<h1 class="bad">/)
  assert.match(page, /<ul class="problems"[^>]*>\n<li>[^<]*nightly/)
})

test('a folder that is not there is said, and is no trouble of the metrics', async t => {
  const { stage } = await twoHosts(t)
  const metrics = join(stage.directory, 'metrics.prom')
  const page = await asked(stage, '--page', '/nonexistent', '--metrics', metrics)
  assert.equal(page.status, 1)
  assert.match(
    page.stderr,
    /^wrote .*metrics\.prom: .*\ncannot write the page \/nonexistent\/status\.json: ENOENT.*\nits folder must exist.*\ncannot write the page \/nonexistent\/index\.html: ENOENT/,
  )
  const folder = folderOf(stage)
  const other = await asked(stage, '--page', folder, '--metrics', '/nonexistent/file')
  assert.equal(other.status, 1)
  assert.match(
    other.stderr,
    /^cannot write the metrics \/nonexistent\/file: ENOENT.*\n.*\nwrote .*status\.json: .*\nwrote .*index\.html: /,
  )
})

test('every reason is on the page, each with its gates as explain has them', async t => {
  const { stage } = await everyReason(t)
  const folder = folderOf(stage)
  const { status, stderr } = await asked(stage, '--page', folder)
  assert.equal(status, 0, stderr)
  const page = pageIn(folder)
  for (const reason of REASONS) assert.match(page, new RegExp(`<span class="reason \\w+">. ${reason}</span>`))
  for (const host of ['failed', 'uncached', 'withdrawn', 'held', 'ambiguous', 'old']) {
    const explained = await stage.command(
      'hydra-channels',
      ['explain', '--json', `alice/dotfiles:${channel(host)}`],
      {
        streams: 'apart',
      },
    )
    const { gates } = JSON.parse(explained.stdout)
    const row = rowOf(page, channel(host))
    for (const { gate, candidate, newestEval } of gates) {
      const marks = { open: '✓', shut: '✗', unknown: '–' } as Record<string, string>
      const expected = [candidate, newestEval].map(({ state }) => marks[state])
      const shown = gateOf(row, gate).map(([mark]) => mark)
      assert.deepEqual([shown[0], shown.at(-1)], expected, `${host} ${gate}`)
    }
  }
})

test('of Hydra or GitHub that is away, the page says so', async t => {
  const { stage } = await twoHosts(t)
  const folder = folderOf(stage)
  loseGitHub(stage)
  const { status, stderr } = await asked(stage, '--page', folder)
  assert.equal(status, 0, stderr)
  assert.match(pageIn(folder), /<h1 class="bad">All 2 channels are unknown<\/h1>/)
  assert.match(rowOf(pageIn(folder), NAS), /newest first: 2 good"/)
})

test('of Hydra that is away, the page has what GitHub knows', async t => {
  const { stage, c1 } = await twoHosts(t)
  const folder = folderOf(stage)
  loseDatabase(stage)
  const { status, stderr } = await asked(stage, '--page', folder)
  assert.equal(status, 0, stderr)
  const row = rowOf(pageIn(folder), NAS)
  assert.match(row, /no evals known/)
  assert.ok(row.includes(`${short(c1)} “commit 1”`), row)
  assert.match(gateOf(row, 'build')[0] ?? '', /^– not known: cannot ask Hydra&#39;s database/)
})
