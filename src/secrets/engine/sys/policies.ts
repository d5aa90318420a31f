/**
 * `sys/policies` and `sys/policy`: who may do what.
 *
 * Owns their paths. Names are in lower case however they are written. `root` is everything and has
 * no text; a policy of Vault Enterprise's (Sentinel) is told not to be served.
 */
import { Refusal } from '../../../base/errors.ts'
import {
  type Answer,
  type Call,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
} from '../../declare.ts'
import { bool, dur, int, str } from '../../field.ts'
import { PolicyProblem, parsePolicy, plainText } from '../../policy/mod.ts'
import {
  aclPolicyRows,
  immutablePolicies,
  type PolicyRow,
  policyAt,
  policyName,
  policyNames,
} from '../../policy-rows.ts'
import * as shape from '../../shape.ts'

const fields = {
  name: str('The name, in lower case.'),
  policy: str('The rules: HCL or JSON, or the base64 form of either.'),
  rules: str('What older clients call `policy`.', { isDeprecated: true }),
  cas: int('The version that the write stands on; -1 for none.'),
  cas_required: bool('Whether each write must say the version that it stands on.'),
  ttl: dur('How long the policy holds.'),
  expiration: str('Until when the policy holds, by RFC 3339.'),
  after: str('List only what stands behind this name.'),
  limit: int('List at most so many names; 0 for all.'),
}

type PolicyCall = Call<typeof fields>

const extras = {
  version: shape.int,
  cas_required: shape.bool,
  modified: shape.optional(shape.time),
  expiration: shape.optional(shape.time),
}
const policyShape = shape.object({ name: shape.text, policy: shape.text, ...extras })
const rulesShape = shape.object({ name: shape.text, rules: shape.text, ...extras })

const HELP = {
  synopsis: 'A policy: which paths its holders may use, and how.',
  description:
    'Each block names a path, which may hold wildcards and templates, and the capabilities there. Of several blocks that cover a path the most specific one decides.',
}

/** All paths of this file. */
export const policyPaths: readonly PathSpec[] = [
  path({
    pattern: 'policies/acl',
    help: { synopsis: 'The names of all policies.', description: HELP.description },
    fields,
    access: 'authorized',
    operations: {
      list: { summary: 'Lists policies.', answer: shape.keys, run: call => listed(call, '') },
    },
  }),
  path({
    pattern: 'policies/acl/{name*}',
    help: HELP,
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads a policy.', answer: policyShape, run: readPolicy },
      update: {
        summary: 'Writes a policy.',
        run: writePolicy,
        examples: [{ policy: 'path "secret/data/app/*" { capabilities = ["read"] }' }],
      },
      patch: { summary: 'Changes parts of a policy.', run: patchPolicy },
      delete: { summary: 'Deletes a policy.', run: deletePolicy },
      list: {
        summary: 'Lists policies whose names begin with a folder.',
        answer: shape.keys,
        run: call => listed(call, folderOf(call)),
      },
    },
  }),
  path({
    pattern: 'policies/detailed/acl',
    help: { synopsis: 'All policies.', description: HELP.description },
    fields,
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists policies whole.',
        answer: shape.keys,
        run: call => detailed(call, ''),
      },
    },
  }),
  path({
    pattern: 'policies/detailed/acl/{name*}',
    help: { synopsis: 'All policies below a folder.', description: HELP.description },
    fields,
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists policies whole whose names begin with a folder.',
        answer: shape.keys,
        run: call => detailed(call, folderOf(call)),
      },
    },
  }),
  path({
    pattern: 'policy',
    help: { synopsis: 'The names of all policies, as older clients ask.', description: '' },
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Lists policies.', answer: namesShape(), run: oldList },
      list: { summary: 'Lists policies.', answer: namesShape(), run: oldList },
    },
  }),
  path({
    pattern: 'policy/{name*}',
    help: HELP,
    fields,
    access: 'authorized',
    operations: {
      read: { summary: 'Reads a policy.', answer: rulesShape, run: readRules },
      update: { summary: 'Writes a policy.', run: writeRules },
      delete: { summary: 'Deletes a policy.', run: deletePolicy },
    },
  }),
  ...['rgp', 'egp'].flatMap(sentinelPaths),
]

