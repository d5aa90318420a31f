/** Which headers of a forwarded request travel on. */
import t from 'tap'
import { namedByConnection, travels } from '../../src/base/forwarding.ts'

t.test('headers that end with a connection', t => {
  t.notOk(travels('transfer-encoding'))
  t.notOk(travels('x-mine', namedByConnection('close, X-Mine')))
  t.ok(travels('x-consul-token', namedByConnection(undefined)))
  t.end()
})
