/**
 * Loops whose length is a matter of time: kills, mutilations, generated cases.
 *
 * A counted loop runs whole cases until its share of the stage's budget is spent (`npm test`)
 * or until its goal is met (`npm run long`), and prints the count for the runner to collect.
 * Must never make a case smaller to reach a count.
 */

/** How long a loop runs when a test file is run by hand. */
const BY_HAND_MS = 1_000

/** True under `npm run long`: loops run to their goals. */
export const isLong = process.env.GATEHOUSE_MODE === 'long'

const budgetMs = Number(process.env.GATEHOUSE_BUDGET_MS ?? BY_HAND_MS)

/**
 * Calls `runCase` with 0, 1, 2 … until the budget is spent, at least `least` times and at most
 * `goal` times; in long mode exactly `goal` times. Returns how many cases ran.
 */
export async function untilBudget(
  what: string,
  goal: number,
  runCase: (index: number) => void | Promise<void>,
  least = 1,
): Promise<number> {
  const end = performance.now() + budgetMs
  let count = 0
  while (count < goal && (isLong || count < least || performance.now() < end)) {
    // Not awaiting what is no promise keeps millions of small cases from queueing microtasks.
    const running = runCase(count)
    if (running !== undefined) await running
    count += 1
  }
  reached(what, count)
  return count
}

/** The `numRuns` of a property: 100 cases in the test command, 1,000 in long mode. */
export function propertyRuns(): number {
  return isLong ? 1_000 : 100
}

/** Tells the runner that `count` cases of `what` were run; counts of one name are added up. */
export function reached(what: string, count: number): void {
  process.stdout.write(`# reached ${what}: ${count}\n`)
}
