/**
 * The seal, its keys, archives, and what a server says of itself.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { enveloped } from '../../fake/secrets-server.ts'
import { onServer, table } from './support.ts'

const seal = {
  type: 'shamir',
  initialized: true,
  sealed: false,
  t: 2,
  n: 3,
  progress: 0,
  nonce: '',
  version: '1.19.0',
  build_date: '1970-01-01T00:00:00Z',
  migration: false,
  cluster_name: 'c',
  cluster_id: 'id',
  recovery_seal: false,
  storage_type: 'level',
}
const leader = { ha_enabled: false, is_self: false, leader_address: '' }

t.test('status', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/seal-status', seal)
  server.on('GET sys/leader', leader)
  const { code, out } = await ask('status')
  t.equal(code, 0)
  t.equal(
    out,
    table(`
    Key             Value
    ---             -----
    Seal Type       shamir
    Initialized     true
    Sealed          false
    Total Shares    3
    Threshold       2
    Version         1.19.0
    Build Date      1970-01-01T00:00:00Z
    Storage Type    level
    Cluster Name    c
    Cluster ID      id
    HA Enabled      false
    `),
  )
  t.same(JSON.parse((await ask('status -format=json')).out), { ...seal, ha_enabled: false })
  t.equal((await ask('status -field=sealed')).out, 'false')
})

t.test('status of one that is sealed, and of one of several', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/seal-status', { ...seal, sealed: true, progress: 1, nonce: 'nn' })
  server.on('GET sys/leader', { errors: ['Vault is sealed'] }, 503)
  const { code, out } = await ask('status')
  t.equal(code, 2)
  t.match(out, /Unseal Progress +1\/2\nUnseal Nonce +nn\n/)
  t.match(out, /HA Enabled +true$/)
  t.match(await ask('status -field=sealed'), { code: 2, out: 'true' })
  const several = await onServer(t)
  several.server.on('GET sys/seal-status', seal)
  const other = { leader_address: 'http://a', leader_cluster_address: 'https://a' }
  several.server.on('GET sys/leader', { ...leader, ha_enabled: true, ...other })
  const standby = await several.ask('status')
  t.match(
    standby.out,
    /HA Cluster +https:\/\/a\nHA Mode +standby\nActive Node Address +http:\/\/a$/,
  )
})

t.test('status of one that does not say who leads', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/seal-status', seal)
  server.on('GET sys/leader', { errors: ['permission denied'] }, 403)
  const { code, out } = await ask('status')
  t.equal(code, 0)
  t.match(out, /Cluster ID +id$/)
})

t.test('init', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/seal-status', { ...seal, initialized: false, sealed: true })
  const keys = { keys: ['0a', '0b'], keys_base64: ['Cg==', 'Cw=='], root_token: 'hvs.root' }
  server.on('PUT sys/init', keys)
  const { code, out } = await ask('operator init -key-shares=2 -t 2')
  t.equal(code, 0)
  t.match(out, /^Unseal Key 1: Cg==\nUnseal Key 2: Cw==\n\nInitial Root Token: hvs\.root\n/)
  t.match(out, 'Vault initialized with 2 key shares and a key threshold of 2.')
  t.strictSame(server.asks.at(-1)?.body, { secret_shares: 2, secret_threshold: 2 })
  t.same(JSON.parse((await ask('operator init -format=json')).out), {
    unseal_keys_b64: ['Cg==', 'Cw=='],
    unseal_keys_hex: ['0a', '0b'],
    unseal_shares: 5,
    unseal_threshold: 3,
    recovery_keys_b64: [],
    recovery_keys_hex: [],
    recovery_keys_shares: 0,
    recovery_keys_threshold: 0,
    root_token: 'hvs.root',
  })
  server.on('GET sys/init', { initialized: false })
  server.on('GET sys/init', { initialized: true })
  t.match(await ask('operator init -status'), { code: 2, out: 'Vault is not initialized' })
  t.match(await ask('operator init -status'), { code: 0, out: 'Vault is initialized' })
})

t.test('init of a seal that opens by itself, with PGP keys', async t => {
  const { ask, server } = await onServer(t)
  const armoured = [
    '-----BEGIN PGP PUBLIC KEY BLOCK-----',
    'Comment: x',
    '',
    'bWFk',
    'ZQ==',
    '=abcd',
    '-----END PGP PUBLIC KEY BLOCK-----',
  ].join('\n')
  const folder = t.testdir({ armoured, base64: 'bWFkZQ==\n', binary: '\u0001\u0002!' })
  server.on('GET sys/seal-status', { ...seal, recovery_seal: true })
  server.on('PUT sys/init', { keys: [], recovery_keys: ['0a'], recovery_keys_base64: ['Cg=='] })
  const files = ['armoured', 'base64', 'binary'].map(name => join(folder, name)).join(',')
  const { out } = await ask(`operator init -recovery-shares=3 -recovery-pgp-keys=${files}`)
  t.match(
    out,
    /^Recovery Key 1: Cg==[\s\S]*Success! Vault is initialized\n[\s\S]*Recovery key init/,
  )
  t.strictSame(server.asks.at(-1)?.body, {
    recovery_shares: 3,
    recovery_threshold: 3,
    recovery_pgp_keys: ['bWFkZQ==', 'bWFkZQ==', 'AQIh'],
  })
  t.match(await ask('operator init -recovery-pgp-keys=/none'), { code: 1, error: 'cannot read' })
})

t.test('unseal and seal', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT sys/unseal', seal)
  server.on('GET sys/leader', leader)
  server.on('PUT sys/seal', '', 204)
  server.on('PUT sys/step-down', '', 204)
  const bodies: [string, object, object][] = [
    ['operator unseal', { typed: ['share'] }, { key: 'share' }],
    ['operator unseal -', { stdin: 'share\n' }, { key: 'share' }],
    ['operator unseal -migrate 0a', {}, { key: '0a', migrate: true }],
    ['operator unseal -reset', {}, { reset: true }],
  ]
  for (const [line, options, body] of bodies) {
    const { code, out } = await ask(line, options)
    t.equal(code, 0, line)
    t.match(out, /Sealed +false\n/)
    t.strictSame(server.asks.at(-2)?.body, body, line)
  }
  t.match(await ask('operator unseal'), { code: 1, error: 'cannot ask for the unseal key' })
  t.match(await ask('operator unseal -non-interactive -'), { code: 1, error: 'Refusing to read' })
  t.equal((await ask('operator seal')).out, 'Success! Vault is sealed.')
  t.match((await ask('operator step-down')).out, `Success! Stepped down: ${server.address}`)
})

t.test('rotation of the key', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT sys/rotate', '', 204)
  const known = { term: 2, install_time: '2026-01-02T03:04:05Z', encryptions: 7 }
  server.on('GET sys/key-status', { ...(enveloped(known) as object), ...known })
  const text =
    'Key Term            2\nInstall Time        2026-01-02T03:04:05Z\nEncryption Count    7'
  t.equal((await ask('operator key-status')).out, text)
  t.equal((await ask('operator rotate')).out, `Success! Rotated key\n\n${text}`)
  t.same(JSON.parse((await ask('operator rotate -format=json')).out), known)
})

t.test('rekey, with verification', async t => {
  const { ask, server } = await onServer(t)
  const begun = {
    nonce: 'n1',
    started: true,
    t: 2,
    n: 3,
    progress: 0,
    required: 1,
    pgp_fingerprints: null,
    backup: false,
    verification_required: true,
  }
  server.on('PUT sys/rekey/init', begun)
  server.on('GET sys/rekey/init', begun)
  const done = { nonce: 'n1', complete: true, keys: ['0a'], keys_base64: ['Cg=='] }
  server.on('PUT sys/rekey/update', done)
  const verify = { nonce: 'v1', started: true, t: 2, n: 3, progress: 0 }
  server.on('GET sys/rekey/verify', verify)
  server.on('PUT sys/rekey/verify', { nonce: 'v1', complete: true })
  server.on('DELETE sys/rekey/verify', '', 204)
  const init = await ask('operator rekey -init -verify -n 3 -t 2')
  t.match(init.out, /Nonce +n1\nStarted +true\nProgress +0\/1\nNew Shares +3\nNew Threshold +2\n/)
  t.match(init.error, 'WARNING! The new shares are printed once')
  t.match(server.asks.at(-1)?.body, { secret_shares: 3, require_verification: true })
  t.match(await ask('operator rekey 0a'), { code: 1, error: 'Missing nonce value' })
  const given = await ask('operator rekey -nonce=n1 -', { stdin: 'share' })
  t.match(given.out, /^\nKey 1: Cg==\n\nOperation nonce: n1\n/)
  t.match(given.out, /Verification Nonce +v1\nVerification Progress +0\/2$/)
  const asked = await ask('operator rekey -verify', { typed: ['new'] })
  t.match(asked, { code: 0, out: /^Rekey verification successful/, error: 'operation nonce: v1' })
  t.strictSame(server.asks.at(-1)?.body, { key: 'new', nonce: 'v1' })
  t.match((await ask('operator rekey -cancel -verify')).out, 'Success! Canceled rekeying')
})

t.test('rotate-keys, in an envelope and of the recovery key', async t => {
  const { ask, server } = await onServer(t)
  server.on('GET sys/rotate/recovery/init', enveloped({ nonce: '', started: false }))
  const none = await ask('operator rotate-keys -target=recovery', { typed: ['x'] })
  t.match(none, { code: 1, error: 'Begin one with "vault operator rotate-keys -init"' })
  const complete = { complete: true, keys: ['0a'], keys_base64: ['Cg=='], n: 1, t: 1, nonce: 'x' }
  server.on('PUT sys/rotate/root/init', enveloped(complete))
  t.match((await ask('operator rotate-keys -init')).out, /^\nKey 1: Cg==[\s\S]*changed to 1 key/)
  server.on('GET sys/rotate/root/backup', enveloped({ nonce: 'b', keys: { fp: ['k'] } }))
  server.on('DELETE sys/rotate/root/backup', '', 204)
  t.match((await ask('operator rotate-keys -backup-retrieve')).out, /keys +map\[fp:\[k\]\]/)
  t.match((await ask('operator rotate-keys -backup-delete')).out, 'Success! Deleted backed up')
})

t.test('generate-root', async t => {
  const { ask, server } = await onServer(t)
  const token = 'hvs.0123456789abcdefghijklmn'
  const otp = 'ABCDEFGHIJKLMNOPQRSTUVWXYZab'
  const mask = Buffer.from(otp)
  const encoded = Buffer.from(Buffer.from(token).map((byte, at) => byte ^ (mask[at] ?? 0)))
    .toString('base64')
    .replace(/=+$/, '')
  const begun = { nonce: 'n1', started: true, progress: 0, required: 2, complete: false }
  server.on('PUT sys/generate-root/attempt', { ...begun, otp, otp_length: 28 })
  server.on('GET sys/generate-root/attempt', { ...begun, otp_length: 28 })
  server.on('PUT sys/generate-root/update', { ...begun, complete: true, encoded_token: encoded })
  server.on('DELETE sys/generate-root/attempt', '', 204)
  const init = await ask('operator generate-root -init')
  t.match(init.out, /^Nonce +n1\nStarted +true\nProgress +0\/2\nComplete +false\nOTP +ABC/)
  t.match((await ask('operator generate-root -status')).out, /OTP Length +28$/)
  const given = await ask('operator generate-root -nonce=n1 -', { stdin: 'share' })
  t.match(given.out, `Encoded Token    ${encoded}`)
  t.match(await ask('operator generate-root', { typed: ['share'] }), { error: 'nonce: n1' })
  server.taken()
  const decoded = await ask(`operator generate-root -decode=- -otp=${otp}`, { stdin: encoded })
  t.equal(decoded.out, token)
  t.same(server.taken(), [], 'nobody is asked')
  t.match(await ask('operator generate-root -decode=AAAA -otp=x'), { code: 1, error: 'not belong' })
  const [one, two] = [
    await ask('operator generate-root -generate-otp'),
    await ask('operator generate-root -generate-otp'),
  ]
  t.match(one.out, /^[A-Za-z0-9]{28}$/)
  t.not(one.out, two.out)
  t.match((await ask('operator generate-root -cancel')).out, 'Root token generation canceled')
})

t.test('members and peers', async t => {
  const { ask, server } = await onServer(t)
  const node = { hostname: 'h', api_address: 'http://h', active_node: true, version: '1.19.0' }
  server.on('GET sys/ha-status', enveloped({ nodes: [node] }))
  t.match((await ask('operator members')).out, /\nh +http:\/\/h +n\/a +true +1\.19\.0 +n\/a +n\/a$/)
  const peer = { node_id: 'n1', address: 'a:1', leader: true, voter: true }
  server.on('GET sys/storage/raft/configuration', enveloped({ config: { servers: [peer] } }))
  t.match((await ask('operator raft list-peers')).out, /\nn1 +a:1 +leader +true$/)
  const state = { healthy: true, leader: 'n1', voters: ['n1'], servers: { n1: { name: 'n1' } } }
  server.on('GET sys/storage/raft/autopilot/state', enveloped(state))
  t.match((await ask('operator raft autopilot state')).out, /^Healthy: {25}true\n/)
  server.on('POST sys/storage/raft/remove-peer', '', 204)
  t.equal((await ask('operator raft remove-peer n2')).out, 'Peer removed successfully!')
})

t.test('archives', async t => {
  const { ask, server, home } = await onServer(t)
  const file = join(home, 'backup.snap')
  server.on('GET sys/storage/raft/snapshot', 'archive')
  server.on('POST sys/storage/raft/snapshot', '', 204)
  server.on('POST sys/storage/raft/snapshot-force', { errors: ['no'] }, 400)
  t.same(await ask(`operator raft snapshot save ${file}`), { code: 0, out: '', error: '' })
  t.equal(readFileSync(file, 'utf8'), 'archive')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal((await ask(`operator raft snapshot restore ${file}`)).code, 0)
  t.equal(server.asks.at(-1)?.body, 'archive')
  t.match(await ask(`operator raft snapshot restore -force ${file}`), { code: 2, error: 'no' })
  t.match(await ask('operator raft snapshot restore /none'), { code: 2, error: 'Error opening' })
})

t.test('help of paths, versions that were, and the log', async t => {
  const { ask, server } = await onServer(t)
  const openapi = { openapi: '3.0.2' }
  server.on('GET sys/mounts', { help: 'Lists mounts.\n', see_also: null, openapi })
  t.equal((await ask('path-help sys/mounts')).out, 'Lists mounts.\n')
  t.same(JSON.parse((await ask('path-help -format=json sys/mounts')).out), openapi)
  t.same(server.taken(), ['GET sys/mounts?help=1', 'GET sys/mounts?help=1'])
  const key_info = { '1.19.0': { timestamp_installed: 'then', build_date: 'before' } }
  server.on('GET sys/version-history', enveloped({ keys: ['1.19.0'], key_info }))
  t.match((await ask('version-history')).out, /\n1\.19\.0 +then +before$/)
  server.on('GET sys/monitor', 'a line\n')
  t.same(await ask('monitor -log-level=DEBUG'), { code: 0, out: 'a line\n', error: '' })
  t.same(server.taken().at(-1), 'GET sys/monitor?log_level=debug&log_format=standard')
})

t.test('debug gathers what is served, and names what is not', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('GET sys/health', { initialized: true })
  server.on('GET sys/seal-status', seal)
  server.on('GET sys/config/state/sanitized', enveloped({ log_level: 'info' }))
  const output = join(home, 'report')
  const { code, out, error } = await ask(
    `debug -duration=1s -target=server-status -target=config -target=host -output=${output}`,
  )
  t.equal(code, 0)
  t.match(out, `Success! Bundle written to: ${output}.tar.gz`)
  t.match(error, '[WARN] no host: ')
  t.notOk(existsSync(output))
  const archive = gunzipSync(readFileSync(`${output}.tar.gz`)).toString('latin1')
  t.match(
    archive,
    /report\/config\.json[\s\S]*report\/index\.json[\s\S]*report\/server_status\.json/,
  )
  t.notMatch(archive, 'hvs.own')
})
