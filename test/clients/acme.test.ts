/**
 * Debian's certbot and lego, unchanged: they obtain certificates by ACME, renew and revoke them.
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { type AcmeServer, notRoot, ownAddress, startAcme } from './acme.ts'
import { launch, tempFolder } from './process.ts'

const serialOf = (file: string): string => new X509Certificate(readFileSync(file)).serialNumber

const colons = (serial: string): string => serial.toLowerCase().replace(/..(?=.)/g, '$&:')

async function revocationOf({ server }: AcmeServer, serial: string): Promise<number> {
  return (await server.get(`pki/cert/${colons(serial)}`)).revocation_time
}

async function run(t: Test, file: string, words: readonly string[], env = {}): Promise<string> {
  const launched = launch(t, file, words, { env })
  const code = await launched.ended
  const said = launched.stdout() + launched.stderr()
  t.equal(code, 0, `${path.basename(file)} ${words.join(' ')}: ${code === 0 ? '' : said}`)
  return said
}

t.test('lego', { skip: absent('lego', 'openssl') || notRoot() }, async t => {
  const host = ownAddress()
  const acme = await startAcme(t, host)
  const folder = tempFolder(t)
  const fileOf = (name: string): string => path.join(folder, 'certificates', `${name}.crt`)
  const lego = (t: Test, place: string, words: string[], env = {}): Promise<string> => {
    const who = ['--accept-tos', '--email', 'ada@example.com', '--path', folder]
    return run(t, clientFile('lego'), ['--server', acme.of(place), ...who, ...words], env)
  }
  const http = ['--http', '--http.port', `${host}:80`]

  await t.test('by http-01: obtains, renews, revokes', async t => {
    const names = ['-d', 'www.acme.test', '-d', 'alt.acme.test']
    await lego(t, 'roles/web', [...names, ...http, 'run'])
    const file = fileOf('www.acme.test')
    acme.verify(t, file, ['-verify_hostname', 'alt.acme.test'])
    const first = serialOf(file)
    await lego(t, 'roles/web', [...names, ...http, 'renew', '--days', '400', '--no-random-sleep'])
    const second = serialOf(file)
    t.not(second, first)
    acme.verify(t, file)
    t.equal(await revocationOf(acme, second), 0)
    await lego(t, 'roles/web', [...names, 'revoke', '--keep'])
    t.ok((await revocationOf(acme, second)) > 0)
    t.equal(await revocationOf(acme, first), 0)
  })

  await t.test('by tls-alpn-01', async t => {
    const tls = ['--tls', '--tls.port', `${host}:443`]
    await lego(t, 'roles/web', ['-d', 'alpn.acme.test', ...tls, 'run'])
    acme.verify(t, fileOf('alpn.acme.test'), ['-verify_hostname', 'alpn.acme.test'])
  })

  await t.test('by dns-01: a wildcard', async t => {
    const dns = [
      '--dns',
      'exec',
      '--dns.disable-cp',
      '--dns.resolvers',
      `127.0.0.1:${acme.dnsPort}`,
    ]
    await lego(t, 'roles/web', ['-d', '*.wild.acme.test', ...dns, '-k', 'rsa2048', 'run'], {
      ...{ EXEC_PATH: acme.txtScript, EXEC_POLLING_INTERVAL: '1' },
    })
    acme.verify(t, fileOf('_.wild.acme.test'), ['-verify_hostname', 'any.wild.acme.test'])
  })

  await t.test('by the default directory', async t => {
    // An account belongs to one directory.
    const other = tempFolder(t)
    const who = ['--accept-tos', '--email', 'ada@example.com', '--path', other]
    const words = ['--server', acme.of(''), ...who, '-d', 'plain.acme.test', ...http, 'run']
    await run(t, clientFile('lego'), words)
    const file = path.join(other, 'certificates/plain.acme.test.crt')
    acme.verify(t, file, ['-verify_hostname', 'plain.acme.test'])
  })

  await t.test('with a key of another’s giving, where the policy wants one', async t => {
    await acme.server.post('pki/config/acme', { eab_policy: 'always-required' })
    const { id, key } = await acme.server.post('pki/roles/web/acme/new-eab', {})
    const other = tempFolder(t)
    const words = ['--server', acme.of('roles/web'), '--accept-tos', '--path', other]
    const who = ['--email', 'bob@example.com', '-d', 'bound.acme.test', ...http]
    const refused = launch(t, clientFile('lego'), [...words, ...who, 'run'])
    t.not(await refused.ended, 0)
    t.match(refused.stderr(), /externalAccountRequired|external account/i)
    const eab = ['--eab', '--kid', id, '--hmac', key]
    await run(t, clientFile('lego'), [...words, ...who, ...eab, 'run'])
    acme.verify(t, path.join(other, 'certificates/bound.acme.test.crt'))
  })
})

t.test('certbot', { skip: absent('certbot', 'openssl') || notRoot() }, async t => {
  const host = ownAddress()
  const acme = await startAcme(t, host)
  const folder = tempFolder(t)
  const folders = ['config', 'work', 'logs'].flatMap(name => [
    `--${name}-dir`,
    path.join(folder, name),
  ])
  const certbot = (...words: string[]): Promise<string> =>
    run(t, clientFile('certbot'), [...words, '--non-interactive', ...folders])
  const directory = acme.of('roles/web')
  const http = ['--standalone', '--http-01-address', host, '--http-01-port', '80']
  const live = path.join(folder, 'config/live/bot.acme.test')
  const fullchain = path.join(live, 'fullchain.pem')

  const who = ['--agree-tos', '-m', 'ada@example.com', '--no-eff-email']
  await certbot(
    'certonly',
    '--server',
    directory,
    ...who,
    ...http,
    '-d',
    'bot.acme.test',
    '-d',
    'bot2.acme.test',
  )
  acme.verify(t, fullchain, ['-verify_hostname', 'bot2.acme.test'])
  const first = serialOf(fullchain)
  await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew')
  const second = serialOf(fullchain)
  t.not(second, first)
  acme.verify(t, fullchain)
  const cert = path.join(live, 'cert.pem')
  const reason = ['--reason', 'superseded', '--no-delete-after-revoke']
  await certbot('revoke', '--server', directory, '--cert-path', cert, ...reason)
  t.ok((await revocationOf(acme, second)) > 0)
  const withKey = path.join(folder, 'config/archive/bot.acme.test')
  const [old, key] = ['cert1.pem', 'privkey1.pem'].map(name => path.join(withKey, name)) as [
    string,
    string,
  ]
  await certbot(
    'revoke',
    '--server',
    directory,
    '--cert-path',
    old,
    '--key-path',
    key,
    '--no-delete-after-revoke',
  )
  t.ok((await revocationOf(acme, first)) > 0)
})
