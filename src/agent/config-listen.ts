/**
 * Addresses of the configuration: what the faces listen on, and what the node is reached by.
 *
 * Owns templates, sockets in files and the rule of safety: a listener that others can reach needs
 * its protection stated, and silence about it is an error. Pure: the machine is handed in.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { expandTemplate, isTemplate } from './address-template.ts'
import type { Config, ConfigSurroundings } from './config.ts'
import type { Settings } from './config-read.ts'
import type { KeyTypes, ServedPath, served } from './config-schema.ts'
import { isTlsStated, listensGrpcTls, listensWithTls } from './config-tls.ts'

type AddressPath = {
  [P in ServedPath]: (typeof served)[P]['type'] extends 'string' ? P : never
}[ServedPath]

type Addresses = Pick<
  Config,
  'bindAddress' | 'advertiseAddress' | 'taggedAddresses' | 'addresses' | 'unixSockets'
>

/** All addresses of a configuration. What is wrong with them is complained of. */
export function buildAddresses(
  settings: Settings,
  surroundings: ConfigSurroundings,
  isDev: boolean,
): Addresses {
  const read = (path: AddressPath): string => expanded(settings, path, surroundings)
  const bindAddress = read('bind_addr')
  const inPlace = (address: string): string =>
    address.startsWith(FILE) ? fileAddress(address, surroundings.workingDir) : address
  const advertiseAddress = advertised(settings, read, surroundings)
  return {
    bindAddress,
    advertiseAddress,
    taggedAddresses: taggedOf(settings, read),
    addresses: {
      dns: listenAddresses(settings, 'dns', read),
      http: listenAddresses(settings, 'http', read).map(inPlace),
      https: listenAddresses(settings, 'https', read).map(inPlace),
      secrets: listenAddresses(settings, 'secrets', read),
      grpc: listenAddresses(settings, 'grpc', read, isDev).map(inPlace),
      grpcTls: listenAddresses(settings, 'grpc_tls', read, isDev).map(inPlace),
    },
    unixSockets: {
      user: settings.get('unix_sockets.user') || undefined,
      group: settings.get('unix_sockets.group') || undefined,
      modeBits: modeOf(settings),
    },
  }
}

type Read = (path: AddressPath) => string

/** The path of an address that is a socket in a file; undefined for any other. */
export const socketPathOf = (address: string): string | undefined =>
  address.startsWith(FILE) ? address.slice(FILE.length) : undefined

const FILE = 'unix://'

const fileAddress = (address: string, workingDir: string): string =>
  FILE + resolve(workingDir, address.slice(FILE.length))

function expanded(
  settings: Settings,
  path: AddressPath,
  { interfaces }: ConfigSurroundings,
): string {
  const text: KeyTypes['string'] = settings.get(path)
  if (!isTemplate(text)) return text.trim()
  const result = expandTemplate(text, interfaces)
  if ('text' in result) return result.text
  settings.complain(path, result.problem)
  return ''
}

function modeOf(settings: Settings): number | undefined {
  const mode = settings.get('unix_sockets.mode')
  if (mode === '') return undefined
  if (/^0?[0-7]{3}$/.test(mode)) return Number.parseInt(mode, 8)
  settings.complain('unix_sockets.mode', 'must be three octal digits such as 0770')
  return undefined
}

type Face = 'dns' | 'http' | 'https' | 'secrets' | 'grpc' | 'grpc_tls'

/** Whether secrets are asked for here: of a server, or of an agent with a stated port for them. */
export const servesSecrets = (settings: Settings): boolean =>
  settings.get('secrets.enabled') && (settings.get('server') || settings.isSet('ports.secrets'))

/** Whether a face belongs to no half that is off. */
function isWanted(settings: Settings, face: Face): boolean {
  const hasSecrets = settings.get('secrets.enabled')
  if (face === 'secrets') return hasSecrets
  const isBoths = face === 'grpc' || face === 'grpc_tls'
  return settings.get('registry.enabled') || (isBoths && hasSecrets)
}

/** The addresses that a face listens on; none when its port is off. */
function listenAddresses(
  settings: Settings,
  face: Face,
  read: Read,
  isDev = false,
): readonly string[] {
  if (!isWanted(settings, face)) return []
  const own = `addresses.${face}` as const
  const source = settings.get(own) === '' ? 'client_addr' : own
  const stated = read(source).split(/\s+/).filter(Boolean)
  // A socket in a file for all clients is the one of HTTP.
  const isShared = face !== 'http' && face !== 'dns' && source === 'client_addr'
  const addresses = isShared ? stated.filter(address => !address.startsWith(FILE)) : stated
  // A socket in a file has no port that could be off.
  const isOff =
    settings.get(`ports.${face}`) === -1 ||
    (face === 'https' && !listensWithTls(settings)) ||
    (face === 'secrets' && !servesSecrets(settings)) ||
    (face === 'grpc' && !listensGrpc(settings, addresses, isDev)) ||
    (face === 'grpc_tls' && !listensGrpcTls(settings))
  const open = isOff ? addresses.filter(address => address.startsWith(FILE)) : addresses
  if (!isOff && addresses.length === 0) settings.complain(source, 'names no address')
  for (const address of open) {
    if (address.startsWith(FILE)) {
      if (address === FILE) settings.complain(source, 'names no file behind unix://')
      if (face === 'dns') settings.complain(source, 'DNS cannot be served on a socket in a file')
      if (face === 'secrets') settings.complain(source, 'secrets have no socket in a file yet')
    } else if (isIP(address) === 0) settings.complain(source, 'must be IP addresses')
  }
  return [...new Set(open)]
}

/**
 * Whether gRPC in clear is to be served on its port: as stated, else where nobody but this machine
 * could reach it, and HTTP is in clear too.
 */
