/**
 * Work after identity, over gRPC: of a call that is wrong in several ways, the cheapest check
 * speaks. The order is size, rate, token, message, rights; nothing of a message is decoded before
 * its sender is known, and no token is looked at before the rate is.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { NO_RATES } from '../../src/base/request-rates.ts'
import { openAuthority, type Who } from '../../src/base/who.ts'
import { oneMethod } from '../grpc/contracts.ts'
import { startGrpc } from '../grpc/harness.ts'
import { ruledBy } from '../http/principals.ts'
import { propertyRuns } from '../run/budget.ts'

const STEPS = ['size', 'rate', 'token', 'message', 'rights'] as const
type Step = (typeof STEPS)[number]

const SAID: Record<Step, RegExp> = {
  size: /^RESOURCE_EXHAUSTED Received message larger/,
  rate: /^RESOURCE_EXHAUSTED Rate limit reached/,
  token: /^UNAUTHENTICATED ACL not found/,
  message: /^INVALID_ARGUMENT the message is not one/,
  rights: /^PERMISSION_DENIED Permission denied/,
}

/** Of several faults the first speaks, and nothing behind it was done. */
async function hold(t: Test, wrong: ReadonlySet<Step>): Promise<string | undefined> {
  const counted = { tokens: 0, rights: 0, runs: 0 }
  const rich = ruledBy('key "a" { policy = "read" }')
  const counting: Who = {
    ...rich,
    may(wanted) {
      counted.rights++
      return rich.may(wanted)
    },
  }
  const known: Record<string, Who> = { rich: counting, poor: { ...ruledBy('') } }
  const method = oneMethod({
    run() {
      counted.runs++
      return {}
    },
  })
  const { client, face } = await startGrpc(t, {
    methods: [method],
    authority: {
      ...openAuthority,
      authenticate(token) {
        counted.tokens++
        return known[token] ?? new Refusal(403, 'ACL not found')
      },
    },
    ...(wrong.has('rate')
      ? { rates: { ...NO_RATES, mode: 'enforcing' as const, readPerSecond: 0 } }
      : {}),
  })
  const token = wrong.has('token') ? 'nobody' : wrong.has('rights') ? 'poor' : 'rich'
  const broken = Buffer.from([0xff, 0xff, 0x03])
  const bytes = wrong.has('size')
    ? Buffer.alloc(limits.grpcMessageSizeBytes + 1, 0xff)
    : wrong.has('message')
      ? broken
      : Buffer.from([0x0a, 1, 0x61])
  const { code, text } = await client.raw(`/${method.path}`, bytes, { 'x-consul-token': token })
  face.cut()
  const first = STEPS.find(step => wrong.has(step))
  const told = `${code} ${text}`
  if (!(first === undefined ? /^OK/ : SAID[first]).test(told)) return `${[...wrong]}: ${told}`
  const at = first === undefined ? STEPS.length : STEPS.indexOf(first)
  if (at < STEPS.indexOf('token') && counted.tokens > 0) return `${[...wrong]}: a token was seen`
  if (at < STEPS.indexOf('rights') && counted.rights > 0) return `${[...wrong]}: rights were asked`
  if ((first === undefined) !== (counted.runs === 1)) return `${[...wrong]}: ran ${counted.runs}`
  return undefined
}

t.test('attack: each fault alone, and with each that comes behind it', async t => {
  for (const [i, first] of STEPS.entries()) {
    t.equal(await hold(t, new Set([first])), undefined, first)
    for (const second of STEPS.slice(i + 1)) {
      t.equal(await hold(t, new Set([first, second])), undefined, `${first} before ${second}`)
    }
  }
})

t.test('near miss: nothing is wrong', async t => {
  t.equal(await hold(t, new Set()), undefined)
})

t.test('generated: any of them together', async t => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.constantFrom(...STEPS), { minLength: 3 }), async steps => {
      const fault = await hold(t, new Set(steps))
      if (fault !== undefined) throw new Error(fault)
    }),
    { numRuns: Math.ceil(propertyRuns() / 10) },
  )
})
