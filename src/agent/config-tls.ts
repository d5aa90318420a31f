/**
 * What the keys of TLS mean together: each listener's settings, with the defaults in them.
 *
 * Owns the order in which a setting is looked for (the listener's stanza, its flat key, `defaults`,
 * the flat key of all), and every combination that is refused. A switch is never read as off where
 * any reading has it on. Pure; the files are read by config-load.ts.
 */
import { resolve } from 'node:path'
import type { TlsFiles } from '../base/io/tls.ts'
import { cipherNames, type SecureOptions, type TlsMaterial, type TlsVersion } from '../base/tls.ts'
import type { Settings } from './config-read.ts'
import type { ServedPath } from './config-schema.ts'
import { type PartKey, type TlsPartName, tlsKeys } from './config-tls-keys.ts'

/** TLS of one listener, or of what connects to it. */
export interface TlsPart extends TlsFiles {
  readonly minVersion: TlsVersion
  /** OpenSSL's names; empty for our own choice. */
  readonly ciphers: readonly string[]
  readonly verifyIncoming: boolean
  readonly verifyOutgoing: boolean
  readonly verifyServerHostname: boolean
  /** What the files held; undefined until they are read, and where there are none. */
  readonly material: TlsMaterial | undefined
}

export interface TlsSettings {
  readonly https: TlsPart
  /** Of the secrets' listener, which is in clear where there is no certificate. */
  readonly secrets: TlsPart
  /** Of gRPC's listener with TLS. */
  readonly grpc: TlsPart
  /** Nothing listens with it yet; its certificate is the one that checks show. */
  readonly internalRpc: TlsPart
  /** The name that the targets of checks must have, with `forChecks`. */
  readonly serverName: string | undefined
  readonly forChecks: boolean
}

/** The settings, without what their files hold. What is wrong with them is complained of. */
export function buildTls(settings: Settings, workingDir: string): TlsSettings {
  for (const [path, where] of ONLY_VALID) {
    if (settings.isSet(path)) settings.complain(path, `is only valid in ${where}`)
  }
  const https = buildPart(settings, 'https', workingDir)
  const secrets = buildPart(settings, 'secrets', workingDir)
  const grpc = buildPart(settings, 'grpc', workingDir)
  const internalRpc = buildPart(settings, 'internal_rpc', workingDir)
  const listens = listensWithTls(settings)
  if (isOn(settings) && !listens) settings.note('ports.https', LEFT_OFF_TEXT)
  if (settings.get('ports.grpc_tls') !== -1 && settings.isSet('ports.grpc_tls')) {
    if (!listensGrpcTls(settings)) settings.note('ports.grpc_tls', GRPC_LEFT_OFF_TEXT)
  }
  if (listens && https.certFile === undefined && https.keyFile === undefined) {
    settings.complain('ports.https', MISSING_TEXT)
  }
  if (settings.isSet('tls.enabled')) {
    const enabled = settings.get('tls.enabled')
    if (enabled && !listens && !listensGrpcTls(settings)) {
      settings.complain('tls.enabled', 'is true and nothing listens with TLS: set ports.https')
    }
    if (!enabled && listens) settings.complain('tls.enabled', 'is false, but ports.https is on')
  }
  const forChecks = settings.get('enable_agent_tls_for_checks')
  noteIdle(settings, { listens, listensGrpc: listensGrpcTls(settings), forChecks })
  return {
    https,
    secrets,
    grpc,
    internalRpc,
    serverName: settings.get('server_name') || undefined,
    forChecks,
  }
}

/** Whether anything is said of TLS, on or off. */
export const isTlsStated = (settings: Settings): boolean =>
  settings.isStated('tls') ||
  flatKeys.some(path => path !== 'limits.https_handshake_timeout' && settings.isSet(path))

/** How a part's listener speaks; undefined while its files are not read, or where it has none. */
export function secureOptionsOf(part: TlsPart): SecureOptions | undefined {
  const { material, minVersion, ciphers, verifyIncoming } = part
  if (material === undefined || !material.hasCertificate) return undefined
  return { material, minVersion, ciphers, verifiesClients: verifyIncoming }
}

