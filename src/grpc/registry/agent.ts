/**
 * gatehouse.v1.Agent: what the agent that is called keeps registered on its node.
 *
 * Owns parsing out of and rendering into messages; the rules are those of /v1/agent/service and
 * /v1/agent/check.
 */
import { missing, type Refusal } from '../../base/errors.ts'
import { localCheck } from '../../checks/given.ts'
import { agentService, refuseKind } from '../../registry/definition.ts'
import type { CheckEntry } from '../../registry/local.ts'
import { isRefusal } from '../../store/store.ts'
import { CheckStatus } from '../../store/tables/check.ts'
import { duplex, type GrpcCall, type GrpcMethod, unary } from '../declare.ts'
import { keepAlive } from './keep-alive.ts'
import {
  type LocalCheckMessage,
  localCheckGiven,
  type ServiceMessage,
  serviceGiven,
} from './messages.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { byRoom } from './rights.ts'
import {
  type DurationMessage,
  durationOf,
  type Maybe,
  type StatusMessage,
  statusGiven,
} from './values.ts'

export type AgentPorts = Pick<RegistryGrpcPorts, 'agent' | 'clock'>

const PROTO = 'gatehouse/v1/agent.proto'

/** The methods of one agent. */
export const localService = (ports: AgentPorts): readonly GrpcMethod[] => [
  registerMethod(ports),
  deregisterMethod(ports),
  updateMethod(ports),
  keepAliveMethod(ports),
]

interface RegisterRequest {
  readonly service: Maybe<ServiceMessage>
  readonly checks: readonly LocalCheckMessage[]
  readonly replaceExistingChecks: boolean
}

const registerMethod = ({ agent }: AgentPorts): GrpcMethod =>
  unary<RegisterRequest, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Agent/RegisterService', effect: 'writes' },
    summary: 'Keeps a service registered, with its checks.',
    access: byRoom,
    nameOf: ({ service }: RegisterRequest) => service?.name ?? '',
    isOfAgent: true,
    async run({ service: given, checks, replaceExistingChecks }, { who, token }) {
      if (!given) return missing('service name')
      const service = refuseKind(given.kind) ?? agentService(serviceGiven(agent.node, given))
      if (isRefusal(service)) return service
      const entries = checks.map(entryGiven)
      const bad = entries.find(isRefusal)
      if (bad !== undefined) return bad
      const done = await agent.registerService(who, {
        ...{ service, checks: entries as CheckEntry[], token },
        replaceChecks: replaceExistingChecks,
      })
      return isRefusal(done) ? done : {}
    },
  })

function entryGiven(given: LocalCheckMessage): CheckEntry | Refusal {
  const check = localCheck(localCheckGiven('', given))
  return isRefusal(check) ? check : { check, status: statusGiven(given.status) ?? '' }
}

const deregisterMethod = ({ agent }: AgentPorts): GrpcMethod =>
  unary<{ readonly serviceId: string }, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Agent/DeregisterService', effect: 'writes' },
    summary: 'Registers a service no longer, nor its checks.',
    access: byRoom,
    nameOf: ({ serviceId }: { readonly serviceId: string }) => serviceId,
    isOfAgent: true,
    async run({ serviceId }, { who }) {
      const done = await agent.deregisterService(who, serviceId)
      return isRefusal(done) ? done : {}
    },
  })

interface UpdateRequest {
  readonly checkId: string
  readonly status: StatusMessage
  readonly output: string
}

interface UpdateAnswer {
  readonly ttl: DurationMessage
}

async function updated(
  { agent }: AgentPorts,
  { who }: GrpcCall,
  { checkId, status, output }: UpdateRequest,
): Promise<{ answer: UpdateAnswer; ttlMs: number } | Refusal> {
  const said = { status: statusGiven(status) ?? CheckStatus.passing, output }
  const done = await agent.updateTtl(who, checkId, said)
  if (isRefusal(done)) return done
  const ttlMs = agent.ttlMsOf(checkId)
  return { answer: { ttl: durationOf(ttlMs) }, ttlMs }
}

const updateMethod = (ports: AgentPorts): GrpcMethod =>
  unary<UpdateRequest, UpdateAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Agent/UpdateTtl', effect: 'writes' },
    summary: 'Says the status of a TTL check, and starts its time over.',
    isRenewal: true,
    access: byRoom,
    nameOf: ({ checkId }: UpdateRequest) => checkId,
    isOfAgent: true,
    async run(request, call) {
      const done = await updated(ports, call, request)
      return isRefusal(done) ? done : done.answer
    },
  })

const keepAliveMethod = (ports: AgentPorts): GrpcMethod =>
  duplex<UpdateRequest, UpdateAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Agent/KeepAlive', effect: 'writes' },
    summary: 'Says that a TTL check is well as long as the stream lives.',
    isRenewal: true,
    access: byRoom,
    isOfAgent: true,
    open: (call, out) =>
      keepAlive<UpdateRequest, UpdateAnswer>(ports.clock, call, out, {
        idOf: ({ checkId }) => checkId,
        renew: message => updated(ports, call, message),
      }),
  })
