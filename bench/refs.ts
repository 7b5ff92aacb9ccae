// The branches of a bare repository, without git: its own files, so that git and the bench's GitHub see the same.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { RefStore } from '../test/helpers/github/memory-graph.ts'

const HEADS = 'refs/heads'

/** What a graph in memory needs of them. */
export function openRefs(gitDir: string): RefStore {
  const branchOf = (ref: string) => (ref.startsWith(`${HEADS}/`) ? ref.slice(HEADS.length + 1) : undefined)
  return {
    get(ref) {
      const branch = branchOf(ref)
      return branch === undefined ? undefined : readBranch(gitDir, branch)
    },
    set: (ref, sha) => writeBranch(gitDir, branchOf(ref) ?? '', sha),
    delete: ref => rmSync(join(gitDir, ref), { force: true }),
    entries: () => listBranches(gitDir, '').map(([branch, sha]) => [`${HEADS}/${branch}`, sha]),
  }
}

export function readBranch(gitDir: string, branch: string): string | undefined {
  try {
    return readFileSync(join(gitDir, HEADS, branch), 'utf8').trim()
  } catch {
    return readPacked(gitDir).get(branch)
  }
}

/** All branches whose names begin with a prefix, in the order of their names. */
export function listBranches(gitDir: string, prefix: string): [branch: string, sha: string][] {
  const branches = readPacked(gitDir)
  const folder = join(gitDir, HEADS)
  for (const branch of readdirSync(folder)) {
    if (branch.startsWith(prefix)) branches.set(branch, readFileSync(join(folder, branch), 'utf8').trim())
  }
  return [...branches].filter(([branch]) => branch.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** A loose ref, written as git does it: beside its place, then into it. */
export function writeBranch(gitDir: string, branch: string, sha: string): void {
  const file = join(gitDir, HEADS, branch)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.lock`, `${sha}\n`)
  renameSync(`${file}.lock`, file)
}

export function removeBranches(gitDir: string, prefix: string): void {
  for (const [branch] of listBranches(gitDir, prefix)) rmSync(join(gitDir, HEADS, branch), { force: true })
}

function readPacked(gitDir: string): Map<string, string> {
  try {
    const lines = readFileSync(join(gitDir, 'packed-refs'), 'utf8').split('\n')
    const refs = lines.filter(line => line.includes(` ${HEADS}/`)).map(line => line.split(' '))
    return new Map(refs.map(([sha = '', ref = '']) => [ref.slice(HEADS.length + 1), sha]))
  } catch {
    return new Map()
  }
}
