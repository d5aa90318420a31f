/**
 * The paths that give certificates: `issue`, `sign` and `sign-verbatim`, also of a named issuer.
 *
 * Owns their declarations. A certificate is decided and signed before the transaction; one that is
 * not kept needs none.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import type { AnyRequest } from '../../../../x509/csr.ts'
import { ExtensionOid } from '../../../../x509/extension.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import type { Fields, Values } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { bad } from '../refusals.ts'
import { DEFAULTS, keySizes, type RoleRow, roleAt } from '../role/row.ts'
import { dataOf, type Form, refuseFormat } from './answer.ts'
import { issuedShape, issueFields, signedShape, signFields, verbatimFields } from './fields.ts'
import {
  CHANGED,
  type Decided,
  decide,
  isKept,
  keep,
  refuseChanged,
  type Signed,
  signed,
  type Verbatim,
} from './give.ts'
import { type DrawnKey, drawKey, type KeyWanted } from './key.ts'
import { csrIn, refuseKey, type Said, wantedOf } from './wanted.ts'

type SaidOf<F extends Fields> = Pick<Call<F>, Exclude<keyof Call<F>, 'fields' | 'given'>> & {
  readonly fields: Values<F>
}
/** A call of any of these paths. */
type GivingCall = SaidOf<Omit<typeof signFields, 'csr'>>
type IssueCall = Call<typeof issueFields>
type SignCall = Call<typeof signFields>
type VerbatimCall = Call<typeof verbatimFields>

/** A certificate that waits for its transaction. */
interface Made {
  readonly signed: Signed
  /** What is told of it. */
  readonly data: Readonly<Record<string, unknown>>
  readonly warnings: readonly string[]
}
type Making = Made | Refusal | Promise<Made | Refusal>

/** What is made of what may come later. */
const then = <T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> =>
  value instanceof Promise ? value.then(next) : next(value)

/** The role that is asked. */
function roleOf({ storage, fields: { role: name = '' } }: GivingCall): RoleRow | Refusal {
  return roleAt(storage, name) ?? bad(`unknown role: ${name}`)
}

/** The issuer is named by the path, or else by the role. */
const issuerRefOf = ({ path: below, fields }: GivingCall, role: RoleRow): string =>
  below.startsWith('issuer/') ? (fields.issuer_ref ?? '') : role.issuer_ref

/** Decides on what a request and its CSR say. */
function decided(
  call: GivingCall,
  role: RoleRow,
  csr?: AnyRequest,
  verbatim?: Verbatim,
): Decided | Refusal {
  const { fields } = call
  const refused = refuseFormat(fields.format ?? '')
  if (refused !== undefined) return refused
  const asked = wantedOf(role, fields, csr)
  if (asked instanceof Refusal) return asked
  // What is taken as it stands has the names that it has.
  const wanted = verbatim === undefined ? asked : { ...asked, excludesCommonName: true }
  return decide(call, {
    ...{ role, wanted, issuerRef: issuerRefOf(call, role) },
    times: {
      ttlMs: fields.ttl ?? 0,
      notBefore: fields.not_before ?? '',
      notAfter: fields.not_after ?? '',
    },
    ...(verbatim !== undefined && { verbatim }),
  })
}

/** Signs, and says what is told of that: both once, however often the transaction is tried. */
const made = (
  arithmetic: Arithmetic,
  call: GivingCall,
  content: Decided,
  { spki, key, warnings }: { spki: Buffer; key?: DrawnKey; warnings: readonly string[] },
): Making =>
  then(signed(arithmetic, content, spki), outcome =>
    outcome instanceof Refusal
      ? outcome
      : { signed: outcome, data: dataOf(call.storage, outcome, formOf(call), key), warnings },
  )

const formOf = ({ fields }: GivingCall): Form => ({
  format: fields.format ?? '',
  privateKeyFormat: fields.private_key_format ?? '',
  isRootless: fields.remove_roots_from_chain === true,
})

/** Gives what was made, unless what it was decided by is another thing by now. */
function give(call: Call<Fields, Made>, name: string, isChanged: boolean): Outcome {
  const { signed: certificate, data, warnings } = call.prepared
  const refused = isChanged ? CHANGED : refuseChanged(call, certificate.decided)
  if (refused !== undefined) return refused
  const lease = keep(call, certificate, name)
  return {
    data,
    ...(lease !== undefined && { lease }),
    warnings: [...certificate.decided.warnings, ...warnings],
  }
}

