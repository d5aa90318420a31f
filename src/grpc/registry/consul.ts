/**
 * Consul's public services, under their own names: server discovery, DNS, logins, and what tells a
 * dataplane what it may count on.
 *
 * Owns their messages and the words of Consul that clients match on; the rules are the rooms'.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { Caller, everybody, isAnonymous } from '../../base/who.ts'
import { serviceHealth } from '../../registry/health.ts'
import { SELF_SERVICE } from '../../registry/self.ts'
import type { View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import { scope } from '../../store/tables/names.ts'
import { untilChanged } from '../../store/until-changed.ts'
import {
  anonymous,
  type GrpcCall,
  GrpcFailure,
  type GrpcMethod,
  serverStream,
  unary,
} from '../declare.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { byRoom } from './rights.ts'

export type ConsulPorts = Pick<
  RegistryGrpcPorts,
  'asker' | 'clock' | 'acl' | 'authority' | 'dns' | 'identity'
>

/** The methods of all of them. */
export const consulServices = (ports: ConsulPorts): readonly GrpcMethod[] => [
  watchServersMethod(ports),
  dnsMethod(ports),
  loginMethod(ports),
  logoutMethod(ports),
  featuresMethod(ports),
]

/** Any token will do, but there must be one. */
function requireToken({ acl }: ConsulPorts, { who }: GrpcCall): void {
  if (acl === undefined || !isAnonymous(who)) return
  const text =
    'An ACL token must be provided (via the `x-consul-token` metadata field) to call this endpoint'
  throw new GrpcFailure('UNAUTHENTICATED', text, { reason: 'TOKEN_REQUIRED' })
}

// --- server discovery

interface ServerMessage {
  readonly id: string
  readonly address: string
  readonly version: string
}

const watchServersMethod = (ports: ConsulPorts): GrpcMethod =>
  serverStream<{ readonly wan: boolean }, { servers: readonly ServerMessage[] }>({
    protoFile: 'hashicorp/consul/serverdiscovery.proto',
    path: 'hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers',
    effect: 'reads',
    summary: 'The servers that take requests: at once, and again whenever they are others.',
    access: byRoom,
    async run({ wan }, call, out) {
      requireToken(ports, call)
      const { asker, clock } = ports
      const { signal } = call
      let told = ''
      while (!signal.aborted) {
        const servers = readyServers(asker.view(), wan)
        const text = JSON.stringify(servers)
        if (text !== told && servers.length > 0) {
          told = text
          if (!out.send({ servers })) await out.drained()
        }
        const waits = { scopes: asker.scopes, clock }
        const targets = [{ scope: scope.health(SELF_SERVICE) }]
        await untilChanged(waits, targets, limits.grpcServersLookMs, signal)
      }
    },
  })

/** Those whose instances of the servers' own service are well: alive, and not draining. */
function readyServers(view: View, wan: boolean): ServerMessage[] {
  const wanted = { tags: [], meta: [], passing: true }
  const question = serviceHealth(everybody, SELF_SERVICE, wanted)
  return Array.from(question.read(view), ({ node: { row }, service }) => ({
    id: row.id,
    address: (wan ? row.taggedAddresses.wan : undefined) ?? row.address,
    version: service.row.meta.version ?? '',
  }))
}

// --- DNS

const TRANSPORTS = { PROTOCOL_TCP: 'tcp', PROTOCOL_UDP: 'udp' } as const

interface DnsRequest {
  readonly msg: Buffer
  readonly protocol: keyof typeof TRANSPORTS | 'PROTOCOL_UNSET_UNSPECIFIED'
}

const dnsMethod = ({ dns, authority }: ConsulPorts): GrpcMethod =>
  unary<DnsRequest, { msg: Buffer }>({
    protoFile: 'hashicorp/consul/dns.proto',
    path: 'hashicorp.consul.dns.DNSService/Query',
    effect: 'reads',
    summary: 'The answer that the DNS port would give to the same message.',
    access: anonymous,
    async run({ msg, protocol }, { remote, token }) {
      // Without a token the agent's own counts, as on the DNS port.
      const seer = token === '' ? undefined : authority.authenticate(token)
      if (seer instanceof Refusal) return new Refusal(401, seer.text)
      if (typeof protocol !== 'string' || !Object.hasOwn(TRANSPORTS, protocol)) {
        return new Refusal(400, `error protocol type not set: ${protocol}`)
      }
      const transport = TRANSPORTS[protocol as keyof typeof TRANSPORTS]
      if (msg.length > limits.dnsTcpSizeBytes) return UNREADABLE
      const answer = await dns(msg, transport, remote, seer)
      return answer === undefined ? UNREADABLE : { msg: answer }
    },
  })

