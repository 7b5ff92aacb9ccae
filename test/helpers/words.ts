// What others say differs from version to version: Node, the system, PostgreSQL. Codes, names and numbers do not.

/** `ENOENT: no such file or directory, open '/x'` becomes `ENOENT '/x'`, wherever it is in the text. */
export function codesOnly(text: string): string {
  return text.replaceAll(/\b(E[A-Z]+): [^'\n]*/g, '$1 ').replaceAll(/ $/gm, '')
}

/** PostgreSQL's sentence with these names, its code, and our hint below it. */
export function serverSays(name: string, code: string, hint: string): RegExp {
  return new RegExp(`^[^\n]*${quote(name)}(?!\\w)[^\n]* \\(${code}\\)\n${quote(hint)}$`)
}

/** A text as a part of a regular expression. */
export function quote(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}
