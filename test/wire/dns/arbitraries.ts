/**
 * Generators of names, records and messages for the property tests of src/wire/dns.
 *
 * Owns what counts as "any" name or record there: every byte in labels, every known type.
 */
import fc from 'fast-check'
import {
  addressToText,
  type DnsRecord,
  encodeMessage,
  Malformed,
  type Message,
  nameFromLabels,
  nameToText,
  parseMessage,
  typeName,
} from '../../../src/wire/dns/mod.ts'

/** Byte strings, one character a byte. */
export const bytes = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength, maxLength })
    .map(array => Buffer.from(array.buffer, array.byteOffset, array.length).toString('latin1'))

/** fc.record makes objects without a prototype unless told; ours have one. */
const plain = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true })

const plainLabel = fc.constantFrom('web', 'Web', 'consul', 'service', 'dc1', 'node', 'db-1', 'x')
const label = fc.oneof({ weight: 3, arbitrary: plainLabel }, bytes(1, 63))

/** Names in wire form, long ones among them; many share suffixes, so that compression works. */
export const wireName: fc.Arbitrary<string> = fc.array(label, { maxLength: 8 }).map(labels => {
  let name: string | undefined
  for (let rest = labels; name === undefined; rest = rest.slice(1)) {
    name = rest.length === 0 ? '\0' : nameFromLabels(rest)
  }
  return name
})

/** Names as text. */
export const textName: fc.Arbitrary<string> = wireName.map(nameToText)

const u8 = fc.integer({ min: 0, max: 255 })
const u16 = fc.integer({ min: 0, max: 65535 })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const ttlS = fc.integer({ min: 0, max: 0x7fffffff })

const soa = plain({
  mname: textName,
  rname: textName,
  serial: u32,
  refreshS: u32,
  retryS: u32,
  expireS: u32,
  minimumS: u32,
})
const data: fc.Arbitrary<object> = fc.oneof(
  plain({ type: fc.constant('A'), data: bytes(4, 4).map(addressToText) }),
  plain({ type: fc.constant('AAAA'), data: bytes(16, 16).map(addressToText) }),
  plain({ type: fc.constantFrom('NS', 'CNAME', 'PTR'), data: textName }),
  plain({
    type: fc.constant('TXT'),
    data: fc.array(bytes(0, 255), { minLength: 1, maxLength: 3 }),
  }),
  plain({
    type: fc.constant('SRV'),
    data: plain({ priority: u16, weight: u16, port: u16, target: textName }),
  }),
  plain({
    type: fc.constant('MX'),
    data: plain({ preference: u16, exchange: textName }),
  }),
  plain({ type: fc.constant('SOA'), data: soa }),
  plain({ type: fc.constantFrom('TYPE65', 'TYPE65280'), data: bytes(0, 40) }),
)

/** Records of every type, of class IN. */
export const record: fc.Arbitrary<DnsRecord> = fc
  .tuple(textName, ttlS, data)
  .map(([name, ttl, rest]) => ({ name, class: 1, ttlS: ttl, ...rest }) as DnsRecord)

const section = fc.array(record, { maxLength: 6 })
const edns = plain({
  udpSizeBytes: u16,
  version: u8,
  dnssecOk: fc.boolean(),
  options: fc.array(plain({ code: u16, data: bytes(0, 40) }), { maxLength: 3 }),
})

/** Whole messages. */
export const message: fc.Arbitrary<Message> = plain({
  id: u16,
  response: fc.boolean(),
  opcode: fc.integer({ min: 0, max: 15 }),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
  rcode: fc.integer({ min: 0, max: 4095 }),
  questions: fc.array(plain({ name: textName, type: u16.map(typeName), class: u16 }), {
    maxLength: 2,
  }),
  answers: section,
  authorities: section,
  additionals: section,
  edns: fc.option(edns, { nil: undefined }),
}).map(({ edns: extension, ...rest }) =>
  extension === undefined ? { ...rest, rcode: rest.rcode & 15 } : { ...rest, edns: extension },
)

const plainQuery: Message = {
  id: 0x1234,
  response: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
}

/** A query for one name, with what `changes` says otherwise. */
export function queryFor(name: string, type: string, changes: Partial<Message> = {}): Message {
  const question = { name, type: type as 'A', class: 1 }
  return { ...plainQuery, questions: [question], ...changes }
}

/** Why `run` stopped with Malformed; undefined when it did not. */
export function reasonOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (thrown) {
    if (thrown instanceof Malformed) return thrown.reason
    throw thrown
  }
}

/** The wire form of a message that must have one. */
export function encoded(value: Message, compress = true): Buffer {
  const result = encodeMessage(value, compress)
  if (result instanceof Malformed) throw new Error(result.reason)
  return result
}

/** The message that `bytes` must be. */
export function parsed(bytes: Buffer): Message {
  const result = parseMessage(bytes)
  if (result instanceof Malformed) throw new Error(result.reason)
  return result
}
