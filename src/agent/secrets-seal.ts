/**
 * The seal of a server's secrets: makes what the configuration names, and the way to other servers.
 *
 * Owns the joining alone. Kinds are loaded when they are configured.
 */
import { readFile } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { createResolver } from '../base/io/dns2.ts'
import { clientContext, readTlsFiles } from '../base/io/tls.ts'
import type { Log } from '../base/log.ts'
import type { RpcService } from '../base/rpc.ts'
import { serverAddress } from '../cluster/port.ts'
import { type KnownServer, knownServers, ServerStatus } from '../cluster/servers.ts'
import type { AgentChannel } from '../rpc/channels.ts'
import { askForRootKey, sealService } from '../rpc/seal.ts'
import type { SealKind } from '../secrets/barrier/kind/kind.run.ts'
import type { SealPeers, SealRoom } from '../secrets/barrier/seal.run.ts'
import type { Store } from '../store/store.ts'
import type { SealBlock } from './config-seal.ts'
import type { World } from './parts.ts'

/**
 * Opens an automatic seal. Rejects with OperatingError that names what is wrong, never what a key
 * holds.
 */
export async function openSeal(block: SealBlock, world: World): Promise<SealKind> {
  const { clock, random, log, environment } = world
  const { type, values } = block
  if (type === 'static') {
    const { openStaticSeal } = await import('../secrets/barrier/kind/static.run.ts')
    const { current_key_id = '', current_key = '', previous_key_id, previous_key = '' } = values
    return openStaticSeal(
      {
        current: { id: current_key_id, key: current_key },
        previous:
          previous_key_id === undefined ? undefined : { id: previous_key_id, key: previous_key },
      },
      { random, environment },
    )
  }
  const { openTransitSeal } = await import('../secrets/barrier/kind/transit.run.ts')
  const resolver = createResolver({ clock })
  return openTransitSeal(
    {
      address: values.address ?? '',
      token: await secretAt(values.token ?? '', environment),
      keyName: values.key_name ?? '',
      mountPath: `${(values.mount_path ?? '').replace(/^\/+|\/+$/g, '')}/`,
      namespace: values.namespace ?? '',
      isRenewed: values.disable_renewal !== 'true',
      serverName: values.tls_server_name ?? '',
      isVerified: values.tls_skip_verify !== 'true',
    },
    {
      ...{ clock, log },
      addressesOf: host => resolver.addressesOf(host),
      context: await contextOf(values, clock.wall()),
    },
  )
}

/** A secret that stands in the configuration, in the environment or in a file. */
async function secretAt(text: string, environment: World['environment']): Promise<string> {
  const [, scheme, place = ''] = /^(env|file):\/\/(.*)$/s.exec(text) ?? []
  if (scheme === 'file') {
    try {
      return (await readFile(place, 'utf8')).trim()
    } catch (error) {
      const why = (error as { code?: string }).code ?? 'failed'
      const what = `the seal's token: ${place} cannot be read (${why})`
      throw new OperatingError(OperatingCode.damaged, what)
    }
  }
  if (scheme !== 'env') return text
  const value = Object.hasOwn(environment, place) ? environment[place] : undefined
  if (value !== undefined) return value
  const what = `the seal's token is not in the environment as ${place}`
  throw new OperatingError(OperatingCode.damaged, what)
}

async function contextOf(
  { tls_ca_cert, tls_client_cert, tls_client_key }: SealBlock['values'],
  nowMs: number,
): Promise<SecureContext | undefined> {
  if (tls_ca_cert === undefined && tls_client_cert === undefined) return undefined
  const files = { caFile: tls_ca_cert, certFile: tls_client_cert, keyFile: tls_client_key }
  const read = await readTlsFiles({ ...files, caPath: undefined }, nowMs)
  if ('material' in read) return clientContext(read.material)
  throw new OperatingError(OperatingCode.damaged, `the seal's files: ${read.problems.join('; ')}`)
}

/** The servers beside this one that were not told to go. */
const othersOf = (store: Store, nodeId: string): KnownServer[] =>
  knownServers(store.view()).filter(
    ({ row, status }) => row.nodeId !== nodeId && status !== ServerStatus.left,
  )

/** Asks the other servers of the store for the root key. */
export const sealPeers = (
  store: Store,
  nodeId: string,
  channel: Pick<AgentChannel, 'call'>,
): SealPeers => ({
  ask(halts) {
    const there = othersOf(store, nodeId).filter(({ status }) => status !== ServerStatus.failed)
    const places = there.map(({ row }) => ({ nodeId: row.nodeId, address: serverAddress(row) }))
    return askForRootKey(channel, places, halts)
  },
})

/** What other servers may ask of this one's seal. */
export const sealPeerService = (
  store: Store,
  nodeId: string,
  room: Pick<SealRoom, 'handOver'>,
  log: Log,
): RpcService =>
  sealService({
    isServer: id => othersOf(store, nodeId).some(({ row }) => row.nodeId === id),
    handOver: halts => room.handOver(halts),
    handed: id => log.info('another server was unsealed by this one', { server: id }),
  })
