/**
 * Registering instances with their checks, with 32 connections. Every request changes the service
 * and the check that it names: the first ones make them, later ones bring another release.
 */
import assert from 'node:assert/strict'
import { recorded } from './peers.ts'
import { compareAudit } from './support/audit.ts'
import { fillCatalog, instanceBody } from './support/catalog.ts'
import { indexOf, must } from './support/client.ts'
import { type Comparison, compareRates } from './support/compare.ts'
import { connections } from './support/wrk.ts'

const NODES = 100
const INSTANCES = 10_000
const SERVICES = 100
/** More than any server answers in a round. */
const REQUESTS = 150_000

/** The body of request `i` of a round; the words between @ are filled in by the generator. */
const template = JSON.stringify(instanceBody(4_711, 17, 'service-@service@', '@release@'))
  .replaceAll('node-17', 'node-@node@')
  .replaceAll('@service@-4711', '@service@-@id@')

const registering: Pick<Comparison, 'figure' | 'fill' | 'load' | 'check'> = {
  figure: `register, ${connections} connections`,
  async fill(port) {
    await fillCatalog(port, { instances: NODES, nodes: NODES, perService: NODES / SERVICES })
    return await must(port, 'PUT', '/v1/catalog/register', instanceBody(0, 0, 'service-0', 'r2'))
  },
  load: {
    requests: {
      count: REQUESTS,
      lua: `
  local id = i % ${INSTANCES}
  local words = { node = id % ${NODES}, service = id % ${SERVICES}, id = id }
  words.release = string.format("%d-%d", round, i)
  local body = string.gsub([[${template}]], "@(%l+)@", words)
  return wrk.format("PUT", "/v1/catalog/register", nil, body)`,
    },
  },
  async check(port, round) {
    const answer = await must(port, 'GET', '/v1/health/service/service-7')
    indexOf(answer)
    const entries: Entry[] = JSON.parse(answer.body.toString())
    const seen = entries.filter(({ Service }) => Service.Meta.release?.startsWith(`${round}-`))
    assert.ok(seen.length > 0, 'the last round has reached the catalog')
    for (const { Service, Checks } of seen) {
      const own = Checks.find(({ ServiceID }) => ServiceID === Service.ID)
      assert.ok(own?.Output.endsWith(`Output: ${Service.Meta.release}`), 'service and check agree')
    }
  },
}

await compareRates({
  ...registering,
  bare: 'put',
  limit: { what: 'bare route awaiting a synced batch', goal: 0.5 },
  peer: { figure: recorded.register, goal: 4 },
})

await compareAudit(registering)

interface Entry {
  readonly Service: { readonly ID: string; readonly Meta: { readonly release?: string } }
  readonly Checks: readonly { readonly ServiceID: string; readonly Output: string }[]
}