/** Every file and folder that holds a certificate or a key, once. */
export function tlsFilesOf({ https, secrets, grpc, internalRpc }: TlsSettings): readonly string[] {
  const all = [https, secrets, grpc, internalRpc].flatMap(({ caFile, caPath, certFile, keyFile }) =>
    [caFile, caPath, certFile, keyFile].filter(path => path !== undefined),
  )
  return [...new Set(all)]
}

const flatKeys = (Object.keys(tlsKeys) as (keyof typeof tlsKeys)[]).filter(
  path => !path.startsWith('tls.'),
)

/**
 * Whether anything is to listen with TLS. Consul's own helpers for tests always name a port for
 * it: where nothing else is said of TLS, and HTTP is there, such a port stays closed.
 */
export const listensWithTls = (settings: Settings): boolean =>
  isOn(settings) &&
  (isTlsStated(settings) || settings.isSet('addresses.https') || settings.get('ports.http') === -1)

/** Whether a port is named for it, or a socket in a file, which has none. */
const isOn = (settings: Settings): boolean =>
  settings.get('ports.https') !== -1 || /(^|\s)unix:\/\//.test(settings.get('addresses.https'))

/**
 * Whether gRPC is to be served with TLS: with a certificate, on servers or where it is stated.
 * Consul's own helpers for tests always name a port for it: without a certificate it stays closed.
 */
export function listensGrpcTls(settings: Settings): boolean {
  if (find(settings, 'grpc', 'cert_file').value === '') return false
  return (
    settings.get('server') ||
    settings.isSet('ports.grpc_tls') ||
    settings.isSet('addresses.grpc_tls')
  )
}

const GRPC_LEFT_OFF_TEXT =
  'taken; nothing listens on it: gRPC with TLS needs tls { grpc { cert_file = … key_file = … } }'

const LEFT_OFF_TEXT =
  'taken; nothing listens on it: HTTPS needs tls { https { cert_file = … key_file = … } }'

const MISSING_TEXT = `needs a certificate and its key:

  tls {
    https {
      cert_file = "dc1-server-consul-0.pem"
      key_file  = "dc1-server-consul-0-key.pem"
    }
  }

\`gatehouse tls ca create\` and \`gatehouse tls cert create -server\` make such files.`

/** Keys that Consul refuses where they would say nothing. */
const ONLY_VALID: readonly (readonly [ServedPath, string])[] = [
  ['tls.https.verify_server_hostname', 'tls.defaults and tls.internal_rpc'],
  ['tls.secrets.verify_server_hostname', 'tls.defaults and tls.internal_rpc'],
  ['tls.grpc.verify_server_hostname', 'tls.defaults and tls.internal_rpc'],
  ['tls.grpc.verify_outgoing', 'tls.defaults, tls.https and tls.internal_rpc'],
  ['tls.defaults.use_auto_cert', 'tls.grpc'],
  ['tls.https.use_auto_cert', 'tls.grpc'],
  ['tls.secrets.use_auto_cert', 'tls.grpc'],
  ['tls.internal_rpc.use_auto_cert', 'tls.grpc'],
]

type Part = Exclude<TlsPartName, 'defaults'>

/** The flat key that stands for a listener's own alone. */
const OWN_FLAT: Readonly<Record<Part, ServedPath | undefined>> = {
  https: 'verify_incoming_https',
  secrets: undefined,
  grpc: undefined,
  internal_rpc: 'verify_incoming_rpc',
}

