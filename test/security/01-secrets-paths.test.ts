/**
 * Class 1, for the secrets: a path that one part reads otherwise than another (CVE-2026-3605).
 * Every way to write a climb, below every mount, is refused before it is routed, or is one name
 * that the router, the policies, the audit record and the engine all see, byte for byte.
 */
import fc from 'fast-check'
import t from 'tap'
import { openSecretsFace, type SecretsFaceOfTest } from '../http/secrets/face.ts'
import { propertyRuns, reached } from '../run/budget.ts'

/** Ways to write "up, then down to what is secret" behind `pub/`. */
const CLIMBS = [
  ...['../secret', './../secret', '..//secret', '%2e%2e/secret', '%2E%2E/secret', '.%2e/secret'],
  ...['%2e./secret', '..%2fsecret', '..%2Fsecret', '%2e%2e%2fsecret', '%252e%252e/secret'],
  ...['%252e%252e%252fsecret', '..%252fsecret', '%25252e%25252e/secret', '..\\secret'],
  ...['..%5csecret', '%2e%2e%5csecret', '..%255csecret', '%c0%ae%c0%ae/secret', '/..//secret'],
  ...['%c0%ae%c0%ae%c0%afsecret', '%e0%80%ae%e0%80%ae/secret', '%f0%80%80%ae./secret'],
  ...['..%c0%afsecret', '..%c1%9csecret', '%uff0e%uff0e/secret', '..%u2215secret', '%2e/secret'],
  ...['%ef%bc%8e%ef%bc%8e/secret', '..%e2%88%95secret', '..;/secret', '..%3b/secret'],
  ...['..%00/secret', '..%09/secret', '..%20/secret', '.../secret', '....//secret'],
  ...['..%0d%0a/secret', 'x/../../secret', 'x/%2e%2e/%2e%2e/secret', '%2f..%2fsecret'],
  ...['/%2e%2e/secret', '..?/secret', '..%3f/secret', '..%23/secret', '%2e%2e', '..', '.', '%2e'],
  ...['../../secret', '%2e%2e/%2e%2e/%2e%2e/v1/plain/secret', '..%2f..%2fplain%2fsecret', '%'],
]

const MOUNTS = [
  ...['plain/', 'secret/data/', 'secret/metadata/', 'cubbyhole/', 'sys/policies/acl/'],
  ...['sys/mounts/', 'identity/entity/name/', 'auth/token/roles/', 'auth/approle/role/'],
  ...['auth/userpass/users/', 'nowhere/', ''],
]

/** What a target means, told apart from the program: undefined where it must be refused. */
function meaningOf(target: string): string | undefined {
  const raw = target.split('?', 1)[0]!.slice('/v1/'.length)
  if (/%(?![0-9a-f]{2})/i.test(raw)) return undefined
  const bytes = Buffer.from(
    raw.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  if (bytes.some(byte => byte < 0x20 || byte === 0x7f)) return undefined
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) return undefined
  const segments = text.split('/')
  if (segments.some(segment => segment === '.' || segment === '..')) return undefined
  const path = segments.filter((segment, i) => segment !== '' || i === segments.length - 1)
  return path.join('/')
}

async function open(test: Parameters<typeof openSecretsFace>[0]): Promise<SecretsFaceOfTest> {
  const face = await openSecretsFace(test)
  const { secrets } = face
  await secrets.mount('kv', 'secret/', { options: { version: '2' } })
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  return face
}

async function tokenFor({ secrets }: SecretsFaceOfTest, policy: string): Promise<string> {
  await secrets.post('sys/policies/acl/some', { policy })
  const made = await secrets.post('auth/token/create', {
    policies: 'some',
    no_default_policy: true,
  })
  return made.body.auth.client_token
}

