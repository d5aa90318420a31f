/**
 * Classes 9 and 40, for the secrets: a path that asks for no right (CVE-2020-7955, CVE-2021-38698),
 * and an answer that holds a key which nobody meant to show (CVE-2020-28053). What is open, what
 * asks for a token alone, and what may show a secret are closed lists here.
 */
import fc from 'fast-check'
import t from 'tap'
import { openSecretsFace } from '../http/secrets/face.ts'
import { propertyRuns } from '../run/budget.ts'
import { type DeclaredAt, everyPath, VERBS } from '../secrets/every-path.ts'

const PATHS = everyPath()

/** What answers whoever asks; each is here on purpose. */
const OPEN = [
  ...['sys/init', 'sys/seal-status', 'sys/unseal', 'sys/decode-token', 'sys/health', 'sys/leader'],
  ...['auth/userpass/login/{username}', 'auth/approle/login', 'sys/replication/status'],
  // Who has a wrapping token has the right to it; nothing is told of any other.
  ...['sys/wrapping/lookup', 'sys/wrapping/unwrap', 'sys/wrapping/pubkey'],
  'sys/internal/ui/feature-flags',
  // Whoever has the id of a login, and its second factors, finishes it.
  'sys/mfa/validate',
  // Who issues tokens, and what they are verified with.
  ...['', '/provider/{name}'].flatMap(of =>
    ['keys', 'openid-configuration'].map(page => `identity/oidc${of}/.well-known/${page}`),
  ),
  // Whoever redeems a code, and asks with what he was given, shows that he may by other means.
  ...['token', 'userinfo'].map(end => `identity/oidc/provider/{name}/${end}`),
]

/** What of an authority is for everybody: its certificates, its lists, and ACME. */
const OPEN_PKI =
  /^pki\/(ca|ca_chain|cert\/|crl|ocsp|issuers$|issuer\/[^/]+\/(pem|der|json|crl)|.*acme\/)/

/** Whoever writes there signs what he writes, or is told nothing that is not for all. */
const OPEN_TO_WRITE = [
  ...['acme/new-account', 'acme/account/{kid}', 'acme/account/{kid}/orders', 'acme/key-change'],
  ...['acme/new-order', 'acme/order/{order_id}', 'acme/order/{order_id}/finalize'],
  ...['acme/order/{order_id}/cert', 'acme/authorization/{auth_id}', 'acme/revoke-cert'],
  'acme/challenge/{auth_id}/{challenge_type}',
  'ocsp',
]

async function opened(test: Parameters<typeof openSecretsFace>[0]) {
  const face = await openSecretsFace(test)
  await face.secrets.mount('kv', 'secret/', { options: { version: '2' } })
  await face.secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await face.secrets.mount('approle', 'approle/', { kind: 'auth' })
  for (const type of ['transit', 'pki']) await face.secrets.mount(type, `${type}/`)
  const policy = 'path "nowhere/*" { capabilities = ["read"] }'
  await face.secrets.post('sys/policies/acl/poor', { policy })
  const given = { policies: 'poor', no_default_policy: true }
  const poor = (await face.secrets.post('auth/token/create', given)).body.auth.client_token
  return { face, poor: poor as string }
}

const verbsOf = ({ spec }: DeclaredAt): string[] =>
  Object.entries(VERBS).flatMap(([name, verb]) =>
    Object.hasOwn(spec.operations, name) ? [verb] : [],
  )

const MERGE = ['Content-Type: application/merge-patch+json']

t.test('what is open is known', t => {
  const open = PATHS.filter(({ spec }) => spec.access === 'open').map(({ pattern }) => pattern)
  const isOfPki = (pattern: string): boolean => OPEN_PKI.test(pattern)
  const others = open.filter(pattern => !isOfPki(pattern))
  t.strictSame([...new Set(others)].sort(), [...OPEN].sort())
  const toWrite = PATHS.filter(
    ({ spec, pattern }) =>
      spec.access === 'open' && isOfPki(pattern) && spec.operations.update !== undefined,
  ).map(({ pattern }) => pattern.replace(/^pki\/(issuer\/\{\w+\}\/)?(roles\/\{\w+\}\/)?/, ''))
  t.strictSame([...new Set(toWrite)].sort(), [...OPEN_TO_WRITE].sort())
  t.end()
})

