// The template of HTML: what is put in is text, whatever it is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Html, html, link } from '../../../src/base/html.ts'
import { printable } from '../../../src/base/log.ts'

const CASES: [what: string, made: Html, expected: string][] = [
  ['its own text', html`<p>a &amp; b</p>`, '<p>a &amp; b</p>'],
  ['a text', html`<p>${'a'}</p>`, '<p>a</p>'],
  ['a number', html`${7}`, '7'],
  ['nothing', html`<p>${undefined}</p>`, '<p></p>'],
  ['tags', html`${'<script>'}`, '&lt;script&gt;'],
  ['an entity', html`${'&lt;'}`, '&amp;lt;'],
  ['quotes, in an attribute', html`<p title="${`"'`}">`, '<p title="&quot;&#39;">'],
  ['HTML', html`<p>${html`<b>${'<'}</b>`}</p>`, '<p><b>&lt;</b></p>'],
  ['a list of both', html`${['<', html`<br>`, ['>']]}`, '&lt;<br>&gt;'],
  ['control characters', html`${'a\u0000\r\n\u001bb'}`, 'a\\u0000\\u000d\\u000a\\u001bb'],
  ['what turns the direction', html`${'\u202ea\u2066'}`, '\\u202ea\\u2066'],
  ['half a surrogate pair', html`${'\ud83d'}`, '\ufffd'],
  ['other scripts', html`${'日本語 🎉'}`, '日本語 🎉'],
]

for (const [what, made, expected] of CASES) {
  test(`in a template: ${what}`, () => assert.equal(made.text, expected))
}

test('any text is one text, and is read as it is', () => {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const { text: written } = html`${text}`
      assert.doesNotMatch(written, /[<>"']|[\p{Cc}\p{Bidi_Control}]/u)
      const read = written.replace(/&([#\w]+);/g, (_, name) => entities[name] ?? assert.fail(name))
      assert.equal(read, printable(text.toWellFormed()))
    }),
  )
})

const ADDRESSES: [url: string | null | undefined, isLink: boolean][] = [
  ['https://hydra.example.org/build/1', true],
  ['http://hydra.lan:3000/eval/1', true],
  ['javascript:alert(1)', false],
  [' javascript:alert(1)', false],
  ['JavaScript:https://x', false],
  ['java\nscript:alert(1)//https://', false],
  ['data:text/html,x', false],
  ['//example.org/x', false],
  ['/etc/passwd', false],
  ['ftp://example.org', false],
  ['', false],
  [null, false],
  [undefined, false],
]

test('only an address of the web is a link; of all others the words are left', () => {
  for (const [url, isLink] of ADDRESSES) {
    const expected = isLink ? `<a href="${url}">a &amp; b</a>` : 'a &amp; b'
    assert.equal(link(url, 'a & b').text, expected, `${url}`)
  }
  assert.equal(link('https://x/"><b>', 'a').text, '<a href="https://x/&quot;&gt;&lt;b&gt;">a</a>')
  assert.equal(link('https://x', html`<b>a</b>`).text, '<a href="https://x"><b>a</b></a>')
})
