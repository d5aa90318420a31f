/**
 * The keys of TLS, by Consul's names: four stanzas with the same keys, and the flat ones that came
 * before the stanzas.
 *
 * Owns names, defaults and the line of help of each. What they mean together is config-tls.ts's
 * work.
 */
import { limits } from '../base/limits.ts'
import type { Key } from './config-schema.ts'

/** The keys of one stanza, with their types. */
interface PartKeys {
  readonly ca_file: 'string'
  readonly ca_path: 'string'
  readonly cert_file: 'string'
  readonly key_file: 'string'
  readonly tls_min_version: 'string'
  readonly tls_cipher_suites: 'string'
  readonly verify_incoming: 'bool'
  readonly verify_outgoing: 'bool'
  readonly verify_server_hostname: 'bool'
  readonly use_auto_cert: 'bool'
}
export type PartKey = keyof PartKeys

/** The stanzas: what holds for all, and what a listener has otherwise. */
const tlsParts = ['defaults', 'https', 'secrets', 'grpc', 'internal_rpc'] as const
export type TlsPartName = (typeof tlsParts)[number]

type StanzaKeys = {
  readonly [P in `tls.${TlsPartName}.${PartKey}`]: P extends `tls.${TlsPartName}.${infer K}`
    ? K extends PartKey
      ? Key<PartKeys[K]>
      : never
    : never
}

const text = (doc: string): Key<'string'> => ({ type: 'string', initial: '', doc })
const off = (doc: string): Key<'bool'> => ({ type: 'bool', initial: false, doc })

const partKeys: { readonly [K in PartKey]: Key<PartKeys[K]> } = {
  ca_file: text('file of the authorities that sign for others'),
  ca_path: text('folder of such files'),
  cert_file: text('file of the certificate, with those between it and its authority'),
  key_file: text('file of its key'),
  tls_min_version: text('TLSv1_2 (the default) or TLSv1_3; older ones are raised to TLSv1_2'),
  tls_cipher_suites: text("suites of TLS 1.2 by Go's names, between commas"),
  verify_incoming: off('clients must show a certificate of the authorities'),
  verify_outgoing: off('needs authorities; nothing is connected to yet'),
  verify_server_hostname: off('the same, and server names; nothing is connected to yet'),
  use_auto_cert: off('nothing listens with it yet'),
}

const stanzaKeys = Object.fromEntries(
  tlsParts.flatMap(part =>
    Object.entries(partKeys).map(([name, key]) => [`tls.${part}.${name}`, key]),
  ),
) as unknown as StanzaKeys

/** All keys of TLS. */
export const tlsKeys = {
  'tls.enabled': off('ours: false says that TLS is off on purpose'),
  ...stanzaKeys,
  ca_file: text('the same as tls.defaults.ca_file, as the next ones'),
  ca_path: text('tls.defaults.ca_path'),
  cert_file: text('tls.defaults.cert_file'),
  key_file: text('tls.defaults.key_file'),
  tls_min_version: text('tls.defaults.tls_min_version; also tls12 and tls13'),
  tls_cipher_suites: text('tls.defaults.tls_cipher_suites'),
  verify_incoming: off('tls.defaults.verify_incoming'),
  verify_incoming_https: off('tls.https.verify_incoming, where that says nothing'),
  verify_incoming_rpc: off('tls.internal_rpc.verify_incoming; nothing listens with it yet'),
  verify_outgoing: off('tls.defaults.verify_outgoing'),
  verify_server_hostname: off('tls.internal_rpc.verify_server_hostname'),
  server_name: text('expected of check targets with enable_agent_tls_for_checks; else node_name'),
  enable_agent_tls_for_checks: off('checks show our certificate and trust our authorities alone'),
  'limits.https_handshake_timeout': {
    type: 'duration',
    initial: limits.httpsHandshakeTimeoutMs,
    doc: 'for the handshake of a TLS connection',
  },
} satisfies Record<string, Key>
