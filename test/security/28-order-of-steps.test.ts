/**
 * Work after identity: of a request that is wrong in several ways, the cheapest check speaks. The
 * order of a listener is head, connections, path and sender, size of the body, rate, token, path
 * and query and body, rights, record; nothing of a body is parsed before its sender is known.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import type { Who } from '../../src/base/who.ts'
import { NO_RATES } from '../../src/http/admission.ts'
import { type FaceOptions, startFace } from '../http/harness.ts'
import { ruledBy } from '../http/principals.ts'
import { connectRaw } from '../http/wire.ts'
import { propertyRuns } from '../run/budget.ts'

/** What can be wrong with a request, in the order in which it is looked at. */
const STEPS = [
  'head',
  'target',
  'blocked',
  'sender',
  'size',
  'rate',
  'token',
  'query',
  'body',
  'rights',
] as const
type Step = (typeof STEPS)[number]

/** What says so. */
const SAID: Record<Step, RegExp> = {
  head: /^HTTP\/1\.1 431 /,
  target: /^HTTP\/1\.1 400 [\s\S]*Bad Request$/,
  blocked: /^HTTP\/1\.1 403 [\s\S]*Endpoint is blocked by agent configuration$/,
  sender: /^HTTP\/1\.1 403 [\s\S]*Access is restricted$/,
  size: /^HTTP\/1\.1 413 /,
  rate: /^HTTP\/1\.1 503 [\s\S]*Rate limit reached, try again later$/,
  token: /^HTTP\/1\.1 403 [\s\S]*ACL not found$/,
  query: /^HTTP\/1\.1 400 [\s\S]*Invalid/,
  body: /^HTTP\/1\.1 400 [\s\S]*(decode|decoding)/,
  rights: /^HTTP\/1\.1 403 [\s\S]*Permission denied/,
}

/** A request that is wrong in these ways, and what the server makes of the others. */
function requestOf(wrong: ReadonlySet<Step>): string {
  const body = wrong.has('size')
    ? 'x'.repeat(70_000)
    : wrong.has('body')
      ? '{"Name":'
      : '{"Name":"x"}'
  const path = wrong.has('blocked') ? '/v1/session/create/blocked' : '/v1/session/create'
  const query = wrong.has('query') ? '?ns=other' : ''
  const lines = [
    `PUT ${path}${query}${wrong.has('target') ? '#x' : ''} HTTP/1.1`,
    ...['Host: x', 'Connection: close', `Content-Length: ${body.length}`],
    `X-Consul-Token: ${wrong.has('token') ? 'nobody' : wrong.has('rights') ? 'poor' : 'rich'}`,
    ...(wrong.has('head') ? [`X-Long: ${'x'.repeat(70_000)}`] : []),
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

interface Counted {
  tokens: number
  rights: number
}

async function start(t: Test, wrong: ReadonlySet<Step>, counted: Counted) {
  const rich = ruledBy('session_prefix "" { policy = "write" }')
  const counting = (who: Who): Who => ({
    ...who,
    may(wanted) {
      counted.rights++
      return who.may(wanted)
    },
  })
  const known: Record<string, Who> = { rich: counting(rich), poor: counting(ruledBy('')) }
  const options: FaceOptions = {
    authority: {
      defaultPolicy: 'deny',
      authenticate(token) {
        counted.tokens++
        return known[token] ?? new Refusal(403, 'ACL not found')
      },
    },
    blockEndpoints: ['/v1/session/create/blocked'],
    ...(wrong.has('sender') ? { allowWriteFrom: ['192.0.2.0/24'] } : {}),
    ...(wrong.has('rate')
      ? { rates: { ...NO_RATES, mode: 'enforcing' as const, writePerSecond: 0 } }
      : {}),
    bounds: { bodySizeBytes: 60_000 },
  }
  return startFace(t, options)
}

async function answerTo(
  t: Test,
  wrong: ReadonlySet<Step>,
): Promise<{ text: string; counted: Counted }> {
  const counted = { tokens: 0, rights: 0 }
  const face = await start(t, wrong, counted)
  const connection = await connectRaw(t, face)
  connection.write(requestOf(wrong))
  const text = await connection.closed()
  await face.stop()
  return { text, counted }
}

/** Of several faults the first speaks, and nothing behind it was done. */
async function hold(t: Test, wrong: ReadonlySet<Step>): Promise<string | undefined> {
  const first = STEPS.find(step => wrong.has(step))
  const { text, counted } = await answerTo(t, wrong)
  const wanted = first === undefined ? /^HTTP\/1\.1 200 / : SAID[first]
  if (!wanted.test(text)) return `${[...wrong]}: ${text.slice(0, 400)}`
  const at = first === undefined ? STEPS.length : STEPS.indexOf(first)
  if (at < STEPS.indexOf('token') && counted.tokens > 0)
    return `${[...wrong]}: a token was looked at`
  if (at < STEPS.indexOf('rights') && counted.rights > 0)
    return `${[...wrong]}: rights were asked for`
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