function namesShape() {
  return shape.object({ keys: shape.texts, policies: shape.texts })
}

const folderOf = ({ fields: { name = '' } }: PolicyCall): string => `${policyName(name)}/`

function namesOf({ draft, namespace }: PolicyCall, folder: string): readonly string[] {
  const names = policyNames(draft, namespace.id)
  // Everything in the namespace and below it: what is below has its root in here.
  const all = namespace.id === 'root' ? [...names, 'root'] : names
  return all.filter(name => name.startsWith(folder)).map(name => name.slice(folder.length))
}

function pageOf({ fields: { after = '', limit = 0 } }: PolicyCall, names: readonly string[]) {
  const sorted = names.toSorted().filter(name => name > after)
  return limit > 0 ? sorted.slice(0, limit) : sorted
}

function listed(call: PolicyCall, folder: string): Answer {
  const keys = pageOf(call, namesOf(call, folder))
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

function oldList(call: PolicyCall): Answer {
  const keys = pageOf(call, namesOf(call, ''))
  return { data: { keys, policies: keys } }
}

function detailed(call: PolicyCall, folder: string): Answer {
  const keys = pageOf(call, namesOf(call, folder))
  if (keys.length === 0) return NOTHING
  const about = keys.map(key => [key, shownPolicy(call, folder + key)] as const)
  return { data: { keys, key_info: Object.fromEntries(about) } }
}

function readPolicy(call: PolicyCall): Outcome {
  const data = shownPolicy(call, policyName(call.fields.name ?? ''))
  return data === undefined ? NOTHING : { data }
}

function readRules(call: PolicyCall): Outcome {
  const data = shownPolicy(call, policyName(call.fields.name ?? ''))
  if (data === undefined) return NOTHING
  const { policy, ...rest } = data
  return { data: { ...rest, rules: policy } }
}

function shownPolicy({ draft, namespace }: PolicyCall, name: string) {
  const row = name === 'root' ? NO_TEXT : policyAt(draft, namespace.id, name)
  if (row === undefined) return undefined
  const { text, version, casRequired, modifiedAtMs, expiresAtMs } = row
  return {
    ...{ name, policy: text, version, cas_required: casRequired },
    ...(modifiedAtMs > 0 ? { modified: new Date(modifiedAtMs).toISOString() } : {}),
    ...(expiresAtMs > 0 ? { expiration: new Date(expiresAtMs).toISOString() } : {}),
  }
}

const NO_TEXT: PolicyRow = {
  ...{ text: '', version: 0, casRequired: false, modifiedAtMs: 0, expiresAtMs: 0 },
}

function writePolicy(call: PolicyCall): Outcome {
  return write(call, call.fields.policy ?? '', undefined, [])
}

function writeRules(call: PolicyCall): Outcome {
  const { policy = '', rules = '' } = call.fields
  if (policy !== '' || rules === '') return write(call, policy, undefined, [])
  return write(call, rules, undefined, ["'rules' is deprecated, please use 'policy' instead"])
}

function patchPolicy(call: PolicyCall): Outcome {
  const { draft, namespace, fields: said } = call
  const before = policyAt(draft, namespace.id, policyName(said.name ?? ''))
  if (before === undefined) return new Refusal(404, 'policy not found')
  return write(call, call.given('policy') ? (said.policy ?? '') : before.text, before, [])
}

/** Writes a policy; what a patch does not say is as it was before. */
function write(
  call: PolicyCall,
  sent: string,
  patched: PolicyRow | undefined,
  warned: readonly string[],
): Outcome {
  const { draft, namespace, fields: said, now } = call
  const name = policyName(said.name ?? '')
  if (name === '') return new Refusal(400, 'policy name must be provided in the URL')
  if (immutablePolicies.includes(name)) {
    return new Refusal(400, `cannot update ${JSON.stringify(name)} policy`)
  }
  if (sent === '') return new Refusal(400, "'policy' parameter not supplied or empty")
  const text = plainText(sent)
  const expiresAtMs = expiryOf(call, patched?.expiresAtMs ?? 0)
  if (expiresAtMs instanceof Refusal) return expiresAtMs
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) return document
  const before = policyAt(draft, namespace.id, name)
  const refused = refuseVersion(call, before, patched)
  if (refused !== undefined) return refused
  const casRequired = call.given('cas_required')
    ? said.cas_required === true
    : (patched?.casRequired ?? false)
  const row: PolicyRow = {
    ...{ text, casRequired, expiresAtMs },
    version: (before?.version ?? 0) + 1,
    modifiedAtMs: now,
  }
  aclPolicyRows(draft, namespace.id).put(name, row)
  const warnings = [
    ...(name === said.name ? [] : [`policy name was converted to ${name}`]),
    ...warned,
  ]
  return warnings.length === 0 ? NOTHING : { warnings }
}

