/**
 * Networks as "10.0.0.0/8" names them, and whether an address is in one.
 *
 * Owns their notation (CIDR), for IPv4 and IPv6. Pure.
 */
import { BlockList, isIP } from 'node:net'

/** Address and bits of a network; undefined where the text names none. */
export function parseNetwork(text: string): { address: string; bits: number } | undefined {
  const [, address = '', bits = ''] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? []
  const family = isIP(address)
  const maxBits = family === 4 ? 32 : 128
  return family !== 0 && Number(bits) <= maxBits ? { address, bits: Number(bits) } : undefined
}

/** Several networks. */
export class Networks {
  readonly #list = new BlockList()

  /** Texts that name no network hold nothing: they are refused before. */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const parsed = parseNetwork(network)
      if (parsed === undefined) continue
      this.#list.addSubnet(parsed.address, parsed.bits, familyOf(parsed.address))
    }
  }

  /** Whether an address is in one of them. ::ffff:a.b.c.d is the same as a.b.c.d. */
  hold(address: string): boolean {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    return isIP(plain) !== 0 && this.#list.check(plain, familyOf(plain))
  }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6')
