/**
 * What HAProxy's backends should be for a state.
 *
 * Owns how an instance becomes a server: its place, its weight of 0 to 256, and its mode. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Rendered, RenderState } from '../declare.ts'
import { digestOf } from '../digest.ts'
import { summaryOf } from '../document.ts'
import { ipOf, isPort, shown, shownInstance } from '../place.ts'
import { type Instance, isUsable } from '../state.ts'
import { isProxyName, type RuntimeSettings } from './settings.ts'

/** How a server is used: `down` is by its health, the others by its administrative state. */
export type ServerMode = 'ready' | 'drain' | 'maint' | 'down'

/** A server that should be. */
export interface WantedServer {
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly mode: ServerMode
}

/** A backend that should be. */
export interface WantedBackend {
  readonly backend: string
  readonly servers: readonly WantedServer[]
  /** Nothing is known of its service: it stays as it is. */
  readonly isHeld: boolean
}

/** What a state asks of HAProxy. */
export function renderBackends(
  settings: RuntimeSettings,
  state: RenderState,
): Rendered<readonly WantedBackend[]> | Refusal {
  const problems: string[] = []
  const what: WantedBackend[] = []
  for (const [service, instances] of state.services) {
    const { backends } = settings
    const backend = Object.hasOwn(backends, service) ? backends[service]! : service
    if (!isProxyName(backend)) {
      return new Refusal(400, `backends: ${shown(service)} needs a name that HAProxy can take`)
    }
    if (what.some(one => one.backend === backend)) {
      return new Refusal(400, `backends: ${shown(backend)} stands for two services`)
    }
    const servers = serversOf(settings, instances, problems)
    what.push({ backend, servers, isHeld: state.held.has(service) })
  }
  return { what, digest: digestOf(what), summary: summaryOf(state, settings.use), problems }
}

const RANK: Readonly<Record<ServerMode, number>> = { ready: 3, drain: 2, down: 1, maint: 0 }
const MAX_WEIGHT = 256

function serversOf(
  settings: RuntimeSettings,
  instances: readonly Instance[],
  problems: string[],
): readonly WantedServer[] {
  // Shares stay what they are where a registration has weights that HAProxy does not know.
  const most = Math.max(1, ...instances.map(({ weight }) => weight))
  const scale = Math.min(1, MAX_WEIGHT / most)
  const found = new Map<string, WantedServer>()
  for (const one of instances) {
    const address = ipOf(one.address)
    if (address === undefined || !isPort(one.port)) {
      problems.push(`left out ${shownInstance(one)}: it has no IP address with a port`)
      continue
    }
    const weight = one.weight === 0 ? 0 : Math.max(1, Math.round(one.weight * scale))
    const server = { address, port: one.port, weight, mode: modeOf(settings, one) }
    // One place that is registered twice is one server: the better of the two.
    const key = placeKey(server)
    const before = found.get(key)
    if (before === undefined || RANK[before.mode] < RANK[server.mode]) found.set(key, server)
  }
  return [...found.values()]
}

function modeOf({ use, failing }: RuntimeSettings, one: Instance): ServerMode {
  if (isUsable(one, use)) return 'ready'
  // A person who takes an instance out of use wants its connections to finish.
  return one.status === 'maintenance' ? 'drain' : failing
}

/** What is one place; addresses are compared as they are written, in small letters. */
export const placeKey = ({ address, port }: { readonly address: string; readonly port: number }) =>
  `${address} ${port}`
