/**
 * The answers that name a service's instances, for every form that asks for some.
 *
 * Owns which instances are well enough, the order of their addresses, SRV targets and weights, and
 * what is an equal answer. Follows Consul's service lookups. Yields one answer after the other, so
 * that a service with thousands of instances can be answered in slices.
 */
import type { Bytes } from '../../base/bytes.ts'
import type { Instance } from '../../registry/catalog.ts'
import { type InstanceHealth, serviceHealth } from '../../registry/health.ts'
import { CheckStatus } from '../../store/tables/check.ts'
import { fold, scope } from '../../store/tables/names.ts'
import { type ServiceRow, services } from '../../store/tables/service.ts'
import { ClassCode, TypeCode } from '../../wire/dns/mod.ts'
import { serviceTtlS } from '../config.ts'
import type { Answer, Ask, Given, Said } from './declare.ts'
import {
  addressName,
  addressRecord,
  cnameRecord,
  hostName,
  metaRecords,
  nodeName,
  wantsHost,
  wantsOfService,
} from './records.ts'

/** Which instances are asked for. */
export interface Wanted {
  readonly service: string
  /** Undefined for any. */
  readonly tag?: string | undefined
  /** The name of a port; undefined for the default one. */
  readonly port?: Bytes | undefined
}

/** The answer about a service's instances. */
export function sayInstances(wanted: Wanted, ask: Ask): Said {
  const most = ask.typeCode === TypeCode.SRV ? 0 : ask.config.dns.aRecordLimit
  return { scope: scopeOf(wanted.service, ask), answers: instanceAnswers(wanted, ask), most }
}

/** What an answer about a service stands on; while there is none, on any service's coming. */
export function scopeOf(service: string, { view }: Ask): string {
  const exists = view.find(services, 'name', fold(service), 1).length > 0
  return exists ? scope.health(service) : scope.services
}

/** One instance that is well, with what its records are made of. */
interface Chosen extends Instance {
  readonly isWarning: boolean
  readonly port: number
  /** Its own address, else its node's: an IP or a host name. */
  readonly address: string
  readonly isOwnAddress: boolean
}

/** Instances and how their records are made. */
export interface Source {
  readonly instances: Iterable<InstanceHealth>
  readonly port: Bytes | undefined
  readonly ttlS: number
  /** Whether an instance is well enough; those that are not do not exist. */
  readonly isWell: (instance: InstanceHealth) => boolean
}

function instanceAnswers({ service, tag, port }: Wanted, ask: Ask): Generator<Answer, boolean> {
  const filter = { tags: tag === undefined ? [] : [tag], meta: [], passing: false }
  const instances = serviceHealth(ask.who, service, filter).read(ask.view)
  const ttlS = serviceTtlS(ask.config, service)
  const { onlyPassing } = ask.config.dns
  const isWell = ({ checks }: InstanceHealth): boolean =>
    checks.every(({ row: { status } }) =>
      onlyPassing ? status === CheckStatus.passing : status !== CheckStatus.critical,
    )
  return answersOf({ instances, port, ttlS, isWell }, ask)
}

/** The answers that name instances, in their order. */
export function* answersOf(source: Source, ask: Ask): Generator<Answer, boolean> {
  const { ttlS } = source
  const given = new Set<string>()
  const hosts = new Set<string>()
  let exists = false
  for (const instance of source.instances) {
    const chosen = source.isWell(instance) ? choose(instance, source.port, ask) : undefined
    if (chosen === undefined) {
      yield undefined
      continue
    }
    exists = true
    if (ask.typeCode === TypeCode.SRV) {
      const identity = `${chosen.node.key} ${chosen.address} ${chosen.port}`
      yield given.has(identity) ? undefined : srvAnswer(chosen, ask, ttlS)
      given.add(identity)
      continue
    }
    const record = addressRecord(ask.name, chosen.address, ttlS)
    const host = hostName(chosen.address)
    if (host !== undefined) hosts.add(host)
    const isNew =
      record !== undefined && wantsOfService(ask, record.type) && !given.has(record.data)
    if (isNew) given.add(record.data)
    yield isNew ? { record, additionals: [] } : undefined
  }
  // Addresses are worth more than host names; of several aliases one goes out.
  if (given.size === 0 && (wantsHost(ask) || wantsOfService(ask, 'CNAME'))) {
    for (const host of hosts) {
      yield { record: cnameRecord(ask.name, host, ttlS), additionals: [], host }
    }
  }
  return exists
}

function choose(
  { node, service, checks }: InstanceHealth,
  portName: Bytes | undefined,
  ask: Ask,
): Chosen | undefined {
  const port = portOf(service.row, portName)
  const isWarning = checks.some(({ row }) => row.status === CheckStatus.warning)
  if (port === undefined) return undefined
  // An instance whose address is the very name that was asked for is where its node is.
  const own = hostName(service.row.address)?.toLowerCase() === ask.name ? '' : service.row.address
  const address = own === '' ? node.row.address : own
  return { node, service, isWarning, port, address, isOwnAddress: own !== '' }
}

/** The port with a name, or the default one: `Port`, else the default of `Ports`. */
function portOf({ port, ports }: ServiceRow, name: Bytes | undefined): number | undefined {
  if (name !== undefined) return ports.find(each => each.name.toLowerCase() === name)?.port
  if (port !== 0) return port
  return (ports.find(each => each.isDefault) ?? ports[0])?.port ?? 0
}

function srvAnswer(chosen: Chosen, ask: Ask, ttlS: number): Given {
  const { node, service, address } = chosen
  const { passing, warning } = service.row.weights
  const canonical = nodeName(ask, ask.zone, node.row.node)
  const ownName = chosen.isOwnAddress ? addressName(ask, address) : canonical
  const host = hostName(address)
  const target = host ?? ownName ?? canonical
  const additional = addressRecord(target, address, ttlS)
  const meta = ask.config.dns.nodeMetaTxt ? metaRecords(canonical, node.row, ttlS) : []
  return {
    record: {
      name: ask.name,
      class: ClassCode.IN,
      ttlS,
      type: 'SRV',
      data: {
        priority: 1,
        weight: chosen.isWarning ? warning : passing,
        port: chosen.port,
        target,
      },
    },
    additionals: additional === undefined ? meta : [additional, ...meta],
    host,
  }
}
