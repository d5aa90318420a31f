/**
 * How each kind of second factor is asked that is somebody else's.
 *
 * Owns the list. All talks of a server are counted together.
 */
import { askDuo } from './duo.run.ts'
import type { FactorAsks } from './factor.ts'
import { askOkta } from './okta.run.ts'
import { askPingid } from './pingid.run.ts'
import { type FactorPorts, Services } from './service.run.ts'

/** The ways to all of them. */
export function factorAsks(ports: FactorPorts): FactorAsks {
  const services = new Services(ports)
  return { duo: askDuo(services), okta: askOkta(services), pingid: askPingid(services) }
}
