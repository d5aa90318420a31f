/**
 * The layout of an HCL text: what `policy fmt` makes of a policy.
 *
 * Owns white space alone. Words, comments, their order and their lines stay; two spaces indent,
 * one stands around what belongs together, and the equal signs of neighbouring lines stand below
 * each other. Pure.
 */

/** A word, sign, text or comment; `isOpaque` spans lines and stays as it is. */
interface Piece {
  readonly text: string
  readonly isComment: boolean
  readonly isOpaque: boolean
}

const PIECE = new RegExp(
  [
    String.raw`(?<comment>#[^\n]*|//[^\n]*|/\*[\s\S]*?\*/)`,
    String.raw`(?<heredoc><<-?(?<end>\w+)\r?\n[\s\S]*?\n[ \t]*\k<end>(?=\r?\n|$))`,
    String.raw`(?<text>"(?:\\.|\$\{[^}]*\}|[^"\\])*")`,
    String.raw`(?<newline>\r?\n)`,
    String.raw`(?<sign>[{}[\],=])`,
    String.raw`(?<word>[^\s{}[\],="#]+)`,
  ].join('|'),
  'gy',
)
const SPACE = /[ \t\ufeff]+/y

/** The text in the layout; it must be HCL, as a parser has found. */
export function laidOut(text: string): string {
  const lines = alignedLines(indented(linesOf(text)))
  const kept = lines.filter((line, at) => line !== '' || (at > 0 && lines[at - 1] !== ''))
  return `${kept.join('\n').trim()}\n`
}

/** The pieces of each line. */
function linesOf(text: string): Piece[][] {
  const lines: Piece[][] = [[]]
  for (let at = 0; at < text.length; ) {
    SPACE.lastIndex = at
    if (SPACE.test(text)) at = SPACE.lastIndex
    if (at >= text.length) break
    PIECE.lastIndex = at
    const match = PIECE.exec(text)
    if (match === null) throw new Error('the text is not HCL')
    at = PIECE.lastIndex
    const groups = match.groups ?? {}
    if (groups.newline !== undefined) lines.push([])
    else {
      const isComment = groups.comment !== undefined
      const isOpaque = groups.heredoc !== undefined || match[0].includes('\n')
      const piece = { text: match[0].trimEnd(), isComment, isOpaque }
      lines.at(-1)?.push(piece)
    }
  }
  return lines
}

/** A line with its depth; `=` of an assignment stands at `equalsAt` of its pieces. */
interface Line {
  readonly depth: number
  readonly pieces: readonly Piece[]
  readonly equalsAt: number | undefined
}

function indented(lines: readonly (readonly Piece[])[]): Line[] {
  let depth = 0
  return lines.map(pieces => {
    const steps = pieces.map(stepOf)
    const closing = pieces.findIndex((_, at) => steps[at] !== -1)
    const leading = closing === -1 ? pieces.length : closing
    const own = Math.max(0, depth - leading)
    depth = Math.max(0, depth + steps.reduce((sum, step) => sum + step, 0))
    const at = pieces.findIndex(piece => piece.text === '=' && !piece.isComment)
    const isWhole = steps.reduce((sum, step) => sum + step, 0) === 0
    const isAssignment = at === 1 && isWhole && !pieces.some(piece => piece.isOpaque)
    return { depth: own, pieces, equalsAt: isAssignment ? at : undefined }
  })
}

const stepOf = ({ text, isComment }: Piece): number =>
  isComment ? 0 : text === '{' || text === '[' ? 1 : text === '}' || text === ']' ? -1 : 0

function alignedLines(lines: readonly Line[]): string[] {
  const widths = lines.map(({ pieces, equalsAt }) =>
    equalsAt === undefined ? 0 : (pieces[0]?.text.length ?? 0),
  )
  return lines.map((line, at) => {
    if (line.pieces.length === 0) return ''
    const pad = line.equalsAt === undefined ? 0 : widest(lines, widths, at)
    return '  '.repeat(line.depth) + spaced(line.pieces, pad)
  })
}

/** The widest key of the assignments that stand line by line around this one. */
function widest(lines: readonly Line[], widths: readonly number[], at: number): number {
  const { depth } = lines[at] as Line
  let width = 0
  for (const step of [-1, 1]) {
    for (let i = at; lines[i]?.equalsAt !== undefined && lines[i]?.depth === depth; i += step) {
      width = Math.max(width, widths[i] ?? 0)
    }
  }
  return width
}

function spaced(pieces: readonly Piece[], keyChars: number): string {
  let text = ''
  for (const [at, piece] of pieces.entries()) {
    const before = pieces[at - 1]?.text
    const isTight =
      before === undefined || before === '[' || piece.text === ']' || piece.text === ','
    text += `${isTight ? '' : ' '}${piece.text}`
    if (at === 0) text = text.padEnd(keyChars)
  }
  return text
}
