// HTML that is safe by the way it is made: all texts are escaped that are put into it, and only HTML is not.
import { printable } from './log.ts'

export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = Html | string | number | undefined | readonly Part[]

/**
 * html`<td title="${title}">${cells}</td>`: values may stand between tags and inside of quotes. They are on one line, without
 * control characters.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  return new Html(strings.map((part, at) => part + render(values[at])).join(''))
}

function render(part: Part): string {
  if (part instanceof Html) return part.text
  if (Array.isArray(part)) return part.map(render).join('')
  const text = String(part ?? '')
  return PLAIN.test(text)
    ? text
    : printable(text.toWellFormed()).replace(/[&<>"']/g, char => ENTITIES[char] ?? '')
}

/** Most texts have nothing to escape, and a page has ten thousands of them. */
const PLAIN = /^[\w .,:;/()=?+-]*$/

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A link, but only to http and https: other people write the addresses. */
export function link(url: string | null | undefined, words: Part): Html {
  return url && /^https?:\/\//.test(url) ? html`<a href="${url}">${words}</a>` : html`${words}`
}