function listensGrpc(settings: Settings, addresses: readonly string[], isDev: boolean): boolean {
  if (settings.isSet('ports.grpc') || settings.isSet('addresses.grpc')) return true
  if (!settings.get('registry.enabled') || settings.get('ports.http') === -1) return false
  return isDev || addresses.every(address => isLoopback(address) || address.startsWith(FILE))
}

/**
 * Listeners that others can reach need it stated how they are protected, on or off. What is
 * stated as off, the start says; gives what it says. `-dev` counts as stated.
 */
export function refuseExposure(
  settings: Settings,
  { addresses, acl, isDev, tls }: Config,
): string[] {
  const faces = {
    DNS: addresses.dns,
    HTTP: addresses.http,
    HTTPS: addresses.https,
    secrets: addresses.secrets,
    gRPC: addresses.grpc,
    'gRPC with TLS': addresses.grpcTls,
  }
  const exposed = Object.entries(faces).flatMap(([face, each]) =>
    each.filter(isReachable).map(address => `${face} on ${address}`),
  )
  if (exposed.length === 0) return []
  const reach = `${exposed.join(' and ')} can be reached by others`
  // Who asks for secrets is asked for a token, whatever is said of the registry's.
  const isRegistry = exposed.some(each => !each.startsWith('secrets '))
  const isStated = (!isRegistry || settings.isStated('acl')) && isTlsStated(settings)
  if (!isDev && !isStated) {
    settings.problems.push(`${reach}. ${isRegistry ? PROTECTION_TEXT : TLS_TEXT}`)
    return []
  }
  const inClear =
    addresses.http.some(isReachable) ||
    addresses.grpc.some(isReachable) ||
    (tls.secrets.certFile === undefined && addresses.secrets.some(isReachable))
  const off = [...(acl.enabled || !isRegistry ? [] : [ACCESS_OFF]), ...(inClear ? [CLEAR] : [])]
  return off.length === 0 ? [] : [`${reach}${off.join('')}`]
}

const isReachable = (address: string): boolean => isIP(address) !== 0 && !isLoopback(address)

const ACCESS_OFF = ', who have all rights: access control is off'
const CLEAR = '; what is sent in clear is read by whoever is on the way: TLS is off there'

/** 127.0.0.0/8 and ::1; other spellings of ::1 count as reachable, to be on the safe side. */
export const isLoopback = (address: string): boolean =>
  isIPv4(address) ? address.startsWith('127.') : address === '::1'

const PROTECTION_TEXT = `That needs both of these stated, on or off. On, with HTTP off:

  acl {
    enabled        = true
    default_policy = "deny"
  }
  ports {
    http  = -1
    https = 8501
  }
  tls {
    https {
      cert_file = "dc1-server-consul-0.pem"
      key_file  = "dc1-server-consul-0-key.pem"
    }
  }

Off: whoever reaches the address has all rights then, and is sent everything in clear.

  acl {
    enabled = false
  }
  tls {
    enabled = false
  }`

const TLS_TEXT = `That needs TLS stated, on or off. On:

  tls {
    secrets {
      cert_file = "server.pem"
      key_file  = "server-key.pem"
    }
  }

Off: all secrets are sent in clear then.

  tls {
    enabled = false
  }`

/** The node's address in the catalog: as stated, else the bind address where it says something. */
function advertised(settings: Settings, read: Read, { interfaces }: ConfigSurroundings): string {
  const bindAddress = read('bind_addr')
  if (isIP(bindAddress) === 0) settings.complain('bind_addr', 'must be an IP address')
  const stated = read('advertise_addr')
  if (stated !== '') {
    const isUsable = isIP(stated) !== 0 && !isUnspecified(stated)
    if (!isUsable) settings.complain('advertise_addr', 'must be the IP address of one machine')
    return stated
  }
  const tagged = read('advertise_addr_ipv4') || read('advertise_addr_ipv6')
  if (tagged !== '') return tagged
  if (!isUnspecified(bindAddress)) return bindAddress
  const candidates = interfaces.map(({ address }) => address).filter(isPrivateIPv4)
  if (candidates.length !== 1) {
    const found = candidates.length === 0 ? 'none' : candidates.join(', ')
    settings.complain(
      'bind_addr',
      `${bindAddress} needs advertise_addr, unless there is one private IPv4 address (found: ${found})`,
    )
  }
  return candidates[0] ?? bindAddress
}

/** Tagged addresses that are stated; the others follow from the node's address. */
function taggedOf(settings: Settings, read: Read): Readonly<Record<string, string>> {
  const tagged: Record<string, string> = {}
  const wan = read('advertise_addr_wan')
  if (wan !== '') {
    checkAddress(settings, 'advertise_addr_wan', wan, isIP(wan) !== 0)
    tagged.wan = wan
    tagged[isIPv6(wan) ? 'wan_ipv6' : 'wan_ipv4'] = wan
  }
  const families = { ipv4: isIPv4, ipv6: isIPv6 }
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const [path, tag] of [
      [`advertise_addr_${family}`, `lan_${family}`],
      [`advertise_addr_wan_${family}`, `wan_${family}`],
    ] as const) {
      const address = read(path)
      if (address === '') continue
      checkAddress(settings, path, address, families[family](address))
      tagged[tag] = address
    }
  }
  return { ...tagged, ...settings.get('tagged_addresses') }
}

function checkAddress(settings: Settings, path: AddressPath, address: string, fits: boolean): void {
  if (fits && !isUnspecified(address)) return
  settings.complain(path, 'must be an address of one machine, of its own family')
}

const isUnspecified = (address: string): boolean => address === '0.0.0.0' || address === '::'
const isPrivateIPv4 = (address: string): boolean =>
  isIPv4(address) && /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address)
