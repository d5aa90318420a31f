/** Against an engine of ours on a socket: no Docker runs where the tests do. */
import t from 'tap'
import { runDocker } from '../../src/checks/docker.run.ts'
import { once, tcpTarget, until } from './support.ts'
import { dockerEngine } from './targets.ts'

t.test('exit codes, both streams, and the words as they stand', async t => {
  const { host, ran, connections } = await dockerEngine(t, {
    well: {
      exitCode: 0,
      says: [
        [1, 'out '],
        [2, 'err'],
      ],
    },
    'so so': { exitCode: 1, says: [] },
    ill: { exitCode: 7, says: [[2, 'x'.repeat(5_000)]] },
    paused: { exitCode: 0, says: [], isPaused: true },
  })
  const ask = (dockerContainerId: string) => {
    const definition = {
      dockerContainerId,
      scriptArgs: ['check', '$(id)', '; id'],
      shell: '/bin/sh',
    }
    return once(runDocker, definition, { dockerHost: host })
  }
  t.same(await ask('well'), { status: 'passing', output: 'out err' })
  t.same(ran, [['check', '$(id)', '; id']])
  t.match(await ask('so so'), { status: 'warning' })
  t.match(await ask('ill'), {
    status: 'critical',
    output: /^Captured 4096 of 5000 bytes\n\.\.\.\nx+$/,
  })
  t.same(await ask('paused'), {
    status: 'critical',
    output: 'create exec failed since container paused is paused or stopped',
  })
  t.same(await ask('none/../well'), {
    status: 'critical',
    output: 'create exec failed for unknown container none/../well',
  })
  let open = 1
  await until(() => {
    void connections().then(count => (open = count))
    return open === 0
  }, 'closed')
})

t.test('no engine, one that talks nonsense, one that hangs', async t => {
  const definition = { dockerContainerId: 'c', scriptArgs: ['check'] }
  const ask = (dockerHost: string, more = {}) =>
    once(runDocker, definition, { dockerHost, ...more })
  t.match(await ask('unix:///no/such.sock'), {
    status: 'critical',
    output: /^create exec failed for container c: connect ENOENT \/no\/such\.sock$/,
  })
  t.match(await ask('ssh://x'), { status: 'critical', output: 'unable to parse docker host' })
  const answer = 'HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{{{'
  const { port } = await tcpTarget(t, socket => socket.end(answer))
  t.match(await ask(`tcp://127.0.0.1:${port}`), { status: 'critical', output: /cannot be parsed$/ })
  const { port: silent, sockets } = await tcpTarget(t)
  const late = await ask(`tcp://127.0.0.1:${silent}`, {
    timeoutMs: 30_000,
    meanwhile: (run: { end(why: 'timeout'): void }) =>
      void until(() => sockets.size > 0, 'asked').then(() => run.end('timeout')),
  })
  t.same(late, { status: 'critical', output: 'Timed out (30s) running check' })
  await until(() => sockets.size === 0, 'closed')
})
