/**
 * Ranges of IP addresses, as people write them: `10.0.0.0/8`, `fd00::/8`, or one address.
 *
 * Owns their reading and the test whether an address is in one. An IPv4 address that is written as
 * an IPv6 one (`::ffff:10.0.0.1`, in any spelling) is that IPv4 address.
 */
import { BlockList, isIP, SocketAddress } from 'node:net'

/** One range. */
export class Network {
  /** How many of the address's bits are fixed: the more, the narrower. */
  readonly prefixBits: number
  readonly #list: BlockList
  readonly #family: 'ipv4' | 'ipv6'

  constructor(address: string, prefixBits: number) {
    this.prefixBits = prefixBits
    this.#family = familyOf(address)
    this.#list = new BlockList()
    this.#list.addSubnet(address, prefixBits, this.#family)
  }

  /** Whether an address, as `plainAddress` gives it, is in the range. */
  has(address: string): boolean {
    const family = familyOf(address)
    return family === this.#family && this.#list.check(address, family)
  }
}

/** Many ranges that are looked through at once. */
export class Networks {
  readonly #list = new BlockList()

  /** The texts are ranges as `parseNetwork` reads them. */
  constructor(texts: readonly string[]) {
    for (const text of texts) {
      const [address = '', bits] = text.split('/')
      const family = familyOf(address)
      this.#list.addSubnet(address, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family)
    }
  }

  /** Whether an address, as `plainAddress` gives it, is in any of them. */
  has(address: string): boolean {
    return this.#list.check(address, familyOf(address))
  }
}

/** Reads a range; undefined where the text is none. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const widest = isIP(address) === 4 ? 32 : 128
  if (isIP(address) === 0 || more.length > 0 || address.includes('%')) return undefined
  if (bits === undefined) return new Network(address, widest)
  const prefixBits = Number(bits)
  return /^\d{1,3}$/.test(bits) && prefixBits <= widest
    ? new Network(address, prefixBits)
    : undefined
}

/** An IP address in its one spelling, without a zone; an IPv4 one as such. */
export function plainAddress(text: string): string {
  const address = text.replace(/%.*/s, '')
  if (isIP(address) !== 6) return address
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(canonical)?.[1] ?? canonical
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6')

/** The first 64 bits of an IPv6 address in its one spelling: what one customer has (RFC 6177). */
export function first64Bits(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const behind = tail === '' ? 0 : tail.split(':').length
    while (groups.length + behind < 8) groups.push('0')
  }
  return groups.slice(0, 4).join(':')
}
