// The repository that both sides work with: one line of commits, of which main has the first 7,000. Those after them are
// in the object store already, and main gains them in the course of the run.
import { GitGraph, git } from '../test/helpers/github/git-graph.ts'
import type { NewCommit } from '../test/helpers/github/graph.ts'
import { writeBranch } from './refs.ts'

export const COMMITS = 7_000
const FILES = 120

/** Oldest first. Packed as a server would have it, so that git answers as fast as it can. */
export async function createHistory(gitDir: string, later: number): Promise<string[]> {
  const commits = Array.from({ length: COMMITS + later }, (_, index): NewCommit => {
    const file = (index * 7) % FILES
    return {
      parents: index === 0 ? [] : [`:${index}`],
      message: `host${file % 40}: the ${index + 1}th change of its configuration\n\nAnd a line that says why.\n`,
      files: { [`hosts/host${file % 40}/part${file}.nix`]: `{ services.example.generation = ${index}; }\n` },
      date: 1_500_000_000 + index * 36_000,
    }
  })
  const graph = await GitGraph.open(gitDir)
  const shas = await graph.write(commits)
  graph.head = 'main'
  // what no branch leads to would not be packed
  writeBranch(gitDir, 'main', shas.at(-1) ?? '')
  await git(gitDir, ['repack', '-a', '-d', '--quiet', '--write-bitmap-index'])
  await git(gitDir, ['commit-graph', 'write', '--reachable'])
  const settings = {
    'uploadpack.allowFilter': 'true',
    'http.receivepack': 'true',
    'receive.autogc': 'false',
  }
  for (const [name, value] of Object.entries(settings)) await git(gitDir, ['config', name, value])
  return shas
}
