/**
 * The sink `nftables`: named sets of a packet filter, which hold the addresses of instances.
 *
 * Owns the declaration and what the sets should hold. The sets are the operator's: nothing but
 * their elements is ever changed.
 */
import { isIPv6 } from 'node:net'
import { limits } from '../../../base/limits.ts'
import { defineSink } from '../declare.ts'
import { digestOf } from '../digest.ts'
import { summaryOf } from '../document.ts'
import { ipOf, isPort, shownInstance } from '../place.ts'
import { isUsable } from '../state.ts'
import { NftTarget } from './target.run.ts'

/** A set and what it should hold, in order. */
export interface WantedSet {
  /** `inet filter web`. */
  readonly name: string
  readonly elements: readonly string[]
}

/** What the sets should hold. */
export interface NftWanted {
  readonly sets: readonly WantedSet[]
  /** Services of which nothing is known: the sets stay as they are. */
  readonly held: readonly string[]
}

export const nftablesSink = defineSink({
  kind: 'nftables',
  summary: 'named sets of nftables with the addresses of all usable instances',
  isLocal: true,
  onEmpty: 'apply',
  fields: {
    family: {
      type: 'text',
      help: 'family of the table',
      oneOf: ['inet', 'ip', 'ip6', 'bridge', 'netdev', 'arp'],
      byDefault: 'inet',
      isLocal: true,
    },
    table: { type: 'text', help: 'the table', isRequired: true, isLocal: true },
    set4: { type: 'text', help: 'the set of IPv4 addresses', isLocal: true },
    set6: { type: 'text', help: 'the set of IPv6 addresses', isLocal: true },
    elements: {
      type: 'text',
      help: 'what stands in the sets: addresses, or addresses with ports (addr . inet_service)',
      oneOf: ['address', 'address_port'],
      byDefault: 'address',
    },
    command: {
      type: 'texts',
      help: 'how nft is run, such as sudo nft',
      byDefault: ['nft'],
      isLocal: true,
    },
    timeout: {
      type: 'duration',
      help: 'what one run of nft may take',
      byDefault: limits.sinkProgramTimeoutMs,
      minMs: 10,
    },
  },
  problemOf({ table, set4, set6, command }) {
    if (set4 === undefined && set6 === undefined) return 'set4: is missing, as is set6'
    const wrong = [table, set4, set6].find(name => name !== undefined && !NAME.test(name))
    if (wrong !== undefined) return `table: ${JSON.stringify(wrong)} is no name of nftables`
    return command.length === 0 ? 'command: names no program' : undefined
  },
  takes: ({ set4, set6, elements }, { address, port }) => {
    const ip = ipOf(address)
    const isThere = ip !== undefined && (isIPv6(ip) ? set6 : set4) !== undefined
    return isThere && (elements === 'address' || isPort(port))
  },
  render({ use, family, table, set4, set6, elements }, state) {
    const problems: string[] = []
    const found = { 4: new Set<string>(), 6: new Set<string>() }
    const sets = { 4: set4, 6: set6 }
    const isWithPort = elements === 'address_port'
    for (const [, instances] of state.services) {
      for (const one of instances.filter(each => isUsable(each, use))) {
        const address = ipOf(one.address)
        const version = address !== undefined && isIPv6(address) ? 6 : 4
        if (address === undefined || (isWithPort && !isPort(one.port))) {
          const what = isWithPort ? 'IP address with a port' : 'IP address'
          problems.push(`left out ${shownInstance(one)}: it has no ${what}`)
        } else if (sets[version] === undefined) {
          problems.push(
            `left out ${shownInstance(one)}: there is no set of IPv${version} addresses`,
          )
        } else {
          found[version].add(isWithPort ? `${address} . ${one.port}` : address)
        }
      }
    }
    const what: NftWanted = {
      sets: ([4, 6] as const).flatMap(version => {
        const set = sets[version]
        if (set === undefined) return []
        return [{ name: `${family} ${table} ${set}`, elements: [...found[version]].sort() }]
      }),
      held: [...state.held],
    }
    return { what, digest: digestOf(what), summary: summaryOf(state, use), problems }
  },
  open: (settings, ports) => new NftTarget(settings, ports),
})

/** A name of nft(8) without quotes. */
const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/
