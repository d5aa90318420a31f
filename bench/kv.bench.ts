/**
 * Reading and writing keys, with 32 connections. Every PUT changes its value: an equal one would
 * change nothing and need no disk.
 */
import assert from 'node:assert/strict'
import { recorded } from './peers.ts'
import { compareAudit } from './support/audit.ts'
import { type Answer, indexOf, must } from './support/client.ts'
import { type Comparison, compareRates } from './support/compare.ts'
import { connections } from './support/wrk.ts'

const KEYS = 1_000
/** More than any server answers in a round. */
const PUTS = 250_000
const PADDING = 'x'.repeat(48)

await compareRates({
  figure: `KV GET, ${connections} connections`,
  async fill(port) {
    for (let key = 0; key < KEYS; key++) {
      await must(port, 'PUT', `/v1/kv/bench/${key}`, `${key}-${PADDING}`)
    }
    return await readKey(port, 7, /^7-x+$/)
  },
  load: {
    requests: { count: KEYS, lua: 'return wrk.format("GET", "/v1/kv/bench/" .. i)', again: true },
  },
  async check(port) {
    await readKey(port, KEYS - 1, /^999-x+$/)
  },
  bare: 'get',
  limit: { what: 'bare fastify, same bytes', goal: 0.7 },
  peer: { figure: recorded.kvGet, goal: 1.7 },
})

const puts: Pick<Comparison, 'figure' | 'fill' | 'load' | 'check'> = {
  figure: `KV PUT, ${connections} connections`,
  fill: async port => await must(port, 'PUT', '/v1/kv/bench/0', 'first'),
  load: {
    requests: {
      count: PUTS,
      lua: `
  local value = string.format("%d-%d-%s", round, i, "${PADDING}")
  return wrk.format("PUT", "/v1/kv/bench/" .. (i % ${KEYS}), nil, value)`,
    },
  },
  async check(port, round) {
    for (const key of [0, 1, 500, KEYS - 1]) {
      await readKey(port, key, new RegExp(`^${round}-\\d+-x+$`))
    }
  },
}

await compareRates({
  ...puts,
  bare: 'put',
  limit: { what: 'bare route awaiting a synced batch', goal: 0.7 },
  peer: { figure: recorded.kvPut, goal: 2 },
})

await compareAudit(puts)

async function readKey(port: number, key: number, expected: RegExp): Promise<Answer> {
  const answer = await must(port, 'GET', `/v1/kv/bench/${key}`)
  indexOf(answer)
  const [entry] = JSON.parse(answer.body.toString())
  assert.match(Buffer.from(entry.Value, 'base64').toString(), expected)
  return answer
}