const UNREADABLE = new Refusal(400, 'failure decoding dns request: it is none that is answered')

// --- logins

interface LoginRequest {
  readonly authMethod: string
  readonly bearerToken: string
  readonly meta: Readonly<Record<string, string>>
  readonly namespace: string
  readonly partition: string
  readonly datacenter: string
}

interface LoginAnswer {
  readonly token: { readonly accessorId: string; readonly secretId: string }
}

const ACL_PROTO = 'hashicorp/consul/acl.proto'

const loginMethod = (ports: ConsulPorts): GrpcMethod =>
  unary<LoginRequest, LoginAnswer>({
    protoFile: ACL_PROTO,
    path: 'hashicorp.consul.acl.ACLService/Login',
    effect: 'writes',
    summary: 'A token for whoever proves by an auth method who he is.',
    access: anonymous,
    nameOf: ({ authMethod }: LoginRequest) => authMethod,
    async run(request, { who }) {
      const { authMethod, meta, bearerToken } = request
      const room = roomOf(ports)
      const refusal = refuseElsewhere(ports, request)
      if (refusal !== undefined) return refusal
      if (Buffer.byteLength(bearerToken) > limits.loginBodySizeBytes) return TOO_LARGE
      const made = await room.login(who, { authMethod, meta }, bearerToken)
      if (isRefusal(made)) return made
      const { accessor } = made.row
      return { token: { accessorId: accessor, secretId: room.secretOf(made.row) } }
    },
  })

const TOO_LARGE = new Refusal(413, 'the bearer token is too large')

const logoutMethod = (ports: ConsulPorts): GrpcMethod =>
  unary<{ readonly token: string; readonly datacenter: string }, object>({
    protoFile: ACL_PROTO,
    path: 'hashicorp.consul.acl.ACLService/Logout',
    effect: 'writes',
    summary: 'Ends a token that a login gave.',
    access: anonymous,
    async run({ token, datacenter }, { who: { request } }) {
      const room = roomOf(ports)
      if (token === '') return new Refusal(400, 'token is required')
      const refusal = refuseElsewhere(ports, { datacenter, namespace: '', partition: '' })
      if (refusal !== undefined) return refusal
      const who = ports.authority.authenticate(token)
      // It is ended already.
      if (who instanceof Refusal) return {}
      const ended = await room.logout(new Caller(who, request))
      return isRefusal(ended) ? ended : {}
    },
  })

function roomOf({ acl }: ConsulPorts): NonNullable<ConsulPorts['acl']>['room'] {
  if (acl !== undefined) return acl.room
  throw new GrpcFailure('FAILED_PRECONDITION', 'ACL support disabled', { reason: 'NO_ACL' })
}

function refuseElsewhere(
  { identity }: ConsulPorts,
  given: Pick<LoginRequest, 'namespace' | 'partition' | 'datacenter'>,
): Refusal | undefined {
  const { namespace, partition, datacenter } = given
  if (!['', 'default'].includes(namespace)) return enterprise('Namespaces')
  if (!['', 'default'].includes(partition)) return enterprise('Partitions')
  const isHere = ['', identity.datacenter].includes(datacenter)
  return isHere ? undefined : new Refusal(500, 'No path to datacenter')
}

const enterprise = (what: string): Refusal =>
  new Refusal(400, `${what} is a Consul Enterprise feature`)

// --- what a dataplane may count on

const DATAPLANE = 'hashicorp.consul.dataplane.DataplaneService'
const FEATURES = {
  DATAPLANE_FEATURES_WATCH_SERVERS: true,
  DATAPLANE_FEATURES_EDGE_CERTIFICATE_MANAGEMENT: false,
  DATAPLANE_FEATURES_ENVOY_BOOTSTRAP_CONFIGURATION: false,
}

const featuresMethod = (ports: ConsulPorts): GrpcMethod =>
  unary({
    protoFile: 'hashicorp/consul/dataplane.proto',
    path: `${DATAPLANE}/GetSupportedDataplaneFeatures`,
    effect: 'reads',
    summary: 'What this server can do for a dataplane.',
    access: byRoom,
    run(_request, call) {
      requireToken(ports, call)
      const features = Object.entries(FEATURES)
      return {
        supportedDataplaneFeatures: features.map(([featureName, supported]) => ({
          ...{ featureName, supported },
        })),
      }
    },
  })
