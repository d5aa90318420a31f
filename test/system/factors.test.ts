/**
 * Second factors of others on a real server: it trusts whom its machine trusts, which includes what
 * `NODE_EXTRA_CA_CERTS` names, reaches what `login_targets` lets by, and logs no secret.
 */
import t from 'tap'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { FakeDuo } from '../secrets/mfa/factor/fake/duo.ts'
import { FakeOkta } from '../secrets/mfa/factor/fake/okta.ts'
import { FakePingid } from '../secrets/mfa/factor/fake/pingid.ts'
import { makeAuthority } from '../x509/pki.ts'

const PASSWORD = 'correct-horse'

const authority = makeAuthority(tempFolder(t))
const tls = authority.issue('services')
const duo = await new FakeDuo(tls).listen(t)
const okta = await new FakeOkta(tls).listen(t)
const pingid = await new FakePingid(tls).listen(t)
okta.users = [{ ...okta.users[0]!, login: 'marcher' }]

const file = [
  ...[`use_base64_key=${pingid.key}`, `token=${pingid.token}`, `org_alias=${pingid.orgAlias}`],
  `idp_url=https://127.0.0.1:${pingid.port}/pingid`,
].join('\n')
const methods = {
  duo: {
    api_hostname: `127.0.0.1:${duo.port}`,
    integration_key: duo.integrationKey,
    secret_key: duo.secretKey,
  },
  // The name of an organisation and what stands behind it make an address, too.
  okta: { org_name: '127', base_url: `0.0.1:${okta.port}`, api_token: okta.token },
  pingid: { settings_file_base64: Buffer.from(file).toString('base64') },
}

/** The ids of all methods, any of which a login of userpass has to satisfy. */
async function prepared(daemon: Daemon): Promise<readonly string[]> {
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const { body: founded } = await askSecrets(daemon, 'POST', 'sys/init', { body: shares })
  await enterShares(daemon, founded.keys)
  const write = async (path: string, body: object) => {
    const answer = await askSecrets(daemon, 'POST', path, { token: founded.root_token, body })
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status}`)
    return answer.body?.data
  }
  await write('sys/auth/userpass', { type: 'userpass' })
  await write('auth/userpass/users/marcher', { password: PASSWORD })
  const ids: string[] = []
  for (const [kind, fields] of Object.entries(methods)) {
    const named = { username_format: '{{alias.name}}', ...fields }
    ids.push((await write(`identity/mfa/method/${kind}`, named)).method_id)
  }
  const all = { mfa_method_ids: ids, auth_method_types: ['userpass'] }
  await write('identity/mfa/login-enforcement/all', all)
  return ids
}

/** Logs in by one of the methods. */
async function login(daemon: Daemon, id: string) {
  const path = 'auth/userpass/login/marcher'
  const first = await askSecrets(daemon, 'POST', path, { body: { password: PASSWORD } })
  const { mfa_request_id } = first.body.auth.mfa_requirement
  const body = { mfa_request_id, mfa_payload: { [id]: [] } }
  return askSecrets(daemon, 'POST', 'sys/mfa/validate', { body })
}

const secrets = [duo.secretKey, okta.token, pingid.key, pingid.token, PASSWORD]
const logged = (daemon: Daemon): readonly string[] => {
  const text = daemon.stdout() + daemon.stderr()
  return secrets.filter(secret => text.includes(secret))
}

t.test('who is trusted by the machine lets users in', async t => {
  const env = { NODE_EXTRA_CA_CERTS: authority.certFile }
  const daemon = await startDaemon(t, { env })
  for (const id of await prepared(daemon)) {
    const { status, body } = await login(daemon, id)
    t.equal(status, 200, JSON.stringify(body.errors))
    const token = body.auth.client_token
    t.equal((await askSecrets(daemon, 'GET', 'auth/token/lookup-self', { token })).status, 200)
  }
  for (const { wrong, asked } of [duo, okta, pingid]) {
    t.strictSame(wrong, [])
    t.ok(asked.length > 0)
    asked.length = 0
  }
  t.strictSame(logged(daemon), [])
})

t.test('nobody else is trusted, nor reached where he is not allowed', async t => {
  const daemon = await startDaemon(t)
  const far = await startDaemon(t, { words: ['-hcl=login_targets { allow = ["192.0.2.0/24"] }'] })
  for (const [server, reason] of [
    [daemon, 'it cannot be asked (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
    [far, 'its address may not be connected to (login_targets.allow)'],
  ] as const) {
    for (const id of await prepared(server)) {
      const { status, body } = await login(server, id)
      t.equal(status, 403)
      const told = JSON.stringify(body.errors)
      t.ok(told.includes(reason), told)
    }
    t.strictSame(logged(server), [])
  }
  for (const { asked } of [duo, okta, pingid]) t.equal(asked.length, 0)
})
