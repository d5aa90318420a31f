/**
 * Classes 5 and 6, for the secrets, over HTTP: a denial that a list goes past
 * (GHSA-xp3c-3jw3-4vcr), and a value in a template that makes a path mean more (CVE-2026-71543,
 * CVE-2026-5006). Decisions alone are tried against a reference in test/secrets/policy.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of policies
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'

async function tokenFor(secrets: TestSecrets, policy: string): Promise<string> {
  const written = await secrets.post('sys/policies/acl/some', { policy })
  if (written.status >= 300) throw new Error(written.text)
  const given = { policies: 'some', no_default_policy: true }
  return (await secrets.post('auth/token/create', given)).body.auth.client_token
}

async function open(test: Test): Promise<TestSecrets> {
  const secrets = await openSecrets(test)
  await secrets.mount('kv', 'plain/')
  for (const name of ['a', 'x/y', 'x/z/deep', 'other/n'])
    await secrets.post(`plain/${name}`, { v: 1 })
  return secrets
}

t.test('attack: what is denied is in no list, whichever way it is asked for', async t => {
  const secrets = await open(t)
  const allowed = 'path "plain/*" { capabilities = ["read", "list", "scan"] }'
  for (const denied of ['plain/x/*', 'plain/x*', 'plain/x/']) {
    const policy = `${allowed}\npath "${denied}" { capabilities = ["deny"] }`
    const token = await tokenFor(secrets, policy)
    for (const operation of ['list', 'scan'] as const) {
      for (const path of ['plain/x', 'plain/x/']) {
        const { status, text } = await secrets.ask(operation, path, { token })
        t.equal(status, 403, `${denied}: ${operation} ${path}`)
        t.notMatch(text, /deep|"y"/)
      }
    }
    t.equal((await secrets.list('plain/', { token })).status, 200, 'near miss: beside it')
  }
})

/** Names that would widen a path if they were pasted into one. */
const WIDE = [
  '*',
  '+',
  'a*',
  '+/b',
  '../root',
  'a/b',
  '/',
  'x/../y',
  '',
  '**',
  'ann/*',
  '{{',
  '%2a',
]

async function loggedIn(secrets: TestSecrets, value: string): Promise<string | undefined> {
  const policy = `path "plain/{{identity.entity.metadata.team}}/*" {
    capabilities = ["read", "list", "scan", "create", "update"] }`
  await secrets.post('sys/policies/acl/templated', { policy })
  const entity = await secrets.post('identity/entity', {
    ...{ name: `e-${Math.abs(hash(value))}`, policies: 'templated', metadata: { team: value } },
  })
  if (entity.status !== 200) return undefined
  const { accessor } = (await secrets.read('sys/auth')).body.data['userpass/']
  const name = `u${Math.abs(hash(value))}`
  await secrets.post(`auth/userpass/users/${name}`, { password: 'p' })
  const alias = { name, canonical_id: entity.body.data.id, mount_accessor: accessor }
  await secrets.post('identity/entity-alias', alias)
  const got = await secrets.post(`auth/userpass/login/${name}`, { password: 'p' }, { token: '' })
  return got.body.auth?.client_token
}

/** A name of a value that a path can have. */
const hash = (text: string): number =>
  [...text].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)!) | 0, 7)

/** What of others a token reaches. */
async function reached(secrets: TestSecrets, token: string): Promise<string[]> {
  const found: string[] = []
  for (const path of ['plain/a', 'plain/x/y', 'plain/x/z/deep', 'plain/other/n']) {
    if ((await secrets.read(path, { token })).status !== 403) found.push(path)
    if ((await secrets.post(path, { v: 2 }, { token })).status !== 403) found.push(`write ${path}`)
  }
  for (const path of ['plain/', 'plain/x/', 'plain/other/']) {
    if ((await secrets.list(path, { token })).status !== 403) found.push(`list ${path}`)
  }
  return found
}

t.test('attack: a value that is a pattern gives nothing of others', async t => {
  const secrets = await open(t)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  for (const value of WIDE) {
    const token = await loggedIn(secrets, value)
    if (token !== undefined) t.strictSame(await reached(secrets, token), [], `as ${value}`)
  }
  const own = (await loggedIn(secrets, 'x'))!
  t.strictSame(
    (await reached(secrets, own)).sort(),
    ['list plain/x/', 'plain/x/y', 'plain/x/z/deep', 'write plain/x/y', 'write plain/x/z/deep'],
    'near miss: a plain value gives what is its own',
  )
})

t.test('generated: no value reaches what is another’s', async t => {
  const secrets = await open(t)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  const value = fc.string({ unit: fc.constantFrom(...'xo*+/.{}%a ?#\\'), maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      value.filter(text => text !== 'x' && text !== 'other'),
      async text => {
        const token = await loggedIn(secrets, text)
        return token === undefined || (await reached(secrets, token)).length === 0
      },
    ),
    { numRuns: propertyRuns() / 4 },
  )
})
