/**
 * npm's `node-vault`, unchanged, over what the secrets serve. It takes every status but 200 and 204
 * for an error.
 *
 * Its declared types leave out most of what it does, so answers are taken as they come.
 */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import NodeVault from 'node-vault'
import t from 'tap'
import { until } from './process.ts'
import { startSecrets } from './secrets.ts'

/** Plain JSON: fields are looked at one by one. */
// biome-ignore lint/suspicious/noExplicitAny: answers of a foreign client, checked by comparing
type Json = any

const { address: endpoint } = await startSecrets(t)
const clientWith = (more: object = {}): Json => NodeVault({ endpoint, ...more })

/** The status that a call failed with, and the client's words for it. */
const faultOf = (call: Promise<unknown>): Promise<[number | undefined, string]> =>
  call.then(
    () => [undefined, 'it succeeded'],
    error => [error.response?.statusCode, error.message],
  )

const DENIED: [number, string] = [403, '1 error occurred:\n\t* permission denied\n\n']

let vault: Json = clientWith()
/** This client goes on with whatever token it makes or renews, so those are made by another. */
const apart = (): Json => clientWith({ token: vault.token })
let keys: string[] = []

t.test('init and unseal', async t => {
  t.strictSame(await vault.initialized(), { initialized: false })
  t.match(await vault.health(), { initialized: false, sealed: true })
  t.strictSame(await faultOf(vault.read('secret/a')), [503, 'Vault is sealed'])
  const made = await vault.init({ secret_shares: 3, secret_threshold: 2 })
  t.equal(made.keys.length, 3)
  keys = made.keys
  vault = clientWith({ token: made.root_token })
  const again = faultOf(vault.init({ secret_shares: 1, secret_threshold: 1 }))
  t.strictSame(await again, [400, 'Vault is already initialized'])
  t.match(await vault.unseal({ key: keys[0] }), { sealed: true, progress: 1, t: 2, n: 3 })
  t.match(await vault.unseal({ reset: true }), { progress: 0 })
  await vault.unseal({ key: keys[2] })
  t.match(await vault.unseal({ key: keys[1] }), { sealed: false })
  await until('it answers', () => vault.tokenLookupSelf().then(() => true))
})

t.test('health, status, leader', async t => {
  t.match(await vault.health(), { initialized: true, sealed: false, standby: false })
  t.match(await vault.status(), { type: 'shamir', sealed: false, n: 3 })
  t.match(await vault.leader(), { performance_standby: false })
})

