/**
 * Where servers to join are: addresses, names, what SRV records say, or what a program prints.
 *
 * Owns the forms. A program is started by its words, never by a shell.
 */
import { isIP } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { startChild } from '../base/io/child.ts'
import { createResolver, type ServiceResolver } from '../base/io/dns2.ts'
import { limits } from '../base/limits.ts'
import { addressText } from '../rpc/channels.ts'

export interface PlacesWorld {
  readonly clock: Clock
  /** The system's unless given. */
  readonly resolver?: ServiceResolver
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** Where RPC is unless it is said. */
const PORT = 8_300

/** The addresses of all places, as `ip:port`. Rejects with OperatingError where there is none. */
export async function resolvePlaces(
  places: readonly string[],
  world: PlacesWorld,
): Promise<readonly string[]> {
  const found = new Set<string>()
  const faults: string[] = []
  for (const place of places) {
    try {
      for (const address of await resolvePlace(place, world)) found.add(address)
    } catch (error) {
      faults.push(`${place.split(' ', 1)[0]}: ${messageOf(error)}`)
    }
  }
  if (found.size > 0) return [...found]
  throw new OperatingError(OperatingCode.unavailable, `no server to join: ${faults.join('; ')}`)
}

async function resolvePlace(place: string, world: PlacesWorld): Promise<readonly string[]> {
  if (place.startsWith('exec:')) return printed(place.slice('exec:'.length), world)
  if (place.startsWith('srv:')) return recorded(place.slice('srv:'.length), world)
  const { host, port } = hostOf(place)
  return addressesOf(host, port, world)
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. */
function hostOf(place: string): { host: string; port: number } {
  if (isIP(place) === 6) return { host: place, port: PORT }
  const [, bracketed, plain, port] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(place) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port ?? PORT) > 65_535) throw new Error('is no host:port')
  return { host, port: Number(port ?? PORT) }
}

const resolverOf = ({ clock, resolver }: PlacesWorld): ServiceResolver =>
  resolver ?? createResolver({ clock })

async function addressesOf(host: string, port: number, world: PlacesWorld): Promise<string[]> {
  const addresses = isIP(host) !== 0 ? [host] : await resolverOf(world).addressesOf(host)
  return addresses.map(address => addressText(address, port))
}

/** What SRV records name: hosts, each with the port that it says. */
async function recorded(name: string, world: PlacesWorld): Promise<readonly string[]> {
  const places = await resolverOf(world).placesOf(name)
  if (places.length === 0) throw new Error('there are no SRV records')
  const found = await Promise.allSettled(
    places.map(({ host, port }) => addressesOf(host, port, world)),
  )
  const addresses = found.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
  const failed = found.find(one => one.status === 'rejected')
  if (addresses.length === 0) throw failed?.reason
  return addresses
}

/** What a program prints, between spaces. */
async function printed(words: string, world: PlacesWorld): Promise<readonly string[]> {
  const { clock, environment = {} } = world
  const parts: Buffer[] = []
  let sizeBytes = 0
  const child = await startChild(words.split(/\s+/).filter(Boolean), {
    environment,
    stdin: 'none',
    output(chunk) {
      sizeBytes += chunk.length
      if (sizeBytes <= limits.joinOutputSizeBytes) parts.push(chunk)
    },
  })
  const late = clock.after(limits.joinProgramTimeoutMs, () => child.signal('SIGKILL'))
  const { code, signal } = await child.ended
  late.clear()
  if (code !== 0) throw new Error(`ended with ${code ?? signal}`)
  const places = Buffer.concat(parts).toString('utf8').split(/\s+/).filter(Boolean)
  const plain = places.filter(place => !/^exec:/.test(place))
  return (await Promise.all(plain.map(place => resolvePlace(place, world)))).flat()
}