function prepareIssue(arithmetic: Arithmetic, call: IssueCall): Making {
  const role = roleOf(call)
  if (role instanceof Refusal) return role
  const { key_type: type, key_bits: bits } = call.fields
  const kind = kindOf(role, type, bits)
  if (kind instanceof Refusal) return kind
  // What is refused is refused before a key is drawn for it.
  const content = decided(call, role)
  if (content instanceof Refusal) return content
  const isIgnored = role.key_type !== 'any' && (type !== undefined || bits !== undefined)
  const warnings = isIgnored ? [IGNORED] : []
  return then(drawKey(arithmetic, kind), key =>
    made(arithmetic, call, content, { spki: key.spki, key, warnings }),
  )
}

const IGNORED = 'parameters key_type and key_bits ignored as role had specific values'
const NO_KIND = bad(
  'role key type "any" not allowed for issuing certificates without providing key_type and/or key_bits request parameters',
)

/** The kind of key that is drawn: the role's, or what is asked for where it takes any. */
function kindOf(
  role: RoleRow,
  type: string | undefined,
  bits: number | undefined,
): KeyWanted | Refusal {
  if (role.key_type !== 'any') return { type: role.key_type, bits: role.key_bits }
  if (type === undefined || type === '' || type === 'any') return NO_KIND
  const sizes = keySizes(type, bits ?? role.key_bits, role.signature_bits)
  return sizes instanceof Refusal ? sizes : { type, bits: sizes.keyBits }
}

function prepareSign(arithmetic: Arithmetic, call: SignCall): Making {
  const role = roleOf(call)
  if (role instanceof Refusal) return role
  const csr = csrIn(call.fields.csr ?? '')
  if (csr instanceof Refusal) return csr
  const refused = refuseKey(role, csr.publicKey)
  if (refused !== undefined) return refused
  const content = decided(call, role, csr)
  if (content instanceof Refusal) return content
  const warnings = warningsOf(call.fields, role, csr)
  return made(arithmetic, call, content, { spki: csr.spki, warnings })
}

/** What of a request for signing is not done. */
function warningsOf(said: Said, role: RoleRow, csr: AnyRequest): string[] {
  const warnings: string[] = []
  const isSaid = csr.extensions.some(({ oid }) => oid === ExtensionOid.basicConstraints)
  if (isSaid && !role.basic_constraints_valid_for_non_ca) {
    warnings.push(
      'specified CSR contained a Basic Constraints extension that was ignored during issuance',
    )
  }
  for (const [field, flag] of [
    ['common_name', 'use_csr_common_name'],
    ['alt_names', 'use_csr_sans'],
  ] as const) {
    if (!role[flag] || (said[field] ?? '') === '') continue
    warnings.push(`the ${field} field was provided but the role is set with "${flag}" set to true`)
  }
  return warnings
}

/** What is never taken from a CSR: what its certificate is to others is for the issuer to say. */
const OURS: readonly string[] = [
  ExtensionOid.basicConstraints,
  ExtensionOid.subjectKeyId,
  ExtensionOid.authorityKeyId,
]

function prepareVerbatim(arithmetic: Arithmetic, call: VerbatimCall): Making {
  const named = namedRole(call)
  if (named instanceof Refusal) return named
  const role = verbatimRole(call, named)
  if (role instanceof Refusal) return role
  const csr = csrIn(call.fields.csr ?? '')
  if (csr instanceof Refusal) return csr
  const refused = refuseKey(role, csr.publicKey)
  if (refused !== undefined) return refused
  // Names beside those of the CSR make one extension with them.
  const isAlone = (call.fields.other_sans ?? []).length === 0
  const ours = isAlone ? OURS : [...OURS, ExtensionOid.subjectNames]
  const extensions = csr.extensions.filter(({ oid }) => !ours.includes(oid))
  const content = decided(call, role, csr, { subject: csr.subject, extensions })
  if (content instanceof Refusal) return content
  const warnings = warningsOf(call.fields, role, csr)
  return made(arithmetic, call, content, { spki: csr.spki, warnings })
}

