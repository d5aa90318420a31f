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
        t.equal(message.authoritative, message.rcode !== 4, `${ask}: ours to answer`)
        t.notOk(message.recursionAvailable)
      }
    }
  })
}

t.test('the same under the other domain, and names in answers lie in it', async t => {
  const config = { ...testConfig, domain: 'first.example', altDomain: 'consul' }
  const responder = respond(registry, config)
  for (const { ask, gives } of forms.flatMap(form => form.examples)) {
    const message = askDirectly(responder, ask, { transport: 'tcp' })
    t.strictSame(textOf(message).sort(), [gives].flat().toSorted(), ask)
  }
  const inFirst = askDirectly(responder, 'web.service.first.example SRV', { sizeBytes: 4_096 })
  t.match(textOf(inFirst).join(), /one\.node\.dc1\.first\.example\./)
})

t.test('every file of a form is in the list', async t => {
  const folder = new URL('../../src/dns/form/', import.meta.url)
  const shared = ['declare.ts', 'instances.ts', 'mod.ts', 'records.ts']
  t.equal(readdirSync(folder).filter(file => !shared.includes(file)).length, forms.length)
})
