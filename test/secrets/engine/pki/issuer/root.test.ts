import t from 'tap'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { Files, openAuthority } from '../authority.ts'

const kinds = [
  { key_type: 'rsa' },
  { key_type: 'rsa', key_bits: 3_072, signature_bits: 384 },
  { key_type: 'rsa', use_pss: true, signature_bits: 512 },
  { key_type: 'ec', key_bits: 224 },
  { key_type: 'ec' },
  { key_type: 'ec', key_bits: 384 },
  { key_type: 'ec', key_bits: 521 },
  { key_type: 'ed25519' },
]

t.test('a root of every kind of key is one to OpenSSL', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  for (const kind of kinds) {
    const { status, body } = await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root X', ttl: '87600h' },
      ...kind,
    })
    t.equal(status, 200, JSON.stringify(kind))
    const { certificate, serial_number } = body.data
    t.equal(files.verdict(certificate, { roots: [certificate] }), 'OK', JSON.stringify(kind))
    const shown = files.shown(certificate)
    t.match(shown, /CA:TRUE/)
    t.match(shown, /Certificate Sign, CRL Sign/)
    t.ok(shown.includes(serial_number))
    t.notOk(Object.hasOwn(body.data, 'private_key'))
  }
})
