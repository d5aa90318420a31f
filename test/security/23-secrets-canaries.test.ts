/**
 * Class 23, for the secrets: what was kept, shown, drawn or typed turns up where it must not
 * (CVE-2024-8365, CVE-2025-62513, CVE-2025-62705, CVE-2026-46358, CVE-2025-4166, CVE-2025-52893).
 *
 * Hundreds are planted in a real daemon with audit and a log of everything, by each way in: init
 * and key shares, tokens, values, logins, wrapping, bodies that parse and bodies that do not,
 * headers and queries. Then the log, the audit file, the journal, the data folder, answers,
 * metrics and diagnostics are searched. All is sealed on the disk: unlike the KV store's, no value
 * may lie there.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { secretData } from '../../src/store/tables/secret.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { everyPath, VERBS } from '../secrets/every-path.ts'
import { Phone } from '../secrets/mfa/phone.ts'
import { Canaries } from './canaries.ts'

interface Got {
  readonly status: number
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any
}

interface Sent {
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
}

type Ask = (method: string, path: string, body?: string | object, sent?: Sent) => Promise<Got>

/** Requests to the secrets; what `probe` is answered may hold nothing that was planted. */
function asker(port: () => number, root: () => string, kept: string[]) {
  const ask: Ask = (method, path, body = '', { token = root(), headers = {} } = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const shown = token === '' ? {} : { 'X-Vault-Token': token }
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          ...{ host: '127.0.0.1', port: port(), method, path: `/v1/${path}`, agent: false },
          headers: { 'Content-Length': Buffer.byteLength(text), ...shown, ...headers },
        },
        response => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('error', reject)
          response.on('end', () => {
            const answer = Buffer.concat(parts).toString()
            const isJson = /json/.test(response.headers['content-type'] ?? '') && answer !== ''
            const all = `${response.rawHeaders.join('\n')}\n${answer}`
            const status = response.statusCode ?? 0
            resolve({ status, text: all, body: isJson ? JSON.parse(answer) : answer })
          })
        },
      )
      asked.on('error', reject)
      asked.end(text)
    })
  }
  const probe: Ask = async (method, path, body, sent) => {
    const got = await ask(method, path, body, sent)
    kept.push(`${method} ${path.split('?', 1)[0]} ${got.status}\n${got.text}`)
    return got
  }
  return { ask, probe }
}

type Asks = ReturnType<typeof asker>

/** A token, whole and without the letters that all have. */
function plantToken(planted: Canaries, name: string, token: string): string {
  planted.plant(`${name}, without its beginning`, token.slice(4))
  return planted.plant(name, token)
}

function plantKeys(planted: Canaries, name: string, body: Record<string, readonly string[]>): void {
  for (const form of ['keys', 'keys_base64', 'recovery_keys', 'recovery_keys_base64']) {
    for (const [i, key] of (body[form] ?? []).entries()) planted.plant(`${name}: ${form} ${i}`, key)
  }
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }

/** Bodies that hold a secret and are no object of JSON. */
const BROKEN: readonly ((secret: string) => string)[] = [
  secret => `{"token":"${secret}"`,
  secret => `{"token":"${secret}"} "${secret}"`,
  secret => secret,
  secret => `["${secret}"]`,
  secret => `{"token":"${secret}\u0001"}`,
  secret => `"${secret}"`,
  secret => `{"token":"${secret}\\ud800`,
]

const GOES_ON = /monitor|pprof/

/** What no field of a type takes, with a secret in it; undefined for what takes anything. */
function unfit(type: string, secret: string): unknown {
  if (type === 'any') return undefined
  return ['string', 'list', 'kvpairs'].includes(type) ? { a: [secret] } : secret
}

