// What people call commits: in as few requests as can be, for those of several repositories at once.
import type { DescribedCommit, Surveys } from './survey.ts'

/** Those that cannot be asked for are left out, and told of without their words. */
export async function describeCommits(
  wanted: Iterable<{ repository: string; sha: string | undefined }>,
  github: Surveys,
  report: (error: unknown) => void,
): Promise<Map<string, DescribedCommit>> {
  const byRepository = new Map<string, { name: string; shas: Set<string> }>()
  for (const { repository: name, sha } of wanted) {
    if (sha === undefined) continue
    const asked = byRepository.get(name.toLowerCase()) ?? { name, shas: new Set<string>() }
    byRepository.set(name.toLowerCase(), asked)
    asked.shas.add(sha)
  }
  const found = await Promise.all(
    [...byRepository.values()].map(async ({ name, shas }) => {
      const { commits, errors } = await github.repository(name).describeCommits([...shas])
      if (errors[0]) report(errors[0])
      return [...commits]
    }),
  )
  return new Map(found.flat())
}
