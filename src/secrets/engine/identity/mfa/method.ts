/**
 * The paths of methods: `identity/mfa/method` and one folder for each type.
 *
 * Owns their declarations, what is wrong with a method that is written, and that one goes only once
 * no enforcement names it. Pure. Follows api-docs/secret/identity/mfa of Vault's docs.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { bool, dur, type Fields, int, str } from '../../../field.ts'
import { enforcementsOf } from '../../../mfa/enforcement.ts'
import { pingidSettings } from '../../../mfa/factor/settings.ts'
import {
  type MethodRow,
  type MethodType,
  methodRows,
  methodsFor,
  methodsOf,
  showMethod,
  visibleMethod,
} from '../../../mfa/method.ts'
import { forgetMethod } from '../../../mfa/secret.ts'
import { totpAlgorithms } from '../../../mfa/totp.ts'
import { namespacesUnder } from '../../../namespace/change.ts'
import * as shape from '../../../shape.ts'
import { infoAnswer } from '../entity.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const idField = { method_id: str('The id of the method.') }
const commonFields = { ...idField, method_name: str('A name, one in its namespace.') }
const usernameField = {
  username_format: str(
    'What the service knows somebody by, with templates over his identity; the name of his entity where it is empty.',
  ),
}
const DEFAULT_PERIOD_MS = 30_000
const DEFAULT_KEY_SIZE_BYTES = 20
const DEFAULT_QR_PIXELS = 200
const DEFAULT_DIGITS = 6
const LONG_DIGITS = 8
const DEFAULT_ATTEMPTS = 5

const totpFields = {
  ...commonFields,
  issuer: str('Who gives the secrets, as apps show it.'),
  period: dur('How long a passcode holds.', { initial: DEFAULT_PERIOD_MS }),
  key_size: int('The size of keys in bytes.', { initial: DEFAULT_KEY_SIZE_BYTES }),
  qr_size: int('The edge of the picture in pixels; 0 for none.', { initial: DEFAULT_QR_PIXELS }),
  algorithm: str('`SHA1`, `SHA256` or `SHA512`.', { initial: 'SHA1' }),
  digits: int('6 or 8.', { initial: DEFAULT_DIGITS }),
  skew: int('Whether the passcodes before and behind are taken too: 0 or 1.', { initial: 1 }),
  max_validation_attempts: int('How often somebody may try within a period.'),
}
const duoFields = {
  ...commonFields,
  ...usernameField,
  secret_key: str('The secret key of the application.', { isSecret: true }),
  integration_key: str('Its integration key.', { isSecret: true }),
  api_hostname: str('The host of the API.'),
  push_info: str('What a push shows beside, as a query string.'),
  use_passcode: bool('Whether clients are told to ask for a passcode.'),
}
const oktaFields = {
  ...commonFields,
  ...usernameField,
  org_name: str('The name of the organisation: the first part of its host.'),
  api_token: str('A token of the API.', { isSecret: true }),
  base_url: str('What stands behind the name: `okta.com` unless given.'),
  primary_email: bool('Whether the name is that of the primary email.'),
  production: bool('Whether it is no preview; older than `base_url`.', { isDeprecated: true }),
}
const pingidFields = {
  ...commonFields,
  ...usernameField,
  settings_file_base64: str('The settings file that PingID gives, in base64.', { isSecret: true }),
}

type Config<T extends MethodType> = Extract<MethodRow, { type: T }>['config']
type Given<F extends Fields> = Call<F>['fields']

function totpConfig(said: Given<typeof totpFields>): Config<'totp'> | Refusal {
  const { issuer = '', period: periodMs = 0, skew = 0, digits = 0 } = said
  const { key_size: keySizeBytes = 0, qr_size: qrPixels = 0 } = said
  const { max_validation_attempts: attempts = 0 } = said
  const algorithm = totpAlgorithms.find(one => one === said.algorithm)
  if (algorithm === undefined) return bad('unrecognized algorithm')
  if (![DEFAULT_DIGITS, LONG_DIGITS].includes(digits)) return bad('digits can only be 6 or 8')
  const periodS = Math.floor(periodMs / 1_000)
  if (periodS <= 0) return bad('period must be greater than zero')
  if (periodMs > limits.mfaPeriodMaxMs) return bad('period must not be longer than a day')
  if (skew !== 0 && skew !== 1) return bad('skew must be 0 or 1')
  if (keySizeBytes <= 0) return bad('key_size must be greater than zero')
  const tooLarge = `key_size must not be greater than ${limits.mfaKeySizeBytes}`
  if (keySizeBytes > limits.mfaKeySizeBytes) return bad(tooLarge)
  if (issuer === '') return bad('issuer must be set')
  if (!isName(issuer)) return bad(`issuer ${UNFIT_NAME}`)
  if (attempts < 0) return bad('max_validation_attempts must be greater than zero')
  const tooMany = `max_validation_attempts must not be greater than ${limits.mfaAttempts}`
  if (attempts > limits.mfaAttempts) return bad(tooMany)
  if (qrPixels < 0 || qrPixels > limits.mfaQrPixels) {
    return bad(`qr_size must be between 0 and ${limits.mfaQrPixels}`)
  }
  const maxAttempts = attempts || DEFAULT_ATTEMPTS
  return { algorithm, digits, issuer, keySizeBytes, maxAttempts, periodS, qrPixels, skew }
}

function duoConfig(said: Given<typeof duoFields>): Config<'duo'> | Refusal {
  const { secret_key: secretKey = '', integration_key: integrationKey = '' } = said
  const { api_hostname: apiHostname = '', push_info: pushInfo = '' } = said
  if (secretKey === '') return bad('secret_key is empty')
  if (integrationKey === '') return bad('integration_key is empty')
  if (apiHostname === '') return bad('api_hostname is empty')
  if (!HOST.test(apiHostname)) return bad('api_hostname is no name of a host')
  const { use_passcode: usePasscode = false } = said
  return { secretKey, integrationKey, apiHostname, pushInfo, usePasscode }
}

function oktaConfig(said: Given<typeof oktaFields>): Config<'okta'> | Refusal {
  const { org_name: orgName = '', api_token: apiToken = '', base_url: asked = '' } = said
  if (orgName === '') return bad('org_name must be set')
  if (apiToken === '') return bad('api_token must be set')
  const baseUrl = asked || (said.production === false ? 'oktapreview.com' : 'okta.com')
  if (!HOST.test(`${orgName}.${baseUrl}`)) return bad('error parsing given base_url: no host')
  return { orgName, apiToken, baseUrl, primaryEmail: said.primary_email ?? false }
}

function pingidConfig(said: Given<typeof pingidFields>): Config<'pingid'> | Refusal {
  const read = pingidSettings(said.settings_file_base64 ?? '')
  return 'wrong' in read ? bad(read.wrong) : read
}

/** A name of the DNS, perhaps with a port: nothing that would lead elsewhere in a URL. */
const HOST =
  /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d{1,5})?$/

