/** A call as the request that it makes of the secrets, and what has no form over gRPC. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { silentLog } from '../../../src/base/log.ts'
import type { GrpcCall } from '../../../src/grpc/declare.ts'
import { Door, requestOf } from '../../../src/grpc/secrets/door.ts'
import { goingOn } from '../../secrets/going-on.ts'

t.test('whoever works for a call hears that it is over, and nobody else makes a signal', t => {
  const over = new AbortController()
  let made = 0
  const call = {
    ...{ id: 'a', token: '', remote: '10.0.0.1' },
    header: () => undefined,
    get signal() {
      made++
      return over.signal
    },
  }
  const request = requestOf(call as unknown as GrpcCall, {
    operation: 'update',
    path: 'sys/mfa/validate',
  })
  if (request instanceof Refusal) throw new Error(request.text)
  t.equal(made, 0)
  t.equal(request.facts.signal, over.signal)
  t.end()
})

t.test('an answer that goes on is refused, and let go of', async t => {
  const { held, parts } = goingOn()
  const secrets = {
    handle: () => ({ status: 200, body: '', type: 'x', parts }),
    permits: () => new Refusal(500, 'not asked'),
  }
  const world = { clock: systemClock, random: systemRandom, log: silentLog }
  const call = { id: 'a', token: '', remote: '', header: () => undefined } as Partial<GrpcCall>
  const asked = { operation: 'read', path: 'sys/storage/raft/snapshot' } as const
  const told = await new Door({ secrets, ...world }).ask(call as GrpcCall, asked)
  t.match(told, { status: 501, text: /^not served yet/ })
  await new Promise(setImmediate)
  t.equal(held.isFreed, true)
})
