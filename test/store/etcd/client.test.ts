/** Which etcd is good enough. */
import t from 'tap'
import { warningsFor } from '../../../src/store/etcd/client.ts'

t.test('client: versions that lack known fixes are warned of', async t => {
  for (const version of ['3.4.23', '3.5.32', '3.6.13', '3.7.0', '3.7.0-rc.0']) {
    t.match(warningsFor(version), [new RegExp(`^etcd ${version} lacks fixes`)], version)
  }
  for (const version of ['3.5.33', '3.5.40', '3.6.14', '3.7.1', '3.8.0', '4.0.0']) {
    t.same(warningsFor(version), [], version)
  }
  for (const version of ['3.3.27', '2.3.8']) {
    t.throws(() => warningsFor(version), { code: 'unavailable', message: /3\.4 or newer/ })
  }
})
