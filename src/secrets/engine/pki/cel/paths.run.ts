/**
 * The paths of roles that are programs: `cel/roles`, `cel/issue` and `cel/sign`.
 *
 * Owns their declarations, and how what a program says becomes a certificate. A program decides
 * alone on names; times are held against the mount and the issuer as all are.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import type { AnyRequest } from '../../../../x509/csr.ts'
import {
  type Call,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
  prepared,
} from '../../../declare.ts'
import { bool, dur, type Fields, int, type JsonObject, map, str } from '../../../field.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { dataOf } from '../issue/answer.ts'
import { issuedShape, signedShape } from '../issue/fields.ts'
import {
  CHANGED,
  complete,
  type Decided,
  isKept,
  keep,
  refuseChanged,
  type Signed,
  signed,
} from '../issue/give.ts'
import { type DrawnKey, drawKey } from '../issue/key.ts'
import { csrIn, refuseKey } from '../issue/wanted.ts'
import { issuerForIssuing } from '../issuer/stored.ts'
import type { PkiPorts } from '../ports.ts'
import { bad } from '../refusals.ts'
import { DEFAULTS, isRoleName, keySizes, type RoleRow } from '../role/row.ts'
import { BOTH, momentText } from '../role/times.ts'
import { contentOf } from './content.ts'
import { csrFacts } from './csr.ts'
import {
  CEL_ROLES,
  type CelOutput,
  type CelProgram,
  type CelTemplate,
  celRoleAt,
  compiledOf,
  programOf,
} from './row.ts'

const roleFields = {
  name: str('The name of the role.'),
  cel_program: map('Variables with their expressions, in order, and the last expression.'),
}
type RoleCall = Call<typeof roleFields>

const common = {
  role: str('The role that is asked.'),
  ttl: dur('How long it is valid, where the program does not say.', { initial: 0 }),
  not_before: str('From when it is valid, where the program does not say.', { initial: '' }),
  not_after: str('Until when it is valid, where the program does not say.', { initial: '' }),
  not_before_duration: int('How many seconds before now it begins, where nobody says.', {
    initial: 30,
  }),
  remove_roots_from_chain: bool('Whether the chain is told without who signed itself.', {
    initial: false,
  }),
  signature_bits: int('What the program may look at.'),
  use_pss: bool('What the program may look at.'),
}
const issueFields = {
  ...common,
  key_type: str('What the program may look at.'),
  key_bits: int('What the program may look at.'),
}
const signFields = { ...common, csr: str('The certificate signing request, in PEM.') }
type GivingCall = Call<typeof common>
type SignCall = Call<typeof signFields>

const programShape = shape.object({
  variables: shape.optional(shape.list(shape.object({ name: shape.text, expression: shape.text }))),
  expression: shape.text,
})
const roleShape = shape.object({ name: shape.text, cel_program: programShape })

/** The paths, with what of the server they need. */
export const celPaths = (ports: PkiPorts): PathSpec[] => [
  listPath,
  rolePath(ports),
  ...givingPaths(ports),
]

const listPath = path({
  pattern: 'cel/roles',
  help: { synopsis: 'Lists roles that are programs.', description: 'By their names.' },
  fields: {
    after: str('List only what stands behind this name.'),
    limit: int('List at most so many; 0 for all.'),
  },
  access: 'authorized',
  operations: {
    list: {
      summary: 'Lists the names of roles.',
      answer: shape.keys,
      run({ storage, fields: { after = '', limit = 0 } }) {
        const names = storage.list(CEL_ROLES, { after, limit })
        return names.length === 0 ? NOTHING : { data: { keys: names } }
      },
    },
  },
})

const rolePath = (ports: PkiPorts): PathSpec =>
  path({
    pattern: 'cel/roles/{name}',
    help: {
      synopsis: 'A program that makes a certificate of a request, or refuses it.',
      description:
        'Its last expression gives a ValidationOutput, or a text that says why there is none.',
    },
    fields: roleFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads a role.',
        answer: roleShape,
        run({ storage, fields: { name = '' } }) {
          const program = celRoleAt(storage, name)
          return program === undefined ? NOTHING : { data: { name, cel_program: program } }
        },
      },
      update: {
        summary: 'Makes a role, or replaces it.',
        answer: roleShape,
        run: call => write(ports, call, call.fields.cel_program),
      },
      patch: {
        summary: 'Changes what is said of a role.',
        answer: roleShape,
        run(call) {
          const { name = '', cel_program: said = {} } = call.fields
          const before = celRoleAt(call.storage, name)
          if (before === undefined) return bad('Unable to fetch cel role entry to patch')
          return write(ports, call, { ...(before as unknown as JsonObject), ...said })
        },
      },
      delete: {
        summary: 'Deletes a role; what it gave stays.',
        run({ storage, fields: { name = '' } }) {
          if (isRoleName(name)) storage.delete(CEL_ROLES + name)
          return NOTHING
        },
      },
    },
  })

