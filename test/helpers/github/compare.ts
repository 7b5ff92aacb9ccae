// Compare: https://docs.github.com/rest/commits/commits#compare-two-commits, over git's own answers.

import { Refusal } from './auth.ts'
import { findCommits, findMergeBase, listChanges, readCommits, readSides } from './git.ts'
import type { RepositoryRoute } from './routes.ts'
import { commitShape, comparisonUrls, fileShape } from './shapes.ts'

const MAX_UNPAGED = 250
const MAX_FILES = 300

export const compareRoute: RepositoryRoute = {
  operation: 'GET /repos/{owner}/{repo}/compare/{basehead}',
  scope: 'repository',
  auth: 'token',
  contents: 'read',
  path: /^\/compare\/(.+?)\.\.\.(.+)$/,
  async run({ state, params: [baseName = '', headName = ''], query, found: { repository } }) {
    const { gitDir } = repository
    const [base, head] = await findCommits(gitDir, [baseName, headName])
    if (!base || !head) throw new Refusal(404, 'Not Found')
    const { ahead, behindBy } = await readSides(gitDir, base, head)
    const aheadBy = ahead.length
    const mergeBase = await findParting(gitDir, { base, head, aheadBy, behindBy })
    if (!mergeBase) throw new Refusal(404, `No common ancestor between ${baseName} and ${headName}.`)

    const { page, perPage } = pageOf(query)
    const shas = ahead.slice((page - 1) * perPage, page * perPage)
    const [[baseFacts, mergeBaseFacts, ...facts], changes] = await Promise.all([
      readCommits(gitDir, [base, mergeBase, ...shas]),
      page === 1 ? listChanges(gitDir, mergeBase, head) : undefined,
    ])
    if (!baseFacts || !mergeBaseFacts) throw new Error(`git did not tell about ${base} and ${mergeBase}`)

    const shape = (fact: typeof baseFacts) => commitShape(state, repository, fact)
    const basehead = `${baseName}...${headName}`
    const withoutStatus = state.comparePageTwoWithoutStatus && page > 1 && aheadBy <= 1
    return {
      status: 200,
      checked: !withoutStatus,
      body: {
        ...comparisonUrls(state, repository, basehead, `${base.slice(0, 7)}...${head.slice(0, 7)}`),
        base_commit: shape(baseFacts),
        merge_base_commit: shape(mergeBaseFacts),
        ...(withoutStatus ? {} : { status: statusOf(aheadBy, behindBy) }),
        ahead_by: aheadBy,
        behind_by: behindBy,
        total_commits: aheadBy,
        commits: facts.map(shape),
        ...(changes && {
          files: changes.slice(0, MAX_FILES).map(change => fileShape(state, repository, head, change)),
        }),
      },
    }
  },
}

interface Sides {
  base: string
  head: string
  aheadBy: number
  behindBy: number
}

// Only commits that went apart need git once more.
async function findParting(gitDir: string, { base, head, aheadBy, behindBy }: Sides) {
  if (behindBy === 0) return base
  return aheadBy === 0 ? head : findMergeBase(gitDir, base, head)
}

export function statusOf(aheadBy: number, behindBy: number): string {
  if (aheadBy > 0 && behindBy > 0) return 'diverged'
  if (aheadBy > 0) return 'ahead'
  return behindBy > 0 ? 'behind' : 'identical'
}

function pageOf(query: URLSearchParams): { page: number; perPage: number } {
  const number = (name: string) => {
    const value = Number(query.get(name))
    return Number.isInteger(value) && value > 0 ? value : undefined
  }
  const page = number('page')
  const perPage = number('per_page')
  if (page === undefined && perPage === undefined) return { page: 1, perPage: MAX_UNPAGED }
  return { page: page ?? 1, perPage: Math.min(perPage ?? 30, 100) }
}