/** Every path, with tokens of nobody and with bodies that are refused. */
async function everywhere({ probe }: Asks, planted: Canaries): Promise<void> {
  const paths = everyPath()
  for (const [i, { path, spec }] of paths.entries()) {
    const wrong = planted.word(`wrong, ${path}`)
    const uuid = planted.uuid(`token of nobody, ${path}`)
    const shown: readonly Sent[] = [
      { token: uuid },
      { token: '', headers: { Authorization: `Bearer ${uuid}` } },
      { token: '', headers: { 'X-Consul-Token': uuid, Cookie: `vault=${uuid}`, 'X-Y': uuid } },
      { token: '', headers: { 'X-Vault-Wrap-TTL': uuid, 'X-Vault-MFA': `a:${uuid}` } },
    ]
    const sent: Promise<Got>[] = []
    for (const [operation, method] of Object.entries(VERBS)) {
      if (!Object.hasOwn(spec.operations, operation) || GOES_ON.test(path)) continue
      const query = `token=${uuid}&x=${encodeURIComponent(wrong)}`
      const body = BROKEN[i % BROKEN.length]!(wrong)
      sent.push(probe(method, `${path}?${query}`, body, shown[i % shown.length]))
      if (operation !== 'update') continue
      for (const make of BROKEN) sent.push(probe(method, path, make(wrong)))
      for (const [name, { type }] of Object.entries(spec.fields)) {
        if (spec.pattern.includes(`{${name}`)) continue
        const value = unfit(type, wrong)
        if (value !== undefined) sent.push(probe(method, path, { [name]: value }))
      }
    }
    await Promise.all(sent)
  }
}

/** Values, policies and what is kept for one reader. */
async function keepThings({ ask, probe }: Asks, planted: Canaries): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const plain = planted.value(`value ${i}`)
    await probe('POST', `plain/k${i}`, { password: plain, deep: [{ a: [plain] }] })
    await probe('POST', `secret/data/k${i}`, { data: { v: planted.value(`version of ${i}`) } })
    const got = await ask('GET', `plain/k${i}`)
    if (got.body.data?.password !== plain) throw new Error(got.text)
    await ask('GET', `secret/data/k${i}`)
  }
  const merge = { 'Content-Type': 'application/merge-patch+json' }
  const patched = { data: { w: planted.value('patched') } }
  await probe('PATCH', 'secret/data/k1', patched, { headers: merge })
  await probe('PATCH', 'secret/data/k1', patched)
  await probe('POST', 'secret/data/k1', { data: { w: planted.value('cas') }, options: { cas: 99 } })
  await probe('POST', 'secret/data/k1', { data: planted.value('no object') })
  const meta = { custom_metadata: { a: planted.value('custom metadata') } }
  await probe('POST', 'secret/metadata/k1', meta)
  await probe('POST', 'cubbyhole/mine', { a: planted.value('in a cubbyhole') })
  const form = `password=${encodeURIComponent(planted.word('in a form'))}&a=b`
  await probe('POST', 'plain/form', form, { headers: FORM })
  await probe('POST', 'plain/form', `a=%zz${planted.word('a bad form')}`, { headers: FORM })
  await probe('POST', 'plain/form', `{"a":"${planted.word('broken, as a form')}`, { headers: FORM })
  for (const name of ['PUT', 'POST']) {
    const query = `?password=${encodeURIComponent(planted.word(`query of ${name}`))}`
    await probe(name, `plain/query${query}`, { a: 1 })
  }
  for (let i = 0; i < 5; i++) {
    const wrapped = { a: planted.value(`wrapped ${i}`) }
    const headers = { 'X-Vault-Wrap-TTL': '60' }
    const made = await ask('POST', 'sys/wrapping/wrap', wrapped, { headers })
    const token = plantToken(planted, `wrapping token ${i}`, made.body.wrap_info.token)
    await probe('POST', 'sys/wrapping/lookup', { token })
    const again = await ask('POST', 'sys/wrapping/rewrap', { token })
    const next = plantToken(planted, `wrapped again ${i}`, again.body.wrap_info.token)
    const got = await ask('POST', 'sys/wrapping/unwrap', {}, { token: next })
    if (got.status !== 200) throw new Error(got.text)
    await probe('POST', 'sys/wrapping/unwrap', {}, { token: next })
    await probe('POST', 'sys/wrapping/unwrap', { token })
  }
  const tools = { input: Buffer.from(planted.value('input of a hash')).toString('base64') }
  await probe('POST', 'sys/tools/hash', tools)
  await probe('POST', 'sys/tools/hash', { input: planted.word('input that is no base64') })
  const drawn = await ask('POST', 'sys/tools/random/32', { format: 'hex' })
  planted.plant('a random text', drawn.body.data.random_bytes)
  await probe('POST', 'sys/policies/password/p', {
    policy: 'length = 20 rule "charset" { charset = "abcdefghijklmnop" }',
  })
  const word = await ask('GET', 'sys/policies/password/p/generate')
  planted.plant('a password that was drawn', word.body.data.password)
  await probe('POST', 'sys/namespaces/east')
  const locked = await ask('POST', 'sys/namespaces/api-lock/lock/east')
  const unlock_key = planted.plant('an unlock key', locked.body.data.unlock_key)
  await probe('POST', 'sys/namespaces/api-lock/unlock/east', { unlock_key: `x${unlock_key}` })
  await probe('POST', 'sys/namespaces/api-lock/unlock/east', { unlock_key })
  const headers = { 'X-Vault-Policy-Override': planted.word('override') }
  await probe('GET', 'sys/mounts', '', { headers })
}

