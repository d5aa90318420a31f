/**
 * Files of certificates and keys: what is wrong with them is told by their names, never by what
 * they hold.
 */
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import {
  contextOptions,
  contextProblem,
  readTlsFiles,
  type TlsFiles,
} from '../../../src/base/io/tls.ts'
import { TlsMaterial } from '../../../src/base/tls.ts'
import { tempFolder } from '../../clients/process.ts'
import { makeAuthority } from '../../x509/pki.ts'

const none: TlsFiles = {
  caFile: undefined,
  caPath: undefined,
  certFile: undefined,
  keyFile: undefined,
}

const read = (files: Partial<TlsFiles>) => readTlsFiles({ ...none, ...files }, Date.now())

async function problemsOf(files: Partial<TlsFiles>): Promise<string> {
  const result = await read(files)
  return 'problems' in result ? result.problems.join('\n') : 'read'
}

async function warningsOf(files: Partial<TlsFiles>): Promise<string> {
  const result = await read(files)
  return 'warnings' in result ? result.warnings.join('\n') : result.problems.join('\n')
}

t.test('a pair with its authorities, from a file or a folder', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const { certFile, keyFile, key } = authority.issue('web')
  const cas = join(folder, 'cas')
  mkdirSync(join(cas, 'deep'), { recursive: true })
  writeFileSync(join(cas, 'a.pem'), authority.cert)
  writeFileSync(join(cas, 'deep', 'b.crt'), makeAuthority(folder, 'other').cert)
  const result = await read({ caPath: cas, certFile, keyFile })
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  const { material, warnings } = result
  t.same(warnings, [])
  t.ok(material.hasAuthorities && material.hasCertificate)
  const secret = key.split('\n')[1]!
  for (const text of [
    inspect(material, { depth: 9, showHidden: true }),
    JSON.stringify(material),
  ]) {
    t.notMatch(text, secret)
  }
  t.ok(material.pems().key?.toString().includes(secret))
  const nothing = await read({})
  t.notOk('material' in nothing && nothing.material.hasCertificate)
})

t.test('what is wrong is named', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const { certFile, keyFile, key, cert } = authority.issue('web')
  const other = authority.issue('other')
  const at = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  const empty = at('empty.pem', '')
  const cut = at('cut.pem', cert.slice(0, 200))
  const spoilt = at('spoilt.pem', cert.replace('\nM', '\nAAAA'))
  const locked = at(
    'locked.pem',
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString(),
  )
  const huge = at('huge.pem', 'x'.repeat(1_048_577))
  const missing = join(folder, 'missing.pem')
  mkdirSync(join(folder, 'hollow'))
  const cases: [Partial<TlsFiles>, string][] = [
    [{ certFile: missing, keyFile }, `${missing}: cannot be read (ENOENT)`],
    [{ certFile, keyFile: missing }, `${missing}: cannot be read (ENOENT)`],
    [{ caFile: missing }, `${missing}: cannot be read (ENOENT)`],
    [{ caPath: missing }, `${missing}: cannot be read (ENOENT)`],
    [{ caPath: join(folder, 'hollow') }, 'hollow: holds no file'],
    [{ caFile: empty }, `${empty}: holds no certificate in PEM`],
    [{ certFile: cut, keyFile }, `${cut}: holds no certificate in PEM`],
    [{ certFile: spoilt, keyFile }, `${spoilt}: holds no certificate in PEM`],
    [{ certFile: keyFile, keyFile }, `${keyFile}: holds no certificate in PEM`],
    [{ certFile, keyFile: certFile }, `${certFile}: holds no private key in PEM`],
    [{ certFile, keyFile: other.keyFile }, `${other.keyFile}: is not the key of ${certFile}`],
    [{ certFile, keyFile: locked }, `${locked}: the key is encrypted`],
    [{ certFile, keyFile: huge }, `${huge}: larger than 1048576 bytes`],
  ]
  for (const [files, problem] of cases) {
    const text = await problemsOf(files)
    t.ok(text.includes(problem), text)
    for (const pem of [key, other.key, cert]) t.notMatch(text, pem.split('\n')[1]!)
  }
  t.equal(await problemsOf({ certFile, keyFile }), 'read')
})

t.test('what is odd is told and taken', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const old = authority.issue('old', { fromDays: -9, untilDays: -1 })
  t.match(await warningsOf(old), `${old.certFile}: a certificate in it expired at 20`)
  const early = authority.issue('early', { fromDays: 2 })
  t.match(await warningsOf(early), 'is not valid before 20')
  const open = authority.issue('open')
  chmodSync(open.keyFile, 0o644)
  t.match(await warningsOf(open), `${open.keyFile}: others on this machine may read this key`)
  chmodSync(open.keyFile, 0o640)
  t.equal(await warningsOf(open), '', 'a group is for its members')
})

t.test('the digest tells materials apart, and nothing else', async t => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  const digests = [
    { ca: [] },
    { ca: [a] },
    { ca: [a, b] },
    { ca: [Buffer.from('ab')] },
    { cert: a, key: b, ca: [] },
    { cert: b, key: a, ca: [] },
    { cert: a, ca: [b] },
  ].map(pems => new TlsMaterial(pems).digest)
  t.equal(new Set(digests).size, digests.length)
  t.equal(new TlsMaterial({ ca: [a] }).digest, new TlsMaterial({ ca: [Buffer.from('a')] }).digest)
})

t.test('a context says TLS 1.2 at least, and what OpenSSL has against it', async t => {
  const { cert, key } = makeAuthority(tempFolder(t)).issue('web')
  const material = new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(key), ca: [] })
  const options = { material, minVersion: 'TLSv1.2' as const, ciphers: [], verifiesClients: false }
  t.equal(contextProblem(options), undefined)
  const { minVersion, maxVersion, ciphers } = contextOptions(options)
  t.same([minVersion, maxVersion], ['TLSv1.2', 'TLSv1.3'])
  t.notMatch(ciphers, /CBC|-SHA(:|$)|RC4|3DES|NULL/)
  const mixed = {
    ...options,
    material: new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(ecKey()), ca: [] }),
  }
  t.match(contextProblem(mixed), 'key values mismatch')
})

const ecKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
