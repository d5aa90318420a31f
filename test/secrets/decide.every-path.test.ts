/**
 * Every declared path of the secrets, asked as badly as it can be: without a token, with a wrong
 * one, sealed, in a namespace, by other verbs, with fields of wrong types, and for its help.
 */
import tap, { type Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import type { Json } from '../../src/secrets/field.ts'
import { type DeclaredPath, declaredSecretsPaths, operationsOf } from './declared.ts'
import { type Got, openSecrets, type TestSecrets } from './harness.ts'
import type { testPorts } from './ports.ts'

/** A seal that refuses whatever it is asked for: what is asked here never gets so far. */
const seal = new Proxy({} as ReturnType<typeof testPorts>['seal'], {
  get: () => () => new Refusal(400, 'this test has no seal'),
})

async function open(t: Test): Promise<TestSecrets> {
  const secrets = await openSecrets(t, { ports: { seal } })
  await secrets.mount('kv', 'kv-v1/', { options: { version: '1' } })
  await secrets.mount('kv', 'kv-v2/', { options: { version: '2' } })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  for (const type of ['transit', 'pki']) await secrets.mount(type, `${type}/`)
  await secrets.post('sys/namespaces/shop')
  return secrets
}

/** A path with its open parts filled. */
const filled = ({ pattern }: DeclaredPath): string => pattern.replaceAll(/\{\w+\*?\}/g, 'x')

const paths = declaredSecretsPaths()
const OPERATIONS = ['read', 'update', 'delete', 'list', 'scan', 'patch'] as const

/** Asks every operation of every path that is meant. */
async function askAll(
  secrets: TestSecrets,
  isMeant: (path: DeclaredPath) => boolean,
  asked: { readonly token?: string; readonly namespace?: string },
  judge: (got: Got, name: string) => void,
): Promise<void> {
  for (const path of paths.filter(isMeant)) {
    for (const operation of operationsOf(path)) {
      const got = await secrets.ask(operation, filled(path), asked)
      judge(got, `${operation} ${path.pattern}`)
    }
  }
}

const asksForToken = ({ spec: { access } }: DeclaredPath): boolean =>
  access === 'authorized' || access === 'privileged' || access === 'token'

tap.test('without a token, and with one that is nobody’s, nothing is served', async t => {
  const secrets = await open(t)
  for (const token of ['', 'hvs.nobodys']) {
    await askAll(secrets, asksForToken, { token }, ({ status, body }, name) => {
      t.equal(status, 403, name)
      t.match(body.errors, [/permission denied/], name)
    })
  }
  const isOptional = ({ spec }: DeclaredPath) => spec.access === 'optional'
  await askAll(secrets, isOptional, { token: 'hvs.nobodys' }, ({ status }, name) => {
    t.equal(status, 403, name)
  })
})

tap.test('a token without a right is served what asks for none alone', async t => {
  const secrets = await open(t)
  const made = await secrets.post('auth/token/create', {
    policies: 'none',
    no_default_policy: true,
  })
  const { client_token: token } = made.body.auth
  const isAsked = ({ spec: { access } }: DeclaredPath) =>
    access === 'authorized' || access === 'privileged'
  await askAll(secrets, isAsked, { token }, ({ status }, name) => t.equal(status, 403, name))
})

tap.test('while sealed, only what is for that is served', async t => {
  const secrets = await open(t)
  secrets.barrier = undefined
  const isSealed = ({ spec }: DeclaredPath) => spec.whileSealed !== true
  await askAll(secrets, isSealed, {}, ({ status, text }, name) => {
    t.strictSame([status, text], [503, 'Vault is sealed'], name)
  })
})

tap.test('what is for the root namespace is unavailable in others', async t => {
  const secrets = await open(t)
  const isRootOnly = ({ spec }: DeclaredPath) => spec.isRootOnly === true
  for (const token of ['', undefined]) {
    const asked = { namespace: 'shop', ...(token === undefined ? {} : { token }) }
    await askAll(secrets, isRootOnly, asked, ({ status, text }, name) => {
      t.strictSame([status, text], [400, 'operation unavailable in namespaces'], name)
    })
  }
})

/** What OpenBao has for the root namespace alone, below `sys/`. */
const ROOT_ONLY = [
  ...['audit', 'audit-hash', 'config/auditing', 'config/cors', 'config/reload', 'config/state'],
  ...['config/ui', 'decode-token', 'generate-root', 'health', 'host-info', 'in-flight-req', 'init'],
  ...['key-status', 'loggers', 'managed-keys', 'metrics', 'mfa/method', 'monitor', 'pprof'],
  ...['quotas', 'raw', 'rekey', 'rekey-recovery-key', 'rotate', 'seal', 'sealwrap', 'step-down'],
  ...['storage', 'unseal'],
]

tap.test('and these are what OpenBao has there', async t => {
  for (const { pattern, spec } of paths) {
    const isThere = ROOT_ONLY.some(
      at => pattern === `sys/${at}` || pattern.startsWith(`sys/${at}/`),
    )
    if (isThere) t.equal(spec.isRootOnly, true, pattern)
  }
})

tap.test('other verbs are not supported', async t => {
  const secrets = await open(t)
  for (const path of paths) {
    const known = operationsOf(path)
    for (const operation of OPERATIONS.filter(each => !known.includes(each))) {
      const got = await secrets.ask(operation, filled(path))
      // A path with other open parts may take the verb.
      t.ok([405, 404, 400, 200, 204, 501].includes(got.status), `${operation} ${path.pattern}`)
      if (got.status === 405) t.match(got.text, 'unsupported operation')
    }
  }
})

/** What is no text, no number, no duration and no switch. */
const WRONG: readonly Json[] = [{ a: { b: [] } }, [[{}]], -1e300, '\u0000\ud83d', true, '']

tap.test('fields of wrong types are refused, or mean nothing: never a fault', async t => {
  for (const path of paths) {
    const names = Object.keys(path.spec.fields)
    const secrets = await open(t)
    for (const operation of operationsOf(path)) {
      for (const wrong of WRONG) {
        const data = Object.fromEntries(names.map(name => [name, wrong]))
        const got = await secrets.ask(operation, filled(path), { data })
        const name = `${operation} ${path.pattern} ${JSON.stringify(wrong)}`
        t.ok(got.status < 500 || got.status === 501, `${name}: ${got.status} ${got.text}`)
        // A token that ends itself was asked to.
        if (got.status === 403) break
      }
    }
    await secrets.store.close()
  }
})

tap.test('help is given to everybody who has a token', async t => {
  const secrets = await open(t)
  const made = await secrets.post('auth/token/create', {
    policies: 'none',
    no_default_policy: true,
  })
  const { client_token: token } = made.body.auth
  for (const path of paths) {
    const got = await secrets.ask('help', filled(path), { token })
    t.equal(got.status, 200, path.pattern)
    t.match(got.body, { help: String, see_also: null, openapi: Object }, path.pattern)
  }
})
