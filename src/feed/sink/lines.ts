/**
 * What differs between two texts, in lines for people.
 *
 * Owns the form (`- ` and `+ ` before a line) and its bounds: a long difference is cut and says so.
 * Common lines at both ends are left out, and so are those that stand in order in the middle.
 */
import { limits } from '../../base/limits.ts'

/** The lines that one text has and the other has not; none where both are equal. */
export function lineChanges(before: string, after: string): string[] {
  if (before === after) return []
  const [was, is] = [linesOf(before), linesOf(after)]
  let start = 0
  while (start < was.length && start < is.length && was[start] === is[start]) start++
  let end = 0
  const most = Math.min(was.length, is.length) - start
  while (end < most && was[was.length - 1 - end] === is[is.length - 1 - end]) end++
  const changes = middle(was.slice(start, was.length - end), is.slice(start, is.length - end))
  return bounded(changes.length === 0 ? ['~ the end of the last line'] : changes)
}

/** No more lines, and no longer ones, than people read. */
export function bounded(lines: readonly string[]): string[] {
  const kept = lines.slice(0, limits.sinkPlanLines).map(line => {
    return line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)}…` : line
  })
  const rest = lines.length - kept.length
  return rest === 0 ? kept : [...kept, `… and ${rest} more`]
}

const LINE_CHARS = 400

/** Comparing each with each is for what is small. */
const TABLE_CELLS = 250_000

function middle(was: readonly string[], is: readonly string[]): string[] {
  if (was.length * is.length > TABLE_CELLS) {
    return [...was.map(line => `- ${line}`), ...is.map(line => `+ ${line}`)]
  }
  // Longest common subsequence, from the end.
  const width = is.length + 1
  const table = new Uint32Array((was.length + 1) * width)
  for (let i = was.length - 1; i >= 0; i--) {
    for (let j = is.length - 1; j >= 0; j--) {
      const at = i * width + j
      table[at] =
        was[i] === is[j] ? table[at + width + 1]! + 1 : Math.max(table[at + width]!, table[at + 1]!)
    }
  }
  const changes: string[] = []
  let [i, j] = [0, 0]
  while (i < was.length || j < is.length) {
    const at = i * width + j
    if (i < was.length && j < is.length && was[i] === is[j]) {
      i++
      j++
    } else if (j >= is.length || (i < was.length && table[at + width]! >= table[at + 1]!)) {
      changes.push(`- ${was[i++]}`)
    } else {
      changes.push(`+ ${is[j++]}`)
    }
  }
  return changes
}

const linesOf = (text: string): string[] => {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
