/** The paths of the seal: who may call them, sealed or not, and the forms of their answers. */

import t, { type Test } from 'tap'
import { conditionCompiler } from '../../../../src/agent/secrets-conditions.ts'
import { systemRandom } from '../../../../src/base/clock.ts'
import { Refusal } from '../../../../src/base/errors.ts'
import type { SealOperator } from '../../../../src/secrets/barrier/operator.run.ts'
import type { SealRoom } from '../../../../src/secrets/barrier/seal.run.ts'
import { Engines, type SecretsRequest } from '../../../../src/secrets/decide.ts'
import type { Operation } from '../../../../src/secrets/declare.ts'
import { Denials } from '../../../../src/secrets/denials.ts'
import { enginesOn } from '../../../../src/secrets/engine/mod.ts'
import { pathsWhileSealed } from '../../../../src/secrets/engine/sys/engine.ts'
import type { Json } from '../../../../src/secrets/field.ts'
import { Secrets } from '../../../../src/secrets/room.run.ts'
import { openStore, startServer } from '../../barrier/world.ts'
import { testPorts } from '../../ports.ts'

interface Asked {
  readonly data?: Record<string, Json>
  readonly token?: string
  readonly namespace?: string
}

/** A server whose seal is real, as clients see it. */
async function served(t: Test, access = { isRekeyOpen: false, isRootTokenOpen: false }) {
  const store = openStore()
  const { room, operator }: { room: SealRoom; operator: SealOperator } = await startServer(t, store)
  const engines = enginesOn(testPorts({ seal: operator, sealAccess: access }))
  const secrets = new Secrets({
    ...{ store, seal: room, engines: new Engines(engines), random: systemRandom },
    clock: {
      wall: () => Date.now() as never,
      monotonic: () => 0 as never,
      after: () => ({ clear() {} }),
    },
    recordOf: () => undefined,
    denials: new Denials(),
    conditions: conditionCompiler,
    sealedPaths: pathsWhileSealed(engines),
  })
  let requests = 0
  const ask = async (operation: Operation, path: string, asked: Asked = {}) => {
    const { data = {}, token = '', namespace = '' } = asked
    const facts = {
      id: `r${++requests}`,
      remote: '::1',
      wrapTtlMs: undefined,
      headers: {},
      isList: false,
    }
    const request: SecretsRequest = { ...{ operation, path, data, token, namespace, facts } }
    const handled = await secrets.handle(request)
    if (handled instanceof Refusal)
      return { status: handled.status, body: { errors: [handled.text] } as never }
    const text = handled.body.toString()
    // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
    return { status: handled.status, body: (text === '' ? '' : JSON.parse(text)) as any }
  }
  const post = (path: string, data: Asked['data'] = {}, token = '') =>
    ask('update', path, { data, token })
  const init = async () => {
    const { body } = await post('sys/init', { secret_shares: 3, secret_threshold: '2' })
    for (const key of body.keys.slice(0, 2)) await post('sys/unseal', { key })
    return { keys: body.keys as string[], token: body.root_token as string }
  }
  return { ask, post, init, room }
}

t.test('init, unseal and seal, as clients do it', async t => {
  const { ask, post, room } = await served(t)
  t.strictSame((await ask('read', 'sys/init')).body, { initialized: false })
  t.equal((await ask('read', 'sys/mounts', { token: 'x' })).status, 503)
  const refused = await post('sys/init', { secret_shares: 5, secret_threshold: 9 })
  t.equal(refused.status, 400)
  const made = await post('sys/init', { secret_shares: 3, secret_threshold: 2, stored_shares: 1 })
  t.equal(made.status, 200)
  t.strictSame(Object.keys(made.body), ['keys', 'keys_base64', 'root_token'])
  const { keys, root_token: token } = made.body
  t.match((await post('sys/init', { secret_shares: 1, secret_threshold: 1 })).body, {
    errors: ['Vault is already initialized'],
  })
  t.match((await ask('read', 'sys/seal-status')).body, { sealed: true, t: 2, n: 3, type: 'shamir' })
  t.match((await post('sys/unseal', { key: keys[0] })).body, { progress: 1 })
  t.match((await post('sys/unseal', { reset: true })).body, { progress: 0 })
  await post('sys/unseal', { key: keys[0] })
  t.match((await post('sys/unseal', { key: keys[2] })).body, { sealed: false })
  t.equal((await ask('read', 'sys/mounts', { token })).status, 200)
  t.equal((await post('sys/seal')).status, 403)
  t.equal((await post('sys/seal', {}, 'hvs.nobody')).status, 403)
  t.ok(room.barrier())
  t.equal((await post('sys/seal', {}, token)).status, 204)
  t.equal(room.barrier(), undefined)
  t.strictSame((await ask('read', 'sys/mounts', { token })).body, { errors: ['Vault is sealed'] })
})

