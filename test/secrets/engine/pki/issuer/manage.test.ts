import t from 'tap'
import { mountAuthority, openAuthority } from '../authority.ts'

t.test('issuers are listed for anybody, by id', async t => {
  const secrets = await openAuthority(t)
  t.equal((await secrets.list('pki/issuers', { token: '' })).status, 404)
  const made = []
  for (const name of ['one', 'two', 'three']) {
    const { body } = await secrets.post('pki/root/generate/internal', {
      ...{ common_name: name, key_type: 'ec', issuer_name: name },
    })
    made.push(body.data)
  }
  const { body } = await secrets.list('pki/issuers', { token: '' })
  const ids = made.map(each => each.issuer_id).sort()
  t.strictSame(body.data.keys, ids)
  for (const [at, each] of made.entries()) {
    t.strictSame(body.data.key_info[each.issuer_id], {
      is_default: at === 0,
      issuer_name: each.issuer_name,
      key_id: each.key_id,
      serial_number: each.serial_number,
    })
  }
  const page = await secrets.list('pki/issuers', { token: '', data: { after: ids[0], limit: 1 } })
  t.strictSame(page.body.data.keys, [ids[1]])
})

t.test('an issuer is read by id, name and default', async t => {
  const secrets = await openAuthority(t)
  const { data } = (
    await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root', key_type: 'rsa', issuer_name: 'root', use_pss: true },
    })
  ).body
  for (const ref of [data.issuer_id, 'root', 'default', 'Default']) {
    const { body } = await secrets.read(`pki/issuer/${ref}`)
    t.strictSame(body.data, {
      ca_chain: [`${data.certificate}\n`],
      certificate: `${data.certificate}\n`,
      crl_distribution_points: [],
      delta_crl_distribution_points: [],
      enable_aia_url_templating: false,
      issuer_id: data.issuer_id,
      issuer_name: 'root',
      issuing_certificates: [],
      key_id: data.key_id,
      leaf_not_after_behavior: 'err',
      manual_chain: null,
      ocsp_servers: [],
      revocation_signature_algorithm: 'SHA256WithRSAPSS',
      revoked: false,
      usage: 'crl-signing,issuing-certificates,ocsp-signing,read-only',
    })
  }
  const { status, body } = await secrets.read('pki/issuer/nobody')
  t.equal(status, 400)
  t.equal(body.errors[0], 'unable to find PKI issuer for reference: nobody')
  t.equal((await secrets.read('pki/issuer/root', { token: '' })).status, 403)
})

t.test('an update sets everything, a patch what it says', async t => {
  const secrets = await openAuthority(t)
  await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'root' },
  })
  const patch = (data: object) =>
    secrets.ask('patch', 'pki/issuer/default', { data: data as never })
  const changed = await patch({
    leaf_not_after_behavior: 'truncate',
    usage: ['issuing-certificates'],
    revocation_signature_algorithm: 'ecdsawithsha384',
    issuing_certificates: 'https://a.example/ca',
    delta_crl_distribution_points: 'https://a.example/delta',
  })
  t.match(changed.body.data, {
    issuer_name: 'root',
    leaf_not_after_behavior: 'truncate',
    usage: 'issuing-certificates,read-only',
    revocation_signature_algorithm: 'ECDSAWithSHA384',
    issuing_certificates: ['https://a.example/ca'],
    delta_crl_distribution_points: ['https://a.example/delta'],
  })
  const named = await patch({ issuer_name: 'new' })
  t.equal(named.body.data.usage, 'issuing-certificates,read-only')
  t.equal((await secrets.read('pki/issuer/root')).status, 400, 'the old name is gone')
  const reset = await secrets.post('pki/issuer/new', {})
  t.match(reset.body.data, {
    issuer_name: '',
    leaf_not_after_behavior: 'err',
    usage: 'crl-signing,issuing-certificates,ocsp-signing,read-only',
    revocation_signature_algorithm: '',
    issuing_certificates: [],
    delta_crl_distribution_points: [],
  })
  const templated = await patch({
    ocsp_servers: '{{cluster_path}}/ocsp',
    enable_aia_url_templating: true,
  })
  t.match(templated.body.warnings[0], /^issuance may fail: /)
  await patch({ ocsp_servers: '', enable_aia_url_templating: false })
  await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'taken' },
  })
  for (const [data, text, expected = 400] of [
    [{ issuer_name: 'taken' }, 'issuer name already in use'],
    [{ issuer_name: 'a b' }, 'issuer name contained invalid characters'],
    [{ leaf_not_after_behavior: 'x' }, 'Unknown value for field `leaf_not_after_behavior`'],
    [{ usage: 'x,read-only' }, 'Unable to parse specified usages: [x read-only]'],
    [{ revocation_signature_algorithm: 'md5' }, 'Unknown signature algorithm value: md5'],
    [
      { revocation_signature_algorithm: 'SHA256WithRSA' },
      'unable to use issuer of type EC to sign with SHA256WithRSA',
    ],
    [{ ocsp_servers: 'x' }, 'parameter ocsp_servers: x'],
    [{ manual_chain: 'taken,self' }, 'expected first cert in chain to be a self-reference'],
    [{ manual_chain: 'self,nobody' }, 'unable to find PKI issuer for reference: nobody'],
    [{ disable_name_checks: true }, 'not served yet', 501],
  ] as [object, string, number?][]) {
    const { status, body } = await patch(data)
    t.equal(status, expected, text)
    t.ok(body.errors[0].includes(text), body.errors[0])
  }
})