t.test('mounts and auth methods', async t => {
  await vault.mount({ mount_point: 'one', type: 'kv', options: { version: '1' } })
  await vault.mount({ mount_point: 'two', type: 'kv', options: { version: '2' } })
  const mounts = await vault.mounts()
  t.match(mounts['two/'], { type: 'kv', options: { version: '2' } })
  t.match(mounts.data['one/'], { type: 'kv' })
  const twice = await faultOf(vault.mount({ mount_point: 'one', type: 'kv' }))
  t.match(twice, [400, /path is already in use at one\//])
  await vault.mount({ mount_point: 'old', type: 'kv' })
  await vault.remount({ from: 'old', to: 'new' })
  await until('it is moved', async () => (await vault.mounts()).data['new/'] !== undefined)
  await vault.unmount({ mount_point: 'new' })
  t.equal((await vault.mounts()).data['new/'], undefined)
  await vault.enableAuth({ mount_point: 'approle', type: 'approle', description: 'roles' })
  await vault.enableAuth({ mount_point: 'userpass', type: 'userpass' })
  t.match((await vault.auths())['approle/'], { type: 'approle', description: 'roles' })
  await vault.enableAuth({ mount_point: 'gone', type: 'approle' })
  await vault.disableAuth({ mount_point: 'gone' })
  t.equal((await vault.auths()).data['gone/'], undefined)
})

t.test('policies', async t => {
  const rules = 'path "one/app/*" { capabilities = ["create", "read", "update", "list"] }'
  await vault.addPolicy({ name: 'app', rules })
  t.match(await vault.getPolicy({ name: 'app' }), { name: 'app', rules })
  t.match(await vault.policies(), { policies: ['app', 'default', 'root'] })
  const bad = await faultOf(vault.addPolicy({ name: 'bad', rules: 'path "a" {' }))
  t.equal(bad[0], 400)
  await vault.addPolicy({ name: 'gone', rules })
  await vault.removePolicy({ name: 'gone' })
  t.equal((await faultOf(vault.getPolicy({ name: 'gone' })))[0], 404)
})

t.test('tokens', async t => {
  const { auth } = await apart().tokenCreate({ policies: ['app'], ttl: '1h', display_name: 'js' })
  t.match(auth, { policies: ['app', 'default'], lease_duration: 3600, renewable: true })
  const { client_token: token, accessor } = auth
  t.match(await vault.tokenLookup({ token }), { data: { display_name: 'token-js', ttl: Number } })
  t.match(await vault.tokenLookupAccessor({ accessor }), { data: { id: '' } })
  t.match(await apart().tokenRenew({ token, increment: '2h' }), { auth: { lease_duration: 7200 } })
  const own = clientWith({ token })
  t.match(await own.tokenLookupSelf(), { data: { id: token } })
  t.match(await own.tokenRenewSelf({ increment: 60 }), { auth: { lease_duration: 60 } })
  t.ok((await vault.tokenAccessors()).data.keys.includes(accessor))
  t.strictSame(await faultOf(own.tokenAccessors()), DENIED)
  await vault.tokenRevoke({ token })
  t.equal((await faultOf(own.tokenLookupSelf()))[0], 403)
  const orphan = await apart().tokenCreateOrphan({ policies: ['app'], ttl: '1h' })
  t.equal(orphan.auth.orphan, true)
  await vault.tokenRevokeAccessor({ accessor: orphan.auth.accessor })
  const role = { role_name: 'ops', allowed_policies: 'app', orphan: true, period: 3_600 }
  await vault.addTokenRole(role)
  t.match(await vault.getTokenRole({ role_name: 'ops' }), { data: { name: 'ops', orphan: true } })
  t.match(await vault.tokenRoles(), { data: { keys: ['ops'] } })
  const ofRole = await apart().tokenCreateRole({ role_name: 'ops', policies: ['app'] })
  t.equal(ofRole.auth.lease_duration, 3600)
  await clientWith({ token: ofRole.auth.client_token }).tokenRevokeSelf()
  await vault.removeTokenRole({ role_name: 'ops' })
})

t.test('a token that is renewed by itself', async t => {
  const { auth } = await apart().tokenCreate({ policies: ['app'], ttl: '2s' })
  const own = clientWith({ token: auth.client_token })
  const renewed = once(own, 'token:renewed')
  await own.startTokenRenewal({ increment: '2s', renewFraction: 0.5 })
  t.match((await renewed)[0], { auth: { lease_duration: 2 } })
  const failed = once(own, 'token:error:renew')
  await vault.tokenRevoke({ token: auth.client_token })
  t.match((await failed)[0], { response: { statusCode: 403 } })
  own.stopAllRenewals()
})

t.test('kv, version 1', async t => {
  await vault.write('one/app/a', { password: 'x', deep: { list: [1, null] } })
  const read = await vault.read('one/app/a')
  t.match(read, { data: { password: 'x', deep: { list: [1, null] } }, lease_duration: 2764800 })
  t.match(await vault.list('one/app'), { data: { keys: ['a'] } })
  const plain = clientWith({ token: vault.token, noCustomHTTPVerbs: true })
  t.match(await plain.list('one/app'), { data: { keys: ['a'] } }, 'by GET')
  await vault.delete('one/app/a')
  t.strictSame(await faultOf(vault.read('one/app/a')), [404, 'Status 404'])
  t.strictSame(await faultOf(vault.list('one/app')), [404, 'Status 404'])
  t.match(await faultOf(vault.write('one/app/a', {})), [400, /missing data fields/])
})

t.test('kv, version 2', async t => {
  const written = await vault.write('two/data/a', { data: { v: 1 }, options: { cas: 0 } })
  t.match(written, { data: { version: 1, destroyed: false } })
  const stale = await faultOf(vault.write('two/data/a', { data: { v: 2 }, options: { cas: 0 } }))
  t.match(stale, [400, /check-and-set parameter did not match the current version/])
  t.match(await vault.update('two/data/a', { data: { w: 2 } }), { data: { version: 2 } })
  const merged = { data: { data: { v: 1, w: 2 }, metadata: { version: 2 } } }
  t.match(await vault.read('two/data/a'), merged)
  t.match(await vault.read('two/data/a?version=1'), { data: { data: { v: 1 } } })
  await vault.delete('two/data/a')
  const error: Json = await vault.read('two/data/a').catch((fault: Json) => fault)
  t.equal(error.response.statusCode, 404)
  t.match(error.response.body.data, { data: null, metadata: { version: 2 } })
  await vault.write('two/undelete/a', { versions: [2] })
  t.match(await vault.read('two/data/a'), merged)
  await vault.destroySecretVersions({ mount_point: 'two', path: 'a', versions: [1] })
  await vault.write('two/metadata/a', { max_versions: 4, custom_metadata: { owner: 'us' } })
  const metadata = await vault.read('two/metadata/a')
  t.match(metadata.data, { max_versions: 4, versions: { 1: { destroyed: true } } })
  t.match(metadata.data.custom_metadata, { owner: 'us' })
  t.match(await vault.list('two/metadata'), { data: { keys: ['a'] } })
  t.match(await vault.read('two/subkeys/a'), { data: { subkeys: { v: null, w: null } } })
  t.match(await faultOf(vault.list('two/data')), [405, 'unsupported operation'])
  await vault.delete('two/metadata/a')
  t.equal((await faultOf(vault.read('two/data/a')))[0], 404)
})

t.test('approle', async t => {
  await vault.addApproleRole({ role_name: 'web', policies: 'app', token_ttl: 1_200 })
  t.match(await vault.getApproleRole({ role_name: 'web' }), { data: { bind_secret_id: true } })
  t.match(await vault.approleRoles(), { data: { keys: ['web'] } })
  const { role_id } = (await vault.getApproleRoleId({ role_name: 'web' })).data
  const { data } = await vault.getApproleRoleSecret({ role_name: 'web' })
  const own = clientWith()
  const { secret_id } = data
  const login = await own.approleLogin({ role_id, secret_id })
  t.match(login.auth, { policies: ['app', 'default'], metadata: { role_name: 'web' } })
  await own.write('one/app/own', { x: 'y' })
  t.match(await own.read('one/app/own'), { data: { x: 'y' } })
  t.strictSame(await faultOf(own.read('one/other')), DENIED)
  const wrong = await faultOf(clientWith().approleLogin({ role_id, secret_id: 'nonsense' }))
  t.strictSame(wrong, [400, 'invalid role or secret ID'])
  const accessors = await vault.approleSecretAccessors({ role_name: 'web' })
  t.match(accessors, { data: { keys: [data.secret_id_accessor] } })
  await vault.approleSecretLookup({ role_name: 'web', secret_id })
  await vault.approleSecretDestroy({ role_name: 'web', secret_id })
  t.equal((await faultOf(clientWith().approleLogin({ role_id, secret_id })))[0], 400)
  await vault.deleteApproleRole({ role_name: 'web' })
})

t.test('userpass', async t => {
  await vault.write('auth/userpass/users/alice', { password: 'pw', token_policies: 'app' })
  const own = clientWith()
  const { auth } = await own.userpassLogin({ username: 'alice', password: 'pw' })
  t.match(auth, { policies: ['app', 'default'], metadata: { username: 'alice' } })
  t.match(await own.read('one/app/own'), { data: { x: 'y' } }, 'it took the token')
  const wrong = await faultOf(own.userpassLogin({ username: 'alice', password: 'no' }))
  t.strictSame(wrong, [400, 'invalid username or password'])
})

t.test('wrapping', async t => {
  const headers = { 'X-Vault-Wrap-TTL': '60' }
  const { wrap_info } = await vault.read('one/app/own', { headers })
  t.match(wrap_info, { ttl: 60, creation_path: 'one/app/own' })
  const { token } = wrap_info
  const lookup = await vault.write('sys/wrapping/lookup', { token })
  t.match(lookup, { data: { creation_path: 'one/app/own', creation_ttl: 60 } })
  t.match(await vault.unwrap({ token }), { data: { x: 'y' } })
  const again = await faultOf(vault.unwrap({ token }))
  t.strictSame(again, [400, 'wrapping token is not valid or does not exist'])
})

t.test('leases', async t => {
  const renewal = await faultOf(vault.renew({ lease_id: 'one/none', increment: 60 }))
  t.match(renewal, [400, /lease not found/])
  await vault.revoke({ lease_id: 'one/none' })
  await vault.revokePrefix({ path_prefix: 'one/none' })
})

t.test('transit', async t => {
  const b64 = (text: string): string => Buffer.from(text).toString('base64')
  await vault.mount({ mount_point: 'transit', type: 'transit' })
  await vault.transitCreateKey({ name: 'app' })
  t.strictSame((await vault.transitListKeys()).data.keys, ['app'])
  const plaintext = b64('attack at dawn')
  const { data: sealed } = await vault.encryptData({ name: 'app', plaintext })
  t.match(sealed, { ciphertext: /^vault:v1:/, key_version: 1 })
  t.match(await vault.decryptData({ name: 'app', ...sealed }), { data: { plaintext } })
  await vault.write('transit/keys/app/rotate', {})
  const rewrapped = await vault.rewrapData({ name: 'app', ciphertext: sealed.ciphertext })
  t.match(rewrapped.data, { ciphertext: /^vault:v2:/ })
  t.match(await vault.transitReadKey({ name: 'app' }), { data: { latest_version: 2 } })
  const refused = await faultOf(vault.decryptData({ name: 'app', ciphertext: 'nonsense' }))
  t.match(refused, [400, /no prefix/])
  t.match(await faultOf(vault.transitDeleteKey({ name: 'app' })), [400, /deletion is not allowed/])
  await vault.write('transit/keys/app/config', { deletion_allowed: true })
  await vault.transitDeleteKey({ name: 'app' })
  t.equal((await faultOf(vault.transitReadKey({ name: 'app' })))[0], 404)
})

t.test('pki', async t => {
  await vault.mount({ mount_point: 'pki', type: 'pki', config: { max_lease_ttl: '8760h' } })
  const root = { common_name: 'Root', key_type: 'ec', ttl: '8760h' }
  const { data: made } = await vault.write('pki/root/generate/internal', root)
  await vault.write('pki/roles/web', { allowed_domains: 'example.com', allow_subdomains: true })
  const body = { common_name: 'www.example.com', ttl: '1h' }
  const { data } = await vault.write('pki/issue/web', body)
  const leaf = new X509Certificate(data.certificate)
  t.ok(leaf.verify(new X509Certificate(made.certificate).publicKey))
  t.equal(leaf.subjectAltName, 'DNS:www.example.com')
  t.ok((await vault.list('pki/certs')).data.keys.includes(data.serial_number))
  await vault.write('pki/revoke', { serial_number: data.serial_number })
  const read = await vault.read(`pki/cert/${data.serial_number}`)
  t.ok(read.data.revocation_time > 0)
  const other = await faultOf(vault.write('pki/issue/web', { common_name: 'a.example.org' }))
  t.match(other, [400, /not allowed by this role/])
})

t.test('audit devices', async t => {
  t.match((await vault.audits())['log/'], { type: 'file' })
  const more = await faultOf(vault.enableAudit({ name: 'js', type: 'file', options: {} }))
  t.match(more, [400, /cannot enable audit device via API/])
})

t.test('a namespace', async t => {
  await vault.write('sys/namespaces/js', {})
  const own = clientWith({ token: vault.token, namespace: 'js' })
  await own.mount({ mount_point: 'kv', type: 'kv' })
  await own.write('kv/a', { x: 'y' })
  t.match(await own.read('kv/a'), { data: { x: 'y' } })
  t.match(await vault.read('js/kv/a'), { data: { x: 'y' } })
  t.equal((await faultOf(vault.read('kv/a')))[0], 404)
})

t.test('a new root token, a new key of the barrier, and the seal', async t => {
  const begun = await vault.generateRootInit()
  t.match(begun, { started: true, required: 2 })
  await vault.generateRootUpdate({ key: keys[0], nonce: begun.nonce })
  const { encoded_token } = await vault.generateRootUpdate({ key: keys[1], nonce: begun.nonce })
  const encoded = Buffer.from(encoded_token, 'base64')
  const token = encoded.map((byte, at) => byte ^ begun.otp.charCodeAt(at))
  const other = clientWith({ token: Buffer.from(token).toString() })
  t.match(await other.tokenLookupSelf(), { data: { policies: ['root'] } })
  await vault.generateRootInit()
  await vault.generateRootCancel()
  const { term } = (await vault.read('sys/key-status')).data
  await vault.rotate()
  t.equal((await vault.read('sys/key-status')).data.term, term + 1)
  t.match(await vault.read('one/app/own'), { data: { x: 'y' } })
  await other.seal()
  t.strictSame(await faultOf(vault.read('one/app/own')), [503, 'Vault is sealed'])
  await vault.unseal({ key: keys[1] })
  await vault.unseal({ key: keys[2] })
  await until('it is as it was', async () => (await vault.read('one/app/own')).data.x === 'y')
  t.match(await vault.help('one'), { help: String })
})
