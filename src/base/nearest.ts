/**
 * The known name that is nearest to one that nobody knows: for "did you mean".
 *
 * Owns how near two names are (letters that differ, left out, added or swapped). Pure; its cost
 * is bounded, as names longer than any of ours are near to none.
 */

/** The candidate nearest to `name`, or undefined when none is near enough to be meant. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > LONGEST_CHARS) return undefined
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / CHARS_PER_MISTAKE)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue
    const distance = distanceOf(plain(name), plain(candidate))
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

const LONGEST_CHARS = 128
/** One mistake in so many letters still leaves a name recognisable. */
const CHARS_PER_MISTAKE = 3

const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '')

/** The number of letters to change, add, remove or swap with their neighbour. */
function distanceOf(one: string, other: string): number {
  const width = other.length + 1
  let before: number[] = []
  let above = Array.from({ length: width }, (_, at) => at)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j < width; j++) {
      const isSame = one[i - 1] === other[j - 1]
      let least = Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + (isSame ? 0 : 1))
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (isSwap) least = Math.min(least, before[j - 2]! + 1)
      row.push(least)
    }
    before = above
    above = row
  }
  return above[width - 1]!
}
