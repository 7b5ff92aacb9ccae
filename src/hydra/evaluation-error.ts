// The text in which Hydra keeps what went wrong in an evaluation: sections, each of a job or of the whole.
// Source: src/script/hydra-eval-jobset of Hydra, and Nix's way to print errors. Its quotation marks are escaped in the
// patterns: one character that is not ASCII makes Node read and parse a whole bundle at half the speed.

/**
 * What kept a job from being evaluated: the last `error: …` line of its section, or of the one of the whole. Undefined
 * if no section is about the job.
 *
 * @param text `in job ‘nixos-nas.x86_64-linux’:\nerror:\n … while …\n error: attribute 'x' missing\n`
 */
export function findEvaluationError(text: string, job: string): string | undefined {
  const heading = /^(?:in job \u2018([^\u2019\n]*)\u2019|at top-level):[ \t]*$/gm
  const headings = [...text.matchAll(heading)]
  for (const [index, match] of headings.entries()) {
    // a section may be of a part of the job's name: of all systems of a host
    const attribute = match[1]
    if (attribute !== undefined && attribute !== job && !job.startsWith(`${attribute}.`)) continue
    const section = text.slice(match.index + match[0].length, headings[index + 1]?.index ?? text.length)
    return lastError(section)
  }
  return undefined
}

/** The names in the headings: jobs that could not be evaluated, or what their names begin with. */
export function failedJobs(text: string): string[] {
  return [...text.matchAll(/^in job \u2018([^\u2019\n]*)\u2019:[ \t]*$/gm)].map(match => match[1] ?? '')
}

/** The first line of a Nix error is just `error:`, and the message is in the last one. */
export function lastError(section: string): string {
  const lines = section.split('\n').map(line => line.trim())
  const errors = lines.filter(line => /^error: ./.test(line))
  const message = errors.at(-1) ?? lines.find(line => line !== '') ?? 'without a message'
  // a URL that could not be fetched may carry a token
  return message.replace(/(:\/\/)[^\s'"]*@/g, '$1')
}