/** The role that a path of signing verbatim names; undefined for none. */
function namedRole(call: GivingCall): RoleRow | Refusal | undefined {
  return call.fields.role === undefined ? undefined : roleOf(call)
}

/** A role that gives what is asked for; of another one it has the times and what is kept. */
function verbatimRole(
  { fields, given }: VerbatimCall,
  named: RoleRow | undefined,
): RoleRow | Refusal {
  const sizes = keySizes('rsa', 0, fields.signature_bits ?? 0)
  if (sizes instanceof Refusal) return sizes
  const { ttl, max_ttl, generate_lease, no_store, issuer_ref, not_before_duration } =
    named ?? DEFAULTS
  const isPlain = 'basic_constraints_valid_for_non_ca'
  return {
    ...DEFAULTS,
    ...{ ttl, max_ttl, generate_lease, no_store, issuer_ref, not_before_duration },
    ...{ allow_any_name: true, enforce_hostnames: false, require_cn: false, key_type: 'any' },
    ...{ allowed_other_sans: ANYTHING, allowed_serial_numbers: ANYTHING },
    ...{ allowed_uri_sans: ANYTHING, allowed_user_ids: ANYTHING, cn_validations: ['disabled'] },
    ...{ server_flag: false, client_flag: false },
    key_usage: fields.key_usage ?? [],
    ext_key_usage: fields.ext_key_usage ?? [],
    ext_key_usage_oids: fields.ext_key_usage_oids ?? [],
    signature_bits: sizes.signatureBits,
    use_pss: fields.use_pss === true,
    [isPlain]: given(isPlain) || named === undefined ? fields[isPlain] === true : named[isPlain],
  }
}

const ANYTHING: readonly string[] = ['*']

/** The paths, with the arithmetic of the server that they are on. */
export function givingPaths(arithmetic: Arithmetic): PathSpec[] {
  const isOther = ({ storage, prepared: { signed: one }, fields }: Call<Fields, Made>): boolean =>
    roleAt(storage, (fields.role as string | undefined) ?? '') !== one.decided.role
  return ['', 'issuer/{issuer_ref}/'].flatMap(before => [
    path({
      pattern: `${before}issue/{role}`,
      help: {
        synopsis: 'Gives a certificate with a key that is drawn for it.',
        description: 'The key is told once and kept nowhere.',
      },
      fields: issueFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof issueFields, Made>({
          summary: 'Gives a certificate and its key by a role.',
          effect: 'reads',
          answer: shape.object(issuedShape),
          prepare: call => prepareIssue(arithmetic, call),
          puts: ({ signed: one }) => isKept(one),
          run: call => give(call as never, call.fields.role ?? '', isOther(call as never)),
          examples: [{ common_name: 'www.example.com', ttl: '24h' }],
        }),
      },
    }),
    path({
      pattern: `${before}sign/{role}`,
      help: {
        synopsis: 'Gives a certificate for a key that stays where it is.',
        description: 'Names are those of the CSR unless the role says otherwise.',
      },
      fields: signFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof signFields, Made>({
          summary: 'Signs a CSR by a role.',
          effect: 'reads',
          answer: shape.object(signedShape),
          prepare: call => prepareSign(arithmetic, call),
          puts: ({ signed: one }) => isKept(one),
          run: call => give(call as never, call.fields.role ?? '', isOther(call as never)),
        }),
      },
    }),
    ...['sign-verbatim', 'sign-verbatim/{role}'].map(own => verbatimPath(arithmetic, before + own)),
  ])
}

const verbatimPath = (arithmetic: Arithmetic, pattern: string): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Gives a certificate that says what its CSR says.',
      description: 'No role bounds names: it is for those alone who may have any certificate.',
    },
    fields: verbatimFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof verbatimFields, Made>({
        summary: 'Signs a CSR as it stands.',
        effect: 'reads',
        answer: shape.object(signedShape),
        prepare: call => prepareVerbatim(arithmetic, call),
        puts: ({ signed: one }) => isKept(one),
        run(call) {
          const { role: name = '' } = call.fields
          const isGone = name !== '' && roleAt(call.storage, name) === undefined
          return give(call as never, name, isGone)
        },
      }),
    },
  })
