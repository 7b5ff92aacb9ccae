// create-app in a real browser: the policy of the page, the form, GitHub's redirect back. Chromium is the system's own.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { createHttp } from '../../src/base/http.ts'
import { webUrlOf } from '../../src/base/links.ts'
import { createLog } from '../../src/base/log.ts'
import { createApp, WAITS } from '../../src/setup/create-app.ts'
import { keepLog, keepSecrets } from '../helpers/command.ts'
import { startGitHub } from '../helpers/github/github.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** A busy machine needs long, and a test that fails must end. */
const PATIENCE_MS = 120_000
/** The folder for pictures of the pages. */
const PICTURES = process.env.HYDRA_CHANNELS_TEST_PICTURES

const skip = !existsSync(CHROMIUM) && `there is no ${CHROMIUM}: apt-get install chromium`
if (skip) console.error(`create-app was not tried in a browser: ${skip}`)

test('a browser presses the button, confirms at GitHub, and comes back', { skip }, async t => {
  const github = await startGitHub({ basePath: '/api/v3' })
  const directory = await mkdtemp(join(tmpdir(), 'hc-app-'))
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: PATIENCE_MS })
  const http = createHttp({})
  t.after(async () => {
    await browser.close()
    http.close()
    keepSecrets(github.secrets)
    await github.close()
    await rm(directory, { recursive: true })
    assert.deepEqual(github.violations, [])
  })

  const said: string[] = []
  let open = (_: string) => {}
  const address = new Promise<string>(resolve => {
    open = resolve
  })
  const ended = createApp({
    registration: { webUrl: webUrlOf(github.apiUrl), owner: 'nix-org', name: 'hydra "channels" <&>' },
    apiUrl: github.apiUrl,
    directory,
    http,
    log: createLog(text => {
      said.push(text)
      open(/^open (\S+)/.exec(text)?.[1] ?? '')
    }),
    report: error => said.push(`${error}\n`),
    input: new PassThrough(),
    waits: { ...WAITS, browserMs: PATIENCE_MS, installationMs: PATIENCE_MS, pollMs: 10 },
  })
  ended.catch(() => {})

  const page = await browser.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints: string[] = []
  page.on('console', message => {
    // the one thing that every browser asks for by itself
    if (!message.location().url.endsWith('/favicon.ico')) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  const picture = async (name: string) => {
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`) })
  }

  await page.goto(await address)
  assert.equal(await page.textContent('h1'), 'A GitHub App for hydra-channels')
  // the style is let through by its hash
  assert.notEqual(await page.evaluate('getComputedStyle(document.body).maxWidth'), 'none')
  await picture('start')
  await page.click('button')

  assert.equal(await page.textContent('h1'), 'Create GitHub App for nix-org')
  assert.equal(new URL(page.url()).origin, new URL(github.apiUrl).origin)
  assert.equal(await page.inputValue('input[name=name]'), 'hydra "channels" <&>')
  await page.fill('input[name=name]', 'hydra-channels-nix-org')
  await picture('github')
  await page.click('button')

  assert.equal(await page.textContent('h1'), 'hydra-channels-nix-org is created')
  assert.equal(
    await page.getAttribute('a', 'href'),
    'https://github.com/apps/hydra-channels-nix-org/installations/new',
  )
  await picture('done')
  await github.createRepository('nix-org/dotfiles')
  assert.equal(await ended, 'installed')
  const keyFile = join(directory, 'hydra-channels-nix-org.private-key.pem')
  assert.equal(readFileSync(keyFile, 'utf8'), github.app.privateKeyPem)
  assert.deepEqual(complaints, [])
  keepLog(said.join(''))
})
