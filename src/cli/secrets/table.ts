/**
 * Tables of the verbs of secrets: a head, dashes below it, then the rows.
 *
 * Owns Vault's layout: four spaces between columns, `n/a` for an empty cell. Pure.
 */
import { columns } from '../table.ts'

const GAP = 4

/** Rows below their head. */
export function headedTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const dashes = head.map(name => '-'.repeat(name.length))
  return bareTable([head, dashes, ...rows])
}

/** Rows without a head. */
export function bareTable(rows: readonly (readonly string[])[]): string {
  return columns(
    rows.map(row => row.map(cell => cell.trim() || 'n/a')),
    GAP,
  )
}

const WIDTH_CHARS = 78

/** A text for people, in lines of at most 78 characters; its own line ends stay. */
export function wrapped(text: string, indent = 0): string {
  const pad = ' '.repeat(indent)
  return text
    .split('\n')
    .flatMap(line => {
      const lines: string[] = []
      for (const word of line.split(' ')) {
        const last = lines.at(-1)
        const isFull = last === undefined || last.length + 1 + word.length > WIDTH_CHARS - indent
        if (isFull) lines.push(word)
        else lines[lines.length - 1] = `${last} ${word}`
      }
      return lines
    })
    .map(line => (line === '' ? '' : pad + line))
    .join('\n')
}

/** A title between equal signs, about as wide as what stands below it. */
export function titleOf(title: string, widthChars: number): string {
  const missing = widthChars - (title.length + 2)
  const SIDE_MIN = 2
  const side = '='.repeat(missing <= 0 ? SIDE_MIN : Math.ceil(missing / 2))
  return `${side} ${title} ${side}`
}

/** The same above a table of a map: as wide as its longest key and the word Value. */
export function titleOfMap(title: string, keys: readonly string[]): string {
  const longest = Math.max(0, ...keys.map(key => key.length))
  return titleOf(title, longest + GAP + 'Value'.length)
}