/** Texts that transit encrypts and signs, and keys that it draws or gives away. */
async function workWithTransit({ ask, probe }: Asks, planted: Canaries): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  await probe('POST', 'sys/mounts/transit', { type: 'transit' })
  for (const type of ['aes256-gcm96', 'rsa-2048', 'ecdsa-p256']) {
    await probe('POST', `transit/keys/${type}`, { type, exportable: true })
    const kind = type === 'ecdsa-p256' ? 'signing-key' : 'encryption-key'
    const exported = (await ask('GET', `transit/export/${kind}/${type}`)).body.data.keys['1']
    // What stands at the end of an RSA key and at the beginning of another is private.
    const lines = exported.split('\n').filter((line: string) => /^[\w+/]{30,}=*$/.test(line))
    for (const line of type === 'rsa-2048' ? lines.slice(-5) : lines.slice(0, 1)) {
      planted.plant(`a line of the key ${type}`, line)
    }
    const input = base64(planted.value(`input, ${type}`))
    const { hmac } = (await probe('POST', `transit/hmac/${type}`, { input })).body.data
    await probe('POST', `transit/verify/${type}`, { input, hmac })
    await probe('POST', `transit/hmac/${type}`, { input: planted.word(`no input, ${type}`) })
    if (type !== 'aes256-gcm96') {
      const { signature } = (await probe('POST', `transit/sign/${type}`, { input })).body.data
      await probe('POST', `transit/verify/${type}`, { input, signature })
    }
    if (type === 'ecdsa-p256') continue
    const plaintext = base64(planted.value(`plaintext, ${type}`))
    const sealed = await probe('POST', `transit/encrypt/${type}`, { plaintext })
    const { ciphertext } = sealed.body.data
    const opened = await ask('POST', `transit/decrypt/${type}`, { ciphertext })
    if (opened.body.data?.plaintext !== plaintext) throw new Error(opened.text)
    await probe('POST', `transit/rewrap/${type}`, { ciphertext })
    await probe('POST', `transit/encrypt/made-for-${type}`, { plaintext })
    const batch_input = [{ plaintext }, { plaintext: planted.word(`no plaintext, ${type}`) }]
    await probe('POST', `transit/encrypt/${type}`, { batch_input })
    await ask('POST', `transit/decrypt/${type}`, { batch_input: [{ ciphertext }, { ciphertext }] })
    const drawn = await ask('POST', `transit/datakey/plaintext/${type}`)
    planted.plant(`a data key, ${type}`, drawn.body.data.plaintext)
  }
}