function expiryOf(
  { given, fields: { ttl = 0, expiration = '' }, now }: PolicyCall,
  otherMs: number,
) {
  const hasTtl = given('ttl')
  if (hasTtl && given('expiration')) {
    return new Refusal(400, "cannot supply both 'expiration' and 'ttl' for policies")
  }
  if (!hasTtl && expiration === '') return otherMs
  const atMs = hasTtl ? now + Math.floor(ttl) : timeOf(expiration)
  if (atMs === undefined) {
    return new Refusal(
      400,
      'Field validation failed: error converting input for field "expiration": not a time',
    )
  }
  if (atMs > now) return atMs
  return new Refusal(400, 'refusing to update policy as expiration time has already elapsed')
}

/** RFC 3339, or seconds since 1970. */
function timeOf(value: string): number | undefined {
  if (/^\d{1,11}$/.test(value)) return Number(value) * 1000
  const atMs = TIME.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(atMs) ? undefined : atMs
}

const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[-+]\d\d:\d\d)$/

function refuseVersion(
  call: PolicyCall,
  before: PolicyRow | undefined,
  patched: PolicyRow | undefined,
): Refusal | undefined {
  const { fields: said } = call
  const cas = call.given('cas') ? (said.cas ?? 0) : patched?.version
  if (cas === undefined) {
    const isRequired = before?.casRequired === true || said.cas_required === true
    return isRequired
      ? new Refusal(400, 'check-and-set parameter required for this call')
      : undefined
  }
  // `default` is there before anybody writes it, as version 0.
  const isThere = before !== undefined && before.version > 0
  if (cas === -1) {
    return isThere
      ? new Refusal(400, 'check-and-set parameter set to -1 on existing entry')
      : undefined
  }
  return cas === (before?.version ?? 0)
    ? undefined
    : new Refusal(400, 'check-and-set parameter did not match the current version')
}

function deletePolicy({ draft, namespace, fields: { name: said = '' } }: PolicyCall): Outcome {
  const name = policyName(said)
  if (immutablePolicies.includes(name)) {
    return new Refusal(400, `cannot delete ${JSON.stringify(name)} policy`)
  }
  if (name === 'default') return new Refusal(400, 'cannot delete default policy')
  aclPolicyRows(draft, namespace.id).delete(name)
  return NOTHING
}

/** Policies in Sentinel's language. */
function sentinelPaths(type: string): PathSpec[] {
  const run = () => new Refusal(501, `not served yet: ${type} policies`)
  const help = {
    synopsis: `Not served: policies in Sentinel's language (${type}).`,
    description: '',
  }
  const summary = 'Not served yet.'
  return [
    path({
      ...{ pattern: `policies/${type}`, help, fields: {}, access: 'authorized' as const },
      operations: { list: { summary, run } },
    }),
    path({
      pattern: `policies/${type}/{name}`,
      ...{ help, access: 'authorized' as const },
      fields: { name: fields.name },
      takesAnyField: true,
      operations: {
        read: { summary, run },
        update: { summary, run },
        delete: { summary, run },
      },
    }),
  ]
}
