/** Debian's nginx follows: instances come, fail, drain and go; bad files never stay. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { nginxSink } from '../../../../src/feed/sink/nginx/nginx.ts'
import { freePort, launch, tempFolder, until } from '../../../clients/process.ts'
import { absent, clientFile } from '../../../run/clients.ts'
import { answersOf, askOnce, startBackend } from '../backends.ts'
import { stateOf } from '../health.ts'
import { Driver, realPorts } from '../world.ts'

/** An nginx with a master, whose configuration includes the file of upstreams. */
async function startNginx(t: Test) {
  const folder = tempFolder(t)
  const port = await freePort()
  const file = path.join(folder, 'upstreams.conf')
  const config = path.join(folder, 'nginx.conf')
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    config,
    `daemon off;
     worker_processes 1;
     pid ${folder}/nginx.pid;
     error_log stderr warn;
     events { worker_connections 128; }
     http {
       access_log off;
       ${paths.map(name => `${name}_temp_path ${folder}/${name};`).join('\n')}
       include ${folder}/extra*.conf;
       include ${file};
       server {
         listen 127.0.0.1:${port};
         location / { proxy_pass http://web; proxy_connect_timeout 1s; }
       }
     }`,
  )
  const words = ['-p', folder, '-c', config, '-e', path.join(folder, 'error.log')]
  const nginx = clientFile('nginx')
  const given = {
    path: file,
    check: [nginx, '-t', '-q', ...words],
    reload: [nginx, '-s', 'reload', ...words],
  }
  return { folder, port, file, given, start: () => launch(t, nginx, words, { group: true }) }
}

t.test('nginx follows', { skip: absent('nginx') }, async t => {
  const { folder, port, file, given, start } = await startNginx(t)
  const [a, b] = [await startBackend(t, 'a'), await startBackend(t, 'b')]
  const ports = realPorts(t)
  // Nobody to reload yet: the file is made by a sink that only writes.
  const first = new Driver(nginxSink, { ...given, reload: ['/bin/true'] }, ports)
  await first.apply(stateOf({ web: [a] }))
  const nginx = start()
  await until('nginx answers', async () => {
    if (!nginx.isRunning()) throw new Error(nginx.stderr())
    return (await askOnce(port)) === 'a'
  })
  const driver = new Driver(nginxSink, given, ports)
  const follows = (wanted: string) =>
    until(`it reaches ${wanted}`, async () => (await answersOf(port)) === wanted, 10_000)

  t.match((await driver.plan(stateOf({ web: [a, b] }))).changes, [
    /upstreams.conf/,
    /begin/,
    /begin/,
    /\+ {5}server/,
  ])
  await driver.apply(stateOf({ web: [a, b] }))
  await follows('a b')

  // A request under way is finished by the old worker.
  const slow = askOnce(port, '/wait')
  const on = await until('it is under way', () => [a, b].find(one => one.waiting() > 0))
  await driver.apply(
    stateOf({ web: [a, b].map(one => (one === on ? { ...one, status: 'critical' } : one)) }),
  )
  await follows(on === a ? 'b' : 'a')
  on.letGo()
  t.equal(await slow, on.id)

  // What nginx refuses never stays, whoever is at fault.
  const good = readFileSync(file, 'utf8')
  writeFileSync(path.join(folder, 'extra.conf'), 'upstream web { server 127.0.0.1:1; }\n')
  const refused = await driver.try(stateOf({ web: [a, b] }))
  t.match(refused, { target: 'put back', text: /duplicate upstream "web"/ })
  t.equal(readFileSync(file, 'utf8'), good)
  rmSync(path.join(folder, 'extra.conf'))
  await driver.apply(stateOf({ web: [a, b] }))
  await follows('a b')

  // Nobody is usable: the last ones are kept.
  const none = await driver.apply(stateOf({ web: [] }))
  t.match(none, { changes: [] })
  t.match(driver.wanted(stateOf({ web: [] })).problems, [/the last ones are kept/])
  await follows('a b')
  const empty = new Driver(nginxSink, { ...given, on_empty: 'apply' }, ports)
  await empty.apply(stateOf({ web: [] }))
  await follows('502')

  // A master that is gone cannot reload: the file is as it was.
  nginx.signal('SIGTERM')
  await nginx.ended
  const before = readFileSync(file, 'utf8')
  t.match(await driver.try(stateOf({ web: [a] })), { mayRetry: true, text: /-s|nginx/ })
  t.equal(readFileSync(file, 'utf8'), before)
})
