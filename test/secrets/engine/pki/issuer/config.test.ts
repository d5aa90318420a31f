import t from 'tap'
import { openAuthority } from '../authority.ts'

const NOTHING = {
  issuing_certificates: [],
  crl_distribution_points: [],
  delta_crl_distribution_points: [],
  ocsp_servers: [],
  enable_templating: false,
}

t.test('addresses are kept as they are said, and what is not said stays', async t => {
  const secrets = await openAuthority(t)
  t.strictSame((await secrets.read('pki/config/urls')).body.data, NOTHING)
  const set = await secrets.post('pki/config/urls', {
    issuing_certificates: 'https://a.example/ca,https://b.example/ca',
  })
  const said = {
    ...NOTHING,
    issuing_certificates: ['https://a.example/ca', 'https://b.example/ca'],
  }
  t.strictSame(set.body.data, said)
  await secrets.post('pki/config/urls', { ocsp_servers: ['http://a.example/ocsp'] })
  t.strictSame((await secrets.read('pki/config/urls')).body.data, {
    ...said,
    ocsp_servers: ['http://a.example/ocsp'],
  })
  await secrets.post('pki/config/urls', { issuing_certificates: '', ocsp_servers: [] })
  t.strictSame((await secrets.read('pki/config/urls')).body.data, NOTHING)
  for (const url of ['nothing', 'https:///x', '{{cluster_path}}/ca', 'https://a b/']) {
    const { status, body } = await secrets.post('pki/config/urls', { ocsp_servers: [url] })
    t.equal(status, 400, url)
    t.equal(
      body.errors[0],
      `invalid URL found in Authority Information Access (AIA) parameter ocsp_servers: ${url}`,
    )
  }
})

t.test('a template that cannot be filled in is told where there is an issuer', async t => {
  const secrets = await openAuthority(t)
  const set = (url: string) =>
    secrets.post('pki/config/urls', { ocsp_servers: url, enable_templating: true })
  t.equal((await set('{{cluster_path}}/ocsp')).body.warnings, null)
  await secrets.post('pki/config/urls', { ocsp_servers: '' })
  await secrets.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  const lacking = await set('{{cluster_path}}/ocsp')
  t.match(lacking.body.warnings[0], /^issuance may fail: unable to template AIA URLs as we lack/)
  await secrets.post('pki/config/cluster', { path: 'https://v.example:8200/v1/pki' })
  t.equal((await set('{{cluster_path}}/ocsp')).body.warnings, null)
  const odd = await set('{{issuer_id}}/ocsp')
  t.match(odd.body.warnings[0], /error validating templated ocsp_servers; invalid URI/)
})

t.test('the address of the mount', async t => {
  const secrets = await openAuthority(t)
  t.strictSame((await secrets.read('pki/config/cluster')).body.data, { path: '', aia_path: '' })
  await secrets.post('pki/config/cluster', { path: 'https://v.example:8200/v1/pki' })
  const both = await secrets.post('pki/config/cluster', { aia_path: 'http://cdn.example/pki' })
  t.strictSame(both.body.data, {
    path: 'https://v.example:8200/v1/pki',
    aia_path: 'http://cdn.example/pki',
  })
  for (const data of [{ path: 'x' }, { path: '' }, { aia_path: 'x' }]) {
    const { status, body } = await secrets.post('pki/config/cluster', data as never)
    t.equal(status, 400)
    t.match(body.errors[0], /^invalid, non-URL (aia_)?path given to cluster: /)
  }
  t.strictSame((await secrets.read('pki/config/cluster')).body.data, both.body.data)
})

t.test('the default issuer', async t => {
  const secrets = await openAuthority(t)
  t.strictSame((await secrets.read('pki/config/issuers')).body.data, {
    default: '',
    default_follows_latest_issuer: false,
  })
  for (const [data, text] of [
    [{}, 'Invalid issuer specification'],
    [{ default: 'default' }, 'Invalid issuer specification'],
    [{ default: 'x' }, 'Error resolving issuer reference: unable to find PKI issuer'],
  ] as const) {
    const { status, body } = await secrets.post('pki/config/issuers', { ...data })
    t.equal(status, 400)
    t.ok(body.errors[0].startsWith(text), body.errors[0])
  }
  const next = await secrets.post('pki/root/replace')
  t.match(next.body.errors[0], /unable to find PKI issuer for reference: next/)
  const made = await secrets.post('pki/root/generate/exported', {
    ...{ common_name: 'Root', key_type: 'ec' },
  })
  await secrets.mount('pki', 'bare/')
  const { certificate } = made.body.data
  const set = await secrets.post('bare/issuers/import/cert', { pem_bundle: certificate })
  const bare = await secrets.post('bare/config/issuers', {
    default: set.body.data.imported_issuers[0],
  })
  t.match(bare.body.warnings[0], /^This selected default issuer has no key associated/)
})
