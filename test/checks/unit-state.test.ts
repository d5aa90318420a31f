import t from 'tap'
import { isUnitName, unitQuestion, unitResult } from '../../src/checks/unit-state.ts'

t.test('states of a unit', async t => {
  const result = (active: string, load = 'loaded') =>
    unitResult('web', `LoadState=${load}\nActiveState=${active}\n`)
  t.same(result('active'), { status: 'passing', output: 'Service "web" is healthy' })
  t.match(result('reloading'), { status: 'passing' })
  t.same(result('activating'), { status: 'warning', output: 'service status: activating' })
  t.match(result('deactivating'), { status: 'warning' })
  const unhealthy = (state: string) => `service status: ${state} - OS Service unhealthy`
  t.same(result('inactive'), { status: 'critical', output: unhealthy('inactive') })
  t.same(result('failed'), { status: 'critical', output: unhealthy('failed') })
  t.same(result('inactive', 'not-found'), { status: 'critical', output: unhealthy('not-found') })
  t.same(unitResult('web', 'nonsense'), { status: 'critical', output: unhealthy('unknown') })
})

t.test('a unit can only be a name', async t => {
  t.same(unitQuestion('--host=evil').slice(-2), ['--', '--host=evil'])
  for (const name of [
    'nginx',
    'getty@tty1.service',
    'dev-disk.mount',
    'a\\x2db.device',
    '-.mount',
  ]) {
    t.ok(isUnitName(name), name)
  }
  for (const text of ['', '*', 'nginx*', 'a b', 'a?', '[a]', '../x', 'a\0', 'x'.repeat(256)]) {
    t.notOk(isUnitName(text), JSON.stringify(text))
  }
})
