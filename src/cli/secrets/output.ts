/**
 * How the verbs of secrets print what they got: as a table, as JSON, as YAML, or one field of it.
 *
 * Owns the layouts, which are Vault's: scripts cut values out of them. Warnings of a server go to
 * stderr, so that stdout holds data alone.
 */
import type { Call } from '../command.ts'
import { exactJson } from '../json.ts'
import { Failure } from './failure.ts'
import { given, isGiven } from './flags.ts'
import { type Auth, type Data, isData, keysOf, type Secret, valueIn } from './secret.ts'
import { headedTable, wrapped } from './table.ts'
import { goText, isDurationKey, quotedList, secondsText, timeText } from './values.ts'
import { yamlText } from './yaml.ts'

const formats = ['table', 'json', 'yaml', 'yml', 'pretty', 'raw'] as const
type Format = (typeof formats)[number]

/** The format that is asked for. Throws Failure for one that does not exist. */
export function formatOf(call: Call): Format {
  const text = (given(call, 'format', 'VAULT_FORMAT') ?? 'table').toLowerCase()
  const format = formats.find(name => name === text)
  if (format === undefined) throw new Failure(`Invalid output format: ${text}`, 1)
  return format
}

/** Whether people read it. */
export const isTable = (call: Call): boolean => formatOf(call) === 'table'

/** Whether a list is to say all that it knows. */
const isDetailed = (call: Call): boolean => isGiven(call, 'detailed', 'VAULT_DETAILED')

/** Prints an answer, or its field where one is asked for; gives the exit code. */
export function printSecret(call: Call, secret: Secret): number {
  const field = call.flags.text('field')
  if (field) return printField(call, secret, field)
  if (!isTable(call)) return printAs(call, secret)
  printWarnings(call, secret)
  const rows = rowsOf(secret)
  if (rows.length > 0) call.io.print(headedTable(['Key', 'Value'], rows))
  return 0
}

/** Prints what was done in a table, and nothing where data is asked for. */
export function printDone(call: Call, text: string): number {
  if (isTable(call)) call.io.print(text)
  return 0
}

/** Prints an answer, or that there is none. */
export function printAnswer(call: Call, secret: Secret | undefined, done: string): number {
  return secret === undefined ? printDone(call, done) : printSecret(call, secret)
}

/** Prints data that stands in no envelope; gives the exit code. */
export function printData(call: Call, data: unknown): number {
  if (!isTable(call)) return printAs(call, data)
  if (isData(data)) {
    const rows = pairRows(data)
    if (rows.length > 0) call.io.print(headedTable(['Key', 'Value'], rows))
  } else if (Array.isArray(data)) {
    for (const each of data) call.io.print(goText(each))
  } else {
    call.io.print(goText(data))
  }
  return 0
}

/** Prints a listing, or that there is none; gives the exit code. */
export function printListing(call: Call, secret: Secret | undefined, path: string): number {
  if (secret?.wrap_info?.ttl) return printSecret(call, secret)
  const keys = keysOf(secret)
  if (!isTable(call)) {
    if (secret === undefined || keys === undefined) {
      printAs(call, {})
      return 2
    }
    return printAs(call, isDetailed(call) ? secret : keys)
  }
  if (secret === undefined) return complain(call, `No value found at ${path}`)
  if (secret.data === null) return printSecret(call, secret)
  if (keys === undefined) return complain(call, `No entries found at ${path}`)
  return printKeys(call, secret)
}

/** Prints the names of a listing, each with what is known of it where that is asked for. */
export function printKeys(call: Call, secret: Secret): number {
  printWarnings(call, secret)
  const keys = (keysOf(secret) ?? []).map(goText).sort()
  if (keys.length === 0) return 0
  const info = isDetailed(call) ? valueIn(secret.data, 'key_info') : undefined
  const infoOf = (key: string): Data | undefined => {
    const found = isData(info) ? valueIn(info, key) : undefined
    return isData(found) ? found : undefined
  }
  const heads = [...new Set(keys.flatMap(key => Object.keys(infoOf(key) ?? {})))].sort()
  const rows = keys.map(key => {
    const found = infoOf(key)
    return [key, ...heads.map(head => cellOf(head, valueIn(found, head), found !== undefined))]
  })
  call.io.print(headedTable(['Keys', ...heads], rows))
  return 0
}

const cellOf = (key: string, value: unknown, isKnown: boolean): string =>
  !isKnown || value === undefined ? '' : isDurationKey(key) ? secondsText(value) : goText(value)

/** Prints one field, as it is where people or shells read it; gives the exit code. */
export function printField(call: Call, source: Secret | Data, field: string): number {
  const isSecret = 'request_id' in source && 'lease_id' in source
  const value = isSecret ? fieldOf(source as Secret, field) : valueIn(source as Data, field)
  if (value === null || value === undefined) {
    const what = isSecret ? 'secret' : 'map'
    return complain(call, `Field ${JSON.stringify(field)} not present in ${what}`, 1)
  }
  if (isSecret && isTable(call)) printWarnings(call, source as Secret)
  const format = formatOf(call)
  if (format === 'table' || format === 'raw') return printRaw(call, goText(value))
  if (format === 'json') return printRaw(call, exactJson(value))
  return printRaw(call, yamlText(value))
}

