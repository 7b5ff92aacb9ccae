// create-app in a real browser: the policy of the page, the form, GitHub's redirect back. Chromium is the system's own.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createHttp } from '../../src/base/http.ts'
import { webUrlOf } from '../../src/base/links.ts'
import { createLog } from '../../src/base/log.ts'
import { createApp, WAITS } from '../../src/setup/create-app.ts'
import { complaintsOf, openBrowser, PATIENCE_MS, takePicture, withoutBrowser } from '../helpers/browser.ts'
import { keepLog, keepSecrets } from '../helpers/command.ts'
import { startGitHub } from '../helpers/github/github.ts'

const skip = withoutBrowser('create-app')

test('a browser presses the button, confirms at GitHub, and comes back', { skip }, async t => {
  const github = await startGitHub({ basePath: '/api/v3' })
  const directory = await mkdtemp(join(tmpdir(), 'hc-app-'))
  const browser = await openBrowser()
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
  const complaints = complaintsOf(page)

  await page.goto(await address)
  assert.equal(await page.textContent('h1'), 'A GitHub App for hydra-channels')
  // the style is let through by its hash
  assert.notEqual(await page.evaluate('getComputedStyle(document.body).maxWidth'), 'none')
  await takePicture(page, 'create-app-start')
  await page.click('button')

  assert.equal(await page.textContent('h1'), 'Create GitHub App for nix-org')
  assert.equal(new URL(page.url()).origin, new URL(github.apiUrl).origin)
  assert.equal(await page.inputValue('input[name=name]'), 'hydra "channels" <&>')
  await page.fill('input[name=name]', 'hydra-channels-nix-org')
  await takePicture(page, 'create-app-github')
  await page.click('button')

  assert.equal(await page.textContent('h1'), 'hydra-channels-nix-org is created')
  assert.equal(
    await page.getAttribute('a', 'href'),
    'https://github.com/apps/hydra-channels-nix-org/installations/new',
  )
  await takePicture(page, 'create-app-done')
  await github.createRepository('nix-org/dotfiles')
  assert.equal(await ended, 'installed')
  const keyFile = join(directory, 'hydra-channels-nix-org.private-key.pem')
  assert.equal(readFileSync(keyFile, 'utf8'), github.app.privateKeyPem)
  assert.deepEqual(complaints, [])
  keepLog(said.join(''))
})
