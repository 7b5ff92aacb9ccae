// How commits stand to the channels' tips, as few requests as can be for many channels: GraphQL a hundred channels at a
// time, each pair of commits once; and over REST what it left out.
import { unknownCommit } from './advance.ts'
import { type Channel, channelKey } from './channel.ts'
import { OperatorError } from './errors.ts'
import type { GitHubRepository } from './github/repository.ts'
import type { Side, Standing } from './github/standing.ts'
import type { Stand } from './reason.ts'
import type { OpenedGitHub } from './run-options.ts'

export interface Question {
  channel: Channel
  tip: string
  /** commits to be compared with the tip, 40 digits */
  heads: readonly string[]
}

export interface Answer {
  /** of the tip; ISO 8601, undefined where GitHub did not say */
  committedAt: string | undefined
  /** false where a rule or a protection forbids it */
  mayPush: boolean | undefined
  /** @throws OperatorError where GitHub cannot be asked */
  standOf(sha: string | undefined): Promise<Stand>
}

/** @returns by channelKey */
export async function compareAll(
  questions: readonly Question[],
  github: Pick<OpenedGitHub, 'repository'>,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  const byRepository = new Map<string, Question[]>()
  for (const question of questions) {
    const name = question.channel.repository.toLowerCase()
    byRepository.set(name, [...(byRepository.get(name) ?? []), question])
  }
  await Promise.all(
    [...byRepository].map(async ([name, asked]) => {
      const repository = github.repository(name)
      const standings = await repository.findStandings(eachPairOnce(asked)).catch(noStandings)
      const sides = new Map<string, Side>()
      for (const { channel, tip } of asked) {
        const standing = standings.get(channel.branch)
        // the branch may have moved since it was listed
        if (standing?.sha !== tip) continue
        for (const [head, side] of standing.sides) sides.set(pairOf(tip, head), side)
      }
      for (const { channel, tip } of asked) {
        const standing = standings.get(channel.branch)
        answers.set(channelKey(channel), {
          committedAt: standing?.sha === tip ? standing.committedAt : undefined,
          mayPush: standing?.mayPush,
          standOf: async sha => (sha === undefined ? undefined : standOf(tip, sha, sides, repository)),
        })
      }
    }),
  )
  return answers
}

function eachPairOnce(questions: readonly Question[]): { branch: string; heads: string[] }[] {
  const seen = new Set<string>()
  return questions.map(({ channel, tip, heads }) => ({
    branch: channel.branch,
    heads: heads.filter(head => {
      const pair = pairOf(tip, head)
      if (head === tip || seen.has(pair)) return false
      seen.add(pair)
      return true
    }),
  }))
}

/** REST is asked instead; and where GitHub is away, that says so. */
function noStandings(error: unknown): Map<string, Standing> {
  if (error instanceof OperatorError || (error as Error).name === 'GraphqlResponseError') return new Map()
  throw error
}

async function standOf(
  tip: string,
  sha: string,
  sides: ReadonlyMap<string, Side>,
  repository: GitHubRepository,
): Promise<Stand> {
  if (sha === tip) return { status: 'identical', aheadBy: 0, behindBy: 0 }
  const known = sides.get(pairOf(tip, sha))
  if (known) return known
  const comparison = await repository.compare(tip, sha)
  if (comparison === 'not-found') throw unknownCommit(sha)
  return comparison
}

function pairOf(tip: string, head: string): string {
  return `${tip} ${head}`
}