/** A text without a line end, so that a shell has it as it is; with one on a terminal. */
export function printRaw({ io }: Call, text: string): number {
  if (io.isTerminal) io.print(text)
  else io.write(Buffer.from(text))
  return 0
}

/** Prints an error and gives the exit code: that of the server's errors, unless told otherwise. */
export function complain({ io }: Call, text: string, code = 2): number {
  io.printError(text)
  return code
}

/** What the server warns of. */
export function printWarnings({ io, program }: Call, { warnings }: Pick<Secret, 'warnings'>): void {
  if (!warnings?.length) return
  const server = program === 'bao' ? 'OpenBao' : 'Vault'
  io.printError(`WARNING! The following warnings were returned from ${server}:\n`)
  for (const warning of warnings) {
    io.printError(wrapped(`* ${warning}`, 2))
    io.printError('')
  }
}

function printAs(call: Call, data: unknown): number {
  switch (formatOf(call)) {
    case 'json':
      call.io.print(exactJson(inOrder(data)))
      return 0
    case 'yaml':
    case 'yml':
      call.io.print(yamlText(data))
      return 0
    case 'raw':
      return complain(call, 'This command does not support the -format=raw option.', 1)
    default:
      return complain(
        call,
        'Could not parse output: cannot use the pretty formatter for this type',
        1,
      )
  }
}

/** Maps that users and servers fill in the order of their keys; what is declared keeps its own. */
function inOrder(value: unknown): unknown {
  if (!isData(value)) return value
  const entries = Object.entries(value)
  return Object.fromEntries(
    entries.map(([key, each]) => [key, DECLARED.has(key) ? each : sorted(each)]),
  )
}

/** The parts of an envelope whose keys are declared. */
const DECLARED = new Set(['auth', 'wrap_info'])

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isData(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map(key => [key, sorted(value[key])]))
}

function fieldOf(secret: Secret, field: string): unknown {
  const { auth, wrap_info: wrap } = secret
  const known: Record<string, unknown> = auth
    ? {
        token: auth.client_token,
        token_accessor: auth.accessor,
        token_duration: auth.lease_duration,
        token_renewable: auth.renewable,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        policies: auth.policies,
      }
    : wrap
      ? {
          wrapping_token: wrap.token,
          wrapping_accessor: wrap.accessor,
          wrapping_token_ttl: wrap.ttl,
          wrapping_token_creation_time: wrap.creation_time,
          wrapping_token_creation_path: wrap.creation_path,
          wrapped_accessor: wrap.wrapped_accessor,
        }
      : {
          lease_duration: secret.lease_duration,
          lease_id: secret.lease_id,
          request_id: secret.request_id,
          renewable: secret.renewable,
          refresh_interval: secret.lease_duration,
          data: valueIn(secret.data, 'data') ?? secret.data,
        }
  return Object.hasOwn(known, field) ? known[field] : valueIn(secret.data, field)
}

function rowsOf(secret: Secret): string[][] {
  const { lease_duration, lease_id, renewable, auth, wrap_info, data } = secret
  const lease =
    lease_duration <= 0
      ? []
      : lease_id === ''
        ? [['refresh_interval', secondsText(lease_duration)]]
        : [
            ['lease_id', lease_id],
            ['lease_duration', secondsText(lease_duration)],
            ['lease_renewable', String(renewable)],
          ]
  const wrap = wrap_info
    ? [
        ['wrapping_token:', wrap_info.token],
        ['wrapping_accessor:', wrap_info.accessor],
        ['wrapping_token_ttl:', secondsText(wrap_info.ttl)],
        ['wrapping_token_creation_time:', timeText(wrap_info.creation_time)],
        ['wrapping_token_creation_path:', wrap_info.creation_path],
        ...(wrap_info.wrapped_accessor ? [['wrapped_accessor:', wrap_info.wrapped_accessor]] : []),
      ]
    : []
  return [...lease, ...(auth ? authRows(auth) : []), ...wrap, ...pairRows(data ?? {})]
}

function authRows(auth: Auth): string[][] {
  if (auth.mfa_requirement) {
    const { mfa_request_id, mfa_constraints } = auth.mfa_requirement
    const methods = Object.entries(mfa_constraints).flatMap(([name, { any }]) =>
      any.flatMap(method => {
        const begin = `mfa_constraint_${name}_${method.type}`
        return [
          [`${begin}_id`, method.id],
          [`${begin}_uses_passcode`, String(method.uses_passcode)],
          ...(method.name ? [[`${begin}_name`, method.name]] : []),
        ]
      }),
    )
    return [['mfa_request_id', mfa_request_id], ...methods]
  }
  return [
    ['token', auth.client_token],
    ['token_accessor', auth.accessor],
    ['token_duration', auth.lease_duration === 0 ? '∞' : secondsText(auth.lease_duration)],
    ['token_renewable', String(auth.renewable)],
    ['token_policies', quotedList(auth.token_policies)],
    ['identity_policies', quotedList(auth.identity_policies)],
    ['policies', quotedList(auth.policies)],
    ...Object.keys(auth.metadata ?? {})
      .sort()
      .map(key => [`token_meta_${key}`, goText(auth.metadata?.[key])]),
  ]
}

function pairRows(data: Data): string[][] {
  return Object.keys(data)
    .sort()
    .map(key => [key, isDurationKey(key) ? secondsText(data[key]) : goText(data[key])])
}
