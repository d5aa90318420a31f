/**
 * Paths that depend on who asks: `{{identity.entity.name}}` and its like.
 *
 * Owns which words stand for what of an entity and its groups, and that a value can never widen a
 * path: what holds a wildcard, a slash or a control character, or would be a relative segment, has
 * its block dropped, as has what stands for nothing. An alias is meant by the accessor of its mount
 * and by nothing else. Pure. Follows concepts/policies ("templated policies") of Vault's docs.
 */
import { limits } from '../../base/limits.ts'

type Texts = Readonly<Record<string, string>>

export interface PolicyAlias {
  readonly id: string
  readonly name: string
  readonly mountAccessor: string
  readonly metadata: Texts
  readonly customMetadata: Texts
}

export interface PolicyGroup {
  readonly id: string
  readonly name: string
  /** The path of its namespace. */
  readonly namespace: string
  readonly metadata: Texts
}

/** Who asks, as far as policies may say it. */
export interface PolicyIdentity {
  readonly id: string
  readonly name: string
  readonly metadata: Texts
  readonly aliases: readonly PolicyAlias[]
  /** Those that it is in, also by others. */
  readonly groups: readonly PolicyGroup[]
}

export const TEMPLATE_PROBLEM =
  'failed to validate policy templating: unbalanced templating characters'

/** Whether a path holds templates; undefined where their braces are not in order. */
export function isTemplate(path: string): boolean | undefined {
  const [first, ...pieces] = path.split('{{')
  const isBalanced = !first!.includes('}}') && pieces.every(one => one.split('}}').length === 2)
  return isBalanced ? pieces.length > 0 : undefined
}

/** The selectors of a path's templates, for whoever looks whether they can stand for anything. */
export function selectorsOf(path: string): readonly string[] {
  const pieces = path.split('{{').slice(1)
  return pieces.map(one => one.split('}}')[0]!.trim())
}

/**
 * The path with values for its templates; undefined where one has none, or none that is fit.
 * `namespace` is that of the policy: groups are meant by name in it alone.
 */
export function fillPath(
  path: string,
  identity: PolicyIdentity | undefined,
  namespace: string,
): string | undefined {
  if (identity === undefined) return undefined
  const [first, ...pieces] = path.split('{{')
  let filled = first!
  for (const piece of pieces) {
    const [selector = '', rest = ''] = piece.split('}}')
    const value = valueFor(selector.trim(), identity, namespace)
    if (value === undefined || !isFit(value)) return undefined
    filled += value + rest
    if (filled.length > limits.policyPathChars) return undefined
  }
  return filled
}

/** What a selector stands for, for who writes no path of it; groups by name are the root's. */
export const textFor = (selector: string, identity: PolicyIdentity): string | undefined =>
  valueFor(selector, identity, '')

/** Whether a value stands for itself alone wherever it is put. */
function isFit(value: string): boolean {
  return value !== '' && !UNFIT.test(value)
}

const UNFIT = /[*+/\p{Cc}\p{Cs}]|^\.{1,2}$/u

/** Whether a selector has a form that can stand for something. */
export function isSelector(selector: string): boolean {
  return ENTITY.test(selector) || GROUP.test(selector)
}

const ENTITY = new RegExp(
  [
    String.raw`^identity\.entity\.(?:(id|name)|metadata\.(.+)|`,
    String.raw`aliases\.([^.]+)\.(?:(id|name)|metadata\.(.+)|custom_metadata\.(.+)))$`,
  ].join(''),
  's',
)
const GROUP = /^identity\.groups\.(ids|names)\.([^.]+)\.(?:(id|name)|metadata\.(.+))$/s

function valueFor(
  selector: string,
  identity: PolicyIdentity,
  namespace: string,
): string | undefined {
  const entity = ENTITY.exec(selector)
  if (entity !== null) return ofEntity(entity, identity)
  const group = GROUP.exec(selector)
  return group === null ? undefined : ofGroup(group, identity, namespace)
}

function ofEntity(match: RegExpExecArray, identity: PolicyIdentity): string | undefined {
  const [, own, key, accessor, ofAlias, aliasKey, customKey] = match
  if (own === 'id' || own === 'name') return identity[own]
  if (key !== undefined) return ownText(identity.metadata, key)
  const aliases = identity.aliases.filter(one => one.mountAccessor === accessor)
  const [alias] = aliases
  // Which of two is meant cannot be said.
  if (alias === undefined || aliases.length > 1) return undefined
  if (ofAlias === 'id' || ofAlias === 'name') return alias[ofAlias]
  return aliasKey === undefined
    ? ownText(alias.customMetadata, customKey ?? '')
    : ownText(alias.metadata, aliasKey)
}

function ofGroup(
  match: RegExpExecArray,
  { groups }: PolicyIdentity,
  namespace: string,
): string | undefined {
  const [, by, wanted, own, key] = match
  const group = groups.find(one => {
    return by === 'ids' ? one.id === wanted : one.name === wanted && one.namespace === namespace
  })
  if (group === undefined) return undefined
  return own === 'id' || own === 'name' ? group[own] : ownText(group.metadata, key ?? '')
}

const ownText = (texts: Texts, key: string): string | undefined =>
  Object.hasOwn(texts, key) ? texts[key] : undefined
