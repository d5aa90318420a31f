/**
 * Class 19: whether a token exists can be told from how it is refused, or from how long that takes
 * (CVE-2025-6011, CVE-2023-3462, CVE-2020-35177). One that nobody has, one that nearly is
 * somebody's, one whose time is over and one that was deleted are refused with the same bytes and
 * after the same work: one keyed hash each, which is all that is done with a secret. Work is
 * counted, not timed.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { RegistryKey } from '../../src/identity/registry-key.ts'
import { deleteToken } from '../../src/identity/token.ts'
import { ROOT } from '../http/acl.ts'
import { declaredPaths } from '../http/declared.ts'
import { startFace } from '../http/harness.ts'
import { openWorld, settings } from '../identity/support.ts'
import { propertyRuns } from '../run/budget.ts'

/** A key that counts what is done with it. */
class CountingKey extends RegistryKey {
  hashes = 0
  others = 0

  override hashOf(secret: string): string {
    this.hashes++
    return super.hashOf(secret)
  }

  override seal(text: string, place: string): string {
    this.others++
    return super.seal(text, place)
  }

  override open(sealed: string, place: string): string | undefined {
    this.others++
    return super.open(sealed, place)
  }
}

async function openCounted(t: Parameters<typeof openWorld>[0]) {
  const world = await openWorld(t)
  // The same key as the world's.
  const counting = new CountingKey(Buffer.alloc(32, 5))
  const authority = new TokenAuthority({
    ...{ store: world.store, key: counting, clock: world.clock, settings },
    timeouts: new Timeouts(world.clock),
    defaultToken: () => '',
    recovery: () => undefined,
  })
  const workOf = (token: string) => {
    counting.hashes = 0
    counting.others = 0
    const who = authority.authenticate(token)
    const text = who instanceof Refusal ? `${who.status} ${who.text}` : who.accessor
    return { text, hashes: counting.hashes, others: counting.others }
  }
  return { world, workOf }
}

const REFUSED = { text: '403 ACL not found', hashes: 1, others: 0 }

t.test(
  'attack: unknown, nearly right, over and deleted cost the same and say the same',
  async t => {
    const { world, workOf } = await openCounted(t)
    await world.token('lives', '')
    await world.token('is-over', '', { ttlMs: 60_000 })
    await world.token('was-deleted', '')
    for (const name of ['lives', 'is-over', 'was-deleted']) t.match(workOf(name), { text: name })
    await world.clock.advance(60_000)
    await world.run(view => deleteToken(view, everybody, 'was-deleted'))
    for (const token of [
      'nobody',
      'live',
      'lives2',
      'Lives',
      'is-over',
      'was-deleted',
      'x'.repeat(9_999),
    ]) {
      for (let i = 0; i < 3; i++) t.strictSame(workOf(token), REFUSED, token)
    }
    t.strictSame(
      workOf('lives'),
      { text: 'lives', hashes: 1, others: 0 },
      'near miss: one that is right',
    )
  },
)

t.test('generated: any text costs one hash', async t => {
  const { world, workOf } = await openCounted(t)
  await world.token('lives', '')
  fc.assert(
    fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.uuid()), text => {
      const { hashes, others } = workOf(text)
      return hashes === 1 && others === 0
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('on the wire: every path refuses them with the same bytes', async t => {
  const face = await startFace(t, { acl: {} })
  const root = face.client.as(ROOT)
  const make = async () => (await root.raw('PUT', '/v1/acl/token', {})).json
  const deleted = await make()
  t.equal((await face.client.as(deleted.SecretID).raw('GET', '/v1/acl/token/self')).status, 200)
  await root.raw('DELETE', `/v1/acl/token/${deleted.AccessorID}`)
  const { SecretID } = await make()
  const wrong = [
    ...['nobody', deleted.SecretID, SecretID.toUpperCase(), SecretID.slice(0, -1), `${SecretID}0`],
    ...[deleted.AccessorID, '00000000-0000-0000-0000-000000000002', ROOT.toUpperCase()],
  ]
  const plain = ({ status, text, headers }: { status: number; text: string; headers: object }) => {
    const { 'x-request-id': _id, date: _date, ...rest } = headers as Record<string, string>
    return { status, text, ...rest }
  }
  let paths = 0
  for (const { path, operations } of declaredPaths) {
    const url = path.replaceAll(/\{\w+\}/g, 'a')
    for (const [method, { access }] of Object.entries(operations)) {
      if (typeof access !== 'function' || /monitor|stream|leave|snapshot|pprof/.test(path)) continue
      const answers = await Promise.all(wrong.map(token => face.client.as(token).raw(method, url)))
      const [first, ...others] = answers.map(plain)
      for (const [i, other] of others.entries())
        t.strictSame(other, first, `${wrong[i + 1]}: ${method} ${path}`)
      if (first?.status === 403) paths++
    }
  }
  t.ok(paths > 60, `${paths} operations refuse`)
})
