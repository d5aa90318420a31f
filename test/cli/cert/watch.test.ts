/** The verb as people call it, on a server that answers as told. */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../../../src/cli/run.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { enveloped, secretsServer } from '../../fake/secrets-server.ts'
import { fakeIo } from '../support.ts'
import { issued } from './authority.ts'

async function setting(t: Test) {
  const server = await secretsServer(t)
  server.on('GET auth/token/lookup-self', enveloped({ ttl: 0, renewable: false }))
  const folder = tempFolder(t)
  const answer = () => enveloped(issued('www.example.com', Date.now(), 3_600_000))
  const environment = { VAULT_ADDR: server.address, VAULT_TOKEN: 'hvs.own', HOME: folder }
  const start = (...words: string[]) => {
    const fake = fakeIo({ PATH: process.env.PATH ?? '', ...environment })
    return { ...fake, code: run(['cert', 'watch', ...words], 'gatehouse', fake.io) }
  }
  const ended = async (...words: string[]) => {
    const { code, out, errors } = start(...words)
    return { code: await code, out: out.join('\n'), error: errors.join('\n') }
  }
  return { server, folder, dir: path.join(folder, 'tls'), answer, start, ended }
}

t.test('mistakes end with 1 before anything is asked', async t => {
  const { server, ended, dir } = await setting(t)
  const mistakes: [string[], string][] = [
    [[], 'Not enough arguments'],
    [['pki/issue/web'], '-dir must be given'],
    [[`-dir=${dir}`, 'pki/roles/web'], 'is not the path of a role'],
    [[`-dir=${dir}`, 'pki/issue/web', 'x'], 'format must be key=value'],
    [[`-dir=${dir}`, 'pki/issue/web', '--'], 'there is no command behind --'],
    [[`-dir=${dir}`, '-key-mode=0644', 'pki/issue/web'], 'must give others nothing'],
    [[`-dir=${dir}`, '-key-mode=9', 'pki/issue/web'], 'must be octal'],
    [[`-dir=${dir}`, '-key-type=dsa', 'pki/sign/web'], 'invalid value "dsa"'],
    [[`-dir=${dir}`, '-renew-at=1', 'pki/issue/web'], '-renew-at must be a number from 0.1'],
    [[`-dir=${dir}`, '-jitter=x', 'pki/issue/web'], '-jitter must be a number from 0 to 0.2'],
    [[`-dir=${dir}`, '-secret-id-file=x', 'pki/issue/web'], 'needs -role-id'],
    [[`-dir=${dir}`, '-role-id=x', '-token-file=y', 'pki/issue/web'], 'cannot be used together'],
  ]
  for (const [words, error] of mistakes) t.match(await ended(...words), { code: 1, error })
  t.same(server.asks, [])
  t.notOk(existsSync(dir))
})

t.test('once: it is renewed where it is due, and no more', async t => {
  const { server, ended, dir, folder, answer } = await setting(t)
  server.on('PUT pki/issue/web', answer())
  const told = path.join(folder, 'told')
  const words = ['-once', `-dir=${dir}`, 'pki/issue/web', 'common_name=www.example.com', '--']
  const command = ['sh', '-c', `echo "$GATEHOUSE_CERT_SERIAL $1" >> ${told}`, 'sh', '-s']
  const first = await ended(...words, ...command)
  t.match(first, { code: 0, error: '' })
  t.match(
    first.out,
    /^issued serial=[0-9a-f:]+ expires=20\S+Z renews=20\S+Z names="DNS:www.example.com"\nreloaded serial=/,
  )
  t.match(await ended(...words, ...command), { code: 0, out: /^kept serial=[^\n]*$/, error: '' })
  t.match(readFileSync(told, 'utf8'), /^[0-9a-f:]+ -s\n$/)
  t.equal(server.asks.filter(({ method }) => method === 'PUT').length, 1)
  t.match(server.asks.at(-1)?.headers, { 'x-vault-token': 'hvs.own' })
})

t.test('once: what goes wrong ends it, with 2 for what the server said', async t => {
  const { server, ended, dir, answer } = await setting(t)
  const words = ['-once', `-dir=${dir}`, 'pki/issue/web', 'common_name=www.example.com']
  server.on('PUT pki/issue/web', { errors: ['common name not allowed'] }, 400)
  t.match(await ended(...words), { code: 2, error: '* common name not allowed' })
  t.notOk(existsSync(path.join(dir, 'cert.pem')))
  const other = await setting(t)
  other.server.on('PUT pki/issue/web', answer())
  const failed = await other.ended(...words, '--', 'false')
  t.match(failed, { code: 1, error: 'the command failed: exit status 1', out: /^issued / })
  writeFileSync(path.join(other.folder, 'file'), '')
  const wrong = [`-dir=${other.folder}/file/x`, '-once', 'pki/issue/web']
  t.match(await other.ended(...wrong), { code: 1, error: 'ENOTDIR' })
})

t.test('it goes on until a signal, renews when told, and gets over a failure', async t => {
  const { server, start, dir, answer, folder } = await setting(t)
  const secretIdFile = path.join(folder, 'secret-id')
  writeFileSync(secretIdFile, 'a-secret-id\n')
  server.on(
    'PUT auth/approle/login',
    enveloped(null, {
      auth: { client_token: 'hvs.login', lease_duration: 3_600, renewable: true },
    }),
  )
  server.on('PUT pki/issue/web', { errors: ['Vault is sealed'] }, 503)
  server.on('PUT pki/issue/web', answer())
  server.on('PUT pki/issue/web', answer())
  const login = ['-role-id=web', `-secret-id-file=${secretIdFile}`]
  const watching = start(`-dir=${dir}`, ...login, 'pki/issue/web', 'common_name=www.example.com')
  const { out, errors, signal, listens } = watching
  const count = (word: string): number => out.filter(line => line.startsWith(word)).length
  await until('it is issued', () => count('issued') === 1)
  t.equal(count('failed certificate=none'), 1)
  t.match(errors, [/Code: 503.*Vault is sealed/])
  t.notMatch(errors.join(), '\n')
  await until('it listens', () => listens('SIGHUP'))
  signal('SIGHUP')
  await until('it is issued again', () => count('issued') === 2)
  signal('SIGTERM')
  t.equal(await watching.code, 0)
  t.equal(out.at(-1), 'stopped')
  t.notMatch([...out, ...errors].join(), /secret-id|hvs/)
  t.match(
    server.asks.map(({ url }) => url),
    ['/v1/auth/approle/login', '/v1/pki/issue/web'],
  )
})

t.test('a signal ends it while it is asking', async t => {
  const { start, dir } = await setting(t)
  let asked = 0
  const held = createServer(() => asked++)
  held.listen(0, '127.0.0.1')
  await once(held, 'listening')
  t.teardown(() => {
    held.closeAllConnections()
    held.close()
  })
  const address = `-address=http://127.0.0.1:${(held.address() as AddressInfo).port}`
  const { out, signal, code } = start(address, `-dir=${dir}`, 'pki/issue/web')
  await until('it asks', () => asked === 1)
  signal('SIGINT')
  t.equal(await code, 0)
  t.same(out, ['stopped'])
})
