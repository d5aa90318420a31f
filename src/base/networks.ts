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

/**
 * Many ranges that are looked through at once. Those of the two kinds lie apart: a list of both
 * would find every IPv4 address in `::/0`.
 */
export class Networks {
  readonly #lists = { ipv4: new BlockList(), ipv6: new BlockList() }

  /** The texts are ranges as `parseNetwork` reads them. */
  constructor(texts: readonly string[]) {
    for (const text of texts) {
      const [address, prefixBits] = plainRange(text)
      const family = familyOf(address)
      this.#lists[family].addSubnet(address, prefixBits, family)
    }
  }

  /** Whether an address, as `plainAddress` gives it, is in any of them. */
  has(address: string): boolean {
    const family = familyOf(address)
    return this.#lists[family].check(address, family)
  }
}

/** The first address of a range that is one, and its bits; IPv4 in IPv6 is IPv4. */
export function plainRange(text: string): readonly [address: string, prefixBits: number] {
  const [address = '', bits] = text.split('/')
  const isV4 = isIP(address) === 4
  const prefixBits = Number(bits ?? (isV4 ? 32 : 128))
  const plain = isV4 ? address : plainAddress(address)
  const MAPPED_BITS = 96
  const isMapped = !isV4 && isIP(plain) === 4
  if (!isMapped) return [plain, prefixBits]
  return prefixBits < MAPPED_BITS ? [address, prefixBits] : [plain, prefixBits - MAPPED_BITS]
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