t.test('attack: every climb below every mount is refused, or is one name to all', async t => {
  const face = await open(t)
  const policy = MOUNTS.map(
    mount =>
      `path "${mount}pub/*" { capabilities = ["create", "read", "update", "delete", "list"] }`,
  )
  await face.secrets.post('plain/secret', { v: 'mine' })
  const token = await tokenFor(face, policy.join('\n'))
  const before = face.secrets.rows().filter(key => !key.includes('pub'))
  t.ok(CLIMBS.length >= 40, `${CLIMBS.length} climbs`)
  const wrong: string[] = []
  let refused = 0
  let sent = 0
  for (const mount of MOUNTS) {
    for (const climb of CLIMBS) {
      const target = `/v1/${mount}pub/${climb}`
      const meant = meaningOf(target)
      for (const method of ['GET', 'LIST', 'POST', 'DELETE']) {
        face.asked.length = 0
        sent++
        const body = method === 'POST' ? '{"data":{"v":"theirs"},"v":"theirs"}' : ''
        const { status, body: answer } = await face.send(method, target, { token, body })
        const [asked] = face.asked
        if (meant === undefined) {
          refused++
          if (status !== 400 || asked !== undefined) wrong.push(`${method} ${target}: ${status}`)
        } else if (asked === undefined) {
          // A folder is not written to; all else is asked for as it is meant.
          if (method !== 'POST' || !meant.endsWith('/'))
            wrong.push(`${method} ${target}: not asked`)
        } else if (asked.path !== meant && asked.path !== `${meant}/`) {
          wrong.push(`${method} ${target}: as ${asked.path}`)
        }
        if (answer.includes('mine')) wrong.push(`${method} ${target}: what is secret was told`)
      }
    }
  }
  reached('targets that climb', sent)
  t.ok(refused > sent / 3, `${refused} of ${sent} were refused before anything was asked`)
  t.strictSame(wrong, [])
  const { body } = await face.secrets.read('plain/secret')
  t.strictSame(body.data, { v: 'mine' })
  const after = face.secrets.rows().filter(key => !key.includes('pub'))
  t.strictSame(
    before.filter(key => !after.includes(key)),
    [],
    'nothing that stood elsewhere is gone',
  )
})

t.test('near miss: dots that are names, and signs that are escaped', async t => {
  const face = await open(t)
  for (const name of [
    '..a',
    'a..',
    '...',
    '.a',
    'a%2fb',
    'a%25b',
    'a%20b',
    'a%3fb',
    'ä',
    '~',
    'a;b',
  ]) {
    const meant = decodeURIComponent(name)
    const target = `/v1/plain/${encodeURI(name).replaceAll('%25', '%')}`
    const written = await face.send('POST', target, { body: JSON.stringify({ v: meant }) })
    t.equal(written.status, 204, name)
    const { body } = await face.secrets.read(`plain/${meant}`)
    t.strictSame(body.data, { v: meant })
  }
})

t.test('generated: router, policies, record and engine see the same bytes', async t => {
  const face = await open(t)
  const { secrets } = face
  const segment = fc
    .string({ unit: fc.constantFrom(...'ab.%;:@&=~\\ äé?#"$!2fe'), minLength: 1, maxLength: 6 })
    .filter(text => text !== '.' && text !== '..')
  const escapes = fc.infiniteStream(fc.constantFrom(0, 0, 1, 2))
  await fc.assert(
    fc.asyncProperty(
      fc.array(segment, { minLength: 1, maxLength: 4 }),
      escapes,
      async (parts, how) => {
        const path = `plain/${parts.join('/')}`
        await secrets.post(path, { v: path })
        const bytes = [...Buffer.from(parts.join('/'))].map(byte => {
          const sign = String.fromCharCode(byte)
          const mode = how.next().value ?? 0
          const isPlain = /[a-z0-9.;:@&=~$!/]/i.test(sign)
          if (isPlain && mode === 0) return sign
          const hex = byte.toString(16).padStart(2, '0')
          return `%${mode === 2 ? hex.toUpperCase() : hex}`
        })
        const target = `/v1/plain/${bytes.join('')}`
        if (meaningOf(target) !== path) throw new Error(`${target} is not ${path}`)
        const quoted = JSON.stringify(path).replaceAll('$', '$$')
        const only = await tokenFor(face, `path ${quoted} { capabilities = ["read"] }`)
        const read = await face.send('GET', target, { token: only })
        if (read.status !== 200) throw new Error(`${target}: ${read.status} ${read.body}`)
        if (JSON.parse(read.body).data.v !== path) throw new Error(`${target}: another row`)
        const [record] = await face.records()
        if (record.path !== `/v1/${path}`) throw new Error(`${target}: recorded as ${record.path}`)
        const all = 'path "plain/*" { capabilities = ["read"] }'
        const but = await tokenFor(face, `${all}\npath ${quoted} { capabilities = ["deny"] }`)
        const denied = await face.send('GET', target, { token: but })
        return denied.status === 403
      },
    ),
    { numRuns: propertyRuns() },
  )
})
