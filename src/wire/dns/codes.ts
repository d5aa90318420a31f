/**
 * The DNS's numbers and their names: record types, classes, response codes, EDNS options.
 *
 * Owns the tables (IANA's DNS parameters, the part that this program speaks) and the generic
 * notation `TYPE65` for all other types (RFC 3597 §5).
 */

/** Types whose data is read and written field by field. */
export const TypeCode = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
} as const
export type KnownType = keyof typeof TypeCode
/** The name of a type: one of the known ones, or its number as `TYPE65`. */
export type TypeName = KnownType | `TYPE${number}`

/** Types that stand in questions or headers only, never in a record of ours. */
export const OPT_TYPE_CODE = 41
export const ANY_TYPE_CODE = 255

export const ClassCode = { IN: 1, CH: 3, ANY: 255 } as const

/** Response codes; those above 15 need EDNS (RFC 6891 §6.1.3). */
export const Rcode = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  badVers: 16,
} as const
export type Rcode = (typeof Rcode)[keyof typeof Rcode]

/** EDNS options: client subnet (RFC 7871), cookie (RFC 7873), extended error (RFC 8914). */
export const OptionCode = { clientSubnet: 8, cookie: 10, extendedError: 15 } as const

/** Why an answer is what it is (RFC 8914 §4). */
export const ExtendedError = { prohibited: 18 } as const

const NAME_OF_TYPE = new Map<number, KnownType>(
  Object.entries(TypeCode).map(([name, code]) => [code, name as KnownType]),
)
const GENERIC = /^TYPE(0|[1-9][0-9]{0,4})$/

/** The name of a type's number. */
export function typeName(code: number): TypeName {
  return NAME_OF_TYPE.get(code) ?? `TYPE${code}`
}

/** The number of a type's name; undefined where the name is none or the number above 65535. */
export function typeCode(name: TypeName): number | undefined {
  if (Object.hasOwn(TypeCode, name)) return TypeCode[name as KnownType]
  const digits = GENERIC.exec(name)?.[1]
  return digits !== undefined && Number(digits) <= 0xffff ? Number(digits) : undefined
}
