/**
 * Services in bodies: what a registration may say of one, read into a row.
 *
 * Owns the fields that catalog and agent share. What comes with the mesh is known by name and
 * refused as not served yet, with nothing half done.
 */
import { notServed, Refusal } from '../../base/errors.ts'
import { type GivenService, refuseKind } from '../../registry/definition.ts'
import { CheckStatus } from '../../store/tables/check.ts'
import {
  anything,
  bool,
  enterprise,
  int,
  isZero,
  list,
  map,
  nullable,
  type Of,
  object,
  text,
} from '../shape.ts'

/** Namespaces and partitions: nothing, or their default. */
export const enterpriseFields = {
  Namespace: enterprise('Namespaces'),
  Partition: enterprise('Partitions'),
}

export const localityShape = nullable(object({ Region: text, Zone: text }))

/** What a service says wherever it is registered, but for its name. */
export const serviceFields = {
  Kind: text,
  ID: text,
  Tags: list(text),
  Address: text,
  TaggedAddresses: map(object({ Address: text, Port: int })),
  Meta: map(text),
  Port: int,
  Ports: list(object({ Name: text, Port: int, Default: bool })),
  SocketPath: text,
  Weights: nullable(object({ Passing: int, Warning: int })),
  EnableTagOverride: bool,
  Proxy: anything,
  Connect: nullable(object({ Native: bool, SidecarService: anything })),
  Locality: localityShape,
  ...enterpriseFields,
}

type ServiceFields = { readonly [K in keyof typeof serviceFields]: Of<(typeof serviceFields)[K]> }

/** A status out of a body, undefined where none is given. */
export function readStatus(text: string): CheckStatus | undefined | Refusal {
  if (text === '') return undefined
  const status = Object.values(CheckStatus).find(known => known === text)
  return status ?? new Refusal(400, `Invalid check status: '${text.slice(0, SHOWN_CHARS)}'`)
}

const SHOWN_CHARS = 64

/** A service out of a body; what belongs to the mesh is refused. */
export function readService(
  node: string,
  name: string,
  body: ServiceFields,
): GivenService | Refusal {
  const kind = refuseKind(body.Kind)
  if (kind !== undefined) return kind
  if (!isZero(body.Proxy)) return notServed('Proxy')
  if (body.Connect?.SidecarService !== undefined) return notServed('Connect.SidecarService')
  if (!isZero(body.Locality)) return notServed('Locality')
  const tagged = Object.entries(body.TaggedAddresses)
  return {
    node,
    id: body.ID,
    name,
    kind: body.Kind,
    tags: body.Tags,
    address: body.Address,
    taggedAddresses: Object.fromEntries(
      tagged.map(([family, { Address, Port }]) => [family, { address: Address, port: Port }]),
    ),
    meta: body.Meta,
    port: body.Port,
    ports: body.Ports.map(one => ({ name: one.Name, port: one.Port, isDefault: one.Default })),
    socketPath: body.SocketPath,
    weights: body.Weights && { passing: body.Weights.Passing, warning: body.Weights.Warning },
    enableTagOverride: body.EnableTagOverride,
    connectNative: body.Connect?.Native ?? false,
  }
}
