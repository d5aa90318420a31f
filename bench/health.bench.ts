/**
 * Reading the health of a service with 20 instances, with 32 connections.
 */
import assert from 'node:assert/strict'
import { recorded } from './peers.ts'
import { fillCatalog, serviceName } from './support/catalog.ts'
import { type Answer, indexOf, must } from './support/client.ts'
import { compareRates } from './support/compare.ts'
import { connections } from './support/wrk.ts'

const INSTANCES = 20
const path = `/v1/health/service/${serviceName(0)}`

await compareRates({
  figure: `health read of ${INSTANCES} instances, ${connections} connections`,
  async fill(port) {
    await fillCatalog(port, { instances: INSTANCES, nodes: INSTANCES, perService: INSTANCES })
    return await read(port)
  },
  load: { path },
  async check(port) {
    await read(port)
  },
  bare: 'get',
  limit: { what: 'bare fastify, same bytes', goal: 0.8 },
  peer: { figure: recorded.healthRead, goal: 5 },
})

async function read(port: number): Promise<Answer> {
  const answer = await must(port, 'GET', path)
  indexOf(answer)
  const entries: { Checks: { Status: string }[] }[] = JSON.parse(answer.body.toString())
  assert.equal(entries.length, INSTANCES)
  for (const { Checks } of entries) {
    assert.deepEqual(
      Checks.map(({ Status }) => Status),
      ['passing', 'passing'],
    )
  }
  return answer
}
