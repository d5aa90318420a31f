/**
 * Flags that the verbs of secrets share, and the variables beside them.
 *
 * Owns their names, which are Vault's. Of a variable, BAO_… goes before VAULT_…, and a flag
 * before both.
 */
import { parseDurationMs } from '../../base/duration.ts'
import type { Call, Flag, Io } from '../command.ts'
import { Failure } from './failure.ts'

/** Flags of every command that asks a server. */
export const httpFlags: readonly Flag[] = [
  { name: 'address', kind: 'text', doc: 'address of the server; also VAULT_ADDR' },
  { name: 'agent-address', kind: 'text', doc: 'address of a proxy; also VAULT_AGENT_ADDR' },
  {
    name: 'ca-cert',
    kind: 'text',
    doc: 'file of the authorities that may sign for the server; also VAULT_CACERT',
  },
  { name: 'ca-path', kind: 'text', doc: 'folder of such files; also VAULT_CAPATH' },
  { name: 'client-cert', kind: 'text', doc: 'file of our certificate; also VAULT_CLIENT_CERT' },
  { name: 'client-key', kind: 'text', doc: 'file of its key; also VAULT_CLIENT_KEY' },
  {
    name: 'tls-server-name',
    kind: 'text',
    doc: "the name in the server's certificate; also VAULT_TLS_SERVER_NAME",
  },
  {
    name: 'tls-skip-verify',
    kind: 'switch',
    doc: 'take any certificate; also VAULT_SKIP_VERIFY',
  },
  { name: 'namespace', kind: 'text', doc: 'namespace to work in; also VAULT_NAMESPACE' },
  { name: 'ns', kind: 'text', doc: 'the same as -namespace, and goes before it' },
  {
    name: 'wrap-ttl',
    kind: 'text',
    doc: 'put the answer away for so long, and print a token for it; also VAULT_WRAP_TTL',
  },
  {
    name: 'mfa',
    kind: 'list',
    doc: 'a second factor, METHOD or METHOD:PASSCODE; may be repeated; also VAULT_MFA',
  },
  {
    name: 'header',
    kind: 'list',
    doc: 'a header to send besides, NAME=VALUE; may be repeated',
  },
  {
    name: 'policy-override',
    kind: 'switch',
    doc: 'pass over a condition that is soft-mandatory',
  },
  {
    name: 'disable-redirects',
    kind: 'switch',
    doc: 'follow no redirect; also VAULT_DISABLE_REDIRECTS',
  },
  {
    name: 'output-curl-string',
    kind: 'switch',
    doc: 'print the curl command of the request instead of sending it',
  },
  {
    name: 'output-policy',
    kind: 'switch',
    doc: 'print the policy that the request needs instead of sending it',
  },
  { name: 'non-interactive', kind: 'switch', doc: 'never ask on the terminal, never read stdin' },
  {
    name: 'unlock-key',
    kind: 'text',
    doc: 'the key that unlocks a namespace; others can see it here: `namespace unlock` asks for it',
  },
]

/** Of commands that print data. */
export const formatFlag: Flag = {
  name: 'format',
  kind: 'text',
  doc: 'table (default), json, yaml or pretty; also VAULT_FORMAT',
}

/** Of commands that can print a part of it. */
export const fieldFlag: Flag = {
  name: 'field',
  kind: 'text',
  doc: 'print the value of this field alone, without a line end unless on a terminal',
}

/** Of lists. */
export const detailedFlag: Flag = {
  name: 'detailed',
  kind: 'switch',
  doc: 'print what the server tells of each; also VAULT_DETAILED',
}

/** Variables that are read, each as BAO_… too. */
export const variables = [
  'VAULT_ADDR',
  'VAULT_AGENT_ADDR',
  'VAULT_CACERT',
  'VAULT_CACERT_BYTES',
  'VAULT_CAPATH',
  'VAULT_CLIENT_CERT',
  'VAULT_CLIENT_KEY',
  'VAULT_CLIENT_TIMEOUT',
  'VAULT_DETAILED',
  'VAULT_DISABLE_REDIRECTS',
  'VAULT_FORMAT',
  'VAULT_HEADERS',
  'VAULT_HTTP_PROXY',
  'VAULT_MAX_RETRIES',
  'VAULT_MFA',
  'VAULT_NAMESPACE',
  'VAULT_PROXY_ADDR',
  'VAULT_SKIP_VERIFY',
  'VAULT_TLS_SERVER_NAME',
  'VAULT_TOKEN',
  'VAULT_WRAP_TTL',
] as const
type Variable = (typeof variables)[number]

/** The value of a variable; undefined where it is empty or not set. */
export function variable({ environment }: Pick<Io, 'environment'>, name: Variable) {
  const ours = environment[name.replace('VAULT_', 'BAO_')]
  return ours || environment[name] || undefined
}

/** A flag, else its variable; undefined where neither says anything. */
export function given(call: Call, flag: string, name: Variable): string | undefined {
  return call.flags.text(flag) || variable(call.io, name)
}

/** A switch, else its variable, by Go's words; other words are nobody's guess. */
export function isGiven(call: Call, flag: string, name: Variable): boolean {
  if (call.flags.given.some(one => one.name === flag)) return call.flags.isOn(flag)
  return isOnText(variable(call.io, name) ?? 'false', name)
}

function isOnText(text: string, name: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw new Failure(`${name} must be true or false`, 1)
}

/**
 * A duration in whole seconds: Go's notation, days, or a number of seconds. Undefined where the
 * flag was not given. Throws Failure.
 */
export function secondsOf({ flags }: Call, name: string): number | undefined {
  const text = flags.text(name)
  return text === undefined ? undefined : parseSeconds(text, `flag -${name}`)
}

const DAY_S = 86_400

/** The same of a text that stands somewhere else. */
export function parseSeconds(text: string, where: string): number {
  const parts = /^(-)?(?:(\d+)d)?(.*)$/s.exec(text.trim())
  const [, sign = '', days, rest = ''] = parts ?? []
  const restMs = /^\d+$/.test(rest) ? Number(rest) * 1000 : parseDurationMs(rest)
  const isWhole = rest === '' && days !== undefined
  if (restMs === undefined && !isWhole) {
    throw new Failure(`invalid value ${JSON.stringify(text)} for ${where}`, 1)
  }
  const seconds = Number(days ?? 0) * DAY_S + Math.trunc((restMs ?? 0) / 1000)
  return sign === '' ? seconds : -seconds
}

/** A duration as the wire has it, `90s`; undefined where the flag was not given. */
export function durationText(call: Call, name: string): string | undefined {
  const seconds = secondsOf(call, name)
  return seconds === undefined ? undefined : `${seconds}s`
}

/** `NAME=VALUE` of a flag that may be repeated. Throws Failure. */
export function pairsOf({ flags }: Call, name: string): Record<string, string> {
  return Object.fromEntries(
    flags.list(name).map(text => {
      const at = text.indexOf('=')
      if (at <= 0) throw new Failure(`-${name} must be key=value`, 1)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

/** The items of a flag that may be repeated and takes several, with commas between. */
export function itemsOf({ flags }: Call, name: string): string[] {
  return flags
    .list(name)
    .flatMap(text => text.split(','))
    .map(text => text.trim())
    .filter(text => text !== '')
}
