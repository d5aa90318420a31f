/**
 * The outer form of a signed JSON web token (RFC 7515, compact; RFC 7519), read strictly.
 *
 * Owns what is refused before any key is looked at: tokens that are too large, that say things
 * twice, that ask for extensions, or whose key they bring themselves (such headers are not read at
 * all). Nothing here is proved yet: a signature is verify.run.ts's. Texts never quote the token.
 */
import { limits } from '../../base/limits.ts'

/** A token that is well formed; whether it is genuine is not known. */
export interface ReadToken {
  readonly algorithm: string
  /** The name of the key, as the token gives it. */
  readonly keyId: string | undefined
  readonly claims: Claims
}

export type Claims = Readonly<Record<string, unknown>>

/** Reads a token; gives what is wrong with it where it is none. */
export function readToken(token: string): ReadToken | string {
  if (token === '') return 'missing jwt'
  if (token.length > limits.jwtSizeBytes) return tooLarge
  const parts = token.split('.')
  if (parts.length !== 3) return 'error parsing token: compact JWS format must have three parts'
  const [header, claims, signature] = parts.map(bytesOf)
  if (header === undefined || claims === undefined || signature === undefined) {
    return 'error parsing token: a part is not base64url'
  }
  const said = objectOf(header)
  if (typeof said === 'string') return `error parsing token: header: ${said}`
  const problem = headerProblem(said)
  if (problem !== undefined) return `error parsing token: ${problem}`
  const given = objectOf(claims)
  if (typeof given === 'string') return `error parsing token: claims: ${given}`
  return {
    algorithm: said.alg as string,
    keyId: Object.hasOwn(said, 'kid') ? (said.kid as string) : undefined,
    claims: given,
  }
}

const tooLarge = `error parsing token: it is larger than ${limits.jwtSizeBytes} bytes`

/** A part as bytes: base64url in its one spelling, without padding, and not empty. */
function bytesOf(part: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return undefined
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

/** The JSON object that bytes say; what is wrong with them where they say none. */
function objectOf(bytes: Buffer): Claims | string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return 'not UTF-8'
  }
  const shape = shapeProblem(text)
  if (shape !== undefined) return shape
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Claims) : 'not a JSON object'
  } catch {
    return 'not JSON'
  }
}

function headerProblem(header: Claims): string | undefined {
  const has = (name: string): boolean => Object.hasOwn(header, name)
  if (!has('alg') || typeof header.alg !== 'string') return 'no algorithm is named'
  if (has('crit')) return 'critical extensions are not supported'
  if (has('b64') || has('zip')) return 'an unsupported extension is in use'
  if (has('cty') && String(header.cty).toLowerCase().includes('jwt')) {
    return 'nested tokens are not supported'
  }
  const { kid } = header
  const isName = typeof kid === 'string' && kid !== '' && kid.length <= limits.jwtKeyIdChars
  return has('kid') && !isName ? 'the key id is no name' : undefined
}

/**
 * Where the text of a JSON value would mean different things to different readers (one name twice
 * in an object), or is nested too deeply. It need not be right JSON: that is the parser's to say.
 */
function shapeProblem(text: string): string | undefined {
  /** The names of each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = []
  let isName = false
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/gs)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined)
      if (open.length > limits.jsonDepth) return 'nested too deeply'
      isName = token === '{'
    } else if (token === '}' || token === ']') {
      open.pop()
      isName = false
    } else if (token === ',') isName = open.at(-1) !== undefined
    else if (token === ':') isName = false
    else if (isName) {
      const names = open.at(-1)
      const name = nameOf(token)
      if (names?.has(name) === true) return 'a name stands in an object twice'
      names?.add(name)
    }
  }
  return undefined
}

/** What a string says; the text itself where it is no right one, which the parser then says. */
function nameOf(token: string): string {
  try {
    return String(JSON.parse(token))
  } catch {
    return token
  }
}
