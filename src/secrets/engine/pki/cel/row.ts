/**
 * Roles that are programs: expressions that make a certificate of a request, or refuse it.
 *
 * Owns the row, what is wrong about one, and what a program gives. How expressions are compiled and
 * run is handed in. Pure. Follows api-docs/secret/pki ("CEL roles") of OpenBao's docs.
 */
import type { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import type { Json, JsonObject } from '../../../field.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'

/** A program: values that are worked out one after the other, and the last one. */
export interface CelProgram {
  readonly variables?: readonly CelVariable[]
  readonly expression: string
}

interface CelVariable {
  readonly name: string
  readonly expression: string
}

/** What a program may look at. */
export interface CelFacts {
  readonly request: JsonObject
  readonly nowMs: number
  /** The CSR as an object of Go's would tell it; undefined where there is none. */
  readonly csr: object | undefined
}

/** A name, in the words of OpenBao's messages. */
export interface CelName {
  readonly Country: readonly string[]
  readonly Organization: readonly string[]
  readonly OrganizationUnit: readonly string[]
  readonly Locality: readonly string[]
  readonly Province: readonly string[]
  readonly StreetAddress: readonly string[]
  readonly PostalCode: readonly string[]
  readonly SerialNumber: string
  readonly CommonName: string
}

interface CelTime {
  readonly seconds: bigint
  readonly nanos: number
}
interface CelRange {
  readonly IP?: { readonly IP: Uint8Array }
  readonly Mask?: { readonly IPMask: Uint8Array }
}
interface CelUrl {
  readonly Scheme: string
  readonly Opaque: string
  readonly User?: {
    readonly username: string
    readonly password: string
    readonly passwordSet: boolean
  }
  readonly Host: string
  readonly Path: string
  readonly RawPath: string
  readonly ForceQuery: boolean
  readonly RawQuery: string
  readonly Fragment: string
  readonly RawFragment: string
}
interface CelOid {
  readonly arc: readonly (number | bigint)[]
}

/** What a certificate is to say. */
export interface CelTemplate {
  readonly Subject?: CelName
  readonly NotBefore?: CelTime
  readonly NotAfter?: CelTime
  readonly KeyUsage: number
  readonly ExtraExtensions: readonly {
    readonly Id: readonly bigint[]
    readonly Critical: boolean
    readonly Value: Uint8Array
  }[]
  readonly ExtKeyUsage: readonly number[]
  readonly UnknownExtKeyUsage: readonly CelOid[]
  readonly BasicConstraintsValid: boolean
  readonly IsCA: boolean
  readonly MaxPathLen: bigint
  readonly MaxPathLenZero: boolean
  readonly DNSNames: readonly string[]
  readonly EmailAddresses: readonly string[]
  readonly IPAddresses: readonly { readonly IP: Uint8Array }[]
  readonly URIs: readonly CelUrl[]
  readonly PermittedDNSDomains: readonly string[]
  readonly ExcludedDNSDomains: readonly string[]
  readonly PermittedIPRanges: readonly CelRange[]
  readonly ExcludedIPRanges: readonly CelRange[]
  readonly PermittedEmailAddresses: readonly string[]
  readonly ExcludedEmailAddresses: readonly string[]
  readonly PermittedURIDomains: readonly string[]
  readonly ExcludedURIDomains: readonly string[]
  readonly PolicyIdentifiers: readonly CelOid[]
  readonly Policies: readonly CelOid[]
}

/** What a program gives where it gives a certificate. */
export interface CelOutput {
  readonly template?: CelTemplate
  readonly issuerRef: string
  readonly usePss: boolean
  readonly signatureBits: number
  readonly generateLease: boolean
  readonly noStore: boolean
  readonly warnings: readonly string[]
  readonly subjectKeyId: Uint8Array
  readonly keyType: string
  readonly keyBits: bigint
}

/** A program that can be run. */
export interface CompiledProgram {
  /** Why nothing is given is a text; it may quote what the request said. */
  run(facts: CelFacts): CelOutput | string
}

/** Makes programs runnable; a text says what is wrong with one, and where. */
export interface ProgramCompiler {
  compile(program: CelProgram): CompiledProgram | string
}

/** Programs by the name of their role. */
export const CEL_ROLES = 'cel-role/'

/** The program of a name; the same object as long as it stands. */
export const celRoleAt = (storage: Storage, name: string): CelProgram | undefined =>
  storage.kept<CelProgram>(CEL_ROLES + name)

const compiled = new WeakMap<CelProgram, CompiledProgram>()

/** The program of a row, compiled once. */
export function compiledOf(compiler: ProgramCompiler, row: CelProgram): CompiledProgram | Refusal {
  const known = compiled.get(row)
  if (known !== undefined) return known
  const made = compiler.compile(row)
  if (typeof made === 'string') return bad(`invalid cel_program: ${made}`)
  compiled.set(row, made)
  return made
}

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const TAKEN = ['request', 'now', 'use_csr', 'parsed_csr', 'true', 'false', 'null', 'in']

/** A program from what a request says. */
export function programOf(said: JsonObject | undefined): CelProgram | Refusal {
  if (said === undefined) return bad("missing required field 'cel_program'")
  const { expression, variables = [] } = said
  if (typeof expression !== 'string' || expression === '') {
    return bad('cel_program.expression cannot be empty')
  }
  if (!Array.isArray(variables)) return bad("'cel_program.variables' must be a list")
  if (variables.length > limits.celVariables) {
    return bad(`a program has at most ${limits.celVariables} variables`)
  }
  const known: CelVariable[] = []
  for (const [at, variable] of variables.entries()) {
    const { name, expression: text } = isObject(variable) ? variable : {}
    if (typeof name !== 'string' || typeof text !== 'string') {
      return bad(`variable[${at}]: it needs a name and an expression`)
    }
    const isTaken = TAKEN.includes(name) || known.some(one => one.name === name)
    if (!NAME.test(name) || isTaken) return bad(`variable[${at}].${name}: not a name of its own`)
    known.push({ name, expression: text })
  }
  return known.length === 0 ? { expression } : { variables: known, expression }
}
