/**
 * What a server answers by gRPC: all services, on its rooms.
 *
 * Owns which rooms the services get, and when they are healthy. Which services there are
 * src/grpc/services.ts says. An agent that is no server must not import it.
 */
import type { Audit } from '../audit/audit.run.ts'
import type { Clock, Random } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Timeouts } from '../base/timeouts.ts'
import type { DnsFace } from '../dns/server.ts'
import type { Feeds } from '../feed/feed.run.ts'
import type { RegistryGrpcPorts } from '../grpc/registry/ports.ts'
import type { GrpcFace, ServiceHealth } from '../grpc/server.ts'
import { type GrpcPorts, servicesOf } from '../grpc/services.ts'
import { feedTexts } from '../http/registry/feed.ts'
import { createWire } from '../http/registry/wire.ts'
import type { Identity } from '../identity/room.run.ts'
import type { Events } from '../registry/event.run.ts'
import type { AgentPort } from '../registry/local.ts'
import type { Queries } from '../registry/query.run.ts'
import type { Registry } from '../registry/room.run.ts'
import type { Asker } from '../store/ask.ts'
import type { Age } from '../store/freshness.ts'
import type { Snapshots } from '../store/snapshot.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { AccessControl } from './access.ts'
import { type GrpcGround, grpcOf } from './grpc.ts'
import { boundsOf, type Live, type ProcessPort } from './parts.ts'
import type { SecretsHalf } from './secrets.ts'
import type { Servers } from './servers.ts'

/** What a server is made of, as far as services of gRPC may ask it. */
export interface GrpcRooms {
  readonly store: Store
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly log: Log
  readonly registry: Registry
  readonly asker: Asker
  readonly events: Events
  readonly queries: Queries
  readonly servers: Servers
  readonly access: AccessControl
  readonly secrets: SecretsHalf | undefined
  readonly age: Age
  readonly random: Random
  readonly local: AgentPort
  readonly snapshots: Snapshots
  readonly feeds: Feeds
  readonly dns: Pick<DnsFace, 'ask'>
  readonly process: Pick<ProcessPort, 'reload'>
}

/** The ports of the services: those of a half that is off are absent. */
const grpcPorts = (rooms: GrpcRooms, live: Live, audit: Audit | undefined): Partial<GrpcPorts> => {
  const { access, secrets } = rooms
  const { datacenter } = live.config
  return {
    registry: registryPorts(rooms, live),
    feed: { feeds: rooms.feeds, datacenter, texts: feedTexts(createWire(datacenter)) },
    ...(secrets === undefined ? {} : { secrets: secrets.grpc }),
    ...(access.acl === undefined ? {} : { login: loginOf(access.acl.room, rooms, audit) }),
  }
}

/** Logins by auth methods of Consul's API, for the service that has those of both halves. */
const loginOf =
  (room: Identity, { clock }: Pick<GrpcRooms, 'clock'>, audit?: Audit): GrpcPorts['login'] =>
  async (who, method, bearerToken) => {
    const made = await room.login(who, method, bearerToken)
    if (isRefusal(made)) {
      await audit?.answered(who, { status: made.status, reason: made.text })
      return made
    }
    await audit?.answered(who, { status: 200 })
    const { row } = made
    return {
      secret: room.secretOf(row),
      accessor: row.accessor,
      policies: row.policies,
      durationSeconds: row.expiresAtMs === 0 ? 0 : secondsUntil(row.expiresAtMs, clock.wall()),
    }
  }

const secondsUntil = (endMs: number, nowMs: number): number =>
  Math.max(1, Math.floor((endMs - nowMs) / 1_000))

const SECRETS_PROTOS = ['Secrets', 'Transit', 'Certificates', 'Identity']

/** Services of the secrets do not answer while this server is sealed. */
const grpcHealth = ({ secrets }: Pick<GrpcRooms, 'secrets'>): ServiceHealth | undefined =>
  secrets && {
    isServing: service =>
      !SECRETS_PROTOS.includes(service.replace('gatehouse.v1.', '')) ||
      secrets.seal.barrier() !== undefined,
    onChange: changed => secrets.seal.onChange(changed),
  }

/** What the registry's services stand on: the same as its paths do. */
function registryPorts(
  { registry, asker, access, clock, random, local, servers, snapshots, ...rest }: GrpcRooms,
  live: Live,
): RegistryGrpcPorts {
  const { datacenter, nodeName } = live.config
  return {
    ...{ registry, asker, clock, random, snapshots, agent: local },
    authority: access.authority,
    identity: { datacenter, nodeName },
    bounds: boundsOf(live.config),
    waits: () => ({
      queryWaitDefaultMs: live.config.defaultQueryTimeMs,
      queryWaitMaxMs: live.config.maxQueryTimeMs,
    }),
    cluster: servers.cluster,
    acl: access.acl,
    dns: rest.dns.ask,
    reload: () => rest.process.reload(),
  }
}

/** The face of a server, with all services that its rooms answer. */
export const grpcOfServer = (live: Live, ground: GrpcGround, rooms: GrpcRooms): GrpcFace => {
  const services = servicesOf(grpcPorts(rooms, live, ground.audit))
  const health = grpcHealth(rooms)
  return grpcOf(live.config, ground, services, health === undefined ? {} : { health })
}
