/**
 * A state as programs and templates read it: one plain form for JSON, exec, webhook and templates.
 *
 * Owns the names of its fields, and what changed between two states. It holds the instances that
 * may be used and no others. Pure.
 */
import { type Instance, isUsable, type KvItem, type SinkState, type UsableStatus } from './state.ts'

/** An instance. */
export interface InstanceDocument {
  readonly ID: string
  readonly Name: string
  readonly Node: string
  readonly Address: string
  readonly Port: number
  readonly Status: string
  readonly Weight: number
  readonly Tags: readonly string[]
  readonly Meta: Readonly<Record<string, string>>
}

/** A key: `Name` is what stands behind the prefix; `Value` is text as far as it is text. */
export interface KeyDocument {
  readonly Key: string
  readonly Name: string
  readonly Value: string
  readonly ValueBase64: string
  readonly Flags: string
}

/** A state. */
export interface StateDocument {
  readonly Services: readonly { readonly Name: string; readonly Instances: InstanceDocument[] }[]
  readonly KV: readonly { readonly Prefix: string; readonly Entries: KeyDocument[] }[]
}

/** What became different; services and prefixes in which nothing did are left out. */
export interface ChangesDocument {
  readonly Services: readonly {
    readonly Name: string
    readonly Added: readonly InstanceDocument[]
    readonly Changed: readonly InstanceDocument[]
    readonly Removed: readonly InstanceDocument[]
  }[]
  readonly KV: readonly {
    readonly Prefix: string
    readonly Put: readonly KeyDocument[]
    readonly Deleted: readonly string[]
  }[]
}

/** The state as a document. */
export function documentOf({ services, kv }: SinkState, least: UsableStatus): StateDocument {
  return {
    Services: [...services].map(([Name, list]) => {
      const usable = list.filter(one => isUsable(one, least))
      return { Name, Instances: usable.map(instanceDocument) }
    }),
    KV: [...kv].map(([Prefix, list]) => {
      return { Prefix, Entries: list.map(one => keyDocument(Prefix, one)) }
    }),
  }
}

/** What changed since; all of it is new where nothing was before. */
export function changesBetween(before: StateDocument | undefined, now: StateDocument) {
  const changes: ChangesDocument = {
    Services: paired(before?.Services ?? [], now.Services, one => one.Name).flatMap(
      ([Name, was, is]) => {
        const key = ({ Node, ID }: InstanceDocument): string => JSON.stringify([Node, ID])
        const found = changed(was?.Instances ?? [], is?.Instances ?? [], key)
        return isNothing(found) ? [] : [{ Name, ...found }]
      },
    ),
    KV: paired(before?.KV ?? [], now.KV, one => one.Prefix).flatMap(([Prefix, was, is]) => {
      const found = changed(was?.Entries ?? [], is?.Entries ?? [], one => one.Key)
      if (isNothing(found)) return []
      const { Added, Changed, Removed } = found
      return [{ Prefix, Put: [...Added, ...Changed], Deleted: Removed.map(({ Key }) => Key) }]
    }),
  }
  return changes
}

/** The changes as lines for people. */
export function changeLines({ Services, KV }: ChangesDocument): string[] {
  const place = ({ Node, ID, Address, Port }: InstanceDocument): string =>
    `${JSON.stringify(ID)} on ${JSON.stringify(Node)} (${JSON.stringify(`${Address}:${Port}`)})`
  return [
    ...Services.flatMap(({ Name, Added, Changed, Removed }) => [
      ...Added.map(one => `+ ${JSON.stringify(Name)} ${place(one)}`),
      ...Changed.map(one => `~ ${JSON.stringify(Name)} ${place(one)}`),
      ...Removed.map(one => `- ${JSON.stringify(Name)} ${place(one)}`),
    ]),
    ...KV.flatMap(({ Put, Deleted }) => [
      ...Put.map(({ Key }) => `+ key ${JSON.stringify(Key)}`),
      ...Deleted.map(key => `- key ${JSON.stringify(key)}`),
    ]),
  ]
}

/** What is in a state, in one line: `web 2 of 3, api 0; 12 keys`. */
export function summaryOf({ services, kv }: SinkState, least: UsableStatus): string {
  const parts = [...services].map(([name, list]) => {
    const usable = list.filter(one => isUsable(one, least)).length
    const shown = JSON.stringify(name)
    return usable === list.length ? `${shown} ${usable}` : `${shown} ${usable} of ${list.length}`
  })
  const keys = [...kv].reduce((sum, [, list]) => sum + list.length, 0)
  return [parts.join(', '), kv.size === 0 ? '' : `${keys} keys`].filter(Boolean).join('; ')
}

const instanceDocument = (one: Instance): InstanceDocument => ({
  ID: one.id,
  Name: one.name,
  Node: one.node,
  Address: one.address,
  Port: one.port,
  Status: one.status,
  Weight: one.weight,
  Tags: one.tags,
  Meta: one.meta,
})

const keyDocument = (prefix: string, { key, value, flags }: KvItem): KeyDocument => ({
  Key: key,
  Name: key.startsWith(prefix) ? key.slice(prefix.length) : key,
  Value: value.toString('utf8'),
  ValueBase64: value.toString('base64'),
  Flags: flags,
})

function paired<T>(before: readonly T[], now: readonly T[], keyOf: (one: T) => string) {
  const was = new Map(before.map(one => [keyOf(one), one]))
  const is = new Map(now.map(one => [keyOf(one), one]))
  const names = new Set([...is.keys(), ...was.keys()])
  return [...names].map(name => [name, was.get(name), is.get(name)] as const)
}

interface Difference<T> {
  readonly Added: readonly T[]
  readonly Changed: readonly T[]
  readonly Removed: readonly T[]
}

function changed<T>(
  before: readonly T[],
  now: readonly T[],
  keyOf: (one: T) => string,
): Difference<T> {
  const pairs = paired(before, now, keyOf)
  return {
    Added: pairs.flatMap(([, was, is]) => (was === undefined && is !== undefined ? [is] : [])),
    Changed: pairs.flatMap(([, was, is]) => {
      const isBoth = was !== undefined && is !== undefined
      return isBoth && JSON.stringify(was) !== JSON.stringify(is) ? [is] : []
    }),
    Removed: pairs.flatMap(([, was, is]) => (was !== undefined && is === undefined ? [was] : [])),
  }
}

const isNothing = ({ Added, Changed, Removed }: Difference<unknown>): boolean =>
  Added.length + Changed.length + Removed.length === 0
