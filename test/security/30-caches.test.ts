/**
 * Class 30: what is remembered grows with the names that somebody makes up (CVE-2020-13250,
 * CVE-2023-5954). A million distinct tokens, names, paths and questions: the memory that they leave
 * behind is bounded, and who asks honestly is answered as before.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { access, type Lack, nothingUnmet } from '../../src/base/who.ts'
import { Responder } from '../../src/dns/responder.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { Explanations } from '../../src/identity/explain.ts'
import { Principal } from '../../src/identity/resolve.ts'
import { askDirectly, openRegistry, optionsFor } from '../dns/support.ts'
import { FakeClock } from '../fake/clock.ts'
import { startFace } from '../http/harness.ts'
import { anonymousBy, authorityOf } from '../http/principals.ts'
import { key, openWorld, settings } from '../identity/support.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

const MIB = 1_048_576
const DISTINCT = 1_000_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What lives once all garbage is gone, buffers included. */
async function livingBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await turn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A text that no other call gives, of so many characters. */
const made = (index: number, chars: number): string => String(index).padStart(chars, 'x')

async function openAuthority(t: Parameters<typeof openWorld>[0]) {
  const world = await openWorld(t)
  await world.token('honest', 'key "x" { policy = "read" }')
  const authority = new TokenAuthority({
    ...{ store: world.store, key, clock: world.clock, settings },
    timeouts: new Timeouts(world.clock),
    defaultToken: () => '',
    recovery: () => undefined,
  })
  return { world, authority }
}

t.test('attack: tokens that nobody has leave nothing behind', async t => {
  const { authority } = await openAuthority(t)
  const honest = authority.authenticate('honest')
  const before = await livingBytes()
  const count = await untilBudget('tokens that nobody has', DISTINCT, index => {
    authority.authenticate(made(index, 36))
  })
  const grown = (await livingBytes()) - before
  t.ok(grown < 2 * MIB, `${count} tokens left ${grown} bytes`)
  t.equal(authority.authenticate('honest'), honest, 'who is known stays known')
})

t.test('near miss: more tokens than are kept ready, all of them good', async t => {
  const { world, authority } = await openAuthority(t)
  const kept = limits.knownPrincipals
  Object.assign(limits, { knownPrincipals: 8 })
  t.teardown(() => Object.assign(limits, { knownPrincipals: kept }))
  const names = Array.from({ length: 20 }, (_, i) => `token-${i}`)
  for (const name of names) await world.token(name, `key "${name}" { policy = "write" }`)
  for (let round = 0; round < 3; round++) {
    for (const name of names) {
      const who = authority.authenticate(name)
      if (!(who instanceof Principal)) throw new Error(who.toString())
      t.ok(who.may(access('write', 'key', name)))
      t.notOk(who.may(access('write', 'key', names[0] === name ? 'no' : names[0])))
    }
  }
})

const lackOf = (id: string, name: string, who = anonymousBy('')): Lack => ({
  ...{ id, who, name, operation: 'GET /v1/kv/{key}', outcome: 'refused', count: 1 },
  unmet: nothingUnmet,
  lacking: [access('read', 'key', name), access('list', 'key', `${name}/`)],
})

t.test('attack: refusals whose names are as long as a request line', async t => {
  const explanations = new Explanations()
  const who = anonymousBy('')
  const before = await livingBytes()
  const count = await untilBudget('refusals of long names', DISTINCT, index => {
    // Flat, as the names of requests are.
    const name = Buffer.from(made(index, 60_000)).toString('latin1')
    explanations.note(lackOf(`${index}`, name, who))
  })
  const grown = (await livingBytes()) - before
  t.ok(count > 1_000)
  t.ok(grown < 3 * limits.explainedNamesChars, `${count} refusals left ${grown} bytes`)
})

t.test('near miss: as many short ones as are kept, and the newest of the long ones', async t => {
  const { world, authority } = await openAuthority(t)
  const honest = authority.authenticate('honest') as Principal
  const { explanations } = authority
  for (let i = 0; i <= limits.explainedRequests; i++) {
    explanations.note(lackOf(`short ${i}`, 'x', honest))
  }
  t.equal(explanations.explain('short 0'), undefined)
  t.ok(explanations.explain('short 1'))
  const huge = 'x'.repeat(limits.explainedNamesChars + 1)
  explanations.note(lackOf('huge', huge, honest))
  t.equal(explanations.explain('huge')?.name, huge, 'alone, but there')
  explanations.note(lackOf('next', 'x', honest))
  t.equal(explanations.explain('huge'), undefined)
  t.ok(explanations.explain('next'))
  const long = 'x'.repeat(limits.explainedNamesChars / 2)
  const unmet = { advisories: [long], overridden: [long], refusedBy: { name: 'c', level: 'l' } }
  explanations.note({ ...lackOf('conditions', 'x', honest), unmet })
  t.equal(explanations.explain('next'), undefined, 'names of conditions count too')
  t.equal(explanations.explain('conditions')?.conditions.length, 3)
  const advice = { ...nothingUnmet, advisories: ['c'] }
  for (let i = 0; i <= limits.explainedRequests; i++) {
    const advised = lackOf(`advised ${i}`, 'x', honest)
    explanations.note({ ...advised, outcome: 'allowed', unmet: advice })
  }
  t.equal(explanations.explain('advised 0'), undefined)
  t.ok(explanations.explain('advised 1'))
  t.ok(explanations.explain('conditions'), 'what only went on pushes out no refusal')
  await world.store.close()
})

