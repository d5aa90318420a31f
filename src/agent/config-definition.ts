/**
 * Definitions of services and checks as files hold them, made into the bodies that the agent's
 * HTTP endpoints take: one path for both afterwards.
 *
 * Owns the names of their fields. A name is known in any of the forms that people write
 * (`docker_container_id`, `DockerContainerID`). What a definition means is the registry's to
 * judge, not ours; here only names and types are checked. Fields of the service mesh are handed
 * on as they stand.
 */
import { nearest } from '../base/nearest.ts'
import { blocksOf, type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'

/** The body of one registration, with the field names of the HTTP API, and where it was read. */
export interface Definition {
  readonly body: Readonly<Record<string, HclValue>>
  /** `file:line`, for errors. */
  readonly where: string
}

/** Tells of a mistake: the field, and what is wrong with it. */
export type Complain = (object: HclObject, field: string, problem: string) => void

type FieldType =
  | 'string'
  | 'number'
  | 'bool'
  | 'strings'
  | 'stringMap'
  | 'stringsMap'
  | 'check'
  | 'checks'
  | 'any'

const checkFields: Readonly<Record<string, FieldType>> = {
  ID: 'string',
  CheckID: 'string',
  Name: 'string',
  Notes: 'string',
  Status: 'string',
  ServiceID: 'string',
  Token: 'string',
  Args: 'strings',
  ScriptArgs: 'strings',
  HTTP: 'string',
  Header: 'stringsMap',
  Method: 'string',
  Body: 'string',
  DisableRedirects: 'bool',
  TCP: 'string',
  TCPUseTLS: 'bool',
  UDP: 'string',
  GRPC: 'string',
  GRPCUseTLS: 'bool',
  H2PING: 'string',
  H2PingUseTLS: 'bool',
  OSService: 'string',
  DockerContainerID: 'string',
  Shell: 'string',
  AliasNode: 'string',
  AliasService: 'string',
  TTL: 'string',
  Interval: 'string',
  Timeout: 'string',
  TLSServerName: 'string',
  TLSSkipVerify: 'bool',
  SuccessBeforePassing: 'number',
  FailuresBeforeWarning: 'number',
  FailuresBeforeCritical: 'number',
  DeregisterCriticalServiceAfter: 'string',
  OutputMaxSize: 'number',
  Namespace: 'string',
  Partition: 'string',
}

const serviceFields: Readonly<Record<string, FieldType>> = {
  ID: 'string',
  Name: 'string',
  Kind: 'string',
  Tags: 'strings',
  Address: 'string',
  TaggedAddresses: 'any',
  Meta: 'stringMap',
  Port: 'number',
  Ports: 'any',
  SocketPath: 'string',
  Check: 'check',
  Checks: 'checks',
  Weights: 'any',
  EnableTagOverride: 'bool',
  Token: 'string',
  Proxy: 'any',
  Connect: 'any',
  Locality: 'any',
  Namespace: 'string',
  Partition: 'string',
}

/** The body for `PUT /v1/agent/service/register`. */
export function serviceBody(block: HclObject, complain: Complain): Definition['body'] {
  return bodyOf(block, serviceNames, serviceFields, complain)
}

/** The body for `PUT /v1/agent/check/register`. */
export function checkBody(block: HclObject, complain: Complain): Definition['body'] {
  return bodyOf(block, checkNames, checkFields, complain)
}

const fold = (name: string): string => name.toLowerCase().replaceAll('_', '')
const foldAll = (fields: object): ReadonlyMap<string, string> =>
  new Map(Object.keys(fields).map(name => [fold(name), name]))
const checkNames = foldAll(checkFields)
const serviceNames = foldAll(serviceFields)

function bodyOf(
  block: HclObject,
  names: ReadonlyMap<string, string>,
  fields: Readonly<Record<string, FieldType>>,
  complain: Complain,
): Definition['body'] {
  const body: Record<string, HclValue> = {}
  for (const [key, value] of Object.entries(block)) {
    const name = names.get(fold(key))
    if (name === undefined) {
      const meant = nearest(key, Object.keys(fields))
      const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
      complain(block, key, `unknown key${hint}`)
      continue
    }
    if (value === null) continue
    const read = fieldOf(value, fields[name] ?? 'any', complain)
    if (read === undefined) complain(block, key, `must be ${TYPE_TEXT[fields[name] ?? 'any']}`)
    else body[name] = read
  }
  return body
}

const TYPE_TEXT: Readonly<Record<FieldType, string>> = {
  string: 'a string',
  number: 'a whole number',
  bool: 'true or false',
  strings: 'a list of strings',
  stringMap: 'an object of strings',
  stringsMap: 'an object of lists of strings',
  check: 'one block (several stand in checks)',
  checks: 'a list of blocks',
  any: 'a value',
}

/** The value as its type has it, or undefined when it has another type. */
function fieldOf(value: HclValue, type: FieldType, complain: Complain): HclValue | undefined {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : undefined
    case 'number':
      return Number.isSafeInteger(value) ? value : undefined
    case 'bool':
      return typeof value === 'boolean' ? value : undefined
    case 'strings':
      return isStrings(value) ? value : undefined
    case 'stringMap':
      return isMapOf(value, each => typeof each === 'string') ? value : undefined
    case 'stringsMap':
      return isMapOf(value, isStrings) ? value : undefined
    case 'check':
      return isObject(value) ? { ...checkBody(value, complain) } : undefined
    case 'checks':
      return blocksOf(value)?.map(block => ({ ...checkBody(block, complain) }))
    case 'any':
      return value
  }
}

const isStrings = (value: HclValue): boolean =>
  Array.isArray(value) && value.every(each => typeof each === 'string')
const isMapOf = (value: HclValue, test: (each: HclValue) => boolean): boolean =>
  isObject(value) && Object.values(value).every(test)