t.test(
  'attack: every other path without a token, with one of nobody, and with a poor one',
  async t => {
    const { face, poor } = await opened(t)
    const before = face.secrets.rows()
    let asked = 0
    for (const each of PATHS) {
      const { spec, path, pattern } = each
      if (spec.access === 'open') continue
      for (const verb of verbsOf(each)) {
        const body = ['POST', 'PATCH'].includes(verb) ? '{}' : ''
        // Whoever is anybody may ask for what is told to tokens.
        const isFree = spec.access === 'token' || spec.access === 'optional'
        for (const token of ['', 'hvs.nobodynobodynobodynobody', ...(isFree ? [] : [poor])]) {
          if (spec.access === 'optional' && token === '') continue
          const { status, body: answer } = await face.send(verb, `/v1/${path}`, {
            token,
            body,
            headers: MERGE,
          })
          asked++
          t.equal(
            status,
            403,
            `${verb} ${pattern} as ${token === '' ? 'nobody' : token.slice(0, 10)}: ${answer}`,
          )
        }
      }
    }
    t.ok(asked > 500, `${asked} requests`)
    t.strictSame(face.secrets.rows(), before, 'nothing was changed')
  },
)

t.test('near miss: the first token is refused by none of them', async t => {
  const { face } = await opened(t)
  for (const each of PATHS.filter(({ spec }) => Object.hasOwn(spec.operations, 'read'))) {
    // What goes on does not end, and of a mount that is not there nobody is told.
    if (/monitor|pprof|internal\/ui\/mounts\/a/.test(each.path)) continue
    t.not((await face.send('GET', `/v1/${each.path}`)).status, 403, each.pattern)
  }
})

t.test('generated: any token text, on any path', async t => {
  const { face } = await opened(t)
  const closed = PATHS.filter(({ spec }) => !['open', 'optional'].includes(spec.access))
  const token = fc
    .string({ unit: fc.constantFrom(...'hvsb.root-0aZ%/+='), minLength: 1, maxLength: 40 })
    .filter(text => text !== 'root')
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...closed), token, fc.nat(), async (each, shown, pick) => {
      const verbs = verbsOf(each)
      const { path } = each
      const { status } = await face.send(verbs[pick % verbs.length]!, `/v1/${path}`, {
        ...{ token: shown, headers: MERGE, body: '{}' },
      })
      return status === 403
    }),
    { numRuns: propertyRuns() },
  )
})

