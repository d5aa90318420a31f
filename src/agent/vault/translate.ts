/**
 * What a server's configuration in Vault's form means in ours.
 *
 * Owns what keys mean together: which store a storage stanza is, where listeners listen, and what
 * Vault has by default and we have otherwise. Pure.
 */
import { isIP } from 'node:net'
import type { HclObject, HclValue } from '../../hcl/hcl.ts'
import { vaultServed } from './keys.ts'
import type { VaultBlock, VaultConfig, VaultValue } from './read.ts'

/** What the command line says beside files. */
export interface DevStart {
  readonly rootToken: string | undefined
  /** `host:port`. */
  readonly listenAddress: string | undefined
}

export interface Translated {
  /** The configuration in our form. */
  readonly config: HclObject
  readonly problems: readonly string[]
  /** What Vault calls the storage; what is printed. */
  readonly storageType: string
}

const DEFAULT_LISTENER = '127.0.0.1:8200'

/** Our configuration of a server. `dev` is what -dev came with; undefined without it. */
export function translate(
  vault: VaultConfig,
  environment: Readonly<Record<string, string | undefined>>,
  dev: DevStart | undefined,
): Translated {
  const problems = [...vault.problems]
  const flat = new Map<string, HclValue>([
    ['registry.enabled', false],
    ['ports.server', -1],
    ['telemetry.metrics_prefix', 'vault'],
    ['telemetry.prometheus_retention_time', '24h'],
  ])
  const values = withVariables(vault.values, environment)
  copy(values, flat)
  const level = values.get('log_level')
  if (typeof level === 'string') flat.set('log_level', levelOf(level))
  if (values.has('log_format')) flat.set('log_json', values.get('log_format') === 'json')
  const storageType = storageOf(vault, environment, flat, dev !== undefined, problems)
  listenersOf(vault, flat, dev, problems)
  if (dev !== undefined) {
    flat.set('secrets.dev_unseal_key', true)
    if (dev.rootToken !== undefined) flat.set('secrets.dev_root_token_id', dev.rootToken)
  }
  const config = nested(flat)
  for (const [name, blocks] of Object.entries(vault.blocks)) config[name] = [...blocks]
  return { config, problems, storageType }
}

/** Values of files, and of variables where no file says anything. */
function withVariables(
  values: VaultConfig['values'],
  environment: Readonly<Record<string, string | undefined>>,
): Map<string, VaultValue> {
  const all = new Map(values)
  for (const [path, { variables = [] }] of Object.entries(vaultServed)) {
    const given = variableOf(environment, variables)
    // Vault lets its addresses of the environment go before those of files.
    if (given !== undefined && (path === 'api_addr' || !all.has(path))) all.set(path, given)
  }
  return all
}

/** The first of these variables that is set, each as BAO_… first. */
export function variableOf(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): string | undefined {
  const all = names.flatMap(name => [name.replace('VAULT_', 'BAO_'), name])
  return all.map(name => environment[name]).find(value => value !== undefined && value !== '')
}

/** Hands on what stands for a key of ours. */
function copy(values: ReadonlyMap<string, VaultValue>, flat: Map<string, HclValue>): void {
  for (const [path, value] of values) {
    const to = vaultServed[path]?.to
    if (to !== undefined) flat.set(to, value as HclValue)
  }
}

/** Vault knows `notice` and `warning` too. */
const levelOf = (level: string): string => {
  const name = level.trim().toLowerCase()
  return name === 'notice' ? 'info' : name === 'warning' ? 'warn' : name
}

