/**
 * An authority and its certificates, as `tls` makes them: their names, what OpenSSL says of them,
 * who may read the keys, and that nothing is written over.
 */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { tempFolder } from '../clients/process.ts'
import { absent, clientFile } from '../run/clients.ts'
import { call } from './support.ts'

const needsOpenssl = { skip: absent('openssl') }

/** The files are made where the program is called. */
function inFolder(t: Test): string {
  const before = process.cwd()
  const folder = tempFolder(t)
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  return folder
}

const textOf = (file: string): string =>
  execFileSync(
    clientFile('openssl'),
    ['x509', '-in', file, '-noout', '-text', '-nameopt', 'RFC2253'],
    {
      encoding: 'utf8',
    },
  )

function verify(file: string, purpose: string, ca = 'consul-agent-ca.pem'): string {
  const words = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, file]
  try {
    return execFileSync(clientFile('openssl'), words, { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch (error) {
    return String((error as { stderr: string }).stderr)
  }
}

t.test('an authority, and a certificate of each kind', needsOpenssl, async t => {
  inFolder(t)
  t.same(await call('tls ca create'), {
    code: 0,
    out: '==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem',
    error: '',
  })
  const ca = textOf('consul-agent-ca.pem')
  t.match(ca, /CA:TRUE/)
  t.match(ca, /Subject: CN=Consul Agent CA \d+,O=gatehouse/)
  t.match(ca, 'prime256v1')
  for (const [kind, purposes] of [
    ['server', ['sslserver', 'sslclient']],
    ['client', ['sslserver', 'sslclient']],
    ['cli', ['sslclient']],
  ] as const) {
    const { code, out } = await call(`tls cert create -${kind}`)
    t.equal(code, 0)
    const [cert, key] = [`dc1-${kind}-consul-0.pem`, `dc1-${kind}-consul-0-key.pem`]
    t.ok(out.includes('==> Using consul-agent-ca.pem and consul-agent-ca-key.pem'))
    t.ok(out.endsWith(`==> Saved ${cert}\n==> Saved ${key}`), out)
    t.equal(out.startsWith('==> WARNING'), kind === 'server')
    for (const purpose of purposes) t.equal(verify(cert, purpose), `${cert}: OK`)
    const made = new X509Certificate(readFileSync(cert))
    t.equal(made.subject, `CN=${kind}.dc1.consul`)
    t.equal(made.checkHost('localhost'), 'localhost')
    t.equal(made.checkHost(`${kind}.dc1.consul`), `${kind}.dc1.consul`)
    t.equal(made.checkIP('127.0.0.1'), kind === 'cli' ? undefined : '127.0.0.1')
    t.equal(statSync(key).mode & 0o777, 0o600)
    t.match(readFileSync(key, 'utf8'), /^-----BEGIN EC PRIVATE KEY-----/)
  }
  t.match(verify('dc1-cli-consul-0.pem', 'sslserver'), /unsuitable|unsupported/)
})

t.test('what is there is not written over', async t => {
  inFolder(t)
  await call('tls ca create')
  const before = readFileSync('consul-agent-ca.pem', 'utf8')
  t.same(await call('tls ca create'), {
    code: 1,
    out: '',
    error: 'consul-agent-ca.pem already exists.',
  })
  t.equal(readFileSync('consul-agent-ca.pem', 'utf8'), before)
  for (const at of [0, 1]) {
    const { out } = await call('tls cert create -client')
    t.match(out, `dc1-client-consul-${at}-key.pem`)
  }
  writeFileSync('dc1-client-consul-2-key.pem', 'kept')
  t.match((await call('tls cert create -client')).out, 'dc1-client-consul-3.pem')
  t.equal(readFileSync('dc1-client-consul-2-key.pem', 'utf8'), 'kept')
  writeFileSync('corp-agent-ca-key.pem', 'kept')
  t.match(await call('tls ca create -domain=corp'), { code: 1, error: /already exists/ })
  t.notOk(readdirSync('.').includes('corp-agent-ca.pem'), 'neither of two is made')
})

t.test('names, addresses, days, datacenter, domain, node', needsOpenssl, async t => {
  inFolder(t)
  await call('tls ca create -domain=corp -days=10 -common-name=Our')
  t.match(textOf('corp-agent-ca.pem'), 'Subject: CN=Our,O=gatehouse')
  const line = [
    'tls cert create -server -dc=dc2 -domain=corp -node=n1 -days=3',
    '-additional-dnsname=consul.example -additional-dnsname=*.consul.example',
    '-additional-ipaddress=10.0.0.7 -additional-ipaddress=fd00::7',
  ].join(' ')
  t.equal((await call(line)).code, 0)
  const file = 'dc2-server-corp-0.pem'
  const names = [
    'consul.example',
    '*.consul.example',
    'n1.server.dc2.corp',
    'server.dc2.corp',
    'localhost',
  ].map(name => `DNS:${name}`)
  const addresses = ['10.0.0.7', 'FD00:0:0:0:0:0:0:7', '127.0.0.1'].map(a => `IP Address:${a}`)
  t.match(textOf(file), [...names, ...addresses].join(', '))
  const { validFromDate, validToDate } = new X509Certificate(readFileSync(file))
  t.equal(validToDate.getTime() - validFromDate.getTime(), 3 * 86_400_000)
  t.equal(verify(file, 'sslserver', 'corp-agent-ca.pem'), `${file}: OK`)
  const other = 'tls cert create -cli -ca=corp-agent-ca.pem -key=corp-agent-ca-key.pem'
  t.match((await call(other)).out, 'dc1-cli-consul-0.pem')
})

t.test('an authority that signs for its domain alone', needsOpenssl, async t => {
  inFolder(t)
  const line = 'tls ca create -name-constraint -additional-name-constraint=example'
  t.equal((await call(line)).code, 0)
  t.match(textOf('consul-agent-ca.pem'), /Name Constraints: critical\s+Permitted:\s+DNS:example/)
  await call('tls cert create -server -additional-dnsname=ui.example')
  t.match(verify('dc1-server-consul-0.pem', 'sslserver'), ': OK')
  await call('tls cert create -server -additional-dnsname=ui.elsewhere')
  t.match(verify('dc1-server-consul-1.pem', 'sslserver'), 'permitted subtree violation')
})

t.test('mistakes change nothing', async t => {
  const folder = inFolder(t)
  const mistakes: Record<string, string> = {
    'tls cert create': 'Please provide either -server, -client, or -cli',
    'tls cert create -server -cli': 'Please provide either -server, -client, or -cli',
    'tls cert create -client -node=x': '-node requires -server',
    'tls cert create -client': 'Error reading CA: open consul-agent-ca.pem: no such file',
    'tls cert create -client -dc=../x': '-dc: must be a domain name or a part of one',
    'tls cert create -client -domain=a/b': '-domain: must be a domain name or a part of one',
    'tls cert create -client -additional-ipaddress=10.0.0': '-additional-ipaddress: must be an IP',
    'tls cert create -client -additional-dnsname=a,b': '-additional-dnsname: must be a domain name',
    'tls cert create -cli -additional-ipaddress=10.0.0.1': 'has no addresses',
    'tls cert create -client -days=0': '-days: must be from 1 to 36500',
    'tls ca create -domain=/etc/x': '-domain: must be a domain name',
    'tls ca create -days=99999999': '-days: must be from 1 to 36500',
    'tls ca create extra': 'Too many arguments',
    'tls ca create -additional-name-constraint=x': 'needs -name-constraint',
  }
  for (const [line, error] of Object.entries(mistakes)) {
    t.match(await call(line), { code: 1, out: '', error }, line)
  }
  t.same(readdirSync(folder), [])
  await call('tls ca create')
  await call('tls ca create -domain=other')
  const crossed = await call('tls cert create -client -key=other-agent-ca-key.pem')
  t.match(crossed, { code: 1, error: 'the key is not the one of the authority' })
  writeFileSync('consul-agent-ca-key.pem', 'c4nary')
  const spoilt = await call('tls cert create -client')
  t.match(spoilt, { code: 1, error: 'consul-agent-ca-key.pem: holds no private key' })
  t.notMatch(spoilt.error, 'c4nary')
  t.notOk(readdirSync(folder).some(name => name.startsWith('dc1-')))
})