const isName = (name: string): boolean =>
  name.length <= limits.mfaNameChars && !/\p{Cc}/u.test(name)
const UNFIT_NAME = `must have at most ${limits.mfaNameChars} characters, none of them control ones`

/** What a kind of method is declared by. */
interface Kind<F extends Fields> {
  readonly type: MethodType
  readonly fields: F
  readonly help: string
  readonly example: Readonly<Record<string, unknown>>
  config(said: Given<F>): MethodRow['config'] | Refusal
}

type MethodCall = Call<typeof commonFields>

/** Makes or changes a method: all of it but its name is as the request says. */
function write<F extends typeof commonFields>(call: Call<F>, kind: Kind<F>): Outcome {
  const { draft, namespace } = call
  const { method_id: id = '', method_name: name = '' } = (call as unknown as MethodCall).fields
  const own = methodsOf(draft, namespace.id)
  const byId = visibleMethod(draft, namespace, id)
  if (id !== '' && byId === undefined) return { status: 404, errors: [] }
  const byName = name === '' ? undefined : own.find(one => one.name === name)
  if (byId !== undefined && byName !== undefined && byId.id !== byName.id) {
    return bad(`a login MFA method configuration with the method name ${name} already exists`)
  }
  const before = byId ?? byName
  const refused = refuseWrite(before, kind.type, namespace.id)
  if (refused !== undefined) return refused
  if (!isName(name)) return bad(`method_name ${UNFIT_NAME}`)
  const format = (call.fields as { username_format?: string }).username_format
  if ((format ?? '').length > limits.mfaUsernameChars) {
    return bad(`username_format is longer than ${limits.mfaUsernameChars} characters`)
  }
  if (before === undefined && own.length >= limits.mfaMethods) {
    return bad(`a namespace has at most ${limits.mfaMethods} MFA methods`)
  }
  const config = kind.config(call.fields)
  if (config instanceof Refusal) return config
  const row = {
    id: before?.id ?? draft.random.uuid(),
    name: name || (before?.name ?? ''),
    namespaceId: namespace.id,
    usernameFormat: format ?? before?.usernameFormat ?? '',
    type: kind.type,
    config,
  } as MethodRow
  methodRows(draft, namespace.id).put(row.id, row)
  return id === '' ? { data: { method_id: row.id } } : NOTHING
}

/** The refusal of another's method, or of one of another type. */
function refuseWrite(
  before: MethodRow | undefined,
  type: MethodType,
  namespaceId: string,
): Refusal | undefined {
  if (before === undefined) return undefined
  if (before.namespaceId !== namespaceId) {
    return bad('request namespace does not match method namespace')
  }
  return before.type === type ? undefined : ofOtherType(type)
}

