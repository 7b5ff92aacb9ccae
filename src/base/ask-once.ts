/** The answer to a question that was asked already, or is being asked; one that failed is asked again. */
export function askOnce<Answer>(
  answers: Map<string, Promise<Answer>>,
  key: string,
  question: () => Promise<Answer>,
): Promise<Answer> {
  const known = answers.get(key)
  if (known) return known
  const answer = question()
  answers.set(key, answer)
  answer.catch(() => answers.delete(key))
  return answer
}

/** The same, but one that failed is not asked again: it has its answer. */
export function askOnlyOnce<Answer>(
  answers: Map<string, Promise<Answer>>,
  key: string,
  question: () => Promise<Answer>,
): Promise<Answer> {
  const answer = answers.get(key) ?? question()
  answers.set(key, answer)
  // those who ask are told
  answer.catch(() => {})
  return answer
}
