/**
 * Frames of the feed as messages of gatehouse/v1/feed.proto.
 *
 * Owns joining them from encoded rows: a row is encoded once and kept, and whatever has it, an
 * instance in a list in a frame, is made of those bytes.
 */
import { toText } from '../base/bytes.ts'
import { FragmentCache } from '../base/fragments.ts'
import { codecOf, type MessageCodec } from '../base/io/proto.ts'
import { bytesField, numberField, textField } from '../base/protobuf.ts'
import type { ValueTexts } from '../feed/follow.run.ts'
import type { Form, Head } from '../feed/form.ts'
import type { ServiceTags } from '../registry/catalog.ts'
import type { InstanceHealth } from '../registry/health.ts'
import type { Cell } from '../store/table.ts'
import type { CheckRow } from '../store/tables/check.ts'
import type { KvRow } from '../store/tables/kv.ts'
import type { NodeRow } from '../store/tables/node.ts'
import type { ServiceRow } from '../store/tables/service.ts'
import type { AnyItem } from '../store/topic.ts'
import {
  checkMessage,
  kvMessage,
  nodeMessage,
  serviceMessage,
  worstOf,
} from './registry/messages.ts'

/** The form of all readers over gRPC. */
export async function feedForm(datacenter: string, texts: ValueTexts): Promise<Form> {
  const [node, service, check, kv] = await Promise.all(
    ['Node', 'Service', 'Check', 'KVEntry'].map(name =>
      codecOf('gatehouse/v1/feed.proto', `gatehouse.v1.${name}`),
    ),
  )
  const values = valuesOf(datacenter, { node, service, check, kv } as Codecs)
  const fieldOf = (topic: string, { value }: AnyItem): Buffer =>
    Object.hasOwn(values, topic)
      ? values[topic]!(value as never)
      : bytesField(JSON_VALUE, [Buffer.from(texts[topic]!(value as never), 'utf8')])
  const form: Form<Buffer> = {
    name: 'grpc',
    isJoined: false,
    item: (topic, item) =>
      bytesField(ITEMS, [
        textField(1, toText(item.key)),
        numberField(2, item.index),
        fieldOf(topic, item),
      ]),
    removal: (_topic, key) => bytesField(DELETES, [Buffer.from(key, 'utf8')]),
    snapshot: (_topic, items, head) => bytesField(1, [...headOf(head), ...items]),
    delta: (_topic, upserts, removals, head) =>
      bytesField(2, [...headOf(head), ...upserts, ...removals]),
    heartbeat: (revision, resume) =>
      bytesField(3, [numberField(1, revision), textField(2, resume)]),
    resync: reason => bytesField(4, [textField(1, reason)]),
  }
  return form as unknown as Form
}

/** Of FeedSnapshot and FeedDelta alike. */
const ITEMS = 5
const DELETES = 6
/** Of FeedItem. */
const INSTANCE_VALUE = 3
const NODE_VALUE = 4
const SERVICE_VALUE = 5
const KV_VALUE = 6
const JSON_VALUE = 7

const headOf = ({ revision, resume, isFiltered }: Head): readonly Buffer[] => [
  numberField(1, revision),
  numberField(2, resume === undefined ? 0 : 1),
  numberField(3, isFiltered ? 1 : 0),
  textField(4, resume ?? ''),
]

type Codecs = Readonly<Record<'node' | 'service' | 'check' | 'kv', MessageCodec>>

/** What stands for a value, by topic: a field of FeedItem. */
function valuesOf(
  datacenter: string,
  codecs: Codecs,
): Readonly<Record<string, (value: never) => Buffer>> {
  const nodes = new FragmentCache<Cell<NodeRow>, Buffer>(cell =>
    codecs.node.encode(nodeMessage(cell, datacenter)),
  )
  const services = new FragmentCache<Cell<ServiceRow>, Buffer>(cell =>
    bytesField(2, [codecs.service.encode(serviceMessage(cell))]),
  )
  const checks = new FragmentCache<Cell<CheckRow>, Buffer>(cell =>
    bytesField(3, [codecs.check.encode(checkMessage(cell))]),
  )
  return {
    health: ({ node, service, checks: own }: InstanceHealth) =>
      bytesField(INSTANCE_VALUE, [
        bytesField(1, [nodes.of(node)]),
        services.of(service),
        ...own.map(one => checks.of(one)),
        numberField(4, STATUSES[worstOf(own)]),
      ]),
    nodes: (cell: Cell<NodeRow>) => bytesField(NODE_VALUE, [nodes.of(cell)]),
    services: ({ name, tags }: ServiceTags) =>
      bytesField(SERVICE_VALUE, [
        textField(1, name),
        ...tags.map(tag => bytesField(2, [Buffer.from(tag, 'utf8')])),
      ]),
    kv: (cell: Cell<KvRow>) => bytesField(KV_VALUE, [codecs.kv.encode(kvMessage(cell))]),
  }
}

/** Of gatehouse.v1.HealthStatus. */
const STATUSES = { passing: 1, warning: 2, critical: 3 } as const
