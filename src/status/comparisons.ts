// How commits stand to the channels' tips, in as few requests as can be for many channels: GraphQL a hundred channels at a
// time, each pair of commits once; and over REST what it left out.
import { Semaphore } from 'async-mutex'
import { type Channel, channelKey } from '../channels/channel.ts'
import { IDENTICAL, type Relation } from '../channels/relation.ts'
import type { Survey, Surveys } from './survey.ts'
import { isWorthOneByOne, type Standing } from './survey.ts'

/** Where GraphQL does not answer, REST must not be flooded. */
const REST_AT_ONCE = 4

export interface Question {
  channel: Channel
  tip: string
  /** commits to be compared with the tip, 40 digits */
  heads: readonly string[]
}

export interface Answer {
  /** of the tip; ISO 8601; undefined if GitHub did not tell */
  committedAt: string | undefined
  /** false if a rule or a protection forbids it */
  mayPush: boolean | undefined
  /**
   * Undefined also of a commit that GitHub does not have.
   *
   * @throws OperatorError if GitHub cannot be asked
   */
  standOf(sha: string | undefined): Promise<Relation | undefined>
}

/**
 * @param report called once if GraphQL did not answer
 * @returns by channelKey
 */
export async function compareAll(
  questions: readonly Question[],
  github: Surveys,
  report: (error: unknown) => void,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  const rest = new Semaphore(REST_AT_ONCE)
  const byRepository = new Map<string, Question[]>()
  for (const question of questions) {
    const name = question.channel.repository.toLowerCase()
    const asked = byRepository.get(name) ?? []
    byRepository.set(name, asked)
    asked.push(question)
  }
  await Promise.all(
    [...byRepository.values()].map(async asked => {
      const repository = github.repository(asked[0]?.channel.repository ?? '')
      const { standings, errors } = await repository.findStandings(eachPairOnce(asked))
      if (errors[0]) report(errors[0])
      const away = errors.find(error => !isWorthOneByOne(error))
      const sides = sidesOf(asked, standings)
      for (const { channel, tip } of asked) {
        const standing = standings.get(channel.branch)
        answers.set(channelKey(channel), {
          committedAt: standing?.sha === tip ? standing.committedAt : undefined,
          mayPush: standing?.mayPush,
          async standOf(sha) {
            if (sha === undefined) return undefined
            if (sha === tip) return IDENTICAL
            const known = sides.get(pairOf(tip, sha))
            if (known) return known
            if (away) throw away
            return rest.runExclusive(() => compareOverRest(repository, tip, sha))
          },
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

function sidesOf(
  questions: readonly Question[],
  standings: ReadonlyMap<string, Standing>,
): Map<string, Relation> {
  const sides = new Map<string, Relation>()
  for (const { channel, tip } of questions) {
    const standing = standings.get(channel.branch)
    // the branch may have moved since it was listed
    if (standing?.sha !== tip) continue
    for (const [head, side] of standing.sides) sides.set(pairOf(tip, head), side)
  }
  return sides
}

async function compareOverRest(repository: Survey, tip: string, sha: string): Promise<Relation | undefined> {
  const comparison = await repository.compare(tip, sha)
  return comparison === 'not-found' ? undefined : comparison
}

function pairOf(tip: string, head: string): string {
  return `${tip} ${head}`
}
