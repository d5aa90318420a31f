/**
 * Distinguished names (RFC 5280, 4.1.2.4): of subjects and issuers, written and read.
 *
 * Owns the short names of attributes, the order in which fields are written and the kind of string
 * that each value gets: those of Go's crypto/x509, so that a name is the same bytes here and there.
 */
import { childOf, DerError, type DerNode, expected, oidOf, Tag } from './der.ts'
import { ContentError, element, joined, oidDer } from './encode.ts'

/**
 * Parts of a name, in order: a short name of RFC 4514 (or a dotted identifier) and its value.
 * Several values of one part are one part with many values, as Go writes them.
 */
export type DistinguishedName = readonly (readonly [part: string, ...values: string[]])[]

const NAME_OIDS = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  SERIALNUMBER: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  POSTALCODE: '2.5.4.17',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
  EMAIL: '1.2.840.113549.1.9.1',
} as const
const oidsOfParts = new Map<string, string>(Object.entries(NAME_OIDS))
const partsOfOids = new Map<string, string>(
  Object.entries(NAME_OIDS).map(([part, name]) => [name, part]),
)

/** The fields that people fill in; each may have several values but the last two. */
export interface NameFields {
  readonly countries?: readonly string[] | undefined
  readonly organizations?: readonly string[] | undefined
  readonly units?: readonly string[] | undefined
  readonly localities?: readonly string[] | undefined
  readonly provinces?: readonly string[] | undefined
  readonly streets?: readonly string[] | undefined
  readonly postalCodes?: readonly string[] | undefined
  readonly commonName?: string | undefined
  readonly serialNumber?: string | undefined
  /** Each a part of its own, at the end. */
  readonly userIds?: readonly string[] | undefined
}

/** A name of these fields, in Go's order. Empty fields are left out. */
export function nameOfFields(fields: NameFields): DistinguishedName {
  const name: [string, ...string[]][] = []
  const add = (part: string, values: readonly string[] = []): void => {
    const [first, ...more] = values
    if (first !== undefined) name.push([part, first, ...more])
  }
  add('C', fields.countries)
  add('O', fields.organizations)
  add('OU', fields.units)
  add('L', fields.localities)
  add('ST', fields.provinces)
  add('STREET', fields.streets)
  add('POSTALCODE', fields.postalCodes)
  if (fields.commonName) add('CN', [fields.commonName])
  if (fields.serialNumber) add('SERIALNUMBER', [fields.serialNumber])
  for (const id of fields.userIds ?? []) add('UID', [id])
  return name
}

/** The fields of a name that was read; of single fields the last value counts, as in Go. */
export function fieldsOfName(name: DistinguishedName): Required<NameFields> {
  const all = (wanted: string): string[] =>
    name.flatMap(([part, ...values]) => (part === wanted ? values : []))
  return {
    countries: all('C'),
    organizations: all('O'),
    units: all('OU'),
    localities: all('L'),
    provinces: all('ST'),
    streets: all('STREET'),
    postalCodes: all('POSTALCODE'),
    commonName: all('CN').at(-1),
    serialNumber: all('SERIALNUMBER').at(-1),
    userIds: all('UID'),
  }
}

/** A name as it stands in a certificate. Throws ContentError for a part that is not known. */
export const nameDer = (name: DistinguishedName): Buffer =>
  joined(
    Tag.sequence,
    name.map(([part, ...values]) => {
      const type = oidDer(oidsOfParts.get(part) ?? part)
      const pairs = values.map(value => joined(Tag.sequence, [type, text(value)]))
      // DER orders the members of a set by their bytes.
      return joined(Tag.set, pairs.length < 2 ? pairs : pairs.toSorted(Buffer.compare))
    }),
  )

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/

/** A PrintableString where that can hold it, as in Go. */
function text(value: string): Buffer {
  if (PRINTABLE.test(value)) return element(Tag.printableString, Buffer.from(value, 'latin1'))
  if (!value.isWellFormed()) throw new ContentError('a name that is not whole Unicode')
  return element(Tag.utf8String, Buffer.from(value, 'utf8'))
}

/**
 * Reads a name. Parts of one set that are of several kinds come one after the other. Throws
 * DerError where a value is not of the characters that its string takes.
 */
export function readName(node: DerNode): DistinguishedName {
  const name: [string, ...string[]][] = []
  for (const part of expected(node, Tag.sequence).children) {
    if (expected(part, Tag.set).children.length === 0) throw new DerError('an empty part of a name')
    let last: [string, ...string[]] | undefined
    for (const pair of part.children) {
      const key = oidOf(childOf(expected(pair, Tag.sequence), 0, Tag.oid))
      const value = pair.children[1]
      if (value === undefined || pair.children.length !== 2) {
        throw new DerError('a part of a name without one value')
      }
      const short = partsOfOids.get(key) ?? key
      const read = textOf(value)
      if (last?.[0] === short) {
        last.push(read)
        continue
      }
      last = [short, read]
      name.push(last)
    }
  }
  return name
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of a string of any kind (X.690, 8.23). Throws DerError. */
export function textOf({ tag, content }: DerNode): string {
  const plain = content.toString('latin1')
  switch (tag) {
    case Tag.utf8String:
      try {
        return utf8.decode(content)
      } catch {
        throw new DerError('a text that is not UTF-8')
      }
    case Tag.printableString:
      // With the two characters that many write although they may not.
      return held(plain, /^[A-Za-z0-9 '()+,\-./:=?*&]*$/)
    case Tag.ia5String:
      // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what it takes
      return held(plain, /^[\x00-\x7f]*$/)
    case Tag.numericString:
      return held(plain, /^[0-9 ]*$/)
    case Tag.visibleString:
      return held(plain, /^[\x20-\x7e]*$/)
    case Tag.teletexString:
      return plain
    case Tag.bmpString:
      return wide(content, 2)
    case Tag.universalString:
      return wide(content, 4)
    default:
      throw new DerError('a name that is no text')
  }
}

function held(text: string, shape: RegExp): string {
  if (!shape.test(text)) throw new DerError('a name with other characters')
  return text
}

/** Characters of two or four bytes each. */
function wide(content: Buffer, sizeBytes: 2 | 4): string {
  if (content.length % sizeBytes !== 0) throw new DerError('a text that is cut off')
  let text = ''
  for (let at = 0; at < content.length; at += sizeBytes) {
    const point = content.readUIntBE(at, sizeBytes)
    if (point > 0x10_ff_ff) throw new DerError('no character of Unicode')
    text += String.fromCodePoint(point)
  }
  if (!text.isWellFormed()) throw new DerError('a text that is not whole Unicode')
  return text
}
