/**
 * What the configuration says of coming to a cluster: servers to join, how many found one, the
 * token.
 *
 * Owns the combinations that are refused. Pure: the file of the token is read when it is needed.
 */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { Config, ConfigSurroundings } from './config.ts'
import { isLoopback } from './config-listen.ts'
import type { Settings } from './config-read.ts'

export interface JoinSettings {
  /** How many servers found the cluster together. */
  readonly expect: number
  /**
   * Where servers are, but for this agent itself: `host`, `host:port`, `[v6]:port`, `srv:name` for
   * the SRV records of a name, or `exec:program argument …` for a program that prints addresses.
   */
  readonly places: readonly string[]
  readonly retryIntervalMs: number
  /** Tries; 0 for no end. */
  readonly retryMax: number
  /** The join token; '' where it is in the file, in the environment or nowhere. */
  readonly token: string
  readonly tokenFile: string | undefined
}

type Own = Pick<Config, 'advertiseAddress' | 'bindAddress' | 'nodeName' | 'ports'>

/** Reads what a configuration says. */
export function buildJoin(
  settings: Settings,
  own: Own,
  surroundings: ConfigSurroundings,
): JoinSettings {
  const stated = [...settings.get('retry_join'), ...settings.get('start_join')]
  const file = settings.get('join_token_file')
  return {
    expect: settings.get('bootstrap_expect'),
    places: [...new Set(stated.filter(place => !isOwn(place, own, surroundings)))],
    retryIntervalMs: settings.get('retry_interval'),
    retryMax: settings.get('retry_max'),
    token: settings.get('join_token'),
    tokenFile: file === '' ? undefined : resolve(surroundings.workingDir, file),
  }
}

/** Lists of servers are the same on all of them: each leaves itself out. */
function isOwn(place: string, own: Own, { hostName, interfaces }: ConfigSurroundings): boolean {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(place) ?? []
  const host = bracketed ?? plain ?? place
  // Consul's lists name the port of Serf.
  const { server, serfLan } = own.ports
  if (port !== undefined && ![server, serfLan].includes(Number(port))) return false
  const names = [own.advertiseAddress, own.bindAddress, own.nodeName, hostName, 'localhost', '::1']
  const addresses = [...interfaces.map(({ address }) => address), ...names]
  return addresses.includes(host) || (isIP(host) !== 0 && isLoopback(host))
}

/** What cannot be: several servers without a store that they share, joining with RPC off. */
export function refuseJoining(settings: Settings, config: Config): void {
  const { expect, places } = config.join
  const isOfSeveral = expect > 1 || (config.isServer && places.length > 0)
  if (expect < 1) settings.complain('bootstrap_expect', 'must be at least 1')
  if (isOfSeveral && config.isServer && config.store.engine !== 'etcd') {
    const path = expect > 1 ? 'bootstrap_expect' : 'retry_join'
    settings.complain(
      path,
      'several servers need a store that they share: store { engine = "etcd" }',
    )
  }
  if (expect > 1 && places.length === 0) {
    settings.complain('bootstrap_expect', 'needs retry_join: where the other servers are')
  }
  if ((isOfSeveral || places.length > 0) && config.ports.server < 0) {
    settings.complain('ports.server', 'is off, and agents are joined by it')
  }
}
