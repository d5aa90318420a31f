/**
 * Requests that somebody else chooses the end of (CVE-2022-29153, CVE-2026-5052): keys of issuers.
 * Attacks, near misses, and generated spellings of the addresses that give secrets away.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { targetGuard } from '../../src/checks/guard.ts'
import { KeySource } from '../../src/identity/auth-method/keys.run.ts'
import { FakeClock } from '../fake/clock.ts'
import { Issuer } from '../identity/auth-method/issuer.ts'
import { resolverOf, rsa } from '../identity/auth-method/tokens.ts'
import { propertyRuns } from '../run/budget.ts'

type Names = Parameters<typeof resolverOf>[0]

const place = (url: string, kind: 'set' | 'discovery' = 'set') =>
  ({ kind, url, caCert: '' }) as const

function sourceWith(names: Names, allow: readonly string[] = []): KeySource {
  const clock = new FakeClock()
  const timeouts = new Timeouts(clock)
  return new KeySource({
    resolver: resolverOf(names),
    mayReach: targetGuard(allow),
    clock,
    timeouts,
  })
}

/** What is in the way of the keys, or how many there are. */
async function keysAt(source: KeySource, url: string, kind?: 'set' | 'discovery'): Promise<string> {
  const found = await source.keysOf(place(url, kind))
  return typeof found === 'string' ? found : `${found.keys.length} keys`
}

const GUARDED = /^logins may not reach .*\(login_targets\.allow\)$/

t.test('attack: addresses that give secrets away, by number and by name', async t => {
  const names = {
    metadata: () => ['169.254.169.254'],
    mapped: () => ['::ffff:169.254.169.254'],
    v6: () => ['fd00:ec2::254'],
    link: () => ['fe80::1%eth0'],
  }
  for (const host of [
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.254.43518',
    ...Object.keys(names),
  ]) {
    t.match(await keysAt(sourceWith(names), `http://${host}/latest/meta-data/`), GUARDED, host)
    t.match(await keysAt(sourceWith(names), `http://${host}`, 'discovery'), GUARDED, host)
  }
})

t.test('attack: a name that leads elsewhere the second time', async t => {
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys: [rsa] }) })
  const answers = [['127.0.0.1'], ['169.254.169.254']]
  let asked = 0
  const source = sourceWith({ rebinding: () => answers[asked++] ?? [] })
  t.equal(await keysAt(source, `http://rebinding:${issuer.port}/keys`), '1 keys')
  t.equal(asked, 1, 'what was judged is what is connected to: nobody asks a second time')
})

t.test('attack: an allowed address beside a guarded one', async t => {
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys: [rsa] }) })
  const source = sourceWith({ both: () => ['169.254.169.254', '127.0.0.1'] })
  t.equal(await keysAt(source, `http://both:${issuer.port}/keys`), '1 keys')
  t.same(issuer.hosts, [`both:${issuer.port}`])
})

t.test('attack: redirects, and documents that lead on', async t => {
  const issuer: Issuer = await Issuer.start(t, {
    '/moved': () => ({ status: 302, headers: { location: '/keys' } }),
    '/away': () => ({ status: 307, headers: { location: 'http://169.254.169.254/' } }),
    '/keys': () => ({ keys: [rsa] }),
    '/a/.well-known/openid-configuration': () => ({
      json: { issuer: `${issuer.url}/a`, jwks_uri: 'http://169.254.169.254/keys' },
    }),
    '/b/.well-known/openid-configuration': () => ({
      json: { issuer: `${issuer.url}/b`, jwks_uri: 'file:///etc/shadow' },
    }),
    '/c/.well-known/openid-configuration': () => ({
      json: { issuer: 'https://elsewhere', jwks_uri: `${issuer.url}/keys` },
    }),
  })
  t.equal(await keysAt(sourceWith({}), `${issuer.url}/moved`), 'the issuer answered 302')
  t.equal(await keysAt(sourceWith({}), `${issuer.url}/away`), 'the issuer answered 307')
  t.match(await keysAt(sourceWith({}), `${issuer.url}/a`, 'discovery'), GUARDED)
  t.match(await keysAt(sourceWith({}), `${issuer.url}/b`, 'discovery'), /at no https URL/)
  t.match(await keysAt(sourceWith({}), `${issuer.url}/c`, 'discovery'), /is another/)
  t.notOk(issuer.paths.includes('/keys'), 'nothing was followed')
})

t.test('attack: answers without end', async t => {
  const issuer = await Issuer.start(t, {
    '/large': () => ({ endless: true }),
    '/long': () => ({ text: 'x'.repeat(limits.jwksSizeBytes + 1) }),
    '/many': () => ({ json: { keys: Array.from({ length: limits.jwtKeys + 1 }, () => ({})) } }),
    '/deep': () => ({ text: '['.repeat(100_000) }),
    '/cut': () => ({ text: '{"keys":[]}', headers: { 'content-length': '99' }, isCut: true }),
  })
  const larger = `the answer is larger than ${limits.jwksSizeBytes} bytes`
  t.equal(await keysAt(sourceWith({}), `${issuer.url}/large`), larger)
  t.equal(await keysAt(sourceWith({}), `${issuer.url}/long`), larger)
  t.match(await keysAt(sourceWith({}), `${issuer.url}/many`), /more than \d+ keys/)
  t.equal(await keysAt(sourceWith({}), `${issuer.url}/deep`), 'the answer is no key set')
  t.match(await keysAt(sourceWith({}), `${issuer.url}/cut`), /aborted|too early|hang up/)
})

t.test('near miss: what an operator allows, and no more', async t => {
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys: [rsa] }) })
  const url = `${issuer.url}/keys`
  t.equal(await keysAt(sourceWith({}), url), '1 keys', 'without a list')
  t.equal(await keysAt(sourceWith({}, ['127.0.0.0/8']), url), '1 keys')
  t.match(await keysAt(sourceWith({}, ['10.0.0.0/8']), url), GUARDED, 'a list is the whole of it')
  t.match(await keysAt(sourceWith({}, ['0.0.0.0/0']), 'http://169.254.169.254/'), GUARDED)
})

t.test('generated: a guarded address in any spelling is never connected to', async () => {
  const part = fc.nat(255)
  const v4 = fc.tuple(part, part).map(([c, d]) => [169, 254, c, d] as const)
  const spelled = v4.chain(parts => {
    const [a, b, c, d] = parts
    const whole = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
    const hex = (n: number): string => n.toString(16)
    const mapped = `${hex((a << 8) | b)}:${hex((c << 8) | d)}`
    return fc.constantFrom(
      parts.join('.'),
      String(whole),
      `0x${hex(whole)}`,
      parts.map(one => `0${one.toString(8)}`).join('.'),
      parts.map(one => `0x${hex(one)}`).join('.'),
      `[::ffff:${parts.join('.')}]`,
      `[::ffff:${mapped}]`,
      `[64:ff9b::${mapped}]`,
      `[2002:${mapped}::1]`,
      `[::${mapped}]`,
    )
  })
  await fc.assert(
    fc.asyncProperty(spelled, async host => {
      const given = await keysAt(sourceWith({}), `http://${host}:1/`)
      if (!GUARDED.test(given)) throw new Error(`${host}: ${given}`)
    }),
    { numRuns: propertyRuns() },
  )
})
