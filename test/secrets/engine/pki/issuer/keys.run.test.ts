import { createPrivateKey } from 'node:crypto'
import t from 'tap'
import { openAuthority } from '../authority.ts'

t.test('keys are drawn, told once, named and ended', async t => {
  const secrets = await openAuthority(t)
  for (const [data, type] of [
    [{}, 'rsa'],
    [{ key_type: 'ec', key_bits: 521 }, 'ec'],
    [{ key_type: 'ed25519' }, 'ed25519'],
  ] as const) {
    const { body } = await secrets.post('pki/keys/generate/exported', { ...data })
    t.equal(body.data.key_type, type)
    t.equal(createPrivateKey(body.data.private_key).asymmetricKeyType, type)
    const read = await secrets.read(`pki/key/${body.data.key_id}`)
    t.match(read.body.data.subject_key_id, /^([0-9a-f]{2}:){19}[0-9a-f]{2}$/)
    t.notOk(read.text.includes('PRIVATE'))
  }
  const one = await secrets.post('pki/keys/generate/internal', { key_type: 'ec', key_name: 'one' })
  t.notOk(Object.hasOwn(one.body.data, 'private_key'))
  t.equal((await secrets.read('pki/key/one')).body.data.key_id, one.body.data.key_id)
  const named = await secrets.post('pki/key/one', { key_name: 'two' })
  t.equal(named.body.data.key_name, 'two')
  t.equal((await secrets.read('pki/key/one')).status, 400)
  await secrets.post('pki/keys/generate/internal', { key_type: 'ec', key_name: 'three' })
  t.equal(
    (await secrets.post('pki/key/two', { key_name: 'three' })).body.errors[0],
    'key name already in use',
  )
  t.equal((await secrets.post('pki/key/two', { key_name: 'two' })).status, 200, 'its own name')
  const bare = await secrets.post('pki/key/two', {})
  t.match(bare.body.warnings[0], /^Name successfully deleted/)
  const listed = await secrets.list('pki/keys')
  t.equal(listed.body.data.keys.length, 5)
  const defaults = listed.body.data.keys.filter(
    (id: string) => listed.body.data.key_info[id].is_default,
  )
  t.strictSame(defaults, [(await secrets.read('pki/config/keys')).body.data.default])
  const page = await secrets.list('pki/keys', {
    data: { after: listed.body.data.keys[0], limit: 2 },
  })
  t.strictSame(page.body.data.keys, listed.body.data.keys.slice(1, 3))
  const gone = await secrets.remove('pki/key/default')
  t.match(gone.body.warnings[0], /this was configured as the default key/)
  t.equal((await secrets.read('pki/key/default')).status, 400)
  t.equal((await secrets.remove('pki/key/default')).status, 204)
  t.equal((await secrets.remove('pki/key/nobody')).status, 204)
  const set = await secrets.post('pki/config/keys', { default: 'three' })
  t.equal((await secrets.read('pki/key/default')).body.data.key_id, set.body.data.default)
})

t.test('a key with an issuer stays, and what is refused', async t => {
  const secrets = await openAuthority(t)
  const made = await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec' },
  })
  const { key_id, issuer_id } = made.body.data
  const { status, body } = await secrets.remove(`pki/key/${key_id}`)
  t.equal(status, 400)
  t.equal(body.errors[0], `Failed to Delete Key.  Key in Use by Issuer: ${issuer_id}`)
  await secrets.remove(`pki/issuer/${issuer_id}`)
  t.equal((await secrets.remove(`pki/key/${key_id}`)).status, 200)
  for (const [at, data, expected, text] of [
    ['keys/generate/internal', { key_type: 'x' }, 400, 'Validation for key_type, key_bits failed'],
    ['keys/generate/internal', { key_name: '' }, 400, 'key name contained invalid characters'],
    ['keys/generate/kms', {}, 501, 'not served yet'],
    ['keys/generate/other', {}, 400, 'Unknown type of key to generate'],
    ['keys/import', { pem_bundle: '/etc/key' }, 400, 'provided data for import was too short'],
    ['config/keys', { default: 'default' }, 400, 'Invalid key specification'],
    ['config/keys', { default: 'nobody' }, 400, 'unable to find PKI key for reference: nobody'],
    ['key/nobody', { key_name: 'x' }, 400, 'unable to find PKI key for reference: nobody'],
  ] as const) {
    const refused = await secrets.post(`pki/${at}`, { ...data })
    t.equal(refused.status, expected, text)
    t.ok(refused.body.errors[0].includes(text), refused.body.errors[0])
  }
})
