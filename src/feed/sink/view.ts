/**
 * What templates see of a state.
 *
 * Owns the names and what is left out: an instance whose address is neither an IP address nor a
 * host name would be a path, a socket or an option to some programs. Pure.
 */
import { documentOf, type InstanceDocument, type KeyDocument } from './document.ts'
import { bracketed, hostOf, shownInstance } from './place.ts'
import type { SinkState, UsableStatus } from './state.ts'
import { type Named, Verbatim, type View, type ViewRecord } from './template.ts'

/** The view, and what is not in it. */
export function viewOf(
  state: SinkState,
  least: UsableStatus,
): { readonly view: ViewRecord; readonly problems: readonly string[] } {
  const problems: string[] = []
  const { Services, KV } = documentOf(state, least)
  const services = Services.map(({ Name, Instances }) => {
    const instances = Instances.flatMap(one => {
      const seen = instanceView(one)
      if (seen === undefined) problems.push(leftOut(one))
      return seen ?? []
    })
    return [Name, { Name, Instances: instances, Count: instances.length }] as const
  })
  const kv = KV.map(({ Prefix, Entries }) => {
    const entries = Entries.map(({ Key, Name, Value }) => ({ Key, Name, Value }))
    const by = new Map(Entries.map(({ Name, Value }: KeyDocument) => [Name, Value]))
    return [Prefix, { Prefix, Entries: { items: entries, by } }] as const
  })
  return { view: { Services: named(services), KV: named(kv) }, problems }
}

function instanceView(one: InstanceDocument): ViewRecord | undefined {
  const host = hostOf(one.Address)
  if (host === undefined) return undefined
  const { ID, Name, Node, Port, Status, Weight, Tags } = one
  const meta = Object.entries(one.Meta)
  return {
    ...{ ID, Name, Node, Port, Status, Weight },
    Address: host,
    Host: new Verbatim(bracketed(host)),
    Meta: { items: meta.map(([Key, Value]) => ({ Key, Value })), by: new Map(meta) },
    Tags: { items: Tags, by: new Map(Tags.map(tag => [tag, tag])) },
  }
}

const leftOut = ({ Node, ID }: InstanceDocument): string =>
  `left out ${shownInstance({ node: Node, id: ID })}: its address is no IP address or host name`

const named = (pairs: readonly (readonly [string, View])[]): Named => ({
  items: pairs.map(([, view]) => view),
  by: new Map(pairs),
})
