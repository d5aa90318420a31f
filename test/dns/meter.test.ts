/** What DNS shows in numbers: queries by type, answers by type and code, cuts by transport. */
import t from 'tap'
import { Metrics, type Sample } from '../../src/base/metrics.ts'
import { Responder } from '../../src/dns/responder.ts'
import { FakeClock } from '../fake/clock.ts'
import { openExample } from './example.ts'
import { askDirectly, configWith, optionsFor } from './support.ts'

t.test('the series, by Consul’s names where it has them', async t => {
  const registry = await openExample()
  t.teardown(() => registry.store.close())
  const metrics = new Metrics(new FakeClock())
  const config = configWith({ udpAnswerLimit: 1 })
  const responder = new Responder({ ...optionsFor(registry, config, new FakeClock()), metrics })
  const questions = [
    'web.service.consul A',
    'web.service.consul A',
    'absent.service.consul A',
    'web.service.consul SRV',
    '1.0.0.10.in-addr.arpa PTR',
    'web.example TYPE999',
    'web.service.consul TYPE998',
    'web.connect.consul ANY',
  ]
  for (const question of questions) askDirectly(responder, question)
  const shown = metrics.all().flatMap(series => {
    const { name, labels } = series
    const count = 'total' in series ? (series as Sample).total.count : 0
    return count === 0 ? [] : [[name, ...Object.values(labels), count].join(' ')]
  })
  t.strictSame(shown.sort(), [
    'dns.answers A NOERROR 2',
    'dns.answers A NXDOMAIN 1',
    'dns.answers ANY NOTIMP 1',
    'dns.answers PTR NOERROR 1',
    'dns.answers SRV NOERROR 1',
    'dns.answers other NOERROR 1',
    'dns.answers other REFUSED 1',
    'dns.cut_answers udp 3',
    'dns.domain_query here 7',
    'dns.ptr_query here 1',
    'dns.query here A 3',
    'dns.query here ANY 1',
    'dns.query here PTR 1',
    'dns.query here SRV 1',
    'dns.query here other 2',
  ])
  t.match(responder.stats, { cut: 3, udp: 8, refused: 2 })
})