t.test('generated: never beyond either bound, and the last one is there', async t => {
  const { authority } = await openAuthority(t)
  const honest = authority.authenticate('honest') as Principal
  const kept = { ...limits }
  Object.assign(limits, { explainedRequests: 4, explainedNamesChars: 100 })
  t.teardown(() => Object.assign(limits, kept))
  const lack = fc.record({ id: fc.integer({ min: 0, max: 9 }), chars: fc.nat({ max: 80 }) })
  fc.assert(
    fc.property(fc.array(lack, { maxLength: 30 }), lacks => {
      const explanations = new Explanations()
      for (const { id, chars } of lacks) {
        explanations.note(lackOf(`${id}`, 'n'.repeat(chars), honest))
        if (explanations.explain(`${id}`)?.name.length !== chars) return false
        const known = Array.from({ length: 10 }, (_, i) => explanations.explain(`${i}`)?.name ?? '')
        const told = Array.from({ length: 10 }, (_, i) => explanations.explain(`${i}`)).filter(
          Boolean,
        )
        const sum = known.reduce((total, name) => total + 2 * name.length, 0)
        if (told.length > 4 || (told.length > 1 && sum > 100)) return false
      }
      return true
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('attack: DNS names that nobody has, and the one that is asked for all the time', async t => {
  const registry = openRegistry(new FakeClock())
  t.teardown(() => registry.store.close())
  await registry.put({ node: 'one', address: '10.0.0.1', service: { name: 'web', port: 80 } })
  const responder = new Responder(optionsFor(registry, undefined, new FakeClock()))
  const honest = (): unknown => askDirectly(responder, 'web.service.consul A').answers
  const asBefore = honest()
  for (let i = 0; i < 1_000; i++) askDirectly(responder, `${made(i, 40)}.service.consul A`)
  const before = await livingBytes()
  const count = await untilBudget('DNS names that nobody has', DISTINCT, index => {
    const name = made(index, 10 + (index % 50))
    const form = ['service.consul A', 'node.consul AAAA', 'query.consul SRV', 'consul ANY'][
      index % 4
    ]
    askDirectly(responder, `${name}.${form}`)
    if (index % 1_000 === 0) honest()
  })
  const grown = (await livingBytes()) - before
  t.ok(grown < 16 * MIB, `${count} names left ${grown} bytes`)
  t.strictSame(honest(), asBefore)
})

t.test('attack: scopes that nobody writes, waited for and left', async t => {
  const registry = openRegistry(new FakeClock())
  t.teardown(() => registry.store.close())
  const { scopes } = registry.store
  const wait = (index: number): void => {
    const name = made(index, 60)
    for (const target of [
      { scope: name },
      { table: 'kv', key: name },
      { table: 'kv', prefix: name },
    ]) {
      scopes.wait(target, () => {}).cancel()
    }
  }
  wait(0)
  const before = await livingBytes()
  const count = await untilBudget('scopes that nobody writes', DISTINCT, wait)
  const grown = (await livingBytes()) - before
  t.ok(grown < 2 * MIB, `${count} names left ${grown} bytes`)
  t.equal(scopes.waiting, 0)
})

t.test('attack: URLs that differ in what does not matter, by who may read little', async t => {
  const may = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
  const authority = authorityOf({ '': anonymousBy(may), reader: anonymousBy('') })
  const { client } = await startFace(t, { authority })
  const pad = 'f'.repeat(800)
  const ask = async (index: number): Promise<void> => {
    const paths = [
      `/v1/health/service/${made(index, 200)}?passing`,
      `/v1/catalog/nodes?filter=Node%20==%20${made(index, 60)}`,
      `/v1/catalog/service/web?ns=&x=${pad}${index}`,
      `/v1/kv/${made(index, 8_000)}?recurse&keys&separator=${index}`,
    ]
    const { status } = await client.raw('GET', paths[index % paths.length]!)
    if (![200, 400, 403, 404].includes(status)) throw new Error(`answered ${status}`)
  }
  await client.put('/v1/agent/service/register', { Name: 'web' }).catch(() => {})
  const honest = await client.raw('GET', '/v1/catalog/services')
  for (let i = 0; i < 200; i++) await ask(i)
  const before = await livingBytes()
  const count = await untilBudget('distinct URLs', 200_000, index => ask(index + 200))
  const grown = (await livingBytes()) - before
  const bound = limits.answerCacheSizeBytes + limits.explainedNamesChars + 96 * MIB
  t.ok(grown < bound, `${count} URLs left ${grown} bytes`)
  t.equal((await client.raw('GET', '/v1/catalog/services')).text, honest.text)
})