/** Which store of ours it is; gives Vault's name of it. */
function storageOf(
  { storage }: VaultConfig,
  environment: Readonly<Record<string, string | undefined>>,
  flat: Map<string, HclValue>,
  isDev: boolean,
  problems: string[],
): string {
  if (isDev) return 'inmem'
  if (storage === undefined) {
    problems.push('a storage stanza is missing, such as storage "file" { path = "…" }')
    return ''
  }
  const { type, values, where } = storage
  if (type === 'inmem') {
    flat.set('store.engine', 'memory')
    return type
  }
  const fromVariable = type === 'raft' ? variableOf(environment, ['VAULT_RAFT_PATH']) : undefined
  const path = fromVariable ?? values.get(`storage.${type}.path`)
  if (path === undefined || path === '') problems.push(`${where}: storage.${type}.path: is missing`)
  else flat.set('data_dir', path as string)
  return type
}

/** Where it listens. All listeners share a port and their TLS. */
function listenersOf(
  { listeners }: VaultConfig,
  flat: Map<string, HclValue>,
  dev: DevStart | undefined,
  problems: string[],
): void {
  if (dev !== undefined) {
    listenAt([{ text: dev.listenAddress ?? DEFAULT_LISTENER, where: '-dev-listen-address' }])
    if (listeners.length > 0) {
      problems.push(`${listeners[0]!.where}: not served yet: listener beside -dev`)
    }
    return
  }
  if (listeners.length === 0) problems.push('a listener is missing, such as listener "tcp" { … }')
  listenAt(
    listeners.map(({ values, where }) => ({
      text: (values.get('listener.tcp.address') as string | undefined) ?? DEFAULT_LISTENER,
      where,
    })),
  )
  const [first, ...others] = listeners
  if (first === undefined) return
  for (const other of others) {
    if (!haveSameTls(first, other)) {
      problems.push(`${other.where}: not served yet: listeners that differ in more than their host`)
    }
  }
  copy(first.values, flat)
  const isClear = first.values.get('listener.tcp.tls_disable') === true
  if (isClear) {
    for (const path of [...flat.keys()]) if (path.startsWith('tls.')) flat.delete(path)
    flat.set('tls.enabled', false)
  } else if (!flat.has('tls.secrets.cert_file')) {
    problems.push(
      `${first.where}: listener.tcp.tls_cert_file: is missing; tls_disable = true is without TLS`,
    )
  }

  function listenAt(places: readonly { readonly text: string; readonly where: string }[]): void {
    const read = places.flatMap(({ text, where }) => {
      const address = addressOf(text)
      if (address === undefined) problems.push(`${where}: address: must be host:port`)
      return address === undefined ? [] : [{ ...address, where }]
    })
    const [one] = read
    if (one === undefined) return
    const other = read.find(({ port }) => port !== one.port)
    if (other !== undefined) {
      problems.push(`${other.where}: not served yet: listeners of several ports`)
    }
    flat.set('addresses.secrets', read.map(({ host }) => host).join(' '))
    flat.set('ports.secrets', one.port)
  }
}

function haveSameTls(some: VaultBlock, other: VaultBlock): boolean {
  const said = ({ values }: VaultBlock): string =>
    JSON.stringify([...values].filter(([path]) => path !== 'listener.tcp.address').sort())
  return said(some) === said(other)
}

const DEFAULT_PORT = 8200

/** An address, with the port that is meant where it says none; undefined where it is none. */
function addressOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', port] =
    /^(\{\{.*\}\}|\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/s.exec(text.trim()) ?? []
  const number = port === undefined ? DEFAULT_PORT : Number(port)
  if (text.trim() === '' || number > 65_535) return undefined
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (bare === '')
    return text.trim().startsWith(':') ? { host: '0.0.0.0', port: number } : undefined
  const named = bare === 'localhost' ? '127.0.0.1' : bare
  const isRight = isIP(named) !== 0 || named.startsWith('{{')
  return isRight ? { host: named, port: number } : undefined
}

/** Values by dotted path as objects in objects. */
function nested(flat: ReadonlyMap<string, HclValue>): HclObject {
  const top: HclObject = {}
  for (const [path, value] of flat) {
    const names = path.split('.')
    const last = names.pop()!
    let at = top
    for (const name of names) {
      at[name] ??= {}
      at = at[name] as HclObject
    }
    at[last] = value
  }
  return top
}