t.test('roles that name an issuer are told of as it goes', async t => {
  const secrets = await openAuthority(t)
  const { issuer_id } = (
    await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'root' },
    })
  ).body.data
  const [mount] = (await secrets.list('pki/issuers')).body.data.keys
  t.equal(mount, issuer_id)
  await secrets.write(draft => {
    const at = secrets.rows().find(row => row.endsWith(`/issuer/${issuer_id}`))!
    const area = draft.area('root', at.split('/')[1]!)
    area.put('role/web', { issuer_ref: 'root' })
    area.put('role/other', { issuer_ref: 'default' })
  })
  const renamed = await secrets.ask('patch', 'pki/issuer/root', { data: { issuer_name: 'new' } })
  t.strictSame(renamed.body.warnings, ['1 roles reference root'])
  const { status, body } = await secrets.remove('pki/issuer/new')
  t.equal(status, 200)
  t.strictSame(body.warnings, [
    `Deleted issuer ${issuer_id} (via issuer_ref new); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.`,
    '1 roles reference default',
  ])
  t.equal((await secrets.remove('pki/issuer/new')).status, 204)
  t.equal((await secrets.list('pki/keys')).body.data.keys.length, 1, 'its key stays')
})

t.test('chains grow and shrink with what is there, or are put together', async t => {
  const secrets = await openAuthority(t)
  await mountAuthority(secrets, 'root/')
  await mountAuthority(secrets, 'mid/')
  const root = (
    await secrets.post('root/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  ).body.data
  const sign = async (at: string, from: string, name: string) => {
    const { csr } = (
      await secrets.post(`${at}/intermediate/generate/internal`, { common_name: name })
    ).body.data
    const { certificate } = (await secrets.post(`${from}/root/sign-intermediate`, { csr })).body
      .data
    const set = await secrets.post(`${at}/intermediate/set-signed`, { certificate })
    return { certificate, id: set.body.data.imported_issuers[0] }
  }
  const mid = await sign('mid', 'root', 'Middle')
  const low = await sign('pki', 'mid', 'Low')
  const chain = async () =>
    (await secrets.read(`pki/issuer/${low.id}/json`)).body.data.ca_chain.map((each: string) =>
      each.trimEnd(),
    )
  t.strictSame(await chain(), [low.certificate])
  const add = async (pem: string) =>
    (await secrets.post('pki/issuers/import/cert', { pem_bundle: pem })).body.data
      .imported_issuers[0]
  const rootId = await add(root.certificate)
  t.strictSame(await chain(), [low.certificate], 'nobody between is known')
  const midId = await add(mid.certificate)
  t.strictSame(await chain(), [low.certificate, mid.certificate, root.certificate])
  const patch = (ref: string, manual_chain: string[]) =>
    secrets.ask('patch', `pki/issuer/${ref}`, { data: { manual_chain } })
  const manual = await patch(midId, ['self'])
  t.strictSame(manual.body.data.manual_chain, [midId])
  t.strictSame(await chain(), [low.certificate, mid.certificate], 'it ends where somebody ended it')
  await patch(midId, [])
  await patch(low.id, ['self', rootId])
  t.strictSame(await chain(), [low.certificate, root.certificate])
  await secrets.remove(`pki/issuer/${rootId}`)
  t.strictSame(await chain(), [low.certificate], 'who is gone is left out')
  await patch(low.id, [])
  t.strictSame(await chain(), [low.certificate, mid.certificate])
  await secrets.remove(`pki/issuer/${midId}`)
  t.strictSame(await chain(), [low.certificate])
})
