// The README's lines for nginx, in a real nginx: what it serves of the page, and what it says of one that is too old.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Page, renderPage } from '../../../src/status/page.ts'
import { everyReasonPage, hostilePage } from '../../helpers/page.ts'
import { until } from '../../helpers/until.ts'

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
const NGINX = (process.env.PATH ?? '')
  .split(':')
  .concat('/usr/sbin')
  .map(folder => join(folder, 'nginx'))
  .find(existsSync)
const skip = NGINX === undefined && 'nginx is not installed'
if (skip) console.error(`the lines for nginx were not tried: ${skip}`)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** The address of the folder that the lines name. */
async function serve(t: TestContext, folder: string): Promise<string> {
  const [, alias = '', extra = ''] =
    /locations\."\/channels\/" = \{\n\s+alias = "(.*)";\n\s+extraConfig = ''\n([\s\S]*?)\n\s+'';/.exec(
      README,
    ) ?? []
  assert.equal(alias, '/var/lib/hydra-channels/page/')
  const port = await freePort()
  const run = join(folder, '..', 'run')
  mkdirSync(run)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${run}/${name};`,
  )
  const file = join(run, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${run}/pid; error_log ${run}/errors;
    events {}
    http { access_log off; types { text/html html; application/json json; } ${temporary.join(' ')}
      server { listen 127.0.0.1:${port}; location /channels/ { alias ${folder}/;\n${extra}\n} } }`,
  )
  execFileSync(NGINX ?? '', ['-t', '-q', '-e', `${run}/errors`, '-c', file])
  const child = spawn(NGINX ?? '', ['-e', `${run}/errors`, '-c', file], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGTERM')
    await ended
    assert.equal(readFileSync(`${run}/errors`, 'utf8').replaceAll(/^.*\[notice\].*\n/gm, ''), '')
  })
  const url = `http://127.0.0.1:${port}/channels/`
  await until('nginx listens', () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  )
  return url
}

/** A page that was written so long ago, fifteen minutes before the next reconcile. */
function written(page: Page, minutesAgo: number): Page {
  const at = Date.now() - minutesAgo * 60_000
  const time = (ms: number) => new Date(ms).toISOString()
  return { ...page, generatedAt: time(at), lastReconcile: time(at), nextReconcile: time(at + 15 * 60_000) }
}

test('the page as it is, and a line on top of one that is not written any more', { skip }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'hc-nginx-'))
  const folder = join(directory, 'page')
  mkdirSync(folder)
  writeFileSync(join(folder, 'status.json'), '{}\n')
  const write = (page: Page) => writeFileSync(join(folder, 'index.html'), renderPage(page))
  write(everyReasonPage())
  const url = await serve(t, folder)
  t.after(() => rmSync(directory, { recursive: true }))

  const json = await fetch(`${url}status.json`)
  assert.deepEqual(
    [json.status, json.headers.get('content-type'), await json.text()],
    [200, 'application/json', '{}\n'],
  )
  const DEAD =
    /\n<p class=dead>This page is old: it is not written any more\. Do not believe what it says\.<\/p>/
  const CASES: [what: string, page: Page, isDead: boolean][] = [
    ['written now', written(everyReasonPage(), 0), false],
    ['written when the last reconcile ended', written(everyReasonPage(), 14), false],
    ['dead for a day', written(everyReasonPage(), 24 * 60), true],
    ['dead for a year', written(everyReasonPage(), 365 * 24 * 60), true],
    ['with texts of others', written(hostilePage(), 0), false],
  ]
  for (const [what, page, isDead] of CASES) {
    write(page)
    const answer = await fetch(url)
    const text = await answer.text()
    assert.equal(DEAD.test(text), isDead, what)
    // all else is as it was written
    const own = /\n<!--# config[^\n]*\n[^\n]*/
    assert.equal(
      text.replace(DEAD, '').replaceAll(/\n+/g, '\n'),
      renderPage(page).replace(own, '').replaceAll(/\n+/g, '\n'),
      what,
    )
    assert.equal(answer.headers.get('cache-control'), 'no-cache')
    assert.equal(answer.headers.get('content-security-policy'), "frame-ancestors 'none'")
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  }
})
