/** When an answer that was lent may still be given out. */
import t from 'tap'
import { LentAnswers } from '../../src/dns/lent.ts'
import { readAnyClass } from '../../src/dns/question.ts'
import { Responder } from '../../src/dns/responder.ts'
import type { Lent } from '../../src/dns/thread-messages.ts'
import { newQuestion } from '../../src/wire/dns/mod.ts'
import { FakeClock } from '../fake/clock.ts'
import { openExample } from './example.ts'
import { answerTo, configWith, optionsFor, queryOf, respond, shared } from './support.ts'

const registry = await openExample()
t.teardown(() => registry.store.close())
const out = Buffer.alloc(65_535)

/** What a responder lends for a question that was asked so often. */
function lentFor(responder: Responder, text: string, times = 2): Lent | undefined {
  const via = responder.via('udp', '127.0.0.1')
  for (let i = 0; i < times; i++) responder.answer(queryOf(text), out, via, '127.0.0.1')
  const lent = responder.lend(via)
  return lent && structuredClone(lent)
}

const questionOf = (text: string, sizeBytes?: number) => {
  const question = newQuestion()
  readAnyClass(queryOf(text, sizeBytes), question)
  return question
}
const web = 'web.service.consul A'

t.test('one is lent when it is asked for again, and found by its question alone', async t => {
  const responder = respond(registry)
  t.equal(lentFor(responder, web, 1), undefined, 'many names are asked once')
  const lent = lentFor(responder, web)!
  const { marks } = registry.asker.scopes
  const kept = new LentAnswers({ marks, generation: responder.generation }, new FakeClock())
  kept.keep(lent)
  t.equal(kept.find(questionOf(web))?.template.answerCount, 2)
  t.equal(kept.find(questionOf('WEB.service.consul A'))?.template.answerCount, 2)
  t.equal(kept.find(questionOf('web.service.consul SRV')), undefined)
  t.equal(kept.find({ ...questionOf(web), cookieOffset: 40 }), undefined, 'a cookie is not ours')
  const own = Buffer.alloc(65_535)
  const { template } = kept.find(questionOf(web))!
  const bounds = { maxSizeBytes: 512, maxAnswers: 3, wantedAnswers: 0, random: -1 }
  const flags = { recursionAvailable: false, markTruncated: false }
  const size = template.write(own, queryOf(web), questionOf(web), { ...bounds, ...flags })
  t.equal(size, answerTo(responder, queryOf(web), out, 'udp'), 'the same records')
})

t.test('it holds until its scope changes, or all that was lent is void', async t => {
  const responder = respond(registry)
  const { marks } = registry.asker.scopes
  const kept = new LentAnswers({ marks, generation: responder.generation }, new FakeClock())
  kept.keep(lentFor(responder, web)!)
  await registry.put({ node: 'two', service: { name: 'elsewhere' } })
  t.ok(kept.find(questionOf(web)), 'another service is another scope')
  await registry.put({ node: 'two', service: { name: 'web', id: 'w9', address: '10.1.0.9' } })
  t.equal(kept.find(questionOf(web)), undefined)
  kept.keep(lentFor(responder, web)!)
  t.equal(kept.find(questionOf(web))?.template.answerCount, 3)
  const late = lentFor(responder, web)!
  responder.configure(configWith({}).dns)
  t.equal(kept.find(questionOf(web)), undefined)
  kept.keep(late)
  t.equal(kept.find(questionOf(web)), undefined, 'what was on its way meanwhile is void too')
})

t.test('what has a time in it holds for that second', async t => {
  const clock = new FakeClock()
  const responder = respond(registry, undefined, clock)
  const { marks } = registry.asker.scopes
  const kept = new LentAnswers({ marks, generation: responder.generation }, clock)
  kept.keep(lentFor(responder, 'absent.service.consul A')!)
  t.equal(kept.find(questionOf('absent.service.consul A'))?.template.answerCount, 0)
  await clock.advance(1_000)
  t.equal(kept.find(questionOf('absent.service.consul A')), undefined)
})

t.test('of several servers, one says for how long its view is good', async t => {
  const clock = new FakeClock()
  const stale = configWith({ maxStaleMs: 5_000 })
  const responder = respond(shared(registry).registry, stale, clock)
  await clock.advance(1_000)
  const { marks } = registry.asker.scopes
  const kept = new LentAnswers({ marks, generation: responder.generation }, clock)
  kept.keep(lentFor(responder, web)!)
  await clock.advance(3_999)
  t.ok(kept.find(questionOf(web)))
  await clock.advance(1)
  t.equal(kept.find(questionOf(web)), undefined)
})

t.test('nothing is lent that each asker must be judged for, or that leads elsewhere', async t => {
  t.equal(lentFor(respond(registry, configWith({ responseRate: 100 })), web), undefined)
  await registry.put({ node: 'two', service: { name: 'far', address: 'far.example' } })
  const recursing = configWith({ recursors: [{ host: '127.0.0.1', port: 1 }] })
  t.equal(lentFor(respond(registry, recursing), 'far.service.consul A'), undefined)
  t.equal(lentFor(respond(registry), '1.0.0.10.in-addr.arpa PTR'), undefined)
})

t.test('other rights void all that was lent', async t => {
  let changed = (): void => {}
  const options = optionsFor(registry)
  const watch = (told: () => void) => {
    changed = told
    return () => {}
  }
  const responder = new Responder({ ...options, rights: { ...options.rights, watch } })
  const { marks } = registry.asker.scopes
  const kept = new LentAnswers({ marks, generation: responder.generation }, new FakeClock())
  kept.keep(lentFor(responder, web)!)
  t.ok(kept.find(questionOf(web)))
  changed()
  t.equal(kept.find(questionOf(web)), undefined)
})
