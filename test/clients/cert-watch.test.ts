/**
 * nginx with mutual TLS, whose certificate lives for seconds and is renewed again and again by
 * `gatehouse cert watch` with `nginx -s reload`: nobody who asks it notices.
 *
 * Who asks has a certificate that is renewed in the same way, by a request for a key of its own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { serverAt } from '../secrets/engine/transit/vectors/server.ts'
import { freePort, type Launched, launch, tempFolder, until } from './process.ts'
import { program } from './running.ts'
import { startUnsealed } from './secrets.ts'

const RENEWALS = 10
const LIFE = '8s'
/** They are renewed after about a second: what is left is for a machine that is busy. */
const RENEW_AT = ['-renew-at=0.12', '-jitter=0.02']
const CALLERS = 4

interface Watching {
  readonly folder: string
  readonly watch: Launched
  count(word: string): number
}

async function watchCert(
  t: Test,
  { address, token }: { readonly address: string; readonly token: string },
  words: readonly string[],
): Promise<Watching> {
  const folder = path.join(tempFolder(t), 'tls')
  const env = { VAULT_ADDR: address, VAULT_TOKEN: token }
  const flags = ['cert', 'watch', `-dir=${folder}`, ...RENEW_AT]
  const watch = launch(t, program, [...flags, ...words], { env })
  const count = (word: string): number => watch.stdout().split(`${word} `).length - 1
  await until('there is a certificate', () => {
    if (!watch.isRunning()) throw new Error(watch.stderr())
    return count('issued') > 0
  })
  return { folder, watch, count }
}

/** Debian's nginx with a master, which takes its certificate anew when it is told. */
function writeConfig(folder: string, tls: string, authorities: string, port: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `user root;
    daemon off;
    worker_processes 2;
    pid ${folder}/nginx.pid;
    error_log stderr warn;
    events { worker_connections 256; }
    http {
      access_log off;
      ${paths.map(name => `${name}_temp_path ${folder}/${name};`).join('\n')}
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${tls}/fullchain.pem;
        ssl_certificate_key ${tls}/key.pem;
        ssl_client_certificate ${authorities};
        ssl_verify_client on;
        location / { return 200 "$ssl_client_s_dn"; }
      }
    }`,
  )
  return file
}

interface Seen {
  readonly serials: Set<string>
  readonly faults: string[]
  asked: number
}

/** Asks on a new connection each time, until it is stopped. */
async function keepAsking(port: number, tls: string, ca: string, stop: AbortSignal, seen: Seen) {
  while (!stop.aborted) {
    const bundle = readFileSync(path.join(tls, 'bundle.pem'))
    seen.asked++
    await new Promise<void>(resolve => {
      const own = { cert: bundle, key: bundle, ca, servername: 'www.example.com', agent: false }
      const asked = request({ host: '127.0.0.1', port, path: '/', ...own }, answer => {
        const serial = (answer.socket as TLSSocket).getPeerCertificate().serialNumber
        let text = ''
        answer.on('data', part => {
          text += part
        })
        answer.on('error', error => seen.faults.push(error.message))
        answer.on('close', () => {
          if (answer.statusCode !== 200 || text !== 'CN=client.example.com') {
            seen.faults.push(`${answer.statusCode} ${text}`)
          } else seen.serials.add(serial)
          resolve()
        })
      })
      asked.on('error', error => {
        seen.faults.push(error.message)
        resolve()
      })
      asked.end()
    })
  }
}

t.test('no request fails while its certificate is renewed', { skip: absent('nginx') }, async t => {
  const on = await startUnsealed(t)
  const server = serverAt(on.address, on.token)
  await server.post('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '8760h' } })
  const root = { common_name: 'Root', key_type: 'ec', ttl: '8760h' }
  const { certificate: ca } = await server.post('pki/root/generate/internal', root)
  const role = { allow_any_name: true, key_type: 'ec', no_store: true, ttl: LIFE, max_ttl: '1h' }
  await server.post('pki/roles/web', { ...role, not_before_duration: '30s' })
  const folder = tempFolder(t)
  const authorities = path.join(folder, 'ca.pem')
  writeFileSync(authorities, `${ca}\n`)

  const port = await freePort()
  const conf = path.join(folder, 'nginx.conf')
  const errors = path.join(folder, 'error.log')
  // It is told of the first certificate as well, before it is there.
  const signal = `${clientFile('nginx')} -p ${folder} -c ${conf} -e ${errors} -s reload`
  const reload = `test ! -s ${folder}/nginx.pid || exec ${signal}`
  const web = await watchCert(t, on, [
    ...['pki/issue/web', 'common_name=www.example.com', `ttl=${LIFE}`],
    ...['--', 'sh', '-c', reload],
  ])
  const names = ['pki/sign/web', 'common_name=client.example.com', `ttl=${LIFE}`]
  const client = await watchCert(t, on, names)
  writeConfig(folder, web.folder, authorities, port)
  const nginx = launch(t, clientFile('nginx'), ['-p', folder, '-c', conf, '-e', errors])
  t.teardown(async () => {
    nginx.signal('SIGTERM')
    await nginx.ended
  })
  const seen: Seen = { serials: new Set(), faults: [], asked: 0 }
  await until('nginx answers', async () => {
    const first: Seen = { serials: new Set(), faults: [], asked: 0 }
    const once = new AbortController()
    const asking = keepAsking(port, client.folder, ca, once.signal, first)
    once.abort()
    await asking
    return first.serials.size === 1
  })

  const stop = new AbortController()
  const callers = Array.from({ length: CALLERS }, () =>
    keepAsking(port, client.folder, ca, stop.signal, seen),
  )
  await until(`${RENEWALS} renewals are seen`, () => {
    if (!web.watch.isRunning() || !client.watch.isRunning()) throw new Error(web.watch.stderr())
    return seen.serials.size > RENEWALS && client.count('issued') > RENEWALS / 2
  })
  stop.abort()
  await Promise.all(callers)
  t.same(seen.faults, [], `of ${seen.asked} requests none failed`)
  t.ok(web.count('reloaded') >= RENEWALS)
  t.equal(web.count('failed') + client.count('failed'), 0, web.watch.stderr())
  for (const { watch } of [web, client]) {
    watch.signal('SIGTERM')
    t.equal(await watch.ended, 0)
    t.match(watch.stdout(), /\nstopped\n$/)
  }
})
