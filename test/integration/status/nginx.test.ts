// The lines for nginx in docs/status.md, in a real nginx: what it serves of the page, and what it says of one that is too old.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type Page, renderPage } from '../../../src/status/page.ts'
import { everyReasonPage, hostilePage } from '../../helpers/page.ts'
import { until } from '../../helpers/until.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/status.md', import.meta.url), 'utf8')
const NGINX = (process.env.PATH ?? '')
  .split(':')
  .concat('/usr/sbin')
  .map(folder => join(folder, 'nginx'))
  .find(existsSync)
const skip = NGINX === undefined && 'nginx is not installed'
if (skip) console.error(`the lines for nginx were not tried: ${skip}`)

interface Served {
  status: number | undefined
  headers: IncomingHttpHeaders
  text: string
}

/** As a browser asks: nothing else of the suite can have this address. */
function get(socketPath: string, path: string): Promise<Served> {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'gzip' }
    request({ socketPath, path, headers }, answer => {
      const isPacked = answer.headers['content-encoding'] === 'gzip'
      buffer(answer).then(bytes => {
        const text = String(isPacked ? gunzipSync(bytes) : bytes)
        resolve({ status: answer.statusCode, headers: answer.headers, text })
      }, reject)
    })
      .on('error', reject)
      .end()
  })
}

/** Asks for what is in the folder that the lines name. */
async function serve(t: TestContext, folder: string): Promise<(file: string) => Promise<Served>> {
  const [, alias = '', extra = ''] =
    /locations\."\/channels\/" = \{\n\s+alias = "(.*)";\n.*\n\s+extraConfig = ''\n([\s\S]*?)\n\s+'';/.exec(
      DOCUMENT,
    ) ?? []
  assert.equal(alias, '/var/lib/hydra-channels/page/')
  const run = join(folder, '..', 'run')
  mkdirSync(run)
  const socket = join(run, 'socket')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${run}/${name};`,
  )
  const file = join(run, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${run}/pid; error_log ${run}/errors;
    events {}
    http { access_log off; types { text/html html; application/json json; } ${temporary.join(' ')}
      server { listen unix:${socket}; location /channels/ { alias ${folder}/;\n${extra}\n} } }`,
  )
  execFileSync(NGINX ?? '', ['-t', '-q', '-e', `${run}/errors`, '-c', file])
  const child = spawn(NGINX ?? '', ['-e', `${run}/errors`, '-c', file], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGTERM')
    await ended
    assert.equal(readFileSync(`${run}/errors`, 'utf8').replaceAll(/^.*\[notice\].*\n/gm, ''), '')
  })
  const ask = (file: string) => get(socket, `/channels/${file}`)
  await until('nginx listens', () =>
    ask('').then(
      () => true,
      () => false,
    ),
  )
  return ask
}

/** A page that was written so long ago, fifteen minutes before the next reconcile. */
function written(page: Page, minutesAgo: number): Page {
  const at = Date.now() - minutesAgo * 60_000
  const time = (ms: number) => new Date(ms).toISOString()
  const intervalMs = 15 * 60_000
  return {
    ...page,
    generatedAt: time(at),
    lastReconcile: time(at),
    nextReconcile: time(at + intervalMs),
    intervalMs,
  }
}

test('the page as it is, and a line on top of one that is not written any more', { skip }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'hc-nginx-'))
  const folder = join(directory, 'page')
  mkdirSync(folder)
  writeFileSync(join(folder, 'status.json'), '{}\n')
  const write = (page: Page) => writeFileSync(join(folder, 'index.html'), renderPage(page))
  write(everyReasonPage())
  const ask = await serve(t, folder)
  t.after(() => rmSync(directory, { recursive: true }))

  const json = await ask('status.json')
  assert.deepEqual([json.status, json.headers['content-type'], json.text], [200, 'application/json', '{}\n'])
  const DEAD = /\n<p class=dead>This page was not written again in time: what it says may be old\.<\/p>/
  const CASES: [what: string, page: Page, isDead: boolean][] = [
    ['written now', written(everyReasonPage(), 0), false],
    ['written when the last reconcile ended', written(everyReasonPage(), 14), false],
    ['dead for a day', written(everyReasonPage(), 24 * 60), true],
    ['dead for a year', written(everyReasonPage(), 365 * 24 * 60), true],
    ['with texts of others', written(hostilePage(), 0), false],
  ]
  for (const [what, page, isDead] of CASES) {
    write(page)
    const { text, headers } = await ask('')
    assert.equal(DEAD.test(text), isDead, what)
    // all else is as it was written
    const own = /\n<!--# config[^\n]*\n[^\n]*/
    assert.equal(
      text.replace(DEAD, '').replaceAll(/\n+/g, '\n'),
      renderPage(page).replace(own, '').replaceAll(/\n+/g, '\n'),
      what,
    )
    assert.equal(headers['content-encoding'], 'gzip')
    assert.equal(headers['cache-control'], 'no-cache')
    assert.equal(headers['content-security-policy'], "frame-ancestors 'none'")
    assert.equal(headers['x-content-type-options'], 'nosniff')
  }
})