const givingPaths = (ports: PkiPorts): PathSpec[] => [
  path({
    pattern: 'cel/issue/{role}',
    help: {
      synopsis: 'Gives a certificate with a key that is drawn for it, by a program.',
      description: 'The whole of the request is what the program looks at.',
    },
    fields: issueFields,
    access: 'authorized',
    takesAnyField: true,
    operations: {
      update: prepared<typeof issueFields, Made>({
        summary: 'Gives a certificate and its key by a program.',
        effect: 'reads',
        answer: shape.object(issuedShape),
        prepare: call => prepareIssue(ports, call as unknown as GivingCall),
        puts: ({ signed: one }) => isKept(one),
        run: call => give(call as never),
      }),
    },
  }),
  path({
    pattern: 'cel/sign/{role}',
    help: {
      synopsis: 'Gives a certificate for the key of a CSR, by a program.',
      description: 'The program sees the CSR as `parsed_csr`; nothing of it is taken by itself.',
    },
    fields: signFields,
    access: 'authorized',
    takesAnyField: true,
    operations: {
      update: prepared<typeof signFields, Made>({
        summary: 'Signs the key of a CSR by a program.',
        effect: 'reads',
        answer: shape.object(signedShape),
        prepare: call => prepareSign(ports, call),
        puts: ({ signed: one }) => isKept(one),
        run: call => give(call as never),
      }),
    },
  }),
]

function write(ports: PkiPorts, call: RoleCall, said: JsonObject | undefined): Outcome {
  const { storage, fields } = call
  const { name = '' } = fields
  if (!isRoleName(name)) return UNSUPPORTED_PATH
  const program = programOf(said)
  if (program instanceof Refusal) return program
  const compiled = ports.programs.compile(program)
  if (typeof compiled === 'string') return bad(`invalid cel_program: ${compiled}`)
  storage.put(CEL_ROLES + name, program)
  return { data: { name, cel_program: program } }
}

/** A certificate that waits for its transaction. */
interface Made {
  readonly program: CelProgram
  readonly signed: Signed
  readonly data: Readonly<Record<string, unknown>>
  readonly warnings: readonly string[]
}

/** What a program decided on a request. */
interface Judged {
  readonly program: CelProgram
  readonly output: CelOutput
  readonly template: CelTemplate
}

function judge(ports: PkiPorts, call: GivingCall, csr?: AnyRequest): Judged | Refusal {
  const { storage, data, now, fields } = call
  const { role: name = '', ttl = 0, not_after: notAfter = '' } = fields
  const program = celRoleAt(storage, name)
  if (program === undefined) return bad('CEL role not found')
  if (ttl > 0 && notAfter !== '') return BOTH
  const compiled = compiledOf(ports.programs, program)
  if (compiled instanceof Refusal) return compiled
  if (JSON.stringify(data, withoutBigints).length > limits.celRequestChars) {
    return bad(`a program looks at no more than ${limits.celRequestChars} characters of a request`)
  }
  const output = compiled.run({ request: data, nowMs: now, csr: csr && csrFacts(csr) })
  if (typeof output === 'string') return bad(output)
  const { template } = output
  return template === undefined ? bad('template is nil') : { program, output, template }
}

const withoutBigints = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value

const LAST_S = 253_402_300_799n

/** A moment of a program, as requests write them; '' for none. */
function momentOf(moment: CelTemplate['NotBefore']): string | Refusal {
  if (moment === undefined) return ''
  const { seconds, nanos } = moment
  const isWithin = seconds >= 0n && seconds <= LAST_S
  return isWithin
    ? momentText(Number(seconds) * 1_000 + Math.floor(nanos / 1_000_000))
    : bad('a moment that no certificate can say')
}

