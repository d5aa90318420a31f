/**
 * Templates that say where a listed key would be read: `{{ .path }}{{ .key }}`.
 *
 * Owns the small part of Go's templates that they need: the two fields, and `replace`, which makes
 * `secret/data/` of `secret/metadata/`. Anything else is refused when the policy is written. Pure.
 */

/** A template, taken apart. */
export type KeyFilter = readonly Piece[]

type Piece = string | { readonly field: 'path' | 'key'; readonly replaced: readonly Swap[] }
type Swap = readonly [string, string]

const ACTION = /\{\{-?\s*\.(path|key)((?:\s*\|\s*replace\s+"[^"{}]*"\s+"[^"{}]*")*)\s*-?\}\}/g
const SWAP = /replace\s+"([^"]*)"\s+"([^"]*)"/g

/** The template of a text, or what is wrong with it. */
export function parseKeyFilter(text: string): KeyFilter | string {
  const pieces: Piece[] = []
  let taken = 0
  for (const match of text.matchAll(ACTION)) {
    const [action, field, pipes = ''] = match
    pieces.push(text.slice(taken, match.index), {
      field: field === 'path' ? 'path' : 'key',
      replaced: [...pipes.matchAll(SWAP)].map(([, from = '', to = '']): Swap => [from, to]),
    })
    taken = match.index + action.length
  }
  pieces.push(text.slice(taken))
  const hasRest = pieces.some(piece => typeof piece === 'string' && /\{\{|\}\}/.test(piece))
  if (hasRest) return 'only .path, .key and replace are served'
  const one = renderKeyFilter(pieces, 'path/', 'one')
  return one === renderKeyFilter(pieces, 'path/', 'two') ? SAME : pieces
}

const SAME = 'resulted in same path for two different keys'

/** The path at which a key of a list would be read; `path` is that of the list, with its slash. */
export function renderKeyFilter(filter: KeyFilter, path: string, key: string): string {
  const texts = filter.map(piece => {
    if (typeof piece === 'string') return piece
    const value = piece.field === 'path' ? path : key
    return piece.replaced.reduce((text, [from, to]) => text.replaceAll(from, () => to), value)
  })
  return texts.join('')
}
