// Asks Hydra and GitHub which channels there are, for hold and release.
import { OperatorError, operatorErrorOf, UsageError } from '../base/errors.ts'
import { couldBeOf, findTip, listTips } from '../channels/branches.ts'
import { type Channel, channelKey } from '../channels/channel.ts'
import { parseChannelName } from '../channels/channel-name.ts'
import { planFleet, prefixesOf } from '../channels/plan.ts'
import { isRuled } from '../channels/recorded.ts'
import { isIgnored } from '../channels/rule.ts'
import { lookUpFleet } from '../channels/snapshot.ts'
import { prefixOf } from '../channels/template.ts'
import type { Config } from '../config.ts'
import { expectedHosts } from '../github/config.ts'
import { readStamp } from '../state/last-reconcile.ts'
import { type FoundName, findNamedChannel } from './known-channels.ts'
import { withClients } from './look.ts'

/** For each of the two: somebody waits. */
const LIMIT_SECONDS = 5

export async function askAbout(
  name: string,
  config: Config,
  { env, held }: { env: Readonly<Record<string, string | undefined>>; held: readonly Channel[] },
): Promise<FoundName> {
  const { channels: rules, stateDirectory } = config
  const recorded = readStamp(stateDirectory)?.channels ?? []
  return withClients({ config, env, deadlineSeconds: LIMIT_SECONDS }, ({ database, openGitHub }) =>
    findNamedChannel(name, {
      rules,
      recorded,
      held,
      limitMs: LIMIT_SECONDS * 1000,
      async askHydra() {
        const jobsets = await lookUpFleet({ rules, database })
        const { channels } = planFleet(rules, jobsets, expectedHosts(config.github))
        // one that is gone may have a branch still: then GitHub knows it
        return channels.filter(({ presence }) => presence !== 'gone')
      },
      askGitHub: async () => {
        const github = await openGitHub().catch(unlessKey)
        const tips = await listTips(github, prefixesOf(rules, recorded))
        const known = new Set(recorded.map(channelKey))
        const listed = [...tips.values()].flatMap(({ prefix: { repository }, branches }) =>
          branches instanceof Map ? [...branches.keys()].map(branch => ({ repository, branch })) : [],
        )
        // of a prefix with too many branches, that one is asked for
        const { branch } = parseChannelName(name)
        const wanted = [
          ...rules.map(({ repository, template }) => ({ repository, branch, prefix: prefixOf(template) })),
          ...recorded,
        ].filter(each => each.branch === branch && branch.startsWith(each.prefix))
        const found = await Promise.all(
          wanted.map(async channel => ({ channel, tip: await findTip(tips, channel, channel.prefix) })),
        )
        const there = found.flatMap(({ channel, tip }) => (typeof tip === 'string' ? [channel] : []))
        const errors = [
          // the App may not see a repository that no rule names any more
          ...[...tips.values()].flatMap(({ prefix, branches }) => (isRuled(prefix, rules) ? [branches] : [])),
          ...found.map(({ tip }) => tip),
        ].filter(each => each instanceof Error)
        return {
          channels: [...listed, ...there].filter(
            channel =>
              known.has(channelKey(channel)) ||
              (!isIgnored(rules, channel) && rules.some(rule => couldBeOf(rule, channel))),
          ),
          trouble: errors[0] && operatorErrorOf(errors[0]),
        }
      },
    }),
  )
}

/** Without a key, a channel can be held all the same. */
function unlessKey(error: unknown): never {
  if (!(error instanceof UsageError)) throw error
  throw new OperatorError(`GitHub was not asked: ${error.message}`, { cause: error })
}
