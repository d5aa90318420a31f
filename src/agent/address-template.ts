/**
 * Addresses by template, as `{{ GetPrivateIP }}` in a configuration names one of this machine's.
 *
 * Owns the language, which is that of go-sockaddr: a source of interfaces, then steps between `|`.
 * Its functions that people use are here; any other is refused by name. Pure: the machine's
 * addresses are handed in.
 */
import { BlockList, isIP } from 'node:net'

/** One address of this machine. */
export interface MachineAddress {
  /** The interface's name. */
  readonly name: string
  readonly address: string
  readonly prefixBits: number
  readonly isLoopback: boolean
  /** Whether the interface is the one of the default route. */
  readonly isDefault: boolean
}

/** The text with every `{{ … }}` replaced; `problem` says what cannot be. */
export function expandTemplate(
  text: string,
  machine: readonly MachineAddress[],
): { readonly text: string } | { readonly problem: string } {
  try {
    const expanded = text.replaceAll(/\{\{(.*?)\}\}/g, (_, source) => evaluate(source, machine))
    if (/\{\{|\}\}/.test(expanded)) throw new TemplateFault('its braces do not match')
    return { text: expanded.trim() }
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error
    return { problem: `the address template cannot be used: ${error.message}` }
  }
}

/** Whether a text holds a template. */
export const isTemplate = (text: string): boolean => text.includes('{{')

class TemplateFault extends Error {
  override readonly name = 'TemplateFault'
}

type Addresses = readonly MachineAddress[]

function evaluate(source: string, machine: Addresses): string {
  const [first = [], ...steps] = pipeline(source)
  let value: Addresses | string = start(first, machine)
  for (const step of steps) {
    if (typeof value === 'string') throw new TemplateFault(`nothing can follow "${step[0]}"`)
    value = apply(step, value)
  }
  if (typeof value === 'string') return value
  throw new TemplateFault('it gives interfaces; "| attr \\"address\\"" makes an address of them')
}

/** Words between pipes; a word in quotes may hold anything but quotes. */
function pipeline(source: string): string[][] {
  const words = source.match(/"[^"]*"|`[^`]*`|\||[^\s|"`]+/g) ?? []
  const parts: string[][] = [[]]
  for (const word of words) {
    if (word === '|') parts.push([])
    else parts.at(-1)!.push(word.replace(/^["`](.*)["`]$/, '$1'))
  }
  return parts
}

const isForwardable = ({ address, isLoopback }: MachineAddress): boolean =>
  !isLoopback && !/^(169\.254\.|fe80:)/i.test(address)

const defaultFirst = (one: MachineAddress, other: MachineAddress): number =>
  Number(other.isDefault) - Number(one.isDefault) ||
  isIP(one.address) - isIP(other.address) ||
  other.prefixBits - one.prefixBits

const privateOf = (machine: Addresses): Addresses =>
  machine.filter(each => isForwardable(each) && isPrivate(each.address)).sort(defaultFirst)
const publicOf = (machine: Addresses): Addresses =>
  machine.filter(each => isForwardable(each) && !isPrivate(each.address)).sort(defaultFirst)

/** The functions that a template may begin with. */
function start([name = '', argument]: readonly string[], machine: Addresses): Addresses | string {
  switch (name) {
    case 'GetAllInterfaces':
      return machine
    case 'GetDefaultInterfaces':
      return machine.filter(each => each.isDefault)
    case 'GetPrivateInterfaces':
      return privateOf(machine)
    case 'GetPublicInterfaces':
      return publicOf(machine)
    case 'GetPrivateIP':
      return firstOf(privateOf(machine))
    case 'GetPrivateIPs':
      return addressesOf(privateOf(machine))
    case 'GetPublicIP':
      return firstOf(publicOf(machine))
    case 'GetPublicIPs':
      return addressesOf(publicOf(machine))
    case 'GetInterfaceIP':
      return firstOf(named(argument ?? '', machine))
    case 'GetInterfaceIPs':
      return addressesOf(named(argument ?? '', machine))
    default:
      throw new TemplateFault(`the function ${JSON.stringify(name.slice(0, 64))} is not known`)
  }
}

function apply(step: readonly string[], addresses: Addresses): Addresses | string {
  const [name = '', one = '', other = ''] = step
  switch (name) {
    case 'include':
      return addresses.filter(each => isOf(each, one, other))
    case 'exclude':
      return addresses.filter(each => !isOf(each, one, other))
    case 'sort':
      return sorted(addresses, one)
    case 'limit':
      return addresses.slice(0, numberOf(one))
    case 'offset':
      return addresses.slice(numberOf(one))
    case 'unique':
      return addresses.filter(
        (each, at) =>
          addresses.findIndex(first => attributeOf(first, one) === attributeOf(each, one)) === at,
      )
    case 'attr':
      return attributeOf(addresses[0] ?? none(), one)
    case 'join':
      return addresses.map(each => attributeOf(each, one)).join(other)
    default:
      throw new TemplateFault(`the function ${JSON.stringify(name.slice(0, 64))} is not known`)
  }
}

