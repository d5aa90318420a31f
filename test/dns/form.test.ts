/** The grammar of names: every example of every form's declaration. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { forms } from '../../src/dns/form/mod.ts'
import { openExample } from './example.ts'
import { askDirectly, respond, testConfig, textOf } from './support.ts'

const registry = await openExample()
t.teardown(() => registry.store.close())

for (const { name, pattern, examples } of forms) {
  t.test(`${name}: ${pattern}`, async t => {
    const responder = respond(registry)
    // The second time the answer was kept.
    for (const round of ['made', 'kept']) {
      for (const { ask, gives } of examples) {
        const message = askDirectly(responder, ask, { sizeBytes: 4_096 })
        t.strictSame(textOf(message).sort(), [gives].flat().toSorted(), `${ask} (${round})`)
        const isOurs = message.rcode !== 4 && message.rcode !== 5
        t.equal(message.authoritative, isOurs, `${ask}: ours to answer`)
        t.notOk(message.recursionAvailable)
      }
    }
  })
}

t.test('the same under the other domain, and names in answers lie in it', async t => {
  const config = { ...testConfig, domain: 'first.example', altDomain: 'consul' }
  const responder = respond(registry, config)
  const examples = forms.flatMap(form => form.examples).filter(({ ask }) => !/arpa /i.test(ask))
  for (const { ask, gives } of examples) {
    const message = askDirectly(responder, ask, { transport: 'tcp' })
    t.strictSame(textOf(message).sort(), [gives].flat().toSorted(), ask)
  }
  const inFirst = askDirectly(responder, 'web.service.first.example SRV', { sizeBytes: 4_096 })
  t.match(textOf(inFirst).join(), /one\.node\.dc1\.first\.example\./)
  const back = askDirectly(responder, '1.0.0.10.in-addr.arpa PTR')
  t.strictSame(textOf(back), ['PTR one.node.dc1.first.example.'], 'back to the primary one')
})

t.test('every file of a form is in the list', async t => {
  const folder = new URL('../../src/dns/form/', import.meta.url)
  const shared = ['declare.ts', 'instances.ts', 'mod.ts', 'records.ts']
  t.equal(readdirSync(folder).filter(file => !shared.includes(file)).length, forms.length)
})
