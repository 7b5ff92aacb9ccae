// channel-update: arguments checked before anything is sent, then the same move as the hook's.
import { isDeepStrictEqual } from 'node:util'
import { UsageError } from '../base/errors.ts'
import { createHttp } from '../base/http.ts'
import type { Log } from '../base/log.ts'
import { ownerProblem, repositoryNameProblem } from '../base/repository-name.ts'
import { advance } from '../channels/advance.ts'
import { branchProblem } from '../channels/branch-name.ts'
import { channelName } from '../channels/channel.ts'
import { findHolds, type Hold } from '../channels/holds.ts'
import { describeRename } from '../channels/safeguards.ts'
import { isTrouble, tellVerdict, type Verdict } from '../channels/verdict.ts'
import { type Config, findConfig } from '../config.ts'
import { findApiUrl, webUrlFor } from '../github/config.ts'
import { openGitHub } from './clients.ts'
import { configFile, type Invocation } from './run.ts'

type UpdateInvocation = Invocation<{
  'app-id': { type: 'string' }
  'private-key-file': { type: 'string' }
  'api-url': { type: 'string' }
  config: { type: 'string' }
  'dry-run': { type: 'boolean' }
}>

export async function runUpdate({
  values,
  positionals,
  env,
  log,
  report,
}: UpdateInvocation): Promise<'ok' | 'failed'> {
  const { repository: name, branch, sha } = parseArguments(positionals)
  const config = withApiUrl(findConfig(configFile(values.config, env)), values['api-url'], env)
  const http = createHttp(env)
  try {
    const flags = { appId: values['app-id'], privateKeyFile: values['private-key-file'] }
    const github = await openGitHub({ config, http, log, flags, env, personalToken: 'accepted' })
    const repository = github.repository(name)
    const channel = { repository: name, branch }
    const mode = values['dry-run'] ? 'look' : 'move'
    const verdict = await update({ channel, sha, forge: repository, mode }, config.stateDirectory, log)
    const rename = await describeRename(repository, name)
    if (rename) log.line(rename)
    const webUrl = webUrlFor(config.github)
    // a person asks for this move, so the configuration's dryRun does not count
    tellVerdict(channel, verdict, { log, report, webUrl, dryRun: false })
    return isTrouble(verdict) ? 'failed' : 'ok'
  } finally {
    http.close()
  }
}

/** Moves also a channel that is held, because a person asks for it; but not one that somebody holds meanwhile. */
async function update(
  move: Pick<Parameters<typeof advance>[0], 'channel' | 'sha' | 'forge' | 'mode'>,
  stateDirectory: string,
  log: Log,
): Promise<Verdict> {
  const { channel, sha } = move
  const overridden = findHolds(stateDirectory, channel)
  for (const { reason, scope } of overridden) {
    const what = scope === 'all' ? 'all channels are held' : 'held'
    log.line(`${channelName(channel)}: ${what} (${reason}); channel-update moves it all the same`)
  }
  try {
    return await advance({
      ...move,
      async clear() {
        const isOverridden = (hold: Hold) => overridden.some(each => isDeepStrictEqual(each, hold))
        const hold = findHolds(stateDirectory, channel).find(each => !isOverridden(each))
        return hold && { kind: 'held', sha, hold }
      },
    })
  } catch (error) {
    return { kind: 'failed', error }
  }
}

function parseArguments(positionals: readonly string[]): { repository: string; branch: string; sha: string } {
  const [owner = '', repo = '', branch = '', commit = ''] = positionals
  if (positionals.length !== 4) {
    throw new UsageError(`expected OWNER REPO BRANCH COMMIT, but got ${positionals.length} arguments`, {
      hint: 'see channel-update --help',
    })
  }
  const problems = [
    ['OWNER', owner, ownerProblem(owner)],
    ['REPO', repo, repositoryNameProblem(repo)],
    ['BRANCH', branch, branchProblem(branch)],
    ['COMMIT', commit, /^[0-9a-f]{40}$/i.test(commit) ? undefined : 'a commit has 40 hexadecimal digits'],
  ] as const
  const messages = problems.flatMap(([name, value, problem]) =>
    problem === undefined ? [] : [`${name} “${value}” cannot be used: ${problem}`],
  )
  const [first, ...more] = messages
  if (first !== undefined) throw new UsageError(first, { hint: [...more, 'see channel-update --help'] })
  return { repository: `${owner}/${repo}`, branch, sha: commit.toLowerCase() }
}

function withApiUrl(config: Config, flag: string | undefined, env: UpdateInvocation['env']): Config {
  const apiUrl = findApiUrl(flag, env)
  if (apiUrl === undefined) return config
  return { ...config, github: { ...config.github, apiUrl } }
}