/** Whether an address meets a criterion of `include` and `exclude`. */
function isOf(each: MachineAddress, criterion: string, value: string): boolean {
  switch (criterion) {
    case 'name':
      return pattern(value).test(each.name)
    case 'address':
      return pattern(value).test(each.address)
    case 'network':
      return inNetwork(each.address, value)
    case 'rfc':
    case 'RFC':
      return inRfc(each.address, value)
    case 'type':
      return isOfType(each, value)
    case 'flag':
    case 'flags':
      return value.split('|').every(flag => hasFlag(each, flag.trim()))
    case 'size':
      return each.prefixBits === numberOf(value.replace(/^\//, ''))
    default:
      throw new TemplateFault(`addresses cannot be chosen by ${JSON.stringify(criterion)}`)
  }
}

function isOfType({ address }: MachineAddress, type: string): boolean {
  const family = isIP(address)
  switch (type.toLowerCase()) {
    case 'ip':
      return family !== 0
    case 'ipv4':
      return family === 4
    case 'ipv6':
      return family === 6
    default:
      throw new TemplateFault(`addresses of the type ${JSON.stringify(type)} are not known`)
  }
}

function hasFlag(each: MachineAddress, flag: string): boolean {
  switch (flag) {
    case 'up':
      return true
    case 'loopback':
      return each.isLoopback
    case 'forwardable':
      return isForwardable(each)
    case 'link-local unicast':
      return /^(169\.254\.|fe80:)/i.test(each.address)
    default:
      throw new TemplateFault(`the flag ${JSON.stringify(flag)} is not known`)
  }
}

function sorted(addresses: Addresses, keys: string): Addresses {
  const orders = keys.split(',').map(key => {
    const [sign, name] = /^([+-]?)(.*)$/.exec(key.trim())!.slice(1) as [string, string]
    const order = orderOf(name)
    return sign === '-' ? (one: MachineAddress, other: MachineAddress) => order(other, one) : order
  })
  return [...addresses].sort(
    (one, other) => orders.map(order => order(one, other)).find(result => result !== 0) ?? 0,
  )
}

function orderOf(name: string): (one: MachineAddress, other: MachineAddress) => number {
  switch (name) {
    case 'default':
      return (one, other) => Number(other.isDefault) - Number(one.isDefault)
    case 'name':
      return (one, other) => one.name.localeCompare(other.name)
    case 'address':
      return (one, other) => one.address.localeCompare(other.address, 'en', { numeric: true })
    case 'type':
      return (one, other) => isIP(one.address) - isIP(other.address)
    case 'size':
      return (one, other) => other.prefixBits - one.prefixBits
    case 'private':
      return (one, other) => Number(isPrivate(other.address)) - Number(isPrivate(one.address))
    default:
      throw new TemplateFault(`addresses cannot be sorted by ${JSON.stringify(name)}`)
  }
}

function attributeOf(each: MachineAddress, attribute: string): string {
  switch (attribute) {
    case 'address':
      return each.address
    case 'name':
      return each.name
    case 'size':
      return String(each.prefixBits)
    case 'type':
      return isIP(each.address) === 4 ? 'IPv4' : 'IPv6'
    default:
      throw new TemplateFault(`an address has no ${JSON.stringify(attribute)}`)
  }
}

function named(expression: string, machine: Addresses): Addresses {
  const regExp = pattern(expression)
  return machine.filter(each => regExp.test(each.name) && isForwardable(each)).sort(defaultFirst)
}

const firstOf = (addresses: Addresses): string => (addresses[0] ?? none()).address
const addressesOf = (addresses: Addresses): string => addresses.map(each => each.address).join(' ')

function none(): never {
  throw new TemplateFault('no address of this machine fits')
}

function numberOf(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new TemplateFault('a number is missing')
  return Number(text)
}

/** Only names of interfaces and addresses are matched: a slow expression costs its author alone. */
function pattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch {
    throw new TemplateFault(`${JSON.stringify(text.slice(0, 64))} is no regular expression`)
  }
}

function inNetwork(address: string, network: string): boolean {
  const list = new BlockList()
  const [base = '', bits = ''] = network.split('/')
  try {
    list.addSubnet(base, numberOf(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4')
  } catch {
    throw new TemplateFault(`${JSON.stringify(network.slice(0, 64))} is no network`)
  }
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** RFC 1918, and RFC 6890 as go-sockaddr counts: what is not routed between networks. */
const RFC_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  '1918': ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  '4193': ['fc00::/7'],
  '6598': ['100.64.0.0/10'],
  '6890': ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'],
}

function inRfc(address: string, number: string): boolean {
  const networks = RFC_NETWORKS[number]
  if (networks === undefined) {
    throw new TemplateFault(`the RFC ${JSON.stringify(number.slice(0, 16))} is not known`)
  }
  return networks.some(network => inNetwork(address, network))
}

const isPrivate = (address: string): boolean => inRfc(address, '6890')
