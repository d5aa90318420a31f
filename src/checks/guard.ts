/**
 * The outbound guard: which addresses checks may connect to. Whoever may register a check makes
 * this machine talk to an address of his choice.
 *
 * Owns the ranges that nobody's service lives in and that give secrets away (the metadata services
 * of clouds above all): they are refused unless the operator names a range inside of them. The
 * list of ranges that are allowed is the operator's; without one everything else is. Pure.
 */
import { assert } from '../base/assert.ts'
import { type Network, Networks, parseNetwork, plainAddress } from '../base/networks.ts'

/** Link-local addresses, metadata services, their IPv4 ones in IPv6 clothes, and multicast. */
const GUARDED = [
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  '64:ff9b::a9fe:0/112',
  '2002:a9fe::/32',
  '::a9fe:0/112',
  '224.0.0.0/4',
  '255.255.255.255',
  'ff00::/8',
]

/**
 * The judgement of addresses by a list of allowed ranges; an empty one allows what is not guarded.
 * A guarded address needs an entry that is no wider than what guards it.
 */
export function targetGuard(allow: readonly string[]): (address: string) => boolean {
  const allowed = networksOf(allow)
  const guarded = networksOf(GUARDED)
  const anyGuarded = new Networks(GUARDED)
  return given => {
    const address = plainAddress(given)
    // Nearly every run ends here.
    if (allow.length === 0) return !anyGuarded.has(address)
    const guard = guarded.find(network => network.has(address))
    const leastBits = guard?.prefixBits ?? 0
    return allowed.some(network => network.prefixBits >= leastBits && network.has(address))
  }
}

function networksOf(texts: readonly string[]): Network[] {
  return texts.map(text => {
    const network = parseNetwork(text)
    assert(network !== undefined, 'the configuration was read')
    return network
  })
}