/** Tokens and logins: some that are taken, and the same with something wrong. */
async function logIn({ ask, probe }: Asks, planted: Canaries): Promise<string[]> {
  const tokens: string[] = []
  await probe('POST', 'sys/auth/userpass', { type: 'userpass' })
  await probe('POST', 'sys/auth/approle', { type: 'approle' })
  const policy = 'path "plain/k1" { capabilities = ["read"] }'
  await probe('POST', 'sys/policies/acl/some', { policy })
  for (let i = 0; i < 10; i++) {
    const type = i % 3 === 2 ? 'batch' : 'service'
    const made = await ask('POST', 'auth/token/create', { policies: ['some'], type })
    tokens.push(plantToken(planted, `token ${i}`, made.body.auth.client_token))
  }
  const id = planted.uuid('token whose id was chosen')
  await ask('POST', 'auth/token/create', { id, policies: ['some'] })
  tokens.push(id)
  for (const token of tokens) {
    await probe('GET', 'plain/k2', '', { token })
    await probe('POST', 'sys/capabilities', { token, paths: ['plain/k1'] })
    await ask('POST', 'auth/token/renew', { token })
    await probe('POST', 'auth/token/lookup-accessor', { accessor: token })
    // What `curl -d $TOKEN` sends: a form whose name it is, which only who sent it is told again.
    await ask('POST', 'auth/token/renew', token, { headers: FORM })
    await probe('POST', 'sys/leases/lookup', { lease_id: token })
  }
  for (let i = 0; i < 5; i++) {
    const password = planted.word(`password ${i}`)
    await probe('POST', `auth/userpass/users/u${i}`, { password, token_policies: 'some' })
    const got = await ask('POST', `auth/userpass/login/u${i}`, { password }, { token: '' })
    tokens.push(plantToken(planted, `token of u${i}`, got.body.auth.client_token))
    const wrong = planted.word(`wrong password ${i}`)
    await probe('POST', `auth/userpass/login/u${i}`, { password: wrong }, { token: '' })
    await probe('POST', `auth/userpass/login/none`, { password }, { token: '' })
    await probe('GET', `auth/userpass/users/u${i}`)
    await probe('POST', `auth/approle/role/r${i}`, { token_policies: 'some' })
    const custom = planted.word(`custom secret id ${i}`)
    const kept = await ask('POST', `auth/approle/role/r${i}/custom-secret-id`, {
      secret_id: custom,
    })
    const drawn = await ask('POST', `auth/approle/role/r${i}/secret-id`, { metadata: '{"a":"b"}' })
    const secretId = planted.plant(`secret id ${i}`, drawn.body.data.secret_id)
    const role = (await ask('GET', `auth/approle/role/r${i}/role-id`)).body.data.role_id
    for (const secret_id of [custom, secretId]) {
      if (kept.status !== 200) throw new Error(kept.text)
      const login = { role_id: role, secret_id }
      const came = await ask('POST', 'auth/approle/login', login, { token: '' })
      tokens.push(plantToken(planted, `token of r${i}`, came.body.auth.client_token))
      await probe('POST', `auth/approle/role/r${i}/secret-id/lookup`, { secret_id })
    }
    const none = { role_id: role, secret_id: planted.word(`wrong secret id ${i}`) }
    await probe('POST', 'auth/approle/login', none, { token: '' })
  }
  return tokens
}

