/**
 * The verb `keyring`: the keys of gossip encryption.
 *
 * Owns its flags and texts. A key travels in the body of a request, never in its path.
 */
import { asking, clientFlags, formatFlag, nodeNameOf, wantsJson } from './client.ts'
import { fail } from './command.ts'
import { exactJson } from './json.ts'

interface Ring {
  readonly WAN: boolean
  readonly Datacenter: string
  readonly Segment?: string
  readonly Messages?: Readonly<Record<string, string>> | null
  readonly Keys?: Readonly<Record<string, number>> | null
  readonly PrimaryKeys?: Readonly<Record<string, number>> | null
  readonly NumNodes: number
}

const changes = {
  install: { method: 'POST', text: 'Installing new gossip encryption key...' },
  use: { method: 'PUT', text: 'Changing primary gossip encryption key...' },
  remove: { method: 'DELETE', text: 'Removing gossip encryption key...' },
} as const

const listings = {
  list: { field: 'Keys', text: 'Gathering installed encryption keys...' },
  'list-primary': { field: 'PrimaryKeys', text: 'Gathering installed primary encryption keys...' },
} as const

export const keyring = asking('error', {
  usage: '[options]',
  flags: [
    { name: 'list', kind: 'switch', doc: 'list all keys' },
    { name: 'list-primary', kind: 'switch', doc: 'list the keys that encrypt' },
    { name: 'install', kind: 'text', doc: 'add this key' },
    { name: 'use', kind: 'text', doc: 'encrypt with this key, which is installed' },
    { name: 'remove', kind: 'text', doc: 'remove this key, which does not encrypt' },
    { name: 'relay-factor', kind: 'number', doc: 'how many nodes pass answers on (0 to 5)' },
    { name: 'local-only', kind: 'switch', doc: 'with -list, ask this datacenter alone' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['-list', '-install=pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s='],
  async run(call, client) {
    const { flags, io } = call
    const change = (['install', 'use', 'remove'] as const).filter(name => flags.text(name))
    const listing = (['list', 'list-primary'] as const).filter(name => flags.isOn(name))
    if (change.length + listing.length !== 1) {
      return fail(io, 'Exactly one of -list, -list-primary, -install, -use, -remove is needed')
    }
    const relay = flags.number('relay-factor') ?? 0
    if (relay < 0 || relay > 5) return fail(io, 'Error parsing relay factor: must be 0 to 5')
    const query = {
      'relay-factor': relay === 0 ? undefined : String(relay),
      'local-only': flags.isOn('local-only') ? 'true' : undefined,
    }
    await nodeNameOf(client)
    for (const name of change) {
      io.printError(`==> ${changes[name].text}`)
      const body = Buffer.from(JSON.stringify({ Key: flags.text(name) }))
      await client.send(changes[name].method, '/v1/operator/keyring', query, body)
    }
    for (const name of listing) {
      io.printError(`==> ${listings[name].text}`)
      const rings = await client.read<Ring[]>('/v1/operator/keyring', query)
      const { field } = listings[name]
      io.print(
        wantsJson(call) ? exactJson(rings) : rings.map(ring => textOf(ring, field)).join('\n'),
      )
    }
    return 0
  },
})

function textOf(ring: Ring, field: 'Keys' | 'PrimaryKeys'): string {
  const segment = ring.Segment ? ` [${ring.Segment}]` : ''
  const pool = ring.WAN ? 'WAN' : `${ring.Datacenter} (LAN)${segment}`
  const messages = Object.entries(ring.Messages ?? {}).map(
    ([node, text]) => `  ===> ${node}: ${text}`,
  )
  const keys = Object.entries(ring[field] ?? {}).map(
    ([key, nodes]) => `  ${key} [${nodes}/${ring.NumNodes}]`,
  )
  return ['', `${pool}:`, ...messages, ...keys].join('\n')
}