/** What of roles that are no programs is meant by what a program says. */
function roleOf({ output }: Judged, call: GivingCall, signatureBits: number): RoleRow {
  return {
    ...DEFAULTS,
    not_before_duration: Math.max(0, call.fields.not_before_duration ?? 30) * 1_000,
    generate_lease: output.generateLease && !output.noStore,
    no_store: output.noStore,
    use_pss: output.usePss,
    signature_bits: signatureBits,
  }
}

function decided(judged: Judged, call: GivingCall, signatureBits: number): Decided | Refusal {
  const { template, output } = judged
  const { storage, fields } = call
  const issuer = issuerForIssuing(storage, output.issuerRef === '' ? 'default' : output.issuerRef)
  if (issuer instanceof Refusal) return issuer
  const notBefore = momentOf(template.NotBefore)
  if (notBefore instanceof Refusal) return notBefore
  const notAfter = momentOf(template.NotAfter)
  if (notAfter instanceof Refusal) return notAfter
  const says = contentOf(template)
  if (says instanceof Refusal) return says
  const { isAuthority } = says
  if (isAuthority && issuer.certificate.pathLength === 0) return NO_AUTHORITIES
  const keyId = output.subjectKeyId
  const role = roleOf(judged, call, signatureBits)
  const times = {
    ttlMs: notAfter === '' ? (fields.ttl ?? 0) : 0,
    notBefore: notBefore === '' ? (fields.not_before ?? '') : notBefore,
    notAfter: notAfter === '' ? (fields.not_after ?? '') : notAfter,
  }
  return complete(
    call,
    issuer,
    { role, times },
    {
      ...says,
      ...(keyId.length > 0 && { subjectKeyId: Buffer.from(keyId) }),
    },
  )
}

const NO_AUTHORITIES = bad(
  'signing certificate has a max path length of zero, and cannot issue further CA certificates',
)

async function prepareIssue(ports: PkiPorts, call: GivingCall): Promise<Made | Refusal> {
  const judged = judge(ports, call)
  if (judged instanceof Refusal) return judged
  const { keyType, keyBits, signatureBits } = judged.output
  const type = keyType === '' ? 'rsa' : keyType
  const sizes = keySizes(type, Number(keyBits), signatureBits)
  if (sizes instanceof Refusal || type === 'any') {
    const why = sizes instanceof Refusal ? sizes.text : 'unknown key type any'
    return bad(`invalid cel response for key type, key bits, or signature bits: ${why}`)
  }
  const content = decided(judged, call, sizes.signatureBits)
  if (content instanceof Refusal) return content
  const key = await drawKey(ports.arithmetic, { type, bits: sizes.keyBits })
  return made(ports, call, judged, content, key.spki, key)
}

async function prepareSign(ports: PkiPorts, call: SignCall): Promise<Made | Refusal> {
  const csr = csrIn(call.fields.csr ?? '')
  if (csr instanceof Refusal) return csr
  const refused = refuseKey({ ...DEFAULTS, key_type: 'any' }, csr.publicKey)
  if (refused !== undefined) return refused
  const giving = call as unknown as GivingCall
  const judged = judge(ports, giving, csr)
  if (judged instanceof Refusal) return judged
  const sizes = keySizes('rsa', 0, judged.output.signatureBits)
  if (sizes instanceof Refusal) return sizes
  const content = decided(judged, giving, sizes.signatureBits)
  if (content instanceof Refusal) return content
  return made(ports, giving, judged, content, csr.spki)
}

async function made(
  { arithmetic }: PkiPorts,
  { storage, fields }: GivingCall,
  { program, output }: Judged,
  content: Decided,
  spki: Buffer,
  key?: DrawnKey,
): Promise<Made | Refusal> {
  const outcome = await signed(arithmetic, content, spki)
  if (outcome instanceof Refusal) return outcome
  const isRootless = fields.remove_roots_from_chain === true
  const form = { format: 'pem', privateKeyFormat: 'der', isRootless }
  const warnings = [...output.warnings.filter(text => text !== ''), ...content.warnings]
  return { program, signed: outcome, data: dataOf(storage, outcome, form, key), warnings }
}

function give(call: Call<Fields, Made>): Outcome {
  const { program, signed: certificate, data, warnings } = call.prepared
  const name = (call.fields.role as string | undefined) ?? ''
  if (celRoleAt(call.storage, name) !== program) return CHANGED
  const refused = refuseChanged(call, certificate.decided)
  if (refused !== undefined) return refused
  const lease = keep(call, certificate, name)
  return { data, ...(lease !== undefined && { lease }), warnings }
}
