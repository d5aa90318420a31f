/** OCSP: what OpenSSL asks, and makes of the answers. */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { openSecretsFace } from '../../../../http/secrets/face.ts'
import { clientFile } from '../../../../run/clients.ts'
import { needsOpenssl, openssl } from '../../../../x509/openssl.ts'
import { mountAuthority } from '../authority.ts'
import { Revoking } from './authority.ts'

/** Asks about certificates, by POST or GET. Gives what OpenSSL prints of the answer. */
async function asked(mount: Revoking, certificates: string[], isGet = false): Promise<string> {
  const { files, secrets, root } = mount
  const request = files.file('')
  const words = [
    '-issuer',
    files.file(root),
    ...certificates.flatMap(each => ['-cert', files.file(each)]),
  ]
  openssl('ocsp', ...words, '-reqout', request)
  const body = readFileSync(request)
  const got = isGet
    ? await secrets.read(`pki/ocsp/${body.toString('base64')}`, { token: '' })
    : await secrets.ask('update', 'pki/ocsp', { token: '', body })
  const { status, stdout, stderr } = spawnSync(
    clientFile('openssl'),
    [
      ...['ocsp', ...words, '-no_nonce', '-respin', files.file(got.bytes)],
      ...['-CAfile', files.file(root)],
    ],
    { encoding: 'utf8' },
  )
  return `${got.status} ${status} ${stderr}${stdout}`
}

t.test('good, revoked and unknown, by every kind of key', needsOpenssl, async t => {
  for (const keyType of ['ec', 'rsa', 'ed25519']) {
    const mount = await Revoking.open(t, {}, keyType)
    const leaf = await mount.issue('a.example')
    for (const isGet of [false, true]) {
      const said = await asked(mount, [leaf.certificate], isGet)
      t.match(said, /^200 0 Response verify OK\n\S+: good\n/, keyType)
    }
    await mount.revoke(leaf.serial_number)
    const other = await mount.issue('b.example')
    const both = await asked(mount, [leaf.certificate, other.certificate])
    t.match(both, /: revoked\n[\s\S]*: good\n/)
  }
})

t.test('certificates of nobody here', needsOpenssl, async t => {
  const [mount, other] = [await Revoking.open(t), await Revoking.open(t)]
  const leaf = await other.issue('a.example')
  const request = mount.files.file('')
  const words = [
    '-issuer',
    mount.files.file(other.root),
    '-cert',
    mount.files.file(leaf.certificate),
  ]
  openssl('ocsp', ...words, '-reqout', request)
  const got = await mount.secrets.ask('update', 'pki/ocsp', { body: readFileSync(request) })
  t.equal(got.status, 200)
  const text = openssl('ocsp', '-respin', mount.files.file(got.bytes), '-noverify', '-resp_text')
  t.match(text, /Cert Status: unknown/)
})

t.test('errors are answers of OCSP', needsOpenssl, async t => {
  const mount = await Revoking.open(t)
  const { secrets, files } = mount
  const leaf = await mount.issue('a.example')
  const failed = async (body: Buffer | undefined) => {
    const got = await secrets.ask('update', 'pki/ocsp', body === undefined ? {} : { body })
    const words = ['ocsp', '-respin', files.file(got.bytes)]
    const { stdout, stderr } = spawnSync(clientFile('openssl'), words, { encoding: 'utf8' })
    return `${got.status} ${stdout}${stderr}`
  }
  t.match(await failed(undefined), /^400 .*malformedrequest/)
  t.match(await failed(Buffer.from('3000', 'hex')), /^400 .*malformedrequest/)
  t.match(await failed(Buffer.alloc(5_000)), /^400 .*malformedrequest/)
  t.equal((await secrets.read('pki/ocsp/no*base64')).status, 400)
  const request = files.file('')
  openssl(
    ...['ocsp', '-issuer', files.file(mount.root), '-cert', files.file(leaf.certificate)],
    ...['-reqout', request],
  )
  const fine = readFileSync(request)
  await secrets.post('pki/config/crl', { ocsp_disable: true })
  t.match(await failed(fine), /^401 .*unauthorized/)
  await secrets.post('pki/config/crl', { ocsp_disable: false })
  const usage = 'read-only,issuing-certificates,crl-signing'
  await secrets.ask('patch', 'pki/issuer/default', { data: { usage } })
  t.match(await failed(fine), /^401 .*unauthorized/)
})

t.test(
  'over HTTP: by POST, and by GET in whatever way the request is escaped',
  needsOpenssl,
  async t => {
    const face = await openSecretsFace(t)
    await mountAuthority(face.secrets, 'pki/')
    const mount = await Revoking.on(t, face.secrets, 'ec')
    const { files } = mount
    const [rootFile, url] = [files.file(mount.root), `http://${face.host}:${face.port}/v1/pki/ocsp`]
    const leaf = await mount.issue('a.example')
    await mount.revoke(leaf.serial_number)
    const words = ['ocsp', '-issuer', rootFile, '-cert', files.file(leaf.certificate)]
    const run = promisify(execFile)
    const posted = await run(clientFile('openssl'), [...words, '-url', url, '-CAfile', rootFile])
    t.match(posted.stderr, /Response verify OK/)
    t.match(posted.stdout, /: revoked/)
    for (const fill of [undefined, 0xff, 0xfb]) {
      const request = files.file('')
      openssl(...words, '-reqout', request)
      const bytes = readFileSync(request)
      // The nonce is what stands last: now it is slashes, or pluses among others.
      if (fill !== undefined) bytes.fill(fill, bytes.length - 12)
      const text = bytes.toString('base64')
      t.ok(fill === undefined || /\/\/\/|\+\/v7/.test(text), text)
      for (const form of [text, encodeURIComponent(text), text.replaceAll('/', '%2F')]) {
        const got = await fetch(`${url}/${form}`)
        t.equal(got.headers.get('content-type'), 'application/ocsp-response')
        t.equal(got.status, 200, form)
        if (fill !== undefined) continue
        const answer = files.file(Buffer.from(await got.arrayBuffer()))
        const said = await run(clientFile('openssl'), [
          ...[...words, '-no_nonce', '-respin', answer, '-CAfile', rootFile],
        ])
        t.match(said.stdout, /: revoked/)
      }
    }
  },
)
