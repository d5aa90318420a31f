/**
 * Class 28, for the secrets: JSON that is deep or of very many parts, from whoever has no token,
 * and bodies that are parsed before anybody asked whether the request is let in (CVE-2025-6203,
 * CVE-2025-12044). The order is size, rate, body, token; of several faults the first one speaks.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { openSecretsFace } from '../http/secrets/face.ts'
import { propertyRuns } from '../run/budget.ts'

const many = (count: number, part: string): string => `[${Array(count).fill(part).join(',')}]`
const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

/** Bodies beyond a bound, and the same at it. */
const FLOODS: readonly (readonly [what: string, over: string, at: string])[] = [
  ['depth', `{"a":${deep(limits.jsonDepth)}}`, `{"a":${deep(limits.jsonDepth - 1)}}`],
  [
    'entries',
    `{"a":${many(limits.secretsJsonEntries, '1')}}`,
    `{"a":${many(limits.secretsJsonEntries - 1, '1')}}`,
  ],
  [
    'strings',
    `{"a":${many(limits.secretsJsonStrings - 1, '""')},"b":"","c":""}`,
    `{"a":${many(limits.secretsJsonStrings - 10, '""')}}`,
  ],
  [
    'a long string',
    `{"a":"${'x'.repeat(limits.secretsJsonStringSizeBytes + 1)}"}`,
    `{"a":"${'x'.repeat(limits.secretsJsonStringSizeBytes)}"}`,
  ],
  [
    'a long number',
    `{"a":${'1'.repeat(limits.secretsJsonNumberChars + 1)}}`,
    `{"a":${'1'.repeat(limits.secretsJsonNumberChars)}}`,
  ],
]
const PATHS = [
  'plain/a',
  'sys/unseal',
  'sys/init',
  'sys/wrapping/unwrap',
  'no/such',
  'sys/mounts/a',
]

t.test('attack: beyond each bound nothing is asked; near miss: at it, it is', async t => {
  const face = await openSecretsFace(t)
  for (const [what, over, at] of FLOODS) {
    for (const path of PATHS) {
      face.asked.length = 0
      const refused = await face.send('POST', `/v1/${path}`, { token: '', body: over })
      t.equal(refused.status, 400, `${what}, ${path}`)
      t.match(refused.body, /"error parsing JSON: /)
      t.strictSame(face.asked, [])
    }
    await face.send('POST', '/v1/plain/a', { token: '', body: at })
    t.equal(face.asked.length, 1, `${what}: at the bound`)
  }
})

const STEPS = ['size', 'rate', 'body', 'token', 'right'] as const
type Step = (typeof STEPS)[number]

const SAID: Readonly<Record<Step, readonly [status: number, text: RegExp]>> = {
  size: [413, /http: request body too large/],
  rate: [503, /Rate limit reached, try again later/],
  body: [400, /error parsing JSON/],
  token: [403, /invalid token/],
  right: [403, /permission denied/],
}

async function open(t: Test) {
  const rate = { mode: 'enforcing' as const, clientWritePerSecond: 0 }
  const [face, slow] = [await openSecretsFace(t), await openSecretsFace(t, { rates: rate })]
  const tokens = new Map<typeof face, string>()
  for (const each of [face, slow]) {
    const made = await each.secrets.post('auth/token/create', { policies: 'default' })
    tokens.set(each, made.body.auth.client_token)
  }
  return async (wrong: ReadonlySet<Step>) => {
    const to = wrong.has('rate') ? slow : face
    to.asked.length = 0
    const token = wrong.has('token')
      ? 'hvs.nobody'
      : wrong.has('right')
        ? tokens.get(to)!
        : undefined
    const { status, body } = await to.send('POST', '/v1/plain/a', {
      ...(token === undefined ? {} : { token }),
      body: wrong.has('body') ? '{"a":' : '{"a":1}',
      ...(wrong.has('size') ? { lengthBytes: limits.secretsBodySizeBytes + 1 } : {}),
    })
    return { status, body, asked: to.asked.length }
  }
}

type Ask = Awaited<ReturnType<typeof open>>

/** Of several faults the first speaks; before the token, the room is not even asked. */
async function hold(ask: Ask, wrong: ReadonlySet<Step>): Promise<string | undefined> {
  // Size and rate are both told by the head alone: either may speak.
  const first = STEPS.find(step => wrong.has(step))
  const { status, body, asked } = await ask(wrong)
  const heads = wrong.has('size') && wrong.has('rate') ? [SAID.size, SAID.rate] : [SAID[first!]]
  const isTold = heads.some(([code, text]) => status === code && text.test(body))
  if (!isTold) return `${[...wrong]}: ${status} ${body}`
  const isEarly = STEPS.indexOf(first!) < STEPS.indexOf('token')
  return isEarly && asked > 0 ? `${[...wrong]}: the room was asked` : undefined
}

t.test('attack: each fault alone, and with each that comes behind it', async t => {
  const ask = await open(t)
  for (const [i, first] of STEPS.entries()) {
    t.equal(await hold(ask, new Set([first])), undefined, first)
    for (const second of STEPS.slice(i + 1)) {
      t.equal(await hold(ask, new Set([first, second])), undefined, `${first} before ${second}`)
    }
  }
  t.equal((await ask(new Set())).status, 204, 'near miss: nothing is wrong')
})

t.test('generated: any of them together', async t => {
  const ask = await open(t)
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.constantFrom(...STEPS), { minLength: 3 }), async steps => {
      const fault = await hold(ask, new Set(steps))
      if (fault !== undefined) throw new Error(fault)
    }),
    { numRuns: propertyRuns() / 4 },
  )
})