/** What is called a secret in an answer: by path, the names that are there on purpose. */
const PRIVATE = ['private_key', 'private_key_type']
const IDS = ['existing_keys', 'imported_keys']
const SHARES = ['keys', 'keys_base64']
const ROOT_TOKENS = ['encoded_root_token', 'encoded_token', 'otp']
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  'auth/approle/role/{role_name}/custom-secret-id': ['secret_id'],
  'auth/approle/role/{role_name}/secret-id': ['secret_id'],
  ...Object.fromEntries(
    ['rekey', 'rekey-recovery-key', 'rotate/root', 'rotate/recovery'].flatMap(each => [
      [`sys/${each}/init`, SHARES],
      [`sys/${each}/update`, SHARES],
    ]),
  ),
  // Encrypted for the holders of PGP keys.
  ...Object.fromEntries(
    [
      'rekey/backup',
      'rekey/recovery-key-backup',
      'rotate/root/backup',
      'rotate/recovery/backup',
    ].map(each => [`sys/${each}`, SHARES]),
  ),
  'sys/generate-root': ROOT_TOKENS,
  'sys/generate-root/attempt': ROOT_TOKENS,
  'sys/generate-root/update': ROOT_TOKENS,
  'sys/decode-token': ['token'],
  'sys/namespaces/api-lock/lock/{path*}': ['unlock_key'],
  'sys/policies/password/{name}/generate': ['password'],
  'sys/tools/random': ['random_bytes'],
  'sys/tools/random/{urlbytes}': ['random_bytes'],
  'sys/tools/random/{source}/{urlbytes}': ['random_bytes'],
  // Of what was sent.
  'sys/audit-hash/{path*}': ['hash'],
  'sys/tools/hash': ['sum'],
  'sys/tools/hash/{urlalgorithm}': ['sum'],
  // Who somebody is, for the entity of who asks; for a client, to who has its secret or its code.
  'identity/oidc/token/{name}': ['token'],
  'identity/oidc/provider/{name}/token': ['access_token', 'id_token'],
  // An operator hands it to the client.
  'identity/oidc/client/{name}': ['client_secret', 'key'],
  // The name of a key, and public keys.
  'identity/oidc/role/{name}': ['key'],
  'identity/oidc/.well-known/keys': ['keys'],
  'identity/oidc/provider/{name}/.well-known/keys': ['keys'],
  // Names, by what kind of mount they have.
  'sys/plugins/catalog': ['secret'],
  'sys/policy': ['keys'],
  'sys/internal/ui/mounts': ['secret'],
  'secret/search': ['keys'],
  'sys/internal/ui/namespaces': ['keys'],
}
/** The same by patterns of paths: engines whose answers are keys, or names of keys. */
const SHOWN_BELOW: readonly (readonly [RegExp, readonly string[]])[] = [
  // Public halves and times of versions; what may leave was made so that it may.
  [/^transit\/(keys|export|byok-export)\//, ['keys']],
  [/^transit\/wrapping_key$/, ['public_key']],
  [/^transit\/(sign|keys)\//, ['public_key']],
  [/^transit\/random/, ['random_bytes']],
  [/^transit\/hash/, ['sum']],
  // A key that is drawn for who asks is told him once, and its kind.
  [/^pki\/(.*\/)?(issue|generate|root\/rotate|cross-sign|cel\/issue)(\/|$)/, PRIVATE],
  // Ids of keys.
  [/^pki\/(issuers\/import\/|config\/ca$|intermediate\/set-signed$|keys\/import$)/, IDS],
  [/^pki\/(.*\/)?acme\/(authorization|challenge)\//, ['token']],
  [/^pki\/(.*\/)?acme\/new-eab$/, ['key']],
]
const isShownBelow = (pattern: string, name: string): boolean =>
  SHOWN_BELOW.some(([places, names]) => places.test(pattern) && names.includes(name))
const KEY_LIKE = new RegExp(
  '^(' +
    [
      ...['keys?', 'keys_base64', '(\\w+_)?token', '(\\w+_)?secret', 'secret_id', 'password\\w*'],
      ...['otp', 'private\\w*', '(\\w+_)?hash', '\\w*_keys?', 'seed', 'pin', 'random_bytes'],
      ...['bytes', 'sum'],
    ].join('|') +
    ')$',
)

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
}

/** The names of texts and of lists of them. */
function namesIn({ properties = {}, items, additionalProperties: rest }: Schema): string[] {
  const named = Object.entries(properties).flatMap(([name, part]) => [
    ...(part.type === 'boolean' || part.type === 'integer' ? [] : [name]),
    ...namesIn(part),
  ])
  const inner = [items, typeof rest === 'object' ? rest : undefined]
  return [...named, ...inner.flatMap(part => (part === undefined ? [] : namesIn(part)))]
}

t.test('attack: no answer has a field for a secret, but where it is the answer', t => {
  const found: Record<string, string[]> = {}
  for (const { pattern, spec } of PATHS) {
    // A list's `keys` are names.
    const names = Object.entries(spec.operations).flatMap(([verb, operation]) =>
      operation?.answer === undefined || verb === 'list' || verb === 'scan'
        ? []
        : namesIn(operation.answer.schema as Schema),
    )
    const suspect = [...new Set(names)]
      .filter(name => KEY_LIKE.test(name) && !/^audit_non_hmac/.test(name))
      .filter(name => !isShownBelow(pattern, name))
      .sort()
    if (suspect.length > 0) found[pattern] = suspect
  }
  t.strictSame(found, SHOWN)
  t.end()
})
