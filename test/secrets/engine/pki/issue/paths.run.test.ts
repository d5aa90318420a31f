import t from 'tap'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { Files, openAuthority } from '../authority.ts'

t.test('a certificate of a role is one to OpenSSL', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await secrets.post('pki/root/generate/internal', {
    common_name: 'R',
    key_type: 'ec',
    ttl: '1000h',
  })
  t.equal(root.status, 200, root.text)
  const role = await secrets.post('pki/roles/web', {
    allowed_domains: 'example.com',
    allow_subdomains: true,
    key_type: 'ec',
  })
  t.equal(role.status, 200, role.text)
  const got = await secrets.post('pki/issue/web', { common_name: 'a.example.com', ttl: '1h' })
  t.equal(got.status, 200, got.text)
  t.equal(files.verdict(got.body.data.certificate, { roots: [root.body.data.certificate] }), 'OK')
})
