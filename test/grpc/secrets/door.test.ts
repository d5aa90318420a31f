/** A call as the request that it makes of the secrets. */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import type { GrpcCall } from '../../../src/grpc/declare.ts'
import { requestOf } from '../../../src/grpc/secrets/door.ts'

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
