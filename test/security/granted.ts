/**
 * Generated principals and states for the tests of rights: few names, which are prefixes of each
 * other, so that rules, keys, nodes and services meet.
 */
import { publicIndex, revision } from '../../src/base/brand.ts'
import type { Access, Who } from '../../src/base/who.ts'
import { compile, type Rules } from '../../src/identity/rules/mod.ts'
import { type Op, put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import type { Version } from '../../src/store/view.ts'
import type { Draw } from '../fake/random.ts'
import { putCheck, putNode, putService, putSession, viewOf } from '../registry/rules.ts'

export const KEYS = ['a', 'a/1', 'a/1/x', 'a/2', 'ab', 'b'] as const
export const NODES = ['n', 'nn', 'm'] as const
export const SERVICES = ['web', 'web2', 'db'] as const
export const SESSIONS = ['s', 'o'] as const

const NAMES = {
  key: ['', 'a', 'a/', 'a/1', 'a/2', 'ab', 'b'],
  node: ['', ...NODES],
  service: ['', 'w', ...SERVICES],
  session: ['', ...NODES],
} as const
const kinds = Object.keys(NAMES) as (keyof typeof NAMES)[]
const MAX_RULES = 8

/** Somebody with generated rights, and the rules that they come from. */
export interface Granted extends Who {
  readonly rules: Rules
}

/** Draws somebody's rights. */
export function drawGranted(draw: Draw): Granted {
  const rules: Rules = Array.from({ length: draw.below(MAX_RULES + 1) }, (_, at) => {
    const kind = draw.pick(kinds)
    const levels = ['deny', 'read', 'write'] as const
    return {
      ...{ kind, name: draw.pick(NAMES[kind]), level: draw.pick(levels), line: at + 1 },
      form: draw.chance(40) ? 'exact' : 'prefix',
      intentions: undefined,
    }
  })
  const authorizer = compile([{ policyId: 'p', policyName: 'p', rules }], {
    defaultPolicy: draw.chance(50) ? 'allow' : 'deny',
    keyListPolicy: draw.chance(50),
  })
  const may = (wanted: Access): boolean => authorizer.may(wanted)
  return { accessor: 'drawn', rights: authorizer.fingerprint, may, rules }
}

const entry = (key: string): Op =>
  put(kv, key, { value: Buffer.from('x'), flags: 0n, session: '', lockIndex: 0 })

/** Draws what is stored. */
export function drawState(draw: Draw): Version {
  const on = NODES.filter(() => draw.chance(70))
  return viewOf(
    ...KEYS.filter(() => draw.chance(60)).map(entry),
    ...on.map(node => putNode(node)),
    ...on.flatMap(node =>
      SERVICES.filter(() => draw.chance(40)).flatMap(name => [
        putService(node, name),
        putCheck(node, `c-${name}`, { serviceId: name, serviceName: name }),
      ]),
    ),
    ...on.filter(() => draw.chance(50)).map(node => putCheck(node, 'c')),
    ...on.slice(0, SESSIONS.length).map((node, at) => putSession(SESSIONS[at]!, node)),
  )
}

/** Where a transaction on a view would be committed. */
export const committedOn = (view: Version) => ({
  revision: revision(view.revision + 1),
  index: publicIndex(view.revision + 1),
})