/** Second factors: what methods keep, a phone's secret, ids of logins, passcodes of all sorts. */
async function showFactors({ ask, probe }: Asks, planted: Canaries): Promise<void> {
  const at = 'identity/mfa/method'
  const [token, key] = [planted.word('token of PingID'), planted.word('key of PingID')]
  const settings = `token=${token}\nuse_base64_key=${key}`
  for (const [type, data] of Object.entries({
    duo: {
      secret_key: planted.word('secret key of Duo'),
      integration_key: planted.word('integration key of Duo'),
      api_hostname: 'localhost',
    },
    okta: { org_name: 'localhost', api_token: planted.word('token of Okta'), base_url: 'invalid' },
    pingid: { settings_file_base64: Buffer.from(settings).toString('base64') },
  })) {
    const made = await probe('POST', `${at}/${type}`, { ...data, method_name: type })
    await probe('GET', `${at}/${type}/${made.body.data.method_id}`)
    await probe('LIST', `${at}/${type}`)
  }
  const password = planted.word('password of who has a phone')
  await probe('POST', 'auth/userpass/users/phil', { password })
  const first = await ask('POST', 'auth/userpass/login/phil', { password })
  const { client_token, entity_id } = first.body.auth
  plantToken(planted, 'token without a phone', client_token)
  const totp = await probe('POST', `${at}/totp`, { issuer: 'x', period: '1h', digits: 8 })
  const { method_id } = totp.body.data
  const given = await ask('POST', `${at}/totp/admin-generate`, { method_id, entity_id })
  const phone = new Phone(given.body.data.url)
  planted.plant('secret of a phone', phone.secret)
  planted.plant('picture of a secret', given.body.data.barcode)
  await probe('POST', `${at}/totp/admin-generate`, { method_id, entity_id })
  await probe('GET', `identity/entity/id/${entity_id}`)
  await probe('POST', 'identity/mfa/login-enforcement/phil', {
    ...{ mfa_method_ids: [method_id], identity_entity_ids: [entity_id] },
  })
  const login = () => ask('POST', 'auth/userpass/login/phil', { password }, { token: '' })
  const waits = (await login()).body.auth.mfa_requirement.mfa_request_id
  const mfa_request_id = planted.plant('id of a login', waits)
  const show = (passcode: string, asked = probe) =>
    asked('POST', 'sys/mfa/validate', {
      ...{ mfa_request_id, mfa_payload: { [method_id]: [passcode] } },
    })
  await show(planted.word('wrong passcode'))
  await show(`a=${planted.word('passcode of another form')}`)
  // A passcode is eight digits, which a time in a log could be too: it is shown with others.
  const right = phone.at(systemClock.wall())
  const came = await show(right, ask)
  plantToken(planted, 'token by a phone', came.body.auth.client_token)
  await show(right)
  const headers = { 'X-Vault-MFA': `${method_id}:${planted.word('passcode in a header')}` }
  await probe('POST', 'auth/userpass/login/phil', { password }, { token: '', headers })
}

/** Identity tokens, and a client that somebody logs in to: right ones, and some that are not. */
async function logInElsewhere({ ask, probe }: Asks, planted: Canaries): Promise<void> {
  const OIDC = 'identity/oidc'
  const password = planted.word('password of who logs in elsewhere')
  await probe('POST', 'auth/userpass/users/ann', { password })
  const { client_token } = (await ask('POST', 'auth/userpass/login/ann', { password })).body.auth
  const token = plantToken(planted, 'token of who logs in elsewhere', client_token)
  const redirect_uri = 'https://shop.example.com/callback'
  const about = { redirect_uris: redirect_uri, assignments: 'allow_all' }
  await probe('POST', `${OIDC}/client/shop`, about)
  const { client_id, client_secret } = (await ask('GET', `${OIDC}/client/shop`)).body.data
  planted.plant('the secret of a client', client_secret)
  await probe('GET', `${OIDC}/client`, '')
  const [at, from] = [`${OIDC}/provider/default/token`, `${OIDC}/provider/default/userinfo`]
  const basic = (secret: string): string => {
    const text = Buffer.from(`${client_id}:${secret}`).toString('base64')
    planted.plant(`a header, ${planted.count}`, text.slice(-40))
    return `Basic ${text}`
  }
  for (let i = 0; i < 3; i++) {
    const verifier = planted.plant(`a verifier ${i}`, systemRandom.bytes(48).toString('hex'))
    const wish = { client_id, redirect_uri, response_type: 'code', scope: 'openid' }
    const proof = { code_challenge: verifier, nonce: planted.word(`a nonce ${i}`) }
    const asked = { ...wish, ...proof }
    const given = await ask('POST', `${OIDC}/provider/default/authorize`, asked, { token })
    const code = planted.plant(`a code ${i}`, given.body.code)
    const form = new URLSearchParams({
      ...{ grant_type: 'authorization_code', code, redirect_uri, code_verifier: verifier },
    }).toString()
    const headers = { ...FORM, Authorization: basic(client_secret) }
    const wrong = planted.word(`a wrong secret of a client ${i}`)
    const refused = { ...FORM, Authorization: basic(wrong) }
    await probe('POST', at, form, { token: '', headers: refused })
    await probe('POST', at, `${form}&client_id=${client_id}&client_secret=${wrong}`, {
      ...{ token: '', headers: FORM },
    })
    const got = await ask('POST', at, form, { token: '', headers })
    if (got.status !== 200) throw new Error(got.text)
    const access = plantToken(planted, `an access token ${i}`, got.body.access_token)
    planted.plant(`an identity token ${i}`, got.body.id_token.split('.')[2])
    await probe('POST', at, form, { token: '', headers })
    const bearer = { token: '', headers: { Authorization: `Bearer ${access}` } }
    await probe('GET', from, '', bearer)
    await probe('GET', from, '', { token: access })
    await probe('GET', `${OIDC}/provider/none/userinfo`, '', bearer)
    await probe('POST', `${OIDC}/introspect`, { token: got.body.id_token })
  }
  await probe('POST', `${OIDC}/role/web`, { key: 'default' })
  await probe('POST', 'sys/policies/acl/default', {
    policy: `path "${OIDC}/*" { capabilities = ["read"] }`,
  })
  const { body } = await ask('GET', `${OIDC}/token/web`, '', { token })
  planted.plant('the signature of an identity token', body.data.token.split('.')[2])
  await probe('POST', `${OIDC}/introspect`, { token: body.data.token })
  await probe('POST', `${OIDC}/introspect`, { token: `${body.data.token}x` })
}

