/**
 * What is odd about a policy, though it is taken.
 *
 * Owns the findings: what can never match, what gives nothing, what does not do what it looks like.
 * Must never find fault with what is merely unusual; a finding says what happens, not what is good
 * style.
 */
import { goQuote } from '../../base/go-quote.ts'
import { limits } from '../../base/limits.ts'
import { type Block, bits, PolicyProblem } from './document.ts'
import { parsePolicy } from './parse.ts'
import { patternOf } from './pattern.ts'
import { isSelector, selectorsOf } from './template.ts'

export interface PolicyFinding {
  /** From 1. */
  readonly line: number
  /** `error`: the text is refused. `warning`: it is taken, and does not do what it looks like. */
  readonly severity: 'error' | 'warning'
  readonly text: string
}

/** A mount of the policy's namespace. */
export interface LintedMount {
  /** `secret/`, `auth/userpass/` */
  readonly path: string
  readonly type: string
  /** Of kv: 1 or 2. */
  readonly version?: number | undefined
}

/** What is wrong or odd about a text, in the order of its lines; of very much, some. */
export function lintPolicy(
  text: string,
  mounts: readonly LintedMount[],
  nowMs: number,
): readonly PolicyFinding[] {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) {
    return [{ line: document.line, severity: 'error', text: document.text }]
  }
  const { blocks } = document
  if (blocks.length === 0) return [warning(1, 'there is no path: the policy gives nothing')]
  const firsts = new Map<string, Block>()
  const findings = blocks.flatMap(block => {
    const first = firsts.get(block.path)
    if (first === undefined) firsts.set(block.path, block)
    const texts = [
      ...aboutRepeated(block, first),
      ...aboutPath(block),
      ...aboutGifts(block, nowMs),
      ...aboutMount(block, mounts),
    ]
    return texts.map(one => warning(block.line, one))
  })
  return findings.sort((a, b) => a.line - b.line).slice(0, limits.aclFindings)
}

const warning = (line: number, text: string): PolicyFinding => ({ line, severity: 'warning', text })

function aboutRepeated(block: Block, first: Block | undefined): string[] {
  if (first === undefined) return []
  const effect = (block.set | first.set) & bits.deny ? 'a deny outweighs the rest' : 'they add up'
  return [`line ${first.line} has a block for the same path: ${effect}`]
}

function aboutPath({ path, set }: Block): string[] {
  const found: string[] = []
  const { stem, segments } = patternOf(path)
  if (/^v1\//.test(path)) {
    found.push('never matches: paths of policies begin after /v1/')
  }
  if (stem.includes('*')) {
    found.push('"*" stands for itself unless it is the last character')
  }
  if (segments.some(one => one !== '+' && one.includes('+'))) {
    found.push('"+" stands for itself unless it is a whole segment')
  }
  const isFolder = path.endsWith('/')
  if (isFolder && set !== 0 && (set & (bits.list | bits.scan | bits.deny)) === 0) {
    found.push(
      `only lists have a path that ends in a slash; ${goQuote(`${path}*`)} covers what is below`,
    )
  }
  const unknown = selectorsOf(path).find(selector => !isSelector(selector))
  if (unknown !== undefined) {
    found.push(`{{${unknown}}} never stands for anything, so the block never holds`)
  }
  return found
}

function aboutGifts(
  { set, allowed, denied, mfaMethods, expiresAtMs }: Block,
  nowMs: number,
): string[] {
  const found: string[] = []
  if (set === 0) found.push('gives nothing: it has no capabilities')
  if (set === bits.sudo) {
    found.push('sudo alone gives nothing: it is asked for beside the capability of the operation')
  }
  if (mfaMethods.length > 0) found.push('mfa_methods has no effect')
  if (expiresAtMs !== undefined && expiresAtMs < nowMs) {
    found.push('has expired, and has no effect')
  }
  for (const [name, values] of [...allowed, ...denied]) {
    if (values.includes('*')) {
      found.push(`"*" as a value of ${goQuote(name)} stands for itself; [] is any value`)
    }
  }
  return found
}

/** What stands behind the name of a kv mount of version 2. */
const areas = [
  'data',
  'metadata',
  'delete',
  'undelete',
  'destroy',
  'subkeys',
  'config',
  'detailed-metadata',
]

function aboutMount(
  { path, set, required, allowed, denied }: Block,
  mounts: readonly LintedMount[],
): string[] {
  if (mounts.length === 0) return []
  const { stem, isOpen } = patternOf(path)
  // What begins with a wildcard or a template is for mounts that are not known here.
  if (/^[+{]/.test(path)) return []
  const literal = stem.split(/(?<=^|\/)\+(?=\/|$)|\{\{/)[0]!
  const mount = mounts
    .filter(one => literal.startsWith(one.path) || `${literal}/` === one.path)
    .sort((a, b) => b.path.length - a.path.length)[0]
  if (mount === undefined) {
    const isOfMore = mounts.some(one => one.path.startsWith(literal))
    const isOpenEnd = literal !== stem || isOpen
    return isOpenEnd && isOfMore ? [] : ['nothing is mounted where it begins']
  }
  if (mount.type !== 'kv' || mount.version !== 2) return []
  const rest = path.slice(mount.path.length)
  const [area = '', below] = rest.split('/', 2)
  if (rest === '' || area === '*' || area === '+' || area.includes('{{')) return []
  if (below === undefined && area.endsWith('*')) {
    if (areas.some(one => one.startsWith(area.slice(0, -1)))) return []
  }
  if (!areas.includes(area)) {
    const meant = goQuote(`${mount.path}data/${rest}`)
    const keys = goQuote(`${mount.path}metadata/${rest}`)
    return [
      `${goQuote(mount.path)} is kv version 2: secrets are at ${meant}, their names at ${keys}`,
    ]
  }
  const found: string[] = []
  if (area === 'data' && (set & (bits.list | bits.scan)) !== 0) {
    const keys = goQuote(`${mount.path}metadata${rest.slice(area.length)}`)
    found.push(`kv version 2 lists names at ${keys}, not here`)
  }
  if (area === 'data' && required.length + allowed.size + denied.size > 0) {
    found.push('kv version 2 has what is written within "data": parameters are not about it')
  }
  return found
}
