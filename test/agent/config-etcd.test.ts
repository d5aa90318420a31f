/** The stanza of an etcd of the user's own, and the files that it names. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type ConfigResult, resolveConfig } from '../../src/agent/config.ts'
import { etcdAccess } from '../../src/agent/config-etcd.ts'
import { systemClock } from '../../src/base/clock.ts'
import { tempFolder } from '../clients/process.ts'
import { makeAuthority } from '../x509/pki.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

function resolve(text: string): ConfigResult {
  const texts = [{ name: 'a.hcl', text: `store { etcd { ${text} } }`, format: 'hcl' as const }]
  return resolveConfig({ texts, flags: [], isDev: false }, surroundings)
}

function etcdOf(text: string) {
  const result = resolve(text)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config.store.etcd
}

const problemsOf = (text: string): string => {
  const result = resolve(text)
  return 'problems' in result ? result.problems.join('\n') : ''
}

t.test('files stand in the working folder, and nothing is shown unless it is named', async t => {
  t.strictSame(etcdOf(''), {
    endpoints: ['http://127.0.0.1:2379'],
    prefix: 'gatehouse',
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    username: '',
    passwordFile: undefined,
    quotaSizeBytes: 0,
  })
  const full = etcdOf(`endpoints = ["https://e:1"] ca_file = "ca.pem" cert_file = "c.pem"
    key_file = "/k.pem" username = "u" password_file = "p"`)
  t.match(full, { caFile: '/w/ca.pem', certFile: '/w/c.pem', keyFile: '/k.pem' })
  t.match(full, { username: 'u', passwordFile: '/w/p' })
})

t.test('what does not go together is refused', async t => {
  const secure = 'endpoints = ["https://e:1"]'
  t.match(problemsOf(`${secure} cert_file = "c.pem"`), /cert_file: and key_file go together/)
  t.match(problemsOf(`${secure} key_file = "c.pem"`), /cert_file: and key_file go together/)
  t.match(problemsOf('ca_file = "c.pem"'), /endpoints: must be https addresses/)
  t.match(problemsOf('username = "u"'), /username: and password_file go together/)
  t.match(problemsOf('password_file = "u"'), /username: and password_file go together/)
  t.match(problemsOf('endpoints = []'), /endpoints: names no member/)
})

t.test('certificates are those that the files hold now', async t => {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const pair = authority.issue('client')
  const etcd = { ...etcdOf('endpoints = ["https://e:1"]'), caFile: authority.certFile }
  const files = { certFile: pair.certFile, keyFile: pair.keyFile }
  const { material, login } = etcdAccess({ ...etcd, ...files }, systemClock)
  t.equal(login, undefined)
  const before = await material!()
  t.equal((await material!()).digest, before.digest)
  const renewed = authority.issue('renewed')
  renameSync(renewed.certFile, pair.certFile)
  await t.rejects(Promise.resolve(material!()), { message: /is not the key of/ })
  renameSync(renewed.keyFile, pair.keyFile)
  t.not((await material!()).digest, before.digest)
  t.equal(etcdAccess(etcdOf(''), systemClock).material, undefined)
})

t.test('the password is the first line of its file', async t => {
  const passwordFile = join(tempFolder(t), 'password')
  const etcd = { ...etcdOf(''), username: 'u', passwordFile }
  const { login } = etcdAccess(etcd, systemClock)
  t.equal(login?.username, 'u')
  const unread = Promise.resolve(login!.password())
  await t.rejects(unread, { message: `${passwordFile}: cannot be read (ENOENT)` })
  writeFileSync(passwordFile, 'secret\r\nmore\n')
  t.equal(await login!.password(), 'secret')
})
