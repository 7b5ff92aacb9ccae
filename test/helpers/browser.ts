// The system's own Chromium, for the tests of pages.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  // its colours make pictures large
  '--disable-lcd-text',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A busy machine needs long, and a test that fails must end. */
export const PATIENCE_MS = 120_000

/** The folder for pictures of the pages; undefined: none are taken. */
const PICTURES = process.env.HYDRA_CHANNELS_TEST_PICTURES

/** Why pages cannot be tried; false if they can. @throws if they must be: HYDRA_CHANNELS_TEST_BROWSER=required */
export function withoutBrowser(what: string): string | false {
  if (existsSync(CHROMIUM)) return false
  const why = `there is no ${CHROMIUM}: apt-get install chromium`
  if (process.env.HYDRA_CHANNELS_TEST_BROWSER === 'required') throw new Error(why)
  console.error(`${what} was not tried in a browser: ${why}`)
  return why
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: PATIENCE_MS })
}

/** What the browser has to say about a page: there should be nothing. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', message => {
    // the one thing that every browser asks for by itself
    if (!message.location().url.endsWith('/favicon.ico')) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  return complaints
}

export async function takePicture(page: Page, name: string): Promise<void> {
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`) })
}
