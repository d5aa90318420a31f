/** The end of tokens, and of trees that no transaction holds. */
import tap from 'tap'
import { wallMs } from '../../../src/base/brand.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { limits } from '../../../src/base/limits.ts'
import { rootTokenRow } from '../../../src/secrets/initial.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { endToken } from '../../../src/secrets/token/end.ts'
import { type Issued, issueToken, type NewToken } from '../../../src/secrets/token/issue.ts'
import { tokenOfAccessor } from '../../../src/secrets/token/target.ts'
import { childrenOf, tokenAt } from '../../../src/secrets/token/token.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'
import { openGiving } from '../lease/giving.ts'
import { onEveryStore } from '../stores.ts'

const base: NewToken = { ...rootTokenRow, policies: ['default'], ttlMs: 3_600_000 }

/** Makes a token with so many children, some of them with one of their own. */
async function makeTree(secrets: TestSecrets, children: number): Promise<Issued> {
  let top: Issued | undefined
  for (let from = 0; from < children; from += 200) {
    await secrets.write(draft => {
      top ??= issueToken(draft, base)
      const parent = { namespaceId: 'root', hash: top.hash }
      for (let i = from; i < Math.min(from + 200, children); i++) {
        const child = issueToken(draft, { ...base, parent, depth: 1 })
        const lower = { namespaceId: 'root', hash: child.hash }
        if (i % 3 === 0) issueToken(draft, { ...base, parent: lower, depth: 2 })
      }
    })
  }
  return top!
}

const CHILDREN = 900

tap.test('a tree larger than any transaction ends before the answer', t => {
  onEveryStore(t, async (t, newStore) => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    const before = secrets.rows()
    const top = await makeTree(secrets, CHILDREN)
    t.ok(secrets.rows().length > limits.endingOps)
    t.equal((await secrets.post('auth/token/revoke', { token: top.secret })).status, 204)
    t.strictSame(secrets.rows(), before, 'and nothing of it is left')
  })
  t.end()
})

/** One step of an end, as the server that was asked takes it before it goes away. */
const oneStep = async (secrets: TestSecrets, { hash }: Issued): Promise<void> =>
  secrets.write(draft => void endToken(draft, { namespaceId: 'root', hash }))

tap.test('another server finishes what one began', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  const before = secrets.rows()
  const top = await makeTree(secrets, CHILDREN)
  await oneStep(secrets, top)
  const left = secrets.rows().length
  t.ok(left > before.length, 'a part of it is left')
  const refused = await secrets.read('auth/token/lookup-self', { token: top.secret })
  t.equal(refused.status, 403, 'and the token at its top is refused')
  for (let i = 0; i < 20 && secrets.rows().length > before.length; i++) {
    await clock.advance(limits.endingTakeoverMs)
  }
  t.strictSame(secrets.rows(), before)
  await giving.stop()
})

tap.test('each step writes no more than one may, and each does something', async t => {
  const secrets = await openSecrets(t)
  const before = secrets.rows().length
  const top = await makeTree(secrets, CHILDREN)
  for (let rows = secrets.rows().length; rows > before; ) {
    const now = wallMs(secrets.clock.wall())
    const draft = new Draft(secrets.store.view(), secrets.barrier!, now, systemRandom)
    endToken(draft, { namespaceId: 'root', hash: top.hash })
    t.ok(draft.ops().length <= limits.endingOps)
    await oneStep(secrets, top)
    t.ok(secrets.rows().length < rows)
    rows = secrets.rows().length
  }
})

tap.test('children of a token that ends alone stay, however many they are', async t => {
  const secrets = await openSecrets(t)
  const top = await makeTree(secrets, 1_200)
  const all = secrets.rows().length
  const got = await secrets.post('auth/token/revoke-orphan', { token: top.secret })
  t.equal(got.status, 204)
  t.equal(secrets.rows().length, all - 1, 'its row is gone')
  const accessors = (await secrets.list('auth/token/accessors')).body.data.keys
  t.equal(accessors.length, 1 + 1_200 + 400)
  const draft = draftOf(secrets)
  t.strictSame(childrenOf(draft, { namespaceId: 'root', hash: top.hash }, 1), [])
  for (const accessor of accessors.slice(0, 5)) {
    const { place } = tokenOfAccessor(draft, accessor)!
    t.equal(tokenAt(draft, place)?.parent?.hash === top.hash, false, 'they are nobody’s')
  }
})

tap.test('one that is chosen again takes nothing of who had it before', async t => {
  const secrets = await openSecrets(t)
  const made = async (token: string) => {
    const { body } = await secrets.post('auth/token/create', { ttl: '1h' }, { token })
    return body.auth.client_token as string
  }
  const chosen = { id: 'chosen-by-somebody', policies: ['root'] }
  await secrets.post('auth/token/create', chosen)
  const child = await made(chosen.id)
  await secrets.post('auth/token/revoke-orphan', { token: chosen.id })
  await secrets.post('auth/token/create', chosen)
  const other = await made(chosen.id)
  await secrets.post('auth/token/revoke', { token: chosen.id })
  t.equal((await secrets.read('auth/token/lookup-self', { token: child })).status, 200)
  t.equal((await secrets.read('auth/token/lookup-self', { token: other })).status, 403)
})

tap.test('a tree is so deep at most', async t => {
  const secrets = await openSecrets(t)
  let deepest: Issued | undefined
  for (let depth = 0; depth <= limits.tokenTreeDepth; depth += 100) {
    await secrets.write(draft => {
      for (let d = depth; d < Math.min(depth + 100, limits.tokenTreeDepth + 1); d++) {
        const parent = deepest && { namespaceId: 'root', hash: deepest.hash }
        deepest = issueToken(draft, { ...base, policies: ['root'], parent, depth: d })
      }
    })
  }
  const refused = await secrets.post('auth/token/create', { ttl: '1h' }, { token: deepest!.secret })
  t.match(refused, { status: 400, text: 'the tree of this token is too deep' })
})

tap.test('what hangs on a token that is gone already is no hindrance', async t => {
  const secrets = await openSecrets(t)
  const top = await makeTree(secrets, 3)
  await secrets.write(draft => {
    draft.area('root', 'tokens').delete(top.hash)
  })
  t.equal((await secrets.post('auth/token/revoke', { token: top.secret })).status, 204)
  const place = { namespaceId: 'root', hash: top.hash }
  const children = childrenOf(draftOf(secrets), place, 10)
  t.equal(children.length, 3)
  await secrets.write(draft => {
    for (const child of children) endToken(draft, child)
  })
  t.strictSame(childrenOf(draftOf(secrets), place, 10), [])
})

const draftOf = (secrets: TestSecrets): Draft =>
  new Draft(secrets.store.view(), secrets.barrier!, wallMs(secrets.clock.wall()), systemRandom)
