/** Joining: which servers are asked, and what is said of those that cannot be reached. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { type Joiner, joinAny, openPinned, selfSigned } from '../../src/agent/join.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { nodeName } from '../../src/cluster/names.ts'

const world = { clock: systemClock, random: systemRandom }

function joiner(): Joiner {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const token = { id: systemRandom.uuid(), secret: 'x'.repeat(43) }
  return { kind: 'client', nodeId: systemRandom.uuid(), name: 'node', key, publicKey, token }
}

t.test('nobody there, and somebody who speaks something else', async t => {
  const gone = createServer().listen(0, '127.0.0.1')
  const other = createServer(socket => socket.end('hello')).listen(0, '127.0.0.1')
  await Promise.all([once(gone, 'listening'), once(other, 'listening')])
  t.teardown(() => other.close())
  const [first, second] = [gone, other].map(
    server => `127.0.0.1:${(server.address() as AddressInfo).port}`,
  )
  gone.close()
  const joining = joinAny([first!, second!], joiner(), world)
  await t.rejects(joining, { name: 'OperatingError', message: `no server to join: ${first}: ` })
  await t.rejects(joining, { message: second! })
  await t.rejects(joining, { message: /^(?!.*xxxx)/ }, 'no secret in it')
})

t.test('a connection that is pinned to what is shown needs somebody who shows it', async t => {
  const agent = joiner()
  const certificate = selfSigned(agent, [nodeName(agent.nodeId)], world)
  await t.rejects(openPinned('127.0.0.1:1', { certificate, key: agent.key }), {
    code: 'ECONNREFUSED',
  })
})
