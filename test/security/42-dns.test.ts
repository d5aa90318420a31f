/**
 * Class 42: DNS that lets others foresee ids, decides by the order of text instead of by label, or
 * forgets on one transport what it asks on another (CVE-2019-19794, CVE-2025-58063, CVE-2026-33489,
 * CVE-2026-33190). How questions go out stands in test/dns/recursors.test.ts, what is kept and for
 * how long in test/dns/cache.test.ts.
 */
import fc from 'fast-check'
import t from 'tap'
import { ANONYMOUS_ACCESSOR, type Who } from '../../src/base/who.ts'
import { Responder } from '../../src/dns/responder.ts'
import { type DnsRights, openRights } from '../../src/dns/rights.ts'
import { ask, openRegistry, optionsFor, textOf } from '../dns/support.ts'
import { FakeClock } from '../fake/clock.ts'
import { ruledBy } from '../http/principals.ts'
import { propertyRuns } from '../run/budget.ts'

const rightsOf = (who: Who): DnsRights => ({ ...openRights, who: () => who })

/** Services and nodes whose names are parts of one another. */
const NAMES = ['web', 'web-admin', 'webs', 'we', 'admin', 'a', 'admin-web', 'xweb', 'b-web', 'web1']

async function start(t: { teardown(end: () => void): void }, rules: string) {
  const registry = openRegistry(new FakeClock())
  t.teardown(() => void registry.store.close())
  for (const [i, name] of NAMES.entries()) {
    const service = { name, port: 80, tags: ['web', 'admin'] }
    await registry.put({ node: `node-${name}`, address: `10.0.0.${i + 1}`, service })
  }
  const who = ruledBy(rules, { accessor: ANONYMOUS_ACCESSOR })
  const responder = new Responder(optionsFor(registry, undefined, new FakeClock(), rightsOf(who)))
  const told = async (question: string, transport: 'udp' | 'tcp'): Promise<string> =>
    textOf(await ask(responder, question, { transport, sizeBytes: 4_096 }))
      .sort()
      .join('\n')
  return { told }
}

/** Every form that leads to a service or to its node. */
const formsOf = (name: string): string[] => [
  ...[`${name}.service.consul A`, `${name}.service.consul SRV`, `${name}.service.consul ANY`],
  ...[`_${name}._tcp.service.consul SRV`, `_${name}._web.service.consul SRV`],
  ...[`web.${name}.service.consul A`, `${name}.service.dc1.consul A`, `${name}.query.consul A`],
  ...[`${name.toUpperCase()}.SERVICE.consul A`, `${name}.service.dc1.dc.consul A`],
  ...[`node-${name}.node.consul A`, `node-${name}.node.consul ANY`],
]

t.test(
  'attack: a name is one label: its beginning, its end and its neighbours are others',
  async t => {
    const rules = 'service "web" { policy = "read" } node "node-web" { policy = "read" }'
    const { told } = await start(t, rules)
    for (const name of NAMES.filter(one => one !== 'web')) {
      for (const question of formsOf(name)) {
        for (const transport of ['udp', 'tcp'] as const) {
          t.notMatch(
            await told(question, transport),
            /10\.0\.0\.\d|node-/,
            `${question} by ${transport}`,
          )
        }
      }
    }
    for (const question of [
      'web.service.consul A',
      'node-web.node.consul A',
      'WEB.service.consul SRV',
    ]) {
      t.match(await told(question, 'udp'), /10\.0\.0\.1\b|node-web/, `near miss: ${question}`)
    }
  },
)

t.test('attack: labels that hold a dot, or bytes of another name', async t => {
  const rules = 'service "web" { policy = "read" } node "node-web" { policy = "read" }'
  const { told } = await start(t, rules)
  for (const question of [
    ...[
      'web\\.admin.service.consul A',
      'admin\\000.service.consul A',
      'web\\000admin.service.consul A',
    ],
    ...['admin\\.service.service.consul A', 'web.service.consul.admin.service.consul A'],
    ...['*.service.consul A', '%.service.consul A', 'admin/web.service.consul A'],
  ]) {
    for (const transport of ['udp', 'tcp'] as const) {
      t.notMatch(await told(question, transport), /10\.0\.0\.(?!1\b)\d/, question)
    }
  }
  // Addresses tell of nodes that may not be seen: the names behind them are not told.
  t.notMatch(await told('5.0.0.10.in-addr.arpa PTR', 'udp'), /admin/)
  t.match(await told('1.0.0.10.in-addr.arpa PTR', 'udp'), /node-web/, 'near miss')
})

t.test(
  'generated: any rules, any question: both transports tell the same, and no more',
  async t => {
    const level = fc.constantFrom('read', 'deny', 'write')
    const rule = fc.record({
      kind: fc.constantFrom('service', 'service_prefix', 'node', 'node_prefix'),
      name: fc.constantFrom(...NAMES, ...NAMES.map(name => `node-${name}`), '', 'node-'),
      level,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(rule, { maxLength: 5, selector: ({ kind, name }) => `${kind} ${name}` }),
        fc.constantFrom(...NAMES),
        async (rules, name) => {
          const text = rules
            .map(one => `${one.kind} "${one.name}" { policy = "${one.level}" }`)
            .join('\n')
          const { told } = await start(t, text)
          const who = ruledBy(text)
          const maySee = (resource: 'node' | 'service', of: string): boolean =>
            who.may({ capability: 'read', resource, name: of })
          const seesNode = maySee('node', `node-${name}`)
          const seesService = seesNode && maySee('service', name)
          for (const question of formsOf(name)) {
            const [udp, tcp] = [await told(question, 'udp'), await told(question, 'tcp')]
            if (udp !== tcp) throw new Error(`${question}: ${udp} or ${tcp}`)
            const isTold = /10\.0\.0\.\d|node-/.test(udp)
            const mayBe = question.includes('.node.') ? seesNode : seesService
            if (isTold && !mayBe) throw new Error(`${question}: ${udp}, by ${text}`)
          }
          const plain = await told(`${name}.service.consul A`, 'tcp')
          if (seesService !== /10\.0\.0\.\d/.test(plain))
            throw new Error(`${name}: ${plain}, by ${text}`)
        },
      ),
      { numRuns: propertyRuns() },
    )
  },
)
