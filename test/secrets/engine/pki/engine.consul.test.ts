/**
 * What Consul asks of a server that is its authority (`ca_provider = "vault"`), in its order: a
 * root, an intermediate for its datacenter, a leaf's role, another root with a cross-sign.
 */
import t from 'tap'
import { needsOpenssl, openssl } from '../../../x509/openssl.ts'
import { openSecrets, type TestSecrets } from '../../harness.ts'
import { Files } from './authority.ts'

const ROOT = 'connect-root'
const MID = 'connect-intermediate'
const TRUST = 'spiffe://11111111-2222-3333-4444-555555555555.consul'

/** Mounts as Consul does, where they are not there yet. */
async function mount(secrets: TestSecrets, at: string): Promise<void> {
  const there = await secrets.read(`sys/mounts/${at}`)
  if (there.status === 200) return
  const config = { max_lease_ttl: '87600h' }
  const { status } = await secrets.post(`sys/mounts/${at}`, {
    ...{ type: 'pki', description: 'a CA backend for Consul Connect', config },
  })
  t.equal(status, 204)
}

/** A new root in a mount of its own. */
async function makeRoot(secrets: TestSecrets, at: string): Promise<string> {
  await mount(secrets, at)
  const none = await secrets.read(`${at}/ca/pem`)
  t.equal(none.text, '', 'empty where there is no root yet')
  const made = await secrets.post(`${at}/root/generate/internal`, {
    ...{ common_name: `pri-${at}.vault.ca.11111111.consul`, uri_sans: TRUST },
    ...{ key_type: 'ec', key_bits: 256, ttl: '87600h' },
  })
  t.equal(made.status, 200)
  await secrets.post(`${at}/config/urls`, { issuing_certificates: `http://localhost/v1/${at}/ca` })
  const pem = (await secrets.read(`${at}/ca/pem`)).text
  t.equal(pem, made.body.data.certificate)
  return pem
}

/** A new intermediate under a root; the one before it goes. */
async function makeIntermediate(secrets: TestSecrets, root: string): Promise<string> {
  const { csr } = (
    await secrets.post(`${MID}/intermediate/generate/internal`, {
      ...{ common_name: `pri-dc1.vault.ca.11111111.consul`, uri_sans: TRUST },
      ...{ key_type: 'ec', key_bits: 256 },
    })
  ).body.data
  const signed = await secrets.post(`${root}/root/sign-intermediate`, {
    ...{ csr, use_csr_values: true, format: 'pem_bundle', ttl: '8760h' },
  })
  const bundle = signed.body.data.certificate
  const set = await secrets.post(`${MID}/intermediate/set-signed`, { certificate: bundle })
  const { imported_issuers, mapping } = set.body.data
  const own = imported_issuers.find((id: string) => mapping[id] !== '')
  const before = (await secrets.read(`${MID}/config/issuers`)).body.data
  if (before.default !== own) {
    await secrets.post(`${MID}/config/issuers`, {
      ...before,
      default: own,
    })
    const old = (await secrets.read(`${MID}/issuer/${before.default}`)).body.data
    await secrets.remove(`${MID}/issuer/${before.default}`)
    const gone = await secrets.remove(`${MID}/key/${old.key_id}`)
    t.match(gone.body.warnings[0], /configured as the default key/)
  }
  const chain = (await secrets.read(`${MID}/ca_chain`)).text
  t.equal(chain, bundle, 'the intermediate and its root')
  return (await secrets.read(`${MID}/ca/pem`)).text
}

/** A leaf of a service: a request with a SPIFFE id and no name, by a role that takes any. */
async function signLeaf(secrets: TestSecrets, files: Files) {
  await secrets.post(`${MID}/roles/leaf-cert`, {
    ...{ allow_any_name: true, allowed_uri_sans: 'spiffe://*', key_type: 'any' },
    ...{ max_ttl: '72h', no_store: true, require_cn: false },
  })
  const out = files.file('')
  openssl(
    ...['req', '-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...['-subj', '/', '-addext', `subjectAltName=URI:${TRUST}/ns/default/dc/dc1/svc/web`],
    ...['-keyout', files.file(''), '-out', out],
  )
  const csr = openssl('req', '-in', out)
  const { body } = await secrets.post(`${MID}/sign/leaf-cert`, { csr, ttl: '72h' })
  return body.data
}

t.test(
  'a root, an intermediate, and another root that the old one vouches for',
  needsOpenssl,
  async t => {
    const secrets = await openSecrets(t)
    const files = new Files(t)
    const first = await makeRoot(secrets, ROOT)
    await mount(secrets, MID)
    const middle = await makeIntermediate(secrets, ROOT)
    t.match(files.shown(middle), new RegExp(`URI:${TRUST}`))
    t.equal(files.verdict(middle, { roots: [first] }), 'OK')
    const tuned = await secrets.post(`sys/mounts/${MID}/tune`, { max_lease_ttl: '87600h' })
    t.equal(tuned.status, 204)
    const leaf = await signLeaf(secrets, files)
    t.equal(files.verdict(leaf.certificate, { roots: [first], between: [middle] }), 'OK')
    t.equal(leaf.issuing_ca, middle)
    t.match(files.shown(leaf.certificate), new RegExp(`URI:${TRUST}/ns/default/dc/dc1/svc/web`))
    const second = await makeRoot(secrets, 'connect-root-2')
    const cross = await secrets.post(`${ROOT}/root/sign-self-issued`, { certificate: second })
    t.equal(cross.status, 200)
    const next = await makeIntermediate(secrets, 'connect-root-2')
    t.equal(files.verdict(next, { roots: [second] }), 'OK')
    t.equal(
      files.verdict(next, { roots: [first], between: [cross.body.data.certificate] }),
      'OK',
      'whoever trusts the old root alone follows',
    )
    const { keys } = (await secrets.list(`${MID}/keys`)).body.data
    t.equal(keys.length, 1, 'the key before it is gone')
  },
)
