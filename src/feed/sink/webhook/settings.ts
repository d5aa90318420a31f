/**
 * The settings of the sink `webhook`.
 *
 * Owns their declaration, and what is wrong with them together.
 */
import { limits } from '../../../base/limits.ts'
import type { KindSettings } from '../declare.ts'
import type { SettingFields } from '../schema.ts'
import { keyProblem } from './sign.ts'

export const webhookFields = {
  url: { type: 'text', help: 'where it is posted: http:// or https://', isRequired: true },
  secret: { type: 'text', help: 'key of the signature', isSecret: true },
  secret_file: {
    type: 'text',
    help: 'file of such keys, one a line: each signs, so that keys can be changed',
    isLocal: true,
  },
  secret_env: { type: 'text', help: 'variable that holds such a key', isLocal: true },
  headers: { type: 'strings', help: 'headers of each request', isSecret: true },
  body: {
    type: 'text',
    help: 'what is told: the whole state, what changed, or both',
    oneOf: ['both', 'state', 'changes'],
    byDefault: 'both',
  },
  timeout: {
    type: 'duration',
    help: 'what one request may take',
    byDefault: limits.sinkRequestMs,
    minMs: 10,
  },
  tries: {
    type: 'count',
    help: 'requests until it counts as failed; the task tries again later',
    byDefault: 3,
    min: 1,
    max: 10,
  },
  ca_file: {
    type: 'text',
    help: 'certificates of authorities, PEM; the system’s unless given',
    isLocal: true,
  },
  tls_server_name: { type: 'text', help: 'name that the certificate is held against' },
} as const satisfies SettingFields

export type WebhookSettings = KindSettings<typeof webhookFields>

/** What is wrong with settings that are each right by themselves. */
export function webhookProblem(settings: WebhookSettings): string | undefined {
  const { url: text, secret, secret_file: file, secret_env: variable, headers = {} } = settings
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return 'url: must begin with http:// or https://'
  }
  if (url.username !== '' || url.password !== '') return 'url: must hold no password; give a header'
  if ([secret, file, variable].filter(one => one !== undefined).length > 1) {
    return 'secret: only one of secret, secret_file and secret_env'
  }
  const wrong = secret === undefined ? undefined : keyProblem(secret)
  if (wrong !== undefined) return `secret: ${wrong}`
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[A-Za-z0-9-]+$/.test(name)) return `headers: ${JSON.stringify(name)} is no name`
    // The value may be a secret.
    if (/[^\t\x20-\x7e]/.test(value)) return `headers: ${name} holds what no header can`
    if (isOurs(name)) return `headers: ${name} is ours to say`
  }
  return undefined
}

/** Framing, the fate of the connection, and what the receiver trusts us to say. */
const isOurs = (name: string): boolean =>
  OURS.includes(name.toLowerCase()) || /^gatehouse-/i.test(name)

const OURS = [
  ...['connection', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade'],
]
