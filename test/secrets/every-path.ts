/** Every declared path of every engine, where the engines of a server are mounted in tests. */
import type { PathSpec } from '../../src/secrets/declare.ts'
import { enginesOn } from '../../src/secrets/engine/mod.ts'
import { testPorts } from './ports.ts'

export interface DeclaredAt {
  /** As a request asks for it: each open part is `a`. */
  readonly path: string
  readonly pattern: string
  readonly spec: PathSpec
}

/** Where each engine is, by its type; a type that is in no list is an error. */
const PLACES: readonly (readonly [type: string, place: string, version?: string])[] = [
  ...([
    ['system', 'sys/'],
    ['token', 'auth/token/'],
    ['cubbyhole', 'cubbyhole/'],
  ] as const),
  ...([
    ['identity', 'identity/'],
    ['approle', 'auth/approle/'],
  ] as const),
  ...([
    ['userpass', 'auth/userpass/'],
    ['transit', 'transit/'],
    ['pki', 'pki/'],
    ['kv', 'plain/', '1'],
    ['kv', 'secret/', '2'],
  ] as const),
]

/** The verbs of what a path can do. */
export const VERBS = {
  ...{ read: 'GET', update: 'POST', patch: 'PATCH', delete: 'DELETE', list: 'LIST', scan: 'SCAN' },
} as const

export function everyPath(): DeclaredAt[] {
  return enginesOn(testPorts()).flatMap(engine => {
    const places = PLACES.filter(([type]) => type === engine.type)
    if (places.length === 0) throw new Error(`nobody says where ${engine.type} is mounted`)
    return places.flatMap(([type, place, version = '']) => {
      const mount = { type, kind: engine.kind, options: { version }, path: place }
      return engine.paths(mount as unknown as Parameters<typeof engine.paths>[0]).map(spec => ({
        path: place + spec.pattern.replaceAll(/\{[\w*]+\}/g, 'a'),
        pattern: place + spec.pattern,
        spec,
      }))
    })
  })
}
