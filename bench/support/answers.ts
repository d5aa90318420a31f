/**
 * The child's end of a bench's questions: what `Child.ask` sends, answered by name.
 *
 * Owns the message format together with child.ts.
 */

type Answers = Readonly<Record<string, (detail: never) => unknown>>

/** Answers the parent's questions; holds the process open while the parent is there. */
export function answerParent(answers: Answers): void {
  process.on('message', async (message: { id: number; question: string; detail: never }) => {
    const { id, question, detail } = message
    const answer = answers[question]
    if (answer === undefined) return
    try {
      process.send?.({ id, answer: await answer(detail) })
    } catch (error) {
      process.send?.({ id, failure: String(error) })
    }
  })
}