/** What key holders do: rekeying, another root token, a rotation; gives the shares that hold. */
async function holdKeys(
  { ask, probe }: Asks,
  planted: Canaries,
  shares: string[],
): Promise<string[]> {
  const counts = { secret_shares: 3, secret_threshold: 2 }
  let now = shares
  for (const prefix of ['rekey', 'rotate/root']) {
    const begun = await probe('POST', `sys/${prefix}/init`, counts)
    const nonce = begun.body.nonce ?? begun.body.data.nonce
    const wrong = planted.plant(`wrong share, ${prefix}`, systemRandom.bytes(33).toString('hex'))
    await probe('POST', `sys/${prefix}/update`, { key: wrong, nonce: `x${nonce}` })
    await probe('POST', `sys/${prefix}/update`, { key: planted.word(`no share, ${prefix}`), nonce })
    await probe('POST', `sys/${prefix}/update`, { key: now[0]!, nonce })
    const done = await ask('POST', `sys/${prefix}/update`, { key: now[1]!, nonce })
    const body = done.body.data ?? done.body
    if (!Array.isArray(body.keys)) throw new Error(done.text)
    plantKeys(planted, prefix, body)
    now = body.keys
  }
  const begun = await ask('POST', 'sys/generate-root/attempt', {})
  const { nonce } = begun.body
  const otp = planted.plant('the pad', begun.body.otp)
  await probe('GET', 'sys/generate-root/attempt')
  await probe('POST', 'sys/generate-root/update', { key: now[0]!, nonce })
  const done = await ask('POST', 'sys/generate-root/update', { key: now[1]!, nonce })
  const { encoded_token } = done.body
  planted.plant('a root token under its pad', encoded_token)
  const opened = await ask('POST', 'sys/decode-token', { encoded_token, otp })
  const token = plantToken(planted, 'another root token', opened.body.data.token)
  await probe('POST', 'sys/decode-token', { encoded_token, otp: planted.word('a wrong pad') })
  await probe('GET', 'sys/mounts', '', { token })
  await probe('POST', 'sys/rotate')
  return now
}