t.test('rotation asks for a token', async t => {
  const { ask, post, init } = await served(t)
  const { token } = await init()
  for (const path of ['sys/rotate', 'sys/rotate/keyring', 'sys/rotate/root']) {
    t.equal((await post(path)).status, 403, path)
    t.equal((await post(path, {}, token)).status, 204, path)
  }
  const status = (await ask('read', 'sys/key-status', { token })).body
  t.match(status, { data: { term: 3 }, term: 3, encryptions: Number })
  const config = { data: { max_operations: 3_865_470_566, interval: 0, enabled: true } }
  t.match((await ask('read', 'sys/rotate/config', { token })).body, config)
  t.equal((await post('sys/rotate/keyring/config', { interval: '48h' }, token)).status, 204)
  t.match((await ask('read', 'sys/rotate/config', { token })).body, { data: { interval: 172_800 } })
})

t.test('rekey and generate-root ask for a token, unless they are open', async t => {
  const closed = await served(t)
  const { keys, token } = await closed.init()
  const paths: readonly (readonly [Operation, string])[] = [
    ['read', 'rekey/init'],
    ['update', 'rekey/init'],
    ['delete', 'rekey/init'],
    ['update', 'rekey/update'],
    ['read', 'rekey/verify'],
    ['read', 'rekey/backup'],
    ['read', 'generate-root'],
    ['update', 'generate-root/attempt'],
    ['delete', 'generate-root/attempt'],
    ['update', 'generate-root/update'],
    ['read', 'rotate/root/init'],
    ['update', 'rotate/root/init'],
  ]
  for (const [operation, path] of paths) {
    t.equal((await closed.ask(operation, `sys/${path}`)).status, 403, `${operation} ${path}`)
  }
  const begun = await closed.post(
    'sys/rekey/init',
    { secret_shares: 2, secret_threshold: 2 },
    token,
  )
  t.match(begun.body, { started: true, nonce: /^[0-9a-f-]{36}$/, required: 2 })
  t.equal((await closed.ask('delete', 'sys/rekey/init')).status, 403, 'nobody ends it')
  t.equal((await closed.ask('delete', 'sys/rekey/init', { token })).status, 204)
  const { body } = await closed.post(
    'sys/rotate/root/init',
    { secret_shares: 1, secret_threshold: 1 },
    token,
  )
  t.match(body.data, { started: true, n: 1 })
  const { nonce } = body.data
  for (const key of keys.slice(1)) {
    const { body: step } = await closed.post('sys/rotate/root/update', { key, nonce }, token)
    if (step.data.complete) t.equal(step.data.keys.length, 1)
  }
  t.match((await closed.ask('read', 'sys/seal-status')).body, { n: 1, t: 1 })

  const open = await served(t, { isRekeyOpen: true, isRootTokenOpen: true })
  t.match((await open.ask('read', 'sys/rekey/init')).body, {
    errors: ['server is not yet initialized'],
  })
  const held = await open.init()
  const attempt = await open.post('sys/generate-root/attempt')
  t.match(attempt.body, { started: true, otp: /^\w{28}$/ })
  t.equal(
    (await open.ask('delete', 'sys/generate-root/attempt')).status,
    400,
    'not without its nonce',
  )
  const given = { data: { nonce: attempt.body.nonce } }
  for (const key of held.keys.slice(0, 2)) {
    const { body: step } = await open.post('sys/generate-root/update', { key, ...given.data })
    if (!step.complete) continue
    const pad = { encoded_token: step.encoded_token, otp: attempt.body.otp }
    const { token: made } = (await open.post('sys/decode-token', pad)).body.data
    t.equal((await open.ask('read', 'sys/mounts', { token: made })).status, 200)
  }
  await open.post('sys/rekey/init', { secret_shares: 2, secret_threshold: 2 })
  t.match((await open.ask('read', 'sys/rekey/init')).body, { started: true })
})

t.test(
  'every path of the seal says no to whoever shows nothing, and to what it cannot read',
  async t => {
    const { post, init } = await served(t)
    t.equal((await post('sys/unseal', { key: 'zz' })).status, 400)
    t.equal((await post('sys/unseal', { key: { a: 1 } as never })).status, 400)
    t.equal((await post('sys/init', { secret_shares: 'many' })).status, 400)
    const { token } = await init()
    t.equal((await post('sys/rotate/config', { max_operations: 5 }, token)).status, 400)
    t.equal(
      (await post('sys/rotate/recovery/init', { secret_shares: 1, secret_threshold: 1 }, token))
        .status,
      400,
    )
    t.equal((await post('sys/decode-token', { encoded_token: 'AA', otp: 'long' })).status, 400)
  },
)