const ofOtherType = (type: MethodType): Refusal =>
  bad(`failed to find the method ID under MFA type ${type}.`)

function read({ draft, namespace, fields }: MethodCall, type?: MethodType): Outcome {
  const method = visibleMethod(draft, namespace, fields.method_id ?? '')
  if (method === undefined) return NOTHING
  if (type !== undefined && method.type !== type) return ofOtherType(type)
  return { data: showMethod(draft, method) }
}

function list({ draft, namespace }: Call, type?: MethodType): Outcome {
  const methods = methodsFor(draft, namespace).filter(one => (type ?? one.type) === one.type)
  return infoAnswer(methods.map(method => [method.id, showMethod(draft, method)]))
}

/** Takes a method away, and then all secrets that were made for it. */
function remove({ draft, namespace, fields }: MethodCall, type: MethodType): Outcome {
  const id = fields.method_id ?? ''
  const method = visibleMethod(draft, namespace, id)
  if (method === undefined) return NOTHING
  if (method.type !== type) return bad('method type does not match the MFA config type')
  if (method.namespaceId !== namespace.id) {
    return bad('request namespace does not match method namespace')
  }
  const homes = [namespace, ...namespacesUnder(draft, namespace, true)]
  const users = homes.flatMap(home => enforcementsOf(draft, home.id))
  const user = users.find(({ methodIds }) => methodIds.includes(id))
  if (user !== undefined) {
    return bad(`methodID is still used by an enforcement configuration with ID: ${user.id}`)
  }
  methodRows(draft, namespace.id).delete(id)
  return forgetMethod(draft, id) ? NOTHING : { rest: inside => forgetMethod(inside, id) }
}

const READS = 'Reads a method, without its secrets.'

/** The paths of one type of method. */
function pathsOf<F extends typeof commonFields>(kind: Kind<F>): PathSpec[] {
  const { type, fields, help, example } = kind
  const written = shape.object({ method_id: shape.text })
  const run = (call: Call<F>): Outcome => write(call, kind)
  const own = (call: Call<F>): MethodCall => call as unknown as MethodCall
  return [
    path({
      pattern: `mfa/method/${type}`,
      help: { synopsis: help, description: 'Makes one, or changes the one of that name.' },
      fields,
      access: 'authorized',
      operations: {
        update: {
          ...{ summary: 'Makes a method, or changes that of a name.', answer: written, run },
          examples: [example],
        },
        list: {
          summary: `Lists the methods of type ${type}.`,
          answer: shape.keys,
          run: call => list(call as unknown as Call, type),
        },
      },
    }),
    path({
      pattern: `mfa/method/${type}/{method_id}`,
      help: { synopsis: help, description: 'Reads, changes or deletes one.' },
      fields,
      access: 'authorized',
      operations: {
        read: { summary: READS, answer: shape.anyObject, run: call => read(own(call), type) },
        update: { summary: 'Changes a method.', answer: written, run },
        delete: {
          summary: 'Deletes a method that no enforcement names.',
          run: call => remove(own(call), type),
        },
      },
    }),
  ]
}

const methodNames = {
  pattern: 'mfa/method',
  help: { synopsis: 'All methods.', description: 'Also those of namespaces that this one is in.' },
  fields: {},
  access: 'authorized' as const,
  operations: {
    list: { summary: 'Lists all methods.', answer: shape.keys, run: (call: Call) => list(call) },
  },
}

const methodOfAnyType = {
  pattern: 'mfa/method/{method_id}',
  help: { synopsis: 'A method, whatever its type.', description: READS },
  fields: idField,
  access: 'authorized' as const,
  operations: {
    read: {
      summary: READS,
      answer: shape.anyObject,
      run: (call: Call<typeof idField>) => read(call as unknown as MethodCall),
    },
  },
}

export const methodPaths: readonly PathSpec[] = [
  path(methodNames),
  path(methodOfAnyType),
  ...pathsOf({
    type: 'totp',
    fields: totpFields,
    help: 'Passcodes of an app.',
    example: { method_name: 'phone', issuer: 'example' },
    config: totpConfig,
  }),
  ...pathsOf({
    type: 'duo',
    fields: duoFields,
    help: 'Duo: a push, or a passcode.',
    example: {
      ...{ method_name: 'duo', api_hostname: 'api-1.duosecurity.com' },
      ...{ secret_key: 'a-secret', integration_key: 'a-key' },
    },
    config: duoConfig,
  }),
  ...pathsOf({
    type: 'okta',
    fields: oktaFields,
    help: 'Okta: a push.',
    example: { method_name: 'okta', org_name: 'example', api_token: 'a-token' },
    config: oktaConfig,
  }),
  ...pathsOf({
    type: 'pingid',
    fields: pingidFields,
    help: 'PingID: a push.',
    example: { method_name: 'ping', settings_file_base64: 'dG9rZW49YQo=' },
    config: pingidConfig,
  }),
]
