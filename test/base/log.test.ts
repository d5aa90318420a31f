/**
 * The names of levels and facilities.
 */
import t from 'tap'
import { logLevelOf, silentLog, syslogFacility } from '../../src/base/log.ts'

t.test('levels in any case, and the short name of error', async t => {
  t.equal(logLevelOf('TRACE'), 'trace')
  t.equal(logLevelOf('Warn'), 'warn')
  t.equal(logLevelOf('ERR'), 'error')
  for (const name of ['', 'warning', 'toString', 'constructor'])
    t.equal(logLevelOf(name), undefined)
})

t.test('facilities by name', async t => {
  t.equal(syslogFacility('kern'), 0)
  t.equal(syslogFacility('AUTHPRIV'), 10)
  t.equal(syslogFacility('LOCAL7'), 23)
  for (const name of ['', 'local8', 'none']) t.equal(syslogFacility(name), undefined)
})

t.test('the silent log takes everything', async t => {
  for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) silentLog[level]('x')
  silentLog.setLevel('trace')
  silentLog.follow({ level: 'info', json: false, take: () => t.fail() })()
})
