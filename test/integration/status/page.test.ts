// The page of status in a real browser. With HYDRA_CHANNELS_TEST_PICTURES=docs its pictures are taken anew.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Browser, Page as BrowserPage } from 'playwright-core'
import { type Page, renderPage } from '../../../src/status/page.ts'
import { complaintsOf, openBrowser, PATIENCE_MS, takePicture, withoutBrowser } from '../../helpers/browser.ts'
import { everyReasonPage, HOSTILE, hostilePage, largePage } from '../../helpers/page.ts'

const skip = withoutBrowser('the page of status')
/** Of the pictures each has less than 150 kB: the wide window is high, and small in its picture. */
const WINDOWS = {
  narrow: { viewport: { width: 320, height: 1600 }, deviceScaleFactor: 1 },
  wide: { viewport: { width: 1600, height: 1340 }, deviceScaleFactor: 0.5 },
} as const
const SCHEMES = ['light', 'dark'] as const

describe('in a browser', { skip }, () => {
  let browser: Browser
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hc-page-'))
    browser = await openBrowser()
  })
  after(async () => {
    await browser.close()
    await rm(directory, { recursive: true })
  })

  /** The page as a file, in a window of its own. */
  async function show(
    page: Page,
    { window, scheme = 'light' }: { window: (typeof WINDOWS)['narrow' | 'wide']; scheme?: 'light' | 'dark' },
  ): Promise<{ shown: BrowserPage; complaints: string[]; loaded: string[] }> {
    const file = join(directory, 'index.html')
    writeFileSync(file, renderPage(page))
    const shown = await browser.newPage({ colorScheme: scheme, ...window })
    shown.setDefaultTimeout(PATIENCE_MS)
    const complaints = complaintsOf(shown)
    const loaded: string[] = []
    shown.on('request', request => loaded.push(request.url()))
    await shown.goto(pathToFileURL(file).href)
    return { shown, complaints, loaded: loaded.filter(url => !/^file:.*\/index\.html$|^data:/.test(url)) }
  }

  /** Evaluated outside of the page's own policy. */
  const ask = <T>(shown: BrowserPage, expression: string) => shown.evaluate<T>(expression)

  for (const scheme of SCHEMES) {
    for (const [name, window] of Object.entries(WINDOWS)) {
      const { width } = window.viewport
      test(`${scheme}, ${width} px wide: every channel is there, and nothing sticks out`, async () => {
        const page = everyReasonPage()
        const { shown, complaints } = await show(page, { window, scheme })
        await takePicture(shown, `page-${scheme}-${name}`)
        assert.equal(await shown.locator('li > details').count(), page.channels.length)
        assert.equal(
          await shown.locator('svg[role=img]').count(),
          page.channels.filter(({ evals }) => evals).length,
        )
        // the policy lets the style through, which knows both schemes
        const [red, green, blue] =
          (await ask<string>(shown, 'getComputedStyle(document.body).backgroundColor')).match(/\d+/g) ?? []
        assert.equal(Number(red) + Number(green) + Number(blue) > 382, scheme === 'light')
        // also with all that can be opened
        await ask(shown, "document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert.equal(await ask(shown, 'document.documentElement.scrollWidth'), width)
        assert.deepEqual(await ask<string[]>(shown, STICKING_OUT), [])
        assert.deepEqual(complaints, [])
        await shown.close()
      })
    }
  }

  test('texts have enough contrast with what is behind them, in both schemes', async () => {
    for (const scheme of SCHEMES) {
      const { shown } = await show(everyReasonPage(), { window: WINDOWS.wide, scheme })
      await ask(shown, "document.querySelectorAll('details')[3].open = true")
      const low = await ask<string[]>(shown, LOW_CONTRAST)
      assert.deepEqual(low, [], scheme)
      await shown.close()
    }
  })

  test('hostile names and subjects are texts: nothing of them runs, loads or hides, at any width', async () => {
    const page = hostilePage()
    const { shown: plain } = await show(everyReasonPage(), { window: WINDOWS.narrow })
    const names = await ask<string[]>(plain, NAMES_OF_ELEMENTS)
    await plain.close()
    for (const window of Object.values(WINDOWS)) {
      const { shown, complaints, loaded } = await show(page, { window })
      await ask(shown, "document.querySelectorAll('details').forEach(each => { each.open = true })")
      assert.equal(await shown.locator('li > details').count(), HOSTILE.length)
      for (const name of await ask<string[]>(shown, NAMES_OF_ELEMENTS)) assert.ok(names.includes(name), name)
      const attributes = await ask<string[]>(
        shown,
        "[...document.querySelectorAll('*')].flatMap(each => each.getAttributeNames())",
      )
      for (const name of attributes) assert.doesNotMatch(name, /^on|^style$|^src$/)
      const text = await ask<string>(shown, 'document.body.innerText')
      for (const words of [
        '<script>alert(1)</script>',
        '<!--',
        '\\u202egnp.exe\\u2066',
        'a\\u0000b\\u001b[31m',
        '\ufffd half',
        '🎉 日本語 العربية',
      ]) {
        assert.ok(text.includes(words), words)
      }
      assert.equal(await ask(shown, 'document.documentElement.scrollWidth'), window.viewport.width)
      assert.deepEqual(await ask<string[]>(shown, STICKING_OUT), [])
      assert.deepEqual([complaints, loaded], [[], []])
      await shown.close()
    }
  })

  test('without JavaScript: a channel opens by its keyboard, and by its address', async () => {
    const page = everyReasonPage()
    const context = await browser.newContext({ javaScriptEnabled: false })
    const shown = await context.newPage()
    shown.setDefaultTimeout(PATIENCE_MS)
    const file = join(directory, 'index.html')
    writeFileSync(file, renderPage(page))
    await shown.goto(`${pathToFileURL(file)}#alice%2Fdotfiles%3Anixos-tested-nas`)
    const gates = (branch: string) =>
      shown.locator('details', { hasText: branch }).first().locator('.gates dt')
    assert.ok(await gates('nixos-tested-nas').first().isVisible())
    assert.ok(!(await gates('nixos-tested-wiki').first().isVisible()))
    await shown.locator('summary', { hasText: 'nixos-tested-wiki' }).press('Enter')
    await gates('nixos-tested-wiki').first().waitFor()
    assert.deepEqual(await gates('nixos-tested-wiki').allTextContents(), [
      'rule',
      'job',
      'evaluation',
      'build',
      'cache',
      'branch',
      'hold',
      'permission',
      'fast-forward',
    ])
    await context.close()
  })

  test('who does not see the strip is told what is in it', async () => {
    const { shown } = await show(largePage(10), { window: WINDOWS.narrow })
    const strips = shown.getByRole('img', { name: /^the last 30 evals, newest first: \d+ (good|failed)/ })
    assert.equal(await strips.count(), 10)
    await shown.close()
  })
})

const NAMES_OF_ELEMENTS = "[...new Set([...document.querySelectorAll('*')].map(each => each.localName))]"

/** What is wider than the window. */
const STICKING_OUT = `[...document.querySelectorAll('body *')]
  .filter(each => { const { left, right } = each.getBoundingClientRect(); return left < 0 || right > innerWidth + 0.5 })
  .map(each => each.outerHTML.slice(0, 200))`

/** https://www.w3.org/TR/WCAG22/#contrast-minimum: 4.5 to 1. No background here lets another one through. */
const LOW_CONTRAST = `(() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(n => n / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = each => {
    const color = getComputedStyle(each).backgroundColor
    return color === 'rgba(0, 0, 0, 0)' ? behind(each.parentElement) : color
  }
  const ratio = each => {
    const [a, b] = [light(getComputedStyle(each).color), light(behind(each))]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  }
  return [...document.querySelectorAll('body *')]
    .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && ratio(each) < 4.5)
    .map(each => each.outerHTML.slice(0, 100) + ' ' + ratio(each))
})()`
