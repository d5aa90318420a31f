/** Health entries as the feed has them, for tests of sinks. */

import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import type { SinkPorts } from '../../../src/feed/sink/declare.ts'
import { instancesOf, kvItemsOf, type SinkState } from '../../../src/feed/sink/state.ts'

/** What a test says of an instance; the rest is usual. */
export interface Given {
  readonly id?: string
  readonly node?: string
  readonly nodeAddress?: string
  readonly address?: string
  readonly port?: number
  readonly status?: string
  readonly maintenance?: boolean
  readonly weights?: { readonly Passing: number; readonly Warning: number }
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, string>>
}

/** Consul's JSON of one instance. */
export function entryOf(service: string, given: Given): unknown {
  const { id = service, node = 'n1', nodeAddress = '10.9.9.9', address = '', port = 80 } = given
  const { status = 'passing', maintenance = false } = given
  const checks = [{ CheckID: 'c', Status: status }]
  if (maintenance) checks.push({ CheckID: `_service_maintenance:${id}`, Status: 'critical' })
  return {
    Node: { Node: node, Address: nodeAddress },
    Service: {
      ...{ ID: id, Service: service, Address: address, Port: port },
      Weights: given.weights ?? { Passing: 1, Warning: 1 },
      Tags: given.tags ?? [],
      Meta: given.meta ?? {},
    },
    Checks: checks,
  }
}

/** A state of services, each with its instances, and of prefixes, each with its keys. */
export function stateOf(
  services: Readonly<Record<string, readonly Given[]>>,
  kv: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  revision = 7,
): SinkState {
  return {
    revision,
    services: new Map(
      Object.entries(services).map(([name, instances]) => {
        const entries = instances.map((one, at) => [`${at}`, entryOf(name, one)] as const)
        return [name, instancesOf(new Map(entries))]
      }),
    ),
    kv: new Map(
      Object.entries(kv).map(([prefix, keys]) => {
        const entries = Object.entries(keys).map(([key, value]) => {
          return [
            key,
            { Key: key, Value: Buffer.from(value).toString('base64'), Flags: 0 },
          ] as const
        })
        return [prefix, kvItemsOf(new Map(entries))]
      }),
    ),
  }
}

/** Ports that reach nothing but what a test gives. */
export function portsWith(given: Partial<SinkPorts> = {}): SinkPorts {
  return {
    task: 'test',
    clock: systemClock,
    random: systemRandom,
    addressesOf: async name => {
      throw new Error(`nobody knows ${name}`)
    },
    mayReach: () => true,
    run: async () => ({ what: 'fault', text: 'no programs here' }),
    variable: () => undefined,
    ...given,
  }
}
