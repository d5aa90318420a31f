/**
 * What callers of methods are told that nobody declared.
 */
import t from 'tap'
import { undeclaredText } from '../../src/grpc/later.ts'

t.test('what is not served yet is told apart from what there is not', async t => {
  t.equal(
    undeclaredText('/hashicorp.consul.connectca.ConnectCAService/Sign'),
    'not served yet: hashicorp.consul.connectca.ConnectCAService, which comes with the service mesh',
  )
  t.match(
    undeclaredText('/hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams'),
    'not served yet: hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams',
  )
  t.equal(undeclaredText('/a.B/C'), 'there is no method a.B/C')
  t.equal(undeclaredText('/constructor/C'), 'there is no method constructor/C')
})
