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
import { ClassCode, type DnsRecord, type TemplateAnswer, TypeCode } from '../../wire/dns/mod.ts'
import { serviceTtlS } from '../config.ts'
import { type Answer, type Ask, type Said, wants } from './declare.ts'
import {
  addressName,
  addressRecord,
  cnameRecord,
  hostName,
  metaRecords,
  nodeName,
  wantsHost,
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
  return { scope: scopeOf(wanted.service, ask), answers: instanceAnswers(wanted, ask) }
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

function* instanceAnswers(wanted: Wanted, ask: Ask): Generator<Answer, boolean> {
  const { service, tag } = wanted
  const ttlS = serviceTtlS(ask.config, service)
  const filter = { tags: tag === undefined ? [] : [tag], meta: [], passing: false }
  const given = new Set<string>()
  let exists = false
  let alias: DnsRecord | undefined
  for (const instance of serviceHealth(ask.who, service, filter).read(ask.view)) {
    const chosen = choose(instance, wanted, ask)
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
    if (host !== undefined) alias ??= cnameRecord(ask.name, host, ttlS)
    const isNew = record !== undefined && wants(ask, record.type) && !given.has(record.data)
    if (isNew) given.add(record.data)
    yield isNew ? { record, additionals: [] } : undefined
  }
  // A name has one alias and nothing beside it: addresses are worth more than host names.
  if (alias !== undefined && given.size === 0 && wantsHost(ask)) {
    yield { record: alias, additionals: [] }
  }
  return exists
}

function choose(instance: InstanceHealth, wanted: Wanted, ask: Ask): Chosen | undefined {
  const { node, service, checks } = instance
  const port = portOf(service.row, wanted.port)
  const isCritical = checks.some(({ row }) => row.status === CheckStatus.critical)
  const isWarning = checks.some(({ row }) => row.status === CheckStatus.warning)
  if (port === undefined || isCritical) return undefined
  if (isWarning && ask.config.dns.onlyPassing) return undefined
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

function srvAnswer(chosen: Chosen, ask: Ask, ttlS: number): TemplateAnswer {
  const { node, service, address } = chosen
  const { passing, warning } = service.row.weights
  const canonical = nodeName(ask, node.row.node)
  const ownName = chosen.isOwnAddress ? addressName(ask, address) : canonical
  const target = hostName(address) ?? ownName ?? canonical
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
  }
}