const DIAGNOSTICS = [
  ...['sys/in-flight-req', 'sys/host-info', 'sys/metrics', 'sys/metrics?format=prometheus'],
  ...['sys/seal-status', 'sys/health', 'sys/mounts', 'sys/auth', 'sys/audit', 'sys/key-status'],
  ...['sys/config/state/sanitized', 'sys/internal/ui/mounts', 'sys/loggers', 'sys/ha-status'],
  ...['sys/internal/specs/openapi', 'sys/leader', 'sys/policies/acl/some', 'sys/locked-users'],
]

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile())

t.test('hundreds of secrets, and none of them is found', async t => {
  const planted = new Canaries()
  const folder = tempFolder(t)
  const dataDir = join(folder, 'data')
  const log = join(folder, 'agent.log')
  const config = `log_file = "${log}" log_level = "trace" enable_debug = true
    telemetry { prometheus_retention_time = "1h" }
    audit { enabled = true reads = true allowed_folders = ["${folder}"]
      sink "file" { type = "file" path = "${join(folder, 'audit.log')}" } }`
  const words = [`-hcl=${config}`]
  let daemon: Daemon = await startDaemon(t, { dataDir, words })
  const starts = [daemon]
  const kept: string[] = []
  let root = ''
  const asks = asker(
    () => daemon.secretsPort,
    () => root,
    kept,
  )
  const { ask, probe } = asks

  // --- founded, with a wrong share before the right ones
  const made = await ask('POST', 'sys/init', { secret_shares: 3, secret_threshold: 2 })
  plantKeys(planted, 'init', made.body)
  let shares: string[] = made.body.keys
  root = plantToken(planted, 'the first root token', made.body.root_token)
  const unseal = async (): Promise<void> => {
    await probe('POST', 'sys/unseal', { key: planted.word(`no share ${planted.count}`) })
    await probe('POST', 'sys/unseal', `{"key":"${shares[0]}`)
    for (const key of shares.slice(0, 2)) await probe('POST', 'sys/unseal', { key })
    t.equal((await probe('GET', 'sys/seal-status')).body.sealed, false)
  }
  await unseal()
  await probe('POST', 'sys/mounts/plain', { type: 'kv', options: { version: '1' } })
  await probe('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })

  await keepThings(asks, planted)
  await workWithTransit(asks, planted)
  const tokens = await logIn(asks, planted)
  await logInElsewhere(asks, planted)
  await showFactors(asks, planted)
  shares = await holdKeys(asks, planted, shares)
  await everywhere(asks, planted)
  for (const path of DIAGNOSTICS) {
    const { status } = await probe('GET', path)
    t.ok([200, 204, 404].includes(status), `${path}: ${status}`)
  }
  const denied = await probe('GET', 'secret/data/k1', '', { token: tokens[0]! })
  const id = /X-Request-Id\n([0-9a-f-]+)/i.exec(denied.text)![1]
  t.equal((await probe('GET', `sys/internal/explain/${id}`)).status, 200)
  for (const url of [
    '/v1/agent/metrics',
    '/v1/agent/metrics?format=prometheus',
    '/v1/agent/self',
  ]) {
    kept.push((await daemon.ask('GET', url)).text)
  }
  for (const token of tokens.slice(0, 8)) await probe('POST', 'auth/token/revoke', { token })

  // --- a kill, a start with other shares, a seal
  kept.push(readFileSync(`/proc/${daemon.pid}/cmdline`, 'latin1'))
  await daemon.kill()
  daemon = await startDaemon(t, { dataDir, words })
  starts.push(daemon)
  await unseal()
  t.equal((await ask('GET', 'plain/k1')).status, 200)
  t.ok((await probe('POST', 'sys/seal')).status < 300)
  await probe('GET', 'plain/k1')
  t.equal(await daemon.stop(), 0)
  for (const one of starts) kept.push(one.stdout(), one.stderr())

  t.ok(planted.count >= 400, `${planted.count} canaries`)
  const told = kept.flatMap(text => {
    const [asked] = text.split('\n', 1)
    return planted.foundIn(text).map(name => `${asked}: ${name}`)
  })
  t.strictSame([...new Set(told)], [], 'nothing in what was told')
  const files = planted.foundBelow(folder).map(each => each.replace(folder, ''))
  t.strictSame(files, [], 'nothing in any file')
  t.strictSame(planted.foundIn(readFileSync(log)), [], 'nothing in the log')
  const audit = readFileSync(join(folder, 'audit.log'), 'utf8')
  t.strictSame(planted.foundIn(audit), [], 'nothing in what was recorded')
  const records = audit
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  t.ok(records.length > 500, `${records.length} records`)
  seen(t, records)
  const raw = shares.map(key => Buffer.from(key, 'hex'))
  for (const path of filesIn(folder)) {
    const bytes = readFileSync(path)
    t.notOk(
      raw.some(share => bytes.includes(share)),
      `no share as bytes in ${path.slice(folder.length)}`,
    )
  }
  await t.test('rows, whatever LevelDB packs', t => searchRows(t, dataDir, planted))
})

/** The near miss: acts are recorded, with hashes for what they were given. */
function seen(t: Test, records: readonly { path: string; secrets?: { data?: object } }[]): void {
  for (const [path, field] of [
    ['sys/rekey/update', 'key'],
    ['sys/rotate/root/update', 'key'],
    ['sys/generate-root/update', 'key'],
    ['sys/wrapping/lookup', 'token'],
    ['auth/userpass/login/u1', 'password'],
    ['auth/approle/login', 'secret_id'],
    ['plain/k1', 'password'],
  ] as const) {
    const found = records.some(({ path: at, secrets: { data = {} } = {} }) => {
      const value = (data as Record<string, unknown>)[field]
      return at === `/v1/${path}` && /^hmac-sha256:[0-9a-f]{64}$/.test(String(value))
    })
    t.ok(found, `a record of ${path} with the hash of ${field}`)
  }
  const bare = JSON.stringify(records)
  t.notMatch(bare, /"(keys|keys_base64|otp|encoded_token|recovery_keys)":\s*"(?!hmac)/)
}

/** LevelDB may compress its blocks: rows are searched as the store gives them. */
async function searchRows(t: Test, dataDir: string, planted: Canaries): Promise<void> {
  const tables = withSystemTables(registryTables)
  const options = { tables, clock: systemClock, random: systemRandom, acceptRevision: undefined }
  const store = await openLevelStore({ ...options, folder: join(dataDir, 'store') })
  t.teardown(() => store.close())
  const counts = { rows: 0, sealed: 0 }
  for (const table of tables) {
    for (const { key, row } of store.view().entries(table)) {
      counts.rows++
      if (table.name === secretData.name) counts.sealed++
      const plain = (_name: string, value: unknown): unknown =>
        typeof value === 'bigint' ? String(value) : latin1(value)
      const found = planted.foundIn(`${key}\n${JSON.stringify(row, plain)}`)
      if (found.length > 0) t.fail(`a row of ${table.name} holds ${found.join()}`)
    }
  }
  const frozen = await store.freeze()
  for (const table of tables.filter(({ isCold }) => isCold)) {
    for await (const rows of frozen.cold(table)) {
      for (const { key, body } of rows) {
        counts.rows++
        const found = planted.foundIn(`${key}\n${body.toString('latin1')}`)
        if (found.length > 0) t.fail(`a row of ${table.name} holds ${found.join()}`)
      }
    }
  }
  await frozen.release()
  t.ok(counts.sealed > 100, `${counts.sealed} of ${counts.rows} rows are sealed`)
  let records = 0
  for (const { text } of await store.journal.read(1, 100_000)) {
    records++
    const found = planted.foundIn(text)
    if (found.length > 0) t.fail(`a record of the journal holds ${found.join()}`)
  }
  t.ok(records > 500, `${records} records`)
}

/** What JSON makes of a Buffer, as its bytes. */
function latin1(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value)) return value
  const { type, data } = value as { type: unknown; data?: readonly number[] }
  return type === 'Buffer' && data !== undefined ? Buffer.from(data).toString('latin1') : value
}
