// What git and GitHub accept as a branch: git-check-ref-format(1), and what would be taken for something else. What Nix accepts
// in a flakeref, so that a host can follow the branch.
import { printable } from '../base/log.ts'

/** git allows more, but a ref is a file name below `refs/heads/`, and `.lock` is put behind it while it is written. */
const MAX_BYTES = 244

/** Why `name` cannot be a branch, as the end of a sentence ("it …"); undefined if it can. */
export function branchProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (Buffer.byteLength(name) > MAX_BYTES) return `it is longer than ${MAX_BYTES} bytes`
  if (printable(name) !== name) return 'it contains a control character'
  if (!name.isWellFormed()) return 'it is not well-formed Unicode'
  const forbidden = /[ ~^:?*[\\]/.exec(name)
  if (forbidden) return forbidden[0] === ' ' ? 'it contains a space' : `it contains “${forbidden[0]}”`
  if (name.startsWith('-')) return 'it starts with “-”'
  if (name.startsWith('refs/')) return 'it starts with “refs/”: a branch is named without that'
  if (name === 'HEAD' || name === '@') return 'git means something else by it'
  if (/^[0-9a-f]{40}$/i.test(name)) return 'it looks like a commit'
  if (name.includes('..')) return 'it contains “..”'
  if (name.includes('@{')) return 'it contains “@{”'
  if (name.endsWith('.')) return 'it ends with “.”'
  for (const part of name.split('/')) {
    if (part === '') return 'it has an empty part between, before or after “/”'
    if (part.startsWith('.')) return `its part “${part}” starts with “.”`
    if (part.endsWith('.lock')) return `its part “${part}” ends with “.lock”`
  }
  return undefined
}

/** As {@link branchProblem}, of a branch that hosts follow: Nix must be able to write it in a flakeref. */
export function channelProblem(name: string): string | undefined {
  return branchProblem(name) ?? flakerefProblem(name)
}

/**
 * Nix's `refRegexS` (src/libutil/url-parts.hh). From Nix 2.20 to 2.30, and in Lix, the ref in `github:o/r/REF` and in its
 * `?ref=REF` must match it, also if it is percent-encoded (src/libfetchers/github.cc). `git+ssh:…?ref=REF` takes more
 * (`badGitRefRegexS`, git.cc), and so does every form since 2.31, which asks libgit2 (`isLegalRefName`). All take this.
 */
function flakerefProblem(name: string): string | undefined {
  const [forbidden] = /[^a-zA-Z0-9_./@+-]/u.exec(name) ?? []
  if (forbidden !== undefined) return `it contains “${forbidden}”, which Nix does not accept in a flakeref`
  return /^[a-zA-Z0-9@]/.test(name)
    ? undefined
    : `it starts with “${name.slice(0, 1)}”, which Nix does not accept there in a flakeref`
}
