/**
 * Policies and questions that are likely to disagree: few names, which are prefixes of each
 * other, empty, or differ in the last character; every level; the same rule in several policies.
 */
import type { Access } from '../../../src/base/who.ts'
import type { CompileOptions, Source } from '../../../src/identity/rules/mod.ts'
import {
  type Level,
  levels,
  type NamedRule,
  namedKinds,
  type Rule,
  type Rules,
  scalarKinds,
} from '../../../src/identity/rules/rule.ts'
import type { Draw } from '../../fake/random.ts'

/** A set of policies, how it is compiled, and what is asked of it. */
export interface Case {
  readonly sources: readonly Source[]
  readonly options: CompileOptions
  readonly asked: readonly Access[]
}

const MAX_POLICIES = 4
const MAX_RULES = 6
const QUESTIONS = 12
const pieces = ['a', 'b', '/', 'ab', '*', 'é', '😀', '\ufffd', '"', '${']
const withoutList = levels.filter(level => level !== 'list')

/** A case; most are about one or two kinds, so that their rules meet. */
export function drawCase(draw: Draw): Case {
  const kinds = draw.chance(80) ? [draw.pick(namedKinds)] : namedKinds
  const names = Array.from({ length: 1 + draw.below(5) }, () => drawName(draw))
  const sources = Array.from({ length: draw.below(MAX_POLICIES + 1) }, (_, at) => ({
    policyId: `id-${at}`,
    policyName: `policy-${at}`,
    rules: drawRules(draw, kinds, names),
  }))
  const options: CompileOptions = {
    defaultPolicy: draw.chance(50) ? 'allow' : 'deny',
    keyListPolicy: draw.chance(50),
    ...(draw.chance(2) ? { management: true } : {}),
  }
  const asked = Array.from({ length: QUESTIONS }, () => drawAccess(draw, kinds, names))
  return { sources, options, asked }
}

function drawRules(
  draw: Draw,
  kinds: readonly NamedRule['kind'][],
  names: readonly string[],
): Rules {
  return Array.from({ length: draw.below(MAX_RULES + 1) }, (_, line) => {
    return drawRule(draw, kinds, names, line + 1)
  })
}

function drawRule(
  draw: Draw,
  kinds: readonly NamedRule['kind'][],
  names: readonly string[],
  line: number,
): Rule {
  if (draw.chance(15)) {
    return { form: 'scalar', kind: draw.pick(scalarKinds), level: draw.pick(withoutList), line }
  }
  const kind = draw.pick(kinds)
  const hasIntentions = kind === 'service' || kind === 'identity'
  return {
    form: draw.chance(50) ? 'exact' : 'prefix',
    kind,
    name: drawNear(draw, names),
    level: draw.pick(kind === 'key' ? levels : withoutList),
    intentions: hasIntentions && draw.chance(40) ? draw.pick<Level>(withoutList) : undefined,
    line,
  }
}

function drawAccess(
  draw: Draw,
  kinds: readonly NamedRule['kind'][],
  names: readonly string[],
): Access {
  const kind = draw.pick(kinds)
  const related = { key: ['key', 'key_prefix'], service: ['service', 'intention'] }
  const resources = Object.hasOwn(related, kind) ? related[kind as 'key' | 'service'] : [kind]
  const resource = draw.chance(12) ? draw.pick(scalarKinds) : draw.pick(resources)
  const capability = draw.pick(['read', 'list', 'write'] as const)
  const asked = { capability, resource: resource as Access['resource'] }
  if (resource !== 'key_prefix' && draw.chance(20)) {
    return { ...asked, name: '', extent: draw.pick(['any', 'all'] as const) }
  }
  const isNamed = resource !== 'intention' || draw.chance(80)
  return { ...asked, name: isNamed ? drawNear(draw, names) : '*' }
}

/** One of the names, or one that is a little more or less. */
function drawNear(draw: Draw, names: readonly string[]): string {
  const name = draw.pick(names)
  if (draw.chance(60)) return name
  if (draw.chance(50)) return name + draw.pick(pieces)
  return [...name].slice(0, -1).join('')
}

function drawName(draw: Draw): string {
  return Array.from({ length: draw.below(4) }, () => draw.pick(pieces)).join('')
}