function buildPart(settings: Settings, part: Part, workingDir: string): TlsPart {
  const text = (key: TextKey): Found => find(settings, part, key)
  const path = (key: TextKey): string | undefined =>
    text(key).value === '' ? undefined : resolve(workingDir, text(key).value)
  const files: TlsFiles = {
    caFile: path('ca_file'),
    caPath: path('ca_path'),
    certFile: path('cert_file'),
    keyFile: path('key_file'),
  }
  const minVersion = versionOf(settings, text('tls_min_version'))
  const switches = {
    verifyIncoming: verifiesIncoming(settings, part),
    verifyOutgoing: part !== 'grpc' && isSwitchOn(settings, part, 'verify_outgoing'),
    verifyServerHostname:
      part === 'internal_rpc' &&
      (isSwitchOn(settings, part, 'verify_server_hostname') ||
        settings.get('verify_server_hostname')),
  }
  // A host name that is looked at is worth nothing on a connection without TLS (CVE-2018-19653).
  const verifyOutgoing = switches.verifyOutgoing || switches.verifyServerHostname
  refuseHalves(settings, part, files, { ...switches, verifyOutgoing })
  return {
    ...files,
    minVersion,
    ciphers: ciphersOf(settings, text('tls_cipher_suites'), minVersion, part),
    ...switches,
    verifyOutgoing,
    material: undefined,
  }
}

type TextKey = Exclude<PartKey, `verify_${string}` | 'use_auto_cert'>

/** A setting with the key that holds it. */
interface Found {
  readonly path: ServedPath
  readonly value: string
}

/** A listener's stanza before the defaults, and either before the flat key. */
function find(settings: Settings, part: Part, key: TextKey): Found {
  const paths = [`tls.${part}.${key}`, `tls.defaults.${key}`, key] as const
  const path = paths.find(each => settings.isSet(each)) ?? paths[2]
  return { path, value: settings.get(path).trim() }
}

function isSwitchOn(
  settings: Settings,
  part: Part,
  key: 'verify_outgoing' | 'verify_server_hostname',
): boolean {
  const paths = [`tls.${part}.${key}`, `tls.defaults.${key}`, key] as const
  const path = paths.find(each => settings.isSet(each))
  return path !== undefined && settings.get(path)
}

/** As `isSwitchOn`; the flat keys can only switch on what the one of all leaves off. */
function verifiesIncoming(settings: Settings, part: Part): boolean {
  const own = `tls.${part}.verify_incoming` as const
  if (settings.isSet(own)) return settings.get(own)
  const flat = OWN_FLAT[part]
  if (flat !== undefined && settings.get(flat) === true) return true
  if (settings.isSet('tls.defaults.verify_incoming')) {
    return settings.get('tls.defaults.verify_incoming')
  }
  return settings.get('verify_incoming')
}

function refuseHalves(
  settings: Settings,
  part: Part,
  files: TlsFiles,
  { verifyIncoming, verifyOutgoing }: { verifyIncoming: boolean; verifyOutgoing: boolean },
): void {
  const hasAuthorities = files.caFile !== undefined || files.caPath !== undefined
  const complain = (key: PartKey, problem: string): void => {
    const paths = [`tls.${part}.${key}`, `tls.defaults.${key}`] as const
    const path = paths.find(each => settings.isSet(each))
    if (path !== undefined) settings.complain(path, problem)
    else settings.problems.push(`${key}: ${problem} (tls.${part})`)
  }
  if (files.certFile !== undefined && files.keyFile === undefined) {
    complain('cert_file', 'needs key_file beside it')
  }
  if (files.keyFile !== undefined && files.certFile === undefined) {
    complain('key_file', 'needs cert_file beside it')
  }
  if (verifyIncoming && !hasAuthorities) {
    complain('verify_incoming', 'needs ca_file or ca_path: whose certificates would be taken?')
  }
  // The others do not listen yet, and may have inherited the switch alone.
  const isBare = files.certFile === undefined && files.keyFile === undefined
  if (part === 'https' && verifyIncoming && isBare) {
    complain('verify_incoming', 'needs cert_file and key_file')
  }
  if (verifyOutgoing && !hasAuthorities) {
    complain('verify_outgoing', 'needs ca_file or ca_path: who would be trusted?')
  }
}

