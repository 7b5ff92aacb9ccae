// Compare: https://docs.github.com/rest/commits/commits#compare-two-commits, over the graph's own answers.

import { Refusal } from './auth.ts'
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
    const { graph } = repository
    const [base, head] = await graph.findCommits([baseName, headName])
    if (!base || !head) throw new Refusal(404, 'Not Found')
    const { ahead, behindBy, mergeBase } = await graph.compare(base, head)
    const aheadBy = ahead.length
    if (!mergeBase) throw new Refusal(404, `No common ancestor between ${baseName} and ${headName}.`)

    const { page, perPage } = pageOf(query)
    const shas = ahead.slice((page - 1) * perPage, page * perPage)
    const [[baseFacts, mergeBaseFacts, ...facts], changes] = await Promise.all([
      graph.readFacts([base, mergeBase, ...shas]),
      page === 1 ? graph.listChanges(mergeBase, head) : undefined,
    ])
    if (!baseFacts || !mergeBaseFacts) throw new Error(`there is no ${base} or ${mergeBase}`)

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
