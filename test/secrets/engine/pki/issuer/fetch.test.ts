import t from 'tap'
import { openAuthority } from '../authority.ts'

const nobody = { token: '' }

t.test('raw paths are empty where there is nothing', async t => {
  const secrets = await openAuthority(t)
  for (const at of ['ca', 'ca/pem', 'ca_chain', 'cert/ca/raw', 'cert/ca/raw/pem']) {
    const { status, text } = await secrets.read(`pki/${at}`, nobody)
    t.equal(status, 204, at)
    t.equal(text, '')
  }
  for (const at of ['cert/ca', 'cert/ca_chain', 'issuer/default/json', 'issuer/default/pem']) {
    const { status, body } = await secrets.read(`pki/${at}`, nobody)
    t.equal(status, 400, at)
    t.equal(body.errors[0], 'no default issuer currently configured')
  }
})

t.test('anybody may fetch the certificate of an issuer, in every form', async t => {
  const secrets = await openAuthority(t)
  const { certificate, issuer_id } = (
    await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'root' },
    })
  ).body.data
  const text = async (at: string) => (await secrets.read(`pki/${at}`, nobody)).text
  t.equal(await text('ca/pem'), certificate)
  t.equal(await text('ca_chain'), certificate)
  t.equal(await text('cert/ca/raw/pem'), certificate)
  t.equal(await text('issuer/root/pem'), `${certificate}\n`)
  const der = Buffer.from(certificate.replace(/-----[A-Z ]+-----|\n/g, ''), 'base64').toString()
  for (const at of ['ca', 'cert/ca/raw', 'issuer/root/der']) t.equal(await text(at), der, at)
  const json = await secrets.read('pki/cert/ca', nobody)
  t.strictSame(json.body.data, {
    certificate,
    revocation_time: 0,
    revocation_time_rfc3339: '',
  })
  const chain = await secrets.read('pki/cert/ca_chain', nobody)
  t.equal(chain.body.data.ca_chain, certificate)
  const issuer = await secrets.read('pki/issuer/default/json', nobody)
  t.strictSame(issuer.body.data, {
    ca_chain: [`${certificate}\n`],
    certificate: `${certificate}\n`,
    issuer_id,
    issuer_name: 'root',
  })
})

t.test('who has the newest is told so, where the mount lets that be asked', async t => {
  const secrets = await openAuthority(t)
  await secrets.write(draft => {
    // The mount passes the header on.
    const at = draft.area('root', 'mounts')
    const mount = at.get<{ config: object }>('secret/pki/')!
    const config = { ...mount.config, passthroughRequestHeaders: ['If-Modified-Since'] }
    at.put('secret/pki/', { ...mount, config })
  })
  await secrets.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  const since = (ms: number) =>
    secrets.read('pki/ca/pem', {
      ...{ token: '', headers: { 'if-modified-since': new Date(ms).toUTCString() } },
    })
  const later = await since(Date.now() + 60_000)
  t.equal(later.status, 304)
  t.equal(later.text, '')
  t.match(later.headers['last-modified'], /GMT$/)
  t.equal((await since(Date.now() - 60_000)).status, 200)
  const odd = await secrets.read('pki/ca/pem', { headers: { 'if-modified-since': 'yesterday' } })
  t.equal(odd.status, 200)
})