const VERSIONS: ReadonlyMap<string, TlsVersion | 'old'> = new Map([
  ['', 'TLSv1.2'],
  ['TLS_AUTO', 'TLSv1.2'],
  ['TLSv1_0', 'old'],
  ['TLSv1_1', 'old'],
  ['TLSv1_2', 'TLSv1.2'],
  ['TLSv1_3', 'TLSv1.3'],
  ['tls10', 'old'],
  ['tls11', 'old'],
  ['tls12', 'TLSv1.2'],
  ['tls13', 'TLSv1.3'],
])

function versionOf(settings: Settings, { path, value }: Found): TlsVersion {
  const version = VERSIONS.get(value)
  if (version === undefined) {
    complainOnce(settings, path, 'must be TLSv1_2, TLSv1_3 or TLS_AUTO')
  }
  if (version === 'old') {
    settings.note(path, 'raised to TLSv1_2: nothing older is spoken')
  }
  return version === 'TLSv1.3' ? version : 'TLSv1.2'
}

function ciphersOf(
  settings: Settings,
  { path, value }: Found,
  minVersion: TlsVersion,
  part: Part,
): readonly string[] {
  const names = value
    .split(',')
    .map(name => name.trim())
    .filter(Boolean)
  const unknown = names.filter(name => !cipherNames.has(name))
  if (unknown.length > 0) {
    const known = [...cipherNames.keys()].join(', ')
    complainOnce(settings, path, `holds a suite that is not known; known are ${known}`)
  }
  if (minVersion === 'TLSv1.3' && names.length > 0) {
    // Inherited ones are left out, as in Consul; those beside the version are a contradiction.
    const version = find(settings, part, 'tls_min_version').path
    const stanzaOf = (each: string): string => each.slice(0, each.lastIndexOf('.') + 1)
    if (stanzaOf(version) === stanzaOf(path)) {
      complainOnce(settings, path, 'suites of TLS 1.3 cannot be chosen: leave it out')
    }
    return []
  }
  return names.flatMap(name => cipherNames.get(name) ?? [])
}

/** Three listeners inherit the same key: its fault is told once. */
function complainOnce(settings: Settings, path: ServedPath, problem: string): void {
  const count = settings.problems.length
  settings.complain(path, problem)
  const last = settings.problems.at(-1) ?? ''
  if (settings.problems.indexOf(last) < count) settings.problems.pop()
}

/** What uses certificates. */
interface Uses {
  /** HTTPS. */
  readonly listens: boolean
  readonly listensGrpc: boolean
  readonly forChecks: boolean
}

/** Says of what is set and has no effect yet that it has none. */
function noteIdle(settings: Settings, uses: Uses): void {
  const paths = Object.keys(tlsKeys) as (keyof typeof tlsKeys)[]
  for (const path of paths) {
    if (!settings.isSet(path) || settings.get(path) === '' || settings.get(path) === false) continue
    const text = idleText(path, uses)
    if (text !== undefined) settings.note(path, text)
  }
}

function idleText(path: string, { listens, listensGrpc, forChecks }: Uses): string | undefined {
  if (/^(tls\.enabled|enable_agent_tls_for_checks|limits\..*)$/.test(path)) return undefined
  const isShown = forChecks && /(^|\.)(ca|cert|key)_\w+$/.test(path)
  if (path.startsWith('tls.secrets.')) return undefined
  if (path === 'tls.grpc.use_auto_cert') return 'taken; gRPC shows the certificate of files alone'
  if (path.startsWith('tls.grpc.')) {
    return listensGrpc ? undefined : 'taken; gRPC with TLS is off: ports.grpc_tls'
  }
  if (path === 'server_name') {
    return forChecks ? undefined : 'taken; it is for enable_agent_tls_for_checks, which is off'
  }
  if (/^tls\.internal_rpc\.|_rpc$/.test(path)) {
    return isShown ? undefined : 'taken; there is one server, and nothing between agents yet'
  }
  if (/verify_outgoing|verify_server_hostname/.test(path)) {
    return 'taken; this agent connects to no other yet'
  }
  if (listens || listensGrpc || (isShown && !path.startsWith('tls.https.'))) return undefined
  return 'taken; nothing listens with TLS: ports.https is off'
}
