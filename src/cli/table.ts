/**
 * Columns of text, aligned as Consul's command line aligns them.
 *
 * Owns the widths: by character, the last column never padded.
 */

/** Rows with their cells in columns, `gap` spaces apart; a line each, without a last line end. */
export function columns(rows: readonly (readonly string[])[], gap = 2): string {
  const widths: number[] = []
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, charsOf(cell))
    })
  }
  return rows
    .map(row =>
      row
        .map((cell, i) => {
          const isLast = i === row.length - 1
          return isLast ? cell : cell + ' '.repeat((widths[i] ?? 0) - charsOf(cell) + gap)
        })
        .join(''),
    )
    .join('\n')
}

/** `key=value` pairs by key, as the detailed listings show maps. */
export function pairs(map: Readonly<Record<string, string>>, joiner: string): string {
  return Object.keys(map)
    .sort()
    .map(key => `${key}=${map[key]}`)
    .join(joiner)
}

const charsOf = (text: string): number => [...text].length
