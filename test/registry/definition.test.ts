/**
 * What is filled into a definition; its refusals are told at http/registry/agent-body.test.ts.
 */
import t from 'tap'
import {
  completeService,
  defaultCheckId,
  defaultCheckName,
  type GivenService,
  localService,
  portsProblem,
  refuseService,
  withTaggedAddresses,
} from '../../src/registry/definition.ts'
import { put } from '../../src/store/store.ts'
import { localServices } from '../../src/store/tables/local.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { everybody, only, serviceRow, viewOf } from './rules.ts'

const given = (more: Partial<GivenService> = {}): GivenService => ({
  ...serviceRow('n', '', { name: 'web', port: 0 }),
  weights: undefined,
  ...more,
})
const port = (name: string, isDefault = false, number = 80) => ({ name, port: number, isDefault })

t.test('the id, the weights and the port of the default entry', async t => {
  const plain = { id: 'web', weights: { passing: 1, warning: 1 }, port: 0, agentOwned: true }
  t.match(completeService(given(), true), plain)
  t.match(completeService(given({ id: 'w1', port: 9 }), false), { id: 'w1', port: 9 })
  const ports = [port('a', false, 1), port('b', true, 2)]
  t.equal(completeService(given({ ports }), true).port, 2)
  t.equal(completeService(given({ ports: [port('a', false, 1)] }), true).port, 1)
})

t.test('ports', async t => {
  t.equal(portsProblem(given({ ports: [port('a'), port('b', true)] })), undefined)
  t.equal(portsProblem(given({ port: 70_000 })), undefined)
  t.ok(portsProblem(given({ port: 1, ports: [port('a')] })))
  t.ok(portsProblem(given({ ports: [port('a'), port('a')] })))
  t.equal(refuseService(given()), undefined)
})

t.test('addresses by family; those given stay', async t => {
  const of = (address: string, more = {}) =>
    withTaggedAddresses(serviceRow('n', 'w', { address, port: 7, ...more })).taggedAddresses
  const own = (address: string) => ({ address, port: 7 })
  t.strictSame(of('10.0.0.1'), { lan_ipv4: own('10.0.0.1'), wan_ipv4: own('10.0.0.1') })
  t.strictSame(of('::1'), { lan_ipv6: own('::1'), wan_ipv6: own('::1') })
  t.strictSame(of(''), {})
  t.strictSame(of('a.example'), {})
  const lan_ipv4 = { address: '10.9.9.9', port: 1 }
  t.strictSame(of('10.0.0.1', { taggedAddresses: { lan_ipv4 } }).lan_ipv4, lan_ipv4)
})

t.test('names of checks that were given none', async t => {
  t.equal(defaultCheckId('w', 0, 1), 'service:w')
  t.equal(defaultCheckId('w', 1, 2), 'service:w:2')
  t.equal(defaultCheckName('web'), "Service 'web' check")
})

t.test("one of the agent's services", async t => {
  const service = serviceRow('n', 'w', { name: 'web' })
  const row = { node: 'n', service, token: 'secret', fromFile: false }
  const view = viewOf(put(localServices, onNode('n', 'w'), row))
  t.match(localService(everybody, 'N', 'w').read(view), { row: { service } })
  t.match(localService(everybody, 'n', 'x').read(view), {
    status: 404,
    text: 'unknown service ID: x',
  })
  t.match(localService(only('service:read db'), 'n', 'w').read(view), { status: 403 })
})
